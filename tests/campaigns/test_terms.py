"""Rules as the API writes them: read exactly, refused by the name of the field, written back the same."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from campaigns.terms import Fixed, Percent, RuleTerms, TermsError
from campaigns.terms_json import terms_from_json, terms_to_json
from referrals.lib.money import Money

MONEY = {"amount_minor": 2000, "currency": "USD"}
UNITS = {"type": "units", "units": 1, "label": "free month"}
TIER: dict[str, Any] = {"from": 1, "to": 4, "amount": {"type": "fixed", "money": MONEY}}
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
        "within_days": 365,
        "conditions": {"any": [{"of": "event", "field": "plan", "op": "one_of", "value": ["pro", "team"]}]},
        "limits": dict.fromkeys(
            ("per_referrer", "per_referrer_year", "campaign", "campaign_month", "campaign_week", "campaign_day"), MONEY
        ),
        "tiers": [],
    }
    terms = terms_from_json(sent, "USD")
    assert terms.amount == Percent(Decimal("12.5"), Money(2000, "USD"))
    back = terms_to_json(terms)
    assert {name: back[name] for name in sent} == sent
    assert terms_from_json(back, "USD") == terms


@pytest.mark.parametrize(
    "sent",
    [
        {"trigger": "milestone", "nth": 5, "recurring": True, "label": "Five friends", "amount": UNITS},
        {
            "trigger": "tier",
            "tiers": [TIER, {"from": 5, "to": None, "amount": {"type": "percent", "percent": "12", "cap": None}}],
        },
        {"trigger": "leaderboard", "event": "join", "tiers": [TIER | {"to": 1}, TIER | {"from": 2, "to": 3}]},
        {"trigger": "status", "event": "qualified"},
    ],
    ids=["milestone", "tier", "leaderboard", "status"],
)
def test_every_trigger_comes_back_as_it_was_sent(sent: dict[str, Any]) -> None:
    terms = terms_from_json(RULE | sent, "USD")
    back = terms_to_json(terms)
    assert {name: back[name] for name in sent} == sent
    assert terms_from_json(back, "USD") == terms
    if terms.tiers:
        assert terms.amount == terms.tiers[0].amount


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"side": "friend"}, "rule.side", "invalid_choice"),
        ({"trigger": "whenever"}, "rule.trigger", "invalid_choice"),
        ({"trigger": "tier"}, "rule.tiers", "tiers"),
        ({"trigger": "tier", "side": "invitee", "tiers": [TIER]}, "rule.side", "side"),
        ({"trigger": "tier", "tiers": [TIER, TIER | {"from": 4}]}, "rule.tiers[1].from", "tiers"),
        ({"trigger": "tier", "tiers": [TIER, TIER | {"from": 6, "to": None}]}, "rule.tiers[1].from", "tiers"),
        ({"trigger": "tier", "tiers": [TIER | {"to": None}, TIER | {"from": 5, "to": 6}]}, "rule.tiers[1].from", "tiers"),
        ({"trigger": "tier", "tiers": [TIER | {"from": 3, "to": 2}]}, "rule.tiers[0].to", "tiers"),
        ({"trigger": "tier", "tiers": [{"from": 1, "amount": {"type": "percent", "percent": "101"}}]},
         "rule.tiers[0].amount.percent", "percent"),
        ({"tiers": [TIER]}, "rule.tiers", "tiers"),
        ({"trigger": "milestone"}, "rule.nth", "nth"),
        ({"trigger": "milestone", "nth": 5, "amount": {"type": "percent", "percent": "10"}}, "rule.amount.type", "percent_of_nothing"),
        ({"recurring": True}, "rule.recurring", "recurring"),
        ({"trigger": "leaderboard", "tiers": [TIER | {"to": None}]}, "rule.tiers", "tiers"),
        ({"trigger": "status", "event": "denied"}, "rule.event", "event"),
        ({"event": "approved"}, "rule.event", "event"),
        ({"colour": "red"}, "rule.colour", "unknown_field"),
        ({"amount": None}, "rule.amount", "required"),
        ({"amount": {"type": "fixed"}}, "rule.amount.money", "required"),
        ({"minimum_purchase": MONEY | {"amount_minor": 0}}, "rule.minimum_purchase.amount_minor", "amount_not_positive"),
        ({"minimum_purchase": MONEY | {"amount_minor": 1.5}}, "rule.minimum_purchase.amount_minor", "amount_not_positive"),
        ({"amount": {"type": "fixed", "money": {"amount_minor": 1, "currency": "EUR"}}}, "rule.amount.money.currency", "currency"),
        ({"amount": {"type": "percent", "percent": "0"}}, "rule.amount.percent", "percent"),
        ({"amount": {"type": "percent", "percent": "100.0001"}}, "rule.amount.percent", "percent"),
        ({"amount": {"type": "percent", "percent": 10}}, "rule.amount.percent", "percent"),
        ({"amount": {"type": "units", "units": 1}}, "rule.amount.label", "required"),
        ({"amount": {"type": "units", "label": "free month"}}, "rule.amount.units", "required"),
        ({"amount": UNITS, "limits": {"campaign": MONEY}}, "rule.limits", "limits"),
        ({"amount": {"type": "percent", "percent": "10", "cap": MONEY | {"currency": "EUR"}}}, "rule.amount.cap.currency", "currency"),
        ({"trigger": "join", "amount": {"type": "percent", "percent": "10"}}, "rule.amount.type", "percent_of_nothing"),
        ({"trigger": "nth_event"}, "rule.nth", "nth"),
        ({"nth": 2}, "rule.nth", "nth"),
        ({"nth": True}, "rule.nth", "out_of_range"),
        ({"event": "Purchase!"}, "rule.event", "event"),
        ({"review_days": 366}, "rule.review_days", "out_of_range"),
        ({"new_customers_only": "yes"}, "rule.new_customers_only", "invalid_type"),
        ({"minimum_purchase": 20}, "rule.minimum_purchase", "invalid_type"),
        ({"within_days": 0}, "rule.within_days", "out_of_range"),
        ({"review_days": -1}, "rule.review_days", "out_of_range"),
        ({"limits": {"campaign": 20}}, "rule.limits.campaign", "invalid_type"),
        ({"limits": {"per_friend": MONEY}}, "rule.limits.per_friend", "unknown_field"),
        ({"conditions": {"all": []}}, "rule.conditions.all", "required"),
        ({"delivery": "daily"}, "rule.delivery", "invalid_choice"),
        ({"minimum_payout": MONEY}, "rule.minimum_payout", "minimum_payout"),
        ({"minimum_payout": MONEY, "delivery": "weekly", "amount": UNITS}, "rule.minimum_payout", "minimum_payout"),
        ({"minimum_payout": MONEY | {"currency": "EUR"}, "delivery": "weekly"}, "rule.minimum_payout.currency", "currency"),
        ({"tiers": [{"from": 1}]}, "rule.tiers[0].amount", "required"),
    ],
)  # fmt: skip
def test_a_rule_that_can_not_be_kept_names_the_field(change: dict[str, Any], field: str, code: str) -> None:
    with pytest.raises(TermsError) as refused:
        terms_from_json(RULE | change, "USD")
    assert (refused.value.field, refused.value.code) == (field, code)


@pytest.mark.parametrize("delivery", ["immediate", "weekly", "day_15", "month_end"])
def test_a_rule_that_issues_by_itself_says_how_much_it_collects(delivery: str) -> None:
    terms = terms_from_json(RULE | {"delivery": delivery, "minimum_payout": MONEY}, "USD")
    assert (terms.delivery, terms.minimum_payout) == (delivery, Money(2000, "USD"))
    assert terms_from_json(terms_to_json(terms), "USD") == terms


@pytest.mark.parametrize("rule", [None, [], "x", 1])
def test_a_rule_is_an_object(rule: object) -> None:
    with pytest.raises(TermsError):
        terms_from_json(rule, "USD")
