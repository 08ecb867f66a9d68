"""Where money is paid: confirmed from a mail, held after a change, taken back by one press, and seen by the fraud check."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from django.core import mail as outbox
from django.db import connection
from django.test import Client
from django.utils import timezone

from campaigns.models import Campaign
from integrations.methods import Option
from participants import destinations
from participants.fraud.gather import facts_of
from participants.models import MailOrder, Participant, PayoutDestination, PortalSession
from referrals.events.models import Event
from referrals.hosted import orders, payout_kinds
from referrals.lib.errors import Refused
from rewards.models import PayoutBatch
from rewards.queueing import Method
from tests.factories import (
    ACTOR,
    buy,
    fixed_rule,
    make_campaign,
    make_cast,
    make_friend,
    make_merchant,
    make_participant,
)
from tests.hosted.test_portal import opened, text_of


def ask(participant: Participant, email: str) -> PayoutDestination:
    return destinations.ask(participant=participant, email=email, actor=ACTOR)


def confirmed(participant: Participant, email: str) -> PayoutDestination:
    done = destinations.confirm(token=destinations.confirm_token(ask(participant, email)), actor=ACTOR)
    assert done is not None
    return done


def paid_to(participant: Participant, hours: float = 0) -> str | None:
    found = destinations.payable_destination(participant, timezone.now() + timedelta(hours=hours))
    return found.address if found else None


def mails() -> list[tuple[str, str]]:
    """(to, path in the mail) of what was sent now."""
    outbox.outbox.clear()
    for pk in MailOrder.objects.filter(sent_at=None).order_by("pk").values_list("pk", flat=True):
        orders.send(pk)
    found = []
    for message in outbox.outbox:
        path = re.search(r"http://localhost:8000(/me/payout/\S+)", str(message.body))
        assert path is not None
        found.append((message.to[0], path[1]))
    return found


@pytest.fixture
def cash(campaign: Campaign) -> Participant:
    """Somebody in a campaign that pays cash."""
    return make_participant(campaign, "asha@example.com")


def test_nothing_is_asked_where_nothing_is_paid_to_an_address(asha: Participant, person: Client) -> None:
    opened(person, asha)
    assert "Payout address" not in text_of(person.get("/me/settings"))  # store credit only
    answer = person.post("/me/payout", {"email": "asha@pay.example"})
    assert answer.status_code == 422
    assert not PayoutDestination.objects.exists()


def test_the_first_address_counts_when_it_is_confirmed_from_its_mail(cash: Participant, person: Client) -> None:
    asha = cash
    opened(person, asha)
    assert person.post("/me/payout", {"email": "asha@pay.example"}).status_code == 303
    assert "a•••@pay.example waits to be confirmed" in text_of(person.get("/me/settings?done=asked"))
    assert paid_to(asha) is None
    [(to, path)] = mails()
    assert to == "asha@pay.example"
    stranger = Client()
    for _ in range(2):  # mail scanners
        assert "Shall payouts go to this address?" in text_of(stranger.get(path))
    assert paid_to(asha) is None
    assert "Payouts go to a•••@pay.example ( PayPal ) from now on." in text_of(stranger.post(path))
    assert paid_to(asha) == "asha@pay.example"
    assert stranger.post(path).status_code == stranger.get(path).status_code == 410
    assert [to for to, _path in mails()] == ["asha@example.com"]
    steps = [event.data for event in Event.objects.filter(type="participant.payout_address").order_by("pk")]
    assert steps == [{"step": "asked"}, {"step": "confirmed"}]
    row = PayoutDestination.objects.get()
    assert "pay.example" not in row.sealed
    assert (row.hint, row.replaces) == ("a•••@pay.example", None)


def test_a_change_is_held_for_72_hours_and_the_former_address_hears_of_it(asha: Participant, person: Client) -> None:
    confirmed(asha, "asha@pay.example")
    mails()
    opened(person, asha)
    confirmed(asha, "thief@pay.example")
    sent = dict(mails())
    assert set(sent) == {"asha@example.com", "asha@pay.example"}
    assert [paid_to(asha, hours) for hours in (0, 71.9, 72.1)] == [None, None, "thief@pay.example"]
    assert "Until then nothing is paid" in text_of(person.get("/me/settings"))

    path = sent["asha@pay.example"]
    assert "They go to a•••@pay.example (PayPal) again." in text_of(person.get(path))
    assert paid_to(asha, 72.1) == "thief@pay.example"
    assert "Payouts go to a•••@pay.example (PayPal) as before." in text_of(person.post(path))
    assert [paid_to(asha, hours) for hours in (0, 100)] == ["asha@pay.example"] * 2
    assert PortalSession.objects.filter(ended_at=None).count() == 0
    assert person.post(path).status_code == 410


def test_taking_back_also_ends_what_was_entered_after_it(asha: Participant) -> None:
    confirmed(asha, "asha@pay.example")
    first = confirmed(asha, "thief@pay.example")
    second = confirmed(asha, "thief2@pay.example")
    ask(asha, "thief3@pay.example")
    assert destinations.take_back(token=destinations.keep_token(first), actor=ACTOR) is not None
    assert paid_to(asha) == "asha@pay.example"
    assert destinations.asked_for(asha) is None
    assert destinations.take_back(token=destinations.keep_token(second), actor=ACTOR) is None
    assert paid_to(asha) == "asha@pay.example"


def test_a_change_can_not_be_taken_back_after_its_72_hours(asha: Participant) -> None:
    confirmed(asha, "asha@pay.example")
    token = destinations.keep_token(confirmed(asha, "new@pay.example"))
    with time_machine.travel(timezone.now() + timedelta(hours=72, minutes=1)):
        assert destinations.take_back(token=token, actor=ACTOR) is None
        assert paid_to(asha) == "new@pay.example"


def test_removing_and_entering_again_is_a_change_too(asha: Participant) -> None:
    confirmed(asha, "asha@pay.example")
    assert destinations.remove(participant=asha, actor=ACTOR) == 1
    assert paid_to(asha, 1000) is None
    confirmed(asha, "thief@pay.example")
    assert [paid_to(asha, hours) for hours in (0, 72.1)] == [None, "thief@pay.example"]


@pytest.mark.parametrize(
    ("email", "code"), [("nobody", "destination_invalid"), ("ASHA@pay.example", "destination_known")]
)
def test_what_can_not_be_entered_changes_nothing(asha: Participant, email: str, code: str) -> None:
    confirmed(asha, "asha@pay.example")
    before = (PayoutDestination.objects.count(), MailOrder.objects.count(), Event.objects.count())
    with pytest.raises(Refused) as caught:
        ask(asha, email)
    assert caught.value.code == code
    assert (PayoutDestination.objects.count(), MailOrder.objects.count(), Event.objects.count()) == before


def test_five_addresses_a_day_and_only_the_last_can_be_confirmed(cash: Participant, person: Client) -> None:
    asha = cash
    tokens = [destinations.confirm_token(ask(asha, f"a{n}@pay.example")) for n in range(5)]
    opened(person, asha)
    answer = person.post("/me/payout", {"email": "a9@pay.example"})
    assert answer.status_code == 429
    assert "You have entered five addresses within a day. Try again tomorrow." in text_of(answer)
    assert [destinations.confirm(token=token, actor=ACTOR) is not None for token in tokens] == [False] * 4 + [True]
    with time_machine.travel(timezone.now() + timedelta(days=2)):
        late = destinations.confirm_token(ask(asha, "late@pay.example"))
    with time_machine.travel(timezone.now() + timedelta(days=5, minutes=1)):
        assert destinations.confirm(token=late, actor=ACTOR) is None


@pytest.mark.parametrize("token", ["x", "a:b:c"])
def test_forged_links_do_nothing(db: None, person: Client, token: str) -> None:
    for path in ("confirm", "keep"):
        assert person.post(f"/me/payout/{path}/{token}").status_code == 410


def test_the_fraud_check_sees_shared_addresses(asha: Participant) -> None:
    friends = [make_friend(asha, f"{name}@example.net") for name in ("maya", "ken", "lea")]
    with time_machine.travel(timezone.now() + timedelta(hours=1)):
        assert (
            facts_of(friends[0].referral, None).same_payout,
            facts_of(friends[0].referral, None).payout_sharers,
        ) == (
            False,
            0,
        )
        confirmed(asha, "a.s.h.a@gmail.com")
        confirmed(friends[0], "asha@gmail.com")
        facts = facts_of(friends[0].referral, None)
        assert (facts.same_payout, facts.payout_sharers) == (True, 2)
        for friend in friends[1:]:
            confirmed(friend, "crowd@pay.example")
        event = buy(friends[1], 5000).event
        facts = facts_of(friends[1].referral, event)
        assert (facts.same_payout, facts.payout_sharers) == (False, 2)


def test_another_merchants_people_share_nothing(asha: Participant, browser_client: Callable[..., Client]) -> None:
    other = make_participant(
        make_campaign(make_cast("z@example.com", make_merchant("Other")).tenant), "asha@example.com"
    )
    mine, theirs = confirmed(asha, "x@pay.example"), confirmed(other, "x@pay.example")
    assert mine.fingerprint != theirs.fingerprint
    assert destinations.sharers_of(mine) == [asha.pk]


def test_where_cash_is_paid_the_settings_ask_for_an_address(cash: Participant, person: Client) -> None:
    text = text_of(opened(person, cash).get("/me/settings"))
    assert "No address yet. Money that you earn waits until there is one." in text
    answer = person.post("/me/payout", {"email": "nobody"})
    assert (answer.status_code, 'value="nobody"' in answer.content.decode()) == (422, True)
    assert person.post("/me/payout", {"wish": "remove"}).status_code == 303
    assert Client().get("/me/settings").status_code == 302


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_presses_at_once_confirm_once() -> None:
    tenant = make_cast("a@example.com", make_merchant()).tenant
    token = destinations.confirm_token(
        ask(make_participant(make_campaign(tenant, [fixed_rule()]), "asha@example.com"), "x@pay.example")
    )
    outcomes: list[bool] = []

    def press() -> None:
        try:
            outcomes.append(destinations.confirm(token=token, actor=ACTOR) is not None)
        finally:
            connection.close()

    threads = [threading.Thread(target=press) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [False, False, True]
    assert MailOrder.objects.filter(kind="payout_changed").count() == 1


# --- other kinds of addresses ---

DE = {"holder": "Asha Verma", "iban": "DE89370400440532013000"}


def kept(participant: Participant, kind: str, **values: str) -> PayoutDestination:
    row = destinations.ask(participant=participant, method=kind, values=values, actor=ACTOR)
    done = destinations.confirm(token=destinations.confirm_token(row), actor=ACTOR)
    assert done is not None
    return done


def test_what_is_no_mailbox_is_confirmed_from_the_persons_own(cash: Participant) -> None:
    row = destinations.ask(participant=cash, method="bank", values=DE, actor=ACTOR)
    assert row.secrets == {**DE, "address": DE["iban"]}
    assert "0532013000" not in f"{row.sealed}{row.hint}{row.fingerprint}"
    [(to, path)] = mails()
    assert to == "asha@example.com"
    assert "to go to DE •••• 3000 (Bank account with an IBAN)" in str(outbox.outbox[0].body)
    assert "Payouts go to DE •••• 3000 ( Bank account with an IBAN ) from now on." in text_of(Client().post(path))
    found = destinations.payable_destination(cash, timezone.now())
    assert found is not None
    assert (found.method, found.address) == ("bank", DE["iban"])


def test_the_last_mailbox_hears_of_every_change(cash: Participant) -> None:
    confirmed(cash, "asha@pay.example")
    mails()
    kept(cash, "bank", **DE)
    assert [to for to, _path in mails()] == ["asha@example.com", "asha@pay.example"]
    kept(cash, "upi", vpa="thief@okbank")
    assert [to for to, _path in mails()] == ["asha@example.com", "asha@pay.example"]


def test_the_same_account_written_otherwise_is_no_change(cash: Participant) -> None:
    kept(cash, "bank", **DE)
    with pytest.raises(Refused, match="go to this address already"):
        destinations.ask(
            participant=cash, method="bank", values={**DE, "iban": "de89 3704 0044 0532 0130 00"}, actor=ACTOR
        )
    row = kept(cash, "bank", **DE | {"holder": "Asha Maria Verma"})
    assert paid_to(cash) == DE["iban"]
    # Within a hold it inherits what is left of it.
    thief = kept(cash, "bank", holder="Some Body", iban="FR1420041010050500013M02606")
    again = kept(cash, "bank", holder="Some Bodyelse", iban="FR1420041010050500013M02606")
    assert again.usable_from == thief.usable_from
    assert paid_to(cash) is None
    assert row.pk < again.pk


def test_an_address_that_did_not_work_can_be_tried_again(cash: Participant) -> None:
    assert destinations.enter_again(participant=cash, actor=ACTOR) is None
    first = kept(cash, "wise_email", holder="Asha Verma", email="asha@pay.example")
    row = destinations.enter_again(participant=cash, actor=ACTOR)
    assert row is not None
    done = destinations.confirm(token=destinations.confirm_token(row), actor=ACTOR)
    assert done is not None
    assert (done.secrets, done.method) == (first.secrets, "wise_email")
    assert done.usable_from == done.confirmed_at


def test_the_page_offers_what_the_merchant_can_pay_to(
    cash: Participant, person: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def way(name: str, kinds: set[str], destination: str, currencies: set[str]) -> Option:
        method = Method(name, frozenset(kinds), currencies=frozenset(currencies), destination=destination)
        return Option(method, name, "")

    ways = [
        way("a", {"cash"}, "bank_us|bank|paypal", set()),
        way("b", {"gift_card"}, "postal", set()),
        way("c", {"cash"}, "upi", {"INR"}),
        way("d", {"cash"}, "", set()),
    ]
    monkeypatch.setattr(payout_kinds, "options", lambda _tenant: ways)
    # By what the campaign gives and in which currency: dollars in cash.
    assert [kind.name for kind in payout_kinds.offered(cash)] == ["paypal", "bank_us"]
    # Who has paid by a file of Wise's is able to do so again.
    ways[0] = way("a", {"cash"}, "bank_us", set())
    PayoutBatch.objects.create(merchant=cash.merchant, key="batch-0001", method="wise_file")
    assert [kind.name for kind in payout_kinds.offered(cash)] == ["wise_email", "bank_us"]
    opened(person, cash)
    html = person.get("/me/settings").content.decode()
    assert 'id="payout-bank_us-routing_number"' in html
    answer = person.post("/me/payout", {"kind": "bank_us", "holder": "Asha Verma", "routing_number": "1"})
    html = answer.content.decode()
    assert answer.status_code == 422
    assert '<details class="owncode" name="payout-kind" open><summary>Bank account in the United States' in html
    assert 'value="Asha Verma"' in html
    assert "Enter 9 digits." in html
    assert person.post("/me/payout", {"kind": "upi", "vpa": "asha@okbank"}).status_code == 422
    assert not PayoutDestination.objects.exists()
