"""Deciding and owing: join, qualify, refund, ban. Facts go to `participants`, the pure answer comes from `eligibility`, and the
difference to what is recorded is written as rewards, ledger lines and Events, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from campaigns.models import Campaign
from campaigns.rules import rules_of
from campaigns.terms import OWN_EVENTS
from participants import services as facts
from participants import waiting
from participants.attribution import Claim
from participants.fraud.traces import Seen
from participants.joining import enrol
from participants.models import Participant, QualifyingEvent, Referral, Refund, WaitingEvent
from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.services import Actor, Happening, record
from referrals.lib import clock
from referrals.lib.codes import random_text
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from rewards import customers, fraud, lifecycle
from rewards.deciding import lock_people, redecide, refold
from rewards.models import Decision, Reward, State


@dataclass(frozen=True, slots=True)
class Joined:
    """Who joined, whether just now, and through whom."""

    participant: Participant
    created: bool
    referral: Referral | None


@dataclass(frozen=True, slots=True)
class Qualified:
    """The event, whether this call recorded it, its current decisions, and the rewards that stand for it."""

    event: QualifyingEvent
    created: bool
    decisions: list[Decision] = field(default_factory=list)
    rewards: list[Reward] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Refunded:
    """What was taken back, of which event (None while it waits for it), and whether just now."""

    refund: Refund
    event: QualifyingEvent | None
    created: bool


def join(
    *,
    campaign: Campaign,
    email: str,
    actor: Actor,
    source: str,
    first_name: str = "",
    last_name: str = "",
    language: str = "",
    referred_by_code: str = "",
    referred_by_email: str = "",
    promotion_code: str = "",
    visitor: str = "",
    cookie_code: str = "",
    link_code: str = "",
    fraud_level: str = "",
    existing_customer: bool = False,
    seen: Seen | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Joined:
    """Add a participant, bind them to their referrer, and award what joining earns. Idempotent by e-mail (API.md v1).

    Raises Refused: email_invalid, code_not_found, referrer_not_found, self_referral, campaign_not_started|paused|ended.
    """
    claim = Claim(
        code=referred_by_code,
        promotion_code=promotion_code,
        email=referred_by_email,
        cookie_code=cookie_code,
        visitor=visitor,
        link_code=link_code,
    )
    with transaction.atomic():
        done = enrol(
            campaign=campaign,
            email=email,
            actor=actor,
            source=source,
            claim=claim,
            first_name=first_name,
            last_name=last_name,
            language=language,
            fraud_level=fraud_level,
            existing_customer=existing_customer,
            metadata=metadata,
        )
        if done.created or done.referral_created:
            fraud.after_joining(done.participant, seen, referred=done.referral_created, is_new=done.created)
        if done.referral_created:
            award_joining(done.participant, actor)
    return Joined(done.participant, done.created, done.referral)


def award_joining(participant: Participant, actor: Actor, at: datetime | None = None) -> None:
    """Decide what joining earns, if the campaign has a rule for it: once for a person. Runs in the caller's transaction."""
    campaign = participant.campaign
    if campaign.version_id is None:
        return
    if not any(terms.event == "join" for _pk, terms in rules_of(campaign.version_id, campaign.currency)):
        return
    event, created = facts.add_event(
        participant=participant,
        type_="join",
        amount=None,
        source="passalong",
        external_id=f"join:{participant.public_id}",
        occurred_at=at or clock.now(),
        metadata={},
    )
    if created:
        redecide(participant, actor, since=event.occurred_at)


def qualify(
    *,
    participant: Participant,
    actor: Actor,
    source: str,
    amount: Money | None = None,
    external_id: str = "",
    type: str = "purchase",
    occurred_at: datetime | None = None,
    references: Sequence[str] = (),
    customer_id: str = "",
    first_purchase_at: datetime | None = None,
    metadata: Mapping[str, Any] | None = None,
    seen: Seen | None = None,
) -> Qualified:
    """Record what a participant did and decide every rule about it, at once and durably (API.md v2, `POST events`).

    `first_purchase_at` is the source's word on when this person first bought: before they joined, they were a customer.

    Idempotent by (campaign, source, external id) and by any of `references`, the source's other names for the same payment. Without
    an external id each call is a new event. Raises Refused: campaign_not_started (a draft), currency, occurred_at,
    amount_changed (409: the same id with another amount).
    """
    _check_event(participant.campaign, amount, occurred_at, external_id, type)
    with transaction.atomic():
        known = facts.find_event(participant.tenant, source, references)
        if known is not None:
            return _again(known, amount, references, actor)
        event, created = facts.add_event(
            participant=participant,
            type_=type,
            amount=amount,
            source=source,
            external_id=external_id or f"auto:{random_text(22)}",
            occurred_at=occurred_at or clock.now(),
            metadata=metadata or {},
        )
        if not created:
            return _again(event, amount, references, actor)
        if references:
            facts.name_event(event, references)
            facts.claim_waiting_refunds(event, [*references, external_id])
            _take_back(event)
        if any(terms.asks_for_customers for _pk, terms in rules_of(event.version_id, event.currency)):
            customers.note(participant, actor, customer_id=customer_id, first_purchase_at=first_purchase_at)
        fraud.after_event(participant, event, seen)
        decided = redecide(participant, actor, recorded=event)
        if references:
            _tell_refunds(event, actor, event.refunds.order_by("occurred_at", "pk"))
        if customer_id and identify(participant=participant, source=source, customer_id=customer_id, actor=actor):
            decided = redecide(participant, actor)
        return Qualified(event, True, decided.decisions_of(event), decided.rewards_of(event))


def identify(*, participant: Participant, source: str, customer_id: str, actor: Actor) -> int:
    """Remember a source's id of a person, and decide what waited for it. Returns how many events came of it; idempotent."""
    with transaction.atomic():
        # People before rows about them, here as everywhere.
        participant = _lock(participant.pk)
        facts.name_customer(participant, source, customer_id)
        rows = waiting.take(participant, source, customer_id)
        for row in rows:
            done = qualify(
                participant=participant,
                actor=actor,
                source=source,
                amount=row.amount,
                external_id=row.external_id,
                type=row.type,
                occurred_at=row.occurred_at,
                references=row.references,
                first_purchase_at=row.first_purchase_at,
                metadata=row.metadata,
            )
            WaitingEvent.objects.filter(pk=row.pk).update(event_ref=done.event.public_id)
    return len(rows)


def keep_waiting(
    *,
    campaign: Campaign,
    actor: Actor,
    source: str,
    customer_id: str,
    amount: Money | None = None,
    external_id: str = "",
    type: str = "purchase",
    occurred_at: datetime | None = None,
    first_purchase_at: datetime | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> tuple[WaitingEvent, bool]:
    """Keep what somebody did whom nobody knows yet by this id; identify() decides it. Idempotent by (campaign, source, external id).

    Raises Refused as qualify() does, amount_changed (409) for the same id with another amount.
    """
    _check_event(campaign, amount, occurred_at, external_id, type)
    if campaign.version_id is None:
        raise Refused("campaign_not_started", facts.closed_message(campaign, "campaign_not_started"))
    with transaction.atomic():
        row, created = waiting.keep(
            tenant=campaign.tenant,
            campaign=campaign,
            source=source,
            customer_id=customer_id,
            type_=type,
            amount=amount,
            external_id=external_id or f"auto:{random_text(22)}",
            occurred_at=occurred_at or clock.now(),
            metadata=metadata,
            first_purchase_at=first_purchase_at,
        )
        if not created and (row.amount, row.customer_id) != (amount, customer_id):
            message = _("The event %(id)s is already waiting with another amount or customer; use another id.")
            raise Refused("amount_changed", message % {"id": row.external_id}, field="external_id", status=409)
        if created:
            data = {"customer_id": customer_id[:64], "external_id": row.external_id, "source": source}
            told = Happening(types.EVENT_WAITING, "event", row.public_id, campaign=campaign.public_id, data=data)
            record(campaign.tenant, actor, told)
    return row, created


def _again(event: QualifyingEvent, amount: Money | None, references: Sequence[str], actor: Actor) -> Qualified:
    """The stored answer for a fact that is known. Another amount under the same name is a mistake somewhere: it is refused.

    A later message may know further names of the payment, and a refund may have waited under one of them.
    """
    if amount is not None and event.amount_minor is not None and amount.minor != event.amount_minor:
        message = _(
            "The event %(id)s is already recorded with %(old)s; %(new)s was sent now. Record a refund, or use another id."
        )
        words = {"id": event.external_id, "old": event.amount, "new": amount}
        raise Refused("amount_changed", message % words, field="amount", status=409)
    if references:
        lock_people(event.participant)
        facts.name_event(event, references)
        known = set(event.refunds.values_list("pk", flat=True))
        if facts.claim_waiting_refunds(event, references):
            _take_back(event)
            _tell_refunds(event, actor, event.refunds.exclude(pk__in=known).order_by("occurred_at", "pk"))
            redecide(event.participant, actor, since=event.occurred_at)
    decisions = list(event.decisions.filter(current=True).order_by("pk"))
    return Qualified(event, False, decisions, list(event.rewards.order_by("pk")))


def _check_event(
    campaign: Campaign, amount: Money | None, occurred_at: datetime | None, external_id: str, type_: str
) -> None:
    if amount is not None and amount.currency != campaign.currency:
        message = _("%(amount)s is in %(given)s; the campaign %(name)s counts in %(wanted)s.")
        words = {"amount": amount, "given": amount.currency, "name": campaign.name, "wanted": campaign.currency}
        raise Refused("currency", message % words, field="currency")
    if amount is not None and amount.minor < 0:
        raise Refused("amount_not_positive", _("%(amount)s is below zero.") % {"amount": amount}, field="amount")
    _check_moment(occurred_at)
    if len(external_id) > 255:
        raise Refused("too_long", _("An external id has at most 255 characters."), field="external_id")
    if type_ in OWN_EVENTS or not 0 < len(type_) <= 40:
        message = _("%(type)r can't be recorded; joining, a status or the end of a leaderboard writes it.")
        raise Refused("event_type", message % {"type": type_}, field="type")


def _check_moment(occurred_at: datetime | None) -> None:
    """Facts are decided by their times: one of the future would outweigh all that comes before it."""
    if occurred_at is not None and occurred_at > clock.now() + timedelta(minutes=5):
        raise Refused(
            "occurred_at", _("%(time)s is in the future.") % {"time": occurred_at.isoformat()}, field="occurred_at"
        )


def refund(
    *,
    tenant: Tenant,
    actor: Actor,
    source: str,
    external_id: str,
    event: QualifyingEvent | None = None,
    references: Sequence[str] = (),
    amount: Money | None = None,
    kind: str = "refund",
    occurred_at: datetime | None = None,
) -> Refunded:
    """Record money taken back (all of it without `amount`) and decide again. Idempotent by (tenant, source, external id).

    One that comes before its purchase waits for it. Raises Refused: currency, amount_not_positive, refund_too_large, occurred_at.
    """
    _check_moment(occurred_at)
    with transaction.atomic():
        by_hand = event is not None
        event = event or facts.find_event(tenant, source, references)
        if event is not None:
            # The friend's row is the lock under which everything about them is decided.
            lock_people(event.participant)
            event = QualifyingEvent.objects.select_related("participant__campaign__merchant").get(pk=event.pk)
            _check_refund(event, amount)
            if by_hand:
                _refuse_too_much(event, amount, external_id, source)
        row, created = facts.add_refund(
            tenant=tenant,
            source=source,
            external_id=external_id,
            event=event,
            references=references,
            amount=amount,
            kind=kind,
            occurred_at=occurred_at or clock.now(),
        )
        if not created or event is None:
            return Refunded(row, event or row.event, created)
        _take_back(event)
        _tell_refunds(event, actor, [row])
        redecide(event.participant, actor, since=event.occurred_at)
    return Refunded(row, event, True)


def _check_refund(event: QualifyingEvent, amount: Money | None) -> None:
    if amount is None:
        return
    if amount.currency != event.currency:
        message = _("%(amount)s is not in the event's currency, %(wanted)s.")
        raise Refused("currency", message % {"amount": amount, "wanted": event.currency}, field="amount")
    if amount.minor <= 0:
        raise Refused("amount_not_positive", _("%(amount)s is not above zero.") % {"amount": amount}, field="amount")


def _refuse_too_much(event: QualifyingEvent, amount: Money | None, external_id: str, source: str) -> None:
    """A person or a program can't take back more than was paid. A provider's facts come in any order and are taken as they are."""
    if amount is None:
        return
    known = Refund.objects.for_tenant(event.tenant).filter(source=source, external_id=external_id[:255]).exists()
    kept = event.kept
    if not known and kept is not None and kept < amount:
        message = _("%(amount)s is more than the %(kept)s that are left of this payment.")
        raise Refused("refund_too_large", message % {"amount": amount, "kept": kept}, field="amount")


def _take_back(event: QualifyingEvent) -> None:
    """Bring the event's own figures in line with its refunds."""
    changed = {name: value for name, value in facts.taken_back(event).items() if getattr(event, name) != value}
    for name, value in changed.items():
        setattr(event, name, value)
    if changed:
        event.save(update_fields=list(changed))


def _tell_refunds(event: QualifyingEvent, actor: Actor, rows: Iterable[Refund]) -> None:
    """Write into the history what was taken back of an event: as it comes, or when the payment that it waited for is there."""
    happenings = []
    for row in rows:
        type_ = types.EVENT_REFUNDED if row.kind in {"refund", "cancelled"} else types.EVENT_DISPUTED
        data = {
            "kind": row.kind,
            "amount_minor": row.amount_minor,
            "currency": event.currency,
            "refund": row.public_id,
        }
        happenings.append(event_happening(type_, event, data))
    record(event.tenant, actor, *happenings)


def event_happening(type_: str, event: QualifyingEvent, data: dict[str, Any]) -> Happening:
    """An Event about a qualifying event, shown on the friend's timeline."""
    return Happening(
        type_,
        "event",
        event.public_id,
        campaign=event.participant.campaign.public_id,
        participant=event.participant.public_id,
        data=data,
    )


def ban(*, participant: Participant, actor: Actor, reason: str) -> Participant:
    """Stop a person from earning: their rewards that have not left are held, and new events fail `referrer_banned`. unban() undoes it."""
    if not reason.strip():
        raise Refused("note_required", _("Say why, so that it can be explained later."), field="reason")
    with transaction.atomic():
        row = _lock_with_friends(participant.pk)
        if row.banned_at is not None:
            raise Refused("invalid_state", _("%(who)s is already banned.") % {"who": row}, status=409)
        row.banned_at, row.ban_reason = clock.now(), reason.strip()[:300]
        row.save(update_fields=["banned_at", "ban_reason"])
        record(row.tenant, actor, _about(types.PARTICIPANT_BANNED, row, {"reason": row.ban_reason}))
        opened = {State.REVIEW, State.DUE}
        open_rewards = _locked_rewards(Q(participant=row, state__in=opened))
        targets = [
            lifecycle.Target(reward, State.HELD, lifecycle.BANNED) for reward in open_rewards if reward.state in opened
        ]
        lifecycle.move(lifecycle.ACTS["hold"], targets, actor=actor, note=row.ban_reason)
    return row


def unban(*, participant: Participant, actor: Actor, note: str = "") -> Participant:
    """Undo a ban: what it held goes on, and what happened meanwhile is decided again."""
    with transaction.atomic():
        row = _lock_with_friends(participant.pk)
        if row.banned_at is None:
            raise Refused("invalid_state", _("%(who)s is not banned.") % {"who": row}, status=409)
        row.banned_at, row.ban_reason = None, ""
        row.save(update_fields=["banned_at", "ban_reason"])
        record(row.tenant, actor, _about(types.PARTICIPANT_UNBANNED, row, {"note": note}))
        now = clock.now()
        friends = list(
            Participant.objects.filter(referral__referrer=row, qualifying_events__decisions__reason="referrer_banned")
            .distinct()
            .order_by("pk")
        )
        # Also those that deciding again may touch, all in the order of their keys.
        locked = _locked_rewards(Q(participant=row, state=State.HELD), Q(event__participant__in=friends))
        held = [reward for reward in locked if (reward.participant_id, reward.reason) == (row.pk, lifecycle.BANNED)]
        targets = [
            lifecycle.Target(reward, lifecycle.pipeline_state(reward, now))
            for reward in held
            if reward.state == State.HELD
        ]
        lifecycle.move(lifecycle.ACTS["release"], targets, actor=actor, note=note)
        for friend in friends:
            redecide(friend, actor, since=now)
        refold(row, actor)
    return row


def _lock(participant_id: int) -> Participant:
    """The person's row, locked against changes but not against rows that refer to it: those are written under locks on rewards."""
    return (
        Participant.objects.select_for_update(of=("self",), no_key=True)
        .select_related("campaign", "merchant")
        .get(pk=participant_id)
    )


def _lock_with_friends(participant_id: int) -> Participant:
    """The person's row; those whom they invited are locked with it, so that what a friend does meanwhile is decided before or after."""
    friends = Referral.objects.filter(referrer=participant_id).values_list("invitee_id", flat=True)
    people = Participant.objects.filter(pk__in=[participant_id, *friends]).order_by("pk")
    list(people.select_for_update(of=("self",), no_key=True).only("pk"))
    return _lock(participant_id)


def _locked_rewards(*which: Q) -> list[Reward]:
    """The rewards that match one of the conditions, locked in the order of their keys. Each is looked up in an index of its own."""
    keys = {pk for condition in which for pk in Reward.objects.filter(condition).values_list("pk", flat=True)}
    rows = Reward.objects.filter(pk__in=keys).order_by("pk")
    return list(rows.select_for_update(of=("self",)).select_related("participant", "campaign", "merchant"))


def _about(type_: str, participant: Participant, data: dict[str, Any]) -> Happening:
    return Happening(
        type_,
        "participant",
        participant.public_id,
        campaign=participant.campaign.public_id,
        participant=participant.public_id,
        data=data,
    )
