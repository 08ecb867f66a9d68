"""One person's page: who they are, what they did, what they earned and why; and everything a merchant may do about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from campaigns.terms import Units
from participants import destinations, mailing
from participants.friends import friends_of as friend_bonds
from participants.friends import shares_by_referral
from participants.links import qr_link, share_link, short_link
from participants.models import Participant, QualifyingEvent, Referral, ReferralShare
from participants.visits import VisitCount, counts_of
from referrals.accounts.models import Role
from referrals.events.models import Event
from referrals.lib import clock
from referrals.lib.codes import random_text
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from referrals.web.access import MerchantRequest, member, own
from referrals.web.answers import agreements_of, answers_of, facts_of
from referrals.web.campaign_forms import apply_refusal, carry_out
from referrals.web.campaigns import locale
from referrals.web.limits import limits_of_person
from referrals.web.participant_forms import CompleteForm, DetailsForm, NoteForm, ReasonForm
from referrals.web.participants import referrer_of
from referrals.web.purchase_list import source_words
from referrals.web.reward_rows import earned_for, named_by_source
from referrals.web.timeline import Entry, entries_of, visit_entry
from rewards import bans, services
from rewards.balances import balances_of
from rewards.customers import change_participant
from rewards.models import Decision, Payout, Reward
from rewards.reasons import sentence

SHOWN = 50
_PAYOUTS = 10
SOURCE = "manual"


@dataclass(frozen=True, slots=True)
class Friend:
    """Somebody they invited: the state as a stage's status ("" for none), what was earned for them, and one sentence."""

    referral: Referral
    status: str
    amount: Money | Units | None
    text: str
    # The part of the friend that is theirs, where several share them.
    share: str = ""


def person_of_page(request: MerchantRequest, public_id: str) -> Participant:
    rows = Participant.objects.select_related("campaign", "merchant", "referral__referrer", "referral__visit")
    return own(rows, request, public_id)


def _page(person: Participant) -> str:
    return reverse("web:participant", args=[person.public_id])


@member()
def participant_page(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Everything about one person."""
    person = person_of_page(request, public_id)
    return _render(request, person, DetailsForm(instance=person))


@member()
def participant_edit(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Names, notes, whether they were a customer before."""
    person = person_of_page(request, public_id)
    if request.method != "POST":
        return redirect(_page(person))
    form = DetailsForm(request.POST, instance=person)
    if not form.is_valid():
        return _render(request, person_of_page(request, public_id), form, status=422)
    try:
        change_participant(participant=person, actor=request.actor, **form.cleaned_data)
    except Refused as error:
        return _render(request, person_of_page(request, public_id), form, status=apply_refusal(form, error))
    messages.success(request, _("Details saved"))
    return redirect(_page(person))


def _render(request: MerchantRequest, person: Participant, form: DetailsForm, *, status: int = 200) -> HttpResponse:
    balances = balances_of([person.pk])[person.pk]
    rewards = Reward.objects.filter(participant=person).select_related("event__participant").order_by("-pk")[:SHOWN]
    context = {
        "person": person,
        "form": form,
        "referrer": referrer_of(person),
        "shares": shares_of(person),
        "past_bonds": person.referrals_had.exclude(detached_at=None).select_related("referrer").order_by("-pk")[:5],
        "link": share_link(person),
        "short": short_link(person),
        "qr_svg": qr_link(person, "svg"),
        "qr_png": qr_link(person, "png"),
        "visits": visits_text(counts_of([person.pk]).get(person.pk, VisitCount())),
        "balances": [
            (_("By inviting"), _side(balances.referrer, person.campaign.currency)),
            (_("By joining"), _side(balances.invitee, person.campaign.currency)),
        ],
        "friends": friends_of(person),
        "rewards": rewards,
        "payouts": Payout.objects.filter(participant=person).order_by("-pk")[:_PAYOUTS],
        "events": [
            (event, earned_for(event), named_by_source(event.external_id), source_words(event.source))
            for event in person.qualifying_events.exclude(type="join").order_by("-occurred_at", "-pk")[:SHOWN]
        ],
        "timeline": _timeline(person),
        "answers": answers_of(person, locale()),
        "facts": facts_of(person),
        "agreements": agreements_of(person),
        "bounce": mailing.bounce_of(person),
        "payout_address": destinations.current(person),
        "limits": limits_of_person(person, locale()),
        "may_change": request.membership.may(Role.MANAGER),
    }
    return render(request, "web/participants/person.html", context, status=status)


def _timeline(person: Participant) -> list[Entry]:
    """What happened, newest first; the click that they came by is the first thing that did."""
    events = timeline(person)
    referral = getattr(person, "referral", None)
    came = (
        [visit_entry(referral)] if referral is not None and referral.visit is not None and len(events) < SHOWN else []
    )
    return entries_of(events, viewpoint=person.public_id) + came


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
        Referral.objects.filter(friend_bonds(person))
        .select_related("invitee")
        .annotate(
            bought=Exists(their),
            reward=Subquery(earned.order_by("-pk").values("pk")[:1]),
            decision=Subquery(decided.exclude(event__type="join").order_by("-pk").values("pk")[:1]),
        )
        .order_by("-pk")[:SHOWN]
    )
    mine = ReferralShare.objects.filter(participant=person, referral__in=[row.pk for row in rows if row.split_by])
    parts = {share.referral_id: share.words for share in mine}
    rewards = Reward.objects.in_bulk([row.reward for row in rows if row.reward])
    decisions = Decision.objects.in_bulk([row.decision for row in rows if row.decision])
    return [_friend(row, rewards.get(row.reward), decisions.get(row.decision), parts.get(row.pk, "")) for row in rows]


def shares_of(person: Participant) -> list[ReferralShare]:
    """Who shares this friend; empty where one has the whole. One query, or none."""
    referral = getattr(person, "referral", None)
    return shares_by_referral([referral]).get(referral.pk, []) if referral is not None else []


def _friend(referral: Any, reward: Reward | None, decision: Decision | None, share: str) -> Friend:
    if reward is not None:
        return Friend(referral, reward.state, reward.worth, "", share)
    if not referral.bought:
        return Friend(referral, "", None, _("Joined; has not bought yet"), share)
    return Friend(referral, "", None, (decision and why_not(decision)) or _("Bought; nothing was owed for it"), share)


def why_not(decision: Decision) -> str:
    """The first condition that failed, in words; empty when none did."""
    failed = next((condition for condition in decision.conditions if not condition["passed"]), None)
    return sentence(failed) if failed else ""


@member(role=Role.MANAGER)
def participant_complete(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Record by hand what they did: the decision about it is shown at once."""
    person = person_of_page(request, public_id)
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
        message = _("%(reference)s is already recorded for another participant.") % {"reference": reference}
        raise Refused("external_id_reused", message, field="external_id", status=409)
    if not done.created:
        messages.info(request, _("This was already recorded; nothing was changed."))
    elif done.rewards:
        count = len(done.rewards)
        messages.success(
            request, ngettext("Recorded: %(n)d reward earned", "Recorded: %(n)d rewards earned", count) % {"n": count}
        )
    else:
        messages.warning(request, _("Recorded. No reward: the reasons are below."))
    return redirect("web:purchase", done.event.public_id)


@member(role=Role.MANAGER)
def participant_ban(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Stop them from earning: GET says what will happen, POST does it with a reason."""
    person = person_of_page(request, public_id)
    form = ReasonForm(request.POST if request.method == "POST" else None)
    status = carry_out(form, lambda: bans.ban(participant=person, actor=request.actor, **form.cleaned_data))
    if status is None:
        undo = reverse("web:participant_unban", args=[person.public_id])
        messages.success(request, _("%(who)s is banned") % {"who": person}, extra_tags=f"undo:{undo}")
        return redirect(_page(person))
    context = {"person": person, "form": form, "banning": True}
    return render(request, "web/participants/ban.html", context, status=status)


@member(role=Role.MANAGER)
def participant_unban(request: MerchantRequest, public_id: str) -> HttpResponse:
    """Lift a ban: what it held goes on, and what happened meanwhile is decided again."""
    person = person_of_page(request, public_id)
    form = NoteForm(request.POST if request.method == "POST" else None)
    status = carry_out(form, lambda: bans.unban(participant=person, actor=request.actor, **form.cleaned_data))
    if status is None:
        messages.success(request, _("The ban of %(who)s is lifted") % {"who": person})
        return redirect(_page(person))
    context = {"person": person, "form": form, "banning": False}
    return render(request, "web/participants/ban.html", context, status=status)
