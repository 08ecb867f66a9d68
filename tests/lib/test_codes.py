"""Names: their shape, and where their chance comes from."""

from __future__ import annotations

import random
import re
from collections import Counter

from referrals.lib import codes


def test_the_shapes_are_those_of_the_documented_api() -> None:
    assert re.fullmatch(r"[0-9A-Za-z]{10}", codes.campaign_id())
    assert re.fullmatch(r"[2-9A-HJ-NP-Za-km-z]{8}|[0-9A-Za-z]{8}", codes.referral_code())
    assert not set("0O1Il") & set("".join(codes.referral_code() for _ in range(200)))
    assert re.fullmatch(r"rw_[0-9A-Za-z]{22}", codes.public_id("rw"))


def test_every_character_is_equally_likely() -> None:
    """Bytes that do not divide evenly are thrown away: with `% 58` alone the first 24 would come a quarter more often."""
    for alphabet in (codes.BASE62, codes.UNAMBIGUOUS, "ab"):
        text = codes.random_text(60_000, alphabet)
        counts = Counter(text)
        assert (len(text), set(counts)) == (60_000, set(alphabet))
        mean = 60_000 / len(alphabet)
        assert all(abs(count - mean) < 7 * mean**0.5 for count in counts.values())


def test_chance_is_the_system_s_outside_the_demo() -> None:
    assert isinstance(codes._source.get(), random.SystemRandom)
    with codes.repeatable(7):
        first = codes.referral_code()
    with codes.repeatable(7):
        assert codes.referral_code() == first
    assert isinstance(codes._source.get(), random.SystemRandom)
