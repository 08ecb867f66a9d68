"""A day as people read it: "20 Dec 2026", in German "20. Dez. 2026". The same on every page, in mails and in sentences of decisions."""

from __future__ import annotations

from datetime import datetime, timedelta

from babel.dates import format_date
from django.utils import timezone

# The ordinal's dot belongs to these languages; the order day, month, year is that of all pages.
_DOTTED = frozenset({"de"})


def last_moment(end: datetime) -> datetime:
    """A moment of the last day on which something can be used that ends at `end`, which may be the midnight after that day."""
    return end - timedelta(seconds=1)


def day_text(at: datetime, locale: str, *, year: bool = True) -> str:
    """The day of `at` in the active time zone and in a language as Babel spells it, with or without its year."""
    day = "d." if locale.partition("_")[0] in _DOTTED else "d"
    return format_date(timezone.localtime(at).date(), f"{day} MMM y" if year else f"{day} MMM", locale=locale)
