"""From facts to rewards: load what is known of one friend, ask `eligibility`, write down the difference to what is recorded.

Everything about one friend is decided under a lock on that friend's row, as a whole and by the time of the facts, so that any order
of arrival and any repetition ends in the same rewards (RELIABILITY INV-03 and INV-13).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from campaigns.rules import rules_of
from campaigns.terms import RuleTerms
from participants.models import Participant, QualifyingEvent, Referral, Refund
from referrals.events import types
from referrals.events.services import Actor, Happening, record_many
from referrals.lib import clock
from referrals.lib.money import Money
from rewards import lifecycle
from rewards.eligibility import Bond, EventFacts, PersonFacts, Verdict, decide_all
from rewards.models import Decision, Reward, State

Key = tuple[int, str]  # event, rule key


@dataclass(slots=True)
class Decided:
    """The current decisions and rewards of a friend's events."""

    decisions: dict[Key, Decision] = field(default_factory=dict)
    rewards: dict[Key, Reward] = field(default_factory=dict)

    def decisions_of(self, event: QualifyingEvent) -> list[Decision]:
        """The event's current decisions, in the order of its rules."""
        return [decision for (event_id, _key), decision in self.decisions.items() if event_id == event.pk]

    def rewards_of(self, event: QualifyingEvent) -> list[Reward]:
        """The event's rewards."""
        return [reward for (event_id, _key), reward in self.rewards.items() if event_id == event.pk]


@dataclass(frozen=True, slots=True)
class _Asked:
    """One (event, rule) with its answer, and with the one it would have if the referrer were not banned.

    A ban stops new rewards; what was earned before it stands or falls by the rest of the facts (rewards.services.ban).
    """

    event: QualifyingEvent
    rule_id: int
    terms: RuleTerms
    verdict: Verdict
    unbanned: Verdict

    @property
    def key(self) -> Key:
        return (self.event.pk, self.terms.key)


def redecide(friend: Participant, actor: Actor, *, recorded: QualifyingEvent | None = None) -> Decided:
    """Decide all events of a friend and write what changed. `recorded` is an event added in this very transaction.

    Runs in the caller's transaction.
    """
    # No stronger lock than this: whoever writes a reward or a payout for this person refers to the row, and must not have to wait.
    rows = Participant.objects.select_for_update(of=("self",), no_key=True).select_related("campaign__merchant")
    friend = rows.get(pk=friend.pk)
    friend.merchant = friend.campaign.merchant  # the same row, without asking for it again
    referral = Referral.objects.filter(invitee=friend, detached_at=None).select_related("referrer").first()
    events = list(QualifyingEvent.objects.filter(participant=friend).order_by("occurred_at", "pk"))
    asked = _ask(friend, referral, events)
    happenings: list[Happening] = []
    if recorded is not None:
        happenings.append(_recorded(friend, recorded, referral))
    known, strangers = (Decided(), []) if recorded is not None and len(events) == 1 else _known(events, referral)
    decided = _write_decisions(friend, asked, known)
    _take_from(strangers, actor)
    happenings += _reconcile(friend, referral, asked, known, decided, actor)
    record_many(friend.tenant, actor, happenings)
    return decided


def _ask(friend: Participant, referral: Referral | None, events: Sequence[QualifyingEvent]) -> list[_Asked]:
    campaign = friend.campaign
    closed = campaign.closed_reasons(event.occurred_at for event in events)
    person = PersonFacts(friend.identity_key, friend.existing_customer)
    bond = free = None
    if referral is not None:
        referrer = referral.referrer
        bond = Bond(PersonFacts(referrer.identity_key, banned_at=referrer.banned_at), referral.created_at)
        free = Bond(PersonFacts(referrer.identity_key), referral.created_at)
    by_key: dict[str, list[tuple[int, RuleTerms, QualifyingEvent]]] = {}
    for event in events:
        for rule_id, terms in rules_of(event.version_id, campaign.currency):
            by_key.setdefault(terms.key, []).append((rule_id, terms, event))
    cancelled = _cancelled(events)
    asked = []
    for row in by_key.values():
        facts = [
            (terms, _facts(event, closed[event.occurred_at], cancelled=event.pk in cancelled))
            for _pk, terms, event in row
        ]
        verdicts = decide_all(facts, person, bond)
        unbanned = verdicts if bond == free else decide_all(facts, person, free)
        asked += [
            _Asked(event, pk, terms, verdicts[event.pk], unbanned[event.pk])
            for pk, terms, event in row
            if event.pk in verdicts
        ]
    return asked


def _cancelled(events: Sequence[QualifyingEvent]) -> set[int]:
    """Which of those without an amount were taken back: there is no sum to tell it by. One query, if there is such an event."""
    free = [event.pk for event in events if not event.amount_minor and event.type != "join"]
    if not free:
        return set()
    return set(Refund.objects.filter(event__in=free, kind="refund").values_list("event_id", flat=True))


def _facts(event: QualifyingEvent, closed_reason: str | None, *, cancelled: bool) -> EventFacts:
    return EventFacts(
        id=event.pk,
        type=event.type,
        occurred_at=event.occurred_at,
        currency=event.currency,
        amount=event.amount,
        refunded=Money(event.refunded_minor, event.currency),
        cancelled=cancelled,
        disputed_at=event.disputed_at,
        closed_reason=closed_reason,
    )


def _known(events: Sequence[QualifyingEvent], referral: Referral | None) -> tuple[Decided, list[Reward]]:
    """What is recorded, and apart from it the rewards of those whose friend this is no longer."""
    ids = [event.pk for event in events]
    decisions = Decision.objects.filter(event__in=ids, current=True)
    rewards = (
        Reward.objects.filter(event__in=ids)
        .order_by("pk")
        .select_for_update(of=("self",))
        .select_related("participant", "campaign", "merchant")
    )
    referrer_id = referral.referrer_id if referral else None
    strangers = [row for row in rewards if row.side == "referrer" and row.participant_id != referrer_id]
    known = Decided({(row.event_id, row.rule_key): row for row in decisions})
    known.rewards = {(row.event_id, row.rule_key): row for row in rewards if row not in strangers}
    return known, strangers


def _take_from(strangers: Sequence[Reward], actor: Actor) -> None:
    """Void or reverse what somebody earned by a friend who is not, or no longer, theirs (rewards.bonds)."""
    moves: dict[str, list[lifecycle.Target]] = {"void": [], "reverse": []}
    for reward in strangers:
        if reward.state == State.ISSUED:
            moves["reverse"].append(lifecycle.Target(reward, State.REVERSED, "not_referred"))
        elif reward.state in lifecycle.BEFORE_ISSUE:
            moves["void"].append(lifecycle.Target(reward, State.VOID, "not_referred"))
    for name, targets in moves.items():
        lifecycle.move(lifecycle.ACTS[name], targets, actor=actor)


def _write_decisions(friend: Participant, asked: Sequence[_Asked], known: Decided) -> Decided:
    """Add a decision where none stands or the answer has changed; the old one stays as history."""
    now = clock.now()
    fresh: list[Decision] = []
    stale: list[int] = []
    result = Decided(rewards=dict(known.rewards))
    for item in asked:
        verdict, old = item.verdict, known.decisions.get(item.key)
        conditions = [condition.as_json() for condition in verdict.conditions]
        amount = verdict.amount.minor if verdict.amount else 0
        if old is not None and (old.conditions, old.amount_minor) == (conditions, amount):
            result.decisions[item.key] = old
            continue
        if old is not None:
            stale.append(old.pk)
        decision = Decision(
            merchant_id=friend.merchant_id,
            is_test=friend.is_test,
            event=item.event,
            rule_id=item.rule_id,
            rule_key=item.terms.key,
            side=item.terms.side,
            rewardable=verdict.rewardable,
            reason=verdict.reason,
            amount_minor=amount,
            conditions=conditions,
            decided_at=now,
        )
        fresh.append(decision)
        result.decisions[item.key] = decision
    if stale:
        Decision.objects.filter(pk__in=stale).update(current=False)
    Decision.objects.bulk_create(fresh)
    return result


def _reconcile(
    friend: Participant,
    referral: Referral | None,
    asked: Sequence[_Asked],
    known: Decided,
    decided: Decided,
    actor: Actor,
) -> list[Happening]:
    """Make rewards what the decisions say; returns the Events of what was made or changed here."""
    create: list[Reward] = []
    resized: list[tuple[Reward, int]] = []
    moves: dict[str, list[lifecycle.Target]] = {"void": [], "reverse": [], "restore": []}
    for item in asked:
        reward = known.rewards.get(item.key)
        if reward is None:
            if item.verdict.amount is not None and referral is not None:
                create.append(_new_reward(friend, referral, item, item.verdict.amount))
            continue
        amount = item.unbanned.amount
        if amount is not None and amount.minor != reward.amount_minor:
            resized.append((reward, amount.minor))
        act = _correction(reward, item)
        if act is not None:
            moves[act[0]].append(act[1])
    happenings = _resize(resized, actor)
    for name, targets in moves.items():
        lifecycle.move(lifecycle.ACTS[name], targets, actor=actor)
    happenings += _create(create, actor)
    decided.rewards.update({(reward.event_id, reward.rule_key): reward for reward in create})
    return happenings


def _correction(reward: Reward, item: _Asked) -> tuple[str, lifecycle.Target] | None:
    """The action that brings a reward in line with its verdict, or None when it stands right or a person has decided."""
    if item.unbanned.rewardable:
        fallen = reward.state in {State.VOID, State.REVERSED} and reward.reason not in lifecycle.BY_HAND
        # A ban takes nothing that was earned before it, and lets nothing come back while it lasts.
        return ("restore", lifecycle.back([reward])[0]) if fallen and item.verdict.rewardable else None
    reason = item.unbanned.reason
    if reward.state == State.ISSUED:
        return "reverse", lifecycle.Target(reward, State.REVERSED, reason)
    if reward.state in lifecycle.BEFORE_ISSUE:
        return "void", lifecycle.Target(reward, State.VOID, reason)
    return None


def _new_reward(friend: Participant, referral: Referral, item: _Asked, amount: Money) -> Reward:
    terms, event = item.terms, item.event
    now = clock.now()
    zone = friend.merchant.zone
    ends = clock.in_days(event.occurred_at, terms.review_days, zone) if terms.review_days else None
    reward = Reward(
        merchant=friend.merchant,
        is_test=friend.is_test,
        campaign=friend.campaign,
        participant=referral.referrer if terms.side == "referrer" else friend,
        side=terms.side,
        rule_id=item.rule_id,
        rule_key=terms.key,
        event=event,
        kind=terms.kind,
        amount_minor=amount.minor,
        currency=amount.currency,
        review_ends_at=ends,
        stage_at=now,
        created_at=now,
    )
    reward.state = lifecycle.pipeline_state(reward, now)
    if reward.participant.is_banned:
        # A banned friend: what they earn waits with the rest of theirs; the ban of a referrer is a condition.
        reward.state, reward.reason = State.HELD, lifecycle.BANNED
    return reward


def _create(rewards: Sequence[Reward], actor: Actor) -> list[Happening]:
    if not rewards:
        return []
    Reward.objects.bulk_create(rewards)
    lifecycle.write_ledger(((reward, "earn", reward.amount_minor) for reward in rewards), actor)
    lifecycle.tally((reward, reward.state, +1) for reward in rewards)
    happenings = []
    for reward in rewards:
        data: dict[str, Any] = {
            "amount_minor": reward.amount_minor,
            "currency": reward.currency,
            "state": reward.state,
            "event": reward.event.public_id,
            "review_ends_at": reward.review_ends_at.isoformat() if reward.review_ends_at else None,
        }
        happenings.append(lifecycle.reward_happening(types.REWARD_CREATED, reward, data))
        moved = {"from": None, "to": reward.state, "amount_minor": reward.amount_minor, "currency": reward.currency}
        if reward.state == State.DUE:
            happenings.append(lifecycle.reward_happening(types.REWARD_DUE, reward, moved))
        elif reward.state == State.HELD:
            happenings.append(lifecycle.reward_happening(types.REWARD_HELD, reward, moved | {"reason": reward.reason}))
    return happenings


def _resize(changes: Sequence[tuple[Reward, int]], actor: Actor) -> list[Happening]:
    """Shrink or grow rewards after a partial refund; what is void or reversed has no ledger balance to change."""
    happenings: list[Happening] = []
    lines: list[tuple[Reward, str, int]] = []
    deltas: dict[tuple[Any, ...], tuple[int, int]] = {}
    for reward, minor in changes:
        difference = minor - reward.amount_minor
        before, reward.amount_minor = reward.amount_minor, minor
        reward.revision += 1
        reward.save(update_fields=["amount_minor", "revision"])
        key = (reward.merchant_id, reward.is_test, reward.campaign_id, reward.currency, reward.state)
        count, total = deltas.get(key, (0, 0))
        deltas[key] = (count, total + difference)
        if reward.state not in {State.VOID, State.REVERSED}:
            lines.append((reward, "reverse" if difference < 0 else "earn", difference))
        data = {"from_minor": before, "to_minor": minor, "amount_minor": minor, "currency": reward.currency}
        happenings.append(lifecycle.reward_happening(types.REWARD_CHANGED, reward, data))
    if changes:
        lifecycle.write_ledger(lines, actor)
        lifecycle.add_tallies(deltas)
    return happenings


def _recorded(friend: Participant, event: QualifyingEvent, referral: Referral | None) -> Happening:
    return Happening(
        types.EVENT_RECORDED,
        "event",
        event.public_id,
        campaign=friend.campaign.public_id,
        participant=friend.public_id,
        referrer=referral.referrer.public_id if referral else "",
        data={
            "type": event.type,
            "source": event.source,
            "external_id": event.external_id,
            "amount_minor": event.amount_minor,
            "currency": event.currency,
        },
    )
