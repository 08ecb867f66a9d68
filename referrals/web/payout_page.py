"""One payout: how much for what, to whom, each try with the company's words, where it stands, and what can be done about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from django.contrib import messages
from django.db import transaction
from django.db.models import Prefetch, QuerySet
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from integrations import payouts as carrier
from integrations import registry
from integrations.base import ProviderError
from integrations.models import InboundEvent
from referrals.accounts.models import Role
from referrals.events import types
from referrals.events.models import Event
from referrals.events.services import record
from referrals.lib.errors import Refused
from referrals.lib.http import HttpError
from referrals.lib.money import Money
from referrals.web.access import MerchantRequest, member, own
from referrals.web.access import refused as refused_here
from referrals.web.payout_rows import Tag, companies, method_text
from referrals.web.payout_words import STATUS_TONES, netted_words, status_text, words_of
from referrals.web.reward_choice import NoteForm
from referrals.web.reward_rows import earned_for
from referrals.web.templatetags.ui import monies
from referrals.web.timeline import Entry, entries_of
from referrals.web.worths import NOTHING, units_of_payouts, worths
from rewards import payout_guards, queueing, settling
from rewards.models import LedgerEntry, Payout, PayoutAttempt, PayoutGift, PayoutItem, Reward, State
from rewards.payouts import payout_happening

_HISTORY = 30
_MOST_LINES = 20
RETRIED = (State.WAITING, State.ATTENTION)
# What an attempt came to, in the words of a person; empty while it runs, and for ever when its worker died.
ATTEMPTS = {
    "": ("neutral", gettext_lazy("No answer came")),
    "paid": ("issued", gettext_lazy("Paid")),
    "sent": ("sending", gettext_lazy("Taken")),
    "failed": ("problem", gettext_lazy("Refused")),
    "unknown": ("review", gettext_lazy("No clear answer")),
    "unsent": ("due", gettext_lazy("Not reached")),
    "ask": ("problem", gettext_lazy("Somebody has to look")),
}
ANSWERS: dict[str, bool] = {"paid": True, "unpaid": False}


@dataclass(frozen=True, slots=True)
class Try:
    """One try at sending it, or at finding out what became of it."""

    number: int
    began_at: datetime
    ended_at: datetime | None
    tag: Tag
    reference: str
    message: str


@dataclass(frozen=True, slots=True)
class Item:
    """One reward that it delivers, with what went out for it."""

    url: str
    text: str
    friend: str
    amount: str
    state: str


def payout_of_page(request: MerchantRequest, public_id: str) -> Payout:
    """The tenant's payout with what its page reads; Http404 for any other."""
    rows = Payout.objects.select_related("batch", "participant__campaign", "merchant", "shipment", "veto")
    return own(rows, request, public_id)


@require_safe
@member()
def payout(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Everything about one payout."""
    return render(request, "web/payouts/show.html", show_context(request, payout_of_page(request, public_id)))


def show_context(request: MerchantRequest, row: Payout) -> dict[str, Any]:
    """Context of web/payouts/show.html; ten queries at most."""
    items = list(items_of(row))
    can_change = request.membership.may(Role.MANAGER)
    waiting = [item.reward for item in items if item.reward.state in RETRIED and item.reward.payout_id is None]
    known = facts(request, row)
    # What goes by hand, by file or as a code of our own asks no company; what was settled wholly is over without having asked.
    will_ask = registry.issuer(row.method) is not None and row.status not in {"paid", "undone"}
    return {
        **known,
        "shows_tries": bool(known["tries"]) or will_ask,
        "items": [_item(item) for item in items],
        "netted": netted_words(row),
        "netted_lines": list(netted_lines(row)),
        "history": history(request, row),
        "told": told(request, row),
        "gift": PayoutGift.objects.filter(payout=row).first(),
        "can_change": can_change,
        "can_decide": can_change and row.status == "needs_attention",
        "can_withdraw": can_change and Payout.objects.filter(queueing.WITHDRAWABLE, pk=row.pk).exists(),
        "can_retry": can_change and bool(waiting),
        "can_ask": can_change and can_be_asked(row),
        "side": str(row.get_side_display()),
    }


def can_be_asked(row: Payout) -> bool:
    """Whether the company can be asked now what became of it: it was called, and no worker is about to ask by itself."""
    return bool(row.called_at) and row.status not in {"queued", "sending"} and registry.issuer(row.method) is not None


def facts(request: MerchantRequest, row: Payout) -> dict[str, Any]:
    """Both sides' facts: what we sent when with which key, what the company said. Four queries."""
    tenant = request.tenant
    company = companies(tenant, [row.account]).get(row.account, "")
    person = row.participant
    destination = person.destinations.filter(public_id=row.destination).first() if row.destination else None
    return {
        "payout": row,
        "person": person,
        "person_name": person.name or person.email,
        "person_url": reverse("web:participant", args=[person.public_id]),
        "amount": worths([row.amount], units_of_payouts([row]).get(row.pk, NOTHING)),
        "tag": Tag(STATUS_TONES.get(row.status, "neutral"), status_text(row.status)),
        "words": words_of(row, company, stopped=payout_guards.is_stopped(tenant)),
        "method": method_text(row.method),
        "company": company,
        "address": destination.hint if destination else person.email,
        "address_kind": str(destination.get_method_display()) if destination else _("E-mail"),
        "tries": [_try(one) for one in row.tries.order_by("number")],
    }


def items_of(row: Payout) -> QuerySet[PayoutItem]:
    """What it delivers, with the rewards and the events they were earned for."""
    rewards = Reward.objects.select_related("event__participant")
    return row.items.order_by("pk").prefetch_related(Prefetch("reward", queryset=rewards))


def _item(item: PayoutItem) -> Item:
    reward = item.reward
    friend = reward.event.participant
    return Item(
        url=reverse("web:reward", args=[reward.public_id]),
        text=earned_for(reward.event),
        friend=friend.name or friend.email,
        amount=monies([Money(item.amount_minor, reward.currency)]) if reward.units is None else str(reward.worth),
        state=reward.state,
    )


def _try(one: PayoutAttempt) -> Try:
    tone, words = ATTEMPTS.get(one.state, ("neutral", one.state))
    text = _("Runs now") if not one.state and one.ended_at is None and one.payout.status == "sending" else str(words)
    return Try(one.number, one.began_at, one.ended_at, Tag(tone, text), one.reference, one.message)


def netted_lines(row: Payout) -> QuerySet[LedgerEntry]:
    """What was taken back or added before, of rewards that had gone out: everything since the last payout that settled it all."""
    if not row.netted_minor:
        return LedgerEntry.objects.none()
    mine = Payout.objects.filter(participant=row.participant_id, side=row.side, pk__lt=row.pk)
    settled = mine.filter(amount_minor__gt=0).exclude(status__in=["failed", "undone"]).order_by("-pk").first()
    lines = LedgerEntry.objects.filter(
        participant=row.participant_id,
        side=row.side,
        kind__in=["reverse", "adjust"],
        created_at__lte=row.created_at,
        reward__payout_items__payout__in=mine,
    )
    if settled is not None:
        lines = lines.filter(created_at__gt=settled.created_at)
    return lines.select_related("reward").distinct().order_by("pk")[:_MOST_LINES]


def history(request: MerchantRequest, row: Payout) -> list[Entry]:
    """Its Events, newest first."""
    rows = Event.objects.for_tenant(request.tenant).filter(subject_id=row.public_id)
    return entries_of(rows.order_by("-pk")[:_HISTORY])


def told(request: MerchantRequest, row: Payout) -> list[InboundEvent]:
    """The status messages that came about it, newest first."""
    rows = InboundEvent.objects.for_tenant(request.tenant).filter(event_ref=row.public_id).defer("body")
    return list(rows.order_by("-pk")[:_MOST_LINES])


# --- what can be done about it ---


class DecideForm(NoteForm):
    """What a person knows of a payout, with how they know it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, action="decide", **kwargs)
        field = self.fields["note"]
        field.required = True
        field.label = _("How do you know?")
        field.help_text = _("For example what the company's own page says. Your team sees it in the history.")
        field.error_messages["required"] = _("Write down how you know it, so that your team can follow it later.")


@require_POST
@member()
def payout_ask(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Ask the company now what became of it, and take what it says."""
    row = payout_of_page(request, public_id)
    before = row.status
    if not can_be_asked(row):
        messages.info(request, _("There is nobody to ask about this payout now."))
        return _to(row)
    try:
        status = carrier.ask_now(row.pk)
    except (ProviderError, HttpError) as error:
        messages.error(request, _("The company could not be asked: %(why)s") % {"why": error})
        return _to(row)
    if status == before:
        messages.info(request, _("Asked. The company says nothing new; the payout stands where it stood."))
    else:
        messages.success(request, _("Asked. The payout is now: %(status)s") % {"status": status_text(status)})
    return _to(row)


@require_POST
@member()
def payout_gift(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Show what the recipient was given, in full. Whoever has it has the money: the history says who looked."""
    row = payout_of_page(request, public_id)
    gift = PayoutGift.objects.filter(payout=row).first()
    if gift is None:
        raise Http404
    secrets = gift.secrets
    with transaction.atomic():
        record(row.tenant, request.actor, payout_happening(types.PAYOUT_GIFT_SEEN, row))
    return render(request, "web/payouts/show.html", {**show_context(request, row), "revealed": secrets})


@require_http_methods(["GET", "HEAD", "POST"])
@member()
def payout_decide(request: MerchantRequest, public_id: str, answer: Literal["paid", "unpaid"]) -> HttpResponse:
    """Say what happened to a payout of which nobody knows: first the question with what follows from it, then the deed."""
    row = payout_of_page(request, public_id)
    if row.status != "needs_attention":
        messages.info(request, _("This payout is decided already: %(status)s.") % {"status": status_text(row.status)})
        return _to(row)
    if request.method != "POST":
        return _question(request, row, answer, DecideForm())
    form = DecideForm(request.POST)
    if not form.is_valid():
        return _question(request, row, answer, form, status=422)
    paid = ANSWERS[answer]
    # Somebody else may have answered in the meantime, or the company: then this changes nothing, and the page says what stands.
    status = settling.decide(row.pk, paid=paid, actor=request.actor, note=form.cleaned_data["note"])
    row.refresh_from_db()
    if status == "paid" and paid:
        messages.success(request, _("Written down as paid"))
    elif status == "failed" and not paid:
        messages.success(request, _("Written down as not paid; its rewards are due again"))
    else:
        messages.info(request, _("This payout is decided already: %(status)s.") % {"status": status_text(status)})
    return _to(row)


def _question(
    request: MerchantRequest, row: Payout, answer: str, form: DecideForm, *, status: int = 200
) -> HttpResponse:
    context = {**facts(request, row), "paid": ANSWERS[answer], "form": form}
    return render(request, "web/payouts/decide.html", context, status=status)


@require_POST
@member()
def payout_retry(request: MerchantRequest, public_id: str) -> HttpResponse:
    """The cause is mended: what it did not deliver is due again."""
    row = payout_of_page(request, public_id)
    rewards = row.items.filter(reward__state__in=RETRIED, reward__payout=None).values_list("reward", flat=True)
    keys = list(rewards.order_by("reward"))
    try:
        count = queueing.try_again(tenant=request.tenant, reward_ids=keys, actor=request.actor) if keys else 0
    except Refused as refusal:
        return refused_here(request, refusal, back=_url(row))
    if count:
        words = ngettext("%(n)s reward is due again", "%(n)s rewards are due again", count)
        messages.success(request, words % {"n": f"{count:,}"})
    else:
        messages.info(request, _("There was nothing to try again."))
    return _to(row)


@require_POST
@member()
def payout_withdraw_one(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Take it back before it leaves."""
    row = payout_of_page(request, public_id)
    if queueing.withdraw(payouts=[row.pk], tenant=request.tenant, actor=request.actor):
        messages.success(request, _("Withdrawn; its rewards are due again"))
    else:
        messages.warning(request, _("It could not be withdrawn: it has left, or it is over."))
    return _to(row)


def _url(row: Payout) -> str:
    return reverse("web:payout", args=[row.public_id])


def _to(row: Payout) -> HttpResponseRedirect:
    return HttpResponseRedirect(_url(row), status=303)
