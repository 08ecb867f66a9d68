"""Who gets how much of a friend under which model of attribution: pure functions over the visits that were kept, exact to the last unit.

First and last click give all to one. Linear gives each click the same. Position gives 40 % to the first click, 40 % to the last and
shares 20 % among those between; of two clicks each gets half. A person whose link was opened twice has two clicks.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import TypeVar

MODELS = ("first_click", "last_click", "linear", "position")
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True, order=True)
class Click:
    """One counted visit; ordered by when it was, then by its key. `referrer` is the primary key of the link's owner."""

    at: datetime
    visit: int
    referrer: int


def within(clicks: Iterable[Click], joined_at: datetime, window_days: int) -> list[Click]:
    """The clicks that count for somebody who joined then, oldest first: the window's very last second is inside."""
    start = joined_at - timedelta(days=window_days)
    return sorted(click for click in clicks if start <= click.at <= joined_at)


def weights(clicks: Sequence[Click], model: str) -> dict[int, Fraction]:
    """The share of each referrer, in the order of their first clicks; they add up to one, or there are none. ValueError: no model."""
    counts: dict[int, int] = {}
    for click in clicks:
        counts[click.referrer] = counts.get(click.referrer, 0) + 1
    return weigh(counts, clicks[-1].referrer if clicks else None, model)


def weigh(counts: Mapping[K, int], last: K | None, model: str) -> dict[K, Fraction]:
    """weights() by how often each one's link was opened, in the order of the first clicks; `last` opened it last. ValueError: no model."""
    if model not in MODELS:
        raise ValueError(f"{model!r} is no model of attribution")
    total = sum(counts.values())
    if not total or last is None:
        return {}
    first = next(iter(counts))
    if model in {"first_click", "last_click"}:
        return {first if model == "first_click" else last: Fraction(1)}
    if model == "linear" or total <= 2:
        return {key: Fraction(count, total) for key, count in counts.items()}
    middle, ends = Fraction(1, 5) / (total - 2), Fraction(2, 5)
    return {
        key: middle * (count - (key == first) - (key == last)) + ends * ((key == first) + (key == last))
        for key, count in counts.items()
    }


def split(minor: int, shares: Mapping[K, Fraction]) -> dict[K, int]:
    """An amount of minor units by shares that add up to one, by largest remainder: the parts add up to it exactly.

    Of equal remainders the one that comes first in `shares` gets the unit. Negative amounts are split like their opposites.
    """
    if not shares:
        return {}
    if minor < 0:
        return {key: -part for key, part in split(-minor, shares).items()}
    exact = {key: minor * share for key, share in shares.items()}
    parts = {key: int(value) for key, value in exact.items()}
    left = minor - sum(parts.values())
    # sorted() keeps the order of equal ones.
    for key in sorted(exact, key=lambda key: exact[key] - parts[key], reverse=True)[:left]:
        parts[key] += 1
    return parts
