"""Messages for "send a test payment", in the shape that we document for MemberSpace sites."""

from __future__ import annotations

import json
from typing import Any

from integrations.base import Account, Delivery, SampleKind, Scene


class Samples:
    """One made-up member."""

    kinds: tuple[SampleKind, ...] = ("payment", "renewal", "refund", "lead")

    def delivery(self, scene: Scene, account: Account) -> Delivery:
        """The message; the address has the key."""
        body = json.dumps(_message(scene), separators=(",", ":")).encode()
        return Delivery(body, {}, {"key": account.secrets["address_key"]})


def _message(scene: Scene) -> dict[str, Any]:
    payment = f"pay_{scene.series}{scene.payment}"
    money = {"amount": scene.money.plain(), "currency": scene.money.currency}
    message: dict[str, Any] = {
        "event_id": f"{scene.series}{scene.payment}{scene.kind}",
        "created_at": scene.at.isoformat(timespec="seconds"),
        "member": {
            "id": scene.series,
            "email": scene.email,
            "name": scene.name,
            "metadata": {"referral_code": scene.code} if scene.code else None,
        },
    }
    if scene.kind == "lead":
        return {"event": "member.created", **message}
    if scene.kind == "refund":
        return {
            "event": "payment.refunded",
            **message,
            "refund": {"id": f"re_{scene.series}{scene.payment}", "payment_id": payment, **money},
        }
    return {"event": "payment.succeeded", **message, "payment": {"id": payment, **money}}
