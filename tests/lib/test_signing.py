"""Signatures: junk is a refusal, never an exception of another kind (RELIABILITY F8)."""

from __future__ import annotations

import time

import pytest
from standardwebhooks import Webhook

from referrals.lib.signing import SignatureError, check_timestamp, equal, sign_standard

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.mark.parametrize("text", ["", "nan", "-1", "1e9", "١٢٣", "9" * 30, "699", "1301"])
def test_a_timestamp_outside_five_minutes_is_refused(text: str) -> None:
    with pytest.raises(SignatureError):
        check_timestamp(text, now=1000)


def test_a_timestamp_within_five_minutes_is_read() -> None:
    assert [check_timestamp(t, now=1000) for t in ("700", "1000", "1300")] == [700, 1000, 1300]


def test_comparing_takes_any_text() -> None:
    assert equal("é", "é")
    assert not equal("é", "e")
    assert not equal("\udcff", b"\xfe")


def test_our_signature_is_the_official_library_s() -> None:
    stamp, body = int(time.time()), b'{"type":"reward.due"}'
    headers = {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(stamp),
        "webhook-signature": sign_standard(SECRET, "evt_1", stamp, body),
    }
    assert Webhook(SECRET).verify(body.decode(), headers) == {"type": "reward.due"}
    with pytest.raises(Exception, match="signature"):
        Webhook(SECRET).verify(body.decode().replace("due", "Due"), headers)
