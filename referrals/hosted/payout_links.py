"""The pages behind the mails about a payout address: GET shows, POST acts, as mail scanners open every address."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from participants import destinations
from participants.models import PayoutDestination
from referrals.accounts import clocks
from referrals.events.services import Actor
from referrals.hosted.offer import day_text
from referrals.hosted.page import by_token, choose_language, languages_of, look, message, show
from referrals.hosted.payout_mail import kind_text
from referrals.lib.emails import mask_email
from rewards import fraud


def _mail() -> Actor:
    return Actor("participant", "", _("Mail"))


@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    """Make a payout address count."""
    row = destinations.find_asked(token)
    if row is None:
        return _too_old(
            request, _("It was used, or is older than three days, or another address was entered after it.")
        )
    with _speaking(request, row):
        if request.method == "POST":
            done = destinations.confirm(token=token, actor=_mail())
            if done is None:
                return _too_old(request, _("It was used a moment ago."))
            fraud.after_destination(done)
            return _answer(request, done, "done")
        return _answer(request, row, "ask")


@require_http_methods(["GET", "HEAD", "POST"])
def keep(request: HttpRequest, token: str) -> HttpResponse:
    """Take the change of a payout address back."""
    row = destinations.find_changed(token)
    if row is None:
        return _too_old(request, _("The change was taken back already, or its 72 hours are over."))
    with _speaking(request, row):
        if request.method == "POST":
            if destinations.take_back(token=token, actor=_mail()) is None:
                return _too_old(request, _("It was used a moment ago."))
            return _answer(request, row, "kept")
        return _answer(request, row, "keep")


@contextmanager
def _speaking(request: HttpRequest, row: PayoutDestination) -> Iterator[None]:
    campaign = row.participant.campaign
    available = languages_of(campaign)
    language = row.participant.language
    clocks.enter(campaign.tenant)
    with (
        translation.override(language if language in available else choose_language(request, available)),
        timezone.override(campaign.merchant.zone),
    ):
        yield


def _answer(request: HttpRequest, row: PayoutDestination, state: str) -> HttpResponse:
    held = row.usable_from is not None and row.confirmed_at is not None and row.usable_from > row.confirmed_at
    context = look(row.participant.campaign) | {
        "state": state,
        # Who opens the mail to the new address has it before their eyes; the page shows enough to recognise it.
        "hint": row.hint,
        "kind": kind_text(row),
        "owner": mask_email(row.participant.email),
        "from_day": day_text(row.usable_from, year=True) if held and row.usable_from else "",
        "restored": f"{row.replaces.hint} ({kind_text(row.replaces)})"
        if state in {"keep", "kept"} and row.replaces
        else "",
        "portal_url": f"{reverse('hosted:portal')}?campaign={row.participant.campaign.public_id}",
    }
    return by_token(show(request, "hosted/payout_link.html", context))


def _too_old(request: HttpRequest, text: str) -> HttpResponse:
    answer = message(
        request,
        None,
        heading=_("This link works no more"),
        text=text,
        icon="hourglass",
        status=410,
        url=reverse("hosted:portal"),
        label=_("Go to your page"),
    )
    return by_token(answer)
