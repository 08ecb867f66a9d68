"""Looking at a campaign's page before saving: what the editor has typed so far, kept for an hour behind a signed name.

The editor (referrals.web) writes here, the hosted page (referrals.hosted) reads here; neither imports the other. Unsaved texts
may be longer than an address can be, so the address carries only a signed name and the cache carries the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, cast
from urllib.parse import urlencode

from django.core import signing
from django.core.cache import cache

from campaigns.models import Campaign

SALT = "campaign.preview"
LIFE = 3600  # seconds
PreviewSide = Literal["invitee", "referrer"]


@dataclass(frozen=True, slots=True)
class Preview:
    """What to show: the page of a friend ("invitee") or of an advocate ("referrer"), in one language, with unsaved values.

    `texts` has fields of CampaignText and `look` those of the campaign's theme (brand_color, font); what is not in them is
    shown as saved. `join` has the campaign's columns about the join form (campaigns.join_models).
    """

    side: PreviewSide = "invitee"
    language: str = "en"
    texts: Mapping[str, str] = field(default_factory=dict)
    look: Mapping[str, str] = field(default_factory=dict)
    join: Mapping[str, Any] = field(default_factory=dict)


def preview_url(campaign: Campaign, preview: Preview, *, editor: str) -> str:
    """Keep the preview and return the address that shows it: /campaign?id=..&preview=...

    `editor` names who edits (a user's id): each has one preview per campaign, and a newer one replaces it.
    """
    cache.set(_key(campaign.public_id, editor), asdict(preview), LIFE)
    token = signing.dumps([campaign.public_id, editor], salt=SALT)
    return f"/campaign?{urlencode({'id': campaign.public_id, 'preview': token})}"


def read_preview(campaign: Campaign, token: str) -> Preview | None:
    """The preview behind a token made for this campaign within the hour; None for any other token.

    A token whose values have left the cache shows the campaign as it is saved, to a friend.
    """
    try:
        public_id, editor = signing.loads(token, salt=SALT, max_age=LIFE)
    except (signing.BadSignature, ValueError):
        return None
    if public_id != campaign.public_id:
        return None
    kept = cast("dict[str, object] | None", cache.get(_key(public_id, editor)))
    return Preview() if kept is None else Preview(**kept)  # type: ignore[arg-type]  # written by preview_url above


def _key(public_id: str, editor: str) -> str:
    return f"campaign-preview:{public_id}:{editor}"
