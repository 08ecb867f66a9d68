"""The calendar of runs: weekdays, the 15th, the last day of the month, in the merchant's zone, across a change of clocks."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from rewards.slots import Calendar, last_slot, name_of, next_slot

OSLO = ZoneInfo("Europe/Oslo")
MONDAY, FRIDAY, SUNDAY = 0, 4, 6


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("delivery", "calendar", "now", "last", "following"),
    [
        # A minute before, at, and after the 15th at nine in Oslo (eight in UTC).
        ("day_15", Calendar(MONDAY, 9, OSLO), "2026-11-15 07:59", "2026-10-15 07:00", "2026-11-15 08:00"),
        ("day_15", Calendar(MONDAY, 9, OSLO), "2026-11-15 08:00", "2026-11-15 08:00", "2026-12-15 08:00"),
        ("day_15", Calendar(MONDAY, 9, OSLO), "2026-11-15 08:01", "2026-11-15 08:00", "2026-12-15 08:00"),
        # The last day of the month, whichever it is.
        ("month_end", Calendar(MONDAY, 9, UTC), "2026-02-27 12:00", "2026-01-31 09:00", "2026-02-28 09:00"),
        ("month_end", Calendar(MONDAY, 9, UTC), "2028-02-28 12:00", "2028-01-31 09:00", "2028-02-29 09:00"),
        ("month_end", Calendar(MONDAY, 9, UTC), "2026-04-30 09:00", "2026-04-30 09:00", "2026-05-31 09:00"),
        ("month_end", Calendar(MONDAY, 0, UTC), "2026-12-31 23:59", "2026-12-31 00:00", "2027-01-31 00:00"),
        # Weekly, on the day that the merchant chose.
        ("weekly", Calendar(FRIDAY, 9, UTC), "2026-11-20 08:59", "2026-11-13 09:00", "2026-11-20 09:00"),
        ("weekly", Calendar(MONDAY, 9, UTC), "2026-11-20 08:59", "2026-11-16 09:00", "2026-11-23 09:00"),
        # The merchant's day, not ours: it is the 15th in Kiritimati while it is the 14th in London.
        ("day_15", Calendar(MONDAY, 9, ZoneInfo("Pacific/Kiritimati")), "2026-11-14 19:00", "2026-11-14 19:00", "2026-12-14 19:00"),
        # Two o'clock does not exist on 29 March in Oslo, and comes twice on 25 October.
        ("weekly", Calendar(SUNDAY, 2, OSLO), "2026-03-28 12:00", "2026-03-22 01:00", "2026-03-29 01:00"),
        ("weekly", Calendar(SUNDAY, 2, OSLO), "2026-03-29 01:00", "2026-03-29 01:00", "2026-04-05 00:00"),
        ("weekly", Calendar(SUNDAY, 2, OSLO), "2026-10-25 00:30", "2026-10-25 00:00", "2026-11-01 01:00"),
    ],
)  # fmt: skip
def test_the_slot_before_and_the_one_after(
    delivery: str, calendar: Calendar, now: str, last: str, following: str
) -> None:
    assert last_slot(delivery, calendar, utc(now)) == utc(last)
    assert next_slot(delivery, calendar, utc(now)) == utc(following)


def test_every_slot_of_ten_years_is_found_once_from_both_sides() -> None:
    for delivery, count in (("weekly", 522), ("day_15", 120), ("month_end", 120)):
        calendar, at, names = Calendar(SUNDAY, 2, OSLO), utc("2020-01-01 00:00"), []
        while (at := next_slot(delivery, calendar, at)) < utc("2030-01-01 00:00"):
            assert last_slot(delivery, calendar, at) == at
            names.append(name_of(delivery, at, calendar))
        assert (len(names), len(set(names))) == (count, count)


def test_a_slot_has_the_name_of_the_merchant_s_day() -> None:
    calendar = Calendar(MONDAY, 9, ZoneInfo("Pacific/Kiritimati"))
    assert name_of("day_15", utc("2026-11-14 19:00"), calendar) == "day_15:2026-11-15"


@pytest.mark.parametrize("find", [last_slot, next_slot])
def test_what_has_no_slots_is_no_calendar_s_business(find: object) -> None:
    with pytest.raises(ValueError, match="manual has no slots"):
        find("manual", Calendar(MONDAY, 9, UTC), utc("2026-11-15 08:00"))  # type: ignore[operator]  # either of the two
