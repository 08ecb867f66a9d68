"""Deciding, as a pure function: (rule, event, history) in, Decision out, with every condition checked and its facts.

No database, no clock, no network. The conditions are one table; adding a condition is adding one entry (PRODUCT.md, "Decisions:
why, and why not"; seed 004 for what each means). The same codes appear in pages, API, webhooks and on the participant's page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from campaigns.conditions import check as check_conditions
from campaigns.terms import Amount, Fixed, Percent, RuleTerms, Units
from referrals.lib.money import Money
from rewards.facts import Case, Checked, Facts, Verdict

# Triggers that go on for as long as the friend pays.
RECURRING: frozenset[str] = frozenset({"every_event", "from_nth_event", "tier"})


@dataclass(frozen=True, slots=True)
class Condition:
    """A row of the table. `code` is the reason when `check` fails; `counting` ones ask how often, the others whether at all."""

    code: str
    applies: Callable[[Case], bool]
    check: Callable[[Case], tuple[bool, Facts]]
    counting: bool = False


def _always(case: Case) -> bool:
    return True


def _by_a_friend(case: Case) -> bool:
    return case.terms.trigger != "leaderboard"


def _bound(case: Case) -> bool:
    return case.bond is not None


def _paid(case: Case) -> bool:
    return case.event.type not in {"join", "leaderboard"}


def _referred(case: Case) -> tuple[bool, Facts]:
    return case.bond is not None, {"since": _time(case.bond.since)} if case.bond else {}


def _not_oneself(case: Case) -> tuple[bool, Facts]:
    return case.bond is None or case.bond.referrer.identity != case.friend.identity, {}


def _not_denied(case: Case) -> tuple[bool, Facts]:
    return case.bond is None or not case.bond.denied, {}


def _new_customer(case: Case) -> tuple[bool, Facts]:
    return not case.friend.existing_customer, {}


def _campaign(code: str) -> Callable[[Case], tuple[bool, Facts]]:
    def check(case: Case) -> tuple[bool, Facts]:
        return case.event.closed_reason != code, {"at": _time(case.event.occurred_at)}

    return check


def _in_time(case: Case) -> tuple[bool, Facts]:
    days, at = case.terms.within_days or 0, case.event.occurred_at
    if case.bond is None:
        return True, {"days": days}
    since = case.bond.since
    return at <= since + timedelta(days=days), {"days": days, "since": _time(since), "at": _time(at)}


def _referrer_in_good_standing(case: Case) -> tuple[bool, Facts]:
    person = case.bond.referrer if case.bond else case.friend
    banned = person.banned_at
    return banned is None, {"banned_at": _time(banned)} if banned else {}


def _not_refunded(case: Case) -> tuple[bool, Facts]:
    back = case.event.refunded
    return not case.event.is_refunded, {"refunded": _money(back)} if back is not None and back.minor else {}


def _not_cancelled(case: Case) -> tuple[bool, Facts]:
    stopped = case.event.stopped_at if case.terms.trigger in RECURRING else None
    return not case.event.cancelled and stopped is None, {"cancelled_at": _time(stopped)} if stopped else {}


def _not_disputed(case: Case) -> tuple[bool, Facts]:
    since = case.event.disputed_at
    return since is None, {"disputed_at": _time(since)} if since else {}


def _above_minimum(case: Case) -> tuple[bool, Facts]:
    minimum, kept = case.terms.minimum_purchase, case.event.kept
    assert minimum is not None  # noqa: S101 - `applies` has seen to it
    paid = kept.minor if kept else 0
    return paid >= minimum.minor, {"minimum": _money(minimum), "amount": _money(Money(paid, minimum.currency))}


def _attributes_hold(case: Case) -> tuple[bool, Facts]:
    assert case.terms.conditions is not None  # noqa: S101 - `applies` has seen to it
    known = dict(case.attributes or {})
    known["event"] = {**known.get("event", {}), "first": case.history.earlier == 0}
    passed, answers = check_conditions(case.terms.conditions, known)
    return passed, {
        "tests": [found.as_json() | {"passed": found.passed} for found in answers],
        "failed": [found.as_json() for found in answers if not found.passed],
    }


def _count_reached(case: Case) -> tuple[bool, Facts]:
    number, nth = case.history.counted + 1, case.terms.nth or 1
    reached = number == nth if case.terms.trigger == "nth_event" else number >= nth
    return reached, {"payment": number, "needed": nth}


def _within_friend_limit(case: Case) -> tuple[bool, Facts]:
    limit = friend_limit(case.terms)
    assert limit is not None  # noqa: S101 - `applies` has seen to it
    # A friend moves a milestone once, whether or not it was reached then.
    before = case.history.counted if case.terms.trigger == "milestone" else case.history.rewarded
    return before < limit, {"limit": limit, "rewarded_before": before}


def _tier_reached(case: Case) -> tuple[bool, Facts]:
    number, tiers = _number(case), case.terms.tiers
    facts: Facts = {"friends": number, "needed": tiers[0].first}
    if number > tiers[0].first:
        facts |= {"last": tiers[-1].last}
    return case.terms.tier_of(number) is not None, facts


def _milestone_reached(case: Case) -> tuple[bool, Facts]:
    number, needed = _number(case), case.terms.nth or 1
    if case.terms.recurring:
        return number % needed == 0, {"friends": number, "needed": -(-number // needed) * needed}
    return number == needed, {"friends": number, "needed": needed}


def _limit(
    code: str, limit_of: Callable[[Case], Money | None], used_of: Callable[[Case], int], period: str
) -> Condition:
    """A most that a referrer can get: passed while anything is left, and what is left is the most that is given."""

    def check(case: Case) -> tuple[bool, Facts]:
        limit = limit_of(case)
        assert limit is not None  # noqa: S101 - `applies` has seen to it
        return _room(limit, used_of(case), wanted_of(case), period)

    return Condition(code, lambda case: limit_of(case) is not None, check, counting=True)


def _room(limit: Money, used: int, wanted: Money, period: str) -> tuple[bool, Facts]:
    left = max(0, limit.minor - used)
    facts = {
        "limit": _money(limit),
        "used": _money(Money(used, limit.currency)),
        "wanted": _money(wanted),
        "granted": _money(Money(min(left, wanted.minor), limit.currency)),
        "period": period,
    }
    return left > 0, facts


def _within_budget(case: Case) -> tuple[bool, Facts]:
    """The tightest of the campaign's budgets."""
    rooms = [(money.minor - case.history.spent.get(period, 0), period, money) for period, money in _budgets(case)]
    left, period, money = min(rooms, key=lambda room: room[0])
    return _room(money, money.minor - left, wanted_of(case), period)


def _budgets(case: Case) -> tuple[tuple[str, Money], ...]:
    return case.terms.limits.of_campaign


def friend_limit(terms: RuleTerms) -> int | None:
    """How many events of one friend a rule rewards; None is any number."""
    if terms.trigger in {"join", "first_event", "nth_event", "milestone", "status"}:
        return 1
    return terms.max_purchases_per_friend


# In the order in which a merchant asks; the first that fails is the decision's reason.
CONDITIONS: tuple[Condition, ...] = (
    Condition("not_referred", _by_a_friend, _referred),
    Condition("self_referral", _bound, _not_oneself),
    Condition("denied_by_merchant", _bound, _not_denied),
    Condition("existing_customer", lambda case: case.terms.new_customers_only, _new_customer),
    Condition("campaign_not_started", _by_a_friend, _campaign("campaign_not_started")),
    Condition("campaign_paused", _by_a_friend, _campaign("campaign_paused")),
    Condition("campaign_ended", _by_a_friend, _campaign("campaign_ended")),
    Condition("attribution_expired", lambda case: case.terms.within_days is not None, _in_time),
    Condition("referrer_banned", lambda case: _bound(case) or not _by_a_friend(case), _referrer_in_good_standing),
    Condition("refunded", _paid, _not_refunded),
    Condition("cancelled", _paid, _not_cancelled),
    Condition("disputed", _paid, _not_disputed),
    Condition("below_minimum_purchase", lambda case: case.terms.minimum_purchase is not None, _above_minimum),
    Condition("condition_not_met", lambda case: case.terms.conditions is not None, _attributes_hold),
    Condition(
        "payment_count_not_reached",
        lambda case: case.terms.trigger in {"nth_event", "from_nth_event"},
        _count_reached,
        counting=True,
    ),
    Condition(
        "friend_purchase_limit",
        lambda case: (
            case.terms.trigger not in {"join", "status", "leaderboard"} and friend_limit(case.terms) is not None
        ),
        _within_friend_limit,
        counting=True,
    ),
    Condition("tier_not_reached", lambda case: bool(case.terms.tiers), _tier_reached, counting=True),
    Condition(
        "milestone_not_reached", lambda case: case.terms.trigger == "milestone", _milestone_reached, counting=True
    ),
    _limit("referrer_limit", lambda case: case.terms.limits.per_referrer, lambda case: case.history.granted, "all"),
    _limit(
        "annual_limit",
        lambda case: case.terms.limits.per_referrer_year,
        lambda case: case.history.granted_year,
        "year",
    ),
    Condition("budget_spent", lambda case: bool(_budgets(case)), _within_budget, counting=True),
)
COUNTING: frozenset[str] = frozenset(condition.code for condition in CONDITIONS if condition.counting)
LIMITS: frozenset[str] = frozenset({"referrer_limit", "annual_limit", "budget_spent"})
CODES: frozenset[str] = frozenset(condition.code for condition in CONDITIONS)


def decide(case: Case) -> Verdict:
    """Check every condition that applies to the case, and work out what to give when all pass."""
    checked = tuple(
        Checked(condition.code, *condition.check(case)) for condition in CONDITIONS if condition.applies(case)
    )
    failed = next((item.code for item in checked if not item.passed), "")
    counted = not failed or all(item.passed for item in checked if item.code not in COUNTING)
    if failed:
        return Verdict(False, failed, checked, None, counted=counted)
    units = _amount(case)
    if isinstance(units, Units):
        return Verdict(True, "", checked, Money.zero(case.event.currency), units, counted=True)
    amount = wanted_of(case)
    if amount.minor == 0:
        # A share of nothing: there is no purchase to take it from.
        nothing = Checked(
            "below_minimum_purchase", False, {"minimum": _money(Money(1, amount.currency)), "amount": _money(amount)}
        )
        return Verdict(False, nothing.code, (*(c for c in checked if c.code != nothing.code), nothing), None)
    given = [item.facts["granted"]["amount_minor"] for item in checked if item.code in LIMITS]
    return Verdict(True, "", checked, Money(min([amount.minor, *given]), amount.currency), counted=True)


def wanted_of(case: Case) -> Money:
    """What the rule would pay were there no limits: fixed, or a share of what the friend kept paying, at most the cap."""
    amount = _amount(case)
    if isinstance(amount, Fixed):
        return amount.money
    kept = case.event.kept
    if kept is None or not isinstance(amount, Percent):
        return Money.zero(case.event.currency)
    share = kept.percent(amount.rate)
    return share if amount.cap is None or share <= amount.cap else amount.cap


def _amount(case: Case) -> Amount:
    if not case.terms.tiers:
        return case.terms.amount
    tier = case.terms.tier_of(_number(case))
    return tier.amount if tier else case.terms.amount


def _number(case: Case) -> int:
    """How many friends the referrer has brought with this one; the rank, once a leaderboard is closed."""
    if case.event.rank is not None:
        return case.event.rank
    return case.history.friends + (case.history.counted == 0)


def _time(value: datetime) -> str:
    return value.isoformat(timespec="milliseconds")


def _money(value: Money) -> dict[str, Any]:
    return {"amount_minor": value.minor, "currency": value.currency}
