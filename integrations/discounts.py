"""What a friend's reward is as a discount at the checkout: which rules can be one, and how a plan keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from campaigns.models import Campaign
from campaigns.rules import current_terms
from campaigns.terms import Fixed, Percent, RuleTerms
from integrations.remote import Discount
from referrals.lib.money import Money

# Given once for a friend, so that the code, which a friend redeems once, can stand for it.
ONCE = frozenset({"join", "first_event"})


def friend_rules(campaign: Campaign) -> list[RuleTerms]:
    """The friend's rewards that a code at the checkout can give: once, and money off."""
    rules = current_terms(campaign)
    return [rule for rule in rules if rule.side == "invitee" and rule.trigger in ONCE and discount_of(rule) is not None]


def discount_of(rule: RuleTerms) -> Discount | None:
    """What it takes off; None for units of something, and for a share with a cap, which no coupon knows."""
    match rule.amount:
        case Fixed(money):
            return Discount(money=money, minimum=rule.minimum_purchase)
        case Percent(rate, None):
            return Discount(percent=rate, minimum=rule.minimum_purchase)
        case _:
            return None


def to_json(discount: Discount) -> dict[str, Any]:
    """As a plan keeps it: decimals as text, amounts in minor units."""
    found: dict[str, Any] = {}
    if discount.percent is not None:
        found["percent"] = f"{discount.percent.normalize():f}"
    for name in ("money", "minimum"):
        money: Money | None = getattr(discount, name)
        if money is not None:
            found[name] = [money.minor, money.currency]
    return found


def from_json(kept: Mapping[str, Any]) -> Discount:
    """The opposite of to_json()."""
    percent = kept.get("percent")
    amounts = {name: Money(*kept[name]) for name in ("money", "minimum") if name in kept}
    return Discount(percent=Decimal(percent) if percent is not None else None, **amounts)
