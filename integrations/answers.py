"""What issuers have in common: reading a company's answer, and ending a call of several steps with an outcome."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

from referrals.lib import clock
from referrals.lib.http import Answer
from referrals.lib.money import Money, MoneyError
from rewards.orders import Outcome

# No company makes us wait for longer without asking it again.
MOST_WAIT = 86_400


class Ended(Exception):
    """The steps end here, with this outcome."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.message)
        self.outcome = outcome


def json_of(answer: Answer) -> Any:
    """The body as JSON with exact numbers (int, Decimal); None for what is no JSON."""
    try:
        return json.loads(answer.body, parse_float=Decimal)
    except (ValueError, RecursionError):
        return None


def wait_of(answer: Answer) -> int:
    """The seconds of Retry-After, given as a number or as a date; 0 without a usable one, at most a day."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return min(int(text), MOST_WAIT)
    try:
        at = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return 0
    seconds = ((at if at.tzinfo else at.replace(tzinfo=UTC)) - clock.wall()).total_seconds()
    return min(max(0, int(seconds)), MOST_WAIT)


def money_of(major: Any, currency: Any) -> Money | None:
    """A sum in major units as a number or a text, exactly; None for what is none."""
    if isinstance(major, bool) or not isinstance(major, int | Decimal | str) or not isinstance(currency, str):
        return None
    try:
        return Money.parse(f"{Decimal(major).normalize():f}", currency.upper())
    except (MoneyError, ArithmeticError):
        return None


def moment_of(text: Any) -> datetime | None:
    """A time in ISO 8601, in UTC where it names no zone; None for what is none."""
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def fill(sentence: str, **facts: Any) -> str:
    """A sentence with its blanks filled; what is empty leaves no gap."""
    return " ".join((sentence % facts).split())


def plain(value: Any, limit: int = 300) -> str:
    """A company's own words in one printable line; "" for what is no text."""
    if not isinstance(value, str):
        return ""
    return " ".join("".join(c if c.isprintable() else " " for c in value).split())[:limit]
