"""`/me/receipts`: what was paid to the person, a receipt of each payout to print, and a statement of each year."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from campaigns.terms import Units
from participants.models import Participant
from referrals.accounts import clocks
from referrals.hosted import portal
from referrals.hosted.offer import day_text, given_text, locale
from referrals.hosted.page import languages_of, look, message, other_languages, show
from referrals.hosted.payout_words import method_text, netted_text, pill, state_text
from referrals.hosted.story import what_for
from referrals.lib.money import Money
from referrals.lib.pages import PageError, keyset
from rewards import receipts
from rewards.models import Payout, PayoutGift
from rewards.receipts import Line, Receipt

A_PAGE = 50


@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """Everything that was paid or is on its way, the newest first, and the years that have a statement."""

    def context(participant: Participant) -> dict[str, Any]:
        # What failed before anything left says nothing to its recipient: the reward's own line does.
        rows = receipts.payouts_of(participant).exclude(Q(status="failed", paid_at=None))
        page = keyset(rows, sort="-id", cursor=request.GET.get("page", ""), limit=A_PAGE)
        return {
            "rows": [_row(payout) for payout in page.rows],
            "newer": page.previous,
            "earlier": page.next,
            "years": receipts.years(participant),
        }

    return _page(request, "hosted/receipts.html", context)


@require_safe
def receipt(request: HttpRequest, public_id: str) -> HttpResponse:
    """One payout as a paper to print."""

    def context(participant: Participant) -> dict[str, Any] | None:
        found = receipts.receipt(participant, public_id)
        if found is None:
            return None
        return {"paper": _paper(found) | {"gift": _gift(found.payout)}, "person": participant}

    return _page(request, "hosted/receipt.html", context)


@require_safe
def statement(request: HttpRequest, year: int) -> HttpResponse:
    """A year's payouts as a paper to print."""

    def context(participant: Participant) -> dict[str, Any] | None:
        found = receipts.statement(participant, year)
        if not found.receipts:
            return None
        return {
            "year": str(year),
            "sums": [_exact(money) for money in found.sums],
            "papers": [_paper(one) for one in found.receipts],
            "person": participant,
        }

    return _page(request, "hosted/statement.html", context)


def _page(request: HttpRequest, template: str, context: Callable[[Participant], dict[str, Any] | None]) -> HttpResponse:
    session = portal.session_of(request)
    if session is None:
        return redirect("hosted:portal")
    participant = portal.chosen(request, session)
    campaign = participant.campaign
    clocks.enter(campaign.tenant)
    with portal.speaking(request, participant) as language:
        try:
            found = context(participant)
        except PageError:
            return redirect("hosted:portal_receipts")
        if found is None:
            response = _nothing(request, participant)
        else:
            values = look(campaign) | {
                "chosen": urlencode({"campaign": campaign.public_id}),
                "languages": other_languages(request, languages_of(campaign), language),
            }
            response = show(request, template, values | found)
        response["Content-Language"] = language
    response["Cache-Control"] = "private, no-store"
    return response


def _nothing(request: HttpRequest, participant: Participant) -> HttpResponse:
    return message(
        request,
        participant.campaign,
        heading=_("There is no such receipt"),
        text=_("It may belong to another address, or the payment came back. Your receipts are listed on your page."),
        icon="receipt",
        status=404,
    )


def _row(payout: Payout) -> dict[str, Any]:
    tone, word = pill(payout)
    return {
        "id": payout.public_id if payout.status in Payout.GONE else "",
        "amount": _exact(payout.amount) if payout.amount_minor or payout.netted_minor else "",
        "text": state_text(payout),
        "netted": netted_text(payout),
        "method": method_text(payout),
        "tone": tone,
        "word": word,
    }


def _paper(found: Receipt) -> dict[str, Any]:
    payout = found.payout
    return {
        "id": payout.public_id,
        "day": day_text(found.paid_at, year=True),
        "method": method_text(payout),
        "amount": _exact(payout.amount),
        "state": state_text(payout),
        "reference": payout.reference,
        "netted": netted_text(payout),
        "netted_sum": _exact(found.netted),
        "gross": _exact(found.gross),
        "money": bool(payout.amount_minor or payout.netted_minor),
        "lines": [_line(line) for line in found.lines],
        "campaign": payout.participant.campaign.name,
    }


def _gift(payout: Payout) -> str:
    """The last four characters of what was given; the rest stands on the person's page only."""
    hint = PayoutGift.objects.filter(payout=payout).values_list("hint", flat=True).first()
    return _("Ending in %(hint)s") % {"hint": hint} if hint else ""


def _line(line: Line) -> dict[str, str]:
    worth = line.worth
    text = given_text(worth, line.reward.kind) if isinstance(worth, Units) else _exact(worth)
    return {"what": what_for(line.reward), "amount": text}


def _exact(money: Money) -> str:
    """With all of its decimals, as papers have it."""
    return money.format(locale())
