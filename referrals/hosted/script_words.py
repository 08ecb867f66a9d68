"""What tab and pop-up of `/js/widgets.js` say on a merchant's page: they stand in that page, not in a frame (docs/widgets.md)."""

from __future__ import annotations

from typing import Any

from django.utils import timezone, translation
from django.utils.translation import gettext as _

from campaigns.models import Campaign
from campaigns.texts import texts_for
from campaigns.theme import palette
from participants.links import campaign_link
from participants.models import Participant
from referrals.hosted.offer import friend_offer
from referrals.hosted.page import choose_language, find_referrer, languages_of, public_name
from referrals.hosted.script_calls import Call
from referrals.lib import clock


def words(call: Call) -> dict[str, Any]:
    """Texts in the page's language, the campaign's two colours, and for the code of somebody the pop-up for their friend."""
    campaign = call.campaign
    language = choose_language(call.request, languages_of(campaign))
    referrer = find_referrer(campaign, call.request.GET.get("code", "")[:64])
    colors = palette(campaign.brand_color)
    with translation.override(language), timezone.override(campaign.merchant.zone):
        return {
            "open": campaign.closed_reason(clock.now()) is None,
            "language": language,
            "direction": "rtl" if translation.get_language_bidi() else "ltr",
            "brand": colors.brand,
            "onBrand": colors.on_brand,
            "url": campaign_link(campaign, referrer.referral_code if referrer else ""),
            "tab": _("Invite friends"),
            "close": _("Close"),
            "copy": _("Copy"),
            "copied": _("Copied"),
            "popup": _popup(campaign, referrer, language) if referrer else None,
        }


def _popup(campaign: Campaign, referrer: Participant, language: str) -> dict[str, str]:
    name = public_name(referrer)
    offer = friend_offer(campaign, referrer.first_name.strip())
    heading = _("%(name)s thought of you") % {"name": name} if name else _("A friend thought of you")
    return {
        "heading": heading,
        "text": texts_for(campaign, language).reward_header,
        "code": campaign.discount_for(referrer.referral_code),
        "codeText": _("Enter this code when you pay."),
        "codeLabel": _("Your discount code"),
        "button": offer.button,
    }
