"""What came of a payout: settled after a try, learnt of later, said by a person (RELIABILITY section 4, step 5).

Whatever a company says, in any order and any number of times, ends the same: money that has left has its ledger line, money that came
back its opposite. The rows are locked, people before rewards, and each answer is one transaction with its Events.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Now

from referrals.events import types
from referrals.events.services import SYSTEM, Actor, record
from referrals.lib import clock
from referrals.lib.prepared import Prepared, PreparedUpdate, Slot, slots
from rewards import lifecycle, meanwhile
from rewards.locking import lock_rows
from rewards.models import Payout, PayoutAttempt, PayoutGift, PayoutShipment, Reward, State
from rewards.orders import Gift, Order, Outcome
from rewards.payouts import complete, payout_happening, write_ledger

# Seconds before the next try, by the number of tries made, +-20 %. Most hiccups are over in seconds, and asking first is safe.
BACK_OFF = (5, 30, 120, 600, 1800, 3600, 7200)
# A company that can't be reached, or does not say what happened, is asked for this long; then a person is.
PATIENCE = timedelta(days=3)
# How long a payout waits that could not be worked on at all.
ASIDE = timedelta(minutes=10)
CLAIMABLE = ("queued", "sending", "unknown")
# Where a reward goes when the company says no, by the reason of PRODUCT.md.
AFTER = {
    "waiting_for_recipient": State.WAITING,
    "waiting_for_funds": State.ATTENTION,
    "provider_rejected": State.ATTENTION,
    "": State.DUE,
}

# Asked for each payout, and wide: their text is made once (ADR 13).
WIDE = ("participant__campaign__merchant", "merchant", "batch")
_REWARD_WIDE = ("participant", "campaign__merchant", "merchant", "event__participant__campaign__merchant")
_ROW = Prepared(lambda: Payout.objects.filter(pk=Slot("pk")).select_related(*WIDE).select_for_update(of=("self",)))
_REWARDS = Prepared(
    lambda: (
        Reward.objects.filter(payout=Slot("payout"))
        .order_by("pk")
        .select_for_update(of=("self",))
        .select_related(*_REWARD_WIDE)
    )
)
_ENDED = PreparedUpdate(
    lambda: PayoutAttempt.objects.filter(payout=Slot("payout"), number=Slot("number")),
    **slots(PayoutAttempt, "ended_at", "state", "reference", "message"),
)
_TOLD = ("status", "message", "reason", "reference", "paid_at")
# The second one as well ends its turn.
_BECOME = PreparedUpdate(lambda: Payout.objects.filter(pk=Slot("payout")), **slots(Payout, *_TOLD))
_REST = PreparedUpdate(lambda: Payout.objects.filter(pk=Slot("payout")), **slots(Payout, *_TOLD), next_attempt_at=None)


def settle(
    order: Order, outcome: Outcome, *, key_life: timedelta | None, ask_in: Mapping[str, timedelta] | None = None
) -> str:
    """Write down what came of a try, once; returns the payout's status. An answer that comes after the lease is lost changes nothing:
    whoever has it now asks the company. `ask_in` says by status when the company is asked what became of it."""
    outcome = outcome.unnamed()
    with transaction.atomic():
        row = locked(order.payout_id)
        _ENDED(
            payout=row.pk,
            number=order.number,
            ended_at=clock.wall(),
            state=outcome.state,
            reference=outcome.reference[:255],
            message=outcome.message[:500],
        )
        if row.status != "sending" or row.attempts != order.number:
            return row.status
        status = _apply(row, order, outcome, key_life)
        if ask_in and status in ask_in:
            # A status message may have come before the answer: then it is now.
            Payout.objects.filter(pk=row.pk).update(check_at=Coalesce(F("check_at"), Now() + ask_in[status]))
        return status


def _apply(row: Payout, order: Order, outcome: Outcome, key_life: timedelta | None) -> str:
    if outcome.state in {"paid", "sent"}:
        return _gone(row, outcome, SYSTEM)
    if outcome.state == "failed":
        return fail(row, outcome, SYSTEM)
    wait = pause(row.attempts, outcome.wait)
    tired = Payout.objects.filter(pk=row.pk, called_at__lt=Now() - PATIENCE).exists()
    if outcome.state == "unsent" and order.first_call:
        # No call has reached the company, so none of them is remembered: the first try of all counts.
        tired = PayoutAttempt.objects.filter(payout=row, began_at__lt=clock.wall() - PATIENCE).exists()
    if outcome.state == "unsent" and not tired:
        # The key's life has not begun when nothing has reached the company yet.
        return _again(row, "sending", wait, outcome.message, None if order.first_call else row.called_at)
    if outcome.state == "unknown" and not tired and key_life != timedelta(0):
        return _again(row, "unknown", wait, outcome.message, row.called_at)
    # No automatic try any more: a person looks at both sides' facts and says what happened.
    return become(row, SYSTEM, "needs_attention", message=outcome.message)


def pause(attempts: int, asked_for: int = 0) -> timedelta:
    """How long to wait after so many tries; `asked_for` are the seconds that the company wants."""
    seconds = BACK_OFF[min(attempts, len(BACK_OFF)) - 1] * random.uniform(0.8, 1.2)  # noqa: S311 (jitter)
    return timedelta(seconds=max(seconds, min(asked_for, 86_400)))


def _again(row: Payout, status: str, wait: timedelta, message: str, called_at: datetime | None) -> str:
    if row.shipment_id is None:
        Payout.objects.filter(pk=row.pk).update(next_attempt_at=Now() + wait, called_at=called_at)
    return become(row, SYSTEM, status, message=message, keep_turn=True)


def put_aside(payout_id: int, message: str) -> None:
    """An error of ours on the way: the payout stays what it is, and is looked at again later."""
    open_still = Payout.objects.filter(pk=payout_id, status__in=CLAIMABLE, next_attempt_at__isnull=False)
    open_still.update(next_attempt_at=Now() + ASIDE, message=message[:500])


def take_check(payout_id: int, *, lease: timedelta = ASIDE) -> Payout | None:
    """Take a payout whose company is due to be asked; None when somebody else has it. It is asked again when the lease ends."""
    due = Payout.objects.filter(pk=payout_id, check_at__lte=Now()).exclude(status__in=CLAIMABLE)
    row = due.select_related("participant__campaign__merchant", "merchant", "batch").first()
    if row is None or not due.filter(checks=row.checks).update(check_at=Now() + lease, checks=F("checks") + 1):
        return None
    row.checks += 1
    return row


def plan_check(row: Payout, wait: timedelta | None) -> None:
    """When the company is asked after this time, by the database's clock; None: not any more. A message that came meanwhile wins."""
    when = None if wait is None else Now() + wait
    Payout.objects.filter(pk=row.pk, checks=row.checks, check_at__gt=Now()).update(check_at=when)


def learn(payout_id: int, outcome: Outcome, *, actor: Actor = SYSTEM) -> str:
    """What a company says later by itself, or when asked: a status message, a reconciliation. Returns the payout's status.

    Anything in any order and any number of times ends the same: money that has left has its ledger line, money that came back its
    opposite. One that was thought failed and was paid after all is written down as paid; the next payout nets it.
    """
    outcome = outcome.unnamed()
    with transaction.atomic():
        row = locked(payout_id)
        if outcome.state in {"paid", "sent"}:
            if row.status in Payout.OPEN and row.attempts:
                return _gone(row, outcome, actor)
            if row.status in Payout.GONE:
                _keep(row, outcome.gift)
            if row.status == "sent" and outcome.state == "paid":
                return become(row, actor, "paid", outcome)
            if row.status == "sent" and (row.message, row.reason) != (outcome.message[:500], _unclaimed(outcome)):
                return become(row, actor, "sent", outcome, reason=_unclaimed(outcome), keep_turn=True)
            if row.status in {"failed", "undone"}:
                return _paid_after_all(row, outcome, actor)
        elif outcome.state == "ask" and row.status == "needs_attention":
            # No answer to the question, but what the company has to say about it now.
            Payout.objects.filter(pk=row.pk).update(message=outcome.message[:500])
        elif outcome.state == "failed":
            if row.status in Payout.OPEN and row.attempts:
                return fail(row, outcome, actor)
            if row.status in Payout.GONE:
                return _came_back(row, outcome, actor)
        return row.status


def decide(payout_id: int, *, paid: bool, actor: Actor, note: str) -> str:
    """A person's word on a payout whose outcome nobody knows: it was paid, or it was not and its rewards are due again.

    Changes nothing unless it needs attention; returns the status.
    """
    with transaction.atomic():
        row = locked(payout_id)
        if row.status != "needs_attention":
            return row.status
        if paid:
            return _gone(row, Outcome("paid", row.reference, note), actor)
        return fail(row, Outcome("failed", row.reference, note, ""), actor)


def ask_a_person(payout_id: int, *, actor: Actor, message: str) -> str:
    """No automatic try any more of a payout that is on its way: a person looks at both sides' facts. Returns the status."""
    with transaction.atomic():
        row = locked(payout_id)
        return become(row, actor, "needs_attention", message=message) if row.status in CLAIMABLE else row.status


def locked(payout_id: int) -> Payout:
    """The payout's row, locked, with what is told of it. Raises Payout.DoesNotExist."""
    row = _ROW.first(pk=payout_id)
    if row is None:
        raise Payout.DoesNotExist(payout_id)
    return row


def rewards_of(*rows: Payout) -> list[Reward]:
    """The payouts' rewards, locked in the order of their primary keys."""
    if len(rows) == 1:
        return _REWARDS(payout=rows[0].pk)
    found = Reward.objects.filter(payout__in=rows).order_by("pk").select_for_update(of=("self",))
    return list(found.select_related(*_REWARD_WIDE))


def _gone(row: Payout, outcome: Outcome, actor: Actor) -> str:
    """The money has left: the ledger says so, the rewards are issued. What was found out about them meanwhile is decided now."""
    meanwhile.lock_people_of(row)
    friends = meanwhile.changed(row)
    rewards = [reward for reward in rewards_of(row) if reward.state == State.SENDING]
    now = clock.now()
    status = become(row, actor, outcome.state, outcome, reason=_unclaimed(outcome))
    _keep(row, outcome.gift)
    write_ledger([row], "pay", actor, row.batch.note)
    targets = [lifecycle.Target(reward, State.ISSUED) for reward in rewards]
    lifecycle.move(lifecycle.ACTS["settle"], targets, actor=actor, extra={"issued_at": now})
    meanwhile.decide_again(friends, actor)
    return status


def _unclaimed(outcome: Outcome) -> str:
    """The reason of money that has left and that its recipient has yet to claim; "" for any other."""
    waits = outcome.state == "sent" and outcome.reason == "waiting_for_recipient"
    return outcome.reason if waits else ""


def _keep(row: Payout, gift: Gift | None) -> None:
    """What the recipient is given, sealed; the first one counts, because a company answers with the same."""
    if gift is None or PayoutGift.objects.filter(payout=row).exists():
        return
    kept = PayoutGift(
        merchant_id=row.merchant_id, is_test=row.is_test, payout=row, hint=gift.hint, expires_at=gift.expires_at
    )
    kept.secrets = {"code": gift.code, "url": gift.url, "pin": gift.pin}
    kept.save(force_insert=True)


def fail(row: Payout, outcome: Outcome, actor: Actor) -> str:
    """The company did not pay, and will not: the rewards wait for their recipient, need attention, or are due again.

    What was found out about them meanwhile is decided now: what is not owed any more is void, and not paid another time.
    """
    meanwhile.lock_people_of(row)
    friends = meanwhile.changed(row)
    rewards = [reward for reward in rewards_of(row) if reward.state in {State.QUEUED, State.SENDING}]
    status = become(row, actor, "failed", outcome, reason=outcome.reason)
    send_back(rewards, outcome.reason, actor, outcome.message)
    meanwhile.decide_again(friends, actor)
    return status


def send_back(rewards: Sequence[Reward], reason: str, actor: Actor, note: str = "") -> None:
    queued = [row for row in rewards if row.state == State.QUEUED]
    others = [row for row in rewards if row.state != State.QUEUED]
    state = AFTER.get(reason, State.ATTENTION)
    if state == State.DUE:
        back = [lifecycle.Target(row, State.DUE) for row in queued]
        lifecycle.move(lifecycle.ACTS["unqueue"], back, actor=actor, extra={"payout": None})
        queued = []
    targets = [lifecycle.Target(row, state, reason) for row in (*queued, *others)]
    lifecycle.move(
        lifecycle.ACTS["fail"], targets, actor=actor, note=note[:500], extra={"payout": None, "issued_at": None}
    )
    meanwhile.hold_again(rewards, actor)


def _came_back(row: Payout, outcome: Outcome, actor: Actor) -> str:
    """Returned, bounced, never claimed: the ledger gets the opposite line, what is still owed waits, what was taken back is void."""
    lock_rows([row.participant_id])
    rewards = rewards_of(row)
    status = become(row, actor, "failed", outcome, reason=outcome.reason)
    write_ledger([row], "pay_back", actor, outcome.message[:500])
    reversed_ = [
        lifecycle.Target(reward, State.VOID, reward.reason) for reward in rewards if reward.state == State.REVERSED
    ]
    nothing = {"payout": None, "issued_at": None}
    lifecycle.move(lifecycle.ACTS["undo_reversed"], reversed_, actor=actor, extra=nothing)
    send_back([reward for reward in rewards if reward.state == State.ISSUED], outcome.reason, actor, outcome.message)
    return status


def _paid_after_all(row: Payout, outcome: Outcome, actor: Actor) -> str:
    """Its rewards may be due again or gone with another payout by now: the ledger's line makes the person's next payout net it."""
    status = become(row, actor, outcome.state, outcome, reason=_unclaimed(outcome))
    _keep(row, outcome.gift)
    write_ledger([row], "pay", actor, "The company paid it after all.")
    return status


def become(
    row: Payout,
    actor: Actor,
    status: str,
    outcome: Outcome | None = None,
    *,
    message: str = "",
    reason: str = "",
    keep_turn: bool = False,
) -> str:
    """Give a locked payout its new status, with its Event; the batch is told of when nothing of it is open any more."""
    before, row.status = row.status, status
    row.message = (outcome.message if outcome else message)[:500]
    row.reason = reason
    if outcome is not None and outcome.reference:
        row.reference = outcome.reference[:255]
    if status in Payout.GONE:
        row.paid_at = row.paid_at or clock.now()
    if not keep_turn:
        row.next_attempt_at = None
    (_BECOME if keep_turn else _REST)(payout=row.pk, **{name: getattr(row, name) for name in _TOLD})
    if status == "needs_attention" and row.shipment_id is not None:
        # Whoever is asked may pay it another way: what carries it is never sent again.
        PayoutShipment.objects.filter(pk=row.shipment_id).update(is_over=True)
    if before != status:
        told = {"from": before, "to": status, "message": row.message, "reason": reason}
        record(row.tenant, actor, payout_happening(types.PAYOUT_CHANGED, row, **told))
    if status not in Payout.OPEN:
        complete(row.batch, actor)
    return status
