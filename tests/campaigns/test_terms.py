"""Rules as the API writes them: read exactly, refused by the name of the field, written back the same."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from campaigns.terms import Fixed, Percent, RuleTerms, TermsError, terms_from_json, terms_to_json
from referrals.lib.money import Money

MONEY = {"amount_minor": 2000, "currency": "USD"}
RULE: dict[str, Any] = {"side": "referrer", "trigger": "first_event", "amount": {"type": "fixed", "money": MONEY}}


def test_a_rule_is_read_with_its_defaults() -> None:
    assert terms_from_json(RULE, "USD") == RuleTerms("", "referrer", "first_event", Fixed(Money(2000, "USD")))


def test_every_field_comes_back_as_it_was_sent() -> None:
    sent = RULE | {
        "id": "rule_1",
        "trigger": "from_nth_event",
        "nth": 3,
        "event": "renewal",
        "amount": {"type": "percent", "percent": "12.5", "cap": MONEY},
        "kind": "gift_card",
        "minimum_purchase": MONEY,
        "max_purchases_per_friend": 12,
        "new_customers_only": True,
        "review_days": 14,
        "delivery": "manual",
        "limits": {"per_referrer": None},
        "tiers": [],
    }
    terms = terms_from_json(sent, "USD")
    assert terms.amount == Percent(Decimal("12.5"), Money(2000, "USD"))
    back = terms_to_json(terms)
    assert {name: back[name] for name in sent if name != "limits"} == {k: v for k, v in sent.items() if k != "limits"}
    assert terms_from_json(back, "USD") == terms


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"side": "friend"}, "rule.side", "invalid_choice"),
        ({"trigger": "whenever"}, "rule.trigger", "invalid_choice"),
        ({"trigger": "tier"}, "rule.trigger", "unsupported"),
        ({"colour": "red"}, "rule.colour", "unknown_field"),
        ({"amount": None}, "rule.amount", "required"),
        ({"amount": {"type": "fixed"}}, "rule.amount.money", "required"),
        ({"minimum_purchase": MONEY | {"amount_minor": 0}}, "rule.minimum_purchase.amount_minor", "amount_not_positive"),
        ({"minimum_purchase": MONEY | {"amount_minor": 1.5}}, "rule.minimum_purchase.amount_minor", "amount_not_positive"),
        ({"amount": {"type": "fixed", "money": {"amount_minor": 1, "currency": "EUR"}}}, "rule.amount.money.currency", "currency"),
        ({"amount": {"type": "percent", "percent": "0"}}, "rule.amount.percent", "percent"),
        ({"amount": {"type": "percent", "percent": "100.0001"}}, "rule.amount.percent", "percent"),
        ({"amount": {"type": "percent", "percent": 10}}, "rule.amount.percent", "percent"),
        ({"amount": {"type": "units", "units": 1}}, "rule.amount.type", "unsupported"),
        ({"trigger": "join", "amount": {"type": "percent", "percent": "10"}}, "rule.amount.type", "percent_of_nothing"),
        ({"trigger": "nth_event"}, "rule.nth", "nth"),
        ({"nth": 2}, "rule.nth", "nth"),
        ({"nth": True}, "rule.nth", "out_of_range"),
        ({"event": "Purchase!"}, "rule.event", "event"),
        ({"review_days": 366}, "rule.review_days", "out_of_range"),
        ({"new_customers_only": "yes"}, "rule.new_customers_only", "invalid_type"),
        ({"minimum_purchase": 20}, "rule.minimum_purchase", "invalid_type"),
        ({"within_days": 30}, "rule.within_days", "unsupported"),
        ({"limits": {"campaign": MONEY}}, "rule.limits.campaign", "unsupported"),
        ({"delivery": "weekly"}, "rule.delivery", "unsupported"),
        ({"tiers": [{"from": 1}]}, "rule.tiers", "unsupported"),
    ],
)  # fmt: skip
def test_a_rule_that_can_not_be_kept_names_the_field(change: dict[str, Any], field: str, code: str) -> None:
    with pytest.raises(TermsError) as refused:
        terms_from_json(RULE | change, "USD")
    assert (refused.value.field, refused.value.code) == (field, code)


@pytest.mark.parametrize("rule", [None, [], "x", 1])
def test_a_rule_is_an_object(rule: object) -> None:
    with pytest.raises(TermsError):
        terms_from_json(rule, "USD")
