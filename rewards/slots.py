"""When runs are: the merchant's calendar, as pure functions. A day is the merchant's, across a change of clocks too.

An hour that the change to summer time leaves out is the one after it; one that comes twice is the first.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import NamedTuple

# A rule's deliveries that have slots; "immediate" has none, "manual" is nobody's but a person's.
SLOTTED = ("weekly", "day_15", "month_end")
# No two slots of one delivery are further apart.
_FURTHEST = 62


class Calendar(NamedTuple):
    """The weekday of the weekly run (0 is Monday), the hour of every run, and the zone that both are in."""

    weekday: int
    hour: int
    zone: tzinfo


def is_day(delivery: str, day: date, weekday: int) -> bool:
    """Whether a delivery has a run on this day. The last day of February is whatever it is in that year."""
    if delivery == "weekly":
        return day.weekday() == weekday
    if delivery == "day_15":
        return day.day == 15
    return delivery == "month_end" and (day + timedelta(days=1)).day == 1


def moment(day: date, calendar: Calendar) -> datetime:
    """When the run of a day is, in UTC."""
    return datetime.combine(day, time(calendar.hour), calendar.zone).astimezone(UTC)


def last_slot(delivery: str, calendar: Calendar, now: datetime) -> datetime:
    """The latest slot of a delivery that is not after `now`. ValueError for a delivery without slots."""
    today = now.astimezone(calendar.zone).date()
    for back in range(_FURTHEST):
        day = today - timedelta(days=back)
        if is_day(delivery, day, calendar.weekday) and moment(day, calendar) <= now:
            return moment(day, calendar)
    raise ValueError(f"{delivery} has no slots")


def next_slot(delivery: str, calendar: Calendar, after: datetime) -> datetime:
    """The first slot of a delivery that is after `after`. ValueError for a delivery without slots."""
    today = after.astimezone(calendar.zone).date()
    for ahead in range(_FURTHEST):
        day = today + timedelta(days=ahead)
        if is_day(delivery, day, calendar.weekday) and moment(day, calendar) > after:
            return moment(day, calendar)
    raise ValueError(f"{delivery} has no slots")


def name_of(delivery: str, at: datetime, calendar: Calendar) -> str:
    """What a slot is called, once and for all: "day_15:2026-11-15", by the merchant's day."""
    return f"{delivery}:{at.astimezone(calendar.zone).date().isoformat()}"
