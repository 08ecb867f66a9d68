"""What the resources of version 2 share: the table of operations, paging by cursor, `expand`, names of fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet

from referrals.api.errors import malformed
from referrals.api.fields import Choice, Field, Listing, Text, Whole
from referrals.api.operations import Api, Call
from referrals.api.schema import Schema, array, record, ref, text
from referrals.lib.pages import Page, PageError, keyset

API = Api("v2")
SOURCE = "api"
M = TypeVar("M", bound=Model)
PAGING: dict[str, Field] = {
    "cursor": Text(about="`next_cursor` or `previous_cursor` of the page before.", limit=600),
    "limit": Whole(about="How many on a page: 50 if not given, at most 100.", example=50, low=1, high=100),
}


def id_text(about: str, example: str, *, required: bool = False) -> Text:
    """A field that holds a public id."""
    return Text(about=about, example=example, limit=64, required=required)


def expand_field(*options: str) -> Listing:
    """The parameter `expand`: ids that are wanted as whole objects, parted by commas."""
    return Listing(
        about=f"Objects wanted whole instead of as ids, parted by commas: {', '.join(options)}.",
        of=Choice(about="", options=options),
        most=len(options),
    )


def page_schema(name: str) -> Schema:
    """A page of objects with this schema."""
    return record(
        {
            "data": array(ref(name), "The objects, newest first unless `sort` says otherwise."),
            "next_cursor": text("Send it as `cursor` for the next page; null on the last.", None, null=True),
            "previous_cursor": text("Send it as `cursor` for the page before; null on the first.", None, null=True),
        }
    )


def page_of(call: Call, rows: QuerySet[M], *, sort: str = "-pk") -> Page[M]:
    """The page that the call asks for; a cursor of another list is 400 `pagination` (RELIABILITY section 6, row 19)."""
    try:
        return keyset(rows, sort=sort, cursor=call.query.get("cursor", ""), limit=call.query.get("limit", 50))
    except (PageError, ValidationError, TypeError, OverflowError, ValueError) as error:
        if "cursor" not in call.query:
            raise
        message = "This page marker is damaged or belongs to another list; go back to the first page."
        raise malformed("pagination", message, "cursor") from error


def page_json(call: Call, page: Page[Any], data: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, str]]:
    """The body and headers of a page."""
    body = {"data": list(data), "next_cursor": page.next, "previous_cursor": page.previous}
    links = []
    for relation, cursor in (("next", page.next), ("prev", page.previous)):
        if cursor:
            query = call.request.GET.copy()
            query["cursor"] = cursor
            address = call.request.build_absolute_uri(call.request.path)
            links.append(f'<{address}?{urlencode(list(query.items()))}>; rel="{relation}"')
    return body, {"Link": ", ".join(links)} if links else {}
