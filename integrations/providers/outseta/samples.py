"""Outseta's messages for "send a test payment": an account's payments, and the account itself as a lead."""

from __future__ import annotations

import json
from typing import Any

from integrations.base import Account, Delivery, SampleKind, Scene
from integrations.providers.outseta.source import PAID
from referrals.lib.signing import hmac_hex


class Samples:
    """One made-up account. Outseta tells of no refund."""

    kinds: tuple[SampleKind, ...] = ("payment", "renewal", "lead")

    def delivery(self, scene: Scene, account: Account) -> Delivery:
        """The account, with what happened; the address names the activity."""
        activity = "AccountCreated" if scene.kind == "lead" else PAID
        body = json.dumps(_account(scene, activity), separators=(",", ":")).encode()
        key = bytes.fromhex(account.secrets["signing_key"])
        return Delivery(body, {"X-Hub-Signature-256": f"sha256={hmac_hex(key, body)}"}, {"event": activity})


def _account(scene: Scene, activity: str) -> dict[str, Any]:
    first, _, last = scene.name.partition(" ")
    at = scene.at.replace(tzinfo=None).isoformat(timespec="seconds")
    paid = {"InvoiceUid": f"{scene.series[:7]}{scene.payment}", "Amount": scene.money.plain()}
    return {
        "_objectType": "Account",
        "Uid": scene.series[:8],
        "Name": scene.name,
        "Created": at,
        "Updated": at,
        "ReferralCode": scene.code or None,
        "RewardFulReferralId": None,
        "ToltReferralId": None,
        "PrimaryContact": {
            "_objectType": "Person",
            "Uid": scene.series[4:],
            "Email": scene.email,
            "FirstName": first,
            "LastName": last,
        },
        "CurrentSubscription": {"_objectType": "Subscription", "Uid": scene.series[2:10]},
        "ActivityEventData": paid if activity == PAID else {},
    }
