"""Payouts carried out: claim, ask first, call, settle; the company is called outside of any transaction (RELIABILITY section 4).

The row is the job (rewards.sending holds it); sweep() is nudged by a task and by the clock. Several payouts are on the wire at once,
because what takes the time is the company.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from django.db import connection
from django.db.models.functions import Now

from integrations import registry
from integrations.base import Account, Issuer, ProviderError
from integrations.models import Connection
from integrations.sandbox.sending import send_for
from referrals.accounts import clocks
from referrals.accounts.tenancy import Tenant
from referrals.lib.http import HttpError
from referrals.lib.sealed import SealError
from rewards import payout_guards, sending
from rewards.models import Payout
from rewards.sending import Order, Outcome

SWEEP_SECONDS = 45.0
# How many are on the wire at once in one worker.
AT_ONCE = 16
# What one look at the table takes.
HANDFUL = 200
logger = logging.getLogger(__name__)


def sweep() -> int:
    """Work on payouts that are due, the oldest first, for at most 45 seconds; returns how many were tried."""
    end = time.monotonic() + SWEEP_SECONDS
    tried = 0
    while time.monotonic() < end:
        due = Payout.objects.filter(status__in=sending.CLAIMABLE, next_attempt_at__lte=Now())
        keys = list(payout_guards.not_stopped(due).order_by("next_attempt_at").values_list("pk", flat=True)[:HANDFUL])
        if not keys:
            break
        tried += sum(_several(keys, end))
    return tried


def _several(keys: list[int], end: float) -> list[bool]:
    """Each in a thread of its own where the database can do that; SQLite has one writer, and gets them in turn."""
    if connection.vendor == "sqlite" or connection.in_atomic_block:
        return [_whatever_comes(key) for key in keys if time.monotonic() < end]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda key: time.monotonic() < end and _in_thread(key), keys))


def _in_thread(key: int) -> bool:
    try:
        return _whatever_comes(key)
    finally:
        connection.close()


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
        issuer, account = registry.issuer(order.method), _account(order, payout.tenant)
        if issuer is None or account is None:
            message = "Its connection is gone or can't be opened. Connect anew."
            gone = Outcome("failed" if order.first_call else "unknown", "", message, "")
            sending.settle(order, gone, key_life=None)
        else:
            sending.settle(order, _try(order, issuer, account), key_life=issuer.key_life)
    return True


def _account(order: Order, tenant: Tenant) -> Account | None:
    """The payout's own side's connection: one that an archive names may be somebody else's here."""
    mine = Connection.objects.for_tenant(tenant).filter(removed_at=None)
    row = mine.filter(public_id=order.account, provider=order.method).first()
    if row is None:
        return None
    try:
        return Account(row.secrets, row.settings, send_for(row))
    except SealError:
        logger.exception("the secrets of %s can't be opened", row.public_id)
        return None


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
