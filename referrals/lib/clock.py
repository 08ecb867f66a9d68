"""What time it is. Everywhere the real time, but inside at(): there a story can be told at its own pace (the demo, test mode).

A request or a job runs inside scope(); once it is known whose data it is about, enter() says what time it is there (ADR 7). Nothing
leaks: when the scope ends, the time is again what it was before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone


@dataclass(frozen=True, slots=True)
class _Scope:
    """The moment that was in force outside of the scope; None for the real time."""

    outer: datetime | None


_moment: ContextVar[datetime | None] = ContextVar("moment", default=None)
_scope: ContextVar[_Scope | None] = ContextVar("scope", default=None)


def now() -> datetime:
    """The present moment, with a zone."""
    return _moment.get() or timezone.now()


def wall() -> datetime:
    """The real time, whatever the test clock says: for what guards doors or tries again (log-ins, mailed links, leases, retries)."""
    return timezone.now()


@contextmanager
def at(moment: datetime) -> Iterator[None]:
    """Within this block it is `moment` (with a zone) for everything that asks now()."""
    token = _moment.set(moment)
    try:
        yield
    finally:
        _moment.reset(token)


@contextmanager
def scope() -> Iterator[None]:
    """Within this block enter() may set the time; afterwards it is as before."""
    moment = _moment.get()
    token, opened = _moment.set(moment), _scope.set(_Scope(moment))
    try:
        yield
    finally:
        _scope.reset(opened)
        _moment.reset(token)


def enter(moment: datetime | None) -> None:
    """From here to the end of the scope it is `moment`; None: the time outside of it. RuntimeError without a scope, which would leak."""
    opened = _scope.get()
    if opened is not None:
        _moment.set(opened.outer if moment is None else moment)
    elif moment is not None:
        raise RuntimeError("A test clock was entered outside of clock.scope(); it would never end.")


class ClockMiddleware:
    """Every request is a scope: a test side's clock ends with the request that asked for it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with scope():
            return self.get_response(request)


def in_days(moment: datetime, days: int, zone: tzinfo) -> datetime:
    """The same time of day in the zone, `days` days later, in UTC: across a change to summer time those are not 24 hours each.

    A time of day that the change leaves out is the one an hour later; one that comes twice is the first.
    """
    local = moment.astimezone(zone) + timedelta(days=days)
    return local.replace(fold=0).astimezone(UTC)
