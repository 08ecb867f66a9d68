"""Campaigns whose friends may be shared between several referrers, and the rules that contradict it (ADR 11, docs/attribution.md)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from campaigns.conditions import fields_used
from campaigns.terms import RuleTerms, TermsError, Units
from referrals.lib.errors import Refused

if TYPE_CHECKING:
    from campaigns.models import Campaign

# The models of attribution that give a friend to everybody whose link was opened.
SPLITTING: frozenset[str] = frozenset({"linear", "position"})
CODE = "split_not_possible"


def contradiction(terms: RuleTerms) -> tuple[str, str] | None:
    """Why a rule can't reward a friend who is shared: the field at fault and what to do; None when it can.

    Whatever looks at a referrer as a whole would have to count a third of a friend; units of something can't be cut.
    """
    if terms.trigger in {"milestone", "tier", "leaderboard"}:
        return "trigger", _("It counts a referrer's friends, and here a friend may belong to several referrers.")
    for name in ("per_referrer", "per_referrer_year"):
        if getattr(terms.limits, name) is not None:
            return f"limits.{name}", _("A limit for one referrer has no meaning for a reward that several share.")
    if terms.side == "referrer" and any(isinstance(amount, Units) for amount in terms.amounts):
        return "amount", _("Units can't be cut into parts; use money or a share of the purchase.")
    if "referrer" in fields_used(terms.conditions):
        return "conditions", _("A condition about the referrer has no one answer where there are several.")
    return None


def check_rules_of(campaign: Campaign, rules: Iterable[RuleTerms]) -> None:
    """TermsError `split_not_possible` at the first rule's field that a shared friend contradicts.

    Also after the campaign went back to one click for one friend: those who are shared stay so.
    """
    for position, terms in enumerate(rules):
        check_rule_of(campaign, terms, at=f"rules[{position}]")


def check_rule_of(campaign: Campaign, terms: RuleTerms, *, at: str = "rule") -> None:
    """check_rules_of() for one rule."""
    if campaign.attribution_model not in SPLITTING and not campaign.has_splits:
        return
    found = contradiction(terms)
    if found is not None:
        field, why = found
        raise TermsError(f"{at}.{field}", CODE, f"{why} {_advice(campaign)}")


def _advice(campaign: Campaign) -> str:
    if campaign.attribution_model in SPLITTING:
        return _("Or set the campaign to first or last click.")
    return _("Some friends of this campaign are shared already; make another campaign for this rule.")


def refuse_setting(model: str, rules: Iterable[RuleTerms]) -> None:
    """Refused `split_not_possible` at `attribution_model` when the rules in force contradict a model that shares friends."""
    if model not in SPLITTING:
        return
    for number, terms in enumerate(rules, start=1):
        found = contradiction(terms)
        if found is not None:
            message = _("Rule %(number)d stands against it: %(why)s Change the rule first.")
            words = {"number": number, "why": found[1]}
            raise Refused(CODE, message % words, field="attribution_model", details={"rule": terms.key})
