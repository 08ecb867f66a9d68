"""Deciding and owing: join, qualify. Facts go to `participants`, the pure answer comes from `eligibility`, and the difference to what
is recorded is written as rewards, ledger lines and Events, in one transaction. Refunds and bans are in modules of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from campaigns.models import Campaign
from campaigns.rules import rules_of
from campaigns.terms import OWN_EVENTS
from participants import services as facts
from participants import waiting
from participants.attribution import Claim
from participants.fraud.traces import Seen
from participants.joining import enrol
from participants.models import Participant, QualifyingEvent, Referral, WaitingEvent
from participants.names import Reference
from referrals.events import types
from referrals.events.services import Actor, Happening, record
from referrals.lib import clock
from referrals.lib.codes import random_text
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from rewards import customers, fraud, refunds
from rewards.deciding import redecide
from rewards.given import given_by_code
from rewards.locking import lock_people
from rewards.models import Decision, Reward


@dataclass(frozen=True, slots=True)
class Joined:
    """Who joined, whether just now, and through whom; `referral_created`: whether this call bound them to their referrer."""

    participant: Participant
    created: bool
    referral: Referral | None
    referral_created: bool = False


@dataclass(frozen=True, slots=True)
class Qualified:
    """The event, whether this call recorded it, its current decisions, and the rewards that stand for it."""

    event: QualifyingEvent
    created: bool
    decisions: list[Decision] = field(default_factory=list)
    rewards: list[Reward] = field(default_factory=list)


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
    given_rule: str = "",
) -> Joined:
    """Add a participant, bind them to their referrer, and award what joining earns. Idempotent by e-mail (API.md v1).

    `given_rule` is the friend's reward that they had at the checkout, by a promotion code.

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
        if given_rule:
            given_by_code(participant=done.participant, rule_key=given_rule, actor=actor, decided=not done.created)
        if done.created or done.referral_created:
            fraud.after_joining(done.participant, seen, referred=done.referral_created, is_new=done.created)
        if done.referral_created:
            award_joining(done.participant, actor)
    return Joined(done.participant, done.created, done.referral, done.referral_created)


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
    references: Sequence[Reference] = (),
    customer_id: str = "",
    first_purchase_at: datetime | None = None,
    metadata: Mapping[str, Any] | None = None,
    seen: Seen | None = None,
    settled: bool = False,
) -> Qualified:
    """Record what a participant did and decide every rule about it, at once and durably (API.md v2, `POST events`).

    `first_purchase_at` is the source's word on when this person first bought: before they joined, they were a customer. `settled` is
    imported history: it counts as having happened, and earns nothing here.

    Idempotent by (campaign, source, external id) and by any of `references`: the source's other names for the same payment, or
    (source, name) as another source calls it. Without an external id each call is a new event. Raises Refused: campaign_not_started
    (a draft), currency, occurred_at, amount_changed (409: the same id with another amount).
    """
    _check_event(participant.campaign, amount, occurred_at, external_id, type)
    with transaction.atomic():
        known = facts.find_event(participant.tenant, source, references)
        if known is not None:
            return _again(known, amount, references, actor, source)
        event, created = facts.add_event(
            participant=participant,
            type_=type,
            amount=amount,
            source=source,
            external_id=external_id or f"auto:{random_text(22)}",
            occurred_at=occurred_at or clock.now(),
            metadata=metadata or {},
            settled=settled,
        )
        if not created:
            return _again(event, amount, references, actor, source)
        claimed = 0
        if references:
            facts.name_event(event, references)
            claimed = facts.claim_waiting_refunds(event, [*references, external_id])
        if claimed:
            refunds.take_back(event)
        if any(terms.asks_for_customers for _pk, terms in rules_of(event.version_id, event.currency)):
            customers.note(participant, actor, customer_id=customer_id, first_purchase_at=first_purchase_at)
        if not settled:
            fraud.after_event(participant, event, seen)
        decided = redecide(participant, actor, recorded=event)
        if claimed:
            refunds.tell(event, actor, event.refunds.order_by("occurred_at", "pk"))
        if customer_id and identify(participant=participant, source=source, customer_id=customer_id, actor=actor):
            decided = redecide(participant, actor)
        return Qualified(event, True, decided.decisions_of(event), decided.rewards_of(event))


def identify(*, participant: Participant, source: str, customer_id: str, actor: Actor) -> int:
    """Remember a source's id of a person, and decide what waited for it. Returns how many events came of it; idempotent."""
    with transaction.atomic():
        # People before rows about them, here as everywhere.
        participant, _referral = lock_people(participant)
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


def _again(
    event: QualifyingEvent, amount: Money | None, references: Sequence[Reference], actor: Actor, source: str
) -> Qualified:
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
        facts.name_event(event, references, source)
        known = set(event.refunds.values_list("pk", flat=True))
        if facts.claim_waiting_refunds(event, references, source):
            refunds.take_back(event)
            refunds.tell(event, actor, event.refunds.exclude(pk__in=known).order_by("occurred_at", "pk"))
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
    facts.check_moment(occurred_at)
    if len(external_id) > 255:
        raise Refused("too_long", _("An external id has at most 255 characters."), field="external_id")
    if type_ in OWN_EVENTS or not 0 < len(type_) <= 40:
        message = _("%(type)r can't be recorded; joining, a status or the end of a leaderboard writes it.")
        raise Refused("event_type", message % {"type": type_}, field="type")
