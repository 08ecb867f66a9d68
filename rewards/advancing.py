"""The test clock is moved: forward only, from one thing that happens to the next, with the schedule's own code at each stop (ADR 7).

A move is kept in the row (MerchantClock.target) and made in bounded steps: a request makes those of its first second or two, the worker
the rest. So what happens on the way happens at its own time and in its own order, whoever makes the step, and a move survives a crash.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, Max, OuterRef, Q
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from referrals.accounts.clocks import clock_of
from referrals.accounts.models import Merchant, MerchantClock
from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.models import Event
from referrals.events.services import Actor, Happening, record
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.queue import enqueue
from rewards.coming import Coming, coming, next_act
from rewards.leaderboard import close_leaderboards, open_leaderboards
from rewards.lifecycle import release_due
from rewards.models import PayoutRoute, Reward, State
from rewards.queueing import wake_side

MOST_YEARS = 5
MOST_AHEAD = timedelta(days=1826)
# Rewards that one step makes due at most, in one short transaction.
CHUNK = 500
REQUEST_SECONDS = 1.5
WORKER_SECONDS = 45.0
CONTINUE = "rewards.advancing.continue_move"
RUNS = "integrations.issuing.run_due"
Job = Callable[[Tenant, datetime], int]


def _release(tenant: Tenant, moment: datetime) -> int:
    return release_due(tenant=tenant, until=moment, limit=CHUNK)


def _close_leaderboards(tenant: Tenant, moment: datetime) -> int:
    del moment  # the clock stands there
    return close_leaderboards(tenant)


def _wake(tenant: Tenant, moment: datetime) -> int:
    return wake_side(tenant, moment, CHUNK)


def _issue(tenant: Tenant, moment: datetime) -> int:
    """Runs of automatic issuing: what pays them lies above this layer, and is found by its name."""
    return int(import_string(RUNS)(tenant, moment))


# What the schedule does at a moment: each is called with the side and the moment, does one bounded piece and says how many rows it was.
SCHEDULE: tuple[Job, ...] = (_close_leaderboards, _release, _wake, _issue)


@dataclass(frozen=True, slots=True)
class ClockState:
    """What time it is on a test side, whether it is ahead of the real time, where a move is going, and what comes next."""

    now: datetime
    is_moved: bool
    target: datetime | None
    moved_from: datetime | None
    after_event: int
    moved_by: str
    coming: list[Coming]
    # Where the last move has come to; what lies after it is not of the move.
    reached: datetime | None = None


def state_of(tenant: Tenant, *, limit: int = 10) -> ClockState:
    """The clock as a page or a program wants to see it. Refused `live_side` for a live tenant."""
    _refuse_live(tenant)
    row = clock_of(tenant)
    now = row.now() if row else clock.wall()
    ahead = coming(tenant, now, limit=limit)
    if row is None:
        return ClockState(now, False, None, None, 0, "", ahead)
    return ClockState(now, True, row.target, row.moved_from, row.after_event, row.moved_by, ahead, row.moment)


def happened(tenant: Tenant, state: ClockState, *, limit: int = 50) -> list[Event]:
    """What the last move led to, in order, as far as it has come."""
    if state.moved_from is None or state.reached is None:
        return []
    rows = Event.objects.for_tenant(tenant).filter(pk__gt=state.after_event, created_at__lte=state.reached)
    return list(rows.exclude(type=types.TEST_CLOCK_MOVED).order_by("pk")[:limit])


def advance_days(*, tenant: Tenant, days: int, actor: Actor) -> ClockState:
    """Move by days of the merchant's calendar: the same time of day, so many days later. Refused as advance()."""
    _refuse_live(tenant)
    if days < 1:
        message = _("%(days)d days would not move the clock forward. Choose 1 or more.")
        raise Refused("test_clock_backward", message % {"days": days}, field="days")
    if days > MOST_AHEAD.days:
        raise _too_far(_("%(days)d days") % {"days": days}, "days")
    zone = tenant.merchant.zone
    return _move(tenant, actor, "days", lambda now: clock.in_days(now, days, zone))


def advance_to_next(*, tenant: Tenant, actor: Actor) -> ClockState:
    """Move to the next thing that happens. Refused `nothing_coming` (409) when nothing does, else as advance()."""
    _refuse_live(tenant)

    def next_one(now: datetime) -> datetime:
        ahead = coming(tenant, now, limit=1)
        if not ahead:
            message = _(
                "Nothing is going to happen here by itself. Simulate a referral first, or move the clock by days."
            )
            raise Refused("nothing_coming", message, field="to_next", status=409)
        return ahead[0].at  # now, for what is overdue: the smallest move there is

    return _move(tenant, actor, "to_next", next_one)


def advance(*, tenant: Tenant, to: datetime, actor: Actor) -> ClockState:
    """Move the test side's clock to `to`; what happens on the way happens at its own time. Short moves are over on return.

    Raises Refused: live_side, test_clock_backward (naming the value), test_clock_too_far, test_clock_moving (409).
    """
    _refuse_live(tenant)

    def forward(now: datetime) -> datetime:
        if to <= now:
            message = _("%(to)s is not after %(now)s, where the clock stands. It moves forward only.")
            words = {"to": _words(to, tenant), "now": _words(now, tenant)}
            raise Refused("test_clock_backward", message % words, field="to")
        return to

    return _move(tenant, actor, "to", forward)


def _move(tenant: Tenant, actor: Actor, field: str, aim: Callable[[datetime], datetime]) -> ClockState:
    """Begin a move to what `aim` makes of the present moment, and make its first steps. The row's lock keeps two moves apart."""
    with transaction.atomic():
        row = _locked(tenant)
        now = row.now()
        if row.is_moving:
            message = _("The clock is still on its way to %(to)s. Wait until it is there.")
            raise Refused("test_clock_moving", message % {"to": _words(row.target or now, tenant)}, status=409)
        to = aim(now)
        if to > clock.wall() + MOST_AHEAD:
            raise _too_far(_words(to, tenant), field)
        row.moment, row.since, row.target, row.moved_from = now, None, to, now
        row.after_event = Event.objects.for_tenant(tenant).aggregate(last=Max("pk"))["last"] or 0
        row.moved_by = (actor.label or actor.kind)[:300]
        row.save()
        with clock.at(now):
            data = {"from": now.isoformat(), "to": to.isoformat()}
            record(tenant, actor, Happening(types.TEST_CLOCK_MOVED, "test_clock", tenant.merchant.public_id, data=data))
    if not go_on(tenant, REQUEST_SECONDS):
        with transaction.atomic():
            enqueue(CONTINUE, tenant.merchant.pk)
    return state_of(tenant)


def go_on(tenant: Tenant, seconds: float) -> bool:
    """Make steps of a move for so many seconds; True when it is over."""
    end = time.monotonic() + seconds
    while step(tenant):
        if time.monotonic() > end:
            return False
    return True


def step(tenant: Tenant) -> bool:
    """One stop of a move: lead the clock there and do one piece of what is due then, in one transaction. False when nothing is left."""
    with transaction.atomic():
        row = MerchantClock.objects.select_for_update().filter(merchant=tenant.merchant).first()
        if row is None or row.target is None:
            return False
        stop = next_act(tenant, row.moment)
        if stop is None or stop > row.target:
            # Nothing more on the way: it is there, and runs again.
            row.moment, row.since, row.target = row.target, clock.wall(), None
            row.save(update_fields=["moment", "since", "target"])
            return False
        row.moment = stop
        row.save(update_fields=["moment"])
        with clock.at(stop):
            for job in SCHEDULE:
                job(tenant, stop)
    return True


def continue_move(merchant_id: int) -> bool:
    """For the worker: go on with a move, and ask for more time when it needs more. True when it is over."""
    tenant = Tenant(Merchant.objects.get(pk=merchant_id), True)
    if go_on(tenant, WORKER_SECONDS):
        return True
    with transaction.atomic():
        enqueue(CONTINUE, merchant_id)
    return False


def keep_time() -> int:
    """For the schedule: what is to be done by now on test sides with a clock of their own; moves that nobody makes go on.

    How many sides."""
    in_time = Reward.objects.filter(
        merchant=OuterRef("merchant"), is_test=True, state__in=[State.REVIEW, State.WAITING]
    )
    routed = PayoutRoute.objects.filter(merchant=OuterRef("merchant"), is_test=True)
    boards = open_leaderboards().filter(merchant=OuterRef("merchant"), is_test=True)
    rows = (
        MerchantClock.objects.filter(Q(target__isnull=False) | Exists(in_time) | Exists(boards) | Exists(routed))
        .select_related("merchant")
        .order_by("pk")
    )
    count = 0
    for row in rows.iterator(chunk_size=200):
        tenant = Tenant(row.merchant, True)
        count += 1
        if row.is_moving:
            go_on(tenant, WORKER_SECONDS)
            continue
        now = row.now()
        with clock.at(now):
            for job in SCHEDULE:
                while job(tenant, now) >= CHUNK:
                    pass
    return count


def _locked(tenant: Tenant) -> MerchantClock:
    """The clock's row, made at the real time when it is the first move, locked."""
    now = clock.wall()
    MerchantClock.objects.get_or_create(merchant=tenant.merchant, defaults={"moment": now, "since": now})
    return MerchantClock.objects.select_for_update().get(merchant=tenant.merchant)


def _refuse_live(tenant: Tenant) -> None:
    if not tenant.is_test:
        message = _("Live data has the real time. Switch to test mode, or use a test key, to move a clock.")
        raise Refused("live_side", message, status=403)


def _too_far(value: str, field: str) -> Refused:
    message = _("%(value)s is more than %(years)d years ahead of today. Choose an earlier date.")
    return Refused("test_clock_too_far", message % {"value": value, "years": MOST_YEARS}, field=field)


def _words(moment: datetime, tenant: Tenant) -> str:
    """A moment as the merchant reads it, with its zone."""
    return moment.astimezone(tenant.merchant.zone).strftime("%Y-%m-%d %H:%M:%S %Z")
