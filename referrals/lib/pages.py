"""Keyset pages, and one view for a page and its fragment (STYLE.md, "The Reward Due page").

A cursor names the last row seen by its sort value and primary key, so the deepest page costs what the first one does.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers

M = TypeVar("M", bound=Model)
_DAMAGED = "This page marker is damaged; go back to the first page."


class PageError(ValueError):
    """A cursor that is damaged or belongs to another list (RELIABILITY section 6, row 19)."""


@dataclass(frozen=True, slots=True)
class Page(Generic[M]):
    """`rows` in order, and the cursors of the neighbouring pages (None at the ends)."""

    rows: Sequence[M]
    next: str | None
    previous: str | None


def keyset(
    rows: QuerySet[M] | Sequence[QuerySet[M]],
    *,
    sort: str,
    cursor: str = "",
    limit: int = 50,
    read: Callable[[str], Any] | None = None,
) -> Page[M]:
    """One page of `rows` sorted by column `sort` ("-due_at" for descending), ties by primary key.

    `sort` comes from the caller's own table of columns, never from a request. `read` turns the cursor's text back into the
    column's value (datetimes are understood by themselves). Raises PageError for a cursor that can't be read.
    Several querysets without a row in common make one list: each is read in its own index's order, and no database sorts them all.
    """
    parts = [rows] if isinstance(rows, QuerySet) else rows
    column, descending = sort.removeprefix("-"), sort.startswith("-")
    order = [sort, "-pk" if descending else "pk"]
    if not cursor:
        found = _merged([list(part.order_by(*order)[: limit + 1]) for part in parts], sort)
        more = len(found) > limit
        found = found[:limit]
        return Page(found, _write("n", column, found[-1]) if more else None, None)
    direction, value, pk = _read(cursor, read)
    forward = direction == "n"
    op = "gt" if forward != descending else "lt"  # whether "further on" means greater values
    if not forward:
        order = [item.removeprefix("-") if item.startswith("-") else f"-{item}" for item in order]
    try:
        found = _merged([_beyond(part, column, op, value, pk, order, limit + 1) for part in parts], order[0])
    except (ValidationError, TypeError, ValueError, OverflowError) as error:
        # A value of another column's kind: the cursor comes from another list.
        raise PageError(_DAMAGED) from error
    more = len(found) > limit
    found = found[:limit]
    if forward:
        return Page(
            found,
            _write("n", column, found[-1]) if more else None,
            _write("p", column, found[0]) if found else None,
        )
    found.reverse()
    return Page(
        found,
        _write("n", column, found[-1]) if found else None,
        _write("p", column, found[0]) if more else None,
    )


def _beyond(rows: QuerySet[M], column: str, op: str, value: Any, pk: int, order: Sequence[str], count: int) -> list[M]:
    """The next `count` rows after (value, pk) in `order`; `op` is gt or lt."""
    if isinstance(value, int) and column not in {"pk", "id"}:
        # Thousands of rewards have the same amount: first the rest of those, then the other amounts, each found at once.
        ties = list(rows.filter(**{column: value, f"pk__{op}": pk}).order_by(order[1])[:count])
        if len(ties) == count:
            return ties
        return ties + list(rows.filter(**{f"{column}__{op}": value}).order_by(*order)[: count - len(ties)])
    wanted = Q(**{f"{column}__{op}": value}) | Q(**{column: value, f"pk__{op}": pk})
    # The plain range lets the index do the work; the disjunction above only settles the few ties.
    return list(rows.filter(wanted, **{f"{column}__{op}e": value}).order_by(*order)[:count])


def _merged(parts: Sequence[list[M]], sort: str) -> list[M]:
    if len(parts) == 1:
        return parts[0]
    column = sort.removeprefix("-")
    rows = [row for part in parts for row in part]
    return sorted(rows, key=lambda row: (_value(row, column), row.pk), reverse=sort.startswith("-"))


def _value(row: Model, column: str) -> Any:
    value: Any = row
    for part in column.split("__"):
        value = getattr(value, part)
    return value


def _write(direction: str, column: str, row: Model) -> str:
    value = shown = _value(row, column)
    if isinstance(value, datetime):
        shown = {"t": value.isoformat()}
    return base64.urlsafe_b64encode(json.dumps([direction, shown, row.pk]).encode()).decode().rstrip("=")


def _read(cursor: str, read: Callable[[str], Any] | None) -> tuple[str, Any, int]:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        direction, value, pk = json.loads(base64.urlsafe_b64decode(padded.encode("ascii")))
        if isinstance(value, dict):
            value = datetime.fromisoformat(value["t"])
            if value.tzinfo is None:
                raise ValueError("a time without a zone")
        elif read is not None:
            value = read(value)
        elif not isinstance(value, str | int):
            raise ValueError("a value of another kind")
        if direction not in {"n", "p"} or type(pk) is not int or not 0 <= pk < 2**63:
            raise ValueError("a cursor of another shape")
        if type(value) is int and not -(2**63) <= value < 2**63:
            raise ValueError("a number out of range")
        if isinstance(value, str) and "\x00" in value:
            raise ValueError("a NUL byte")
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise PageError(_DAMAGED) from error
    return direction, value, pk


def wants_part(request: HttpRequest) -> bool:
    """Whether htmx asks for the fragment: not when it boosts a link or restores history."""
    htmx: Any = getattr(request, "htmx", None)
    return bool(htmx) and not htmx.boosted and not htmx.history_restore_request


def render_part(
    request: HttpRequest, page: str, part: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    """The whole page, or its fragment for htmx; caches are told that the answer depends on that."""
    response = render(request, part if wants_part(request) else page, context, status=status)
    patch_vary_headers(response, ["HX-Request"])
    return response
