"""The fraud check in both versions: what a call may tell of the customer's browser, and how a score is answered (docs/fraud.md)."""

from __future__ import annotations

from typing import Any

from participants.fraud.traces import Seen, is_outside
from referrals.api.fields import Field, IpField, Text
from referrals.api.operations import Call
from referrals.api.schema import array, record, text, whole
from referrals.lib.requests import client_ip

FRAUD = record(
    {
        "level": text("Low, Medium, High or unknown; null when not evaluated.", None, null=True),
        "score": whole("0 to 100; null when not evaluated.", 0, null=True),
        "reasons": array(
            record(
                {
                    "code": text(
                        "The signal, S01 to S15; null when a check failed or you trust the pair.", "S05", null=True
                    ),
                    "name": text("What it found.", "same_address"),
                    "points": whole("What it adds to the score.", 40),
                    "text": text(
                        "The finding in a sentence, for you and not for the participant.", "Same internet address"
                    ),
                    "evidence": {
                        "type": "object",
                        "additionalProperties": True,
                        "description": "What was looked at, masked.",
                        "examples": [{"network": "203.0.113.0/24"}],
                    },
                }
            ),
            "What the score is made of.",
        ),
    },
    about="Whether this referral looks like fraud, and why.",
)


def seen_fields(*, camel: bool = False) -> dict[str, Field]:
    """The three optional fields, named as the version writes names."""
    about = "for the fraud check"
    fields: dict[str, Field] = {
        "ip": IpField(about=f"The customer's internet address, {about}."),
        "user_agent": Text(
            about=f"The name of the customer's browser, {about}.", limit=1000, blank=True, example="Mozilla/5.0"
        ),
        "device_id": Text(
            about=f"Your id of the customer's browser or device, {about}.", limit=200, blank=True, example="d-5f2c"
        ),
    }
    return {_camel(name): found for name, found in fields.items()} if camel else fields


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


def seen_in(call: Call) -> Seen | None:
    """What the body says; None when it says nothing. A publishable key is used by the browser itself, which is seen and not believed."""
    if call.is_public:
        ip = client_ip(call.request)
        return Seen(ip, call.request.headers.get("User-Agent", "")) if is_outside(ip) else None
    body: dict[str, Any] = call.body
    device = body.get("device_id") or body.get("deviceId") or ""
    found = Seen(
        body.get("ip", "") or "",
        body.get("user_agent") or body.get("userAgent") or "",
        (f"api:{device}",) if device else (),
    )
    return found if found.ip or found.agent or found.devices else None
