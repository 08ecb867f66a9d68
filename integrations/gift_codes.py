"""Texts of codes that a payout gives away: the same at every try, so that a company takes them once, and guessed by nobody."""

from __future__ import annotations

import re

from django.conf import settings
from django.utils.crypto import salted_hmac

# Without 0 O 1 I L: people read codes aloud and type them.
ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
_NOT_ALLOWED = re.compile(r"[^A-Z0-9]+")


def texts_of(key: str, length: int) -> list[str]:
    """What a payout's key becomes, by the installation's secret key: the newest first, then those before a change of it.

    At most 24 characters. A try before SECRET_KEY was changed may have made a later one: whoever asks looks for all of them.
    """
    return [_text(key, length, secret) for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]


def _text(key: str, length: int, secret: str) -> str:
    number = int.from_bytes(salted_hmac("passalong.gift_codes", key, secret=secret, algorithm="sha256").digest(), "big")
    found = ""
    for _ in range(length):
        number, place = divmod(number, len(ALPHABET))
        found += ALPHABET[place]
    return found


def with_prefix(prefix: object, text: str) -> str:
    """ "THANKS-7KQ2M9XT4R"; the text alone where no prefix was chosen. Letters and digits of the prefix only."""
    head = _NOT_ALLOWED.sub("", str(prefix or "").upper())[:12]
    return f"{head}-{text}" if head else text
