"""What a rule offers in one case, before any limit: pure, like rewards.eligibility; and how facts write money and moments."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any

from campaigns.terms import Amount, Fixed, Percent
from referrals.lib.money import Money
from rewards.facts import Case


def wanted_of(case: Case) -> Money:
    """What the rule would pay were there no limits: fixed, or a share of what the friend kept paying, at most the cap."""
    return wanted(amount_of(case), case)


def wanted(amount: Amount, case: Case) -> Money:
    """A fixed sum, or the share of what the friend kept paying, at most the cap; zero for what is no money."""
    if isinstance(amount, Fixed):
        return amount.money
    kept = case.event.kept
    if kept is None or not isinstance(amount, Percent):
        return Money.zero(case.event.currency)
    share = kept.percent(amount.rate)
    return share if amount.cap is None or share <= amount.cap else amount.cap


def amount_of(case: Case) -> Amount:
    """The rule's amount, or that of the tier in which this friend is."""
    if not case.terms.tiers:
        return case.terms.amount
    tier = case.terms.tier_of(number_of(case))
    return tier.amount if tier else case.terms.amount


def number_of(case: Case) -> int:
    """How many friends the referrer has brought with this one; the rank, once a leaderboard is closed."""
    if case.event.rank is not None:
        return case.event.rank
    return case.history.friends + (case.history.counted == 0)


@lru_cache(maxsize=256)  # every rule tells of the same few moments
def time_fact(value: datetime) -> str:
    """A moment as facts have it."""
    return value.isoformat(timespec="milliseconds")


def money_fact(value: Money) -> dict[str, Any]:
    """Money as facts have it."""
    return minor_fact(value.minor, value.currency)


def minor_fact(minor: int, currency: str) -> dict[str, Any]:
    """So many minor units of a currency, as facts have them."""
    return {"amount_minor": minor, "currency": currency}
