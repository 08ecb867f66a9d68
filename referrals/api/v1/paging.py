"""Version 1's paging: `page` from 0, `size`, `sort=field,asc|desc`; the headers X-Total-Count and Link (API.md, "v1")."""

from __future__ import annotations

from typing import Any, TypeVar
from urllib.parse import urlencode

from django.db.models import Model, QuerySet

from referrals.api.errors import malformed
from referrals.api.fields import Field, Text, Whole
from referrals.api.operations import Call

M = TypeVar("M", bound=Model)
MAX_PAGE = 1_000_000
SORTS = {"createdOn": "joined_at", "email": "email_key"}
PAGING: dict[str, Field] = {
    "page": Whole(about="Which page, from 0.", example=0, high=MAX_PAGE),
    "size": Whole(about="How many on a page: 20 if not given, at most 200.", example=20, low=1, high=200),
    "sort": Text(about="createdOn or email, then a comma and asc or desc.", example="createdOn,desc", limit=40),
}


def page_of(call: Call, rows: QuerySet[M], *, prefix: str = "") -> tuple[list[int], dict[str, str]]:
    """The primary keys on the page that was asked for, in order, and the headers.

    The contract counts pages, so deep ones cost an offset; only the index is walked, the rows are read afterwards.
    """
    page, size = call.query.get("page", 0), call.query.get("size", 20)
    column, descending = _sort(call.query.get("sort", "createdOn,asc"))
    sign = "-" if descending else ""
    total = rows.count()
    ordered = rows.order_by(f"{sign}{prefix}{column}", f"{sign}pk").values_list("pk", flat=True)
    found = list(ordered[page * size : (page + 1) * size]) if page * size < total else []
    return found, {"X-Total-Count": str(total), **_links(call, page, size, total)}


def _sort(text: str) -> tuple[str, bool]:
    name, comma, direction = text.partition(",")
    if name not in SORTS or (comma and direction not in {"asc", "desc"}):
        raise malformed("unknown_filter", f"'sort' is {' or '.join(SORTS)}, then ,asc or ,desc.", "sort")
    return SORTS[name], direction == "desc"


def _links(call: Call, page: int, size: int, total: int) -> dict[str, str]:
    base = call.request.build_absolute_uri(call.request.path)
    given: dict[str, Any] = {name: value for name, value in call.query.items() if name not in {"page", "size"}}

    def link(number: int, name: str) -> str:
        return f'<{base}?{urlencode({**given, "page": number, "size": size})}>; rel="{name}"'

    links = []
    if (page + 1) * size < total:
        links.append(link(page + 1, "next"))
    if page > 0:
        links.append(link(page - 1, "prev"))
    return {"Link": ", ".join(links)} if links else {}
