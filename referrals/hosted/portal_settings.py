"""`/me/settings`: where money is paid, which mails come, where one is logged in, and one's own data."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from campaigns.mails import KINDS, kinds_on
from participants import destinations, mailing
from participants import portal as portal_sessions
from participants.destination_kinds import MAILBOXES, Kind
from participants.models import Participant, PayoutDestination, PortalSession
from referrals.accounts import clocks
from referrals.hosted import portal
from referrals.hosted.browsers import browser_words
from referrals.hosted.offer import day_text
from referrals.hosted.page import NAMES, languages_of, look, other_languages, show
from referrals.hosted.payout_kinds import Filled, forms, offered
from referrals.hosted.payout_mail import kind_text
from referrals.hosted.payout_words import wait_text
from referrals.hosted.portal_invites import actor
from referrals.lib import clock
from referrals.lib.emails import mask_email
from referrals.lib.errors import Refused
from rewards.customers import change_participant
from rewards.recipients import wait_of

# The merchant's invitation goes to people who are no participants yet.
UNCHOSEN = frozenset({"customer"})


@require_safe
def settings_page(request: HttpRequest) -> HttpResponse:
    """The settings of one participant."""
    session = portal.session_of(request)
    if session is None:
        return redirect("hosted:portal")
    return page_of(request, session)


def page_of(
    request: HttpRequest, session: PortalSession, *, filled: Filled | None = None, status: int = 200
) -> HttpResponse:
    """The page, with what was typed into a payout address's form and is wrong."""
    participant = portal.chosen(request, session)
    campaign = participant.campaign
    clocks.enter(campaign.tenant)
    with portal.speaking(request, participant) as language:
        context = look(campaign) | {
            "participant": participant,
            "chosen": urlencode({"campaign": campaign.public_id}),
            "languages": other_languages(request, languages_of(campaign), language),
            "payout": _payout(participant, filled),
            "mails": _mails(participant),
            "language_choices": _languages(participant),
            "fresh": portal_sessions.is_fresh(session),
            "sessions": _sessions(participant, session),
            "done": request.GET.get("done", ""),
        }
        response = show(request, "hosted/settings.html", context, status=status)
        response["Content-Language"] = language
    response["Cache-Control"] = "private, no-store"
    return response


def back(participant: Participant, done: str, anchor: str) -> HttpResponse:
    """303 to the settings, which say what was done."""
    said = urlencode({"campaign": participant.campaign.public_id, "done": done})
    response = HttpResponseRedirect(f"{reverse('hosted:portal_settings')}?{said}#{anchor}")
    response.status_code = 303
    return response


def _payout(participant: Participant, filled: Filled | None) -> dict[str, Any] | None:
    """The payout address and the forms for another one; None where nothing is ever paid to one."""
    row, waiting = destinations.current(participant), destinations.asked_for(participant)
    kinds = offered(participant)
    if row is None and waiting is None and not kinds:
        return None
    held = row is not None and row.usable_from is not None and row.usable_from > clock.now()
    wait = wait_of(participant)
    return {
        "hint": row.hint if row else "",
        "kind": kind_text(row) if row else "",
        "from_day": day_text(row.usable_from, year=True) if held and row and row.usable_from else "",
        "waiting": waiting.hint if waiting else "",
        "waiting_kind": kind_text(waiting) if waiting else "",
        "waiting_mailbox": waiting is not None and waiting.method in MAILBOXES,
        "confirm_url": _confirm_url(waiting) if waiting else "",
        "owner": mask_email(participant.email),
        "asks": wait_text(participant, wait) if wait else [],
        "again": wait is not None and wait.situation == "rejected",
        "forms": forms(kinds, filled),
        "error": filled.errors.get("", "") if filled is not None and not filled.kind else "",
    }


def _confirm_url(waiting: PayoutDestination) -> str:
    """Where an address is confirmed that gets no mail, because test mode writes to the merchant's own team only; else ""."""
    if not mailing.is_quiet_at(waiting.tenant, destinations.mailbox_of(waiting) or waiting.participant.email):
        return ""
    return reverse("hosted:payout_confirm", args=[destinations.confirm_token(waiting)])


def _mails(participant: Participant) -> dict[str, Any]:
    """The kinds of mail that the person's campaign sends, and which of them come."""
    stopped, sent = mailing.stopped_kinds(participant), kinds_on(participant.campaign)
    rows = [
        {"name": name, "label": kind.label, "on": name not in stopped}
        for name, kind in KINDS.items()
        if name in sent and not kind.required and name not in UNCHOSEN
    ]
    return {"kinds": rows, "none": "" in stopped}


def _languages(participant: Participant) -> list[dict[str, Any]]:
    available = languages_of(participant.campaign)
    chosen = participant.language if participant.language in available else available[0]
    return [{"code": code, "name": NAMES.get(code, code), "on": code == chosen} for code in available]


def _sessions(participant: Participant, session: PortalSession) -> list[dict[str, Any]]:
    return [
        {
            "pk": row.pk,
            "browser": browser_words(row.agent),
            "since": day_text(row.created_at, year=True),
            "seen": day_text(row.seen_at, year=True),
            "mine": row.pk == session.pk,
        }
        for row in portal_sessions.sessions_of(participant)
    ]


@require_POST
def mails(request: HttpRequest) -> HttpResponse:
    """Set which mails come, and in which language."""
    session = portal.session_of(request)
    if session is None:
        return redirect("hosted:portal")
    participant = portal.chosen(request, session)
    clocks.enter(participant.campaign.tenant)
    wanted = set(request.POST.getlist("kind"))
    shown = {row["name"] for row in _mails(participant)["kinds"]}
    # What is not on the page stays as it is.
    kept = mailing.stopped_kinds(participant) - shown - {""}
    none = {""} if request.POST.get("none") == "1" else set()
    mailing.choose(participant, none | kept | (shown - wanted))
    language = request.POST.get("language", "")
    if language in languages_of(participant.campaign):
        change_participant(participant=participant, actor=actor(), language=language)
    return back(participant, "mails", "mails")


@require_POST
def sessions(request: HttpRequest) -> HttpResponse:
    """Log out one browser, or all others."""
    session = portal.session_of(request)
    if session is None:
        return redirect("hosted:portal")
    participant = portal.chosen(request, session)
    clocks.enter(participant.campaign.tenant)
    which = request.POST.get("which", "")
    if which == "others":
        portal_sessions.end_sessions(participant, but=session)
    elif which.isascii() and which.isdigit() and len(which) < 19:
        portal_sessions.end_sessions(participant, which=int(which))
    return back(participant, "sessions", "sessions")


@require_POST
def payout(request: HttpRequest) -> HttpResponse:
    """Enter a payout address, or remove the one that is there."""
    session = portal.session_of(request)
    if session is None:
        return redirect("hosted:portal")
    participant = portal.chosen(request, session)
    clocks.enter(participant.campaign.tenant)
    with portal.speaking(request, participant):
        wish = request.POST.get("wish", "")
        if wish == "remove":
            destinations.remove(participant=participant, actor=actor())
            return back(participant, "removed", "payout")
        kinds = offered(participant)
        kind = next((one for one in kinds if one.name == request.POST.get("kind", one.name)), None)
        values = {field.name: request.POST.get(field.name, "")[:300] for field in kind.fields} if kind else {}
        try:
            if wish == "again":
                destinations.enter_again(participant=participant, actor=actor())
            elif kind is None:
                raise Refused("destination_invalid", _("Choose how you want to be paid."), field="kind")
            else:
                destinations.ask(participant=participant, method=kind.name, values=values, actor=actor())
        except Refused as refusal:
            errors = refusal.details.get("fields") or {_place(kind, refusal.field): refusal.message}
            filled = Filled(kind.name if kind else "", values, errors)
            return page_of(request, session, filled=filled, status=refusal.status)
    return back(participant, "asked", "payout")


def _place(kind: Kind | None, field: str) -> str:
    """The field of the form at which a refusal is shown; "" for none of them."""
    return field if kind is not None and field in {one.name for one in kind.fields} else ""
