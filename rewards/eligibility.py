"""Deciding, as a pure function: (rule, event, history) in, Decision out, with every condition checked and its facts.

No database, no clock, no network. The conditions are one table; adding a condition is adding one entry (PRODUCT.md, "Decisions:
why, and why not"; seed 004 for what each means). The same codes appear in pages, API, webhooks and on the participant's page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache

from campaigns.conditions import Found
from campaigns.conditions import check as check_conditions
from campaigns.terms import RuleTerms, Units
from referrals.lib.money import Money
from rewards.facts import Case, Checked, Facts, Verdict, shared_between
from rewards.worth import amount_of, minor_fact, money_fact, number_of, time_fact, wanted, wanted_of

# Triggers that go on for as long as the friend pays.
RECURRING: frozenset[str] = frozenset({"every_event", "from_nth_event", "tier"})


Test = Callable[[Case], bool]


def _always(_subject: object) -> bool:
    return True


def _no_facts(_case: Case) -> Facts:
    return {}


@dataclass(frozen=True, slots=True)
class Condition:
    """A row of the table. `code` is the reason when it is not met; `counting` ones ask how often, the others whether at all.

    `asked` says of which rules it is asked, `applies` in which of their cases it is spoken of; where it is not, it is met. `facts` are
    built only where somebody will read them. `most` are the minor units that are left to give, for a limit.
    """

    code: str
    asked: Callable[[RuleTerms], bool]
    met: Test
    facts: Callable[[Case], Facts] = _no_facts
    applies: Test = _always
    counting: bool = False
    most: Callable[[Case], int] | None = None


def _by_a_friend(terms: RuleTerms) -> bool:
    return terms.trigger != "leaderboard"


def _bound(case: Case) -> bool:
    return case.bond is not None


def _paid(terms: RuleTerms) -> bool:
    return _by_a_friend(terms) and terms.event != "join"


def _referred(case: Case) -> bool:
    return case.bond is not None or case.friend.click_expired


def _since(case: Case) -> Facts:
    return {"since": time_fact(case.bond.since)} if case.bond else {}


def _not_oneself(case: Case) -> bool:
    return case.bond is None or case.bond.referrer.identity != case.friend.identity


def _not_denied(case: Case) -> bool:
    return case.bond is None or not case.bond.denied


def _campaign(code: str) -> Condition:
    return Condition(
        code,
        _by_a_friend,
        lambda case: case.event.closed_reason != code,
        lambda case: {"at": time_fact(case.event.occurred_at)},
    )


def _clicked_too_early(case: Case) -> bool:
    return case.bond is None and case.friend.click_expired


def _in_time(case: Case) -> bool:
    if case.bond is None:
        return not case.friend.click_expired
    days = case.terms.within_days
    return days is None or case.event.occurred_at - case.bond.since <= _days(days)


@lru_cache(maxsize=256)
def _days(number: int) -> timedelta:
    return timedelta(days=number)


def _times(case: Case) -> Facts:
    if _clicked_too_early(case):
        return {}
    facts: Facts = {"days": case.terms.within_days or 0}
    if case.bond is not None:
        facts |= {"since": time_fact(case.bond.since), "at": time_fact(case.event.occurred_at)}
    return facts


def _banned_at(case: Case) -> datetime | None:
    if case.bond is not None:
        return case.bond.referrer.banned_at
    return None if _by_a_friend(case.terms) else case.friend.banned_at


def _ban(case: Case) -> Facts:
    banned = _banned_at(case)
    return {"banned_at": time_fact(banned)} if banned else {}


def _refund(case: Case) -> Facts:
    back = case.event.refunded
    return {"refunded": money_fact(back)} if back is not None and back.minor else {}


def _stopped_at(case: Case) -> datetime | None:
    return case.event.stopped_at if case.terms.trigger in RECURRING else None


def _stop(case: Case) -> Facts:
    stopped = _stopped_at(case)
    return {"cancelled_at": time_fact(stopped)} if stopped else {}


def _dispute(case: Case) -> Facts:
    since = case.event.disputed_at
    return {"disputed_at": time_fact(since)} if since else {}


def _kept_minor(case: Case) -> int:
    kept = case.event.kept
    return kept.minor if kept else 0


def _above_minimum(case: Case) -> bool:
    minimum = case.terms.minimum_purchase
    return minimum is None or _kept_minor(case) >= minimum.minor


def _purchase(case: Case) -> Facts:
    minimum = case.terms.minimum_purchase
    assert minimum is not None  # noqa: S101 - `asked` has seen to it
    return {"minimum": money_fact(minimum), "amount": minor_fact(_kept_minor(case), minimum.currency)}


def _attributes(case: Case) -> tuple[bool, list[Found]]:
    assert case.terms.conditions is not None  # noqa: S101 - `asked` has seen to it
    known = dict(case.attributes or {})
    known["event"] = {**known.get("event", {}), "first": case.history.earlier == 0}
    return check_conditions(case.terms.conditions, known)


def _tests(case: Case) -> Facts:
    _passed, answers = _attributes(case)
    return {
        "tests": [found.as_json() | {"passed": found.passed} for found in answers],
        "failed": [found.as_json() for found in answers if not found.passed],
    }


def _count_reached(case: Case) -> bool:
    number, nth = case.history.counted + 1, case.terms.nth or 1
    return number == nth if case.terms.trigger == "nth_event" else number >= nth


def _before(case: Case) -> int:
    # A friend moves a milestone once, whether or not it was reached then.
    return case.history.counted if case.terms.trigger == "milestone" else case.history.rewarded


def _within_friend_limit(case: Case) -> bool:
    limit = friend_limit(case.terms)
    return limit is None or _before(case) < limit


def _tier(case: Case) -> Facts:
    number, tiers = number_of(case), case.terms.tiers
    facts: Facts = {"friends": number, "needed": tiers[0].first}
    if number > tiers[0].first:
        facts |= {"last": tiers[-1].last}
    return facts


def _milestone_reached(case: Case) -> bool:
    number, needed = number_of(case), case.terms.nth or 1
    return number % needed == 0 if case.terms.recurring else number == needed


def _milestone(case: Case) -> Facts:
    number, needed = number_of(case), case.terms.nth or 1
    return {"friends": number, "needed": -(-number // needed) * needed if case.terms.recurring else needed}


def _limit(
    code: str, limit_of: Callable[[RuleTerms], Money | None], used_of: Callable[[Case], int], period: str
) -> Condition:
    """A most that a referrer can get: met while anything is left, and what is left is the most that is given."""

    def most(case: Case) -> int:
        limit = limit_of(case.terms)
        assert limit is not None  # noqa: S101 - `asked` has seen to it
        return max(0, limit.minor - used_of(case))

    def facts(case: Case) -> Facts:
        limit = limit_of(case.terms)
        assert limit is not None  # noqa: S101 - `asked` has seen to it
        return _room(limit, used_of(case), wanted_of(case), period)

    return Condition(
        code,
        lambda terms: limit_of(terms) is not None,
        lambda case: most(case) > 0,
        facts,
        counting=True,
        most=most,
    )


def _room(limit: Money, used: int, wanted: Money, period: str) -> Facts:
    left = max(0, limit.minor - used)
    return {
        "limit": money_fact(limit),
        "used": minor_fact(used, limit.currency),
        "wanted": money_fact(wanted),
        "granted": minor_fact(min(left, wanted.minor), limit.currency),
        "period": period,
    }


def _tightest(case: Case) -> tuple[int, str, Money]:
    """Of the campaign's budgets the one with the least left: minor units left (below zero when overdrawn), period, limit."""
    rooms = [(money.minor - case.history.spent.get(period, 0), period, money) for period, money in _budgets(case.terms)]
    return min(rooms, key=lambda room: room[0])


def _budget_left(case: Case) -> int:
    return max(0, _tightest(case)[0])


def _budget(case: Case) -> Facts:
    left, period, money = _tightest(case)
    return _room(money, money.minor - left, wanted_of(case), period)


def _budgets(terms: RuleTerms) -> tuple[tuple[str, Money], ...]:
    return terms.limits.of_campaign


def _shares(case: Case) -> Facts:
    return shared_between(case.bond.shares) if case.bond else {}


def friend_limit(terms: RuleTerms) -> int | None:
    """How many events of one friend a rule rewards; None is any number."""
    if terms.trigger in {"join", "first_event", "nth_event", "milestone", "status"}:
        return 1
    return terms.max_purchases_per_friend


# In the order in which a merchant asks; the first that fails is the decision's reason.
CONDITIONS: tuple[Condition, ...] = (
    Condition("not_referred", _by_a_friend, _referred, _since, applies=lambda case: not _clicked_too_early(case)),
    Condition("self_referral", _always, _not_oneself, applies=_bound),
    Condition("referral_denied", _always, _not_denied, applies=_bound),
    Condition(
        "existing_customer", lambda terms: terms.new_customers_only, lambda case: not case.friend.existing_customer
    ),
    _campaign("campaign_not_started"),
    _campaign("campaign_paused"),
    _campaign("campaign_ended"),
    Condition(
        "attribution_expired",
        _always,
        _in_time,
        _times,
        applies=lambda case: case.terms.within_days is not None or _clicked_too_early(case),
    ),
    Condition(
        "referrer_banned",
        _always,
        lambda case: _banned_at(case) is None,
        _ban,
        applies=lambda case: _bound(case) or not _by_a_friend(case.terms),
    ),
    # Stands against nothing: it says between whom the reward is shared.
    Condition(
        "shared",
        lambda terms: terms.side == "referrer" and _by_a_friend(terms),
        _always,
        _shares,
        applies=lambda case: case.bond is not None and bool(case.bond.shares),
    ),
    Condition("refunded", _paid, lambda case: not case.event.is_refunded, _refund),
    Condition(
        "cancelled",
        _paid,
        lambda case: not case.event.cancelled and _stopped_at(case) is None,
        _stop,
    ),
    Condition(
        "given_by_code",
        lambda terms: terms.side == "invitee" and terms.trigger in {"join", "first_event"},
        lambda case: case.friend.given != case.terms.key,
        applies=lambda case: bool(case.friend.given),
    ),
    Condition("disputed", _paid, lambda case: case.event.disputed_at is None, _dispute),
    Condition("below_minimum_purchase", lambda terms: terms.minimum_purchase is not None, _above_minimum, _purchase),
    Condition(
        "condition_not_met", lambda terms: terms.conditions is not None, lambda case: _attributes(case)[0], _tests
    ),
    # It counts like any other, so that the next purchase is not the first once more.
    Condition(
        "settled_elsewhere",
        _by_a_friend,
        lambda case: not case.event.settled,
        applies=lambda case: case.event.settled,
        counting=True,
    ),
    Condition(
        "payment_count_not_reached",
        lambda terms: terms.trigger in {"nth_event", "from_nth_event"},
        _count_reached,
        lambda case: {"payment": case.history.counted + 1, "needed": case.terms.nth or 1},
        counting=True,
    ),
    Condition(
        "friend_purchase_limit",
        lambda terms: terms.trigger not in {"join", "status", "leaderboard"} and friend_limit(terms) is not None,
        _within_friend_limit,
        lambda case: {"limit": friend_limit(case.terms), "rewarded_before": _before(case)},
        counting=True,
    ),
    Condition(
        "tier_not_reached",
        lambda terms: bool(terms.tiers),
        lambda case: case.terms.tier_of(number_of(case)) is not None,
        _tier,
        counting=True,
    ),
    Condition(
        "milestone_not_reached",
        lambda terms: terms.trigger == "milestone",
        _milestone_reached,
        _milestone,
        counting=True,
    ),
    _limit("referrer_limit", lambda terms: terms.limits.per_referrer, lambda case: case.history.granted, "all"),
    _limit(
        "annual_limit",
        lambda terms: terms.limits.per_referrer_year,
        lambda case: case.history.granted_year,
        "year",
    ),
    Condition(
        "budget_spent",
        lambda terms: bool(_budgets(terms)),
        lambda case: _budget_left(case) > 0,
        _budget,
        counting=True,
        most=_budget_left,
    ),
)
LIMITS: frozenset[str] = frozenset(condition.code for condition in CONDITIONS if condition.most is not None)
CODES: frozenset[str] = frozenset(condition.code for condition in CONDITIONS)


@dataclass(frozen=True, slots=True)
class Questions:
    """The rows of the table that are asked of a rule, in their order; and for asking briefly, the tests and codes of those about the
    event itself, of those that count, and what is left of each limit."""

    conditions: tuple[Condition, ...]
    own: tuple[tuple[Test, str], ...]
    counting: tuple[tuple[Test, str], ...]
    limits: tuple[Callable[[Case], int], ...]


# By identity: to compare two rules by value would take longer than asking. The terms are kept, so that no other gets their id.
_QUESTIONS: dict[int, tuple[RuleTerms, Questions]] = {}


def questions_of(terms: RuleTerms) -> Questions:
    """What is asked of a rule. Published terms stay in memory (campaigns.rules), and so does the answer."""
    known = _QUESTIONS.get(id(terms))
    if known is None or known[0] is not terms:
        if len(_QUESTIONS) >= 4096:
            _QUESTIONS.clear()
        rows = tuple(condition for condition in CONDITIONS if condition.asked(terms))
        questions = Questions(
            rows,
            tuple((condition.met, condition.code) for condition in rows if not condition.counting),
            tuple((condition.met, condition.code) for condition in rows if condition.counting),
            tuple(condition.most for condition in rows if condition.most is not None),
        )
        known = _QUESTIONS[id(terms)] = (terms, questions)
    return known[1]


def decide(case: Case) -> Verdict:
    """Check every condition that applies to the case, and work out what to give when all pass."""
    questions = questions_of(case.terms)
    checked: list[Checked] = []
    failed, counted = "", True
    for condition in questions.conditions:
        if condition.applies is _always or condition.applies(case):
            passed = condition.met(case)
            checked.append(Checked(condition.code, passed, condition.facts(case)))
            if not passed:
                failed = failed or condition.code
                counted = counted and condition.counting
    if failed:
        return Verdict(False, failed, tuple(checked), None, None, counted)
    verdict = _give(case, questions, tuple(checked))
    if verdict.rewardable:
        return verdict
    currency = case.event.currency
    minimum = {"minimum": minor_fact(1, currency), "amount": minor_fact(0, currency)}
    found = Checked(verdict.reason, False, minimum)
    return replace(verdict, conditions=(*(item for item in checked if item.code != found.code), found))


def decide_briefly(case: Case) -> Verdict:
    """The same answer sooner, without its conditions (what-if asks a million times): the first that is not met settles it.

    In the table those that count come last, and a row is met where it is not spoken of.
    """
    questions = questions_of(case.terms)
    for met, code in questions.own:
        if not met(case):
            return Verdict(False, code, (), None)
    for met, code in questions.counting:
        if not met(case):
            return Verdict(False, code, (), None, None, True)
    return _give(case, questions, ())


def _give(case: Case, questions: Questions, checked: tuple[Checked, ...]) -> Verdict:
    """What there is to give when every condition is met. A share of nothing is nothing: there is no purchase to take it from."""
    offered = amount_of(case)
    if isinstance(offered, Units):
        return Verdict(True, "", checked, Money.zero(case.event.currency), offered, True)
    amount = wanted(offered, case)
    if amount.minor == 0:
        return Verdict(False, "below_minimum_purchase", checked, None)
    if questions.limits:
        amount = Money(min(amount.minor, *(most(case) for most in questions.limits)), amount.currency)
    return Verdict(True, "", checked, amount, None, True)
