"""The one place that says what time it is: nothing leaks out of a scope, and days are days of a zone."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from referrals.lib import clock

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
OSLO = ZoneInfo("Europe/Oslo")


def test_a_moment_entered_in_a_scope_ends_with_it() -> None:
    with clock.scope():
        clock.enter(NOON)
        assert clock.now() == NOON
    assert clock.now() != NOON
    assert abs((clock.now() - clock.wall()).total_seconds()) < 1


def test_entering_nothing_gives_the_time_outside_of_the_scope_back() -> None:
    other = datetime(2030, 1, 1, tzinfo=UTC)
    with clock.at(NOON), clock.scope():
        clock.enter(other)
        assert clock.now() == other
        clock.enter(None)
        assert clock.now() == NOON


def test_entering_without_a_scope_is_refused_because_it_would_leak() -> None:
    clock.enter(None)
    with pytest.raises(RuntimeError, match="outside of"):
        clock.enter(NOON)
    assert abs((clock.now() - clock.wall()).total_seconds()) < 1


def test_a_scope_that_fails_gives_the_time_back_too() -> None:
    def failing() -> None:
        with clock.scope():
            clock.enter(NOON)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert clock.now() != NOON


@pytest.mark.parametrize(
    ("start", "days", "end"),
    [
        # Summer time begins on 28 March 2027 at 02:00: the days until then have one hour less together.
        (datetime(2027, 3, 20, 10, tzinfo=OSLO), 14, datetime(2027, 4, 3, 10, tzinfo=OSLO)),
        # It ends on 31 October 2027 at 03:00.
        (datetime(2027, 10, 30, 23, 30, tzinfo=OSLO), 1, datetime(2027, 10, 31, 23, 30, tzinfo=OSLO)),
        # Half past two does not exist on 28 March: an hour later.
        (datetime(2027, 3, 27, 2, 30, tzinfo=OSLO), 1, datetime(2027, 3, 28, 3, 30, tzinfo=OSLO)),
        # Half past two comes twice on 31 October: the first one, in summer time.
        (datetime(2027, 10, 30, 2, 30, tzinfo=OSLO), 1, datetime(2027, 10, 31, 0, 30, tzinfo=UTC)),
        (datetime(2027, 10, 31, 1, 30, tzinfo=UTC), 1, datetime(2027, 11, 1, 1, 30, tzinfo=UTC)),
    ],
)
def test_days_are_days_of_the_zone(start: datetime, days: int, end: datetime) -> None:
    assert clock.in_days(start, days, OSLO) == end.astimezone(UTC)
