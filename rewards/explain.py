"""How a decision came to its amount, and what changed from one decision to the next, in words for the merchant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import get_language
from django.utils.translation import gettext as _

from campaigns.terms import Percent, RuleTerms, Units
from participants.models import QualifyingEvent
from referrals.lib.money import Money
from rewards.models import Decision
from rewards.reasons import sentence

# Conditions that may give less than the rule: the last one that did is told.
LIMITS = ("referrer_limit", "annual_limit", "budget_spent")


def money(value: Money) -> str:
    """An amount in the active language."""
    return value.format((get_language() or "en").replace("-", "_"))


def amount_words(terms: RuleTerms | None, event: QualifyingEvent, decision: Decision) -> str:
    """ "10% of $64.20: $6.42". Empty when nothing is owed.

    What a limit left of it, is told with it. The facts are those of now; the amount is the decision's own.
    """
    if not decision.rewardable or terms is None:
        return ""
    facts = {one["code"]: one for one in decision.conditions}
    tier = terms.tier_of(_friends(facts.get("tier_not_reached"))) if terms.tiers else None
    amount = tier.amount if tier else terms.amount
    if isinstance(amount, Units):
        return str(amount)
    given = money(Money(decision.amount_minor, event.currency))
    cut = next((facts[code] for code in LIMITS if code in facts and _is_cut(facts[code])), None)
    if cut is not None:
        return sentence(cut)
    if isinstance(amount, Percent):
        return _share(amount, event, decision, given)
    if tier is not None:
        friends = _friends(facts.get("tier_not_reached"))
        return _("By the tier of friend number %(friends)s: %(amount)s") % {"friends": friends, "amount": given}
    if terms.trigger == "milestone":
        words = {"friends": _friends(facts.get("milestone_not_reached")), "amount": given}
        return _("For the milestone of %(friends)s friends: %(amount)s") % words
    return _("A fixed amount: %(amount)s") % {"amount": given}


def _share(amount: Percent, event: QualifyingEvent, decision: Decision, given: str) -> str:
    words = {
        "rate": f"{amount.rate.normalize():f}",
        "kept": money(event.kept) if event.kept else "",
        "amount": given,
    }
    if amount.cap is not None and amount.cap.minor == decision.amount_minor:
        return _("%(rate)s%% of %(kept)s, but at most %(amount)s") % words
    if event.refunded_minor:
        return _("%(rate)s%% of the %(kept)s that were kept after refunds: %(amount)s") % words
    return _("%(rate)s%% of %(kept)s: %(amount)s") % words


def _friends(condition: Mapping[str, Any] | None) -> int:
    return int(condition["facts"].get("friends", 0)) if condition else 0


def _is_cut(condition: Mapping[str, Any]) -> bool:
    granted, wanted = condition["facts"].get("granted"), condition["facts"].get("wanted")
    return bool(granted and wanted and granted["amount_minor"] < wanted["amount_minor"])


def changes(before: Decision, after: Decision, currency: str) -> list[str]:
    """What is different between two decisions of one rule: sentences that were said anew, and the amount."""
    earlier = {one["code"]: one for one in before.conditions}
    said = []
    for one in after.conditions:
        old = earlier.get(one["code"])
        now = sentence(one)
        then = sentence(old) if old else ""
        if now != then:
            said.append(_("%(then)s → %(now)s") % {"then": then, "now": now} if then else now)
    if before.amount_minor != after.amount_minor:
        amounts = [money(Money(row.amount_minor, currency)) for row in (before, after)]
        said.append(_("Amount: %(then)s → %(now)s") % {"then": amounts[0], "now": amounts[1]})
    return said


def by_rule(decisions: Sequence[Decision]) -> dict[str, list[Decision]]:
    """All decisions of an event by rule, oldest first."""
    found: dict[str, list[Decision]] = {}
    for decision in sorted(decisions, key=lambda row: row.pk):
        found.setdefault(decision.rule_key, []).append(decision)
    return found
