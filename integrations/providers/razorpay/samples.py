"""Razorpay's messages for "send a test payment": the envelope and the entities of its published samples."""

from __future__ import annotations

import json
from typing import Any

from integrations.base import Account, Delivery, SampleKind, Scene
from referrals.lib.signing import hmac_hex

Things = dict[str, dict[str, Any]]


class Samples:
    """One made-up customer: a card payment, a subscription that charges again, and what takes money back."""

    kinds: tuple[SampleKind, ...] = ("payment", "renewal", "refund", "dispute", "cancellation")

    def delivery(self, scene: Scene, account: Account) -> Delivery:
        """The event; its id stands in a header only, and there is no time in the signature."""
        event, things = _MAKERS[scene.kind](scene)
        payload = {
            "entity": "event",
            "account_id": "acc_PassalongTest",
            "event": event,
            "contains": list(things),
            "payload": {name: {"entity": thing} for name, thing in things.items()},
            "created_at": _at(scene),
        }
        body = json.dumps(payload, separators=(",", ":")).encode()
        signature = hmac_hex(account.secrets.get("webhook_secret", "").encode(), body)
        name = f"{scene.series}{scene.payment}{scene.kind}"
        return Delivery(body, {"X-Razorpay-Signature": signature, "X-Razorpay-Event-Id": name})


def _at(scene: Scene) -> int:
    return int(scene.at.timestamp())


def _notes(scene: Scene) -> Any:
    """Razorpay writes an empty list where there are none."""
    return {"referral_code": scene.code} if scene.code else []


def _payment(scene: Scene, *, notes: Any = None, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"pay_{scene.series}{scene.payment}",
        "entity": "payment",
        "amount": scene.money.minor,
        "amount_refunded": 0,
        "amount_transferred": 0,
        "bank": None,
        "captured": True,
        "card_id": None,
        "contact": "+919000000000",
        "created_at": _at(scene),
        "currency": scene.money.currency,
        "customer_id": f"cust_{scene.series}",
        "description": None,
        "email": scene.email,
        "error_code": None,
        "error_description": None,
        "fee": None,
        "international": False,
        "invoice_id": None,
        "method": "card",
        "notes": notes if notes is not None else [],
        "order_id": f"order_{scene.series}{scene.payment}",
        "refund_status": None,
        "status": "captured",
        "tax": None,
        "vpa": None,
        "wallet": None,
    } | changes


def _subscription(scene: Scene, status: str) -> dict[str, Any]:
    return {
        "id": f"sub_{scene.series}",
        "entity": "subscription",
        "plan_id": "plan_PassalongTest",
        "customer_id": f"cust_{scene.series}",
        "status": status,
        "type": 2,
        "current_start": _at(scene),
        "current_end": _at(scene) + 30 * 86400,
        "ended_at": _at(scene) if status == "cancelled" else None,
        "quantity": 1,
        "notes": _notes(scene),
        "total_count": 12,
        "paid_count": scene.payment + 1,
        "customer_notify": True,
        "created_at": _at(scene),
    }


def _paid(scene: Scene) -> tuple[str, Things]:
    return "payment.captured", {"payment": _payment(scene, notes=_notes(scene))}


def _charged(scene: Scene) -> tuple[str, Things]:
    return "subscription.charged", {"subscription": _subscription(scene, "active"), "payment": _payment(scene)}


def _refunded(scene: Scene) -> tuple[str, Things]:
    refund = {
        "id": f"rfnd_{scene.series}{scene.payment}",
        "entity": "refund",
        "amount": scene.money.minor,
        "currency": scene.money.currency,
        "payment_id": f"pay_{scene.series}{scene.payment}",
        "notes": [],
        "receipt": None,
        "acquirer_data": {"arn": None},
        "created_at": _at(scene),
        "batch_id": None,
        "status": "processed",
        "speed_processed": "normal",
        "speed_requested": "normal",
    }
    payment = _payment(scene, amount_refunded=scene.money.minor, refund_status="full", status="refunded")
    return "refund.processed", {"refund": refund, "payment": payment}


def _disputed(scene: Scene) -> tuple[str, Things]:
    dispute = {
        "id": f"disp_{scene.series}{scene.payment}",
        "entity": "dispute",
        "payment_id": f"pay_{scene.series}{scene.payment}",
        "amount": scene.money.minor,
        "currency": scene.money.currency,
        "amount_deducted": 0,
        "reason_code": "goods_or_services_not_received_or_partially_received",
        "respond_by": _at(scene) + 7 * 86400,
        "status": "open",
        "phase": "chargeback",
        "created_at": _at(scene),
    }
    return "payment.dispute.created", {"payment": _payment(scene), "dispute": dispute}


def _cancelled(scene: Scene) -> tuple[str, Things]:
    return "subscription.cancelled", {"subscription": _subscription(scene, "cancelled")}


_MAKERS = {
    "payment": _paid,
    "renewal": _charged,
    "refund": _refunded,
    "dispute": _disputed,
    "cancellation": _cancelled,
}
