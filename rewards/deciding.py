"""From facts to rewards: load what is known of one friend, ask `eligibility`, write down the difference to what is recorded.

Everything about one friend is decided under a lock on that friend's row, as a whole and by the time of the facts, so that any order
of arrival and any repetition ends in the same rewards (RELIABILITY INV-03 and INV-13). Where a rule looks at the referrer as a whole
(milestones, tiers, limits), the referrer's row is locked too, and later events of the other friends are decided again with it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from campaigns.rules import referrer_keys
from participants.models import Participant, QualifyingEvent, Referral
from referrals.events import types
from referrals.events.services import Actor, Happening, record_many
from referrals.lib import clock
from referrals.lib.money import Money
from referrals.lib.prepared import Prepared, Slot, insert
from referrals.lib.queries import Among
from rewards import lifecycle
from rewards.budgets import FALLEN, lock_budgets
from rewards.facts import Verdict
from rewards.fold import Budget, Item, Standing, decide_all
from rewards.loading import Asked, asked_of, asked_of_referrer, events_of, standing_before
from rewards.locking import lock_people
from rewards.models import Decision, Reward, State
from rewards.sharing import TOO_SMALL, beneficiaries, declined_part

Key = tuple[int, str]  # event, rule key


@dataclass(slots=True)
class Decided:
    """The current decisions and rewards of a friend's events."""

    decisions: dict[Key, Decision] = field(default_factory=dict)
    rewards: dict[Key, list[Reward]] = field(default_factory=dict)

    def decisions_of(self, event: QualifyingEvent) -> list[Decision]:
        """The event's current decisions, in the order of its rules."""
        return [decision for (event_id, _key), decision in self.decisions.items() if event_id == event.pk]

    def rewards_of(self, event: QualifyingEvent) -> list[Reward]:
        """The event's rewards: where several share the friend, one for each of them."""
        return [row for (event_id, _key), rows in self.rewards.items() if event_id == event.pk for row in rows]


@dataclass(slots=True)
class _Known:
    """What is recorded of the events: the current decisions, and every reward (after another referrer was attached, more than one)."""

    decisions: dict[Key, Decision] = field(default_factory=dict)
    rewards: list[Reward] = field(default_factory=list)

    def of(self, rule_key: str) -> dict[int, list[Reward]]:
        """A rule's rewards by event."""
        found: dict[int, list[Reward]] = {}
        for reward in self.rewards:
            if reward.rule_key == rule_key:
                found.setdefault(reward.event_id, []).append(reward)
        return found


@dataclass(frozen=True, slots=True)
class _Answered:
    """One (event, rule) with its answer, and with the one it would have if the referrer were not banned.

    A ban stops new rewards; what was earned before it stands or falls by the rest of the facts (rewards.bans).
    """

    asked: Asked
    verdict: Verdict
    unbanned: Verdict

    @property
    def key(self) -> Key:
        return self.asked.key

    def cut(self, amount: Money | None) -> list[tuple[Participant, int]]:
        """Who gets how many minor units: the referrer, or all who share the friend; else the friend.

        A leaderboard's prize goes to the one whose rank it is.
        """
        minor = amount.minor if amount else 0
        if self.asked.item.terms.side != "referrer" or self.asked.referral is None:
            return [(self.asked.friend, minor)]
        return beneficiaries(self.asked.referral, minor)


def redecide(
    friend: Participant, actor: Actor, *, recorded: QualifyingEvent | None = None, since: datetime | None = None
) -> Decided:
    """Decide all events of a friend and write what changed. `recorded` is an event added in this very transaction.

    `since` is the time of the earliest fact that changed: where a rule looks at the referrer as a whole, what the other friends did
    before it stands as it is (None: from the beginning). Runs in the caller's transaction.
    """
    friend, referral = lock_people(friend)
    events = events_of(friend)
    since = recorded.occurred_at if recorded is not None else since
    asked = asked_of(friend, referral, events)
    happenings: list[Happening] = []
    if recorded is not None:
        happenings.append(_recorded(friend, recorded, referral))
    is_first = recorded is not None and len(events) == 1
    decided = _decide(friend, referral, asked, since, actor, happenings, nothing_known=is_first)
    if recorded is not None:
        happenings[0].data["decisions"] = [_told(decision) for decision in decided.decisions_of(recorded)]
    record_many(friend.tenant, actor, happenings)
    return decided


def refold(referrer: Participant, actor: Actor, *, since: datetime | None = None) -> None:
    """Decide again what rules that look at the referrer as a whole say of their friends: after one of them came or went.

    Runs in the caller's transaction, which holds the locks of the people concerned.
    """
    if not referrer.campaign.counts_referrers:
        return
    happenings: list[Happening] = []
    _decide(referrer, None, [], since, actor, happenings, whole=referrer)
    record_many(referrer.tenant, actor, happenings)


def _decide(
    friend: Participant,
    referral: Referral | None,
    asked: list[Asked],
    since: datetime | None,
    actor: Actor,
    happenings: list[Happening],
    *,
    nothing_known: bool = False,
    whole: Participant | None = None,
) -> Decided:
    campaign = friend.campaign
    # Who is shared counts for nobody as a whole: the rules that count friends can't be theirs (campaigns.splits).
    referrer = whole or (referral.referrer if referral and not referral.split_by else None)
    standings: dict[str, Standing] = {}
    if referrer is not None and campaign.counts_referrers:
        keys = referrer_keys(campaign.pk)
        asked = [
            one for one in asked if since is None or one.item.terms.key not in keys or one.event.occurred_at >= since
        ]
        others = asked_of_referrer(referrer, campaign, keys, since, None if whole else friend.pk)
        asked += others
        nothing_known &= not others
        friends = {one.friend.pk for one in asked}
        standings = standing_before(referrer, campaign, keys, since, friends)
    known = _Known() if nothing_known else _known({one.event.pk for one in asked})
    answered = _answer(asked, standings, _budgets(friend, referral, asked, known))
    decided = _write_decisions(answered, known)
    happenings += _reconcile(answered, known, decided, actor)
    return decided


def _budgets(
    friend: Participant, referral: Referral | None, asked: Sequence[Asked], known: _Known
) -> dict[str, Budget]:
    """The budgets of the rules that have one, locked, with what each event's own reward has of them now."""
    days: dict[str, set[Any]] = {}
    for one in asked:
        if one.item.terms.limits.of_campaign:
            days.setdefault(one.item.terms.key, set()).add(one.item.event.day)
    if not days:
        return {}
    budgets = lock_budgets(friend.campaign, days)
    for key, budget in budgets.items():
        rewards = known.of(key)
        budget.standing = {
            pk: sum(row.amount_minor for row in rows if row.state not in FALLEN) + declined_part(rows, referral)
            for pk, rows in rewards.items()
        }
        budget.declined = frozenset(
            pk
            for pk, rows in rewards.items()
            if any(row.state in FALLEN and row.reason in lifecycle.BY_HAND for row in rows)
        )
    return budgets


def _answer(asked: Sequence[Asked], standings: dict[str, Standing], budgets: dict[str, Budget]) -> list[_Answered]:
    by_rule: dict[str, list[Asked]] = {}
    for one in asked:
        by_rule.setdefault(one.item.terms.key, []).append(one)
    answered = []
    for key, row in by_rule.items():
        items = [one.item for one in row]
        free = [_unbanned(item) for item in items]
        standing, budget = standings.get(key, Standing()), budgets.get(key)
        if free == items:
            verdicts = unbanned = decide_all(items, standing, budget)
        else:
            apart, own = standing.copy(), budget.copy() if budget else None
            verdicts, unbanned = decide_all(items, standing, budget), decide_all(free, apart, own)
        answered += [_Answered(one, verdicts[one.event.pk], unbanned[one.event.pk]) for one in row]
    return answered


def _unbanned(item: Item) -> Item:
    """The same question, were nobody banned."""
    if item.friend.banned_at is not None:
        item = replace(item, friend=replace(item.friend, banned_at=None))
    if item.bond is None or item.bond.referrer.banned_at is None:
        return item
    return replace(item, bond=replace(item.bond, referrer=replace(item.bond.referrer, banned_at=None)))


_DECISIONS = Prepared(lambda: Decision.objects.filter(Among("event_id", Slot("events")), current=True))
_REWARDS = Prepared(
    lambda: (
        Reward.objects.filter(Among("event_id", Slot("events")))
        .order_by("pk")
        .select_for_update(of=("self",))
        .select_related("participant", "campaign__merchant", "merchant")
    )
)


def _known(event_ids: Collection[int]) -> _Known:
    events = list(event_ids)
    return _Known({(row.event_id, row.rule_key): row for row in _DECISIONS(events=events)}, _REWARDS(events=events))


def _write_decisions(answered: Sequence[_Answered], known: _Known) -> Decided:
    """Add a decision where none stands or the answer has changed; the old one stays as history."""
    now = clock.now()
    fresh: list[Decision] = []
    stale: list[int] = []
    result = Decided()
    for item in answered:
        asked, verdict, old = item.asked, item.verdict, known.decisions.get(item.key)
        conditions = [condition.as_json() for condition in verdict.conditions]
        amount = verdict.amount.minor if verdict.amount else 0
        whole = asked.referral is not None and not asked.referral.split_by
        referrer = asked.referral.referrer_id if asked.referral and whole else None
        if old is not None and (old.conditions, old.amount_minor, old.referrer_id) == (conditions, amount, referrer):
            result.decisions[item.key] = old
            continue
        if old is not None:
            stale.append(old.pk)
        decision = Decision(
            merchant_id=asked.friend.merchant_id,
            is_test=asked.friend.is_test,
            event=asked.event,
            rule_id=asked.rule_id,
            rule_key=asked.item.terms.key,
            side=asked.item.terms.side,
            referrer_id=referrer,
            counted=verdict.counted,
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
    insert(fresh)
    return result


def _reconcile(answered: Sequence[_Answered], known: _Known, decided: Decided, actor: Actor) -> list[Happening]:
    """Make rewards what the decisions say; returns the Events of what was made or changed here."""
    create: list[tuple[Reward, _Answered]] = []
    resized: list[tuple[Reward, int]] = []
    moves: dict[str, list[lifecycle.Target]] = {"void": [], "reverse": [], "restore": []}
    recorded: dict[Key, list[Reward]] = {}
    for row in known.rewards:
        recorded.setdefault((row.event_id, row.rule_key), []).append(row)
    for item in answered:
        rows = recorded.get(item.key, [])
        given, new = item.cut(item.unbanned.amount), dict(item.cut(item.verdict.amount))
        acts = [_fall(row, "not_referred") for row in rows if row.participant_id not in {who.pk for who, _ in given}]
        for who, minor in given:
            reward = next((row for row in rows if row.participant_id == who.pk), None)
            if reward is not None:
                decided.rewards.setdefault(item.key, []).append(reward)
                if item.unbanned.rewardable and minor != reward.amount_minor and _takes(reward, minor):
                    resized.append((reward, minor))
                acts.append(_correction(reward, item, minor))
            elif item.verdict.rewardable and (new[who] or item.verdict.units):
                create.append((_new_reward(item, who, new[who]), item))
        for act in acts:
            if act is not None:
                moves[act[0]].append(act[1])
    happenings = _resize(resized, actor)
    for name, targets in moves.items():
        lifecycle.move(lifecycle.ACTS[name], targets, actor=actor)
    happenings += _create(create, actor)
    for reward, item in create:
        decided.rewards.setdefault(item.key, []).append(reward)
    return happenings


def _takes(reward: Reward, minor: int) -> bool:
    """Whether an amount is written to a reward: one that falls to nothing keeps what it was, unless a person may bring it back."""
    return bool(minor) or (reward.state in FALLEN and reward.reason in lifecycle.BY_HAND)


def _correction(reward: Reward, item: _Answered, minor: int) -> tuple[str, lifecycle.Target] | None:
    """The action that brings a reward in line with its verdict, or None when it stands right or a person has decided."""
    if item.unbanned.rewardable and not minor and not item.unbanned.units:
        return _fall(reward, TOO_SMALL, item.unbanned)
    if item.unbanned.rewardable:
        fallen = reward.state in FALLEN and reward.reason not in lifecycle.BY_HAND
        # A ban takes nothing that was earned before it, and lets nothing come back while it lasts.
        return ("restore", lifecycle.back([reward])[0]) if fallen and item.verdict.rewardable else None
    return _fall(reward, item.unbanned.reason, item.unbanned)


def _fall(reward: Reward, reason: str, verdict: Verdict | None = None) -> tuple[str, lifecycle.Target] | None:
    """Void before it is issued, reversed after; None when it has fallen already. The conditions of `verdict` go into the history."""
    why = tuple(condition.as_json() for condition in verdict.conditions) if verdict else ()
    if reward.state == State.ISSUED:
        return "reverse", lifecycle.Target(reward, State.REVERSED, reason, why)
    if reward.state in lifecycle.BEFORE_ISSUE:
        return "void", lifecycle.Target(reward, State.VOID, reason, why)
    return None


def _new_reward(item: _Answered, who: Participant, minor: int) -> Reward:
    asked, units = item.asked, item.verdict.units
    terms, event, friend = asked.item.terms, asked.event, asked.friend
    now = clock.now()
    zone = friend.campaign.merchant.zone
    ends = clock.in_days(event.occurred_at, terms.review_days, zone) if terms.review_days else None
    reward = Reward(
        merchant=friend.merchant,
        is_test=friend.is_test,
        campaign=friend.campaign,
        participant=who,
        side=terms.side,
        rule_id=asked.rule_id,
        rule_key=terms.key,
        event=event,
        kind=terms.kind,
        amount_minor=minor,
        currency=event.currency,
        units=units.units if units else None,
        units_label=units.label if units else "",
        review_ends_at=ends,
        stage_at=now,
        created_at=now,
    )
    reward.state = lifecycle.pipeline_state(reward, now)
    if friend.fraud_holds:
        reward.state, reward.reason = State.HELD, lifecycle.SUSPECT
    elif reward.participant.is_banned:
        # A banned friend, or one of several referrers: what they earn waits with the rest of theirs; the ban of all is a condition.
        reward.state, reward.reason = State.HELD, lifecycle.BANNED
    return reward


def _create(made: Sequence[tuple[Reward, _Answered]], actor: Actor) -> list[Happening]:
    if not made:
        return []
    rewards = [reward for reward, _item in made]
    insert(rewards)
    lifecycle.write_ledger(((reward, "earn", reward.amount_minor) for reward in rewards if reward.amount_minor), actor)
    lifecycle.tally((reward, reward.state, +1) for reward in rewards)
    happenings = []
    for reward, item in made:
        data: dict[str, Any] = {
            "amount_minor": reward.amount_minor,
            "currency": reward.currency,
            "state": reward.state,
            "event": reward.event.public_id,
            "review_ends_at": reward.review_ends_at.isoformat() if reward.review_ends_at else None,
            "conditions": [condition.as_json() for condition in item.verdict.conditions],
        }
        if reward.units is not None:
            data |= {"units": reward.units, "units_label": reward.units_label}
        happenings.append(lifecycle.reward_happening(types.REWARD_CREATED, reward, data))
        moved = {"from": None, "to": reward.state, "amount_minor": reward.amount_minor, "currency": reward.currency}
        if reward.state == State.DUE:
            happenings.append(lifecycle.reward_happening(types.REWARD_DUE, reward, moved))
        elif reward.state == State.HELD:
            happenings.append(lifecycle.reward_happening(types.REWARD_HELD, reward, moved | {"reason": reward.reason}))
        if item.asked.item.terms.trigger == "milestone":
            happenings.append(lifecycle.reward_happening(types.MILESTONE_REACHED, reward, _milestone(item)))
    return happenings


def _milestone(item: _Answered) -> dict[str, Any]:
    (facts,) = [checked.facts for checked in item.verdict.conditions if checked.code == "milestone_not_reached"]
    return {"friends": facts["friends"], "label": item.asked.item.terms.label, "event": item.asked.event.public_id}


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


def _told(decision: Decision) -> dict[str, Any]:
    """A decision as the history and the webhooks carry it: enough to say why, or why not, without asking for it."""
    return {
        "rule": decision.rule_key,
        "side": decision.side,
        "rewardable": decision.rewardable,
        "reason": decision.reason or None,
        "amount_minor": decision.amount_minor,
        "conditions": decision.conditions,
    }


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
