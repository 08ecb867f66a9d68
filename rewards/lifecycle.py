"""A reward's life: every change of state goes through move(), which is one table, one conditional UPDATE, one set of ledger lines,
tallies and Events, in one transaction (PRODUCT.md, "A reward's life"; RELIABILITY INV-07 and INV-08)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from django.db import transaction
from django.db.models import Exists, F, OuterRef
from django.db.models.functions import Now
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from participants.models import ReferralShare
from referrals.accounts.models import Merchant, MerchantClock
from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.models import Event
from referrals.events.services import SYSTEM, Actor, Happening, record_bulk
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.prepared import PreparedUpdate, Slot, insert, slots
from referrals.lib.queries import Among
from rewards import budgets
from rewards.models import Decision, LedgerEntry, Reward, RewardTally, State

DENIED = "denied_by_merchant"
# What was not paid yet of somebody whose data is erased (rewards.personal).
ERASED = "recipient_erased"
# Reasons that a person gave; a new decision about the facts never overrides them.
BY_HAND = frozenset({DENIED, "fraud_denied", ERASED})
# The reason of a reward that a ban holds (rewards.bans).
BANNED = "referrer_banned"
# The reason of a reward that waits for a person, because of a suspicion or by somebody's hand.
SUSPECT = "held_for_review"
BEFORE_ISSUE = frozenset({State.REVIEW, State.DUE, State.HELD, State.WAITING, State.ATTENTION, State.QUEUED})


@dataclass(frozen=True, slots=True)
class Act:
    """What an action does: from which states, the Event it writes, and the ledger line it needs, if any."""

    name: str
    sources: frozenset[str]
    event: str
    ledger: str = ""


ACTS: dict[str, Act] = {
    act.name: act
    for act in (
        Act("clear", frozenset({State.REVIEW}), types.REWARD_DUE),
        Act("approve", frozenset({State.REVIEW}), types.REWARD_DUE),
        Act("hold", BEFORE_ISSUE - {State.HELD}, types.REWARD_HELD),
        Act("release", frozenset({State.HELD}), types.REWARD_RELEASED),
        Act("void", BEFORE_ISSUE, types.REWARD_VOIDED, ledger="reverse"),
        Act("reverse", frozenset({State.ISSUED}), types.REWARD_REVERSED, ledger="reverse"),
        Act("restore", frozenset({State.VOID, State.REVERSED}), types.REWARD_RESTORED, ledger="earn"),
        Act("issue", frozenset({State.DUE}), types.REWARD_ISSUED),
        # On its way through a provider: intended, on the wire, and what came of it (rewards.queueing, sending, settling).
        Act("queue", frozenset({State.DUE}), types.REWARD_QUEUED),
        Act("unqueue", frozenset({State.QUEUED}), types.REWARD_UNQUEUED),
        Act("send", frozenset({State.QUEUED}), types.REWARD_SENDING),
        Act("settle", frozenset({State.SENDING}), types.REWARD_ISSUED),
        Act("fail", frozenset({State.QUEUED, State.SENDING, State.ISSUED}), types.REWARD_FAILED),
        Act("wait", frozenset({State.DUE}), types.REWARD_WAITING),
        Act("retry", frozenset({State.WAITING, State.ATTENTION}), types.REWARD_DUE),
        Act("undo_issue", frozenset({State.ISSUED}), types.REWARD_ISSUE_UNDONE),
        # A reward that was reversed after it was issued: when the payment is undone, nothing is left of it.
        Act("undo_reversed", frozenset({State.REVERSED}), types.REWARD_ISSUE_UNDONE),
    )
}


# Every step there is in a reward's life (PRODUCT.md). PostgreSQL refuses any other, whoever writes it.
TRANSITIONS: frozenset[tuple[str, str]] = frozenset(
    {(State.REVIEW, State.DUE)}
    | {(state, State.HELD) for state in BEFORE_ISSUE - {State.HELD}}
    | {(State.HELD, State.REVIEW), (State.HELD, State.DUE)}
    | {(State.DUE, State.ISSUED), (State.ISSUED, State.DUE), (State.ISSUED, State.HELD)}
    | {(state, State.VOID) for state in BEFORE_ISSUE}
    | {(State.VOID, State.REVIEW), (State.VOID, State.DUE), (State.VOID, State.HELD)}
    | {(State.ISSUED, State.REVERSED), (State.REVERSED, State.ISSUED), (State.REVERSED, State.VOID)}
    # On its way through a provider.
    | {(State.DUE, State.QUEUED), (State.QUEUED, State.DUE), (State.QUEUED, State.SENDING), (State.DUE, State.WAITING)}
    | {(State.QUEUED, State.WAITING), (State.QUEUED, State.ATTENTION)}
    | {(State.SENDING, State.ISSUED), (State.SENDING, State.WAITING), (State.SENDING, State.ATTENTION)}
    | {(State.SENDING, State.DUE), (State.WAITING, State.DUE), (State.ATTENTION, State.DUE)}
    # The company took it, and gave it back later.
    | {(State.ISSUED, State.WAITING), (State.ISSUED, State.ATTENTION)}
)


@dataclass(frozen=True, slots=True)
class Target:
    """Where one reward goes."""

    reward: Reward
    state: str
    reason: str = ""
    # Why, when facts decide and not a person: the decision's conditions, for the history and the webhooks.
    conditions: tuple[dict[str, Any], ...] = ()


def pipeline_state(reward: Reward, now: Any) -> str:
    """Review while the review period runs, due after it."""
    ends = reward.review_ends_at
    return State.REVIEW if ends is not None and ends > now else State.DUE


def back(rewards: Sequence[Reward]) -> list[Target]:
    """Where void and reversed rewards stand again: issued, held if a hold was on them when they fell, else where the pipeline has them.

    A hold that nobody has lifted stays: silence never pays (PRODUCT.md). One query, for those that are void.
    """
    now = clock.now()
    holds = _holds_on([reward.public_id for reward in rewards if reward.state == State.VOID])
    targets = []
    for reward in rewards:
        if reward.state == State.REVERSED:
            targets.append(Target(reward, State.ISSUED))
        elif reward.participant.is_banned:
            targets.append(Target(reward, State.HELD, BANNED))
        elif reward.public_id in holds:
            targets.append(Target(reward, State.HELD, holds[reward.public_id]))
        else:
            targets.append(Target(reward, pipeline_state(reward, now)))
    return targets


def _holds_on(public_ids: Collection[str]) -> dict[str, str]:
    """The reasons of the holds that were on void rewards when they fell, from the history. A ban's hold goes with the ban."""
    told = (types.REWARD_HELD, types.REWARD_ISSUE_UNDONE, types.REWARD_VOIDED)
    rows = Event.objects.filter(subject_id__in=public_ids, type__in=told).order_by("pk") if public_ids else ()
    held: dict[str, str] = {}
    fell: dict[str, str] = {}
    for row in rows:
        if row.data["to"] == State.HELD:
            held[row.subject_id] = row.data.get("reason", "held_for_review")
        elif row.data["from"] == State.HELD:
            fell[row.subject_id] = held.get(row.subject_id, "held_for_review")
        else:
            fell.pop(row.subject_id, None)
    return {public_id: reason for public_id, reason in fell.items() if reason != BANNED}


def lock(tenant: Tenant, reward_ids: Collection[int]) -> list[Reward]:
    """The tenant's rewards with these primary keys, locked in their order; Refused 404 when one is not theirs."""
    rows = list(
        Reward.objects.for_tenant(tenant)
        .filter(pk__in=reward_ids)
        .order_by("pk")
        .select_for_update(of=("self",))
        .select_related("participant", "campaign", "merchant")
    )
    if len(rows) != len(set(reward_ids)):
        raise Refused("reward_not_found", _("One of these rewards does not exist. Reload the list."), status=404)
    return rows


def move(
    act: Act, targets: Sequence[Target], *, actor: Actor, note: str = "", extra: dict[str, Any] | None = None
) -> list[Reward]:
    """Carry out one action on rewards that the caller has locked, in the caller's transaction.

    All or nothing: raises Refused `invalid_state` (409) naming the first reward that stands elsewhere. `extra` are further
    columns, the same for all.
    """
    if not targets:
        return []
    if len(note) > 500:
        raise Refused("too_long", _("A note has at most 500 characters."), field="note")
    refuse_wrong_state(act, [target.reward for target in targets])
    for target in targets:
        step = (target.reward.state, target.state)  # held to held: the reason of a hold may change
        if step[0] != step[1] and step not in TRANSITIONS:
            raise ValueError(f"{act.name} leads from {target.reward.state} to {target.state}, which no reward does")
    now = clock.now()
    columns = extra or {}
    for (state, reason), group in _grouped(targets).items():
        values = {"state": state, "reason": reason, "note": note, "stage_at": now, **columns}
        if _update(act, tuple(columns))(rewards=[r.pk for r in group], **values) != len(group):
            raise Refused(
                "invalid_state", _("Somebody changed one of these rewards meanwhile. Reload the list."), status=409
            )
    tenant = targets[0].reward.tenant
    tally([(t.reward, t.reward.state, -1) for t in targets] + [(t.reward, t.state, +1) for t in targets])
    happenings = [_happening(act, target, note) for target in targets]
    for target in targets:
        reward = target.reward
        reward.state, reward.reason, reward.note, reward.stage_at = target.state, target.reason, note, now
        reward.revision += 1
        for name, value in columns.items():
            setattr(reward, name, value)
    if act.ledger:
        sign = -1 if act.ledger == "reverse" else 1
        lines = ((t.reward, act.ledger, sign * t.reward.amount_minor) for t in targets if t.reward.amount_minor)
        write_ledger(lines, actor, note)
    record_bulk(tenant, actor, happenings)
    return [target.reward for target in targets]


@cache
def _update(act: Act, columns: tuple[str, ...]) -> PreparedUpdate[Reward]:
    """The conditional UPDATE of an action, whose text is made once (ADR 13)."""
    return PreparedUpdate(
        lambda: Reward.objects.filter(Among("pk", Slot("rewards")), state__in=sorted(act.sources)),
        revision=F("revision") + 1,
        **slots(Reward, "state", "reason", "note", "stage_at", *columns),
    )


def refuse_wrong_state(act: Act, rewards: Iterable[Reward]) -> None:
    """Raise Refused 409 for the first reward from which the action can't start."""
    for reward in rewards:
        if reward.state not in act.sources:
            message = _(
                "The reward of %(amount)s to %(who)s is %(state)s; that can't be done now. Reload to see it as it is."
            )
            words = {"amount": reward.amount, "who": reward.participant, "state": reward.get_state_display().lower()}
            raise Refused(
                "invalid_state",
                message % words,
                status=409,
                details={"reward": reward.public_id, "state": reward.state},
            )


def _grouped(targets: Sequence[Target]) -> dict[tuple[str, str], list[Reward]]:
    groups: dict[tuple[str, str], list[Reward]] = {}
    for target in targets:
        groups.setdefault((target.state, target.reason), []).append(target.reward)
    return groups


def _happening(act: Act, target: Target, note: str) -> Happening:
    reward = target.reward
    data: dict[str, Any] = {
        "from": reward.state,
        "to": target.state,
        "amount_minor": reward.amount_minor,
        "currency": reward.currency,
    }
    if reward.units is not None:
        data |= {"units": reward.units, "units_label": reward.units_label}
    if target.reason:
        data["reason"] = target.reason
    if target.conditions:
        data["conditions"] = list(target.conditions)
    if note:
        data["note"] = note
    return reward_happening(act.event, reward, data)


def reward_happening(type_: str, reward: Reward, data: dict[str, Any]) -> Happening:
    """An Event about a reward, shown on its owner's timeline."""
    return Happening(
        type_,
        "reward",
        reward.public_id,
        campaign=reward.campaign.public_id,
        participant=reward.participant.public_id,
        data=data,
    )


def write_ledger(lines: Iterable[tuple[Reward, str, int]], actor: Actor, note: str = "") -> None:
    """Add (reward, kind, signed minor units) lines; the key names reward, kind and the reward's revision, so each is said once.

    What is earned or taken back is also what budgets are used by.
    """
    lines = list(lines)
    budgets.use((reward, minor) for reward, _kind, minor in lines)
    insert(
        [
            LedgerEntry(
                key=f"reward:{reward.public_id}:{kind}:{reward.revision}",
                merchant_id=reward.merchant_id,
                is_test=reward.is_test,
                participant_id=reward.participant_id,
                side=reward.side,
                kind=kind,
                amount_minor=minor,
                currency=reward.currency,
                reward=reward,
                note=note,
                actor=actor.label or actor.kind,
            )
            for reward, kind, minor in lines
        ]
    )


def tally(changes: Iterable[tuple[Reward, str, int]]) -> None:
    """Add the pipeline's delta rows for (reward, state, +1 entering or -1 leaving)."""
    counts: Counter[tuple[Any, ...]] = Counter()
    sums: Counter[tuple[Any, ...]] = Counter()
    for reward, state, sign in changes:
        key = (reward.merchant_id, reward.is_test, reward.campaign_id, reward.currency, state)
        counts[key] += sign
        sums[key] += sign * reward.amount_minor
    add_tallies({key: (counts[key], sums[key]) for key in counts})


def add_tallies(deltas: dict[tuple[Any, ...], tuple[int, int]]) -> None:
    """Insert delta rows: (merchant, is_test, campaign, currency, state) to (count, minor units)."""
    insert(
        [
            RewardTally(
                merchant_id=key[0],
                is_test=key[1],
                campaign_id=key[2],
                currency=key[3],
                state=key[4],
                count=count,
                amount_minor=minor,
            )
            for key, (count, minor) in deltas.items()
            if count or minor
        ]
    )


def approve(*, tenant: Tenant, reward_ids: Collection[int], actor: Actor, note: str = "") -> int:
    """End the review early. Returns how many became due; Refused when one is not in review, and nothing moves."""
    with transaction.atomic():
        rows = lock(tenant, reward_ids)
        return len(move(ACTS["approve"], [Target(row, State.DUE) for row in rows], actor=actor, note=note))


def hold(*, tenant: Tenant, reward_ids: Collection[int], actor: Actor, note: str = "") -> int:
    """Stop rewards until a person decides; silence never pays (PRODUCT.md)."""
    with transaction.atomic():
        rows = lock(tenant, reward_ids)
        return len(
            move(ACTS["hold"], [Target(row, State.HELD, "held_for_review") for row in rows], actor=actor, note=note)
        )


def release(*, tenant: Tenant, reward_ids: Collection[int], actor: Actor, note: str = "") -> int:
    """Undo a hold: back to review while its period runs, else due."""
    with transaction.atomic():
        now = clock.now()
        rows = lock(tenant, reward_ids)
        return len(
            move(ACTS["release"], [Target(row, pipeline_state(row, now)) for row in rows], actor=actor, note=note)
        )


def void(*, tenant: Tenant, reward_ids: Collection[int], actor: Actor, note: str, reason: str = DENIED) -> int:
    """Decline rewards that have not left. `note` says why and is required; restore() undoes it."""
    _need_note(note)
    with transaction.atomic():
        rows = lock(tenant, reward_ids)
        return len(move(ACTS["void"], [Target(row, State.VOID, reason) for row in rows], actor=actor, note=note))


def reverse(*, tenant: Tenant, reward_ids: Collection[int], actor: Actor, note: str, reason: str = DENIED) -> int:
    """Take issued rewards back: a negative entry that the person's next payout nets. `note` is required."""
    _need_note(note)
    with transaction.atomic():
        rows = lock(tenant, reward_ids)
        return len(move(ACTS["reverse"], [Target(row, State.REVERSED, reason) for row in rows], actor=actor, note=note))


def restore(*, tenant: Tenant, reward_ids: Collection[int], actor: Actor, note: str = "") -> int:
    """Undo a void or a reversal by the opposite entry. What the facts still forbid stays so (Refused `not_rewardable`)."""
    with transaction.atomic():
        rows = lock(tenant, reward_ids)
        refuse_wrong_state(ACTS["restore"], rows)
        forbidden = set(
            Decision.objects.filter(
                event__in=[row.event_id for row in rows], current=True, rewardable=False
            ).values_list("event_id", "rule_key")
        )
        shared = ReferralShare.objects.filter(
            participant=OuterRef("participant"), referral__standing_for=OuterRef("event__participant")
        )
        given_away = set(
            Reward.objects.filter(pk__in=[row.pk for row in rows], side="referrer")
            .exclude(participant=F("event__participant__referral__referrer"))
            .exclude(Exists(shared))
            .values_list("pk", flat=True)
        )
        for row in rows:
            nothing = not row.amount_minor and row.units is None
            if (
                row.reason not in BY_HAND
                or (row.event_id, row.rule_key) in forbidden
                or row.pk in given_away
                or nothing
            ):
                message = _(
                    "The reward of %(amount)s to %(who)s was not declined by hand but by its conditions: %(reason)s."
                )
                words = {"amount": row.amount, "who": row.participant, "reason": row.reason}
                raise Refused("not_rewardable", message % words, status=409, details={"reason": row.reason})
        budgets.refuse_overdraft(rows)
        return len(move(ACTS["restore"], back(rows), actor=actor, note=note))


def release_due(*, limit: int = 1000, until: datetime | None = None, tenant: Tenant | None = None) -> int:
    """Make due what has left review, by the database's clock (or by `until`, for a story told at its own pace).

    Of one `tenant`, or of all whose time is the real one: test sides with a clock of their own are looked after in rewards.advancing.
    One short transaction; what somebody else has in hand is left for the next time. Returns how many; call again while it returns
    `limit`.
    """
    waiting = Reward.objects.filter(state=State.REVIEW, review_ends_at__lte=until or Now())
    if tenant is not None:
        waiting = waiting.for_tenant(tenant)
    elif until is None:
        waiting = waiting.exclude(is_test=True, merchant__in=MerchantClock.objects.values("merchant"))
    with transaction.atomic():
        keys = list(
            waiting.order_by("review_ends_at").select_for_update(skip_locked=True).values_list("pk", flat=True)[:limit]
        )
        _clear(keys)
    return len(keys)


def _clear(keys: Sequence[int]) -> None:
    """The action `clear` on rewards that the caller has locked, as move() does it but without their objects: there may be thousands."""
    if not keys:
        return
    act, fields = (
        ACTS["clear"],
        ("public_id", "amount_minor", "currency", "campaign__public_id", "participant__public_id"),
    )
    rows = Reward.objects.filter(pk__in=keys).order_by("review_ends_at", "pk")
    by_tenant: dict[tuple[int, bool], list[Happening]] = {}
    counts: Counter[tuple[Any, ...]] = Counter()
    sums: Counter[tuple[Any, ...]] = Counter()
    for merchant, is_test, campaign, *values in rows.values_list("merchant_id", "is_test", "campaign_id", *fields):
        reward, minor, currency, campaign_ref, owner = values
        data = {"from": State.REVIEW, "to": State.DUE, "amount_minor": minor, "currency": currency}
        told = Happening(act.event, "reward", reward, campaign=campaign_ref, participant=owner, data=data)
        by_tenant.setdefault((merchant, is_test), []).append(told)
        counts[merchant, is_test, campaign, currency] += 1
        sums[merchant, is_test, campaign, currency] += minor
    now = clock.now()
    changed = Reward.objects.filter(pk__in=keys, state__in=act.sources).update(
        state=State.DUE, reason="", note="", stage_at=now, revision=F("revision") + 1
    )
    if changed != len(keys):
        raise RuntimeError("A reward that was locked has left review.")
    deltas = {(*key, State.REVIEW): (-count, -sums[key]) for key, count in counts.items()}
    add_tallies(deltas | {(*key, State.DUE): (count, sums[key]) for key, count in counts.items()})
    merchants = Merchant.objects.in_bulk({merchant for merchant, _is_test in by_tenant})
    with clock.at(now):
        for (merchant, is_test), happenings in by_tenant.items():
            record_bulk(Tenant(merchants[merchant], is_test), SYSTEM, happenings)


def _need_note(note: str) -> None:
    if not note.strip():
        raise Refused("note_required", _("Say why, so that it can be explained later."), field="note")


def moved_text(count: int) -> str:
    """ "3 rewards", for messages."""
    return ngettext("%(count)d reward", "%(count)d rewards", count) % {"count": count}
