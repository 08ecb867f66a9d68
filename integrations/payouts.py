"""Payouts carried out: claim, ask first, call, settle; and asked about afterwards. The company is called outside of any transaction
(RELIABILITY section 4).

The row is the job (rewards.sending holds it); sweep() is nudged by a task and by the clock. Several payouts are on the wire at once,
because what takes the time is the company.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Generic, Literal, TypeVar

from django.db import OperationalError, connection, transaction
from django.db.models import Min, Q, QuerySet
from django.db.models.functions import Now

from integrations import registry, shipping
from integrations.base import Account, Issuer, ProviderError
from integrations.models import Connection
from integrations.payout_ways import (
    DAY,
    ERASED,
    GONE,
    OTHER_KEY,
    TOO_OLD,
    ask_in,
    has_other_key,
    learnt,
    next_check,
    ready,
    words,
)
from referrals.accounts import clocks
from referrals.lib.http import HttpError
from referrals.lib.prepared import Prepared, Slot
from referrals.lib.queue import enqueue
from rewards import ordering, payout_guards, sending, settling
from rewards import shipping as shipments
from rewards.models import Payout, PayoutShipment
from rewards.orders import Order, Outcome

T = TypeVar("T")
SWEEP_SECONDS = 45.0
# How many are on the wire at once in one worker.
AT_ONCE = 16
# What one look at the table takes.
HANDFUL = 200
ASK = "integrations.payouts.ask"
logger = logging.getLogger(__name__)
_PAYOUT = Prepared(lambda: Payout.objects.select_related("merchant").filter(pk=Slot("pk")))


def sweep() -> int:
    """Work on what is due, a handful of the oldest at a time, for at most 45 seconds. Returns how many payouts and shipments were tried."""
    return _Several(_whatever_comes, _due).work()


# Payouts alone, shipments, and payouts that wait to be packed with others of their batch.
Piece = tuple[Literal["payout", "shipment", "pack"], int]


def _due() -> list[Piece]:
    """A handful of what is due. All that one batch has to pack is one piece of work, so that a large one keeps nobody waiting."""
    due = payout_guards.not_stopped(Payout.objects.filter(status__in=settling.CLAIMABLE, next_attempt_at__lte=Now()))
    ships = payout_guards.not_stopped(PayoutShipment.objects.filter(next_attempt_at__lte=Now()))
    together = Q(method__in=shipping.methods(), status="queued", shipment=None)
    alike = due.filter(together).values("batch", "method", "account", "currency").order_by()
    oldest = alike.annotate(at=Min("next_attempt_at"), first=Min("pk")).order_by("at").values_list("at", "first")
    found: list[tuple[datetime | None, Piece]] = []
    found += [(at, ("payout", pk)) for at, pk in _oldest(due.exclude(together))]
    found += [(at, ("shipment", pk)) for at, pk in _oldest(ships)]
    found += [(at, ("pack", pk)) for at, pk in oldest[:HANDFUL]]
    return [piece for _at, piece in sorted(found)[:HANDFUL]]


def _oldest(rows: QuerySet[Payout] | QuerySet[PayoutShipment]) -> list[tuple[datetime | None, int]]:
    return list(rows.order_by("next_attempt_at").values_list("next_attempt_at", "pk")[:HANDFUL])


class _Several(Generic[T]):
    """Rows worked on, several at once where the database can do that: who waits for a company keeps nobody else waiting. SQLite has one
    writer, and gets them in turn, the oldest first. Where there may be other workers, a handful of the oldest comes in any order: two who
    look at the same time would else stand in line for each row."""

    def __init__(self, do: Callable[[T], bool], due: Callable[[], list[T]]) -> None:
        self.do, self.due = do, due
        self.end = time.monotonic() + SWEEP_SECONDS
        self.is_alone = connection.vendor == "sqlite" or connection.in_atomic_block
        self.keys: deque[T] = deque()
        self.lock = threading.Lock()
        self.done = 0

    def work(self) -> int:
        """Until nothing is due any more, or the time is over; how many were worked on."""
        self._look()
        if self.is_alone:
            self._one_by_one()
        elif self.keys:
            with ThreadPoolExecutor(min(AT_ONCE, len(self.keys))) as pool:
                each = [pool.submit(self._in_thread) for _ in range(min(AT_ONCE, len(self.keys)))]
            if not sum(one.result() for one in each):
                self._one_by_one()  # with the connection that asked what is due
        return self.done

    def _look(self) -> None:
        self.keys.extend(self.due())
        if not self.is_alone:
            random.shuffle(self.keys)

    def _in_thread(self) -> bool:
        """False when the database has no connection left for it (`max_connections`): those that got one do its share."""
        try:
            connection.ensure_connection()
        except OperationalError as error:
            logger.warning("one payout at a time less: %s", error)
            return False
        try:
            self._one_by_one()
        finally:
            connection.close()
        return True

    def _one_by_one(self) -> None:
        while (key := self._next()) is not None:
            if self.do(key):
                with self.lock:
                    self.done += 1

    def _next(self) -> T | None:
        """The next one; what is being worked on has a lease, and is not due."""
        with self.lock:
            if time.monotonic() >= self.end:
                return None
            if not self.keys:
                self._look()
            return self.keys.popleft() if self.keys else None


def _whatever_comes(piece: Piece) -> bool:
    """One that can't be worked on keeps no other one waiting: it is put aside for a while, and says why."""
    kind, key = piece
    try:
        return shipping.again(key) if kind == "shipment" else work(key)
    except Exception as error:
        logger.exception("%s %s could not be worked on", kind, key)
        if kind == "shipment":
            shipments.put_aside(key)
        else:
            settling.put_aside(key, f"It could not be worked on ({type(error).__name__}); it will be tried again.")
        return False


def work(payout_id: int, *, lease: timedelta = sending.LEASE) -> bool:
    """One try at one payout, from claiming it to settling it; False when somebody else has it or there is nothing to send."""
    payout = _PAYOUT.first(pk=payout_id)
    if payout is None:
        return False  # the test side was emptied meanwhile
    if payout.shipment_id is not None:
        return shipping.again(payout.shipment_id)
    if payout.status == "queued" and shipping.together(payout.method) > 1:
        return shipping.begin(payout)
    with clocks.running(payout.tenant):
        order = sending.claim(payout_id, lease=lease)
        if order is None:
            return False
        issuer, (account, (order,)) = registry.issuer(order.method), ready([order], payout.tenant)
        if issuer is None or account is None:
            gone = Outcome("failed" if order.first_call else "unknown", "", GONE, "")
            settling.settle(order, gone, key_life=None)
        else:
            outcome = _try(order, issuer, account)
            settling.settle(order, outcome, key_life=issuer.key_life, ask_in=ask_in(order.method))
    return True


def _try(order: Order, issuer: Issuer, account: Account) -> Outcome:
    """Ask first when an earlier call may have reached the company; send when it knows nothing, and the key is good for it."""
    if not order.first_call:
        try:
            found = issuer.check(order, account)
        except Exception as error:
            # Who can't be asked is sent nothing, either.
            return Outcome("unknown", order.reference, words(error))
        if found is not None:
            return found
        if not sending.may_send_again(order, issuer.key_life):
            return Outcome("ask", "", TOO_OLD)
        if sending.is_erased(order):
            return Outcome("ask", "", ERASED)
        if has_other_key(order):
            return Outcome("ask", "", OTHER_KEY)
    try:
        return issuer.send(order, account)
    except HttpError as error:
        return Outcome("unknown" if error.sent else "unsent", "", str(error))
    except Exception as error:
        return Outcome("unknown", "", words(error))


# --- what became of it ---


def told(connection: Connection, references: Collection[str]) -> str:
    """A status message names a payout, by our key or the company's id: it is looked after at once. Returns its public id, "" when no
    payout of this connection is meant.

    The message itself is not believed: the company is asked (RELIABILITY F4).
    """
    names = [name for name in references if name]
    whole = PayoutShipment.objects.for_tenant(connection.tenant).filter(account=connection.public_id)
    ships = list(whole.filter(Q(key__in=names) | Q(reference__in=names)).values_list("pk", flat=True)[:10])
    mine = Payout.objects.for_tenant(connection.tenant).filter(account=connection.public_id)
    rows = mine.filter(Q(key__in=names) | Q(public_id__in=names) | Q(reference__in=names) | Q(shipment__in=ships))
    with transaction.atomic():
        found = rows.order_by("pk").values_list("public_id", flat=True).first() or ""
        rows.update(check_at=Now())
        # One whose outcome nobody knows is asked about before it is sent again, in any case.
        rows.filter(status="unknown", next_attempt_at__isnull=False).update(next_attempt_at=Now())
        PayoutShipment.objects.filter(
            payouts__in=rows.filter(status="unknown").values("pk"), next_attempt_at__isnull=False
        ).update(next_attempt_at=Now())
        if found:
            enqueue(ASK)
    return found


def ask() -> int:
    """Ask companies what became of payouts, those that are due first, for at most 45 seconds; returns how many were asked about."""

    def due() -> list[int]:
        rows = Payout.objects.filter(check_at__lte=Now()).exclude(status__in=settling.CLAIMABLE)
        return list(rows.order_by("check_at").values_list("pk", flat=True)[:HANDFUL])

    return _Several(ask_about, due).work()


def ask_about(payout_id: int) -> bool:
    """Ask the company about one payout that is due for it, and take what it says; False when somebody else does."""
    payout = _PAYOUT.first(pk=payout_id)
    if payout is None:
        return False
    if payout.shipment_id is not None and shipping.ask(payout):
        return True
    with clocks.running(payout.tenant):
        row = settling.take_check(payout_id)
        if row is None:
            return False
        try:
            status = learnt(row, _asked(row))
        except ProviderError as error:
            if not error.retry:
                settling.plan_check(row, DAY)
            return True
        except Exception:
            logger.exception("could not ask about payout %s", row.public_id)
            return True  # once more when the lease ends
        settling.plan_check(row, next_check(row, status))
    return True


def ask_now(payout_id: int) -> str:
    """A person wants to know: the payout's status after asking the company. Raises ProviderError or HttpError when it can't be asked."""
    row = Payout.objects.select_related("participant__campaign__merchant", "merchant", "batch").get(pk=payout_id)
    with clocks.running(row.tenant):
        status = learnt(row, _asked(row))
        if wait := next_check(row, status):
            # Of what a person was asked about no turn was planned: what is on its way now is looked after again.
            Payout.objects.filter(pk=row.pk, check_at=None).update(check_at=Now() + wait)
    return status


def _asked(row: Payout) -> Outcome | None:
    """What the company says now; None when it knows nothing of it. Raises ProviderError when there is nobody to ask."""
    if row.shipment_id is not None and not row.reference:
        return shipping.asked(row)
    issuer, (account, (order,)) = registry.issuer(row.method), ready([ordering.order_of(row)], row.tenant)
    if issuer is None or account is None:
        raise ProviderError(GONE, retry=False)
    return issuer.check(order, account)
