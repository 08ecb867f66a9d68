"""What a campaign brought and what it cost: by day of the merchant, by channel, by site, by referrer (docs/reports.md).

Only referred friends count as joins and conversions. Revenue is what they paid less what went back; cost is what both sides earned, less
what was voided or taken back. A reward counts on its own day and a refund on its purchase's, so a day's figures can still change.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from typing import Any

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Sum
from django.db.models.functions import TruncDate

from campaigns.models import Campaign
from participants.models import Participant, QualifyingEvent, Referral, Visit
from rewards.budgets import FALLEN
from rewards.models import Reward

LONGEST = 366
SHOWN = 25


@dataclass(slots=True)
class Figures:
    """One line: counts, and money in the campaign's minor units. `customers` bought for the first time."""

    visits: int = 0
    hidden: int = 0
    joins: int = 0
    conversions: int = 0
    revenue: int = 0
    cost: int = 0
    customers: int = 0

    @property
    def join_rate(self) -> Fraction | None:
        """Joins for each visit; None without visits."""
        return Fraction(self.joins, self.visits) if self.visits else None

    @property
    def customer_rate(self) -> Fraction | None:
        """New customers for each friend who joined; None without joins."""
        return Fraction(self.customers, self.joins) if self.joins else None

    @property
    def cost_per_customer(self) -> int | None:
        """Reward cost for each new customer, rounded half up; None without one."""
        return (2 * self.cost + self.customers) // (2 * self.customers) if self.customers else None


@dataclass(frozen=True, slots=True)
class Report:
    """All days in order, their sum, and the largest channels, sites and referrers."""

    days: dict[date, Figures]
    total: Figures
    channels: list[tuple[str, Figures]]
    sites: list[tuple[str, int]]
    referrers: list[tuple[Participant, Figures]] = field(default_factory=list)


def report(campaign: Campaign, days: Sequence[date]) -> Report:
    """The campaign's figures over consecutive days of its merchant, at most LONGEST. A fixed number of queries."""
    rows = _Rows(campaign, days)
    by_day: dict[date, Figures] = {day: Figures() for day in days}
    zone = campaign.merchant.zone
    for name, found in (
        ("visits", _grouped(rows.visits, TruncDate("occurred_at", tzinfo=zone))),
        ("hidden", _grouped(rows.machines, TruncDate("occurred_at", tzinfo=zone))),
        ("joins", _grouped(rows.joins, TruncDate("created_at", tzinfo=zone))),
        ("conversions", _grouped(rows.conversions, TruncDate("occurred_at", tzinfo=zone))),
        ("revenue", _grouped(rows.conversions, TruncDate("occurred_at", tzinfo=zone), _REVENUE)),
        ("cost", _grouped(rows.rewards, TruncDate("created_at", tzinfo=zone), Sum("amount_minor"))),
        ("customers", _grouped(rows.customers, TruncDate("occurred_at", tzinfo=zone))),
    ):
        for day, value in found.items():
            if day in by_day:
                setattr(by_day[day], name, value)
    return Report(by_day, added(by_day.values()), _channels(rows), _sites(rows), _referrers(rows))


def added(rows: Iterable[Figures]) -> Figures:
    """The sum of lines."""
    total = Figures()
    for row in rows:
        for name in Figures.__slots__:
            setattr(total, name, getattr(total, name) + getattr(row, name))
    return total


_KEPT = F("amount_minor") - F("refunded_minor")
_REVENUE = Sum(_KEPT)


class _Rows:
    """What happened in the time, as querysets."""

    def __init__(self, campaign: Campaign, days: Sequence[date]) -> None:
        zone = campaign.merchant.zone
        start = datetime.combine(days[0], time.min, tzinfo=zone)
        end = datetime.combine(days[-1] + timedelta(days=1), time.min, tzinfo=zone)

        def within(column: str) -> Q:
            return Q(**{f"{column}__gte": start, f"{column}__lt": end})

        opened = Visit.objects.filter(within("occurred_at"), campaign=campaign)
        self.visits = opened.filter(hidden_reason="")
        self.machines = opened.exclude(hidden_reason="")
        self.joins = Referral.objects.filter(within("created_at"), campaign=campaign, detached_at=None)
        bought = QualifyingEvent.objects.filter(cancelled_at=None).exclude(type="join")
        self.conversions = bought.filter(within("occurred_at"), campaign=campaign, participant__referral__isnull=False)
        earlier = bought.filter(participant=OuterRef("participant")).filter(
            Q(occurred_at__lt=OuterRef("occurred_at")) | Q(occurred_at=OuterRef("occurred_at"), pk__lt=OuterRef("pk"))
        )
        self.customers = self.conversions.filter(~Exists(earlier), participant__existing_customer=False)
        self.rewards = Reward.objects.filter(within("created_at"), campaign=campaign, currency=campaign.currency)
        self.rewards = self.rewards.exclude(state__in=FALLEN)


def _grouped(rows: QuerySet[Any], by: Any, what: Any = None) -> dict[Any, int]:
    """A count or sum for each group; nothing where it is null."""
    found = rows.annotate(group_key=by).values("group_key").annotate(n=what or Count("pk")).order_by()
    return {row["group_key"]: int(row["n"] or 0) for row in found}


def _measured(rows: _Rows, paths: dict[str, str], only: Collection[Any] | None = None) -> dict[Any, Figures]:
    """Figures for each value of a path; `paths` says by which column each measure is grouped."""
    sources: dict[str, tuple[QuerySet[Any], Any]] = {
        "visits": (rows.visits, None),
        "joins": (rows.joins, None),
        "conversions": (rows.conversions, None),
        "revenue": (rows.conversions, _REVENUE),
        "cost": (rows.rewards, Sum("amount_minor")),
        "customers": (rows.customers, None),
    }
    found: dict[Any, Figures] = {}
    for name, path in paths.items():
        queryset, what = sources[name]
        narrowed = queryset if only is None else queryset.filter(**{f"{path}__in": only})
        for key, value in _grouped(narrowed, F(path), what).items():
            setattr(found.setdefault(key, Figures()), name, value)
    return found


_EVENT = "participant__referral"
_REWARD = "event__participant__referral"


def _channels(rows: _Rows) -> list[tuple[str, Figures]]:
    paths = {
        "visits": "channel",
        "joins": "visit__channel",
        "conversions": f"{_EVENT}__visit__channel",
        "revenue": f"{_EVENT}__visit__channel",
        "cost": f"{_REWARD}__visit__channel",
        "customers": f"{_EVENT}__visit__channel",
    }
    merged: dict[str, Figures] = {}
    # A friend without a visit, and a link without a channel, are both "not known".
    for key, figures in _measured(rows, paths).items():
        merged[key or ""] = added([merged.get(key or "", Figures()), figures])
    return sorted(merged.items(), key=lambda item: (-item[1].revenue, -item[1].joins, -item[1].visits, item[0]))[:SHOWN]


def _sites(rows: _Rows) -> list[tuple[str, int]]:
    found = _grouped(rows.visits.exclude(referer=""), F("referer"))
    return sorted(found.items(), key=lambda item: (-item[1], item[0]))[:SHOWN]


def _referrers(rows: _Rows) -> list[tuple[Participant, Figures]]:
    """The people whose links brought most: of those with most revenue, joins or visits."""
    paths = {
        "visits": "referrer",
        "joins": "referrer",
        "conversions": f"{_EVENT}__referrer",
        "revenue": f"{_EVENT}__referrer",
        "cost": f"{_REWARD}__referrer",
        "customers": f"{_EVENT}__referrer",
    }
    keys: set[int] = set()
    for queryset, path, what in (
        (rows.conversions, paths["revenue"], _REVENUE),
        (rows.joins, "referrer", Count("pk")),
        (rows.visits, "referrer", Count("pk")),
    ):
        top = queryset.annotate(group_key=F(path)).values("group_key").annotate(n=what).order_by("-n", "group_key")
        keys |= {row["group_key"] for row in top[:SHOWN] if row["group_key"]}
    figures = _measured(rows, paths, keys)
    people = Participant.objects.in_bulk(keys)
    order = sorted(keys, key=lambda pk: (-figures[pk].revenue, -figures[pk].joins, -figures[pk].visits, pk))
    return [(people[pk], figures[pk]) for pk in order[:SHOWN]]
