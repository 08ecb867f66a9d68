"""The published messages of Razorpay, Cashfree and ScoreApp, read where they lie: each becomes what it promises, or is ignored with why.

They come from the companies' documentation and are not part of this repository; SPECS_DIR names the folder.
"""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest

from integrations import registry
from integrations.base import Code, Delivery, Ignored
from referrals.lib.money import Money
from tests.integrations.sending import signals_of

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
