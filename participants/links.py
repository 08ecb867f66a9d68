"""The addresses that people share: the documented one and the short one (API.md, `shareLink`, "Other addresses")."""

from __future__ import annotations

from urllib.parse import urlencode

from django.conf import settings

from campaigns.models import Campaign
from participants.models import Participant


def site_of(campaign: Campaign) -> str:
    """Where a campaign's links begin: its own host name if it has one that is proven, else the site's address."""
    host = campaign.link_host
    return f"{'https' if settings.HTTPS else 'http'}://{host}" if host else settings.SITE_URL


def campaign_path(campaign_id: str, code: str = "") -> str:
    """`/campaign?id=<campaign>&referralCode=<code>`; without a code the page where people get their own link."""
    query = {"id": campaign_id, "referralCode": code} if code else {"id": campaign_id}
    return f"/campaign?{urlencode(query)}"


def campaign_link(campaign: Campaign, code: str = "") -> str:
    """The same as a whole address."""
    return f"{site_of(campaign)}{campaign_path(campaign.public_id, code)}"


def script_tag(campaign: Campaign) -> str:
    """What a merchant puts into the head of a page to have the browser script there (API.md, "Browser script")."""
    return f'<script src="{site_of(campaign)}/js/referral.js" data-campaign="{campaign.public_id}" defer></script>'


def widgets_tag(campaign: Campaign) -> str:
    """The tag of the second script, which places widgets (docs/widgets.md); below the first one."""
    return script_tag(campaign).replace("/js/referral.js", "/js/widgets.js")


def share_link(participant: Participant) -> str:
    """The documented address of a participant's link; reads the campaign, so select it along."""
    return campaign_link(participant.campaign, participant.referral_code)


def short_link(participant: Participant) -> str:
    """`<host>/r/<code>`, short enough to read aloud and for a small QR code; reads the campaign, so select it along.

    A chosen code is unique in its campaign only: on the site's own host the campaign's name stands before it.
    """
    campaign, code = participant.campaign, participant.vanity_code
    if not code:
        return f"{site_of(campaign)}/r/{participant.referral_code}"
    if campaign.link_host:
        return f"{site_of(campaign)}/r/{code}"
    return f"{site_of(campaign)}/r/{campaign.link_name or campaign.public_id}/{code}"


def qr_link(participant: Participant, kind: str) -> str:
    """The address of the short link's picture, "svg" or "png"."""
    return f"{short_link(participant)}/qr.{kind}"
