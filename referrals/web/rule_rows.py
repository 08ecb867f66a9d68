"""Rows within a rule's form, as flat values: "tier-0-first", "cond-1-0-op". Adding and removing one renumbers the others.

The buttons of the page send the form with what they do ("add-tier", "remove-test-1-0"), so that it works without JavaScript.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from campaigns.conditions import MAX_LEAVES
from campaigns.terms_json import MAX_TIERS

Values = dict[str, Any]
MOST = {"tier-": MAX_TIERS, "cond-": MAX_LEAVES, "": MAX_LEAVES}
_ACTION = re.compile(r"(add|remove)-(tier|test|group)((?:-[0-9]{1,2}){0,2})\Z", re.ASCII)


def count_of(values: Mapping[str, Any], stem: str) -> int:
    """How many rows the form says it has, within what a rule can have."""
    raw = str(values.get(f"{stem}count", ""))
    return min(int(raw), MOST.get(stem, MAX_LEAVES)) if raw.isascii() and raw.isdigit() and len(raw) < 4 else 0


def rows_of(values: Mapping[str, Any], stem: str) -> list[Values]:
    """The rows under a stem ("tier-", "cond-", or "" within one of them), each with its own values."""
    rows = []
    for number in range(count_of(values, stem)):
        place = f"{stem}{number}-"
        rows.append({name.removeprefix(place): value for name, value in values.items() if name.startswith(place)})
    return rows


def with_rows(values: Mapping[str, Any], stem: str, rows: list[Values]) -> Values:
    """The values with these rows in place of those under the stem."""
    numbered = re.compile(rf"{re.escape(stem)}[0-9]+-", re.ASCII)
    kept = {name: value for name, value in values.items() if not numbered.match(name)}
    for number, row in enumerate(rows):
        kept |= {f"{stem}{number}-{name}": value for name, value in row.items()}
    return kept | {f"{stem}count": str(len(rows))}


def edited(values: Mapping[str, Any], action: str) -> tuple[Values, str]:
    """The values after a button, and what is to have the focus then: the new row's first field, or the button that adds one.

    An action that means nothing changes nothing.
    """
    found = _ACTION.match(action)
    if found is None:
        return dict(values), ""
    does, what, place = found[1], found[2], [int(number) for number in found[3].split("-")[1:]]
    if what == "tier":
        return _tiers(values, does, place)
    rows = rows_of(values, "cond-")
    if does == "add" and place and place[0] < len(rows):
        inner = rows_of(rows[place[0]], "")
        if len(inner) < MAX_LEAVES:
            rows[place[0]] = with_rows(rows[place[0]], "", [*inner, {"kind": "test"}])
        return with_rows(values, "cond-", rows), f"cond-{place[0]}-{len(inner)}-what"
    if does == "add" and not place and len(rows) < MAX_LEAVES:
        new = {"kind": "group", "mode": "any", "count": "1", "0-kind": "test"} if what == "group" else {"kind": "test"}
        focus = f"cond-{len(rows)}-0-what" if what == "group" else f"cond-{len(rows)}-what"
        return with_rows(values, "cond-", [*rows, new]), focus
    if does == "remove" and place and place[0] < len(rows):
        _remove(rows, place)
    return with_rows(values, "cond-", rows), "add-test"


def _remove(rows: list[Values], place: list[int]) -> None:
    """Take a row away, or one of the rows of a group; a group goes with its last row."""
    if len(place) > 1:
        inner = rows_of(rows[place[0]], "")
        left = [row for number, row in enumerate(inner) if number != place[1]]
        if left:
            rows[place[0]] = with_rows(rows[place[0]], "", left)
            return
    del rows[place[0]]


def _tiers(values: Mapping[str, Any], does: str, place: list[int]) -> tuple[Values, str]:
    rows = rows_of(values, "tier-")
    if does == "remove":
        return with_rows(values, "tier-", [row for n, row in enumerate(rows) if [n] != place]), "add-tier"
    if len(rows) >= MAX_TIERS:
        return dict(values), "add-tier"
    before = rows[-1] if rows else {}
    end = str(before.get("last") or "")
    follows = str(int(end) + 1) if end.isascii() and end.isdigit() and len(end) < 7 else ""
    like: Values = {name: before[name] for name in ("amount_type", "units_label") if name in before}
    return with_rows(values, "tier-", [*rows, {**like, "first": follows}]), f"tier-{len(rows)}-first"
