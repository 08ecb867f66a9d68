"""A payout on its way out: claimed, and looked at once more before it leaves (RELIABILITY section 4, steps 2 to 4).

integrations.payouts carries a payout out; this module holds its rows, and rewards.settling writes down what came of it. Each step is
a transaction of its own, and a crash between two leaves a row from which the next worker goes on: it asks the company first, and it
sends again only with the same key, while the company still knows that key. Leases and lives of keys are measured by the database's
clock (INV-19).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from datetime import timedelta

from django.db import models, transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Now

from participants.models import Participant, PayoutDestination
from referrals.events import types
from referrals.events.services import SYSTEM, record
from referrals.lib import clock
from referrals.lib.prepared import Prepared, PreparedRows, PreparedUpdate, Slot, insert
from referrals.lib.queries import Among
from rewards import lifecycle, meanwhile, payout_guards
from rewards.locking import lock_rows
from rewards.models import Payout, PayoutAttempt, PayoutItem, Reward, State
from rewards.ordering import order_of
from rewards.orders import Order, Outcome
from rewards.payouts import carried_over, payout_happening
from rewards.settling import CLAIMABLE, WIDE, become, fail, rewards_of, send_back

# How long a worker may take before another may believe it dead: more than an asking and a sending with all their time-outs.
LEASE = timedelta(seconds=60)
# A key is used again only in this part of its life; the rest is for clocks that differ (RELIABILITY section 4).
SAFE_PART = 0.8
_MOVED = "The payout address has changed since."
_CHANGED = "Its rewards have changed since it was made."
_BANNED = "Its recipient was banned before it could leave."
# Why nothing of a payout left though nobody said no: what is due again, and well, may leave by itself once more (rewards.runs).
MENDED = frozenset({_MOVED, _CHANGED, _BANNED})

_DUE = Prepared(
    lambda: Payout.objects.filter(
        pk=Slot("pk"), status__in=CLAIMABLE, next_attempt_at__lte=Now(), shipment=None
    ).select_related(*WIDE)
)
_TAKE = PreparedUpdate(
    lambda: Payout.objects.filter(
        pk=Slot("pk"), status=Slot("status"), attempts=Slot("attempts"), next_attempt_at__lte=Now()
    ),
    status="sending",
    attempts=F("attempts") + 1,
    next_attempt_at=Now() + Slot("lease", models.DurationField()),
    called_at=Coalesce(F("called_at"), Now()),
)
_LISTED = PreparedRows(
    lambda: PayoutItem.objects.filter(
        Among("payout_id", Slot("payouts")) | Among("reward_id", Slot("rewards"))
    ).values_list("payout", "reward", "amount_minor")
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
        taken = _TAKE.returning("called_at", pk=payout_id, status=row.status, attempts=row.attempts, lease=lease)
        if not taken:
            return None
        row.attempts += 1
        first_call, (called_at,) = row.called_at is None, taken
        if first_call and (_put_off(row) or given_up(row)):
            return None
        if row.status == "queued" and not leave([row]):
            return None
        insert([PayoutAttempt(payout=row, number=row.attempts)])
        row.status, row.called_at = "sending", called_at
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
        outcome = Outcome("failed", "", _BANNED, "")
    elif meanwhile.changed(row):
        outcome = Outcome("failed", "", _CHANGED, "")
    else:
        return False
    fail(row, outcome, SYSTEM)
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
    lock_rows({row.participant_id for row in rows})
    where = _where_to(rows)
    queued: dict[int, list[Reward]] = {}
    for reward in rewards_of(*rows):
        if reward.payout_id is not None and reward.state == State.QUEUED:
            queued.setdefault(reward.payout_id, []).append(reward)
    items: dict[int, dict[int, int]] = {row.pk: {} for row in rows}
    others: dict[int, set[int]] = {}
    ready_now = [reward.pk for ready in queued.values() for reward in ready]
    for payout, pk, minor in _LISTED(payouts=list(items), rewards=ready_now):
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
    carried = carried_over([row.participant_id], besides=row).get((row.participant_id, row.side), 0)
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
    become(row, SYSTEM, "failed", message=message, reason=reason)
    send_back(ready, reason, SYSTEM)
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
