"""Secrets at rest: AES-256-GCM with the row as associated data, so that a ciphertext moved to another row can't be opened.

The key ring comes from SECRETS_KEYS ("id:base64 of 32 bytes", newest first); the id stands in the ciphertext, so old rows stay
readable while `manage.py rotate_secrets` re-seals them (RELIABILITY section 8, INV-24 and INV-25).
"""

from __future__ import annotations

import base64
import json
import os
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


class SealError(Exception):
    """A sealed value that can't be opened: another row's, damaged, or sealed with a key that is no longer in the ring."""


def _ring() -> dict[str, bytes]:
    ring: dict[str, bytes] = {}
    for entry in settings.SECRETS_KEYS:
        name, _, encoded = entry.partition(":")
        try:
            key = base64.b64decode(encoded, validate=True)
        except ValueError as error:
            raise ImproperlyConfigured(f"SECRETS_KEYS: the key {name!r} is not base64.") from error
        if not name or len(key) != 32:
            raise ImproperlyConfigured(f"SECRETS_KEYS: {name!r} must be 'id:' and base64 of 32 bytes.")
        ring[name] = key
    if not ring:
        raise ImproperlyConfigured(
            "SECRETS_KEYS is empty. `make run` makes one; in production set it to 'k1:<base64 of 32 random bytes>'."
        )
    return ring


def seal(value: dict[str, Any], *, bound_to: str) -> str:
    """Encrypt a JSON object with the newest key; `bound_to` names the one row and field that may hold it."""
    ring = _ring()
    name = next(iter(ring))
    nonce = os.urandom(12)
    box = AESGCM(ring[name]).encrypt(nonce, json.dumps(value).encode(), bound_to.encode())
    return f"{name}.{base64.urlsafe_b64encode(nonce + box).decode()}"


def unseal(sealed: str, *, bound_to: str) -> dict[str, Any]:
    """The JSON object behind `sealed`; raises SealError, never gives a part."""
    name, _, encoded = sealed.partition(".")
    key = _ring().get(name)
    if key is None:
        raise SealError(f"sealed with key {name!r}, which is not in SECRETS_KEYS")
    try:
        raw = base64.urlsafe_b64decode(encoded.encode())
        # The decoder skips foreign characters and the unused bits of the last one; only what `seal` wrote itself may open.
        if base64.urlsafe_b64encode(raw).decode() != encoded:
            raise ValueError("not written by seal()")
        opened = AESGCM(key).decrypt(raw[:12], raw[12:], bound_to.encode())
    except (InvalidTag, ValueError) as error:
        raise SealError("the sealed value does not belong to this row or is damaged") from error
    value = json.loads(opened)
    if not isinstance(value, dict):
        raise SealError("the sealed value is not an object")
    return value


def needs_resealing(sealed: str) -> bool:
    """Whether the value was sealed with any key but the newest."""
    return sealed.partition(".")[0] != next(iter(_ring()))
