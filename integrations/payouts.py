"""Payouts carried out: claim, ask first, call, settle; and asked about afterwards. The company is called outside of any transaction
(RELIABILITY section 4).

The row is the job (rewards.sending holds it); sweep() is nudged by a task and by the clock. Several payouts are on the wire at once,
because what takes the time is the company.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Now

from integrations import payout_checking, registry
from integrations.base import Account, Issuer, ProviderError
from integrations.key_health import watched
from integrations.models import Connection
from integrations.sandbox.sending import send_for
from participants.models import CustomerReference
from referrals.accounts import clocks
from referrals.accounts.tenancy import Tenant
from referrals.lib import clock
from referrals.lib.http import HttpError
from referrals.lib.queue import enqueue
from referrals.lib.sealed import SealError
from rewards import payout_guards, sending
from rewards.models import Payout
from rewards.sending import Order, Outcome

SWEEP_SECONDS = 45.0
# How many are on the wire at once in one worker.
AT_ONCE = 16
# What one look at the table takes.
HANDFUL = 200
# When a company is asked what became of a payout that it took, by how often it was; then each day.
CHECKS = tuple(timedelta(minutes=minutes) for minutes in (5, 30, 120, 360))
DAY = timedelta(days=1)
ASK = "integrations.payouts.ask"
logger = logging.getLogger(__name__)


def sweep() -> int:
    """Work on payouts that are due, the oldest first, for at most 45 seconds; returns how many were tried."""

    def due() -> list[int]:
        rows = Payout.objects.filter(status__in=sending.CLAIMABLE, next_attempt_at__lte=Now())
        free = payout_guards.not_stopped(rows).order_by("next_attempt_at")
        return list(free.values_list("pk", flat=True)[:HANDFUL])

    return _Several(_whatever_comes, due).work()


class _Several:
    """Rows worked on, several at once where the database can do that: who waits for a company keeps nobody else waiting. SQLite has one
    writer, and gets them in turn."""

    def __init__(self, do: Callable[[int], bool], due: Callable[[], list[int]]) -> None:
        self.do, self.due = do, due
        self.end = time.monotonic() + SWEEP_SECONDS
        self.keys: deque[int] = deque()
        self.lock = threading.Lock()
        self.done = 0

    def work(self) -> int:
        """Until nothing is due any more, or the time is over; how many were worked on."""
        self.keys.extend(self.due())
        if connection.vendor == "sqlite" or connection.in_atomic_block:
            self._one_by_one()
        elif self.keys:
            with ThreadPoolExecutor(min(AT_ONCE, len(self.keys))) as pool:
                for each in [pool.submit(self._in_thread) for _ in range(min(AT_ONCE, len(self.keys)))]:
                    each.result()
        return self.done

    def _in_thread(self) -> None:
        try:
            self._one_by_one()
        finally:
            connection.close()

    def _one_by_one(self) -> None:
        while (key := self._next()) is not None:
            if self.do(key):
                with self.lock:
                    self.done += 1

    def _next(self) -> int | None:
        """The next one; what is being worked on has a lease, and is not due."""
        with self.lock:
            if time.monotonic() >= self.end:
                return None
            if not self.keys:
                self.keys.extend(self.due())
            return self.keys.popleft() if self.keys else None


def _whatever_comes(key: int) -> bool:
    """One payout that can't be worked on keeps no other one waiting: it is put aside for a while, and says why."""
    try:
        return work(key)
    except Exception as error:
        logger.exception("payout %s could not be worked on", key)
        sending.put_aside(key, f"It could not be worked on ({type(error).__name__}); it will be tried again.")
        return False


def work(payout_id: int, *, lease: timedelta = sending.LEASE) -> bool:
    """One try at one payout, from claiming it to settling it; False when somebody else has it or there is nothing to send."""
    payout = Payout.objects.select_related("merchant").filter(pk=payout_id).first()
    if payout is None:
        return False  # the test side was emptied meanwhile
    with clocks.running(payout.tenant):
        order = sending.claim(payout_id, lease=lease)
        if order is None:
            return False
        issuer, (account, order) = registry.issuer(order.method), _ready(order, payout.tenant)
        if issuer is None or account is None:
            message = "Its connection is gone or can't be opened. Connect anew."
            gone = Outcome("failed" if order.first_call else "unknown", "", message, "")
            sending.settle(order, gone, key_life=None)
        else:
            outcome = _try(order, issuer, account)
            sending.settle(order, outcome, key_life=issuer.key_life, ask_in=_ask_in(order.method))
    return True


def _ask_in(method: str) -> dict[str, timedelta]:
    return {"sent": CHECKS[0]} | ({"paid": DAY} if _watch(method) else {})


def _watch(method: str) -> timedelta:
    found = registry.ways().get(method)
    return found[1].watch if found else timedelta(0)


def _ready(order: Order, tenant: Tenant) -> tuple[Account | None, Order]:
    """The way to the company, and the order with the company's own name of the person.

    Of the payout's own side's connections only: one that an archive names may be somebody else's here.
    """
    row = Connection.objects.for_tenant(tenant).filter(removed_at=None, public_id=order.account).first()
    found = registry.ways().get(order.method)
    if row is None or (found and found[0].slug != row.provider):
        return None, order
    known = CustomerReference.objects.filter(source=row.provider, participant__public_id=order.person).order_by("-pk")
    order = replace(order, customer=known.values_list("customer_id", flat=True).first() or "")
    try:
        return Account(row.secrets, row.settings, watched(row, send_for(row)), row.is_test), order
    except SealError:
        logger.exception("the secrets of %s can't be opened", row.public_id)
        return None, order


def _try(order: Order, issuer: Issuer, account: Account) -> Outcome:
    """Ask first when an earlier call may have reached the company; send when it knows nothing, and the key is good for it."""
    if not order.first_call:
        try:
            found = issuer.check(order, account)
        except Exception as error:
            # Who can't be asked is sent nothing, either.
            return Outcome("unknown", order.reference, _words(error))
        if found is not None:
            return found
        if not sending.may_send_again(order, issuer.key_life):
            return Outcome("ask", "", "The company does not know it, and its key is too old to be used again.")
    try:
        return issuer.send(order, account)
    except HttpError as error:
        return Outcome("unknown" if error.sent else "unsent", "", str(error))
    except Exception as error:
        return Outcome("unknown", "", _words(error))


def _words(error: Exception) -> str:
    """What went wrong, for the merchant: a company's or our client's own words, else only that it did."""
    if isinstance(error, HttpError | ProviderError):
        return str(error)
    logger.error("an issuer raised %s", type(error).__name__, exc_info=error)
    return f"The call ended with an error of ours ({type(error).__name__})."


# --- what became of it ---


def told(connection: Connection, references: Collection[str]) -> str:
    """A status message names a payout, by our key or the company's id: it is looked after at once. Returns its public id, "" when no
    payout of this connection is meant.

    The message itself is not believed: the company is asked (RELIABILITY F4).
    """
    names = [name for name in references if name]
    mine = Payout.objects.for_tenant(connection.tenant).filter(account=connection.public_id)
    rows = mine.filter(Q(key__in=names) | Q(public_id__in=names) | Q(reference__in=names))
    with transaction.atomic():
        found = rows.order_by("pk").values_list("public_id", flat=True).first() or ""
        rows.update(check_at=Now())
        # One whose outcome nobody knows is asked about before it is sent again, in any case.
        rows.filter(status="unknown", next_attempt_at__isnull=False).update(next_attempt_at=Now())
        if found:
            enqueue(ASK)
    return found


def ask() -> int:
    """Ask companies what became of payouts, those that are due first, for at most 45 seconds; returns how many were asked about."""

    def due() -> list[int]:
        rows = Payout.objects.filter(check_at__lte=Now()).exclude(status__in=sending.CLAIMABLE)
        return list(rows.order_by("check_at").values_list("pk", flat=True)[:HANDFUL])

    return _Several(ask_about, due).work()


def ask_about(payout_id: int) -> bool:
    """Ask the company about one payout that is due for it, and take what it says; False when somebody else does."""
    payout = Payout.objects.select_related("merchant").filter(pk=payout_id).first()
    if payout is None:
        return False
    with clocks.running(payout.tenant):
        row = sending.take_check(payout_id)
        if row is None:
            return False
        try:
            status = _learnt(row, _asked(row))
        except ProviderError as error:
            if not error.retry:
                sending.plan_check(row, DAY)
            return True
        except Exception:
            logger.exception("could not ask about payout %s", row.public_id)
            return True  # once more when the lease ends
        sending.plan_check(row, _next_check(row, status))
    return True


def ask_now(payout_id: int) -> str:
    """A person wants to know: the payout's status after asking the company. Raises ProviderError or HttpError when it can't be asked."""
    row = Payout.objects.select_related("participant__campaign__merchant", "merchant", "batch").get(pk=payout_id)
    with clocks.running(row.tenant):
        return _learnt(row, _asked(row))


def _asked(row: Payout) -> Outcome | None:
    """What the company says now; None when it knows nothing of it. Raises ProviderError when there is nobody to ask."""
    issuer, (account, order) = registry.issuer(row.method), _ready(sending.order_of(row), row.tenant)
    if issuer is None or account is None:
        raise ProviderError("Its connection is gone or can't be opened. Connect anew.", retry=False)
    return issuer.check(order, account)


def _learnt(row: Payout, outcome: Outcome | None) -> str:
    """Take what the company said; the payout's status."""
    if outcome is None:
        if row.status in Payout.GONE:
            payout_checking.missing(row)
        return row.status
    payout_checking.found_again(row)
    return sending.learn(row.pk, outcome)


def _next_check(row: Payout, status: str) -> timedelta | None:
    if status == "sent":
        return CHECKS[row.checks] if row.checks < len(CHECKS) else DAY
    watch = _watch(row.method)
    if status == "paid" and watch and (row.paid_at is None or row.paid_at + watch > clock.now()):
        return DAY
    return None
