"""Unsubscribing from mails: GET asks, POST acts, because mail scanners open every address (UX.md; RFC 8058)."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from campaigns.mails import KINDS
from participants import mailing
from participants.models import Participant
from referrals.hosted.page import by_token, choose_language, incomplete, languages_of, look, show
from referrals.lib.emails import mask_email


# A mailbox provider posts here by itself, without cookies: the signed address is what lets it.
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def mail_stop(request: HttpRequest, token: str) -> HttpResponse:
    """Ask which mails to stop; stop them. One press in a mail program (RFC 8058) stops every notice; a log-in link still comes."""
    found = mailing.read_stop_token(token)
    if found is None:
        return incomplete(request)
    participant, kind = found
    available = languages_of(participant.campaign)
    language = participant.language if participant.language in available else choose_language(request, available)
    with translation.override(language):
        if request.method == "POST":
            _act(request, participant, kind)
        response = _page(request, participant, kind)
        response["Content-Language"] = language
    return by_token(response)


def _act(request: HttpRequest, participant: Participant, kind: str) -> None:
    wish = request.POST.get("wish", "")
    if request.POST.get("List-Unsubscribe") == "One-Click" or wish == "all":
        mailing.stop(participant)
    elif wish == "kind":
        mailing.stop(participant, kind)
    elif wish == "resume":
        mailing.resume(participant)


def _page(request: HttpRequest, participant: Participant, kind: str) -> HttpResponse:
    stopped = mailing.stopped_kinds(participant)
    context = look(participant.campaign) | {
        "email": mask_email(participant.email),
        "kind_label": KINDS[kind].label if kind in KINDS else "",
        "all_stopped": "" in stopped,
        "kind_stopped": kind in stopped,
    }
    return show(request, "hosted/mail_stop.html", context)
