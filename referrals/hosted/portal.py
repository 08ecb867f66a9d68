"""`/me/`: a participant's own page, behind a mailed one-time link (RELIABILITY section 7).

A referral code opens nothing, and neither does opening the mailed address: scanners do that too, so GET shows a button and POST
opens. Asking for a link is answered alike for members and strangers, in the same time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlencode

from django.conf import settings
from django.db import DatabaseError
from django.db.models import prefetch_related_objects
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from campaigns.models import Campaign
from campaigns.texts import texts_for
from participants import portal
from participants.codes import choose_code
from participants.links import short_link
from participants.models import Participant, PortalSession
from participants.services import check_email
from referrals.accounts import clocks, limits
from referrals.events.services import Actor
from referrals.hosted import invited, qr, tracking
from referrals.hosted.board import board_of, hide_on_board
from referrals.hosted.ladder import extras, limit_lines
from referrals.hosted.page import (
    by_token,
    choose_language,
    find_campaign,
    languages_of,
    look,
    message,
    other_languages,
    show,
)
from referrals.hosted.payout_words import wait_text
from referrals.hosted.story import tell
from referrals.hosted.tracking import PORTAL_COOKIE as COOKIE
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.pages import PageError
from referrals.lib.requests import client_key
from rewards.progress import friends_of, limits_of
from rewards.recipients import wait_of

log = logging.getLogger(__name__)
# Asking for a link takes at least this many seconds, so that the time tells nothing (RELIABILITY INV-30).
SAME_TIME = 0.15
MEMBERSHIPS = 5


@require_http_methods(["GET", "HEAD", "POST"])
def home(request: HttpRequest) -> HttpResponse:
    """The participant's page, or the form that asks for a link. POST asks."""
    if request.method == "POST":
        return _ask(request)
    session = session_of(request)
    if session is None:
        return _log_in(request)
    return page_of(request, session)


def session_of(request: HttpRequest) -> PortalSession | None:
    """Who is logged in on this browser."""
    return portal.session_for(request.COOKIES.get(COOKIE, ""))


def page_of(
    request: HttpRequest, session: PortalSession, *, said: dict[str, Any] | None = None, status: int = 200
) -> HttpResponse:
    """The participant's page, with what a form on it has to say (`said`: names of the template's context)."""
    participant = chosen(request, session)
    clocks.enter(participant.campaign.tenant)
    campaign = participant.campaign
    prefetch_related_objects([campaign], "texts")
    with speaking(request, participant) as language:
        try:
            context = _page(request, participant, language)
        except PageError:
            return redirect("hosted:portal")
        response = show(request, "hosted/portal.html", context | (said or {}), status=status)
        response["Content-Language"] = language
    response["Cache-Control"] = "private, no-store"
    return response


@contextmanager
def speaking(request: HttpRequest, participant: Participant) -> Iterator[str]:
    """The participant's language and the merchant's time zone; gives the language."""
    language = _language(request, participant)
    with translation.override(language), timezone.override(participant.campaign.merchant.zone):
        yield language


def _language(request: HttpRequest, participant: Participant) -> str:
    available = languages_of(participant.campaign)
    if "lang" not in request.GET and participant.language in available:
        return participant.language
    return choose_language(request, available)


def chosen(request: HttpRequest, session: PortalSession) -> Participant:
    """The person of this session, or the same address in another campaign of the same merchant and side."""
    mine = session.participant
    wanted = request.GET.get("campaign", "")
    if not wanted or wanted == mine.campaign.public_id:
        return mine
    other = _memberships(mine).filter(campaign__public_id=wanted[:10]).select_related("campaign__merchant").first()
    return other or mine


def _memberships(participant: Participant) -> Any:
    return Participant.objects.for_tenant(participant.tenant).filter(email_key=participant.email_key)


def _page(request: HttpRequest, participant: Participant, language: str) -> dict[str, Any]:
    campaign = participant.campaign
    texts = texts_for(campaign, language)
    link = short_link(participant)
    others = _memberships(participant).exclude(pk=participant.pk).order_by("-pk")
    closed = campaign.closed_reason(clock.now())
    may = invited.possible(participant, closed)
    wait = wait_of(participant)
    return look(campaign) | {
        "participant": participant,
        "texts": texts,
        "link": link,
        "shown_link": link.partition("://")[2],
        "share": share_addresses(link, texts.share_message, campaign.merchant.name),
        "share_text": texts.share_message,
        "qr": qr.inline(link),
        "extras": extras(campaign, friends_of(participant)),
        "limit_lines": limit_lines(limits_of(participant)),
        "board": board_of(participant),
        "own": _code_context(request, participant),
        "story": tell(participant, cursor=request.GET.get("friends", ""), reminding=may["remind"]),
        "others": [
            {"name": name, "url": f"?{urlencode({'campaign': public_id})}"}
            for public_id, name in others.values_list("campaign__public_id", "campaign__name")[:20]
        ],
        "languages": other_languages(request, languages_of(campaign), language),
        "closed": closed,
        "asks": wait_text(participant, wait) if wait else [],
        "asks_address": wait is not None and wait.at_home,
        "asks_mended": wait is not None and wait.situation == "rejected",
        "chosen": urlencode({"campaign": campaign.public_id}),
        "inviting": invited.context(request, participant) if may["invite"] else None,
    }


def share_addresses(link: str, text: str, merchant: str) -> dict[str, str]:
    """Where to share: each address carries the message and the link, and the link says where it was shared (`via`)."""

    def tagged(via: str) -> str:
        return f"{link}?via={via}"

    mail = urlencode({"subject": merchant, "body": f"{text}\n\n{tagged('email')}"}, quote_via=quote)
    return {
        "whatsapp": f"https://wa.me/?{urlencode({'text': f'{text} ' + tagged('whatsapp')}, quote_via=quote)}",
        "email": f"mailto:?{mail}",
        "sms": f"sms:?&{urlencode({'body': f'{text} ' + tagged('sms')}, quote_via=quote)}",
        "x": f"https://x.com/intent/post?{urlencode({'text': text, 'url': tagged('x')}, quote_via=quote)}",
        "facebook": f"https://www.facebook.com/sharer/sharer.php?{urlencode({'u': tagged('facebook')})}",
        "linkedin": f"https://www.linkedin.com/sharing/share-offsite/?{urlencode({'url': tagged('linkedin')})}",
    }


def _log_in(
    request: HttpRequest, *, error: str = "", email: str = "", status: int = 200, wait: int = 0
) -> HttpResponse:
    campaign = find_campaign(request.GET.get("campaign", ""))
    context: dict[str, Any] = look(campaign) if campaign else {"messages": []}
    context |= {"error": error, "email": email, "sent": "sent" in request.GET}
    with translation.override(choose_language(request, languages_of(campaign) if campaign else _all_languages())):
        response = show(request, "hosted/log_in.html", context, status=status)
        response["Content-Language"] = translation.get_language() or "en"
    if wait:
        response["Retry-After"] = str(wait)
    return response


def _all_languages() -> list[str]:
    return [code for code, _name in settings.LANGUAGES]


def _ask(request: HttpRequest) -> HttpResponse:
    """Mail a link to a member, nothing to a stranger, and answer both alike: 303 to "look into your mail"."""
    started = time.monotonic()
    email = request.POST.get("email", "")[:254]
    try:
        address = check_email(email)
    except Refused as refusal:
        return _log_in(request, error=refusal.message, email=email, status=422)
    try:
        span = limits.take(f"portal-ask:{client_key(request)}", limit=20, seconds=3600)
        if not span.allowed:
            text = _("Too many links were asked for from this network. Try again later.")
            return _log_in(request, error=text, email=email, status=429, wait=span.resets_in)
        _send(address.key, find_campaign(request.GET.get("campaign", "")))
    except DatabaseError:
        log.exception("A link to a participant's page can't be sent.")
    query = {name: request.GET[name][:40] for name in ("campaign", "lang") if name in request.GET}
    time.sleep(max(0.0, SAME_TIME - (time.monotonic() - started)))
    response = HttpResponseRedirect(f"{reverse('hosted:portal')}?{urlencode({**query, 'sent': 1})}")
    response.status_code = 303
    return response


def _send(email_key: str, campaign: Campaign | None) -> None:
    """One link for each merchant that knows the address, for its newest membership there; at most three an hour each."""
    known = Participant.objects.filter(email_key=email_key).order_by("-pk")
    if campaign is not None:
        known = known.filter(campaign=campaign)
    seen: set[tuple[int, bool]] = set()
    for participant in known[:50]:
        side = (participant.merchant_id, participant.is_test)
        if side in seen or len(seen) >= MEMBERSHIPS:
            continue
        seen.add(side)
        if limits.allow(f"portal-link:{email_key}:{participant.campaign_id}", 3, 3600):
            portal.send_link(participant)


@require_http_methods(["GET", "HEAD", "POST"])
def open_link(request: HttpRequest, token: str) -> HttpResponseBase:
    """GET shows the button, POST opens the page: once, within ten minutes."""
    link = portal.find_link(token)
    if request.method == "POST" and link is not None:
        agent = request.headers.get("User-Agent", "")
        opened = portal.open_link(token, agent=agent, seen=tracking.seen(request, link.participant.campaign))
        if opened is not None:
            response = HttpResponseRedirect(reverse("hosted:portal"))
            response.status_code = 303
            response.set_cookie(
                COOKIE,
                opened.token,
                max_age=int(PortalSession.LIFE.total_seconds()),
                httponly=True,
                samesite="Lax",
                secure=settings.HTTPS,
            )
            return response
        link = None
    if link is None:
        answer = message(
            request,
            None,
            heading=_("This link has been used or is too old"),
            text=_("A link opens your page once, within ten minutes. Ask for a new one; it takes a moment."),
            icon="hourglass",
            status=410,
            url=reverse("hosted:portal"),
            label=_("Get a new link"),
        )
    else:
        campaign = link.participant.campaign
        with translation.override(_language(request, link.participant)):
            answer = show(request, "hosted/open.html", look(campaign) | {"email": link.participant.email})
    return by_token(answer)


@require_POST
def log_out(request: HttpRequest) -> HttpResponseBase:
    """End this browser's session."""
    session = session_of(request)
    response = HttpResponseRedirect(reverse("hosted:portal"))
    response.status_code = 303
    if session is not None:
        portal.end_session(session)
        response["Location"] += f"?{urlencode({'campaign': session.participant.campaign.public_id})}"
    response.delete_cookie(COOKIE, samesite="Lax")
    response["Clear-Site-Data"] = '"cache"'
    return response


@require_safe
def qr_file(request: HttpRequest, kind: str) -> HttpResponseBase:
    """The QR code of one's own link as a file to keep."""
    session = session_of(request)
    if session is None:
        return redirect("hosted:portal")
    participant = chosen(request, session)
    content = qr.file(f"{short_link(participant)}?via=qr", kind)
    response = HttpResponse(content, content_type="image/svg+xml" if kind == "svg" else "image/png")
    response["Content-Disposition"] = f'attachment; filename="referral-{participant.referral_code}.{kind}"'
    response["Cache-Control"] = "private, no-store"
    patch_vary_headers(response, ["Cookie"])
    return response


@require_POST
def set_code(request: HttpRequest) -> HttpResponse:
    """Choose one's own code, where the campaign lets people; what is wrong is said on the page."""
    session = session_of(request)
    if session is None:
        return redirect("hosted:portal")
    participant = chosen(request, session)
    query = {"campaign": participant.campaign.public_id}
    if participant.campaign.own_codes and not participant.is_banned:
        text = request.POST.get("code", "")[:64]
        if not limits.allow(f"own-code:{participant.pk}", 20, 3600):
            query |= {"code": text[:20], "why": "slow"}
        else:
            try:
                choose_code(participant=participant, text=text, actor=Actor("participant", "", _("Own page")))
            except Refused as refusal:
                query |= {"code": text[:20], "why": refusal.code}
    response = HttpResponseRedirect(f"{reverse('hosted:portal')}?{urlencode(query)}#code")
    response.status_code = 303
    return response


def _code_context(request: HttpRequest, participant: Participant) -> dict[str, Any]:
    """The form for one's own code, and what was wrong with the last try."""
    why = request.GET.get("why", "")
    words = {
        "code_format": _("A code has 3 to 16 letters a to z, digits and hyphens, such as asha-10."),
        "code_reserved": _("This word can't be a code. Choose another one."),
        "code_taken": _("Somebody has this code, or one that looks like it. Choose another one."),
        "too_many_codes": _("You have chosen five codes already, and all of them keep working."),
        "slow": _("That was often. Try again in an hour."),
    }
    return {
        "may_choose": participant.campaign.own_codes and not participant.is_banned,
        "code": request.GET.get("code", "")[:20] if why in words else participant.vanity_code,
        "code_error": words.get(why, ""),
        "checkout": participant.referral_code
        if participant.campaign.shows_own_code and not participant.is_banned
        else "",
    }


@require_POST
def set_board(request: HttpRequest) -> HttpResponse:
    """Show or hide one's name on the leaderboard."""
    session = session_of(request)
    if session is None:
        return redirect("hosted:portal")
    participant = chosen(request, session)
    hide_on_board(participant, hidden=request.POST.get("show") != "1")
    query = urlencode({"campaign": participant.campaign.public_id})
    response = HttpResponseRedirect(f"{reverse('hosted:portal')}?{query}")
    response.status_code = 303
    return response
