"""What every public page of a campaign needs: the campaign by its id, a language, the merchant's look, a person's public name."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlencode

from csp.constants import SELF
from csp.decorators import csp_replace
from django.conf import settings
from django.db.models import TextField
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.translation import get_supported_language_variant
from django.utils.translation import gettext as _
from django.utils.translation.trans_real import parse_accept_lang_header

from campaigns.images import EXTENSIONS
from campaigns.models import Campaign
from campaigns.theme import color_hash, palette
from participants.codes import find_by_code
from participants.models import Participant
from referrals.accounts import clocks
from referrals.hosted.kept import text_languages
from referrals.lib.prepared import Prepared, Slot
from referrals.lib.requests import takes_gzip

R = TypeVar("R", bound=HttpResponseBase)
NAMES = {"en": "English", "de": "Deutsch", "ar": "العربية"}


_CAMPAIGN = Prepared(
    lambda: Campaign.objects.select_related("merchant").filter(public_id=Slot("public_id", TextField()))
)


def find_campaign(public_id: str) -> Campaign | None:
    """The campaign with its merchant; None for an id that nobody has. From here on it is the campaign's time."""
    if not (len(public_id) == 10 and public_id.isascii() and public_id.isalnum()):
        return None
    campaign = next(iter(_CAMPAIGN(public_id=public_id)), None)
    if campaign is not None:
        clocks.enter(campaign.tenant)
    return campaign


def find_referrer(campaign: Campaign, code: str) -> Participant | None:
    """Who owns a code in this campaign; a random one is compared exactly, a chosen one by its looks."""
    if not code:
        return None
    return find_by_code(campaign, code)


def public_name(participant: Participant) -> str:
    """What others may see of a name: "Asha V."; "" when no first name is known."""
    first, last = participant.first_name.strip(), participant.last_name.strip()
    return f"{first} {last[0]}." if first and last else first


def languages_of(campaign: Campaign) -> list[str]:
    """The languages a campaign speaks: its default one first, then those it has texts in."""
    known = dict(settings.LANGUAGES)
    codes = [campaign.default_language, *text_languages(campaign.public_id, campaign.revision)]
    return [code for code in dict.fromkeys(codes) if code in known] or ["en"]


def choose_language(request: HttpRequest, available: list[str]) -> str:
    """?lang= when the campaign has it, else the browser's best match, else the campaign's default."""
    wanted = request.GET.get("lang", "")
    if wanted in available:
        return wanted
    for code, _weight in parse_accept_lang_header(request.headers.get("Accept-Language", "")[:500].lower()):
        if code == "*":
            break
        try:
            found = get_supported_language_variant(code)
        except LookupError:
            continue
        if found in available:
            return found
    return available[0]


def other_languages(request: HttpRequest, available: list[str], chosen: str) -> list[dict[str, str]]:
    """Links to the same page in the other languages."""
    kept = {name: request.GET[name] for name in ("id", "referralCode", "campaign") if name in request.GET}
    return [
        {"code": code, "name": NAMES.get(code, code), "url": f"?{urlencode({**kept, 'lang': code})}"}
        for code in available
        if code != chosen
    ]


def look(campaign: Campaign) -> dict[str, Any]:
    """The context of hosted/base.html: merchant, logo, colours, font, test mode. One query, for the images' names."""
    images = dict(campaign.images.values_list("kind", "digest")) if campaign.pk else {}
    addresses = {
        kind: reverse(
            f"hosted:{kind}", kwargs={"campaign_id": campaign.public_id, "digest": digest, "ext": EXTENSIONS[kind]}
        )
        for kind, digest in images.items()
    }
    colors = palette(campaign.brand_color)
    return {
        "campaign": campaign,
        "merchant": campaign.merchant,
        "is_test": campaign.is_test,
        "logo_url": addresses.get("logo", ""),
        "hero_url": addresses.get("hero", ""),
        "theme_url": reverse(
            "hosted:theme", kwargs={"campaign_id": campaign.public_id, "digest": color_hash(campaign.brand_color)}
        ),
        "theme_color": colors.brand,
        "font_style": "" if campaign.font == "sans" else campaign.font,
        # Public pages show no notices of the merchant's own log-in.
        "messages": [],
    }


def show(request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """A public page from its template."""
    return as_page(render(request, template, context, status=status))


def as_page(response: HttpResponse) -> HttpResponse:
    """Never kept by caches on the way, because opening a page is what is counted."""
    response["Cache-Control"] = "private, no-cache"
    return response


def framed(request: HttpRequest, render: Callable[[], HttpResponse]) -> HttpResponseBase:
    """A page that the site's own editor may show in a frame, kept by nobody."""
    response = csp_replace({"frame-ancestors": [SELF]})(lambda _request: render())(request)
    response["X-Frame-Options"] = "SAMEORIGIN"
    response["Cache-Control"] = "no-store"
    return response


def packed(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """The answer as gzip where the browser takes it and that has not been done. Only for pages without a secret in them (BREACH)."""
    patch_vary_headers(response, ["Accept-Encoding"])
    if "Content-Encoding" not in response and takes_gzip(request.headers.get("Accept-Encoding", "")):
        response.content = gzip.compress(response.content, 6, mtime=0)
        response["Content-Encoding"] = "gzip"
    return response


def message(
    request: HttpRequest,
    campaign: Campaign | None,
    *,
    heading: str,
    text: str,
    icon: str = "info",
    status: int = 200,
    url: str = "",
    label: str = "",
) -> HttpResponse:
    """A page with one message on a card, in the campaign's look if there is one."""
    context = look(campaign) if campaign else {"messages": []}
    context |= {"heading": heading, "text": text, "icon_name": icon, "url": url, "label": label}
    return show(request, "hosted/message.html", context, status=status)


def incomplete(request: HttpRequest) -> HttpResponse:
    """404 for a mailed address that was cut off or changed on its way."""
    return message(
        request,
        None,
        heading=_("This address is not complete"),
        text=_("Open the link in the mail once more, all of it."),
        icon="info",
        status=404,
    )


def by_token(response: R) -> R:
    """For a page whose address holds a token: nobody keeps it, and no other site hears the address."""
    response["Referrer-Policy"] = "same-origin"
    response["Cache-Control"] = "private, no-store"
    return response
