"""Campaign pages kept as bytes: a page is rendered once for each campaign revision, language and link, then only its token changes.

Rendering costs ten times what the rest of the answer does (PERFORMANCE.md, section 7). Nothing here is shared between processes and
nothing has to be thrown away by hand: whatever the page shows is in its key, and the campaign's revision counts every edit.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from campaigns.models import Campaign, CampaignText

MOST = 512
# Stands for the form's token while the page is kept; no text of a page can contain it, because templates escape the angle bracket.
TOKEN = "<token>"  # noqa: S105 - a place holder
_pages: dict[tuple[Any, ...], tuple[bytes, bytes]] = {}


def body(campaign: Campaign, about: tuple[Any, ...], token: str, render: Callable[[], bytes]) -> bytes:
    """The page's bytes with this token; `render` makes them, with TOKEN in the token's place, when they are not kept."""
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
        before, _mark, after = render().partition(TOKEN.encode())
        if len(_pages) >= MOST:
            _pages.clear()
        kept = _pages[key] = (before, after)
    return kept[0] + token.encode() + kept[1]


@lru_cache(maxsize=1024)
def text_languages(campaign_id: str, revision: int) -> tuple[str, ...]:
    """The languages in which a campaign (by its public id) has texts at a revision."""
    rows = CampaignText.objects.filter(campaign__public_id=campaign_id).order_by("language")
    return tuple(rows.values_list("language", flat=True))
