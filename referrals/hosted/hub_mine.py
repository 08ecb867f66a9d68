"""`/hub/me/`: everything that one address takes part in, over all merchants, behind a mailed one-time link (docs/hub.md).

Nothing is shown before the address is proved, and asking is answered alike for members and strangers, in the same time. No merchant
sees any of this: the page belongs to the reader. Details of one programme are on its own page (`/me/`), which a button opens.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.db.models import Sum
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from campaigns.models import Campaign
from campaigns.terms import Units
from participants import hub_access
from participants.friends import count_friends
from participants.links import short_link
from participants.models import Application, HubAccess, Participant, PortalSession
from participants.services import check_email
from participants.visits import VisitCount, counts_of
from referrals.events.services import Actor
from referrals.hosted import hub_page
from referrals.hosted.hub import logos_of
from referrals.hosted.hub_apply import see_other
from referrals.hosted.hub_form import may_mail, seconds_to_wait
from referrals.hosted.hub_page import hub_page as page
from referrals.hosted.offer import money_text
from referrals.hosted.page import by_token, message
from referrals.hosted.tracking import PORTAL_COOKIE
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from referrals.lib.pages import PageError, keyset
from rewards import applications
from rewards.balances import Balances, balances_of
from rewards.models import Reward
from rewards.purchases import GONE

log = logging.getLogger(__name__)
COOKIE = "__Host-hub" if settings.HTTPS else "hub"
PER_PAGE = 20
# Asking takes at least this many seconds, so that the time tells nothing (RELIABILITY INV-30).
SAME_TIME = 0.15


@dataclass(frozen=True, slots=True)
class Programme:
    """One programme of the reader's own."""

    id: str
    name: str
    merchant: str
    logo: str
    link: str
    shown_link: str
    earned: str
    paid: str
    clicks: int
    friends: int
    note: str
    things: list[str] = field(default_factory=list)


@require_http_methods(["GET", "HEAD", "POST"])
@page
def mine(request: HttpRequest) -> HttpResponseBase:
    """The programmes of who has proved an address here, or the form that asks for a link. POST asks."""
    if request.method == "POST":
        return _ask(request)
    access = hub_access.session_for(request.COOKIES.get(COOKIE, ""))
    if access is None:
        return _log_in(request)
    try:
        found = keyset(
            hub_access.memberships(access.email_key).select_related("campaign__merchant"),
            sort="-id",
            cursor=request.GET.get("page", "")[:400],
            limit=PER_PAGE,
        )
    except PageError:
        return redirect("hosted:hub_mine")
    applied = hub_access.applications(access.email_key).select_related("campaign__merchant")[:PER_PAGE]
    context = {
        "access": access,
        "programmes": _programmes(found.rows),
        "applications": list(applied),
        "waiting": Application.WAITING,
        "previous": found.previous,
        "next": found.next,
    }
    return hub_page.show(request, "hosted/hub_mine.html", context)


def _programmes(people: Sequence[Participant]) -> list[Programme]:
    """The page's programmes with their figures; a fixed number of queries."""
    keys = [person.pk for person in people]
    balances, clicks, friends = balances_of(keys), counts_of(keys), count_friends(people)
    logos = logos_of([person.campaign for person in people])
    things: dict[int, list[str]] = {}
    given = Reward.objects.filter(participant__in=keys, units__isnull=False).exclude(state__in=GONE)
    for row in given.values("participant", "units_label").annotate(n=Sum("units")).order_by("units_label"):
        things.setdefault(row["participant"], []).append(str(Units(row["n"], row["units_label"])))
    return [
        Programme(
            id=person.public_id,
            name=person.campaign.name,
            merchant=person.campaign.merchant.name,
            logo=logos.get(person.campaign_id, ""),
            link=short_link(person),
            shown_link=short_link(person).partition("://")[2],
            clicks=clicks.get(person.pk, VisitCount()).counted,
            friends=friends.get(person.pk, 0),
            note=_note(person),
            things=things.get(person.pk, []),
            **_money(person.campaign, balances[person.pk]),
        )
        for person in people
    ]


def _money(campaign: Campaign, balances: Balances) -> dict[str, str]:
    """What was earned, and how much of it was paid out, each in the campaign's own currency; currencies are never added."""
    earned = balances.referrer.earned + balances.invitee.earned
    paid = balances.referrer.redeemed + balances.invitee.redeemed
    return {
        "earned": money_text(Money(earned, campaign.currency)),
        "paid": _("%(amount)s of it paid out") % {"amount": money_text(Money(paid, campaign.currency))} if paid else "",
    }


def _note(person: Participant) -> str:
    """Why a programme earns nothing now; "" while it does."""
    if person.is_banned:
        return _("Your account there can't earn rewards now.")
    return {
        None: "",
        "campaign_paused": _("The programme is paused. Your link stays valid."),
        "campaign_ended": _("The programme has ended. What you earned is not lost."),
        "campaign_not_started": _("The programme has not started yet."),
    }[person.campaign.closed_reason(clock.now())]


def _log_in(
    request: HttpRequest, *, error: str = "", email: str = "", status: int = 200, wait: int = 0
) -> HttpResponse:
    context: dict[str, Any] = {"error": error, "email": email, "sent": "sent" in request.GET}
    response = hub_page.show(request, "hosted/hub_log_in.html", context, status=status)
    if wait:
        response["Retry-After"] = str(wait)
    return response


def _ask(request: HttpRequest) -> HttpResponse:
    """Mail a link to whoever has something here, nothing to a stranger, and answer both alike."""
    started = time.monotonic()
    email = request.POST.get("email", "")[:254]
    try:
        check_email(email)
    except Refused as refusal:
        return _log_in(request, error=refusal.message, email=email, status=422)
    wait = seconds_to_wait(request, "hub-ask")
    if wait:
        text = _("Too many links were asked for from this network. Try again later.")
        return _log_in(request, error=text, email=email, status=429, wait=wait)
    try:
        if may_mail(email, "access"):
            hub_access.ask(email=email, language=get_language() or "")
    except DatabaseError:
        log.exception("A link to somebody's programmes can't be sent.")
    time.sleep(max(0.0, SAME_TIME - (time.monotonic() - started)))
    response = see_other(request, reverse("hosted:hub_mine"))
    mark = "&" if "?" in response["Location"] else "?"
    response["Location"] += f"{mark}sent=1"
    return response


@require_http_methods(["GET", "HEAD", "POST"])
@page
def open_link(request: HttpRequest, token: str) -> HttpResponseBase:
    """GET shows the button, POST opens the page: once, within ten minutes."""
    access = hub_access.find_link(token)
    response: HttpResponseBase
    text = ""
    if request.method == "POST" and access is not None:
        text = hub_access.open_link(token, agent=request.headers.get("User-Agent", ""))
    if text:
        response = see_other(request, reverse("hosted:hub_mine"))
        _keep(response, COOKIE, text, HubAccess.SESSION_LIFE.total_seconds())
    elif access is None or request.method == "POST":
        response = message(
            request,
            None,
            heading=_("This link has been used or is too old"),
            text=_("A link opens your page once, within ten minutes. Ask for a new one; it takes a moment."),
            icon="hourglass",
            status=410,
            url=reverse("hosted:hub_mine"),
            label=_("Get a new link"),
        )
    else:
        response = hub_page.show(request, "hosted/hub_open.html", {"email": access.email})
    return by_token(response)


def _keep(response: HttpResponseBase, name: str, value: str, seconds: float) -> None:
    response.set_cookie(name, value, max_age=int(seconds), httponly=True, samesite="Lax", secure=settings.HTTPS)


@require_POST
@page
def open_one(request: HttpRequest) -> HttpResponseBase:
    """The own page in one programme, for who has proved its address here; 404 for anything that is not theirs."""
    access = hub_access.session_for(request.COOKIES.get(COOKIE, ""))
    if access is None:
        return see_other(request, reverse("hosted:hub_mine"))
    opened = hub_access.open_page(
        access, request.POST.get("programme", ""), agent=request.headers.get("User-Agent", "")
    )
    if opened is None:
        raise Http404
    response = see_other(request, reverse("hosted:portal"))
    _keep(response, PORTAL_COOKIE, opened.token, PortalSession.LIFE.total_seconds())
    return response


@require_POST
@page
def withdraw(request: HttpRequest) -> HttpResponseBase:
    """Take one's own waiting application back; 404 for anybody else's. One that was decided meanwhile stays as it is."""
    access = hub_access.session_for(request.COOKIES.get(COOKIE, ""))
    if access is not None:
        mine = hub_access.applications(access.email_key).filter(public_id=request.POST.get("application", "")[:32])
        row = mine.first()
        if row is None:
            raise Http404
        with suppress(Refused):
            applications.withdraw(application=row, actor=Actor("participant", "", _("Affiliate hub")))
    return see_other(request, reverse("hosted:hub_mine"))


@require_POST
@page
def log_out(request: HttpRequest) -> HttpResponseBase:
    """End this browser's session."""
    access = hub_access.session_for(request.COOKIES.get(COOKIE, ""))
    if access is not None:
        hub_access.end_session(access)
    response = see_other(request, reverse("hosted:hub"))
    response.delete_cookie(COOKIE, samesite="Lax")
    response["Clear-Site-Data"] = '"cache"'
    return response
