"""Version 2's JSON (API.md, "The bodies that matter most"). Each function takes a page of rows and asks a fixed number of queries."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from django.db.models import Count, Q, Sum

from campaigns.models import Campaign
from campaigns.terms_json import money_to_json, terms_to_json
from participants.fraud.assessing import shown_for
from participants.fraud.presets import PRESETS
from participants.friends import count_friends, shares_by_referral
from participants.links import campaign_link, qr_link, share_link, short_link
from participants.models import Participant, QualifyingEvent, Referral, Refund, Visit, WaitingEvent
from referrals.lib.money import Money
from rewards.balances import SideBalance, balances_of
from rewards.budgets import FALLEN
from rewards.models import Decision, Payout, PayoutBatch, Reward
from rewards.reasons import can_change, failing, sentence

Json = dict[str, Any]
TEXTS = (
    "reward_header",
    "reward_description",
    "share_header",
    "share_description",
    "share_message",
    "thank_you",
    "terms",
)
# Ids that we made because the caller gave none.
_OURS = re.compile(r"auto:[0-9A-Za-z]{22}|first:pt_[0-9A-Za-z]{22}|all:ev_[0-9A-Za-z]{22}", re.ASCII)


def moment(value: datetime | None) -> str | None:
    """Milliseconds and offset, as in version 1."""
    return None if value is None else value.astimezone(UTC).isoformat(timespec="milliseconds")


def money(minor: int | None, currency: str) -> Json | None:
    """{"amount_minor", "currency"}, or null."""
    return None if minor is None else money_to_json(Money(minor, currency))


def _own_id(text: str) -> str | None:
    return None if _OURS.fullmatch(text) else text


def campaign_rows(rows: Any) -> Any:
    """`rows` with all that campaign_json() reads."""
    return rows.select_related("merchant", "version").prefetch_related("version__rules__tiers", "texts")


def campaign_json(campaign: Campaign) -> Json:
    """Campaign; read through campaign_rows()."""
    version = campaign.version
    rules = [rule.terms(campaign.currency) for rule in version.rules.all()] if version else []
    words = next((row for row in campaign.texts.all() if row.language == campaign.default_language), None)
    return {
        "id": campaign.public_id,
        "name": campaign.name,
        "type": campaign.type,
        "status": campaign.status,
        "currency": campaign.currency,
        "starts_at": moment(campaign.starts_at),
        "ends_at": moment(campaign.ends_at),
        "rules": [terms_to_json(rule) for rule in rules],
        "milestones": [
            {"id": rule.key, "friends": rule.nth, "label": rule.label, "recurring": rule.recurring}
            for rule in rules
            if rule.trigger == "milestone"
        ],
        "texts": {"language": campaign.default_language}
        | {name: getattr(words, name) if words else "" for name in TEXTS},
        "theme": {"brand_color": campaign.brand_color, "font": campaign.font},
        "landing": {
            "mode": campaign.landing_mode,
            "url": campaign.landing_url or None,
            "allowed_hosts": campaign.allowed_hosts,
            "app_schemes": campaign.app_schemes,
            "script_origins": campaign.script_origins,
            "discount_code": campaign.discount_code or None,
            "utm": campaign.utm,
        },
        "joining": {
            "asks_terms": campaign.asks_terms,
            "terms_url": campaign.terms_url or None,
            "confirms_email": campaign.confirms_email,
            "questions": campaign.questions,
        },
        "links": {
            "name": campaign.link_name or None,
            "host": campaign.link_host or None,
            "own_codes": campaign.own_codes,
            "consent": campaign.consent,
        },
        "attribution": {"model": campaign.attribution_model, "window_days": campaign.window_days},
        "fraud": {"preset": campaign.fraud_preset} | asdict(PRESETS[campaign.fraud_preset]),
        "is_test": campaign.is_test,
        "link": campaign_link(campaign),
        "version": version.number if version else None,
        "created_at": moment(campaign.created_at),
        "launched_at": moment(campaign.launched_at),
    }


def _side(balance: SideBalance, currency: str) -> Json:
    return {
        "earned": money(balance.earned, currency),
        "redeemed": money(balance.redeemed, currency),
        "left": money(balance.left, currency),
    }


def participants_json(people: Sequence[Participant]) -> list[Json]:
    """Participants read with their campaign; four more queries whatever their number, and two if one was checked for fraud."""
    keys = [person.pk for person in people]
    fraud = shown_for(people)
    balances = balances_of(keys)
    bonds = list(Referral.objects.filter(standing_for__in=keys).select_related("referrer"))
    referrers = {bond.invitee_id: (bond.referrer.public_id, bond.status) for bond in bonds}
    shared = shares_by_referral(bonds)
    shares = {bond.invitee_id: shared[bond.pk] for bond in bonds if bond.pk in shared}
    friends = count_friends(people)
    visits = {
        pk: (counted, hidden)
        for pk, counted, hidden in Visit.objects.filter(referrer__in=keys)
        .values_list("referrer")
        .annotate(counted=Count("pk", filter=Q(hidden_reason="")), hidden=Count("pk", filter=~Q(hidden_reason="")))
        .order_by()
    }
    return [
        {
            "id": person.public_id,
            "campaign": person.campaign.public_id,
            "email": person.email,
            "first_name": person.first_name,
            "last_name": person.last_name,
            "referral_code": person.referral_code,
            "vanity_code": person.vanity_code or None,
            "link": share_link(person),
            "short_link": short_link(person),
            "qr_svg": qr_link(person, "svg"),
            "qr_png": qr_link(person, "png"),
            "referred_by": referrers.get(person.pk, (None, None))[0],
            "shared_by": [
                {"participant": row.participant.public_id, "share": row.words} for row in shares.get(person.pk, ())
            ],
            "joined_at": moment(person.joined_at),
            "existing_customer": person.existing_customer,
            "banned": person.is_banned,
            "visits": visits.get(person.pk, (0, 0))[0],
            "visits_hidden": visits.get(person.pk, (0, 0))[1],
            "balances": {
                "referrer": _side(balances[person.pk].referrer, person.campaign.currency),
                "invitee": _side(balances[person.pk].invitee, person.campaign.currency),
            },
            "fraud": fraud[person.pk],
            "referrals": friends.get(person.pk, 0),
            "source": person.source,
            "language": person.language,
            "ban_reason": person.ban_reason,
            "note": person.note,
            "status": referrers.get(person.pk, (None, None))[1],
            "metadata": person.metadata,
        }
        for person in people
    ]


def decision_json(decision: Decision, event: QualifyingEvent, rewards: Sequence[str]) -> Json:
    """One decision with every condition and its sentence; `rewards` are the public ids of what it led to."""
    failed = failing(decision.conditions, decision.reason)
    return {
        "rule": decision.rule_key,
        "side": decision.side,
        "rewardable": decision.rewardable,
        "reason": decision.reason or None,
        "conditions": [{**condition, "sentence": sentence(condition)} for condition in decision.conditions],
        "decided_at": moment(decision.decided_at),
        "reward": rewards[0] if rewards else None,
        "rewards": list(rewards),
        "amount": money(decision.amount_minor, event.currency),
        "event": event.public_id,
        "current": decision.current,
        "sentence": sentence(failed) if failed else None,
        "can_change": can_change(failed).text if failed else None,
    }


def reward_ids(rewards: Iterable[Reward]) -> dict[tuple[int, str, str], list[str]]:
    """Public ids of rewards by (event, rule, side): those that stand, of several who share a friend the largest first.

    Where none stands, the one that fell last.
    """
    found: dict[tuple[int, str, str], list[Reward]] = {}
    for row in rewards:
        found.setdefault((row.event_id, row.rule_key, row.side), []).append(row)
    return {key: [row.public_id for row in _standing(rows)] for key, rows in found.items()}


def _standing(rewards: Sequence[Reward]) -> list[Reward]:
    standing = [row for row in rewards if row.state not in FALLEN]
    if standing:
        return sorted(standing, key=lambda row: (-row.amount_minor, row.pk))
    return sorted(rewards, key=lambda row: (row.stage_at, row.pk))[-1:]


def rewards_of(events: Iterable[int]) -> dict[tuple[int, str, str], list[str]]:
    """reward_ids() of these events' rewards. One query."""
    return reward_ids(Reward.objects.filter(event__in=list(events)).order_by("pk"))


def events_json(
    events: Sequence[QualifyingEvent],
    *,
    expand: Sequence[str] = (),
    decided: tuple[Sequence[Decision], Sequence[Reward]] | None = None,
) -> list[Json]:
    """Events read with participant and campaign; two more queries unless `decided` holds their current decisions and rewards."""
    keys = [event.pk for event in events]
    if decided is None:
        rewards = rewards_of(keys)
        found = list(Decision.objects.filter(event__in=keys, current=True).order_by("pk"))
    else:
        rewards = reward_ids(decided[1])
        found = sorted(decided[0], key=lambda one: one.pk)
    decisions: dict[int, list[Decision]] = {}
    for decision in found:
        decisions.setdefault(decision.event_id, []).append(decision)
    people = _expanded_people([event.participant for event in events]) if "participant" in expand else {}
    return [
        {
            "id": event.public_id,
            "campaign": event.participant.campaign.public_id,
            "email": event.participant.email,
            "type": event.type,
            "amount": money(event.amount_minor, event.currency),
            "source": event.source,
            "external_id": _own_id(event.external_id),
            "occurred_at": moment(event.occurred_at),
            "refunded": money(event.refunded_minor or None, event.currency),
            "rewardable": any(one.rewardable for one in decisions.get(event.pk, ())),
            "decisions": [
                decision_json(one, event, rewards.get((event.pk, one.rule_key, one.side), []))
                for one in decisions.get(event.pk, ())
            ],
            "participant": people.get(event.participant_id, event.participant.public_id),
            "recorded_at": moment(event.recorded_at),
            "disputed_at": moment(event.disputed_at),
            "metadata": event.metadata,
        }
        for event in events
    ]


def _expanded_people(people: Sequence[Participant]) -> dict[int, Json]:
    known = {person.pk: person for person in people}
    unique = list(known.values())
    return {person.pk: found for person, found in zip(unique, participants_json(unique), strict=True)}


def refund_json(refund: Refund, event: QualifyingEvent) -> Json:
    """Money taken back; a null amount is all of it."""
    return {
        "id": refund.public_id,
        "event": event.public_id,
        "kind": refund.kind,
        "amount": money(refund.amount_minor, event.currency),
        "source": refund.source,
        "external_id": _own_id(refund.external_id),
        "occurred_at": moment(refund.occurred_at),
        "recorded_at": moment(refund.recorded_at),
    }


def rewards_json(rewards: Sequence[Reward], *, expand: Sequence[str] = ()) -> list[Json]:
    """Rewards read with campaign, participant, event and payout."""
    people = _expanded_people([reward.participant for reward in rewards]) if "participant" in expand else {}
    events: dict[int, Json] = {}
    if "event" in expand:
        rows = {reward.event_id: reward.event for reward in rewards}
        events = {row.pk: found for row, found in zip(rows.values(), events_json(list(rows.values())), strict=True)}
    return [
        {
            "id": reward.public_id,
            "campaign": reward.campaign.public_id,
            "participant": people.get(reward.participant_id, reward.participant.public_id),
            "side": reward.side,
            "rule": reward.rule_key,
            "event": events.get(reward.event_id, reward.event.public_id),
            "kind": reward.kind,
            "amount": money(reward.amount_minor, reward.currency),
            "status": reward.state,
            "reason": reward.reason or None,
            "review_ends_at": moment(reward.review_ends_at),
            "issued_at": moment(reward.issued_at),
            "payout": reward.payout.public_id if reward.payout else None,
            "since": moment(reward.stage_at),
            "created_at": moment(reward.created_at),
            "note": reward.note,
            "units": reward.units,
            "units_label": reward.units_label or None,
        }
        for reward in rewards
    ]


def payouts_json(payouts: Sequence[Payout], *, expand: Sequence[str] = ()) -> list[Json]:
    """Payouts read with batch, participant and the rewards of their items."""
    people = _expanded_people([payout.participant for payout in payouts]) if "participant" in expand else {}
    return [
        {
            "id": payout.public_id,
            "batch": payout.batch.public_id,
            "participant": people.get(payout.participant_id, payout.participant.public_id),
            "method": payout.method,
            "connection": payout.account or None,
            "amount": money(payout.amount_minor, payout.currency),
            "netted": money(payout.netted_minor, payout.currency),
            "rewards": [item.reward.public_id for item in payout.items.all()],
            "status": payout.status,
            "reason": payout.reason or None,
            "reference": payout.reference or None,
            "message": payout.message or None,
            "attempts": payout.attempts,
            "side": payout.side,
            "created_at": moment(payout.created_at),
            "paid_at": moment(payout.paid_at),
        }
        for payout in payouts
    ]


def payout_json(payout: Payout, *, expand: Sequence[str] = ()) -> Json:
    """One payout with every try; one more query."""
    tries = [
        {
            "number": one.number,
            "began_at": moment(one.began_at),
            "ended_at": moment(one.ended_at),
            "state": one.state or None,
            "reference": one.reference or None,
            "message": one.message or None,
        }
        for one in payout.tries.order_by("number")
    ]
    more = {"key": payout.key, "next_attempt_at": moment(payout.turn_at), "tries": tries}
    return payouts_json([payout], expand=expand)[0] | more


def batches_json(batches: Sequence[PayoutBatch]) -> list[Json]:
    """Batches with their totals; one more query."""
    sums: dict[int, Counter[str]] = {batch.pk: Counter() for batch in batches}
    counts: dict[int, Counter[str]] = {batch.pk: Counter() for batch in batches}
    rows = (
        Payout.objects.filter(batch__in=list(sums))
        .values_list("batch_id", "currency", "status")
        .annotate(count=Count("pk"), minor=Sum("amount_minor"))
        .order_by("currency", "status")
    )
    for batch_id, currency, status, count, minor in rows:
        sums[batch_id][currency] += minor
        counts[batch_id][status] += count
    return [
        {
            "id": batch.public_id,
            "method": batch.method,
            "note": batch.note,
            "created_by": batch.created_by,
            "created_at": moment(batch.created_at),
            "undone_at": moment(batch.undone_at),
            "completed_at": moment(batch.completed_at),
            "waits_for": _waits_for(batch),
            "payout_count": counts[batch.pk].total(),
            "counts": dict(counts[batch.pk]),
            "amounts": [money(minor, currency) for currency, minor in sums[batch.pk].items()],
        }
        for batch in batches
    ]


def _waits_for(batch: PayoutBatch) -> list[str]:
    approval = batch.needs_approval and batch.approved_at is None and batch.completed_at is None
    funding = batch.needs_funding and batch.funded_at is None and batch.completed_at is None
    return [name for name, waits in (("approval", approval), ("funding", funding)) if waits]


def waiting_json(row: WaitingEvent) -> Json:
    """An event that waits for its person."""
    return {
        "id": row.public_id,
        "state": "waiting",
        "campaign": row.scope,
        "customer_id": row.customer_id,
        "type": row.type,
        "amount": money(row.amount_minor, row.currency),
        "source": row.source,
        "external_id": _own_id(row.external_id),
        "occurred_at": moment(row.occurred_at),
        "recorded_at": moment(row.recorded_at),
    }
