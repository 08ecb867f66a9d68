"""What a campaign's pages load: its colours, logo, picture, and the image for shared links. Addresses change with the content."""

from __future__ import annotations

import re
from functools import lru_cache

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import translation
from django.utils.http import quote_etag
from django.views.decorators.http import require_safe

from campaigns.images import CONTENT_TYPES, EXTENSIONS
from campaigns.models import Campaign, CampaignImage
from campaigns.theme import color_hash, stylesheet
from referrals.hosted import og
from referrals.hosted.page import find_campaign

FOREVER = "public, max-age=31536000, immutable"


def _answer(content: bytes | str, content_type: str, *, cache: str = FOREVER) -> HttpResponse:
    response = HttpResponse(content, content_type=content_type)
    response["Cache-Control"] = cache
    response["X-Content-Type-Options"] = "nosniff"
    # Nothing here varies with the reader; a shared cache may keep one copy.
    response["Content-Language"] = settings.LANGUAGE_CODE
    return response


def _campaign(campaign_id: str) -> Campaign:
    campaign = find_campaign(campaign_id)
    if campaign is None:
        raise Http404
    return campaign


@require_safe
def theme(request: HttpRequest, campaign_id: str, digest: str) -> HttpResponse:
    """The campaign's style sheet. `?c=c93a17` shows a colour that the editor has not saved yet."""
    color = _campaign(campaign_id).brand_color
    trial = request.GET.get("c", "")
    if re.fullmatch(r"[0-9a-fA-F]{6}", trial, re.ASCII):
        color = f"#{trial}"
    current = color_hash(color) == digest
    return _answer(stylesheet(color), "text/css; charset=utf-8", cache=FOREVER if current else "public, max-age=60")


@require_safe
def image(request: HttpRequest, campaign_id: str, kind: str, digest: str, ext: str) -> HttpResponse:
    """The logo or picture, as we wrote it; 404 for a former one."""
    row = CampaignImage.objects.filter(campaign__public_id=campaign_id, kind=kind, digest=digest).first()
    if row is None or EXTENSIONS[kind] != ext:
        raise Http404
    return _answer(bytes(row.content), CONTENT_TYPES[kind])


@require_safe
def og_image(request: HttpRequest, campaign_id: str, language: str, digest: str) -> HttpResponse:
    """The image for shared links; a former address leads to the present one."""
    campaign = _campaign(campaign_id)
    if language not in dict(settings.LANGUAGES):
        raise Http404
    with translation.override(language):
        if digest != og.digest(campaign, language):
            return HttpResponseRedirect(og.image_address(campaign, language))
        content = _drawn(campaign.pk, language, digest)
    response = _answer(content, "image/png")
    response["ETag"] = quote_etag(digest)
    return response


@lru_cache(maxsize=32)
def _drawn(campaign_pk: int, language: str, digest: str) -> bytes:
    campaign = Campaign.objects.select_related("merchant").prefetch_related("texts").get(pk=campaign_pk)
    return og.draw(campaign, language)
