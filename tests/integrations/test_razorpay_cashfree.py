"""Razorpay and Cashfree: what their messages become, with the traps that they set (PROVIDERS.md, sections 0, 1 and 4)."""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from campaigns.terms import Percent
from integrations import inbox, registry
from integrations.base import Account, Code, Delivery, Ignored, Message, PayloadError, Signal
from integrations.models import Connection, InboundEvent
from participants.models import Participant, QualifyingEvent
from referrals.lib.money import Money
from referrals.lib.signing import SignatureError
from rewards.models import Reward
from rewards.verify import differences
from tests.factories import Cast, fixed_rule, make_campaign, make_friend, make_participant
from tests.integrations.sending import signals_of

FIXTURES = Path(__file__).parent.parent / "fixtures"
RAZORPAY, CASHFREE = registry.get("razorpay").source, registry.get("cashfree").source


def fixture(provider: str, name: str) -> dict[str, Any]:
    """One of our samples."""
    found: dict[str, Any] = json.loads((FIXTURES / provider / f"{name}.json").read_text())
    return found


def razorpay(name: str) -> Signal:
    """The one signal of a sample."""
    (signal,) = signals_of(RAZORPAY, fixture("razorpay", name))
    return signal


def cashfree(name: str) -> Signal:
    """The one signal of a sample."""
    (signal,) = signals_of(CASHFREE, fixture("cashfree", name))
    return signal


# --- Razorpay ---


@pytest.mark.parametrize(
    ("name", "codes", "email", "customer", "is_first"),
    [
        ("order.paid", (Code("ASHACODE"),), "maya@example.net", "", None),
        ("payment.captured", (), "maya@example.net", "", None),
        ("payment.captured.notes", (Code("ASHACODE"),), "maya@example.net", "", None),
        ("payment.captured.no_email", (), "", "", None),
        ("payment_link.paid", (Code("ASHACODE"),), "maya@example.net", "", None),
        ("invoice.paid", (), "maya@example.net", "", None),
        ("subscription.charged", (Code("ASHACODE"),), "maya@example.net", "cust_HaldenMaya01", True),
    ],
)
def test_every_word_for_a_payment_is_the_same_payment(
    name: str, codes: tuple[Code, ...], email: str, customer: str, is_first: bool | None
) -> None:
    signal = razorpay(name)
    assert (signal.fact, signal.external_id, signal.money) == ("purchase", "pay_Halden00000001", Money(5000, "USD"))
    assert (signal.codes, signal.email, signal.customer_id, signal.is_first) == (codes, email, customer, is_first)
    assert signal.occurred_at == datetime.fromtimestamp(1790000000, UTC)
    assert signal.references[:2] == ("pay_Halden00000001", "order_Halden000001")


@pytest.mark.parametrize("notes", [[], {}, None, "x", [{"ref": "ASHACODE"}]])
def test_notes_that_are_no_object_hold_no_code(notes: Any) -> None:
    payload = fixture("razorpay", "payment.captured")
    payload["payload"]["payment"]["entity"]["notes"] = notes
    (signal,) = signals_of(RAZORPAY, payload)
    assert signal.codes == ()


def test_a_renewal_is_told_from_the_first_payment() -> None:
    signal = razorpay("subscription.charged.renewal")
    assert (signal.external_id, signal.is_first) == ("pay_Halden00000002", False)
    assert signal.metadata == {"payment": "pay_Halden00000002", "subscription": "sub_Halden0000001"}


def test_the_total_of_a_payment_s_refunds_is_read_and_not_the_single_refund() -> None:
    payload = fixture("razorpay", "refund.processed")
    payload["payload"]["payment"]["entity"]["amount_refunded"] = 4500
    (signal,) = signals_of(RAZORPAY, payload)
    assert (signal.fact, signal.external_id, signal.money, signal.is_part) == (
        "refund",
        "pay_Halden00000001",
        Money(4500, "USD"),
        False,
    )


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("refund.processed.never_captured", "never_captured"),
        ("payment.dispute.lost", "dispute_lost"),
        ("payment.failed", "payment_failed"),
        ("payment.authorized", "type_unused"),
    ],
)
def test_what_changes_nothing_is_ignored_with_the_reason(name: str, code: str) -> None:
    with pytest.raises(Ignored) as caught:
        razorpay(name)
    assert caught.value.code == code


def test_a_dispute_that_took_money_stays_lost_when_it_is_closed() -> None:
    payload = fixture("razorpay", "payment.dispute.closed")
    assert signals_of(RAZORPAY, payload)[0].fact == "dispute_won"
    payload["payload"]["dispute"]["entity"]["amount_deducted"] = 5000
    with pytest.raises(Ignored) as caught:
        signals_of(RAZORPAY, payload)
    assert caught.value.code == "dispute_lost"


def test_the_event_s_id_stands_in_a_header_and_is_made_of_the_facts_where_it_does_not() -> None:
    payload = fixture("razorpay", "payment.captured")
    assert RAZORPAY.event_id(payload, Delivery(b"", {"X-Razorpay-Event-Id": "ev_1"})) == "ev_1"
    first, again = RAZORPAY.event_id(payload, Delivery(b"")), RAZORPAY.event_id(copy.deepcopy(payload), Delivery(b""))
    assert first == again
    assert first.startswith("body_")
    assert RAZORPAY.event_id(fixture("razorpay", "order.paid"), Delivery(b"")) != first


# --- Cashfree ---


def test_a_payment_in_rupees_and_paise_is_exact() -> None:
    signal = cashfree("PAYMENT_SUCCESS_WEBHOOK")
    assert (signal.fact, signal.external_id, signal.money) == ("purchase", "cf_9812345670", Money(5000, "USD"))
    assert (signal.codes, signal.email, signal.customer_id) == ((Code("ASHACODE"),), "maya@example.net", "maya_1")
    assert signal.occurred_at == datetime(2026, 9, 21, 10, 0, 10, tzinfo=UTC)
    assert signal.references == ("cf_9812345670", "order:halden_1001")


@pytest.mark.parametrize(
    ("amount", "minor"), [(170.10, 17010), (0.29, 29), (1.1, 110), (100, 10000), ("49.99", 4999), (1e5, 10_000_000)]
)
def test_no_paisa_is_lost_to_a_binary_number(amount: Any, minor: int) -> None:
    payload = fixture("cashfree", "PAYMENT_SUCCESS_WEBHOOK")
    payload["data"]["payment"] |= {"payment_amount": amount, "payment_currency": "INR"}
    (signal,) = signals_of(CASHFREE, payload)
    assert signal.money == Money(minor, "INR")


@pytest.mark.parametrize("amount", [1.005, -1, True, None, "", "1,000", "NaN", "Infinity", 1e13, [5], {}])
def test_an_amount_that_can_not_be_is_no_payment(amount: Any) -> None:
    payload = fixture("cashfree", "PAYMENT_SUCCESS_WEBHOOK")
    payload["data"]["payment"]["payment_amount"] = amount
    with pytest.raises(PayloadError, match="an amount is missing or malformed"):
        signals_of(CASHFREE, payload)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("REFUND_STATUS_WEBHOOK.pending", "nothing_refunded"),
        ("PAYMENT_FAILED_WEBHOOK", "payment_failed"),
        ("DISPUTE_CLOSED.lost", "dispute_lost"),
    ],
)
def test_what_says_nothing_of_a_payment_is_ignored_with_the_reason(name: str, code: str) -> None:
    with pytest.raises(Ignored) as caught:
        cashfree(name)
    assert caught.value.code == code


def test_a_dispute_s_messages_may_be_called_otherwise() -> None:
    opened = cashfree("DISPUTE_CREATED")
    assert (opened.fact, opened.references) == ("dispute", ("cf_9812345670", "order:halden_1001"))
    assert (cashfree("DISPUTE_CLOSED").fact, cashfree("DISPUTE_CLOSED").external_id) == (
        "dispute_won",
        "cf_dispute_433475258/won",
    )
    payload = {**fixture("cashfree", "DISPUTE_CREATED"), "type": "CHARGEBACK_OPENED"}
    chosen = Account({}, {"dispute_created": "CHARGEBACK_OPENED"})
    (signal,) = CASHFREE.parse(Message(payload, "CHARGEBACK_OPENED", chosen))
    assert signal == opened


def test_the_time_is_signed_without_a_separator_and_has_to_be_near() -> None:
    body, secrets = b'{"amount":170.00}', {"client_secret": "s" * 20}

    def headers(stamp: str, between: bytes = b"") -> dict[str, str]:
        digest = hmac.new(b"s" * 20, stamp.encode() + between + body, hashlib.sha256).digest()
        return {"X-Webhook-Timestamp": stamp, "X-Webhook-Signature": base64.b64encode(digest).decode()}

    now = int(time.time() * 1000)
    CASHFREE.verify(Delivery(body, headers(str(now))), Account(secrets))
    for bad in (
        headers(str(now), b"."),
        headers(str(now - 400_000)),
        headers(str(now + 400_000)),
        headers(str(now // 1000)),
        headers("1" * 40),
    ):
        with pytest.raises(SignatureError):
            CASHFREE.verify(Delivery(body, bad), Account(secrets))


# --- to the reward ---


@pytest.fixture
def asha(alice: Cast) -> Participant:
    rule = fixed_rule(trigger="every_event", amount=Percent(Decimal(10)))
    return make_participant(make_campaign(alice.tenant, [rule]))


@pytest.fixture
def tell(alice: Cast) -> Callable[[str, dict[str, Any]], InboundEvent]:
    """Has a message worked on as if it had come by the provider's own webhook."""
    connections: dict[str, Connection] = {}

    def tell(provider: str, payload: dict[str, Any]) -> InboundEvent:
        if provider not in connections:
            connections[provider] = Connection.objects.create(merchant=alice.merchant, provider=provider)
        source = registry.get(provider).source
        row = InboundEvent.objects.create(
            merchant=alice.merchant,
            connection=connections[provider],
            event_id=f"{source.event_id(payload, Delivery(b''))}-{InboundEvent.objects.count()}",
            type=source.event_type(payload, Delivery(b"")),
            body=json.dumps(payload).encode(),
        )
        inbox.process(row.pk)
        row.refresh_from_db()
        return row

    return tell


def with_code(payload: dict[str, Any], code: str) -> dict[str, Any]:
    """The sample with somebody's real code."""
    found: dict[str, Any] = json.loads(json.dumps(payload).replace("ASHACODE", code))
    return found


Tell = Callable[[str, dict[str, Any]], InboundEvent]


@pytest.mark.parametrize("first", ["order.paid", "payment.captured"])
def test_two_messages_of_one_payment_make_one_reward_in_either_order(asha: Participant, tell: Tell, first: str) -> None:
    names = [first, *({"order.paid", "payment.captured"} - {first})]
    outcomes = [tell("razorpay", with_code(fixture("razorpay", name), asha.referral_code)).outcome for name in names]
    expected = ["rewarded", "same_payment"] if first == "order.paid" else ["no_participant", "rewarded"]
    assert outcomes == expected
    assert Reward.objects.get().amount_minor == 500
    assert list(differences()) == []


def test_a_subscription_earns_until_it_is_cancelled_and_again_when_it_goes_on(asha: Participant, tell: Tell) -> None:
    def said(name: str, after: int, **payment: Any) -> str:
        payload = with_code(fixture("razorpay", name), asha.referral_code)
        payload["created_at"] = start + after
        if "payment" in payload["payload"]:
            payload["payload"]["payment"]["entity"] |= {"created_at": start + after, **payment}
        return tell("razorpay", payload).outcome

    start = int(time.time()) - 60
    assert said("subscription.charged", 0) == "rewarded"
    assert said("subscription.cancelled", 1) == "subscription_stopped"
    assert said("subscription.charged.renewal", 2) == "recorded"
    types = list(QualifyingEvent.objects.exclude(type="join").order_by("pk").values_list("type", flat=True))
    assert types == ["purchase", "subscription_cancelled", "purchase"]
    assert said("subscription.resumed", 3) == "subscription_resumed"
    assert said("subscription.charged.renewal", 4, id="pay_Halden00000003", order_id="order_Halden000003") == "rewarded"
    assert said("subscription.cancelled", 1) == "subscription_stopped"
    assert QualifyingEvent.objects.filter(type="subscription_cancelled").count() == 1


def test_a_cashfree_subscription_s_payments_count_for_whom_it_belongs_to(asha: Participant, tell: Tell) -> None:
    def paid(number: int) -> str:
        payload = fixture("cashfree", "SUBSCRIPTION_PAYMENT_SUCCESS")
        payload["data"] |= {"cf_payment_id": str(number), "subscription_id": "sub_halden_1", "payment_currency": "USD"}
        return tell("cashfree", payload).outcome

    assert paid(981) == "waits_for_person"
    active = with_code(fixture("cashfree", "SUBSCRIPTION_STATUS_CHANGED"), asha.referral_code)
    assert tell("cashfree", active).outcome == "joined"
    assert (Reward.objects.get().amount_minor, Reward.objects.get().event.participant.email) == (
        500,
        "maya@example.net",
    )
    assert [paid(982), paid(982), paid(981)] == ["rewarded", "same_payment", "same_payment"]
    assert tell("cashfree", fixture("cashfree", "SUBSCRIPTION_STATUS_CHANGED.ended")).outcome == "subscription_stopped"
    assert Reward.objects.count() == 2
    assert list(differences()) == []


def test_parts_that_cashfree_tells_one_by_one_add_up(asha: Participant, tell: Tell) -> None:
    friend = make_friend(asha, "maya@example.net")
    assert tell("cashfree", fixture("cashfree", "PAYMENT_SUCCESS_WEBHOOK.no_tags")).outcome == "rewarded"
    refund = fixture("cashfree", "REFUND_STATUS_WEBHOOK")
    refund["data"]["refund"]["cf_payment_id"] = 9812345671
    assert tell("cashfree", refund).outcome == "refunded"
    again = copy.deepcopy(refund)
    again["event_time"] = "2026-09-22T11:00:00+05:30"
    assert tell("cashfree", again).outcome == "refund_known"
    second = copy.deepcopy(again)
    second["data"]["refund"]["cf_refund_id"] = 55512346
    assert tell("cashfree", second).outcome == "refunded"
    assert QualifyingEvent.objects.get(participant=friend, type="purchase").refunded_minor == 4000
    assert Reward.objects.get().amount_minor == 100
    assert list(differences()) == []
