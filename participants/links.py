"""The addresses that people share: the documented one and the short one (API.md, `shareLink`, "Other addresses")."""

from __future__ import annotations

from urllib.parse import urlencode

from django.conf import settings

from participants.models import Participant


def campaign_path(campaign_id: str, code: str = "") -> str:
    """`/campaign?id=<campaign>&referralCode=<code>`; without a code the page where people get their own link."""
    query = {"id": campaign_id, "referralCode": code} if code else {"id": campaign_id}
    return f"/campaign?{urlencode(query)}"


def campaign_link(campaign_id: str, code: str = "") -> str:
    """The same as a whole address."""
    return f"{settings.SITE_URL}{campaign_path(campaign_id, code)}"


def share_link(participant: Participant) -> str:
    """The documented address of a participant's link; reads the campaign, so select it along."""
    return campaign_link(participant.campaign.public_id, participant.referral_code)


def short_link(code: str) -> str:
    """`<host>/r/<code>`, short enough to read aloud and for a small QR code."""
    return f"{settings.SITE_URL}/r/{code}"
