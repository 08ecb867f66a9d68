"""What was paid, on the participant's page: each payout in one sentence, a receipt of it, a year's statement, and in the export."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.template.loader import render_to_string
from django.test import Client
from django.utils import translation

from integrations.outlook import Outlook
from participants.models import Participant
from referrals.accounts.models import Merchant
from referrals.hosted.payout_words import ahead_text, netted_text, pill, state_text, waiting_sum
from referrals.lib.money import Money
from rewards import payouts, personal, receipts, refunds
from rewards.models import Payout, Reward
from rewards.recipients import Wait
from rewards.runs import Below
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_merchant, make_participant
from tests.hosted.test_portal import opened, text_of

DAY = datetime(2026, 11, 3, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Outlook("day_15", DAY, "Payouts", "PayPal"), "It will be paid on 3 Nov by PayPal."),
        (Outlook("day_15", DAY, "CSV file"), "It will be paid on 3 Nov."),
        (Outlook("immediate", None, "Payouts", "PayPal"), "It will be on its way in a few minutes."),
        (
            Outlook("day_15", DAY, "Payouts", "PayPal", below=Below(Money(1000, "USD"), Money(2500, "USD"))),
            "It will be paid once $25 are due to you: $10 so far.",
        ),
        (Outlook("day_15", DAY), ""),
        (Outlook("day_15", DAY, "Payouts", problem="Not connected."), ""),
        (Outlook("day_15", DAY, "Payouts", by_hand=True), ""),
    ],
)
def test_what_will_be_paid_by_itself_says_when_and_nothing_is_promised_that_may_not_come(
    found: Outlook, said: str
) -> None:
    assert ahead_text(found) == said


@pytest.mark.parametrize(
    ("values", "said", "word"),
    [
        ({"status": "queued"}, "$15 is in line and leaves soon.", "In line"),
        ({"status": "sending"}, "$15 is being sent.", "Being sent"),
        (
            {"status": "unknown"},
            "$15 is being sent. It takes longer than usual; there is nothing you need to do.",
            "Being sent",
        ),
        ({"status": "sent", "paid_at": DAY}, "$15 was sent on 3 Nov 2026 and is on its way to you.", "Sent"),
        ({"status": "paid", "paid_at": DAY}, "$15 was paid on 3 Nov 2026.", "Paid"),
        ({"status": "failed", "paid_at": DAY}, "$15 was sent on 3 Nov 2026 and came back.", "Came back"),
        ({"status": "failed"}, "", "Came back"),
        (
            {"status": "paid", "paid_at": DAY, "amount_minor": 0, "netted_minor": -1500},
            "Nothing was sent on 3 Nov 2026: all of it was set off against a reward that was taken back.",
            "Set off",
        ),
        ({"status": "paid", "paid_at": DAY, "amount_minor": 0}, "It was given on 3 Nov 2026.", "Paid"),
    ],
)
def test_every_state_of_a_payout_is_a_plain_sentence(values: dict[str, object], said: str, word: str) -> None:
    payout = Payout(**{"amount_minor": 1500, "currency": "USD", **values})
    assert (state_text(payout), pill(payout)[1]) == (said, word)


def test_what_was_set_off_is_said_in_words() -> None:
    said = [netted_text(Payout(currency="USD", netted_minor=minor)) for minor in (-500, 0, 700)]
    assert said == [
        "$5 was set off against an earlier reward that was taken back after it had been paid.",
        "",
        "$7 was added, because an earlier reward grew after it had been paid.",
    ]


def test_what_waits_is_singular_however_much_it_is() -> None:
    """Its sentences say "waits" and "wartet"."""
    money = (Money(500, "EUR"), Money(3000, "USD"))
    waits = [Wait("address", DAY, (), 1), Wait("address", DAY, (), 2), Wait("address", DAY, money, 1)]
    assert [waiting_sum(one) for one in waits] == ["A reward", "More than one reward", "€5 + $30"]
    with translation.override("de"):
        assert waiting_sum(waits[1]) == "Mehr als eine Belohnung"


@pytest.mark.parametrize(("name", "long"), [("Halden Coffee", False), ("Halden " * 4, True)])
def test_a_long_name_leaves_room_for_what_stands_beside_it(name: str, long: bool) -> None:
    shown = render_to_string("hosted/_logo.html", {"merchant": Merchant(name=name)})
    assert ("logo--long" in shown) is long


def issue(alice: Cast, *rewards: Reward, at: datetime | None = None, reference: str = "") -> Payout:
    ids = [reward.pk for reward in rewards]
    payouts.issue_by_hand(tenant=alice.tenant, reward_ids=ids, actor=ACTOR, key=f"batch-{ids}")
    payout = Payout.objects.order_by("-pk")[0]
    Payout.objects.filter(pk=payout.pk).update(paid_at=at or payout.paid_at, reference=reference)
    return payout


@pytest.fixture
def paid(alice: Cast) -> list[Payout]:
    """Asha in two campaigns: $15 of 2025, which was taken back afterwards; $30 of 2026 less those; $20 of the other campaign."""
    spring = make_participant(make_campaign(alice.tenant, [fixed_rule(1500)]), first_name="Asha", last_name="Verma")
    autumn = make_participant(make_campaign(alice.tenant, [fixed_rule(2000)], name="Autumn"))

    def earn(owner: Participant, name: str) -> Reward:
        return buy(make_friend(owner, f"{name}@example.net", first_name=name.title())).rewards[0]

    first = earn(spring, "maya")
    one = issue(alice, first, at=datetime(2025, 12, 31, 23, 30, tzinfo=UTC))
    refunds.refund(tenant=alice.tenant, actor=ACTOR, source="manual", external_id="r1", event=first.event)
    two = issue(alice, earn(spring, "ken"), earn(spring, "lea"), at=DAY, reference="TX-4711")
    three = issue(alice, earn(autumn, "noor"), at=DAY)
    return [one, two, three]


def test_receipts_and_statements(alice: Cast, paid: list[Payout], person: Client) -> None:
    one, two, three = paid
    opened(person, one.participant)
    assert "All payments and receipts" in text_of(person.get("/me/"))
    text = text_of(person.get("/me/receipts"))
    assert text.index("$20.00") < text.index("$15.00")
    assert text.count("Receipt $") == 3
    assert "Statement 2026 Statement 2025" in text

    answer = person.get(f"/me/receipts/{two.public_id}")
    assert answer["Cache-Control"] == "private, no-store"
    text = text_of(answer)
    for words in (
        "Paid by Halden Coffee Paid to Asha Verma asha@example.com Date 3 Nov 2026",
        f"Receipt number {two.public_id} Reference TX-4711",
        "For inviting Ken $15.00 For inviting Lea $15.00",
        "$15 was set off against an earlier reward that was taken back after it had been paid. -$15.00 Paid $15.00",
    ):
        assert words in text
    text = text_of(person.get("/me/statements/2026"))
    assert "Paid in this year $35.00" in text
    assert text.index("For inviting Ken") < text.index("For inviting Noor")
    # A year ends where the merchant is.
    assert "Paid in this year $15.00" in text_of(person.get("/me/statements/2025"))
    alice.merchant.time_zone = "Europe/Oslo"
    alice.merchant.save()
    assert person.get("/me/statements/2025").status_code == 404
    assert receipts.years(Participant.objects.get(pk=one.participant_id)) == [2026]

    for path in ("/me/receipts/po_nothing", "/me/statements/2024"):
        assert person.get(path).status_code == 404
    assert person.get("/me/receipts?page=x").status_code == 302
    exported = personal.export(three.participant)["receipts"]
    assert [(row["amount"], row["rewards"], row["set_off"]) for row in exported] == [
        ("$15.00", ["$15.00"], ""),
        ("$15.00", ["$15.00", "$15.00"], "-$15.00"),
        ("$20.00", ["$20.00"], ""),
    ]


def test_nobody_sees_anothers_receipts(alice: Cast, paid: list[Payout], person: Client) -> None:
    for path in ("/me/receipts", f"/me/receipts/{paid[0].public_id}", "/me/statements/2026"):
        assert person.get(path)["Location"] == "/me/"
    other = make_merchant("Other")
    elsewhere = make_participant(make_campaign(type(alice.tenant)(other, False)), "asha@example.com")
    opened(person, elsewhere)
    assert person.get(f"/me/receipts/{paid[0].public_id}").status_code == 404
    assert "Nothing has been paid yet." in text_of(person.get("/me/receipts"))


def test_what_came_back_has_no_receipt_and_says_so(paid: list[Payout], person: Client) -> None:
    three = paid[2]
    Payout.objects.filter(pk=three.pk).update(status="failed")
    Reward.objects.filter(payout=three).update(state="waiting", payout=None, issued_at=None)
    opened(person, three.participant)
    assert person.get(f"/me/receipts/{three.public_id}").status_code == 404
    assert "$20 was sent on 3 Nov 2026 and came back." in text_of(person.get("/me/receipts"))
    assert "It was sent on 3 Nov and came back." in text_of(
        person.get(f"/me/?campaign={three.participant.campaign.public_id}")
    )
