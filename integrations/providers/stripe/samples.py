"""Stripe's messages for "send a test payment": as API 2026-10-28 sends them, signed as an endpoint of Stripe's is."""

from __future__ import annotations

import json
import time
from typing import Any

from integrations.base import Account, Delivery, SampleKind, Scene
from integrations.providers.stripe.source import STRIPE_EXPONENTS
from referrals.lib.money import exponent_of
from referrals.lib.signing import hmac_hex

API_VERSION = "2026-10-28.endive"


class Samples:
    """One made-up customer: a checkout that is paid once, and a subscription of the same customer that renews and ends."""

    kinds: tuple[SampleKind, ...] = ("payment", "renewal", "refund", "dispute", "cancellation")

    def delivery(self, scene: Scene, account: Account) -> Delivery:
        """An event with its object, `livemode` false, and the Stripe-Signature of now."""
        type_, thing = _MAKERS[scene.kind](scene)
        event = {
            "id": f"evt_{scene.series}{scene.payment}{scene.kind}",
            "object": "event",
            "api_version": API_VERSION,
            "created": int(scene.at.timestamp()),
            "data": {"object": thing},
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "type": type_,
        }
        body = json.dumps(event, indent=2).encode()
        stamp = str(int(time.time()))
        signature = hmac_hex(account.secrets.get("webhook_secret", "").encode(), stamp.encode() + b"." + body)
        return Delivery(body, {"Stripe-Signature": f"t={stamp},v1={signature}"})


def _minor(scene: Scene) -> dict[str, Any]:
    """The amount in Stripe's units, which are not everywhere those of ISO 4217."""
    currency = scene.money.currency
    shift = STRIPE_EXPONENTS.get(currency, exponent_of(currency)) - exponent_of(currency)
    minor = scene.money.minor * 10**shift if shift >= 0 else scene.money.minor // 10**-shift
    return {"amount": minor, "currency": currency.lower()}


def _checkout(scene: Scene) -> tuple[str, dict[str, Any]]:
    money = _minor(scene)
    return "checkout.session.completed", {
        "id": f"cs_test_{scene.series}{scene.payment}",
        "object": "checkout.session",
        "amount_subtotal": money["amount"],
        "amount_total": money["amount"],
        "client_reference_id": scene.code or None,
        "created": int(scene.at.timestamp()),
        "currency": money["currency"],
        "customer": f"cus_{scene.series}",
        "customer_details": {"email": scene.email, "name": scene.name, "phone": None, "tax_exempt": "none"},
        "customer_email": None,
        "discounts": [],
        "invoice": None,
        "livemode": False,
        "metadata": {},
        "mode": "payment",
        "payment_intent": f"pi_{scene.series}{scene.payment}",
        "payment_link": None,
        "payment_status": "paid",
        "status": "complete",
        "subscription": None,
    }


def _invoice(scene: Scene) -> tuple[str, dict[str, Any]]:
    money = _minor(scene)
    intent = {"type": "payment_intent", "payment_intent": f"pi_{scene.series}{scene.payment}"}
    return "invoice.paid", {
        "id": f"in_{scene.series}{scene.payment}",
        "object": "invoice",
        "amount_due": money["amount"],
        "amount_paid": money["amount"],
        "amount_remaining": 0,
        "billing_reason": "subscription_cycle",
        "created": int(scene.at.timestamp()),
        "currency": money["currency"],
        "customer": f"cus_{scene.series}",
        "customer_email": scene.email,
        "customer_name": scene.name,
        "discounts": [],
        "livemode": False,
        "metadata": {},
        "parent": {
            "quote_details": None,
            "subscription_details": {
                "metadata": {"referral_code": scene.code} if scene.code else {},
                "subscription": f"sub_{scene.series}",
            },
            "type": "subscription_details",
        },
        "payments": {
            "object": "list",
            "data": [{"id": f"inpay_{scene.series}{scene.payment}", "object": "invoice_payment", "payment": intent}],
            "has_more": False,
        },
        "status": "paid",
        "status_transitions": {"paid_at": int(scene.at.timestamp())},
    }


def _charge(scene: Scene) -> tuple[str, dict[str, Any]]:
    money = _minor(scene)
    return "charge.refunded", {
        "id": f"ch_{scene.series}{scene.payment}",
        "object": "charge",
        **money,
        "amount_captured": money["amount"],
        "amount_refunded": money["amount"],
        "billing_details": {"email": scene.email, "name": scene.name},
        "captured": True,
        "created": int(scene.at.timestamp()),
        "customer": f"cus_{scene.series}",
        "livemode": False,
        "metadata": {},
        "paid": True,
        "payment_intent": f"pi_{scene.series}{scene.payment}",
        "refunded": True,
        "status": "succeeded",
    }


def _dispute(scene: Scene) -> tuple[str, dict[str, Any]]:
    return "charge.dispute.created", {
        "id": f"dp_{scene.series}{scene.payment}",
        "object": "dispute",
        **_minor(scene),
        "charge": f"ch_{scene.series}{scene.payment}",
        "created": int(scene.at.timestamp()),
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": f"pi_{scene.series}{scene.payment}",
        "reason": "fraudulent",
        "status": "needs_response",
    }


def _ended(scene: Scene) -> tuple[str, dict[str, Any]]:
    at = int(scene.at.timestamp())
    return "customer.subscription.deleted", {
        "id": f"sub_{scene.series}",
        "object": "subscription",
        "canceled_at": at,
        "created": at,
        "currency": scene.money.currency.lower(),
        "customer": f"cus_{scene.series}",
        "ended_at": at,
        "livemode": False,
        "metadata": {"referral_code": scene.code} if scene.code else {},
        "status": "canceled",
    }


_MAKERS = {
    "payment": _checkout,
    "renewal": _invoice,
    "refund": _charge,
    "dispute": _dispute,
    "cancellation": _ended,
}
