"""Names: their shape, and where their chance comes from."""

from __future__ import annotations

import random
import re

from referrals.lib import codes


def test_the_shapes_are_those_of_the_documented_api() -> None:
    assert re.fullmatch(r"[0-9A-Za-z]{10}", codes.campaign_id())
    assert re.fullmatch(r"[2-9A-HJ-NP-Za-km-z]{8}|[0-9A-Za-z]{8}", codes.referral_code())
    assert not set("0O1Il") & set("".join(codes.referral_code() for _ in range(200)))
    assert re.fullmatch(r"rw_[0-9A-Za-z]{22}", codes.public_id("rw"))


def test_chance_is_the_system_s_outside_the_demo() -> None:
    assert isinstance(codes._source.get(), random.SystemRandom)
    with codes.repeatable(7):
        first = codes.referral_code()
    with codes.repeatable(7):
        assert codes.referral_code() == first
    assert isinstance(codes._source.get(), random.SystemRandom)
