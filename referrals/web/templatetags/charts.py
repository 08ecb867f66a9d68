"""A line chart as inline SVG with the same figures as a table below: no script, no inline style, readable by everyone.

`{% line_chart labels series title=_("Last 30 days") %}`: `labels` one text for each point in time, `series` a list of
{"name": str, "values": list[int]}, at most five, each as long as `labels`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

from django import template
from django.utils.translation import gettext as _

from referrals.web.templatetags.ui import number

register = template.Library()

WIDTH, HEIGHT = 1000, 200


class Series(TypedDict):
    """One line: its name in the legend and a value for every label."""

    name: str
    values: Sequence[int]


def ceiling(highest: int) -> int:
    """The top of the axis: the next 2, 4, 6, 8 or 10 times a power of ten, so that the middle is a round number."""
    scale = 1
    while highest > 10 * scale:
        scale *= 10
    return next((step * scale for step in (2, 4, 6, 8, 10) if step * scale >= highest), 2)


def points(values: Sequence[int], top: int) -> list[tuple[float, float]]:
    """Where each value stands on the WIDTH by HEIGHT drawing; a single value stands in the middle."""
    step = WIDTH / max(len(values) - 1, 1)
    start = WIDTH / 2 if len(values) == 1 else 0.0
    return [(round(start + i * step, 1), round(HEIGHT - value * HEIGHT / top, 1)) for i, value in enumerate(values)]


def _path(spots: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{'M' if i == 0 else 'L'}{x:g} {y:g}" for i, (x, y) in enumerate(spots))


def _spoken(label: str, cells: Sequence[int], series: Sequence[Series]) -> str:
    values = ", ".join(f"{line['name']} {number(cell)}" for line, cell in zip(series, cells, strict=True))
    return _("%(label)s: %(values)s") % {"label": label, "values": values}


@register.inclusion_tag("components/_line_chart.html")
def line_chart(labels: Sequence[str], series: Sequence[Series], title: str = "") -> dict[str, Any]:
    """Draw the chart; raises ValueError when a series and the labels differ in length."""
    for line in series:
        if len(line["values"]) != len(labels):
            raise ValueError(f"{line['name']} has {len(line['values'])} values for {len(labels)} labels")
    top = ceiling(max((value for line in series for value in line["values"]), default=0))
    lines = []
    for n, line in enumerate(series, 1):
        spots = points(line["values"], top)
        path = _path(spots)
        area = f"{path} L{spots[-1][0]:g} {HEIGHT} L{spots[0][0]:g} {HEIGHT} Z" if spots else ""
        lines.append({"n": n, "name": line["name"], "total": sum(line["values"]), "path": path, "area": area})
    columns = [line["values"] for line in series]
    rows = [(label, [values[i] for values in columns]) for i, label in enumerate(labels)]
    column = WIDTH / max(len(labels), 1)
    hits = [
        {"x": f"{i * column:g}", "width": f"{column:g}", "text": _spoken(label, cells, series)}
        for i, (label, cells) in enumerate(rows)
    ]
    return {
        "title": title,
        "lines": lines,
        "rows": rows,
        "hits": hits,
        "ticks": [number(top), number(top // 2), "0"],
        "ends": [labels[0], labels[len(labels) // 2], labels[-1]] if len(labels) > 2 else list(labels),
    }
