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

from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers

M = TypeVar("M", bound=Model)


class PageError(ValueError):
    """A cursor that is damaged or belongs to another list (RELIABILITY section 6, row 19)."""


@dataclass(frozen=True, slots=True)
class Page(Generic[M]):
    """`rows` in order, and the cursors of the neighbouring pages (None at the ends)."""

    rows: Sequence[M]
    next: str | None
    previous: str | None


def keyset(
    rows: QuerySet[M],
    *,
    sort: str,
    cursor: str = "",
    limit: int = 50,
    read: Callable[[str], Any] | None = None,
) -> Page[M]:
    """One page of `rows` sorted by column `sort` ("-due_at" for descending), ties by primary key.

    `sort` comes from the caller's own table of columns, never from a request. `read` turns the cursor's text back into the
    column's value (datetimes are understood by themselves). Raises PageError for a cursor that can't be read.
    """
    column, descending = sort.removeprefix("-"), sort.startswith("-")
    order = [sort, "-pk" if descending else "pk"]
    if not cursor:
        found = list(rows.order_by(*order)[: limit + 1])
        more = len(found) > limit
        found = found[:limit]
        return Page(found, _write("n", column, found[-1]) if more else None, None)
    direction, value, pk = _read(cursor, read)
    forward = direction == "n"
    after = forward != descending  # whether "further on" means greater values
    op = "gt" if after else "lt"
    wanted = Q(**{f"{column}__{op}": value}) | Q(**{column: value, f"pk__{op}": pk})
    # The plain range lets the index do the work; the disjunction above only settles ties.
    window = rows.filter(wanted, **{f"{column}__{op}e": value})
    if not forward:
        order = [item.removeprefix("-") if item.startswith("-") else f"-{item}" for item in order]
    found = list(window.order_by(*order)[: limit + 1])
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


def _write(direction: str, column: str, row: Model) -> str:
    value = row
    for part in column.split("__"):
        value = getattr(value, part)
    shown: Any = value
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
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise PageError("This page marker is damaged; go back to the first page.") from error
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
