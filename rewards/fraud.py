"""What suspicion means for rewards: hold what is Medium, High or could not be checked, and let go what is cleared.

The score comes from `participants.fraud`; here stand the moments at which it is asked, under a lock on the friend's row (people
before rewards), and what it does to the rewards of that friend's events on both sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from participants.destinations import sharers_of
from participants.fraud import traces
from participants.fraud.assessing import Assessed, assess, has_context
from participants.fraud.models import FraudEvaluation
from participants.fraud.presets import UNKNOWN
from participants.fraud.traces import Seen
from participants.models import Participant, PayoutDestination, QualifyingEvent
from referrals.events import types
from referrals.events.models import Event
from referrals.events.services import SYSTEM, Actor
from referrals.lib import clock
from rewards import lifecycle
from rewards.locking import lock_people
from rewards.models import Reward, State

# The reason of a reward that waits for a person (PRODUCT.md, "Decisions").
SUSPECT = lifecycle.SUSPECT


def after_joining(participant: Participant, seen: Seen | None, *, referred: bool, is_new: bool = False) -> None:
    """Keep what was seen of a browser, and score a new referral. Without anything seen nobody is scored.

    `is_new`: made in this very transaction, so that nothing was seen before; that saves a query.
    """
    kept = seen is not None and traces.keep(participant, seen)
    if referred and (kept or (not is_new and has_context(participant))):
        look(participant)


def after_event(participant: Participant, event: QualifyingEvent, seen: Seen | None) -> None:
    """Score what a friend did. Nothing is asked about people of whom nothing was ever seen."""
    kept = seen is not None and traces.keep(participant, seen)
    if kept or participant.fraud_level:
        look(participant, event)


def look(friend: Participant, event: QualifyingEvent | None = None) -> Assessed | None:
    """Score under the friend's lock, and hold what they have open when a person has to look. Runs in the caller's transaction."""
    locked = lock_friend(friend)
    before = locked.fraud_holds
    done = assess(locked, event)
    friend.fraud_level, friend.fraud_holds = locked.fraud_level, locked.fraud_holds
    if locked.fraud_holds and not before:
        hold_open(locked, SYSTEM)
    elif before and not locked.fraud_holds:
        let_go(locked, SYSTEM)
    return done


def look_again(friend: Participant) -> None:
    """Score a friend's joining and all their events anew: after a change of lists, or when something could not be checked."""
    with transaction.atomic():
        look(friend)
        for event in QualifyingEvent.objects.filter(participant=friend, fraud_evaluations__current=True).order_by("pk"):
            look(friend, event)


def after_destination(destination: PayoutDestination) -> int:
    """Score those anew who are paid where a fresh address leads (S03), as far as they were ever scored. Returns how many."""
    people = Participant.objects.filter(pk__in=sharers_of(destination), referral__isnull=False).exclude(fraud_level="")
    friends = list(people.order_by("pk"))
    for friend in friends:
        look_again(friend)
    return len(friends)


def recheck_unknown(limit: int = 100) -> int:
    """Try again what could not be checked. Returns how many friends were looked at."""
    rows = FraudEvaluation.objects.filter(current=True, level=UNKNOWN).order_by("decided_at")
    keys = list(dict.fromkeys(rows.values_list("participant_id", flat=True)[:limit]))
    for friend in Participant.objects.filter(pk__in=keys).order_by("pk"):
        look_again(friend)
    return len(keys)


def lock_friend(friend: Participant) -> Participant:
    """The friend's row, fresh and locked as everything about them is decided; the referrer's with it where rules count friends."""
    return lock_people(friend)[0]


def rewards_of(friend: Participant, *states: str) -> list[Reward]:
    """The rewards of the friend's events, on both sides, that stand in these states; locked in the order of their keys."""
    rows = Reward.objects.filter(event__participant=friend, state__in=states).order_by("pk")
    return list(rows.select_for_update(of=("self",)).select_related("participant", "campaign", "merchant"))


def hold_open(friend: Participant, actor: Actor, note: str = "") -> list[Reward]:
    """Hold what has not left: rewards in review and due."""
    rows = rewards_of(friend, State.REVIEW, State.DUE)
    targets = [lifecycle.Target(row, State.HELD, SUSPECT) for row in rows]
    return lifecycle.move(lifecycle.ACTS["hold"], targets, actor=actor, note=note)


def let_go(friend: Participant, actor: Actor, note: str = "") -> list[Reward]:
    """Release what suspicion held, and nothing that a person held or a ban holds."""
    now = clock.now()
    rows = [row for row in rewards_of(friend, State.HELD) if row.reason == SUSPECT]
    mine = held_by_suspicion(rows)
    targets = [released(row, now) for row in rows if row.public_id in mine]
    return lifecycle.move(lifecycle.ACTS["release"], targets, actor=actor, note=note)


def released(reward: Reward, now: datetime) -> lifecycle.Target:
    """Where a reward goes that suspicion no longer holds: on, or under the ban of its owner."""
    if reward.participant.is_banned:
        return lifecycle.Target(reward, State.HELD, lifecycle.BANNED)
    return lifecycle.Target(reward, lifecycle.pipeline_state(reward, now))


def held_by_suspicion(rewards: Sequence[Reward]) -> set[str]:
    """Which of these the fraud check holds, by the history: made as held, or held by the system. The others a person holds."""
    ids = [row.public_id for row in rewards]
    last: dict[str, bool] = {}
    if ids:
        for row in Event.objects.filter(subject_id__in=ids, type=types.REWARD_HELD).order_by("pk"):
            last[row.subject_id] = row.data.get("from") is None or row.actor_kind == SYSTEM.kind
    return {public_id for public_id, mine in last.items() if mine}
