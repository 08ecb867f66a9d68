"""Cashfree's messages for "send a test payment": an order that is paid, and its refund. Amounts are major units, as numbers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from datetime import timedelta, timezone
from typing import Any

from integrations.base import Account, Delivery, SampleKind, Scene

_INDIA = timezone(timedelta(hours=5, minutes=30))


class Samples:
    """An order and its refund. Cashfree has nothing else that names a customer."""

    kinds: tuple[SampleKind, ...] = ("payment", "refund")

    def delivery(self, scene: Scene, account: Account) -> Delivery:
        """The body, signed together with the time in milliseconds."""
        type_, data = _paid(scene) if scene.kind == "payment" else _refunded(scene)
        body = json.dumps({"data": data, "event_time": _time(scene), "type": type_}, separators=(",", ":")).encode()
        stamp = str(int(time.time() * 1000))
        secret = account.secrets.get("client_secret", "").encode()
        signature = base64.b64encode(hmac.new(secret, stamp.encode() + body, hashlib.sha256).digest()).decode()
        return Delivery(
            body,
            {
                "X-Webhook-Signature": signature,
                "X-Webhook-Timestamp": stamp,
                "X-Webhook-Version": "2025-01-01",
                "X-Webhook-Attempt": "1",
                "X-Idempotency-Key": f"{scene.series}{scene.payment}{scene.kind}",
            },
        )


def _time(scene: Scene) -> str:
    return scene.at.astimezone(_INDIA).isoformat(timespec="seconds")


def _number(scene: Scene, extra: int = 0) -> str:
    """Cashfree's ids of payments are numbers, as texts since its API of 2025."""
    return str(int(scene.series, 36) % 10**9 * 1000 + scene.payment * 10 + extra)


def _amount(scene: Scene) -> float | int:
    return scene.money.json_number()


def _paid(scene: Scene) -> tuple[str, dict[str, Any]]:
    return "PAYMENT_SUCCESS_WEBHOOK", {
        "order": {
            "order_id": f"order_{scene.series}{scene.payment}",
            "order_amount": _amount(scene),
            "order_currency": scene.money.currency,
            "order_tags": {"referral_code": scene.code} if scene.code else None,
        },
        "payment": {
            "cf_payment_id": _number(scene),
            "payment_status": "SUCCESS",
            "payment_amount": _amount(scene),
            "payment_currency": scene.money.currency,
            "payment_message": "Transaction successful",
            "payment_time": _time(scene),
            "bank_reference": _number(scene),
            "payment_method": {"upi": {"upi_id": "test@example"}},
        },
        "customer_details": {
            "customer_id": f"customer_{scene.series}",
            "customer_name": scene.name,
            "customer_email": scene.email,
            "customer_phone": "9000000000",
        },
    }


def _refunded(scene: Scene) -> tuple[str, dict[str, Any]]:
    return "REFUND_STATUS_WEBHOOK", {
        "refund": {
            "cf_refund_id": _number(scene, 1),
            "cf_payment_id": _number(scene),
            "refund_id": f"refund_{scene.series}{scene.payment}",
            "order_id": f"order_{scene.series}{scene.payment}",
            "refund_amount": _amount(scene),
            "refund_currency": scene.money.currency,
            "entity": "refund",
            "refund_type": "MERCHANT_INITIATED",
            "refund_arn": _number(scene),
            "refund_status": "SUCCESS",
            "status_description": "Refund processed successfully",
            "created_at": _time(scene),
            "processed_at": _time(scene),
            "refund_charge": 0,
            "refund_note": "Test",
            "refund_splits": [],
            "metadata": {},
            "refund_mode": "STANDARD",
        }
    }
