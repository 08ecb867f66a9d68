"""Payouts through Wise from the page to the ledger: each amount's fate, what comes back weeks later, and messages in any order
(issue 6, parts 2 and 7)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from integrations import inbox, methods, payout_checking
from integrations import payouts as carrier
from integrations.base import Account, Delivery
from integrations.models import InboundEvent, PayoutComparison, PayoutDifference
from integrations.providers.wise.source import LIVE_KEY, SANDBOX_KEY, WiseSource, _key
from integrations.sandbox import wise_key
from integrations.sandbox.sending import stand_in
from integrations.sandbox.state import Rows
from referrals.lib import clock
from referrals.lib.signing import SignatureError
from rewards.models import LedgerEntry, Payout, Reward
from rewards.verify import differences
from tests.factories import Cast
from tests.integrations.issuers.paying import Story
from tests.integrations.sandbox.talking import minor_of

IBAN = {"holder": "Asha Lindqvist", "iban": "DE89370400440532013000"}


@pytest.fixture
def story(alice: Cast) -> Story:
    return Story(alice, "wise")


def ledger() -> list[tuple[str, int]]:
    return list(LedgerEntry.objects.exclude(kind="earn").order_by("pk").values_list("kind", "amount_minor"))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "tries", "asked", "state", "reason", "paid"),
    [
        ("plain", ["sent"], "paid", "issued", "", [(1500, False)]),
        ("slow", ["sent"], "sent", "issued", "", [(6601, False)]),
        ("insufficient_funds", ["failed"], "failed", "attention", "waiting_for_funds", []),
        ("bad_recipient", ["failed"], "failed", "waiting", "waiting_for_recipient", []),
        ("wrong_currency", ["failed"], "failed", "waiting", "waiting_for_recipient", []),
        ("limit_exceeded", ["failed"], "failed", "attention", "provider_rejected", []),
        ("declined", ["sent"], "failed", "attention", "provider_rejected", [(6615, True)]),
        ("key_revoked", ["failed"], "failed", "attention", "provider_rejected", []),
        ("lost_before", ["unknown", "sent"], "paid", "issued", "", [(6620, False)]),
        ("lost_after", ["unknown", "sent"], "paid", "issued", "", [(6621, False)]),
        ("error_before", ["unknown", "sent"], "paid", "issued", "", [(6622, False)]),
        ("error_after", ["unknown", "sent"], "paid", "issued", "", [(6623, False)]),
        ("down", ["unknown", "unknown"], "unknown", "sending", "", []),
        ("busy", ["unknown", "sent"], "paid", "issued", "", [(6625, False)]),
        ("garbage", ["unknown", "sent"], "paid", "issued", "", [(6630, False)]),
        ("other_amount", ["needs_attention"], "needs_attention", "sending", "", []),
    ],
)
def test_each_amount_has_its_fate(
    story: Story, name: str, tries: list[str], asked: str, state: str, reason: str, paid: list[tuple[int, bool]]
) -> None:
    reward = story.due(1500 if name == "plain" else minor_of(name), "bank", IBAN)
    payout = story.issue("wise", reward)
    assert [story.work(payout) for _ in tries] == tries
    assert (story.ask(payout) if asked not in {"unknown", "failed"} or name == "declined" else payout.status) == asked
    assert payout.message or payout.status in {"paid", "sent"}
    reward = Reward.objects.get()
    assert (reward.state, reward.reason) == (state, reason)
    assert story.money() == paid
    assert list(differences()) == []


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["returned", "account_closed"])
def test_what_the_bank_sends_back_later_waits_for_another_address(story: Story, name: str) -> None:
    reward = story.due(minor_of(name), "bank", IBAN)
    payout = story.issue("wise", reward)
    assert (story.work(payout), story.ask(payout)) == ("sent", "paid")
    assert payout.check_at is not None  # it is watched
    now = clock.now()
    with clock.at(now + timedelta(days=3)):
        assert story.ask(payout) == "failed"
        assert payout.message.startswith("The money came back to your Wise account")
        assert story.ask(payout) == "failed"
    assert ledger() == [("pay", -minor_of(name)), ("pay_back", minor_of(name))]
    reward.refresh_from_db()
    assert (reward.state, reward.reason) == ("waiting", "waiting_for_recipient")
    assert story.money() == [(minor_of(name), True)]
    assert list(differences()) == []


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["plain", "webhook_early", "webhook_twice"])
def test_messages_make_us_ask_in_any_order(story: Story, name: str) -> None:
    payout = story.issue("wise", story.due(1500 if name == "plain" else minor_of(name), "bank", IBAN))
    assert story.work(payout) == "sent"
    # Told of all states at once; the last one first, and everything twice.
    outcomes = story.listen()
    assert set(outcomes) == {"payout_told"}
    assert len(outcomes) == 3
    payout.refresh_from_db()
    assert story.ask(payout) == "paid"
    told = InboundEvent.objects.order_by("-pk")[0]
    headers = {"X-Signature-SHA256": wise_key.sign(bytes(told.body), story.connection.secrets["api_token"])}
    WiseSource().verify(Delivery(bytes(told.body), headers), Account(story.connection.secrets, {"stand_in": True}))
    assert ledger() == [("pay", -payout.amount_minor)]
    assert list(differences()) == []


@pytest.mark.django_db
def test_a_message_about_somebody_else_s_transfer_changes_nothing(story: Story, bob: Cast) -> None:
    other = Story(bob, "wise")
    theirs = other.issue("wise", other.due(1500, "bank", IBAN))
    other.work(theirs)
    story.connection.secrets = other.connection.secrets
    story.connection.save()
    stand_in(other.connection).advance()
    before = Payout.objects.get(pk=theirs.pk).check_at
    row = InboundEvent.objects.order_by("pk")[0]
    InboundEvent.objects.filter(pk=row.pk).update(connection=story.connection, merchant=story.cast.merchant)
    assert inbox.process(row.pk) == "ignored"
    row.refresh_from_db()
    assert row.outcome == "payout_unknown"
    assert Payout.objects.get(pk=theirs.pk).check_at == before


@pytest.mark.django_db
def test_who_has_no_address_for_wise_waits_and_is_in_no_batch(story: Story) -> None:
    upi = story.due(1500, "upi", {"vpa": "asha@okbank"})
    option = methods.find(story.side, f"wise:{story.connection.public_id}")
    preview = methods.preview(option, story.side, [upi.pk])
    assert [(row.pk, code) for row, code in preview.refused] == [(upi.pk, "waiting_for_recipient")]
    assert option.method.destination == "wise_email|bank|bank_gb|bank_us"


@pytest.mark.django_db
def test_an_iban_in_euros_can_not_get_dollars(story: Story) -> None:
    dollars = story.due(1500, "bank", IBAN, "USD")
    option = methods.find(story.side, f"wise:{story.connection.public_id}")
    assert [code for _row, code in methods.preview(option, story.side, [dollars.pk]).refused] == [
        "waiting_for_recipient"
    ]


# --- whose message it is ---


def test_wise_s_published_keys_are_keys_and_each_side_has_its_own() -> None:
    assert [_key(pem).key_size for pem in (LIVE_KEY, SANDBOX_KEY)] == [2048, 2048]
    assert LIVE_KEY != SANDBOX_KEY


def test_the_stand_in_s_key_is_believed_where_it_plays_and_nowhere_else() -> None:
    source, secrets, body = WiseSource(), {"api_token": "token"}, b"{}"
    delivery = Delivery(body, {"X-Signature-SHA256": wise_key.sign(body, "token")})
    source.verify(delivery, Account(secrets, {"stand_in": True}))
    plain = Delivery(body, {"X-Signature-SHA256": wise_key.sign(body)})
    for message, account in (
        (delivery, Account(secrets)),
        (delivery, Account(secrets, is_test=True)),
        (plain, Account(secrets)),
        (plain, Account(secrets, {"stand_in": True})),
        (delivery, Account({}, {"stand_in": True})),
        (Delivery(body, {}), Account(secrets)),
        (Delivery(body, {"X-Signature-SHA256": "é"}), Account(secrets)),
    ):
        with pytest.raises(SignatureError):
            source.verify(message, account)


def test_a_genuine_message_is_verified_by_the_key_of_its_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("integrations.providers.wise.source.LIVE_KEY", wise_key.public_pem())
    delivery = Delivery(b"{}", {"X-Signature-SHA256": wise_key.sign(b"{}")})
    WiseSource().verify(delivery, Account({"api_token": "token"}))
    with pytest.raises(SignatureError):
        WiseSource().verify(delivery, Account({"api_token": "token"}, is_test=True))


def test_a_test_notification_is_about_nothing() -> None:
    payload = {"event_type": "transfers#state-change"}
    trial = Delivery(b"{}", {"X-Test-Notification": "true", "X-Delivery-Id": "d-1"})
    assert WiseSource().event_type(payload, trial) == "test of transfers#state-change"
    assert WiseSource().event_id(payload, trial) == "d-1"
    assert WiseSource().event_id(payload, Delivery(b"{}")).startswith("body_44136fa3")


@pytest.mark.django_db
def test_wise_s_books_are_compared_by_its_own_names_for_our_payouts(story: Story) -> None:
    with clock.at(clock.wall() - timedelta(minutes=30)):
        payout = story.issue("wise", story.due(1500, "bank", IBAN))
        assert story.work(payout) == "sent"
    Payout.objects.update(called_at=clock.wall() - timedelta(minutes=30), check_at=None)
    assert payout_checking.compare_all() == 1
    assert Payout.objects.get().check_at is None  # it stands in the list, as it should
    rows = Rows(story.connection)
    name, data = rows.each("transfer")[0]
    rows.put("transfer", name, {**data, "minor": 1400})
    PayoutComparison.objects.update(next_at=clock.wall())
    assert payout_checking.compare_all() == 1
    found = PayoutDifference.objects.values_list("kind", "key", "ours_minor", "theirs_minor")
    assert list(found) == [("amount", payout.key, 1500, 1400)]
    assert PayoutComparison.objects.get().problem == ""


@pytest.mark.django_db
def test_a_batch_leaves_as_one_group_and_each_payout_has_its_own_end(story: Story) -> None:
    minors = (1500, minor_of("bad_recipient"), minor_of("returned"))
    rewards = [
        story.due(minor, "bank", IBAN, email=f"{name}@example.com")
        for minor, name in zip(minors, ("asha", "maya", "tariq"), strict=True)
    ]
    payout = story.issue("wise", *rewards)
    assert story.work(payout) == "sent"
    batch = payout.batch.payouts.order_by("pk")
    assert [row.status for row in batch] == ["sent", "failed", "sent"]
    assert len({row.shipment_id for row in batch}) == 1
    assert len(Rows(story.connection).each("group")) == 1
    Payout.objects.filter(status="sent").update(check_at=clock.wall())
    assert carrier.ask() == 1  # all that are due in one go
    assert [row.status for row in batch.all()] == ["paid", "failed", "paid"]
    now = clock.now()
    with clock.at(now + timedelta(days=3)):
        assert set(story.listen()) == {"payout_told"}
        carrier.ask()
    assert [row.status for row in batch.all()] == ["paid", "failed", "failed"]
    assert story.money() == [(1500, False), (minors[2], True)]
    assert list(differences()) == []
