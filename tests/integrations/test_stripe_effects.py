"""From a signed Stripe message to the exact reward, through the real view and the worker's path; or to words that say why not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from campaigns import services as campaigns
from campaigns.models import Campaign
from campaigns.terms import Percent
from integrations.models import Connection, InboundEvent
from participants.models import CustomerReference, Participant, QualifyingEvent, Referral, Refund
from referrals.accounts.tenancy import Tenant
from referrals.lib.money import Money
from rewards.models import LedgerEntry, Reward
from rewards.verify import differences
from tests.factories import ACTOR, Cast, fixed_rule, make_campaign, make_friend, make_participant, percent_rule
from tests.integrations.sending import connect, deliver, rewards_now, sample

pytestmark = pytest.mark.django_db


@pytest.fixture
def connection(alice: Cast) -> Connection:
    return connect(alice.tenant)


@pytest.fixture
def asha(campaign: Campaign) -> Participant:
    return make_participant(campaign)


def _nothing() -> None:
    assert [model.objects.count() for model in (QualifyingEvent, Reward, LedgerEntry)] == [0, 0, 0]


CODE_PLACES: dict[str, Any] = {
    "client_reference_id": lambda code: {"client_reference_id": code},
    "metadata referral_code": lambda code: {"metadata": {"referral_code": code}},
    "metadata referralCode": lambda code: {"metadata": {"referralCode": code}},
    "metadata ref": lambda code: {"metadata": {"ref": code}},
    "after an id of the merchant's own": lambda code: {"client_reference_id": "user-77", "metadata": {"ref": code}},
    "an expanded promotion code": lambda code: {"discounts": [{"promotion_code": {"id": "promo_1", "code": code}}]},
}


@pytest.mark.parametrize("place", CODE_PLACES.values(), ids=CODE_PLACES.keys())
def test_a_checkout_with_a_code_makes_the_payer_a_friend_and_the_reward_due(
    connection: Connection, asha: Participant, place: Any
) -> None:
    row = deliver(connection, sample("checkout.session.completed", **place(asha.referral_code)))
    assert (row.state, row.outcome, row.attempts) == ("processed", "rewarded", 1)
    assert row.sentence == "Payment of $64.20 by maya@example.net in Spring refer-a-friend. Rewards: 1."
    maya = Participant.objects.get(email="maya@example.net")
    assert (maya.first_name, maya.last_name, maya.source) == ("Maya", "Lindqvist", "stripe")
    assert Referral.objects.get(invitee=maya).referrer == asha
    event = QualifyingEvent.objects.get()
    assert (event.source, event.external_id, event.amount) == ("stripe", "cs_test_halden0001", Money(6420, "USD"))
    assert row.event_ref == event.public_id
    assert rewards_now() == [("asha@example.com", "referrer", 1500, "due")]
    assert list(differences()) == []


def test_delivered_again_under_another_event_id_it_still_counts_once(connection: Connection, asha: Participant) -> None:
    deliver(connection, sample("checkout.session.completed", client_reference_id=asha.referral_code))
    again = deliver(connection, sample("checkout.session.completed", event_id="evt_again"))
    assert (again.state, again.outcome) == ("processed", "same_payment")
    assert len(rewards_now()) == 1


def test_processing_a_row_again_changes_nothing(connection: Connection, asha: Participant) -> None:
    row = deliver(connection, sample("checkout.session.completed", client_reference_id=asha.referral_code))
    back = deliver(connection, sample("charge.refunded"))
    before = [(one.pk, one.outcome, one.facts, one.event_ref, 2) for one in (row, back)]
    assert [one[1] for one in before] == ["rewarded", "refunded"]
    InboundEvent.objects.update(state="received", next_attempt_at=timezone.now())
    again = [deliver(connection, sample(name)) for name in ("checkout.session.completed", "charge.refunded")]
    assert [(one.pk, one.outcome, one.facts, one.event_ref, one.attempts) for one in again] == before
    assert (len(rewards_now()), Refund.objects.count()) == (1, 1)


@pytest.mark.parametrize("invoice", ["invoice.paid", "invoice.paid.old"])
@pytest.mark.parametrize("session_first", [True, False], ids=["session first", "invoice first"])
def test_a_subscription_s_checkout_and_its_first_invoice_count_once(
    alice: Cast, connection: Connection, invoice: str, session_first: bool
) -> None:
    asha = make_participant(make_campaign(alice.tenant, [percent_rule("10")]))
    session = sample("checkout.session.completed.subscription", client_reference_id=asha.referral_code)
    messages = [session, sample(invoice)]
    for message in messages if session_first else reversed(messages):
        deliver(connection, message)
    assert rewards_now() == [("asha@example.com", "referrer", 240, "due")]
    assert QualifyingEvent.objects.count() == 1
    renewal = deliver(connection, sample("invoice.paid.renewal"))
    assert renewal.outcome == "rewarded"
    assert [minor for _who, _side, minor, _state in rewards_now()] == [240, 240]


def test_a_checkout_without_its_invoice_s_name_is_known_by_the_subscription(
    connection: Connection, asha: Participant
) -> None:
    code = asha.referral_code
    deliver(connection, sample("checkout.session.completed.subscription", client_reference_id=code, invoice=None))
    assert deliver(connection, sample("invoice.paid")).outcome == "same_payment"
    assert len(rewards_now()) == 1


SHAPES: dict[str, Any] = {
    "new": lambda found: {"parent": {"subscription_details": {"subscription": "sub_Halden0001", "metadata": found}}},
    "old": lambda found: {"subscription_details": {"metadata": found}},
    "older": lambda found: {"lines": {"data": [{"metadata": found}]}},
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_an_invoice_finds_the_code_in_its_subscription(connection: Connection, asha: Participant, shape: Any) -> None:
    row = deliver(connection, sample("invoice.paid", **shape({"ref": asha.referral_code})))
    assert row.outcome == "rewarded"
    assert QualifyingEvent.objects.get().metadata["billing_reason"] == "subscription_create"


def test_a_trial_brings_the_friend_in_and_its_first_payment_the_reward(
    connection: Connection, asha: Participant
) -> None:
    trial = sample("checkout.session.completed.trial", client_reference_id=asha.referral_code)
    row = deliver(connection, trial)
    assert (
        row.sentence == "maya@example.net joined Spring refer-a-friend through asha@example.com. Nothing was paid yet."
    )
    assert CustomerReference.objects.get().customer_id == "cus_Halden0001"
    _nothing()
    assert deliver(connection, sample("invoice.paid.trial")).outcome == "nothing_paid"
    paid = deliver(connection, sample("invoice.paid.renewal", customer_email="other@example.net"))
    assert paid.outcome == "rewarded"
    assert rewards_now() == [("asha@example.com", "referrer", 1500, "due")]


def test_a_known_customer_s_payment_counts_for_the_campaign_they_were_invited_to_since(
    alice: Cast, connection: Connection, campaign: Campaign, asha: Participant
) -> None:
    deliver(connection, sample("checkout.session.completed.subscription", client_reference_id=asha.referral_code))
    maya = Participant.objects.exclude(pk=asha.pk).get()
    campaigns.end(campaign=campaign, actor=ACTOR)
    second = make_campaign(alice.tenant, [percent_rule("10")])
    make_friend(make_participant(second, "bob@example.com"), maya.email)
    assert deliver(connection, sample("invoice.paid.renewal")).outcome == "rewarded"
    assert [who for who, _side, _minor, _state in rewards_now()] == ["asha@example.com", "bob@example.com"]


def test_a_slow_payment_counts_when_it_arrives(connection: Connection, asha: Participant) -> None:
    code = asha.referral_code
    row = deliver(connection, sample("checkout.session.completed.unpaid", client_reference_id=code))
    assert (row.state, row.outcome) == ("ignored", "not_paid_yet")
    _nothing()
    assert Participant.objects.count() == 1
    deliver(connection, sample("checkout.session.async_payment_succeeded", client_reference_id=code))
    assert len(rewards_now()) == 1


def test_a_known_friend_is_found_by_e_mail_however_it_is_written(connection: Connection, asha: Participant) -> None:
    make_friend(asha)
    details = {"email": "MAYA@Example.NET", "name": None}
    assert deliver(connection, sample("checkout.session.completed", customer_details=details)).outcome == "rewarded"


def test_a_payment_counts_in_the_campaign_where_somebody_referred_the_payer(
    alice: Cast, connection: Connection, asha: Participant
) -> None:
    other = make_campaign(alice.tenant, name="Affiliates")
    make_participant(other, "maya@example.net")  # a member there, but nobody referred her
    ended = make_campaign(alice.tenant, name="Last year")
    make_friend(make_participant(ended))
    campaigns.end(campaign=ended, actor=ACTOR)
    make_friend(asha)
    row = deliver(connection, sample("checkout.session.completed"))
    assert row.facts["campaign"] == "Spring refer-a-friend"
    assert len(rewards_now()) == 1


def _message(name: str, **changes: Any) -> dict[str, Any]:
    return {"name": name, **changes}


WHY_NOT = [
    ("nobody", _message("checkout.session.completed"), "No participant with maya@example.net and no referral code."),
    (
        "unknown code",
        _message("checkout.session.completed", client_reference_id="user-77"),
        "No participant with maya@example.net, and no referrer has the code user-77.",
    ),
    (
        "promotion code without key",
        _message("checkout.session.completed.promotion"),
        "No participant with maya@example.net. A promotion code was used, but without the API key we can't read which one.",
    ),
    ("free", _message("checkout.session.completed.trial"), "Nothing was paid: a free order or a trial."),
    ("free invoice", _message("invoice.paid.trial"), "Nothing was paid: a free order or a trial."),
    ("unused type", _message("customer.created"), "Messages of the type customer.created are not used."),
    (
        "test message",
        _message("checkout.session.completed", livemode=False),
        "A test message on a live connection. Connect test mode for it.",
    ),
    (
        "no e-mail",
        _message("checkout.session.completed", customer_details=None, customer=None),
        "It names neither an e-mail address nor a customer we know.",
    ),
    (
        "a currency nobody knows",
        _message("checkout.session.completed", currency="xbt"),
        "The currency XBT is not one we know.",
    ),
]


@pytest.mark.parametrize(("message", "words"), [case[1:] for case in WHY_NOT], ids=[case[0] for case in WHY_NOT])
def test_what_is_ignored_says_why(
    connection: Connection, asha: Participant, message: dict[str, Any], words: str
) -> None:
    changes = dict(message)
    row = deliver(connection, sample(changes.pop("name"), **changes))
    assert (row.state, row.sentence, row.next_attempt_at) == ("ignored", words, None)
    _nothing()
    assert Participant.objects.count() == 1


def test_another_currency_is_ignored_with_both_named_and_nobody_joins(
    connection: Connection, asha: Participant
) -> None:
    row = deliver(
        connection, sample("checkout.session.completed", client_reference_id=asha.referral_code, currency="eur")
    )
    assert row.sentence == "Paid in EUR, but the campaign Spring refer-a-friend counts in USD."
    assert Participant.objects.count() == 1
    _nothing()


def test_a_member_whom_nobody_referred_earns_nobody_anything(connection: Connection, campaign: Campaign) -> None:
    make_participant(campaign, "maya@example.net")
    row = deliver(connection, sample("checkout.session.completed"))
    assert row.sentence == "maya@example.net is in Spring refer-a-friend, but nobody referred them."
    _nothing()


def test_nobody_refers_themselves_with_their_own_code(connection: Connection, campaign: Campaign) -> None:
    maya = make_participant(campaign, "maya@example.net")
    details = {"email": "Maya+shop@example.net", "name": "Maya"}
    message = sample("checkout.session.completed", client_reference_id=maya.referral_code, customer_details=details)
    row = deliver(connection, message)
    assert (row.state, row.outcome, row.facts["code"]) == ("ignored", "refused", "self_referral")
    _nothing()


def test_a_paused_campaign_takes_nobody_new(connection: Connection, asha: Participant, campaign: Campaign) -> None:
    campaigns.pause(campaign=campaign, actor=ACTOR)
    row = deliver(connection, sample("checkout.session.completed", client_reference_id=asha.referral_code))
    assert row.sentence == "The campaign Spring refer-a-friend is paused."
    assert Participant.objects.count() == 1


def test_a_purchase_that_earns_nothing_is_recorded_with_its_reason(alice: Cast, connection: Connection) -> None:
    asha = make_participant(make_campaign(alice.tenant, [fixed_rule(minimum_purchase=Money(10_000, "USD"))]))
    row = deliver(connection, sample("checkout.session.completed", client_reference_id=asha.referral_code))
    assert (row.state, row.outcome) == ("processed", "recorded")
    assert [d.reason for d in QualifyingEvent.objects.get().decisions.all()] == ["below_minimum_purchase"]
    assert rewards_now() == []


def test_codes_and_people_of_another_merchant_do_not_exist(charlie: Cast, asha: Participant) -> None:
    make_friend(asha)
    row = deliver(connect(charlie.tenant), sample("checkout.session.completed", client_reference_id=asha.referral_code))
    assert row.outcome == "no_participant_code"
    _nothing()


def test_the_test_side_is_a_world_of_its_own(alice: Cast, asha: Participant) -> None:
    make_friend(asha)
    connection = connect(Tenant(alice.merchant, is_test=True))
    message = sample("checkout.session.completed", client_reference_id=asha.referral_code)
    assert deliver(connection, message).outcome == "wrong_mode_live"
    testing = sample("checkout.session.completed", livemode=False, event_id="evt_2")
    assert deliver(connection, testing).outcome == "no_participant"
    _nothing()


@pytest.mark.parametrize(
    ("currency", "minor", "earned"),
    [("jpy", 2000, 200), ("kwd", 12_345, 1234), ("isk", 200_000, 200), ("mga", 2000, 20_000), ("eur", 999, 100)],
    ids=["yen has no decimals", "dinar has three", "krona is sent with two", "ariary is sent with none", "euro"],
)
def test_amounts_are_exact_in_every_currency(
    alice: Cast, connection: Connection, currency: str, minor: int, earned: int
) -> None:
    rule = fixed_rule(trigger="every_event", amount=Percent(Decimal(10)))
    asha = make_participant(make_campaign(alice.tenant, [rule], currency=currency.upper()))
    deliver(
        connection,
        sample(
            "checkout.session.completed",
            client_reference_id=asha.referral_code,
            currency=currency,
            amount_total=minor,
        ),
    )
    assert Reward.objects.get().amount == Money(earned, currency.upper())


BAD_AMOUNTS: list[Any] = [None, "6420", 64.2, True, -1, 10**13, {}]


@pytest.mark.parametrize("amount", BAD_AMOUNTS, ids=repr)
def test_an_amount_that_is_none_is_kept_as_unreadable(connection: Connection, asha: Participant, amount: Any) -> None:
    message = sample("checkout.session.completed", client_reference_id=asha.referral_code, amount_total=amount)
    row = deliver(connection, message)
    assert (row.state, row.outcome) == ("failed", "unreadable")
    _nothing()
    connection.refresh_from_db()
    assert connection.failing_since is not None


@pytest.mark.parametrize("path", ["id", "object", "data", "created", "payment_status", "customer_details", "metadata"])
def test_junk_in_any_field_is_never_a_fault_of_ours(connection: Connection, asha: Participant, path: str) -> None:
    rubbish: list[Any] = [None, [], {}, "x", 7, [{}], {"id": []}]
    for number, junk in enumerate(rubbish):
        event = sample("checkout.session.completed", client_reference_id=asha.referral_code, event_id=f"evt_{number}")
        if path in {"data", "created"}:
            event[path] = junk
        else:
            event["data"]["object"][path] = junk
        row = deliver(connection, event)
        assert row.state in {"processed", "ignored", "failed"}, junk
        assert row.attempts == 1


# --- Time ---


def test_a_payment_in_the_second_of_the_launch_is_not_before_it(alice: Cast, connection: Connection) -> None:
    campaign = make_campaign(alice.tenant, since_days=0)
    launched = campaign.status_since
    asha = make_participant(campaign)
    created = int(launched.timestamp())
    message = sample("checkout.session.completed", client_reference_id=asha.referral_code, created=created)
    assert deliver(connection, message).outcome == "rewarded"


@pytest.mark.parametrize("created", [1_234_567_890, 4_102_444_800], ids=["2009", "2100"])
def test_a_time_that_can_t_be_is_replaced_by_that_of_the_receipt(
    connection: Connection, asha: Participant, created: int
) -> None:
    message = sample("checkout.session.completed", client_reference_id=asha.referral_code, created=created)
    row = deliver(connection, message)
    assert row.outcome == "rewarded"
    assert QualifyingEvent.objects.get().occurred_at == row.received_at


def test_a_late_message_is_judged_by_when_it_happened(
    connection: Connection, asha: Participant, campaign: Campaign
) -> None:
    make_friend(asha)
    created = int((timezone.now() - timedelta(hours=2)).timestamp())
    campaigns.pause(campaign=campaign, actor=ACTOR)
    row = deliver(connection, sample("checkout.session.completed", created=created))
    assert row.outcome == "rewarded"
    event = QualifyingEvent.objects.get()
    assert event.occurred_at == datetime.fromtimestamp(created, UTC) + timedelta(microseconds=999_999)


def test_a_payment_by_an_unknown_customer_waits_for_the_message_that_names_them(
    connection: Connection, asha: Participant
) -> None:
    """The code came with the first message, the address with the second: together they make a friend and both payments."""
    nameless = {"customer_email": None, "customer_details": None, "customer": "cus_late"}
    code = asha.referral_code
    first = deliver(connection, sample("checkout.session.completed", client_reference_id=code, **nameless))
    assert (first.state, first.outcome) == ("processed", "waits_for_person")
    assert first.sentence.startswith("Payment of $64.20 by the customer cus_late, whom nobody knows yet.")
    _nothing()
    second = deliver(connection, sample("invoice.paid.renewal", customer="cus_late"))
    assert second.state == "processed"
    assert rewards_now() == [("asha@example.com", "referrer", 1500, "due")]
    assert QualifyingEvent.objects.count() == 2
    assert list(differences()) == []
