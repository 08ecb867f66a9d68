"""How far a referrer has come, and how much of a limit is used: read from the decisions and budgets, in a fixed number of queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q, QuerySet, Sum

from campaigns.models import Campaign
from campaigns.rules import current_terms
from campaigns.terms import RuleTerms
from participants.models import Participant
from referrals.lib import clock
from referrals.lib.money import Money
from rewards.fold import period_names
from rewards.models import BudgetUse, Decision


@dataclass(frozen=True, slots=True)
class Used:
    """How much of one limit of a rule is used. `period` is "all", "year", "month", "week" or "day"."""

    terms: RuleTerms
    period: str
    used: Money
    limit: Money

    @property
    def percent(self) -> int:
        """The share that is used, 0 to 100."""
        return max(0, min(100, 100 * self.used.minor // self.limit.minor))

    @property
    def is_reached(self) -> bool:
        """Whether nothing is left."""
        return self.used.minor >= self.limit.minor


@dataclass(frozen=True, slots=True)
class AtLimit:
    """How many referrers have reached a limit for one person; `period` is "all" or "year"."""

    terms: RuleTerms
    period: str
    limit: Money
    people: int


def friends_of(participant: Participant) -> Mapping[str, int]:
    """How many friends of a referrer count, by the key of the rule. One query."""
    rows = Decision.objects.filter(referrer=participant, current=True, counted=True).order_by()
    counted = rows.values_list("rule_key").annotate(n=Count("event__participant", distinct=True))
    return dict(counted)


def limits_of(participant: Participant) -> list[Used]:
    """What a referrer has used of the limits for one person, ever and in this calendar year of the merchant. One query, or none."""
    campaign = participant.campaign
    rules = _limited(campaign)
    if not rules:
        return []
    rows = _granted(campaign, rules).filter(referrer=participant)
    sums = {
        key: (whole or 0, year or 0)
        for key, whole, year in rows.values_list("rule_key").annotate(
            whole=Sum("amount_minor"), year=Sum("amount_minor", filter=_this_year(campaign))
        )
    }
    found = []
    for terms in rules:
        whole, year = sums.get(terms.key, (0, 0))
        for period, limit, minor in (
            ("all", terms.limits.per_referrer, whole),
            ("year", terms.limits.per_referrer_year, year),
        ):
            if limit is not None:
                found.append(Used(terms, period, Money(minor, campaign.currency), limit))
    return found


def referrers_at_limit(campaign: Campaign) -> list[AtLimit]:
    """How many referrers have used up each limit for one person. One query for each limit that is set."""
    found = []
    for terms in _limited(campaign):
        rows = _granted(campaign, [terms]).filter(referrer__isnull=False)
        for period, limit in (("all", terms.limits.per_referrer), ("year", terms.limits.per_referrer_year)):
            if limit is None:
                continue
            counted = rows.filter(_this_year(campaign)) if period == "year" else rows
            full = counted.values("referrer").annotate(total=Sum("amount_minor")).filter(total__gte=limit.minor)
            found.append(AtLimit(terms, period, limit, full.count()))
    return found


def budgets_of(campaign: Campaign) -> list[Used]:
    """What is used of each budget of the campaign's rules, in the present month, week and day. One query, or none."""
    rules = [terms for terms in current_terms(campaign) if terms.limits.of_campaign]
    if not rules:
        return []
    names = period_names(clock.now().astimezone(campaign.merchant.zone).date())
    rows = BudgetUse.objects.filter(
        campaign=campaign, rule_key__in=[terms.key for terms in rules], period__in=names.values()
    )
    used = {(row.rule_key, row.period): row.used_minor for row in rows}
    return [
        Used(terms, period, Money(used.get((terms.key, names[period]), 0), campaign.currency), limit)
        for terms in rules
        for period, limit in terms.limits.of_campaign
    ]


def _limited(campaign: Campaign) -> list[RuleTerms]:
    rules = current_terms(campaign)
    return [terms for terms in rules if terms.limits.per_referrer or terms.limits.per_referrer_year]


def _granted(campaign: Campaign, rules: Sequence[RuleTerms]) -> QuerySet[Decision]:
    keys = [terms.key for terms in rules]
    rows = Decision.objects.filter(rule_key__in=keys, rule__version__campaign=campaign, current=True, counted=True)
    return rows.order_by()


def _this_year(campaign: Campaign) -> Q:
    """Events of the present calendar year in the merchant's time zone."""
    zone = campaign.merchant.zone
    year = clock.now().astimezone(zone).year
    first, after = (datetime(number, 1, 1, tzinfo=zone) for number in (year, year + 1))
    return Q(event__occurred_at__gte=first, event__occurred_at__lt=after)
