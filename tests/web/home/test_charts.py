"""Charts: the days of a zone, a scale that reads well, and a drawing that adds up."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from campaigns.models import Campaign
from participants.models import Participant
from referrals.web.charts import HEIGHT, WIDTH, Series, ceiling, days_until, line_chart, midnight, per_day
from tests.factories import make_participant

OSLO = ZoneInfo("Europe/Oslo")


@pytest.mark.parametrize(
    ("value", "top"),
    [(0, 4), (1, 4), (4, 4), (5, 8), (9, 12), (13, 20), (21, 40), (81, 120), (121, 200), (1_001, 1_200)],
)
def test_the_scale_ends_at_a_round_number_of_four_parts(value: int, top: int) -> None:
    assert ceiling(value) == top
    assert top % 4 == 0


def test_days_end_with_the_last() -> None:
    assert days_until(date(2026, 3, 1), 3) == [date(2026, 2, 27), date(2026, 2, 28), date(2026, 3, 1)]


def test_a_day_begins_at_the_zones_midnight_also_when_the_clocks_change() -> None:
    assert midnight(date(2026, 3, 29), OSLO).astimezone(UTC) == datetime(2026, 3, 28, 23, tzinfo=UTC)
    assert midnight(date(2026, 3, 30), OSLO).astimezone(UTC) == datetime(2026, 3, 29, 22, tzinfo=UTC)


def test_a_click_at_night_belongs_to_the_merchants_day(campaign: Campaign) -> None:
    times = [
        datetime(2026, 11, 18, 22, 59, tzinfo=UTC),  # 23:59 on the 18th in Oslo
        datetime(2026, 11, 18, 23, 0, tzinfo=UTC),  # 0:00 on the 19th
        datetime(2026, 11, 19, 22, 59, tzinfo=UTC),
        datetime(2026, 11, 20, 23, 0, tzinfo=UTC),  # the 21st: not asked for
    ]
    for number, at in enumerate(times):
        person = make_participant(campaign, f"p{number}@example.com")
        Participant.objects.filter(pk=person.pk).update(joined_at=at)

    days = days_until(date(2026, 11, 20), 3)

    assert per_day(Participant.objects.all(), "joined_at", days, OSLO) == [1, 2, 0]


def test_lines_share_one_scale_and_differ_without_colour() -> None:
    days = days_until(date(2026, 11, 20), 3)

    chart = line_chart(
        "Title", days, [Series("k-1", "Clicks", [0, 10, 20]), Series("k-2", "Joins", [0, 0, 5])], last="Today"
    )

    clicks, joins = chart.lines
    assert chart.y_ticks == [20, 15, 10, 5, 0]
    assert clicks.points == f"0.0,{HEIGHT}.0 {WIDTH / 2:.1f},{HEIGHT / 2:.1f} {WIDTH}.0,0.0"
    assert joins.points.endswith(f"{WIDTH}.0,{HEIGHT * 3 / 4:.1f}")
    assert clicks.dash != joins.dash
    assert (clicks.total, joins.total) == (30, 5)
    assert chart.x_ticks == ["18 Nov", "19 Nov", "Today"]
    assert chart.bands[1].text == "19 Nov 2026: 10 clicks, 0 joins"
    assert sum(band.width for band in chart.bands) == pytest.approx(WIDTH)


def test_nothing_at_all_is_a_flat_line() -> None:
    chart = line_chart("Title", days_until(date(2026, 11, 20), 30), [Series("k-1", "Clicks", [0] * 30)], last="Today")

    assert chart.is_empty
    assert len(chart.x_ticks) == 5
    assert set(chart.lines[0].points.replace(",", " ").split()[1::2]) == {f"{HEIGHT}.0"}
