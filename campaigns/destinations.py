"""Where a referral link leads when it leads to the merchant: the landing page or a deep link, with the code and UTM parameters added."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from django.conf import settings

from campaigns.models import Campaign
from referrals.lib.addresses import Address, app_address, read_address, with_pairs

log = logging.getLogger(__name__)
CODE = "referralCode"


def destination(campaign: Campaign, code: str, *, to: str = "", utm: Mapping[str, str] | None = None) -> str:
    """The address on the merchant's side, ready for a Location header; "" when the link leads to our page.

    `to` is a deep link: a path on the landing page's site, an https address on an allowed host, or an address of an allowed app
    scheme. Anything else falls back to the campaign's own way, and is logged (RELIABILITY section 6, row 23). `utm` are the link's own
    UTM parameters, which go before the campaign's; those that the address itself has go before both.
    """
    pairs = _pairs(campaign, code, utm or {})
    if to:
        found = _deep(campaign, to, pairs)
        if found:
            return found
        log.info("A link of campaign %s asked for a place that it may not lead to.", campaign.public_id)
    if campaign.landing_mode != "redirect":
        return ""
    page = landing_page(campaign.landing_url)
    return with_pairs(page, pairs, instead=(CODE,)).text() if page else ""


def landing_page(url: str) -> Address | None:
    """An address that links may lead to: https, or plain http for a shop on this machine and in the demo."""
    page = read_address(url)
    if page is None or (page.scheme != "https" and not page.is_local and not settings.DEMO):
        return None
    return page


def _deep(campaign: Campaign, to: str, pairs: Mapping[str, str]) -> str:
    page = landing_page(campaign.landing_url)
    if to.startswith("/"):
        # Two slashes, or one turned round, would name another host.
        if page is None or to.startswith(("//", "/\\")):
            return ""
        place = read_address(page.origin + to)
        same = place is not None and place.origin == page.origin
    else:
        place = read_address(to)
        same = place is not None and place.scheme == "https" and _is_allowed(campaign, place, page)
    if place is None:
        return app_address(to, campaign.app_schemes, pairs)
    return with_pairs(place, pairs, instead=(CODE,)).text() if same else ""


def _is_allowed(campaign: Campaign, place: Address, page: Address | None) -> bool:
    if page is not None and place.origin == page.origin:
        return True
    return place.port in {None, 443} and place.host in campaign.allowed_hosts


def _pairs(campaign: Campaign, code: str, utm: Mapping[str, str]) -> dict[str, str]:
    words = {**campaign.utm, **utm}
    return {CODE: code, **{f"utm_{name}": words[name] for name in sorted(words) if words[name]}}
