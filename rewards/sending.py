"""A payout on its way out: claimed, sent by somebody else outside of any transaction, settled (RELIABILITY section 4, steps 2 to 5).

integrations.payouts carries a payout out; this module holds its rows. Each step is a transaction of its own, and a crash between two
leaves a row from which the next worker goes on: it asks the company first, and it sends again only with the same key, while the
company still knows that key. Leases and lives of keys are measured by the database's clock (INV-19).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence, Set
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Now

from participants.models import Participant, PayoutDestination
from referrals.events import types
from referrals.events.services import SYSTEM, Actor, record
from referrals.lib import clock
from referrals.lib.prepared import Prepared, Slot
from rewards import lifecycle, meanwhile, payout_guards
from rewards.models import Payout, PayoutAttempt, PayoutGift, PayoutItem, PayoutShipment, Reward, State
from rewards.ordering import addresses as addresses
from rewards.ordering import order_of as order_of
from rewards.ordering import order_with as order_with
from rewards.orders import Gift as Gift
from rewards.orders import Order as Order
from rewards.orders import Outcome as Outcome
from rewards.payouts import carried_over, complete, payout_happening, write_ledger

# How long a worker may take before another may believe it dead: more than an asking and a sending with all their time-outs.
LEASE = timedelta(seconds=60)
# Seconds before the next try, by the number of tries made, +-20 %.
BACK_OFF = (30, 120, 600, 1800, 3600, 7200)
# A key is used again only in this part of its life; the rest is for clocks that differ (RELIABILITY section 4).
SAFE_PART = 0.8
# A company that can't be reached, or does not say what happened, is asked for this long; then a person is.
PATIENCE = timedelta(days=3)
# How long a payout waits that could not be worked on at all.
ASIDE = timedelta(minutes=10)
CLAIMABLE = ("queued", "sending", "unknown")
_MOVED = "The payout address has changed since."
_CHANGED = "Its rewards have changed since it was made."

# Where a reward goes when the company says no, by the reason of PRODUCT.md.
AFTER = {
    "waiting_for_recipient": State.WAITING,
    "waiting_for_funds": State.ATTENTION,
    "provider_rejected": State.ATTENTION,
    "": State.DUE,
}


# Asked for each payout, and wide: their text is made once (ADR 13).
_WIDE = ("participant__campaign__merchant", "merchant", "batch")
_DUE = Prepared(
    lambda: Payout.objects.filter(
        pk=Slot("pk"), status__in=CLAIMABLE, next_attempt_at__lte=Now(), shipment=None
    ).select_related(*_WIDE)
)
_REWARD_WIDE = ("participant", "campaign__merchant", "merchant", "event__participant__campaign__merchant")
_ROW = Prepared(lambda: Payout.objects.filter(pk=Slot("pk")).select_related(*_WIDE).select_for_update(of=("self",)))
_REWARDS = Prepared(
    lambda: (
        Reward.objects.filter(payout=Slot("payout"))
        .order_by("pk")
        .select_for_update(of=("self",))
        .select_related(*_REWARD_WIDE)
    )
)


def claim(payout_id: int, *, lease: timedelta = LEASE) -> Order | None:
    """Take a payout that is due for the length of a lease; None when it is somebody else's, or when there is nothing to send any more.

    As long as nothing can have reached the company its rewards are looked at once more: what was held, taken back or banned since the
    intent does not leave, and nothing goes to a payout address that has changed.
    """
    with transaction.atomic():
        row = _DUE.first(pk=payout_id)
        if row is None or payout_guards.is_stopped(row.tenant):
            return None
        due = Payout.objects.filter(pk=payout_id, next_attempt_at__lte=Now())
        taken = due.filter(status=row.status, attempts=row.attempts).update(
            status="sending",
            attempts=F("attempts") + 1,
            next_attempt_at=Now() + lease,
            called_at=Coalesce(F("called_at"), Now()),
        )
        if not taken:
            return None
        row.attempts += 1
        first_call = row.called_at is None
        if first_call and (_put_off(row) or given_up(row)):
            return None
        if row.status == "queued" and not leave([row]):
            return None
        PayoutAttempt.objects.create(payout=row, number=row.attempts)
        row.refresh_from_db(fields=["called_at", "amount_minor", "status"])
        return order_of(row, first_call=first_call)


def _put_off(row: Payout) -> bool:
    """Whether a ceiling keeps it for another day: then it is as if it had not been claimed."""
    why = payout_guards.postponed(row)
    if why is None:
        return False
    Payout.objects.filter(pk=row.pk).update(
        status=row.status,
        attempts=row.attempts - 1,
        called_at=None,
        next_attempt_at=why.until,
        message=why.message,
    )
    return True


def given_up(row: Payout) -> bool:
    """Whether a payout whose company was not reached is not to leave any more: its recipient was banned or erased, its payout address or
    its rewards have changed meanwhile. Then it has failed, as if the company had said no. The caller has the payout locked."""
    if row.status != "sending":
        return False
    meanwhile.lock_people_of(row)
    where = _where_to([row])
    if row.destination and where.get(row.participant_id) != row.destination:
        outcome = Outcome("failed", "", _MOVED, _reason_of_move(row, where))
    elif Participant.objects.filter(pk=row.participant_id, banned_at__isnull=False).exists():
        outcome = Outcome("failed", "", "Its recipient was banned before it could leave.", "")
    elif meanwhile.changed(row):
        outcome = Outcome("failed", "", _CHANGED, "")
    else:
        return False
    _failed(row, outcome, SYSTEM)
    return True


def _where_to(rows: Sequence[Payout]) -> dict[int, str]:
    """The payout addresses that count now, by person; none is asked for where no payout has one."""
    usable = PayoutDestination.objects.filter(
        participant__in=[row.participant_id for row in rows],
        ended_at=None,
        confirmed_at__isnull=False,
        usable_from__lte=clock.now(),
    )
    return dict(usable.values_list("participant", "public_id")) if any(row.destination for row in rows) else {}


def _reason_of_move(row: Payout, where: Mapping[int, str]) -> str:
    """One that counts already (the same account, entered anew) is nothing to wait for: they are due again."""
    return "" if row.participant_id in where else "waiting_for_recipient"


def leave(rows: Sequence[Payout], within: Callable[[list[Payout]], list[Payout]] = lambda rows: rows) -> list[Payout]:
    """The last look before anything is sent, at payouts of one side that the caller has locked: those whose rewards are on their way
    now. What no longer stands is given up; of the rest those leave that `within` says.

    People are locked before rewards, both in the order of their primary keys.
    """
    people = [row.participant_id for row in rows]
    list(Participant.objects.filter(pk__in=people).order_by("pk").select_for_update(no_key=True).values_list("pk"))
    where = _where_to(rows)
    queued: dict[int, list[Reward]] = {}
    for reward in _locked(*rows):
        if reward.payout_id is not None and reward.state == State.QUEUED:
            queued.setdefault(reward.payout_id, []).append(reward)
    items: dict[int, dict[int, int]] = {row.pk: {} for row in rows}
    others: dict[int, set[int]] = {}
    ready_now = [reward.pk for ready in queued.values() for reward in ready]
    listed = PayoutItem.objects.filter(Q(payout__in=rows) | Q(reward__in=ready_now))
    for payout, pk, minor in listed.values_list("payout", "reward", "amount_minor"):
        if payout in items:
            items[payout][pk] = minor
        else:
            others.setdefault(payout, set()).add(pk)
    # What an earlier payout's company has paid after all, since these were queued, does not leave twice.
    gone_before = Payout.objects.filter(pk__in=others, status__in=Payout.GONE).values_list("pk", flat=True)
    paid = {pk for payout in gone_before for pk in others[payout]} if others else set()
    gone = []
    for row in rows:
        ready = queued.get(row.pk, [])
        if row.destination and where.get(row.participant_id) != row.destination:
            _stop(row, ready, _reason_of_move(row, where), _MOVED)
        elif _cut_again(row, ready, items[row.pk], paid):
            gone.append(row)
    gone = within(gone)
    targets = [lifecycle.Target(reward, State.SENDING) for row in gone for reward in queued.get(row.pk, [])]
    lifecycle.move(lifecycle.ACTS["send"], targets, actor=SYSTEM)
    return gone


def _cut_again(row: Payout, ready: Sequence[Reward], items: Mapping[int, int], paid: Set[int]) -> bool:
    """Take out of the payout what no longer stands of its `items`, or was `paid` by another one, as long as nothing was sent.

    False when there is nothing left to send, or more than was confirmed: then the payout is given up.
    """
    now = {reward.pk: reward.amount_minor for reward in ready}
    if now == items and not paid & now.keys():
        return True
    due = sum(now.values())
    carried = carried_over([row.participant_id]).get((row.participant_id, row.side), 0) + row.netted_minor
    amount = max(0, due + carried)
    if now == items and amount >= row.amount_minor:
        return True  # what was paid is netted in it already
    if not ready or not amount or amount > row.amount_minor:
        _stop(row, ready, "", _CHANGED)
        return False
    PayoutItem.objects.filter(payout=row).exclude(reward__in=now).delete()
    Reward.objects.filter(payout=row).exclude(pk__in=now).update(payout=None)
    for pk, minor in now.items():
        PayoutItem.objects.filter(payout=row, reward=pk).exclude(amount_minor=minor).update(amount_minor=minor)
    before, row.amount_minor, row.netted_minor = row.amount_minor, amount, amount - due
    Payout.objects.filter(pk=row.pk).update(amount_minor=amount, netted_minor=row.netted_minor)
    record(row.tenant, SYSTEM, payout_happening(types.PAYOUT_CHANGED, row, from_minor=before))
    return True


def _stop(row: Payout, ready: Sequence[Reward], reason: str, message: str) -> None:
    _become(row, SYSTEM, "failed", message=message, reason=reason)
    _send_back(ready, reason, SYSTEM)
    Reward.objects.filter(payout=row).update(payout=None)


def may_send_again(order: Order, key_life: timedelta | None) -> bool:
    """Whether a call that may have been made before can be made once more with the same key, by the database's clock.

    `key_life` None: the company knows a key for ever; zero: never blindly.
    """
    if order.first_call or key_life is None:
        return True
    young = Payout.objects.filter(pk=order.payout_id, called_at__gt=Now() - key_life * SAFE_PART)
    return bool(key_life) and young.exists()


def is_erased(order: Order) -> bool:
    """Whether the recipient's data was erased since it was sent: where it would go now is nobody's address."""
    return Payout.objects.filter(pk=order.payout_id, participant__erased_at__isnull=False).exists()


def settle(
    order: Order, outcome: Outcome, *, key_life: timedelta | None, ask_in: Mapping[str, timedelta] | None = None
) -> str:
    """Write down what came of a try, once; returns the payout's status. An answer that comes after the lease is lost changes nothing:
    whoever has it now asks the company. `ask_in` says by status when the company is asked what became of it."""
    outcome = outcome.unnamed()
    with transaction.atomic():
        row = locked(order.payout_id)
        PayoutAttempt.objects.filter(payout=row, number=order.number).update(
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
        return _failed(row, outcome, SYSTEM)
    wait = pause(row.attempts, outcome.wait)
    tired = Payout.objects.filter(pk=row.pk, called_at__lt=Now() - PATIENCE).exists()
    if outcome.state == "unsent" and not tired:
        # The key's life has not begun when nothing has reached the company yet.
        return _again(row, "sending", wait, outcome.message, None if order.first_call else row.called_at)
    if outcome.state == "unknown" and not tired and key_life != timedelta(0):
        return _again(row, "unknown", wait, outcome.message, row.called_at)
    # No automatic try any more: a person looks at both sides' facts and says what happened.
    return _become(row, SYSTEM, "needs_attention", message=outcome.message)


def pause(attempts: int, asked_for: int = 0) -> timedelta:
    """How long to wait after so many tries; `asked_for` are the seconds that the company wants."""
    seconds = BACK_OFF[min(attempts, len(BACK_OFF)) - 1] * random.uniform(0.8, 1.2)  # noqa: S311 (jitter)
    return timedelta(seconds=max(seconds, min(asked_for, 86_400)))


def _again(row: Payout, status: str, wait: timedelta, message: str, called_at: datetime | None) -> str:
    if row.shipment_id is None:
        Payout.objects.filter(pk=row.pk).update(next_attempt_at=Now() + wait, called_at=called_at)
    return _become(row, SYSTEM, status, message=message, keep_turn=True)


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
                return _become(row, actor, "paid", outcome)
            if row.status == "sent" and (row.message, row.reason) != (outcome.message[:500], _unclaimed(outcome)):
                return _become(row, actor, "sent", outcome, reason=_unclaimed(outcome), keep_turn=True)
            if row.status in {"failed", "undone"}:
                return _paid_after_all(row, outcome, actor)
        elif outcome.state == "ask" and row.status == "needs_attention":
            # No answer to the question, but what the company has to say about it now.
            Payout.objects.filter(pk=row.pk).update(message=outcome.message[:500])
        elif outcome.state == "failed":
            if row.status in Payout.OPEN and row.attempts:
                return _failed(row, outcome, actor)
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
        return _failed(row, Outcome("failed", row.reference, note, ""), actor)


def ask_a_person(payout_id: int, *, actor: Actor, message: str) -> str:
    """No automatic try any more of a payout that is on its way: a person looks at both sides' facts. Returns the status."""
    with transaction.atomic():
        row = locked(payout_id)
        return _become(row, actor, "needs_attention", message=message) if row.status in CLAIMABLE else row.status


def locked(payout_id: int) -> Payout:
    """The payout's row, locked, with what is told of it. Raises Payout.DoesNotExist."""
    row = _ROW.first(pk=payout_id)
    if row is None:
        raise Payout.DoesNotExist(payout_id)
    return row


def _locked(*rows: Payout) -> list[Reward]:
    """The payouts' rewards, locked in the order of their primary keys."""
    if len(rows) == 1:
        return _REWARDS(payout=rows[0].pk)
    found = Reward.objects.filter(payout__in=rows).order_by("pk").select_for_update(of=("self",))
    return list(found.select_related(*_REWARD_WIDE))


def _gone(row: Payout, outcome: Outcome, actor: Actor) -> str:
    """The money has left: the ledger says so, the rewards are issued. What was found out about them meanwhile is decided now."""
    meanwhile.lock_people_of(row)
    friends = meanwhile.changed(row)
    rewards = [reward for reward in _locked(row) if reward.state == State.SENDING]
    now = clock.now()
    status = _become(row, actor, outcome.state, outcome, reason=_unclaimed(outcome))
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


def _failed(row: Payout, outcome: Outcome, actor: Actor) -> str:
    """The company did not pay, and will not: the rewards wait for their recipient, need attention, or are due again.

    What was found out about them meanwhile is decided now: what is not owed any more is void, and not paid another time.
    """
    meanwhile.lock_people_of(row)
    friends = meanwhile.changed(row)
    rewards = [reward for reward in _locked(row) if reward.state in {State.QUEUED, State.SENDING}]
    status = _become(row, actor, "failed", outcome, reason=outcome.reason)
    _send_back(rewards, outcome.reason, actor, outcome.message)
    meanwhile.decide_again(friends, actor)
    return status


def _send_back(rewards: Sequence[Reward], reason: str, actor: Actor, note: str = "") -> None:
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
    (_person,) = Participant.objects.filter(pk=row.participant_id).select_for_update(no_key=True)
    rewards = _locked(row)
    status = _become(row, actor, "failed", outcome, reason=outcome.reason)
    write_ledger([row], "pay_back", actor, outcome.message[:500])
    reversed_ = [
        lifecycle.Target(reward, State.VOID, reward.reason) for reward in rewards if reward.state == State.REVERSED
    ]
    nothing = {"payout": None, "issued_at": None}
    lifecycle.move(lifecycle.ACTS["undo_reversed"], reversed_, actor=actor, extra=nothing)
    _send_back([reward for reward in rewards if reward.state == State.ISSUED], outcome.reason, actor, outcome.message)
    return status


def _paid_after_all(row: Payout, outcome: Outcome, actor: Actor) -> str:
    """Its rewards may be due again or gone with another payout by now: the ledger's line makes the person's next payout net it."""
    status = _become(row, actor, outcome.state, outcome, reason=_unclaimed(outcome))
    _keep(row, outcome.gift)
    write_ledger([row], "pay", actor, "The company paid it after all.")
    return status


def _become(
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
    fields = ["status", "message", "reason", "reference", "paid_at"]
    if not keep_turn:
        row.next_attempt_at = None
        fields.append("next_attempt_at")
    row.save(update_fields=fields)
    if status == "needs_attention" and row.shipment_id is not None:
        # Whoever is asked may pay it another way: what carries it is never sent again.
        PayoutShipment.objects.filter(pk=row.shipment_id).update(is_over=True)
    if before != status:
        told = {"from": before, "to": status, "message": row.message, "reason": reason}
        record(row.tenant, actor, payout_happening(types.PAYOUT_CHANGED, row, **told))
    if status not in Payout.OPEN:
        complete(row.batch, actor)
    return status
