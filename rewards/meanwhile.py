"""What was found out about rewards while they were on the wire: it can't stop them, so it is acted on as soon as they are off it.

A refund, a ban, or a code that the friend redeemed at the checkout is decided at once, but a reward that is being sent stays as it is.
When the company has answered, the friends concerned are decided again: what was paid is reversed and netted, what was not paid is
void and can't be paid later (PRODUCT.md, "One payment per debt").
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Exists, OuterRef, Q, QuerySet

from participants.models import Participant
from referrals.events.services import SYSTEM, Actor
from referrals.lib.prepared import Prepared, PreparedRows, Slot
from rewards import lifecycle
from rewards.deciding import redecide
from rewards.locking import lock_all
from rewards.models import Decision, Payout, Reward, State


def lock_people_of(row: Payout) -> None:
    """Lock the recipient, the friends who earned the payout's rewards, and their referrers: nothing about them is decided meanwhile.

    Whoever decides about a friend holds one of these locks, so what is recorded afterwards is seen by them, and what was before by us.
    """
    people = _people(row)
    while True:
        lock_all(people)
        now = _people(row)
        if now <= people:
            return
        people |= now


def _people(row: Payout) -> set[int]:
    return {row.participant_id} | {pk for pair in _FRIENDS(payout=row.pk) for pk in pair if pk is not None}


def changed(row: Payout) -> list[Participant]:
    """The friends whose events are decided differently from what is on the wire. No clock is asked: those of two workers may differ.

    A shared reward, or one of another's rank, looks different from its decision without being so: deciding it again changes nothing.
    """
    return _CHANGED(payout=row.pk)


def _changed() -> QuerySet[Participant]:
    stands = Decision.objects.filter(event=OuterRef("event"), rule_key=OuterRef("rule_key"), current=True)
    same = Q(rewardable=True, amount_minor=OuterRef("amount_minor"))
    same &= Q(referrer=OuterRef("participant")) | ~Q(side="referrer")
    sending = Reward.objects.filter(
        Exists(stands), ~Exists(stands.filter(same)), payout=Slot("payout"), state=State.SENDING
    )
    people = Participant.objects.filter(pk__in=sending.values("event__participant")).order_by("pk")
    return people.select_related("campaign__merchant", "merchant")


# Asked for each payout: their text is made once (ADR 13).
_CHANGED = Prepared(_changed)
_FRIENDS = PreparedRows(
    lambda: Reward.objects.filter(payout=Slot("payout")).values_list(
        "event__participant", "event__participant__referral__referrer"
    )
)


def decide_again(friends: Iterable[Participant], actor: Actor) -> None:
    """Bring the friends' rewards in line with what is decided, now that they are off the wire. Their locks are held."""
    for friend in friends:
        redecide(friend, actor)


def hold_again(rewards: Iterable[Reward], actor: Actor) -> None:
    """Hold what came back from the wire, or from waiting, and would have been held if it had been there: by a ban of its owner, or, once it
    is due, by a suspicion about the friend who earned it. What is of somebody who was erased is void. In the caller's transaction, which
    has the rewards locked."""
    for row in rewards:
        if row.participant.erased_at is not None and row.state in lifecycle.BEFORE_ISSUE:
            # Given up as everything else of theirs was that had not left yet: nobody is there to be paid.
            given_up = lifecycle.Target(row, State.VOID, lifecycle.ERASED)
            lifecycle.move(lifecycle.ACTS["void"], [given_up], actor=SYSTEM)
            continue
        if row.participant.is_banned and row.state in lifecycle.ACTS["hold"].sources:
            target, by, note = lifecycle.Target(row, State.HELD, lifecycle.BANNED), actor, row.participant.ban_reason
        elif row.state == State.DUE and row.event.participant.fraud_holds:
            # Said by nobody but the check itself, which lets go of it when the case is cleared (rewards.fraud).
            target, by, note = lifecycle.Target(row, State.HELD, lifecycle.SUSPECT), SYSTEM, ""
        else:
            continue
        lifecycle.move(lifecycle.ACTS["hold"], [target], actor=by, note=note)
