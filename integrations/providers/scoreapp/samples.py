"""ScoreApp's message for "send a test payment", which is a lead: somebody took a quiz through a referrer's link."""

from __future__ import annotations

import json
import uuid

from integrations.base import Account, Delivery, SampleKind, Scene
from referrals.lib.signing import hmac_hex


class Samples:
    """A lead that signed up; ScoreApp knows no payments."""

    kinds: tuple[SampleKind, ...] = ("lead",)

    def delivery(self, scene: Scene, account: Account) -> Delivery:
        """LEAD_SIGNED_UP, with the code where the quiz's address has it."""
        first, _, last = scene.name.partition(" ")
        at = scene.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        lead = {
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"passalong:{scene.series}")),
            "status": "Finished",
            "key": scene.series,
            "first_name": first,
            "last_name": last,
            "email": scene.email,
            "started_at": at,
            "finished_at": at,
            "opt_in": True,
            "opt_in_detail": "Explicit",
            "utm_source": None,
            "utm_campaign": None,
            "utm_medium": None,
            "utm_term": scene.code or None,
            "utm_content": None,
            "ip_address": "192.0.2.1",
            "lead_form_questions": [],
            "quiz_questions": [],
        }
        body = json.dumps({"event_name": "LEAD_SIGNED_UP", "data": lead}, separators=(",", ":")).encode()
        return Delivery(body, {"Scoreapp-Signature": hmac_hex(account.secrets["webhook_secret"].encode(), body)})
