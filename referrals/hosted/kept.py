"""Campaign pages kept as bytes: a page is rendered once for each campaign revision, language and link, then only its token changes.

Rendering costs ten times what the rest of the answer does (PERFORMANCE.md, section 7). Nothing here is shared between processes and
nothing has to be thrown away by hand: whatever the page shows is in its key, and the campaign's revision counts every edit.

Both halves around the token are kept compressed as well, so that a compressed answer is three pieces put together and nothing is
compressed for a request. The token is no secret and nothing that a visitor sends is on these pages, so length tells nothing (BREACH).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from campaigns.models import Campaign, CampaignText

MOST = 512
# Stands for the form's token while the page is kept; no text of a page can contain it, because templates escape the angle bracket.
TOKEN = "<token>"  # noqa: S105 - a place holder
_GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"  # RFC 1952: deflate, no name, no time


@dataclass(frozen=True, slots=True)
class Kept:
    """A page before and after its token: as bytes, and as pieces of one deflate stream."""

    before: bytes
    after: bytes
    small_before: bytes
    small_after: bytes
    checksum: int

    @classmethod
    def of(cls, page: bytes) -> Kept:
        """The page, cut at TOKEN."""
        before, _mark, after = page.partition(TOKEN.encode())
        first = zlib.compressobj(9, zlib.DEFLATED, -15)
        small = first.compress(before) + first.flush(zlib.Z_FULL_FLUSH)
        rest = zlib.compressobj(9, zlib.DEFLATED, -15)
        return cls(before, after, small, rest.compress(after) + rest.flush(), zlib.crc32(before))

    def plain(self, token: str) -> bytes:
        """The page with this token."""
        return self.before + token.encode() + self.after

    def gzipped(self, token: str) -> bytes:
        """The same as gzip: the token stands between the halves as a stored block (RFC 1951, 3.2.4)."""
        data = token.encode()
        size = len(data)
        block = struct.pack("<BHH", 0, size, size ^ 0xFFFF) + data
        checksum = zlib.crc32(self.after, zlib.crc32(data, self.checksum))
        end = struct.pack("<II", checksum, len(self.before) + size + len(self.after))
        return b"".join((_GZIP_HEAD, self.small_before, block, self.small_after, end))


_pages: dict[tuple[Any, ...], Kept] = {}


def page(campaign: Campaign, about: tuple[Any, ...], render: Callable[[], bytes]) -> Kept:
    """The page; `render` makes it, with TOKEN in the token's place, when it is not kept."""
    merchant = campaign.merchant
    edits = (
        campaign.public_id,
        campaign.revision,
        campaign.version_id,
        campaign.brand_color,
        campaign.font,
        campaign.ends_at,
    )
    key = (*edits, campaign.is_test, merchant.name, merchant.time_zone, about)
    kept = _pages.get(key)
    if kept is None:
        if len(_pages) >= MOST:
            _pages.clear()
        kept = _pages[key] = Kept.of(render())
    return kept


@lru_cache(maxsize=1024)
def text_languages(campaign_id: str, revision: int) -> tuple[str, ...]:
    """The languages in which a campaign (by its public id) has texts at a revision."""
    rows = CampaignText.objects.filter(campaign__public_id=campaign_id).order_by("language")
    return tuple(rows.values_list("language", flat=True))
