"""One person's page: who they are, what they did, what they earned and why; and everything a merchant may do about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from campaigns.terms import Units
from participants.links import share_link, short_link
from participants.models import Participant, QualifyingEvent, Referral
from participants.visits import VisitCount, counts_of
from referrals.accounts.models import Role
from referrals.events.models import Event
from referrals.lib import clock
from referrals.lib.codes import random_text
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from referrals.web.access import MerchantRequest, member, own
from referrals.web.campaign_forms import apply_refusal
from referrals.web.campaigns import locale
from referrals.web.limits import limits_of_person
from referrals.web.participant_forms import CompleteForm, DetailsForm, NoteForm, ReasonForm, RefundForm
from referrals.web.participants import referrer_of
from referrals.web.timeline import entries_of
from rewards import bans, refunds, services
from rewards.balances import balances_of
from rewards.customers import change_participant
from rewards.models import Decision, Reward
from rewards.reasons import sentence

SHOWN = 50
SOURCE = "manual"


@dataclass(frozen=True, slots=True)
class Friend:
    """Somebody they invited: the state as a stage's status ("" for none), what was earned for them, and one sentence."""

    referral: Referral
    status: str
    amount: Money | Units | None
    text: str


def _person(request: MerchantRequest, public_id: str) -> Participant:
    rows = Participant.objects.select_related("campaign", "merchant", "referral__referrer")
    return own(rows, request, public_id)


def _page(person: Participant) -> str:
    return reverse("web:participant", args=[person.public_id])


@member()
def participant_page(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Everything about one person."""
    person = _person(request, public_id)
    return _render(request, person, DetailsForm(instance=person))


@member()
def participant_edit(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Names, notes, whether they were a customer before."""
    person = _person(request, public_id)
    if request.method != "POST":
        return redirect(_page(person))
    form = DetailsForm(request.POST, instance=person)
    if not form.is_valid():
        return _render(request, _person(request, public_id), form, status=422)
    try:
        change_participant(participant=person, actor=request.actor, **form.cleaned_data)
    except Refused as error:
        return _render(request, _person(request, public_id), form, status=apply_refusal(form, error))
    messages.success(request, _("Details saved"))
    return redirect(_page(person))


def _render(request: MerchantRequest, person: Participant, form: DetailsForm, *, status: int = 200) -> HttpResponse:
    balances = balances_of([person.pk])[person.pk]
    rewards = Reward.objects.filter(participant=person).select_related("event__participant").order_by("-pk")[:SHOWN]
    context = {
        "person": person,
        "form": form,
        "referrer": referrer_of(person),
        "past_bonds": person.referrals_had.exclude(detached_at=None).select_related("referrer").order_by("-pk")[:5],
        "link": share_link(person),
        "short": short_link(person.referral_code),
        "visits": visits_text(counts_of([person.pk]).get(person.pk, VisitCount())),
        "balances": [
            (_("By inviting"), _side(balances.referrer, person.campaign.currency)),
            (_("By joining"), _side(balances.invitee, person.campaign.currency)),
        ],
        "friends": friends_of(person),
        "rewards": rewards,
        "events": person.qualifying_events.exclude(type="join").order_by("-occurred_at", "-pk")[:SHOWN],
        "timeline": entries_of(timeline(person), viewpoint=person.public_id),
        "limits": limits_of_person(person, locale()),
        "may_change": request.membership.may(Role.MANAGER),
    }
    return render(request, "web/participants/person.html", context, status=status)


def _side(balance: Any, currency: str) -> list[tuple[str, Money]]:
    return [
        (_("Earned"), Money(balance.earned, currency)),
        (_("Issued"), Money(balance.redeemed, currency)),
        (_("Left"), Money(balance.left, currency)),
    ]


def visits_text(count: VisitCount) -> str:
    """ "12 clicks, 31 bots hidden"."""
    clicks = ngettext("%(n)d click", "%(n)d clicks", count.counted) % {"n": count.counted}
    if not count.hidden:
        return clicks
    hidden = ngettext("%(n)d bot hidden", "%(n)d bots hidden", count.hidden) % {"n": count.hidden}
    return f"{clicks}, {hidden}"


def timeline(person: Participant) -> list[Event]:
    """What happened to them and to those they invited, newest first: two look-ups in two indexes."""
    mine, made = timeline_queries(person.public_id)
    found = {event.pk: event for event in (*mine, *made)}
    return [found[pk] for pk in sorted(found, reverse=True)[:SHOWN]]


def timeline_queries(public_id: str) -> tuple[QuerySet[Event], QuerySet[Event]]:
    """Events about a person, and about those they invited. The indexes leave empty names out; SQLite wants to hear that again."""
    mine = Event.objects.filter(participant_ref=public_id).exclude(participant_ref="").order_by("-pk")
    made = Event.objects.filter(referrer_ref=public_id).exclude(referrer_ref="").order_by("-pk")
    return mine[:SHOWN], made[:SHOWN]


def friends_of(person: Participant) -> list[Friend]:
    """The newest people they invited, each with where the newest reward stands or why there is none. Three queries."""
    their = QualifyingEvent.objects.filter(participant=OuterRef("invitee")).exclude(type="join")
    earned = Reward.objects.filter(event__participant=OuterRef("invitee"), participant=person, side="referrer")
    decided = Decision.objects.filter(event__participant=OuterRef("invitee"), side="referrer", current=True)
    rows: list[Any] = list(
        Referral.objects.filter(referrer=person, detached_at=None)
        .select_related("invitee")
        .annotate(
            bought=Exists(their),
            reward=Subquery(earned.order_by("-pk").values("pk")[:1]),
            decision=Subquery(decided.exclude(event__type="join").order_by("-pk").values("pk")[:1]),
        )
        .order_by("-pk")[:SHOWN]
    )
    rewards = Reward.objects.in_bulk([row.reward for row in rows if row.reward])
    decisions = Decision.objects.in_bulk([row.decision for row in rows if row.decision])
    return [_friend(row, rewards.get(row.reward), decisions.get(row.decision)) for row in rows]


def _friend(referral: Any, reward: Reward | None, decision: Decision | None) -> Friend:
    if reward is not None:
        return Friend(referral, reward.state, reward.worth, "")
    if not referral.bought:
        return Friend(referral, "", None, _("Joined; has not bought yet"))
    return Friend(referral, "", None, (decision and why_not(decision)) or _("Bought; nothing was owed for it"))


def why_not(decision: Decision) -> str:
    """The first condition that failed, in words; empty when none did."""
    failed = next((condition for condition in decision.conditions if not condition["passed"]), None)
    return sentence(failed) if failed else ""


def checks_of(decision: Decision) -> list[dict[str, str]]:
    """A decision's conditions for components/_checks.html."""
    return [
        {"state": "ok" if condition["passed"] else "fail", "text": sentence(condition), "facts": ""}
        for condition in decision.conditions
    ]


@member(role=Role.MANAGER)
def participant_complete(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Record by hand what they did: the decision about it is shown at once."""
    person = _person(request, public_id)
    posted = request.method == "POST"
    start = {"key": random_text(16), "occurred_at": clock.now()}
    form = CompleteForm(request.POST if posted else None, initial=start, currency=person.campaign.currency)
    status = 200
    if posted:
        status = 422
        if form.is_valid():
            try:
                return _complete(request, person, form)
            except Refused as error:
                error.field = {"external_id": "reference"}.get(error.field, error.field)
                status = apply_refusal(form, error)
            except ValidationError as error:
                form.add_error("reference", error)
                status = 409
    context = {"person": person, "form": form, "referrer": referrer_of(person)}
    return render(request, "web/participants/complete.html", context, status=status)


def _complete(request: MerchantRequest, person: Participant, form: CompleteForm) -> HttpResponse:
    data = form.cleaned_data
    reference = data["reference"].strip()
    done = services.qualify(
        participant=person,
        actor=request.actor,
        source=SOURCE,
        amount=data["amount"],
        external_id=reference or data["key"],
        occurred_at=data["occurred_at"],
    )
    if done.event.participant_id != person.pk:
        raise ValidationError(
            _("%(reference)s is already recorded for another participant.") % {"reference": reference}
        )
    if not done.created:
        messages.info(request, _("This was already recorded; nothing was changed."))
    elif done.rewards:
        count = len(done.rewards)
        messages.success(
            request, ngettext("Recorded: %(n)d reward earned", "Recorded: %(n)d rewards earned", count) % {"n": count}
        )
    else:
        messages.warning(request, _("Recorded. No reward: the reasons are below."))
    return redirect("web:participant_event", person.public_id, done.event.public_id)


def _event(request: MerchantRequest, person: Participant, event_id: str) -> QualifyingEvent:
    rows = QualifyingEvent.objects.for_tenant(request.tenant).filter(participant=person)
    event = rows.filter(public_id=event_id).first()
    if event is None:
        raise Http404
    return event


@member()
def participant_event(request: MerchantRequest, public_id: str, event_id: str) -> HttpResponse:
    """One event: the decision of each rule with every condition, the rewards, and what was taken back."""
    person = _person(request, public_id)
    event = _event(request, person, event_id)
    form = RefundForm(initial={"key": random_text(16)}, currency=event.currency)
    return _render_event(request, person, event, form)


@member()
def participant_refund(request: MerchantRequest, public_id: str, event_id: str) -> HttpResponse:
    """Record that money of this event was given back."""
    person = _person(request, public_id)
    event = _event(request, person, event_id)
    page = reverse("web:participant_event", args=[person.public_id, event.public_id])
    if request.POST.get("from") == "purchase":
        page = reverse("web:purchase", args=[event.public_id])
    if request.method != "POST":
        return redirect(page)
    form = RefundForm(request.POST, currency=event.currency)
    status = 422
    if form.is_valid():
        data = form.cleaned_data
        reference = data["reference"].strip() or data["key"]
        try:
            done = refunds.refund(
                tenant=request.tenant,
                actor=request.actor,
                source=SOURCE,
                external_id=reference,
                event=event,
                amount=data["amount"],
            )
        except Refused as error:
            status = apply_refusal(form, error)
        else:
            if done.refund.event_id != event.pk:
                form.add_error(
                    "reference", _("%(reference)s is already recorded for another event.") % {"reference": reference}
                )
                return _render_event(request, person, event, form, status=409)
            if done.created:
                messages.success(request, _("Refund recorded. What it changed is below."))
            else:
                messages.info(request, _("This was already recorded; nothing was changed."))
            return redirect(page)
    return _render_event(request, person, event, form, status=status)


def _render_event(
    request: MerchantRequest, person: Participant, event: QualifyingEvent, form: RefundForm, *, status: int = 200
) -> HttpResponse:
    rewards = {(row.rule_key, row.side): row for row in event.rewards.select_related("participant").standing_last()}
    decisions = event.decisions.filter(current=True).order_by("pk")
    context = {
        "person": person,
        "event": event,
        "form": form,
        "decisions": [
            {
                "row": decision,
                "checks": checks_of(decision),
                "why_not": why_not(decision),
                "reward": rewards.get((decision.rule_key, decision.side)),
            }
            for decision in decisions
        ],
        "refunds": _refunds(event),
        "may_change": request.membership.may(Role.MANAGER),
        "can_refund": event.amount_minor is not None and event.refunded_minor < event.amount_minor,
    }
    return render(request, "web/participants/event.html", context, status=status)


def _refunds(event: QualifyingEvent) -> Sequence[dict[str, Any]]:
    return [
        {"row": row, "amount": event.amount if row.amount_minor is None else Money(row.amount_minor, event.currency)}
        for row in event.refunds.order_by("-occurred_at", "-pk")[:SHOWN]
    ]


@member(role=Role.MANAGER)
def participant_ban(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Stop them from earning: GET says what will happen, POST does it with a reason."""
    person = _person(request, public_id)
    form = ReasonForm(request.POST if request.method == "POST" else None)
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                bans.ban(participant=person, actor=request.actor, reason=form.cleaned_data["reason"])
            except Refused as error:
                status = apply_refusal(form, error)
            else:
                undo = reverse("web:participant_unban", args=[person.public_id])
                messages.success(request, _("%(who)s is banned") % {"who": person}, extra_tags=f"undo:{undo}")
                return redirect(_page(person))
    return render(
        request, "web/participants/ban.html", {"person": person, "form": form, "banning": True}, status=status
    )


@member(role=Role.MANAGER)
def participant_unban(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Lift a ban: what it held goes on, and what happened meanwhile is decided again."""
    person = _person(request, public_id)
    form = NoteForm(request.POST if request.method == "POST" else None)
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                bans.unban(participant=person, actor=request.actor, note=form.cleaned_data["note"])
            except Refused as error:
                status = apply_refusal(form, error)
            else:
                messages.success(request, _("The ban of %(who)s is lifted") % {"who": person})
                return redirect(_page(person))
    return render(
        request, "web/participants/ban.html", {"person": person, "form": form, "banning": False}, status=status
    )
