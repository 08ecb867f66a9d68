"""`/campaign/confirm`: the page after the form where a campaign wants the address confirmed, and the page behind the mailed link.

Mail scanners open links: GET shows a button, POST joins. Known and new addresses are answered alike (RELIABILITY INV-30).
"""

from __future__ import annotations

from urllib.parse import urlencode

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from participants import confirming
from participants.models import JoinRequest
from referrals.accounts import clocks, limits
from referrals.events.services import Actor
from referrals.hosted import join
from referrals.hosted.confirm_mail import confirm_address
from referrals.hosted.page import choose_language, languages_of, look, message, show
from referrals.lib.errors import Refused
from referrals.lib.requests import client_key
from rewards.confirming import confirm


# No session: the signed token in the address stands in for a CSRF token.
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def confirm_page(request: HttpRequest) -> HttpResponse:
    """With `t` the question from the mail, with `w` the page that waits for it. 410 when the token is too old or was replaced."""
    mailed, waits = request.GET.get("t", "")[:300], request.GET.get("w", "")[:300]
    row = confirming.find_request(mailed) if mailed else confirming.find_waiting(waits)
    if row is None:
        with translation.override(choose_language(request, [code for code, _name in settings.LANGUAGES])):
            return _expired(request)
    campaign = row.campaign
    clocks.enter(campaign.tenant)
    available = languages_of(campaign)
    language = row.language if row.language in available else choose_language(request, available)
    with translation.override(language), timezone.override(campaign.merchant.zone):
        act = _confirm if mailed else _wait
        response = act(request, row)
        response["Content-Language"] = language
    # The address holds a token: it goes nowhere, not even to the campaign's own pages.
    response["Referrer-Policy"] = "no-referrer"
    return response


def waiting_address(row: JoinRequest) -> str:
    """Where the form leads."""
    return f"{reverse('hosted:confirm')}?{urlencode({'w': confirming.wait_token(row)})}"


def _expired(request: HttpRequest) -> HttpResponse:
    return message(
        request,
        None,
        heading=_("This link has expired"),
        text=_("Open the link that your friend sent you once more, and fill in the form again."),
        icon="hourglass",
        status=410,
    )


def _confirm(request: HttpRequest, row: JoinRequest) -> HttpResponse:
    problem, status = "", 200
    if request.method == "POST":
        try:
            participant = confirm(request=row, actor=Actor("participant", "", _("Confirmation mail")))
        except Refused as refusal:
            problem, status = refusal.message, 409
        else:
            join.mail_link(participant)
            token = join.done_token(participant, "invitee" if row.referrer_id else "referrer")
            query = urlencode({"t": token, "lang": translation.get_language() or "en"})
            return join.see_other(f"{reverse('hosted:joined')}?{query}")
    context = look(row.campaign) | {"row": row, "problem": problem}
    return show(request, "hosted/confirm.html", context, status=status)


def _wait(request: HttpRequest, row: JoinRequest) -> HttpResponse:
    """Look into your mail; POST sends it again, within limits that don't tell who is known here."""
    if request.method == "POST":
        if _may_ask(request):
            confirming.send_again(row)
        return join.see_other(f"{waiting_address(row)}&again=1")
    # Test mode writes to the merchant's own team only, so that its page has the link.
    address = confirm_address(row) if row.is_test and row.confirmed_at is None else ""
    context = look(row.campaign) | {"row": row, "again": "again" in request.GET, "confirm_url": address}
    return show(request, "hosted/confirm_wait.html", context)


def _may_ask(request: HttpRequest) -> bool:
    try:
        return limits.allow(f"join-again:{client_key(request)}", 20, 3600)
    except DatabaseError:
        return False
