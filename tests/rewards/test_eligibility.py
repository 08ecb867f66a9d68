"""The table of conditions, one by one: pure values in, verdict out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any

import pytest

from campaigns.terms import Fixed, Limits, Percent, RuleTerms, Tier, Trigger, Units
from referrals.lib.money import Money
from rewards.eligibility import CODES, CONDITIONS, decide, decide_briefly, questions_of
from rewards.facts import Bond, Case, EventFacts, History, PersonFacts, Verdict
from rewards.fold import Item, decide_all
from rewards.reasons import REASONS, sentence

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ASHA = PersonFacts("asha@example.com")
MAYA = PersonFacts("maya@example.net")
BOND = Bond(ASHA, NOON - timedelta(days=3))
RULE = RuleTerms(key="rule_1", side="referrer", trigger="first_event", amount=Fixed(Money(1500, "USD")))


def usd(minor: int) -> Money:
    return Money(minor, "USD")


def event(number: int = 1, minor: int | None = 5000, **facts: Any) -> EventFacts:
    amount = None if minor is None else usd(minor)
    values: dict[str, Any] = {"occurred_at": NOON + timedelta(hours=number), "refunded": usd(0)} | facts
    return EventFacts(id=number, type="purchase", currency="USD", amount=amount, **values)


def ask(
    rule: RuleTerms = RULE, *events: EventFacts, friend: PersonFacts = MAYA, bond: Bond | None = BOND
) -> list[Verdict]:
    row = events or (event(),)
    verdicts = decide_all([Item(rule, item, friend, bond) for item in row])
    return [verdicts[item.id] for item in row]


def outcomes(verdicts: list[Verdict]) -> list[tuple[str, int]]:
    return [(v.reason, v.amount.minor if v.amount else 0) for v in verdicts]


MINIMUM = replace(RULE, minimum_purchase=usd(3000))
NEW_ONLY = replace(RULE, new_customers_only=True)
BANNED = Bond(replace(ASHA, banned_at=NOON), BOND.since)


@pytest.mark.parametrize(
    ("reason", "verdicts"),
    [
        ("", ask()),
        ("not_referred", ask(bond=None)),
        ("self_referral", ask(friend=ASHA)),
        ("existing_customer", ask(NEW_ONLY, friend=replace(MAYA, existing_customer=True))),
        ("", ask(RULE, friend=replace(MAYA, existing_customer=True))),
        ("campaign_not_started", ask(RULE, event(closed_reason="campaign_not_started"))),
        ("campaign_paused", ask(RULE, event(closed_reason="campaign_paused"))),
        ("campaign_ended", ask(RULE, event(closed_reason="campaign_ended"))),
        ("referrer_banned", ask(bond=BANNED)),
        ("refunded", ask(RULE, event(refunded=usd(5000)))),
        ("refunded", ask(RULE, event(minor=None, refunded=usd(0), returned=True))),
        ("cancelled", ask(RULE, event(cancelled=True))),
        ("cancelled", ask(replace(RULE, trigger="every_event"), event(stopped_at=NOON))),
        ("", ask(RULE, event(stopped_at=NOON))),
        ("referral_denied", ask(bond=replace(BOND, denied=True))),
        ("", ask(replace(RULE, within_days=4))),
        ("attribution_expired", ask(replace(RULE, within_days=3))),
        ("disputed", ask(RULE, event(disputed_at=NOON))),
        ("below_minimum_purchase", ask(MINIMUM, event(minor=2999))),
        ("", ask(MINIMUM, event(minor=3000))),
        ("below_minimum_purchase", ask(MINIMUM, event(minor=None))),
        ("below_minimum_purchase", ask(MINIMUM, event(minor=5000, refunded=usd(2001)))),
        ("", ask(MINIMUM, event(minor=5000, refunded=usd(2000)))),
    ],
)
def test_each_condition_decides(reason: str, verdicts: list[Verdict]) -> None:
    assert outcomes(verdicts) == [(reason, 0 if reason else 1500)]


def test_all_conditions_are_checked_and_not_only_the_first_that_fails() -> None:
    (verdict,) = ask(
        replace(MINIMUM, new_customers_only=True),
        event(minor=100),
        friend=replace(ASHA, existing_customer=True),
        bond=BANNED,
    )
    failed = [c.code for c in verdict.conditions if not c.passed]
    assert failed == ["self_referral", "existing_customer", "referrer_banned", "below_minimum_purchase"]
    assert verdict.reason == "self_referral"
    (facts,) = [c.facts for c in verdict.conditions if c.code == "below_minimum_purchase"]
    assert facts == {
        "minimum": {"amount_minor": 3000, "currency": "USD"},
        "amount": {"amount_minor": 100, "currency": "USD"},
    }


ROW = (event(1, 5000), event(2, 2000), event(3, 6000), event(4, 7000))


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        (MINIMUM, [1500, "below_minimum_purchase", "friend_purchase_limit", "friend_purchase_limit"]),
        (replace(MINIMUM, trigger="every_event"), [1500, "below_minimum_purchase", 1500, 1500]),
        (replace(MINIMUM, trigger="every_event", max_purchases_per_friend=2),
         [1500, "below_minimum_purchase", 1500, "friend_purchase_limit"]),
        (replace(MINIMUM, trigger="nth_event", nth=2),
         ["payment_count_not_reached", "below_minimum_purchase", 1500, "payment_count_not_reached"]),
        (replace(MINIMUM, trigger="from_nth_event", nth=2), ["payment_count_not_reached", "below_minimum_purchase", 1500, 1500]),
    ],
    ids=["first", "every", "every, at most two", "the second", "from the second on"],
)  # fmt: skip
def test_a_row_of_purchases(rule: RuleTerms, wanted: list[int | str]) -> None:
    """One that does not count is skipped in the counting and resets nothing."""
    assert [v.reason or (v.amount.minor if v.amount else 0) for v in ask(rule, *ROW)] == wanted


def test_the_order_of_arrival_does_not_matter() -> None:
    rule = replace(MINIMUM, trigger="every_event", max_purchases_per_friend=2)
    straight = decide_all([Item(rule, item, MAYA, BOND) for item in ROW])
    assert decide_all([Item(rule, item, MAYA, BOND) for item in reversed(ROW)]) == straight


@pytest.mark.parametrize(
    ("paid", "back", "cap", "owed"),
    [
        (5000, 0, None, 500),
        (5005, 0, None, 500),
        (5015, 0, None, 502),
        (5000, 1000, None, 400),
        (5000, 0, 300, 300),
        (4, 0, None, 0),
    ],
)
def test_a_share_is_of_what_the_friend_kept_paying(paid: int, back: int, cap: int | None, owed: int) -> None:
    rule = replace(RULE, trigger="every_event", amount=Percent(Decimal(10), usd(cap) if cap else None))
    (verdict,) = ask(rule, event(minor=paid, refunded=usd(back)))
    assert (verdict.amount.minor if verdict.amount else 0) == owed
    assert verdict.reason == ("" if owed else "below_minimum_purchase")


LIMITED = Limits(per_referrer=usd(2000), per_referrer_year=usd(1700), campaign=usd(9000), campaign_day=usd(1600))
TRIGGERS: dict[Trigger, dict[str, Any]] = {
    "join": {"event": "join"},
    "first_event": {"new_customers_only": True, "minimum_purchase": usd(3000)},
    "every_event": {"amount": Percent(Decimal(10), usd(400)), "within_days": 3, "limits": LIMITED},
    "from_nth_event": {"nth": 2, "amount": Units(1, "free month")},
    "milestone": {"nth": 2, "recurring": True},
    "tier": {"tiers": (Tier(2, 5, Fixed(usd(700))),)},
    "leaderboard": {"tiers": (Tier(1, 3, Fixed(usd(900))),)},
}
EVENTS = [
    event(**facts)
    for facts in (
        {},
        {"minor": None, "returned": True},
        {"minor": 4, "refunded": usd(1)},
        {"refunded": usd(5000), "cancelled": True},
        {"stopped_at": NOON, "disputed_at": NOON},
        {"closed_reason": "campaign_paused", "rank": 1},
    )
]
PEOPLE = [MAYA, ASHA, replace(MAYA, existing_customer=True, banned_at=NOON), replace(MAYA, click_expired=True)]
BONDS = [BOND, None, BANNED, replace(BOND, denied=True), replace(BOND, since=NOON - timedelta(days=90))]
HISTORIES = [
    History(),
    History(
        rewarded=1, counted=1, earlier=1, friends=2, granted=1800, granted_year=1699, spent={"all": 8900, "day": 1600}
    ),
]


@pytest.mark.parametrize(("trigger", "more"), TRIGGERS.items())
def test_the_brief_answer_is_the_explained_one(trigger: Trigger, more: dict[str, Any]) -> None:
    """So the table keeps what asking briefly relies on: a row is met where it is not spoken of, and those that count come last."""
    rule, outcomes = replace(RULE, trigger=trigger, **more), set()
    for facts, friend, bond, history in product(EVENTS, PEOPLE, BONDS, HISTORIES):
        type_ = rule.trigger if rule.trigger in {"join", "leaderboard"} else "purchase"
        case = Case(rule, replace(facts, type=type_), friend, bond, history)
        explained = decide(case)
        outcomes.add(explained.reason)
        assert decide_briefly(case) == replace(explained, conditions=())
        for condition in questions_of(rule).conditions:
            assert condition.applies(case) or condition.met(case), condition.code
    assert len(outcomes) >= 3
    assert [condition.counting for condition in CONDITIONS] == sorted(condition.counting for condition in CONDITIONS)


def test_every_code_has_its_sentences() -> None:
    assert set(REASONS) >= CODES
    facts = {"minimum": {"amount_minor": 3000, "currency": "USD"}, "amount": {"amount_minor": 100, "currency": "USD"}}
    low = {"code": "below_minimum_purchase", "passed": False, "facts": facts}
    assert sentence(low) == "Below the minimum purchase: $1.00, the campaign asks for $30.00"
    assert sentence(low, audience="participant") == "Their order was below $30.00"
    assert sentence({"code": "of_a_later_release", "passed": True, "facts": {}}) == "of a later release"
