"""Purchases and referrals: every event that may earn rewards, why it did or did not, and what can still change it (seed 004)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from participants.friends import shares_by_referral
from participants.models import QualifyingEvent
from referrals.accounts.models import Role
from referrals.lib.codes import random_text
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from referrals.lib.pages import render_part
from referrals.web.access import MerchantRequest, member, own
from referrals.web.campaign_forms import carry_out
from referrals.web.exports import file_name, note_export, stream_csv, utc
from referrals.web.participant_forms import RefundForm
from referrals.web.participants import shares_text
from referrals.web.purchase_list import Waiting, list_context, referrer_of, standings_of, waiting_page, why_words
from referrals.web.purchase_panel import purchase_context
from referrals.web.purchase_state import PurchaseState
from rewards.models import Reward
from rewards.purchases import Standing
from rewards.refunds import refund

_CHUNK = 500
COLUMNS = (
    "id", "type", "amount", "refunded", "currency", "friend_name", "friend_email", "referrer_name", "referrer_email",
    "referral_code", "campaign", "campaign_id", "source", "external_id", "occurred_at", "recorded_at", "outcome", "reason",
    "why", "rewards", "reward_amounts", "reward_states", "shared_by",
)  # fmt: skip
WAITING_COLUMNS = ("what", "amount", "currency", "source", "reference", "at", "why")


@require_safe
@member()
def purchases(request: MerchantRequest) -> HttpResponse:
    """The list, newest first; or what waits for a person or a payment."""
    state = PurchaseState.read(request.GET, request.tenant)
    context = list_context(request.tenant, state)
    response = render_part(request, "web/purchases/list.html", "web/purchases/_part.html", context)
    if request.htmx:
        response["HX-Push-Url"] = context["here_url"]
    return response


@require_safe
@member()
def purchase(request: MerchantRequest, public_id: str) -> HttpResponse:
    """One event with everything that was decided about it: in the pane beside the list, or as a page of its own."""
    event = own_event(request, public_id)
    return _show(request, event, RefundForm(initial={"key": random_text(16)}, currency=event.currency))


def _show(request: MerchantRequest, event: QualifyingEvent, form: RefundForm, *, status: int = 200) -> HttpResponse:
    context = {**purchase_context(request, event), "form": form}
    response = render_part(request, "web/purchases/show.html", "web/purchases/_opened.html", context)
    response.status_code = status
    return response


@require_POST
@member(role=Role.MANAGER)
def purchase_refund(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Record that money of this event was given back."""
    event = own_event(request, public_id)
    form = RefundForm(request.POST, currency=event.currency)
    status = carry_out(form, lambda: _refund(request, event, **form.cleaned_data))
    if status is None:
        return redirect("web:purchase", event.public_id)
    return _show(request, event, form, status=status)


def _refund(request: MerchantRequest, event: QualifyingEvent, key: str, amount: Money | None, reference: str) -> None:
    """A reference that stands for another event's refund is Refused at its field."""
    known = reference.strip() or key
    done = refund(
        tenant=request.tenant, actor=request.actor, source="manual", external_id=known, event=event, amount=amount
    )
    if done.refund.event_id != event.pk:
        message = _("%(reference)s is already recorded for another event.") % {"reference": reference}
        raise Refused("external_id_reused", message, field="reference", status=409)
    if done.created:
        messages.success(request, _("Refund recorded. What it changed is below."))
    else:
        messages.info(request, _("This was already recorded; nothing was changed."))


def own_event(request: MerchantRequest, public_id: str) -> QualifyingEvent:
    """The tenant's event with all that purchase_context() reads; Http404 for any other."""
    people = ("participant__referral__referrer", "participant__referral__visit")
    return own(QualifyingEvent.objects.select_related("campaign", *people), request, public_id)


@require_safe
@member()
def purchases_export(request: MerchantRequest) -> StreamingHttpResponse:
    """The list with its filter, all pages, as CSV, read and sent in pieces."""
    state = replace(PurchaseState.read(request.GET, request.tenant), after="")
    note_export(request, "purchases", request.merchant.public_id, state.query())
    if state.is_waiting:
        return stream_csv(file_name(f"waiting-{state.waits}s"), WAITING_COLUMNS, _waiting_lines(request, state))
    rows = state.rows(request.tenant).select_related("participant__referral__referrer", "campaign").defer("metadata")
    return stream_csv(file_name("purchases"), COLUMNS, export_lines(state, rows))


def export_lines(state: PurchaseState, rows: QuerySet[QualifyingEvent]) -> Iterator[Sequence[object]]:
    """The cells of each event of a list, all pages, in pieces of fixed cost."""
    while True:
        page = state.page(rows, limit=_CHUNK)
        standings, rewards = standings_of(page.rows)
        shares = shares_by_referral(event.participant.referral for event in page.rows if referrer_of(event) is not None)
        for event in page.rows:
            yield (*_line(event, standings[event.pk], rewards[event.pk]), shares_text(event.participant, shares))
        if page.next is None:
            return
        state = replace(state, after=page.next)


def _line(event: QualifyingEvent, standing: Standing, rewards: Sequence[Reward]) -> Sequence[object]:
    friend, referrer = event.participant, referrer_of(event)
    return (
        event.public_id,
        event.type,
        event.amount.plain() if event.amount else "",
        Money(event.refunded_minor, event.currency).plain(),
        event.currency,
        friend.name,
        friend.email,
        referrer.name if referrer else "",
        referrer.email if referrer else "",
        referrer.referral_code if referrer else "",
        event.campaign.name,
        event.campaign.public_id,
        event.source,
        event.external_id,
        utc(event.occurred_at),
        utc(event.recorded_at),
        standing.outcome,
        standing.why["code"] if standing.why else "",
        why_words(standing),
        " ".join(row.public_id for row in rewards),
        " ".join(row.amount.plain() if row.units is None else str(row.worth) for row in rewards),
        " ".join(row.state for row in rewards),
    )


def _waiting_lines(request: MerchantRequest, state: PurchaseState) -> Iterator[Sequence[object]]:
    while True:
        page, lines = waiting_page(request.tenant, state, limit=_CHUNK)
        yield from (_waiting_line(line) for line in lines)
        if page.next is None:
            return
        state = replace(state, after=page.next)


def _waiting_line(line: Waiting) -> Sequence[Any]:
    amount, currency = (line.amount.plain(), line.amount.currency) if line.amount else ("", "")
    return (line.title, amount, currency, line.source, line.reference, utc(line.at), line.text)
