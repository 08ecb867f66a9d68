"""Names that nobody can guess: campaign ids, referral codes, public ids, tokens. All from the system's CSPRNG."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# Without 0 O 1 I l: people read referral codes aloud and type them.
UNAMBIGUOUS = "".join(c for c in BASE62 if c not in "0O1Il")
_system = random.SystemRandom()
_source: ContextVar[random.Random] = ContextVar("source", default=_system)


@contextmanager
def repeatable(seed: int) -> Iterator[None]:
    """Within this block names come from `seed`. For the demo's data only, so that its pictures are the same everywhere."""
    token = _source.set(random.Random(seed))  # noqa: S311 - nothing here has to be secret
    try:
        yield
    finally:
        _source.reset(token)


def random_text(length: int, alphabet: str = BASE62) -> str:
    """`length` characters of `alphabet`, each chosen at random by the system's CSPRNG."""
    source = _source.get()
    if source is not _system:
        return "".join(source.choice(alphabet) for _ in range(length))
    # A byte that would favour the first characters is thrown away. Twice as many bytes as needed are nearly always enough.
    size = len(alphabet)
    fair = 256 - 256 % size
    found = ""
    while len(found) < length:
        found += "".join([alphabet[byte % size] for byte in os.urandom(2 * length) if byte < fair])
    return found[:length]


def campaign_id() -> str:
    """10 base62 characters, as the documented API has them (API.md v1)."""
    return random_text(10)


def referral_code() -> str:
    """8 unambiguous base62 characters (API.md v1; ARCHITECTURE.md, lib/codes.py)."""
    return random_text(8, UNAMBIGUOUS)


def public_id(prefix: str) -> str:
    """`prefix_` and 22 base62 characters (131 bits), so that nothing can be enumerated (RELIABILITY section 7)."""
    return f"{prefix}_{random_text(22)}"
