"""The published messages of Razorpay, Cashfree and ScoreApp, read where they lie: each becomes what it promises, or is ignored with why.

They come from the companies' documentation and are not part of this repository; SPECS_DIR names the folder.
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
from integrations import inbox, registry
from integrations.base import Code, Delivery, Ignored
from integrations.models import InboundEvent
from referrals.accounts.tenancy import Tenant
from referrals.lib.money import Money
from rewards.models import Reward
from tests.factories import Cast, fixed_rule, make_campaign, make_participant
from tests.integrations.sending import signals_of
from tests.integrations.speaking import account, connect, send, signed

ROOT = Path(__file__).resolve().parent.parent.parent
SPECS = Path(os.environ.get("SPECS_DIR") or ROOT.parent / "shared" / "specs")
MESSAGES = {
    f"{path.parts[-3]}/{path.stem}" if path.parent.name == "webhooks" else f"{path.parent.name}/{path.stem}": path
    for path in [
        *sorted((SPECS / "razorpay" / "webhooks").glob("*.json")),
        *sorted((SPECS / "cashfree").glob("webhook.*.json")),
        *sorted((SPECS / "scoreapp").glob("webhook.*.json")),
    ]
}
pytestmark = [
    pytest.mark.conformance,
    pytest.mark.skipif(not MESSAGES, reason=f"no published messages in {SPECS}; SPECS_DIR names their folder"),
]
# What a message becomes, by the beginning of its name; everything else is not used.
FACTS = {
    "razorpay/order.paid": "purchase",
    "razorpay/payment.captured": "purchase",
    "razorpay/payment_link.paid": "purchase",
    "razorpay/invoice.paid": "purchase",
    "razorpay/subscription.charged": "purchase",
    "razorpay/subscription.cancelled": "stopped",
    "razorpay/subscription.halted": "stopped",
    "razorpay/subscription.resumed": "resumed",
    "razorpay/refund.processed": "refund",
    "razorpay/payment.dispute.created": "dispute",
    "razorpay/payment.dispute.won": "dispute_won",
    "razorpay/payment.dispute.closed": "dispute_won",
    "cashfree/webhook.PAYMENT_SUCCESS": "purchase",
    "cashfree/webhook.REFUND_STATUS": "refund",
    "cashfree/webhook.SUBSCRIPTION_PAYMENT": "purchase",
}
IGNORED = {
    "razorpay/payment.failed": "payment_failed",
    "razorpay/payment.dispute.lost": "dispute_lost",
    "scoreapp/webhook.QUIZ_STARTED": "no_code",
}


def read(name: str) -> dict[str, Any]:
    """A published message."""
    found: dict[str, Any] = json.loads(MESSAGES[name].read_text())
    return found


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_a_published_message_is_what_its_name_says(name: str) -> None:
    source = registry.get(name.partition("/")[0]).source
    fact = next((fact for begin, fact in FACTS.items() if name.startswith(begin)), "")
    reason = next((code for begin, code in IGNORED.items() if name.startswith(begin)), "type_unused")
    payload = read(name)
    assert source.event_id(payload, Delivery(b"")) == source.event_id(copy.deepcopy(payload), Delivery(b""))
    if fact:
        (signal,) = signals_of(source, payload)
        assert (signal.fact, signal.external_id != "") == (fact, True)
        return
    with pytest.raises(Ignored) as caught:
        signals_of(source, payload)
    assert caught.value.code == reason


def test_every_published_message_has_an_id_of_its_own() -> None:
    razorpay = [name for name in MESSAGES if name.startswith("razorpay/")]
    # The same payment is shown with several means of paying; an id may only come again where the facts are the same.
    ids = {name: registry.get("razorpay").source.event_id(read(name), Delivery(b"")) for name in razorpay}
    by_id: dict[str, list[str]] = {}
    for name, found in ids.items():
        by_id.setdefault(found, []).append(name)
    assert [names for names in by_id.values() if len({name.split(".")[0] for name in names}) > 1] == []


def test_a_published_order_with_a_code_in_its_notes() -> None:
    payload = read("razorpay/order.paid.card")
    assert payload["payload"]["order"]["entity"]["notes"] == []
    payload["payload"]["order"]["entity"]["notes"] = {"referral_code": "ASHA10"}
    (signal,) = signals_of(registry.get("razorpay").source, payload)
    assert (signal.codes, signal.money, signal.email) == (
        (Code("ASHA10"),),
        Money(100, "INR"),
        "gaurav.kumar@example.com",
    )


def test_a_published_refund_of_a_part_tells_all_that_went_back() -> None:
    (signal,) = signals_of(registry.get("razorpay").source, read("razorpay/refund.processed.normal-refunds"))
    assert signal.money == Money(190000, "INR")


def test_cashfree_s_published_payment_and_refund() -> None:
    source = registry.get("cashfree").source
    (paid,) = signals_of(source, read("cashfree/webhook.PAYMENT_SUCCESS_WEBHOOK"))
    assert (paid.external_id, paid.money, paid.email) == ("cf_1234567890", Money(10000, "INR"), "john@example.com")
    (refund,) = signals_of(source, read("cashfree/webhook.REFUND_STATUS_WEBHOOK"))
    assert (refund.external_id, refund.money) == ("cf_refund_11325632", Money(200, "INR"))
    assert refund.references == ("cf_789727431", "order:sampleorder0413")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "place", "outcome", "minor"),
    [
        ("razorpay/order.paid.card", "payload.order.entity.notes", "rewarded", 10),
        ("razorpay/payment.captured.upi", "payload.payment.entity.notes", "rewarded", 10),
        ("razorpay/subscription.charged", "payload.subscription.entity.notes", "rewarded", None),
        ("cashfree/webhook.PAYMENT_SUCCESS_WEBHOOK", "data.order.order_tags", "rewarded", 1000),
        ("scoreapp/webhook.QUIZ_STARTED", "data.utm_term", "joined", None),
    ],
)
def test_a_published_message_with_a_code_becomes_a_reward_through_the_front_door(
    alice: Cast, monkeypatch: pytest.MonkeyPatch, name: str, place: str, outcome: str, minor: int | None
) -> None:
    rule = fixed_rule(trigger="every_event", amount=Percent(Decimal(10)))
    payload, provider = read(name), registry.get(name.partition("/")[0])
    *path, last = place.split(".")
    inner = payload
    for key in path:
        inner = inner[key]
    currency = "USD" if provider.slug == "scoreapp" else "INR"
    asha = make_participant(make_campaign(Tenant(alice.merchant, is_test=True), [rule], currency=currency))
    inner[last] = asha.referral_code if last == "utm_term" else {"referral_code": asha.referral_code}
    known = account(provider)
    connection = connect(provider, asha.tenant, known)
    delivery = signed(provider, json.dumps(payload).encode(), known, monkeypatch)
    assert send(connection, delivery).status_code == 200
    row = InboundEvent.objects.get()
    inbox.process(row.pk)
    row.refresh_from_db()
    assert row.outcome == outcome, row.sentence
    assert Reward.objects.count() == (outcome == "rewarded")
    assert minor is None or Reward.objects.get().amount_minor == minor
