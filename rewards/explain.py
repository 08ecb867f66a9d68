"""How a decision came to its amount, and what changed from one decision to the next, in words for the merchant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import get_language
from django.utils.translation import gettext as _

from campaigns.terms import Fixed, Percent, RuleTerms
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
    """ "10% of $64.20, at most $25.00: $6.42". Empty when nothing is owed.

    What a limit left of it, is told with it. The facts are those of now; the amount is the decision's own.
    """
    if not decision.rewardable or terms is None or not decision.amount_minor:
        return ""
    given = money(Money(decision.amount_minor, event.currency))
    cut = next((one for one in decision.conditions if one["code"] in LIMITS and _is_cut(one)), None)
    if cut is not None:
        return _("%(amount)s. %(limit)s") % {"amount": given, "limit": sentence(cut)}
    match terms.amount:
        case Percent(rate, cap):
            words = {"rate": f"{rate.normalize():f}", "kept": money(event.kept) if event.kept else "", "amount": given}
            if event.refunded_minor:
                text = _("%(rate)s%% of the %(kept)s that were kept after refunds: %(amount)s")
            else:
                text = _("%(rate)s%% of %(kept)s: %(amount)s")
            if cap is not None and cap.minor == decision.amount_minor:
                text = _("%(rate)s%% of %(kept)s, but at most %(amount)s")
            return text % words
        case Fixed(amount) if amount.minor == decision.amount_minor:
            return _("A fixed amount: %(amount)s") % {"amount": given}
    return _("By the rule's steps: %(amount)s") % {"amount": given}


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
