"""Signatures: HMAC comparison that never raises on junk, and Standard Webhooks sign and verify (API.md, "Webhooks out")."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time


class SignatureError(Exception):
    """A signature that is missing, malformed, wrong, too old or from the future. Always answered with 400."""


def equal(a: str | bytes, b: str | bytes) -> bool:
    """Constant-time comparison on bytes; a str with an umlaut is no error (RELIABILITY section 8, "Compare")."""
    left = a.encode("utf-8", "surrogateescape") if isinstance(a, str) else a
    right = b.encode("utf-8", "surrogateescape") if isinstance(b, str) else b
    return hmac.compare_digest(left, right)


def hmac_hex(key: bytes, message: bytes) -> str:
    """HMAC-SHA256 in lower-case hex."""
    return hmac.new(key, message, hashlib.sha256).hexdigest()


def check_timestamp(text: str, *, tolerance: int = 300, now: float | None = None) -> int:
    """Seconds since 1970 within `tolerance` of now in both directions; raises SignatureError (RELIABILITY F8)."""
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise SignatureError("The signature's timestamp is not a whole number of seconds.")
    stamp = int(text)
    skew = (time.time() if now is None else now) - stamp
    if abs(skew) > tolerance:
        direction = "old" if skew > 0 else "far in the future"
        raise SignatureError(f"The signature's timestamp is more than {tolerance} seconds {direction}.")
    return stamp


def sign_standard(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The `webhook-signature` of Standard Webhooks 1.0: `v1,` and base64 of HMAC-SHA256 over id.timestamp.body."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
