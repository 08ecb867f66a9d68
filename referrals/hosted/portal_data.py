"""One's own data on the participant's page: download all of it, or have it erased. Both ask for a log-in of the last quarter of an hour."""

from __future__ import annotations

import json
from urllib.parse import urlencode

from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST

from participants import portal as log_ins
from participants.models import Participant
from referrals.accounts import clocks, limits
from referrals.events.services import Actor
from referrals.hosted import portal, portal_settings
from referrals.hosted.offer import money_text
from referrals.hosted.page import look, message, show
from referrals.hosted.tracking import PORTAL_COOKIE
from referrals.lib.errors import Refused
from rewards import personal


@require_POST
def link(request: HttpRequest) -> HttpResponse:
    """Mail a new link to the page, to show that it is really them."""
    session = portal.session_of(request)
    if session is None:
        return redirect("hosted:portal")
    participant = portal.chosen(request, session)
    if not limits.allow(f"portal-link:{participant.email_key}:{participant.campaign_id}", 3, 3600):
        return portal_settings.back(participant, "slow", "data")
    log_ins.send_link(participant)
    return portal_settings.back(participant, "link", "data")


@require_POST
def download(request: HttpRequest) -> HttpResponse:
    """Everything that is held about the person, as a JSON file."""
    session = portal.session_of(request)
    if session is None:
        return redirect("hosted:portal")
    participant = portal.chosen(request, session)
    if not log_ins.is_fresh(session):
        return portal_settings.back(participant, "stale", "data")
    if not limits.allow(f"portal-export:{participant.email_key}:{participant.merchant_id}", 10, 3600):
        return portal_settings.back(participant, "slow", "data")
    clocks.enter(participant.campaign.tenant)
    with portal.speaking(request, participant):
        text = json.dumps(personal.export(participant), cls=DjangoJSONEncoder, ensure_ascii=False, indent=2)
    response = HttpResponse(text, content_type="application/json; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="my-data.json"'
    response["Cache-Control"] = "private, no-store"
    return response


@require_http_methods(["GET", "HEAD", "POST"])
def erase(request: HttpRequest) -> HttpResponse:
    """GET says what goes, what stays, and what is given up; POST erases."""
    session = portal.session_of(request)
    if session is None:
        return redirect("hosted:portal")
    participant = portal.chosen(request, session)
    if not log_ins.is_fresh(session):
        return portal_settings.back(participant, "stale", "data")
    clocks.enter(participant.campaign.tenant)
    with portal.speaking(request, participant) as language:
        if request.method == "POST" and request.POST.get("sure") == "1":
            response = _erased(request, participant)
        else:
            response = _question(request, participant, asked=request.method == "POST")
        response["Content-Language"] = language
    response["Cache-Control"] = "private, no-store"
    return response


def _question(request: HttpRequest, participant: Participant, *, asked: bool) -> HttpResponse:
    left = personal.open_rewards(participant)
    given_up = [money_text(money) for money in left.sums]
    if left.things:
        given_up.append(
            ngettext("%(n)d reward that is no money", "%(n)d rewards that are no money", left.things)
            % {"n": left.things}
        )
    values = look(participant.campaign) | {
        "participant": participant,
        "chosen": urlencode({"campaign": participant.campaign.public_id}),
        "given_up": given_up,
        "sending": left.sending,
        "missing": asked,
    }
    return show(request, "hosted/erase.html", values, status=422 if asked else 200)


def _erased(request: HttpRequest, participant: Participant) -> HttpResponse:
    campaign = participant.campaign
    try:
        personal.erase(participant=participant, actor=Actor("participant", "", _("Own page")))
    except Refused as refusal:
        return message(
            request, campaign, heading=_("It is done already"), text=refusal.message, icon="info", status=409
        )
    response = message(
        request,
        campaign,
        heading=_("Your data is erased"),
        text=_("Your link works no more, and no mail comes any more. You can close this page."),
        icon="check",
    )
    response.delete_cookie(PORTAL_COOKIE, samesite="Lax")
    response["Clear-Site-Data"] = '"cache"'
    return response
