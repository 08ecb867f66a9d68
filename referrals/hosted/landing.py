"""`/campaign?id=..&referralCode=..`: a campaign's page for the invited, and without a code for those who want to invite.

One address for looking and for joining, so that it works without JavaScript. The merchant's editor shows the same page with
`preview=`, in a frame of our own site only.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from campaigns.models import Campaign, Status
from campaigns.preview import Preview, read_preview
from campaigns.texts import Texts, texts_for
from participants.links import campaign_link, short_link, site_of
from participants.models import JoinRequest, Participant
from referrals.accounts import clocks
from referrals.hosted import clicks, consent, hub, kept, qr, tracking
from referrals.hosted.confirm import waiting_address
from referrals.hosted.join import JoinForm, done_token, form_token, join, read_done, seconds_to_wait, see_other
from referrals.hosted.ladder import extras
from referrals.hosted.offer import closed_words, friend_offer, referrer_offer
from referrals.hosted.og import image_address
from referrals.hosted.page import (
    as_page,
    choose_language,
    find_campaign,
    find_referrer,
    framed,
    languages_of,
    look,
    message,
    other_languages,
    packed,
    public_name,
    show,
)
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.requests import takes_gzip

PREVIEWED = frozenset({"asks_terms", "terms_url", "questions"})


# No session and no CSRF cookie: the form's own signed token stands in for them (referrals.hosted.join).
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def campaign_page(request: HttpRequest) -> HttpResponseBase:
    """The page of one campaign; POST joins. 404 names an unknown campaign, an unknown code is said on the page itself."""
    given = request.GET.get("id", "")
    campaign = find_campaign(given)
    if campaign is None:
        return _no_campaign(request, given)
    if preview := read_preview(campaign, request.GET.get("preview", "")):
        return _preview(request, campaign, preview)
    if campaign.status == Status.DRAFT:
        return _no_campaign(request, given)
    language = choose_language(request, languages_of(campaign))
    with translation.override(language), timezone.override(campaign.merchant.zone):
        response = _answer(request, campaign, language)
        response["Content-Language"] = language
    return response


def _answer(request: HttpRequest, campaign: Campaign, language: str) -> HttpResponse:
    given = request.GET.get("referralCode", "").strip()
    referrer = find_referrer(campaign, given) if clicks.is_code(given) else None
    code = referrer.referral_code if referrer else ""
    opening, visit_id = None, tracking.seen_id(request, code)
    if request.method != "POST" and referrer is not None:
        seen = tracking.visitor_of(request, campaign)
        # Coming through /r/ or reloading at once is the same click, which is recorded already.
        again = seen is not None and seen.just_clicked(code, int(clock.now().timestamp()))
        if not again and visit_id is None:
            opening = tracking.record(request, campaign, referrer)
            visit_id = opening.id
    reason = campaign.closed_reason(clock.now())
    if reason is not None:
        response = closed(request, campaign, reason)
    elif referrer is None and (apply_at := hub.application_address(campaign)):
        response = see_other(apply_at)
    elif referrer is not None and request.method != "POST" and (shop := _shop(request, campaign, code)):
        response = tracking.Leave(shop)
    elif request.method == "POST":
        response = _join(request, campaign, language, referrer)
    else:
        unknown = "" if referrer else given[:40]
        asking = (
            consent.question(request, campaign, referrer, visit_id or "")
            if opening is None or not opening.hidden
            else ""
        )
        response = _page(request, campaign, language, referrer, unknown_code=unknown, asking=asking)
    tracking.remember(response, campaign, opening)
    return response


def _shop(request: HttpRequest, campaign: Campaign, code: str) -> str:
    return tracking.shop_address(campaign, code, request.META.get("QUERY_STRING", ""))


def _join(request: HttpRequest, campaign: Campaign, language: str, referrer: Participant | None) -> HttpResponse:
    form = JoinForm(campaign, request.POST, language=language)
    wait = seconds_to_wait(request)
    if wait:
        form.add_error(None, _("Many people joined from this network just now. Try again in a minute."))
        response = _page(request, campaign, language, referrer, form=form, status=429)
        response["Retry-After"] = str(wait)
        return response
    if form.is_valid():
        try:
            done = join(request, campaign, form, referrer.referral_code if referrer else "", language)
        except Refused as refusal:
            form.add_error("email" if refusal.code == "email_invalid" else None, refusal.message)
        else:
            if isinstance(done, JoinRequest):
                return see_other(waiting_address(done))
            token = done_token(done, "invitee" if referrer else "referrer")
            return see_other(f"{reverse('hosted:joined')}?{urlencode({'t': token, 'lang': language})}")
    return _page(request, campaign, language, referrer, form=form, status=422)


def _page(
    request: HttpRequest,
    campaign: Campaign,
    language: str,
    referrer: Participant | None,
    *,
    unknown_code: str = "",
    form: JoinForm | None = None,
    status: int = 200,
    asking: str = "",
) -> HttpResponse:
    """The page itself: of the invited when there is a referrer, else of the inviting. Kept as bytes unless it is somebody's own."""
    first_click = _first_click(request, campaign, referrer)

    def context() -> dict[str, Any]:
        found = _context(request, campaign, language, referrer, texts_for(campaign, language))
        shown = form or JoinForm(campaign, language=language)
        return found | {
            "form": shown,
            "asks": shown.asks,
            "unknown_code": unknown_code,
            "first_click": first_click,
            "asking": asking,
        }

    token = form_token(campaign)
    if form is not None or unknown_code or asking:
        return packed(request, show(request, "hosted/campaign.html", context() | {"token": token}, status=status))

    def render() -> bytes:
        place = mark_safe(kept.TOKEN)  # noqa: S308 - a constant, put there to be replaced
        return render_to_string("hosted/campaign.html", context() | {"token": place}, request).encode()

    shown = (
        (referrer.referral_code, referrer.vanity_code, referrer.first_name, public_name(referrer)) if referrer else ()
    )
    page = kept.page(campaign, (language, shown, first_click), render)
    if not takes_gzip(request.headers.get("Accept-Encoding", "")):
        return packed(request, as_page(HttpResponse(page.plain(token), status=status)))
    response = HttpResponse(page.gzipped(token), status=status)
    response["Content-Encoding"] = "gzip"
    return packed(request, as_page(response))


def _context(
    request: HttpRequest, campaign: Campaign, language: str, referrer: Participant | None, texts: Texts, side: str = ""
) -> dict[str, Any]:
    """What the page shows. `side` says in a preview whose page it is, "invitee" or "referrer"."""
    invited = side == "invitee" or (not side and referrer is not None)
    first_name = referrer.first_name.strip() if referrer else ""
    code = referrer.referral_code if referrer else ""
    return look(campaign) | {
        "invited": invited,
        "referrer_name": public_name(referrer) if referrer else "",
        "first_name": first_name,
        "headline": texts.reward_header if invited else texts.share_header,
        "lede": texts.reward_description if invited else texts.share_description,
        "texts": texts,
        "offer": friend_offer(campaign, first_name) if invited else referrer_offer(campaign),
        "extras": None if invited else extras(campaign),
        "discount": campaign.discount_for(code) if code else "",
        "qr": qr.inline(short_link(referrer) if referrer else campaign_link(campaign)),
        "languages": other_languages(request, languages_of(campaign), language),
        "canonical": campaign_link(campaign),
        "og_image": f"{site_of(campaign)}{image_address(campaign, language)}",
        "og_url": campaign_link(campaign, code),
        "footer_links": _footer(campaign, texts, language),
        "noindex": bool(code) or campaign.is_test,
    }


def _first_click(request: HttpRequest, campaign: Campaign, referrer: Participant | None) -> str:
    """Whose link this browser opened first, when that one counts and is not this one: said aloud, never silently."""
    if referrer is None or campaign.attribution_model != "first_click":
        return ""
    seen = tracking.visitor_of(request, campaign)
    if seen is None or seen.first_code == referrer.referral_code:
        return ""
    first = find_referrer(campaign, seen.first_code)
    return (public_name(first) or _("somebody else")) if first else ""


def _footer(campaign: Campaign, texts: Texts, language: str) -> list[dict[str, str]]:
    links = []
    if campaign.terms_url:
        links.append({"url": campaign.terms_url, "label": _("Offer terms")})
    elif texts.terms:
        query = urlencode({"id": campaign.public_id, "lang": language})
        links.append({"url": f"{reverse('hosted:terms')}?{query}", "label": _("Offer terms")})
    links.append(
        {"url": f"{reverse('hosted:portal')}?{urlencode({'campaign': campaign.public_id})}", "label": _("Your page")}
    )
    return links


def closed(request: HttpRequest, campaign: Campaign, reason: str) -> HttpResponse:
    """Paused, not started, ended: the link still leads to a page, and the page says so."""
    merchant = campaign.merchant.name
    icon, heading, text = closed_words(campaign, reason)
    website = campaign.merchant.website
    own = website if website.startswith(("https://", "http://")) else ""
    label = _("Go to %(merchant)s") % {"merchant": merchant}
    return message(request, campaign, heading=heading, text=text, icon=icon, url=own, label=label)


def _no_campaign(request: HttpRequest, given: str) -> HttpResponse:
    text = (
        _("There is no campaign %(id)s. Check the link, or ask whoever sent it to send it again.") % {"id": given[:40]}
        if given
        else _("The address names no campaign. Check the link, or ask whoever sent it to send it again.")
    )
    return message(request, None, heading=_("This page does not exist"), text=text, icon="unlink", status=404)


def _preview(request: HttpRequest, campaign: Campaign, preview: Preview) -> HttpResponseBase:
    """The page as the editor has it so far, framed by our own site only; nothing is recorded and nobody joins."""
    language = preview.language if preview.language in dict(settings.LANGUAGES) else campaign.default_language
    # While it is being typed, a colour may not be one yet.
    if re.fullmatch(r"#[0-9a-fA-F]{6}", preview.look.get("brand_color", ""), re.ASCII):
        campaign.brand_color = preview.look["brand_color"]
    if preview.look.get("font", "") in dict(Campaign.FONTS):
        campaign.font = preview.look["font"]
    for name, value in preview.join.items():
        if name in PREVIEWED:
            setattr(campaign, name, value)

    def render() -> HttpResponse:
        with translation.override(language), timezone.override(campaign.merchant.zone):
            texts = _previewed(texts_for(campaign, language), preview)
            referrer = Participant(first_name="Asha", last_name="Verma", referral_code="Preview1", campaign=campaign)
            someone = referrer if preview.side == "invitee" else None
            context = _context(request, campaign, language, someone, texts, preview.side)
            form = JoinForm(campaign, language=language)
            context |= {
                "form": form,
                "asks": form.asks,
                "theme_url": f"{context['theme_url']}?c={campaign.brand_color[1:]}",
            }
            response = show(request, "hosted/campaign.html", context)
            response["Content-Language"] = language
        return response

    return framed(request, render)


def _previewed(texts: Texts, preview: Preview) -> Texts:
    own = {name: value for name, value in preview.texts.items() if name in Texts.__slots__ and value.strip()}
    return replace(texts, **own)


@require_safe
def joined(request: HttpRequest) -> HttpResponse:
    """After joining: thank you, the own link, what comes and when. Without a valid token, a way back to one's page."""
    found = read_done(request.GET.get("t", ""))
    if found is None:
        return message(
            request,
            None,
            heading=_("This page has expired"),
            text=_("You have joined. Ask for a link to your own page to see your referral link again."),
            icon="hourglass",
            status=410,
            url=reverse("hosted:portal"),
            label=_("Go to your page"),
        )
    participant, side = found
    campaign = participant.campaign
    clocks.enter(campaign.tenant)
    language = choose_language(request, languages_of(campaign))
    with translation.override(language), timezone.override(campaign.merchant.zone):
        texts = texts_for(campaign, language)
        offer = friend_offer(campaign, "") if side == "invitee" else referrer_offer(campaign)
        context = look(campaign) | {
            "texts": texts,
            "invited": side == "invitee",
            "offer": offer,
            "extras": extras(campaign),
            "link": short_link(participant),
            "shown_link": short_link(participant).partition("://")[2],
            "share_text": texts.share_message,
            "qr": qr.inline(short_link(participant)),
            "footer_links": _footer(campaign, texts, language),
        }
        response = show(request, "hosted/joined.html", context)
        response["Content-Language"] = language
    return response


@require_safe
def terms(request: HttpRequest) -> HttpResponse:
    """The merchant's own terms, as plain paragraphs; 404 while there are none."""
    campaign = find_campaign(request.GET.get("id", ""))
    if campaign is None or campaign.status == Status.DRAFT:
        return _no_campaign(request, request.GET.get("id", ""))
    language = choose_language(request, languages_of(campaign))
    with translation.override(language):
        texts = texts_for(campaign, language)
        if not texts.terms:
            return message(
                request,
                campaign,
                heading=_("No terms of its own"),
                text=_("This offer has no terms beyond what its page says."),
                status=404,
                url=f"{reverse('hosted:campaign')}?{urlencode({'id': campaign.public_id})}",
                label=_("Go to the offer"),
            )
        context = look(campaign) | {
            "texts": texts,
            "footer_links": _footer(campaign, texts, language),
            "languages": other_languages(request, languages_of(campaign), language),
        }
        response = show(request, "hosted/terms.html", context)
        response["Content-Language"] = language
    return response
