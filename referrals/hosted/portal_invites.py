"""The forms of a participant's page that write to friends: invite several, remind one."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from participants import inviting
from participants.models import Participant
from referrals.accounts import clocks
from referrals.events.services import Actor
from referrals.hosted import portal
from referrals.lib.errors import Refused


def actor() -> Actor:
    """The participant themselves, in the history."""
    return Actor("participant", "", _("Own page"))


def back(participant: Participant, anchor: str, **query: str | int) -> HttpResponse:
    """303 to the page of this campaign."""
    said = urlencode({"campaign": participant.campaign.public_id, **query})
    response = HttpResponseRedirect(f"{reverse('hosted:portal')}?{said}#{anchor}")
    response.status_code = 303
    return response


@require_POST
def invite(request: HttpRequest) -> HttpResponse:
    """Invite the friends whose addresses were entered; what is wrong is said on the page, and nothing is sent."""
    session = portal.session_of(request)
    if session is None:
        return redirect("hosted:portal")
    participant = portal.chosen(request, session)
    clocks.enter(participant.campaign.tenant)
    text = request.POST.get("emails", "")[:5000]
    with portal.speaking(request, participant):
        try:
            rows = inviting.invite(
                participant=participant,
                emails=inviting.split_addresses(text),
                consent=request.POST.get("consent") == "1",
                actor=actor(),
            )
        except Refused as refusal:
            said: dict[str, Any] = {
                "invite_error": refusal.message, "invite_field": refusal.field, "invite_text": text,
                "invite_consent": request.POST.get("consent") == "1",
            }  # fmt: skip
            return portal.page_of(request, session, said=said, status=refusal.status)
    return back(participant, "invite", invited=len(rows))


@require_POST
def remind(request: HttpRequest) -> HttpResponse:
    """Remind one friend, invited or joined."""
    session = portal.session_of(request)
    if session is None:
        return redirect("hosted:portal")
    participant = portal.chosen(request, session)
    clocks.enter(participant.campaign.tenant)
    friend, invitation = (request.POST.get(name, "")[:40] for name in ("friend", "invitation"))
    with portal.speaking(request, participant):
        try:
            if invitation:
                inviting.remind_invited(participant=participant, public_id=invitation, actor=actor())
            else:
                inviting.remind_friend(participant=participant, public_id=friend, actor=actor())
        except Refused as refusal:
            said = {"remind_error": refusal.message}
            return portal.page_of(request, session, said=said, status=refusal.status)
    return back(participant, "people", reminded=1)
