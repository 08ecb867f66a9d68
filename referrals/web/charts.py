"""Line charts as SVG made on the server: attributes only, no style, no script; a title, a table beside it, and never colour alone.

A chart is drawn in a box of WIDTH by HEIGHT units that the page stretches; lines keep their thickness (`vector-effect`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from babel.dates import format_date
from django.db.models import Count, Model, QuerySet
from django.db.models.functions import TruncDate
from django.utils.translation import get_language
from django.utils.translation import gettext as _

WIDTH, HEIGHT = 600, 200
# Dash patterns tell the lines apart without colour; "0 7" with round ends draws dots.
DASHES = ("", "7 5", "0.1 6")


@dataclass(frozen=True, slots=True)
class Series:
    """One line: a colour class of data.css (k-1 to k-5), its words, and one value for each day."""

    key: str
    label: str
    values: Sequence[int]

    @property
    def total(self) -> int:
        """The sum over the days."""
        return sum(self.values)


@dataclass(frozen=True, slots=True)
class Line:
    """A series as drawn: `points` for a polyline, `area` for the shape under it, `dash` for both line and legend."""

    key: str
    label: str
    total: int
    points: str
    area: str
    dash: str


@dataclass(frozen=True, slots=True)
class Band:
    """One day's column, for pointing at: where it is, and what it says."""

    x: float
    width: float
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """One day of the table."""

    day: date
    values: list[int]


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything templates/components/_chart.html draws. Ticks run from the top down and from the first day to the last."""

    title: str
    lines: list[Line]
    bands: list[Band]
    rules: list[float]
    y_ticks: list[int]
    x_ticks: list[str]
    rows: list[Row]
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def is_empty(self) -> bool:
        """Whether nothing happened on any day."""
        return not any(line.total for line in self.lines)


def days_until(last: date, count: int) -> list[date]:
    """`count` days, the last of them `last`."""
    return [last - timedelta(days=back) for back in range(count - 1, -1, -1)]


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """When the day begins in the zone."""
    return datetime.combine(day, time.min, tzinfo=zone)


def per_day(rows: QuerySet[Model], column: str, days: Sequence[date], zone: ZoneInfo) -> list[int]:
    """How many of `rows` fall on each day of the zone by `column`. One query; the caller has narrowed it to what it may read."""
    narrowed = rows.filter(
        **{f"{column}__gte": midnight(days[0], zone), f"{column}__lt": midnight(days[-1] + timedelta(days=1), zone)}
    )
    grouped = narrowed.annotate(chart_day=TruncDate(column, tzinfo=zone)).values("chart_day").annotate(n=Count("pk"))
    found: Mapping[date, int] = {row["chart_day"]: row["n"] for row in grouped.order_by()}
    return [found.get(day, 0) for day in days]


def ceiling(value: int) -> int:
    """The smallest round number that is at least `value` and divides by four: 4, 8, 20, 40, 80, 200..."""
    step = 1
    while True:
        for factor in (4, 8, 12, 20):
            if step * factor >= value:
                return step * factor
        step *= 10


def line_chart(title: str, days: Sequence[date], series: Iterable[Series], *, last: str) -> Chart:
    """Draw the series over the days, all on one scale that starts at zero. `last` names the last day ("Today": it is not over)."""
    every = list(series)
    top = ceiling(max((value for one in every for value in one.values), default=0))
    locale = (get_language() or "en").replace("-", "_")
    step = WIDTH / max(1, len(days) - 1)
    return Chart(
        title=title,
        lines=[_line(one, DASHES[index % len(DASHES)], step, top) for index, one in enumerate(every)],
        bands=[_band(index, day, every, step, locale) for index, day in enumerate(days)],
        rules=[HEIGHT * part / 4 for part in range(5)],
        y_ticks=[top - top * part // 4 for part in range(5)],
        x_ticks=[*(format_date(days[index], "d MMM", locale=locale) for index in _marks(len(days))[:-1]), last],
        rows=[Row(day, [one.values[index] for one in every]) for index, day in enumerate(days)],
    )


def _line(series: Series, dash: str, step: float, top: int) -> Line:
    points = [f"{index * step:.1f},{HEIGHT - HEIGHT * value / top:.1f}" for index, value in enumerate(series.values)]
    area = " ".join([f"0,{HEIGHT}", *points, f"{(len(points) - 1) * step:.1f},{HEIGHT}"])
    return Line(series.key, series.label, series.total, " ".join(points), area, dash)


def _band(index: int, day: date, series: Sequence[Series], step: float, locale: str) -> Band:
    said = ", ".join(f"{one.values[index]} {one.label.lower()}" for one in series)
    text = _("%(day)s: %(values)s") % {"day": format_date(day, "d MMM y", locale=locale), "values": said}
    left = max(0.0, index * step - step / 2)
    return Band(round(left, 1), round(min(WIDTH, index * step + step / 2) - left, 1), text)


def _marks(count: int) -> list[int]:
    """Which days get a label: five of them, evenly spread, the first and the last among them."""
    if count <= 5:
        return list(range(count))
    return [round(part * (count - 1) / 4) for part in range(5)]
