"""What a participant's page shows of inviting by mail, and the page where an invited person says no to these mails."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from campaigns.mails import kinds_on
from participants import inviting, mailing
from participants.friend_models import A_DAY
from participants.models import Participant
from referrals.hosted.offer import day_text
from referrals.hosted.page import by_token, choose_language, incomplete, languages_of, look, show


def possible(participant: Participant, closed: str | None) -> dict[str, bool]:
    """Whether the person can invite and remind now: the campaign is open and sends these mails. One query, or none."""
    kinds = frozenset[str]() if closed or participant.is_banned else kinds_on(participant.campaign)
    return {"invite": inviting.INVITE in kinds, "remind": inviting.REMINDER in kinds}


def context(request: HttpRequest, participant: Participant) -> dict[str, Any]:
    """The form's side of the page: what is left today, whom they invited, and what was done just now. Three queries."""
    sent = request.GET.get("invited", "")
    told = ""
    if sent.isascii() and sent.isdigit() and 0 < int(sent[:3]) <= A_DAY:
        n = int(sent)
        told = ngettext("%(n)d invitation is on its way.", "%(n)d invitations are on their way.", n) % {"n": n}
    elif "reminded" in request.GET:
        told = _("The reminder is on its way.")
    people = []
    for row in inviting.waiting_invitations(participant):
        remind = inviting.invitation_reminder(row)
        people.append({
            "email": row.email,
            "initial": row.email[:1].upper(),
            "on": day_text(row.reminded_at or row.invited_at),
            "reminded": row.reminders,
            "remind": row.public_id if remind.now else "",
            "remind_on": day_text(remind.on) if remind.on and not remind.now else "",
        })  # fmt: skip
    return {"left": inviting.left_today(participant), "people": people, "told": told}


# A mailbox provider posts here by itself, without cookies: the signed address is what lets it.
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def stop(request: HttpRequest, token: str) -> HttpResponse:
    """Ask whether no friend may have this mailbox written to; one press in a mail program (RFC 8058) says so."""
    found = mailing.read_friend_token(token)
    if found is None:
        return incomplete(request)
    campaign, key = found
    tenant = campaign.tenant
    if request.method == "POST":
        if request.POST.get("wish") == "resume":
            inviting.allow_address(tenant, key)
        elif request.POST.get("wish") == "all" or request.POST.get("List-Unsubscribe") == "One-Click":
            inviting.stop_address(tenant, key)
    with translation.override(choose_language(request, languages_of(campaign))):
        response = show(
            request, "hosted/invited_stop.html", look(campaign) | {"stopped": inviting.is_stopped(tenant, key)}
        )
        response["Content-Language"] = translation.get_language() or "en"
    return by_token(response)
