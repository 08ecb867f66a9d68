"""Who is meant by what somebody typed: one search for the page and the API, so that both find the same people."""

from __future__ import annotations

from django.db import connection
from django.db.models import Expression, Q, TextField, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast
from django.db.models.lookups import Exact

MOST_NAMES = 5


def search(text: str) -> Q:
    """Who is meant: the beginning of an address, a whole code, or the beginnings of first and last name.

    An address (with @) is looked up in the index alone; names have none, and are compared within the tenant.
    """
    if "@" in text:
        return _begins("email_key", text.casefold())
    words = text.split()
    names = Q(first_name__istartswith=text) | Q(last_name__istartswith=text)
    for cut in range(1, min(len(words), MOST_NAMES)):
        names |= Q(first_name__istartswith=" ".join(words[:cut]), last_name__istartswith=" ".join(words[cut:]))
    return _begins("email_key", text.casefold()) | Q(referral_code=text) | Q(vanity_code=text.lower()) | names


def with_fact(key: str, value: str | None) -> Q:
    """Whose `metadata` has a fact of this name; with this value, if one is given: a text, a number as it is written, true or false."""
    found = Q(metadata__has_key=key)
    if value is None:
        return found
    fact: Expression = Cast(KeyTextTransform(key, "metadata"), TextField())
    return found & Q(Exact(fact, Value(value)))


def _begins(column: str, prefix: str) -> Q:
    """`column` starts with `prefix`, in a form that the database's index can answer."""
    if connection.vendor == "sqlite":
        # LIKE ignores case there and never uses the index; SQLite compares texts byte by byte, so a range does.
        return Q(**{f"{column}__gte": prefix, f"{column}__lt": prefix + "\U0010ffff"})
    return Q(**{f"{column}__startswith": prefix})
