"""Stripe's published fixtures, read where they lie: filled in as a payment would be, signed, sent, and worked on to the exact reward.

They come from Stripe's OpenAPI repository and are not part of this one; SPECS_DIR names the folder.
"""

from __future__ import annotations

import copy
import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from campaigns.terms import Percent
from integrations.base import Ignored, PayloadError
from integrations.models import Connection
from integrations.registry import get
from participants.models import Participant, QualifyingEvent, Refund
from referrals.accounts.tenancy import Tenant
from rewards.models import Reward
from rewards.verify import differences
from tests.factories import Cast, fixed_rule, make_campaign, make_friend, make_participant
from tests.integrations.sending import connect, deliver, signals_of

ROOT = Path(__file__).resolve().parent.parent.parent
FILE = Path(os.environ.get("SPECS_DIR") or ROOT.parent / "shared" / "specs") / "stripe" / "fixtures3.trimmed.json"
RESOURCES: dict[str, Any] = json.loads(FILE.read_text())["resources"] if FILE.is_file() else {}
pytestmark = [
    pytest.mark.conformance,
    pytest.mark.django_db,
    pytest.mark.skipif(not RESOURCES, reason=f"no published fixtures at {FILE}; SPECS_DIR names their folder"),
]


def _event(type_: str, resource: str, event_id: str, **changes: Any) -> dict[str, Any]:
    """The published event around a published object, with what a real one would have filled in."""
    event = copy.deepcopy(RESOURCES["event"])
    event.update(id=event_id, type=type_, livemode=False)
    event["data"]["object"] = {**copy.deepcopy(RESOURCES[resource]), **changes}
    return dict(event)


def _paid_session(code: str, **changes: Any) -> dict[str, Any]:
    fields = {
        "payment_status": "paid",
        "amount_total": 10_000,
        "currency": "usd",
        "client_reference_id": code,
    } | changes
    return _event("checkout.session.completed", "checkout.session", "evt_session", **fields)


@pytest.fixture
def connection(alice: Cast) -> Connection:
    return connect(Tenant(alice.merchant, is_test=True))


@pytest.fixture
def asha(connection: Connection) -> Participant:
    rule = fixed_rule(trigger="every_event", amount=Percent(Decimal(10)))
    return make_participant(make_campaign(connection.tenant, [rule]))


def _one_reward(minor: int) -> Reward:
    reward = Reward.objects.get()
    assert (reward.side, reward.state, reward.amount_minor, reward.currency) == ("referrer", "due", minor, "USD")
    assert list(differences()) == []
    return reward


@pytest.mark.parametrize("place", ["client_reference_id", "referral_code", "referralCode", "ref"])
def test_a_published_checkout_session(connection: Connection, asha: Participant, place: str) -> None:
    code = asha.referral_code
    changes = {} if place == "client_reference_id" else {"client_reference_id": None, "metadata": {place: code}}
    row = deliver(connection, _paid_session(code, **changes))
    assert row.outcome == "rewarded"
    event = QualifyingEvent.objects.get()
    assert event.participant.email == RESOURCES["checkout.session"]["customer_details"]["email"]
    _one_reward(1000)


def test_a_published_session_as_it_is_has_not_been_paid(connection: Connection, asha: Participant) -> None:
    row = deliver(connection, _event("checkout.session.completed", "checkout.session", "evt_1"))
    assert (row.state, row.outcome) == ("ignored", "not_paid_yet")


@pytest.mark.parametrize("how", ["e-mail", "new metadata", "own metadata"])
def test_a_published_invoice(connection: Connection, asha: Participant, how: str) -> None:
    make_friend(asha, "jenny@example.net") if how == "e-mail" else None
    changes: dict[str, Any] = {"amount_paid": 1000, "status": "paid", "customer_email": "jenny@example.net"}
    changes["billing_reason"] = "subscription_create"
    if how == "new metadata":
        parent = copy.deepcopy(RESOURCES["invoice"]["parent"])
        parent["type"] = "subscription_details"
        parent["subscription_details"]["metadata"] = {"referral_code": asha.referral_code}
        changes["parent"] = parent
    elif how == "own metadata":
        changes["metadata"] = {"referralCode": asha.referral_code}
    row = deliver(connection, _event("invoice.paid", "invoice", "evt_invoice", **changes))
    assert row.outcome == "rewarded"
    _one_reward(100)


def test_a_published_invoice_of_a_published_session_counts_once(connection: Connection, asha: Participant) -> None:
    invoice = RESOURCES["invoice"]["id"]
    deliver(connection, _paid_session(asha.referral_code, invoice=invoice, amount_total=1000))
    email = RESOURCES["checkout.session"]["customer_details"]["email"]
    paid = {"amount_paid": 1000, "customer_email": email}
    assert deliver(connection, _event("invoice.paid", "invoice", "evt_2", **paid)).outcome == "same_payment"
    _one_reward(100)


@pytest.mark.parametrize("first", ["payment", "refund"])
def test_a_published_charge_is_refunded_before_or_after(connection: Connection, asha: Participant, first: str) -> None:
    intent = RESOURCES["payment_intent"]["id"]
    payment = _paid_session(asha.referral_code, payment_intent=intent, amount_total=100)
    refund = _event(
        "charge.refunded", "charge", "evt_refund", payment_intent=intent, amount_refunded=100, refunded=True
    )
    for event in [payment, refund] if first == "payment" else [refund, payment]:
        assert deliver(connection, event).state == "processed"
    assert QualifyingEvent.objects.get().refunded_minor == 100
    assert not Reward.objects.exclude(state="void").exists()
    assert Refund.objects.get().external_id == f"{RESOURCES['charge']['id']}#1"
    assert list(differences()) == []


def test_a_published_dispute_takes_the_reward_and_winning_it_gives_it_back(
    connection: Connection, asha: Participant
) -> None:
    intent = RESOURCES["payment_intent"]["id"]
    deliver(connection, _paid_session(asha.referral_code, payment_intent=intent))
    dispute = {"payment_intent": intent, "amount": 10_000}
    assert deliver(connection, _event("charge.dispute.created", "dispute", "evt_d", **dispute)).outcome == "disputed"
    assert not Reward.objects.filter(state="due").exists()
    won = _event("charge.dispute.closed", "dispute", "evt_w", **dispute, status="won")
    assert deliver(connection, won).outcome == "dispute_won"
    _one_reward(1000)


@pytest.mark.parametrize("resource", sorted(RESOURCES))
@pytest.mark.parametrize("type_", [name for name, _why in get("stripe").events])
def test_any_published_object_under_any_type_is_answered_with_a_reason(type_: str, resource: str) -> None:
    event = _event(type_, resource, "evt_1")
    try:
        signals = signals_of(get("stripe").source, event)
    except (Ignored, PayloadError):
        return
    assert [signal.external_id != "" for signal in signals] == [True]
