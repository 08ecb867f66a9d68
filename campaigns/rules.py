"""The rules of a version as plain terms. A published version never changes, so its terms are kept in memory."""

from __future__ import annotations

from functools import lru_cache

from django.db.models import Q
from django.utils.translation import gettext as _

from campaigns.models import Campaign, CampaignVersion, RewardRule, Status
from campaigns.terms import Amount, Fixed, Percent, RuleTerms, Units


@lru_cache(maxsize=2048)
def _rules(version_id: int, currency: str) -> tuple[tuple[int, RuleTerms], ...]:
    rows = RewardRule.objects.filter(version_id=version_id).order_by("position", "pk").prefetch_related("tiers")
    return tuple((row.pk, row.terms(currency)) for row in rows)


def rules_of(version_id: int, currency: str) -> tuple[tuple[int, RuleTerms], ...]:
    """(primary key, terms) of every rule of a *launched* campaign's version, from memory after the first time."""
    return _rules(version_id, currency)


def referrer_keys(campaign_id: int) -> frozenset[str]:
    """The ids of all rules, of any version, that look at a referrer as a whole (RuleTerms.looks_at_referrer). One query."""
    looking = (
        Q(trigger__in=["milestone", "tier"])
        | Q(limit_per_referrer_minor__isnull=False)
        | Q(limit_per_referrer_year_minor__isnull=False)
    )
    rows = RewardRule.objects.filter(looking, version__campaign_id=campaign_id)
    return frozenset(rows.values_list("key", flat=True))


def current_terms(campaign: Campaign) -> list[RuleTerms]:
    """The terms in force; for a draft, the ones being written (read afresh, since they may change)."""
    if campaign.version_id is None:
        return []
    if campaign.status == Status.DRAFT:
        rows = (
            RewardRule.objects.filter(version_id=campaign.version_id)
            .order_by("position", "pk")
            .prefetch_related("tiers")
        )
        return [row.terms(campaign.currency) for row in rows]
    return [terms for _pk, terms in rules_of(campaign.version_id, campaign.currency)]


def terms_of_version(version: CampaignVersion, currency: str) -> list[RuleTerms]:
    """The terms of any version, for its history page."""
    return [row.terms(currency) for row in version.rules.order_by("position", "pk").prefetch_related("tiers")]


def main_rule(terms: list[RuleTerms], side: str) -> RuleTerms | None:
    """The rule that the pages speak of for a side: the first one."""
    return next((rule for rule in terms if rule.side == side), None)


def reward_text(rule: RuleTerms | None, locale: str = "en") -> str:
    """What a rule gives in a few characters: "$15", "10%". Empty without a rule."""
    return "" if rule is None else amount_text(rule.amount, locale)


def amount_text(amount: Amount, locale: str = "en") -> str:
    """An amount in a few characters: "$15", "10%", "1 free month"."""
    match amount:
        case Fixed(money):
            return money.short(locale)
        case Percent(rate):
            return _("%(rate)s%%") % {"rate": f"{rate.normalize():f}"}
        case Units():
            return str(amount)
