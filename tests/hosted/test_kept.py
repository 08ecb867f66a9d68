"""Kept pages put together, plain and compressed, are the page that was rendered."""

from __future__ import annotations

import gzip

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from campaigns.models import Campaign
from participants.models import Participant
from referrals.hosted.kept import TOKEN, Kept


@given(st.binary(max_size=400), st.text(st.characters(codec="ascii"), max_size=200), st.binary(max_size=400))
def test_the_pieces_make_the_page(before: bytes, token: str, after: bytes) -> None:
    before = before.replace(TOKEN.encode(), b"")
    kept = Kept.of(before + TOKEN.encode() + after)
    assert kept.plain(token) == before + token.encode() + after
    assert gzip.decompress(kept.gzipped(token)) == kept.plain(token)


@pytest.mark.django_db
@pytest.mark.parametrize("query", ["", "&referralCode=nobody", "&referralCode={code}"])
def test_a_compressed_page_is_the_plain_one(double: Campaign, asha: Participant, client: Client, query: str) -> None:
    address = f"/campaign?id={double.public_id}{query.format(code=asha.referral_code)}"
    token = 'name="token" value="'
    small = client.get(address, headers={"accept-encoding": "br, gzip;q=0.5"})
    assert (small["Content-Encoding"], "Accept-Encoding" in small["Vary"]) == ("gzip", True)
    for plain in (client.get(address), client.get(address, headers={"accept-encoding": "gzip;q=0"})):
        assert "Content-Encoding" not in plain
        assert "Accept-Encoding" in plain["Vary"]
        opened = gzip.decompress(small.content).decode()
        assert opened.partition(token)[0] == plain.content.decode().partition(token)[0]
    assert len(small.content) < 9_000
