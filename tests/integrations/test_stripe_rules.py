"""Stripe's messages under rules that count and compare, and money that goes back and forth: the exact rewards, in any order."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

import pytest

from campaigns.terms import Fixed, Percent
from integrations.models import Connection
from participants.models import QualifyingEvent
from referrals.lib.money import Money
from rewards.models import Decision, Reward
from rewards.verify import differences
from tests.factories import Cast, fixed_rule, make_campaign, make_participant
from tests.integrations.sending import connect, deliver, sample

pytestmark = pytest.mark.django_db


@pytest.fixture
def connection(alice: Cast) -> Connection:
    return connect(alice.tenant)


def _invoice(number: int, minor: int) -> dict[str, Any]:
    return sample("invoice.paid.renewal", event_id=f"evt_{number}", id=f"in_{number}", amount_paid=minor)


def test_minimum_spend_and_payment_count_after_a_trial(alice: Cast, connection: Connection) -> None:
    """A trial's invoices of 0 are no payments: they neither count nor are compared. Four real ones follow."""
    second = fixed_rule(700, trigger="nth_event", nth=2)
    rules = [
        fixed_rule(1000, minimum_purchase=Money(2000, "USD")),
        second,
        fixed_rule(trigger="from_nth_event", nth=3, amount=Percent(Decimal(10), Money(200, "USD"))),
        fixed_rule(trigger="every_event", amount=Fixed(Money(50, "USD")), max_purchases_per_friend=3),
    ]
    asha = make_participant(make_campaign(alice.tenant, rules))
    code = asha.referral_code
    assert deliver(connection, sample("checkout.session.completed.trial", client_reference_id=code)).outcome == "joined"
    assert deliver(connection, sample("invoice.paid.trial")).outcome == "nothing_paid"
    assert not QualifyingEvent.objects.exists()
    for number, minor in enumerate([1500, 2400, 1200, 9900], 1):
        assert deliver(connection, _invoice(number, minor)).outcome == "rewarded"
    earned = Reward.objects.order_by("event__external_id", "pk").values_list("event__external_id", "amount_minor")
    assert list(earned) == [
        ("in_1", 50),
        ("in_2", 1000), ("in_2", 700), ("in_2", 50),
        ("in_3", 120), ("in_3", 50),
        ("in_4", 200),
    ]  # fmt: skip
    reasons = Decision.objects.filter(event__external_id="in_1", current=True, rewardable=False).order_by("pk")
    assert list(reasons.values_list("reason", flat=True)) == [
        "below_minimum_purchase", "payment_count_not_reached", "payment_count_not_reached",
    ]  # fmt: skip
    assert list(differences()) == []


DISPUTE = ("charge.dispute.created", "charge.dispute.funds_withdrawn")
WON = ("charge.dispute.funds_reinstated", "charge.dispute.closed.won")


def _pay(connection: Connection, alice: Cast) -> None:
    code = make_participant(make_campaign(alice.tenant)).referral_code
    deliver(connection, sample("checkout.session.completed", client_reference_id=code))


def _state() -> tuple[str, int]:
    assert list(differences()) == []
    return Reward.objects.get().state, QualifyingEvent.objects.get().refunded_minor


@pytest.mark.parametrize("opened", [DISPUTE, DISPUTE[:1], DISPUTE[1:]], ids=["both", "opened", "money taken"])
@pytest.mark.parametrize("ended", [(), WON, WON[:1], WON[1:], ("charge.dispute.closed.lost",)])
def test_a_dispute_is_known_from_any_of_its_messages(
    alice: Cast, connection: Connection, opened: tuple[str, ...], ended: tuple[str, ...]
) -> None:
    _pay(connection, alice)
    at = sample("charge.dispute.created")["created"]
    for number, name in enumerate((*opened, *ended)):
        deliver(connection, sample(name, event_id=f"evt_d{number}", created=at - 60 + (30 if name in ended else 0)))
    won = bool(set(ended) & set(WON))
    assert _state() == ("due" if won else "void", 0)


def test_money_given_back_before_the_bank_s_taking_is_told_of_stays_given_back(
    alice: Cast, connection: Connection
) -> None:
    _pay(connection, alice)
    at = sample("charge.dispute.created")["created"]
    deliver(connection, sample("charge.dispute.funds_reinstated", event_id="evt_w", created=at - 10))
    deliver(connection, sample("charge.dispute.funds_withdrawn", event_id="evt_d", created=at - 20))
    assert _state() == ("due", 0)


@pytest.mark.parametrize("order", list(itertools.permutations(["payment", "refund", "failed"])), ids="-".join)
def test_a_refund_that_failed_counts_again_in_any_order(
    alice: Cast, connection: Connection, order: tuple[str, ...]
) -> None:
    code = make_participant(make_campaign(alice.tenant)).referral_code
    now = sample("charge.refunded")["created"]
    messages = {
        "payment": sample("checkout.session.completed", client_reference_id=code, created=now - 90),
        "refund": sample("charge.refunded", created=now - 60),
        "failed": sample("refund.failed", created=now - 30),
    }
    for name in order:
        deliver(connection, messages[name])
    assert _state() == ("due", 0)
    # The same news under its other name, and then a refund that works.
    again = sample("refund.failed", event_id="evt_again")
    again["type"] = "refund.updated"
    assert deliver(connection, again).outcome == "refund_known"
    assert deliver(connection, sample("charge.refunded", event_id="evt_later")).outcome == "refunded"
    assert _state() == ("void", 6420)


def test_a_refund_on_its_way_is_counted_from_the_charge(alice: Cast, connection: Connection) -> None:
    _pay(connection, alice)
    pending = sample("refund.failed", status="pending")
    pending["type"] = "refund.created"
    assert deliver(connection, pending).outcome == "refund_by_charge"
    assert _state() == ("due", 0)


def test_a_slow_payment_that_fails_never_counts(alice: Cast, connection: Connection) -> None:
    code = make_participant(make_campaign(alice.tenant)).referral_code
    unpaid = sample("checkout.session.completed.unpaid", client_reference_id=code)
    assert deliver(connection, unpaid).outcome == "not_paid_yet"
    failed = sample("checkout.session.async_payment_failed", client_reference_id=code)
    assert deliver(connection, failed).outcome == "payment_failed"
    assert (QualifyingEvent.objects.count(), Reward.objects.count()) == (0, 0)
