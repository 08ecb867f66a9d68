"""The rules of a version as plain terms. A published version never changes, so its terms are kept in memory."""

from __future__ import annotations

from functools import lru_cache

from django.utils.translation import gettext as _

from campaigns.models import Campaign, CampaignVersion, RewardRule, Status
from campaigns.terms import Fixed, Percent, RuleTerms


@lru_cache(maxsize=2048)
def _rules(version_id: int, currency: str) -> tuple[tuple[int, RuleTerms], ...]:
    rows = RewardRule.objects.filter(version_id=version_id).order_by("position", "pk")
    return tuple((row.pk, row.terms(currency)) for row in rows)


def rules_of(version_id: int, currency: str) -> tuple[tuple[int, RuleTerms], ...]:
    """(primary key, terms) of every rule of a *launched* campaign's version, from memory after the first time."""
    return _rules(version_id, currency)


def current_terms(campaign: Campaign) -> list[RuleTerms]:
    """The terms in force; for a draft, the ones being written (read afresh, since they may change)."""
    if campaign.version_id is None:
        return []
    if campaign.status == Status.DRAFT:
        rows = RewardRule.objects.filter(version_id=campaign.version_id).order_by("position", "pk")
        return [row.terms(campaign.currency) for row in rows]
    return [terms for _pk, terms in rules_of(campaign.version_id, campaign.currency)]


def terms_of_version(version: CampaignVersion, currency: str) -> list[RuleTerms]:
    """The terms of any version, for its history page."""
    return [row.terms(currency) for row in version.rules.order_by("position", "pk")]


def main_rule(terms: list[RuleTerms], side: str) -> RuleTerms | None:
    """The rule that the pages speak of for a side: the first one."""
    return next((rule for rule in terms if rule.side == side), None)


def reward_text(rule: RuleTerms | None, locale: str = "en") -> str:
    """What a rule gives in a few characters: "$15", "10%". Empty without a rule."""
    if rule is None:
        return ""
    match rule.amount:
        case Fixed(money):
            return money.short(locale)
        case Percent(rate):
            return _("%(rate)s%%") % {"rate": f"{rate.normalize():f}"}
