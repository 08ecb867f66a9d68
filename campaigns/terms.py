"""The terms of a reward rule as plain values: what eligibility reads (API.md, `Rule`). Reading and writing them: terms_json.py."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from campaigns.conditions import Group
from referrals.lib.money import Money

Side = Literal["referrer", "invitee"]
Trigger = Literal[
    "join",
    "first_event",
    "every_event",
    "nth_event",
    "from_nth_event",
    "milestone",
    "tier",
    "leaderboard",
    "status",
]
Kind = Literal["cash", "coupon", "store_credit", "gift_card", "custom"]
Delivery = Literal["manual", "immediate", "weekly", "day_15", "month_end"]
# Triggers that need `nth`, and those that count the referrer's friends rather than one friend's purchases.
NTH_TRIGGERS: frozenset[str] = frozenset({"nth_event", "from_nth_event", "milestone"})
REFERRER_TRIGGERS: frozenset[str] = frozenset({"milestone", "tier", "leaderboard"})
TIER_TRIGGERS: frozenset[str] = frozenset({"tier", "leaderboard"})
# The events that a status set by the merchant records (multi-step sales), in their order.
STATUS_EVENTS: tuple[str, ...] = ("qualified", "approved")
# Names that we record ourselves: nobody else can send them.
OWN_EVENTS: frozenset[str] = frozenset({"join", "leaderboard", *STATUS_EVENTS})


class TermsError(ValueError):
    """A rule that can't be kept; `field` names the value at fault ("rules[0].amount.percent")."""

    def __init__(self, field: str, code: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Fixed:
    """The same amount each time."""

    money: Money


@dataclass(frozen=True, slots=True)
class Percent:
    """A share of the purchase, at most `cap`."""

    rate: Decimal
    cap: Money | None = None


@dataclass(frozen=True, slots=True)
class Units:
    """So many of something that is no money: 1 "free month"."""

    units: int
    label: str

    def __str__(self) -> str:
        return f"{self.units} {self.label}"


Amount = Fixed | Percent | Units


@dataclass(frozen=True, slots=True)
class Tier:
    """The amount from the `first` to the `last` friend (None: any number), or of these ranks of a leaderboard."""

    first: int
    last: int | None
    amount: Amount


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that a rule gives: to one referrer, ever and in a calendar year; in the whole campaign, ever and in each period.

    Days, weeks (Monday first), months and years are the merchant's.
    """

    per_referrer: Money | None = None
    per_referrer_year: Money | None = None
    campaign: Money | None = None
    campaign_month: Money | None = None
    campaign_week: Money | None = None
    campaign_day: Money | None = None

    @property
    def of_campaign(self) -> tuple[tuple[str, Money], ...]:
        """The campaign's budgets as (period, money): "all", "month", "week", "day"."""
        pairs = (
            ("all", self.campaign),
            ("month", self.campaign_month),
            ("week", self.campaign_week),
            ("day", self.campaign_day),
        )
        return tuple((period, money) for period, money in pairs if money is not None)


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class RuleTerms:
    """One rule's terms. `key` stays the same through all versions of the campaign's rules.

    `nth` counts from 1: payments of one friend, or the friends that a milestone needs (each so many when `recurring`). `tiers` go
    with the triggers tier and leaderboard, where `amount` is the first tier's. `label` is a milestone's name.
    """

    key: str
    side: Side
    trigger: Trigger
    amount: Amount
    kind: Kind = "cash"
    event: str = "purchase"
    nth: int | None = None
    recurring: bool = False
    label: str = ""
    minimum_purchase: Money | None = None
    max_purchases_per_friend: int | None = None
    new_customers_only: bool = False
    within_days: int | None = None
    conditions: Group | None = None
    limits: Limits = NO_LIMITS
    tiers: tuple[Tier, ...] = ()
    review_days: int = 0
    delivery: Delivery = "manual"
    # What is due to one recipient has to reach this before it goes out by itself.
    minimum_payout: Money | None = None

    @property
    def looks_at_referrer(self) -> bool:
        """Whether the answer for one friend depends on what the referrer's other friends did."""
        return (
            self.trigger in {"milestone", "tier"}
            or self.limits.per_referrer is not None
            or self.limits.per_referrer_year is not None
        )

    @property
    def asks_for_customers(self) -> bool:
        """Whether it matters that somebody was a customer before."""
        return self.new_customers_only or self.conditions is not None

    def rewards(self, event_type: str) -> bool:
        """Whether an event of this type is what the rule is about. A leaderboard's prizes go with the event that closes it."""
        return event_type == ("leaderboard" if self.trigger == "leaderboard" else self.event)

    def tier_of(self, number: int) -> Tier | None:
        """The tier in which the n-th friend, or rank, falls."""
        return next(
            (tier for tier in self.tiers if tier.first <= number and (tier.last is None or number <= tier.last)), None
        )

    @property
    def amounts(self) -> tuple[Amount, ...]:
        """Every amount that the rule can give."""
        return (self.amount, *(tier.amount for tier in self.tiers)) if self.tiers else (self.amount,)
