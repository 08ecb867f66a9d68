"""The test side's own time: whoever learns whose data a request or a job is about asks here what time it is there (ADR 7).

The live side has the real time and no row is read for it. Log-ins, keys, mailed links, limits, leases and retries keep the real time
on both sides: referrals.lib.clock.wall().
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from referrals.accounts.models import MerchantClock
from referrals.accounts.tenancy import Tenant
from referrals.lib import clock


def clock_of(tenant: Tenant) -> MerchantClock | None:
    """The clock that was moved on this side; None on the live side, and while the real time is good enough. One query at most."""
    if not tenant.is_test:
        return None
    return MerchantClock.objects.filter(merchant=tenant.merchant).first()


def moment_of(tenant: Tenant) -> datetime | None:
    """What time it is on this side, None for the real time."""
    found = clock_of(tenant)
    return found.now() if found else None


def enter(tenant: Tenant) -> None:
    """For the rest of the request it is the time of this side. The only way in for requests; see clock.scope()."""
    clock.enter(moment_of(tenant))


@contextmanager
def running(tenant: Tenant) -> Iterator[None]:
    """Within this block it is the time of this side: for jobs about one row, and for a message from outside."""
    with clock.scope():
        enter(tenant)
        yield


def ahead(tenant: Tenant) -> timedelta:
    """How far this side is ahead of the real time; nothing on the live side."""
    moment = moment_of(tenant)
    return timedelta() if moment is None else moment - clock.wall()
