"""Reading a filter from an address, in one way for every list: what is in no list is refused with its name, never left out."""

from __future__ import annotations

from collections.abc import Container
from datetime import date

from django.core.exceptions import BadRequest
from django.http import QueryDict
from django.utils.translation import gettext as _


class BadFilter(BadRequest):
    """A filter, or a value of one, that a list does not have. Its text is for people: the 400 page shows it (referrals.web.errors)."""


def bad_value(name: str, value: str) -> BadFilter:
    """The refusal of a value, with its field."""
    words = _("The filter %(name)s can't be %(value)r.")
    return BadFilter(words % {"name": name, "value": value[:40]})


def one_of(query: QueryDict, name: str, allowed: Container[str], default: str = "") -> str:
    """A value out of `allowed`, `default` where nothing is said. Raises BadFilter."""
    value = query.get(name, "")
    if not value:
        return default
    if value not in allowed:
        raise bad_value(name, value)
    return value


def one_day(query: QueryDict, name: str) -> date | None:
    """A day of the years 2000 to 2199 such as 2026-11-20, None where nothing is said. Raises BadFilter."""
    value = query.get(name, "")
    if not value:
        return None
    try:
        found = date.fromisoformat(value)
    except ValueError as error:
        raise bad_value(name, value) from error
    if not 2000 <= found.year <= 2199:
        raise bad_value(name, value)
    return found
