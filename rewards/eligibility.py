"""Deciding, as a pure function: (rule, event, history) in, Decision out, with every condition checked and its facts.

No database, no clock, no network. The conditions are one table; adding a condition is adding one entry (PRODUCT.md, "Decisions:
why, and why not"; seed 004 for what each means). The same codes appear in pages, API, webhooks and on the participant's page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from campaigns.terms import Fixed, RuleTerms
from referrals.lib.money import Money

Facts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PersonFacts:
    """What matters of one of the two people. `identity` is the folded address (referrals.lib.emails)."""

    identity: str
    existing_customer: bool = False
    banned_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class EventFacts:
    """What matters of a qualifying event. `closed_reason` is what the campaign was at `occurred_at`, None while it ran."""

    id: int
    type: str
    occurred_at: datetime
    currency: str
    amount: Money | None = None
    refunded: Money | None = None
    cancelled: bool = False
    disputed_at: datetime | None = None
    closed_reason: str | None = None

    @property
    def kept(self) -> Money | None:
        """The amount after refunds, never below zero."""
        if self.amount is None or self.refunded is None:
            return self.amount
        return Money(max(0, self.amount.minor - self.refunded.minor), self.amount.currency)

    @property
    def is_taken_back(self) -> bool:
        """Whether nothing is left of it: refunded in full, or cancelled."""
        return self.cancelled or (
            self.refunded is not None and self.refunded.minor > 0 and self.kept is not None and self.kept.minor == 0
        )


@dataclass(frozen=True, slots=True)
class Bond:
    """The referral: who invited, and since when."""

    referrer: PersonFacts
    since: datetime


@dataclass(frozen=True, slots=True)
class History:
    """What the friend's earlier events came to under the same rule, oldest first: how many were rewarded, how many counted."""

    rewarded: int = 0
    counted: int = 0


@dataclass(frozen=True, slots=True)
class Case:
    """One question: this event, by this friend, under this rule."""

    terms: RuleTerms
    event: EventFacts
    friend: PersonFacts
    bond: Bond | None
    history: History


@dataclass(frozen=True, slots=True)
class Checked:
    """One condition's answer."""

    code: str
    passed: bool
    facts: Facts = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """As Decision.conditions keeps it (API.md, `Decision`)."""
        return {"code": self.code, "passed": self.passed, "facts": self.facts}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome: every condition, the first failing code, and the amount when there is something to pay."""

    rewardable: bool
    reason: str
    conditions: tuple[Checked, ...]
    amount: Money | None


@dataclass(frozen=True, slots=True)
class Condition:
    """A row of the table. `code` is the reason when `check` fails; `counting` ones ask how often, the others whether at all."""

    code: str
    applies: Callable[[Case], bool]
    check: Callable[[Case], tuple[bool, Facts]]
    counting: bool = False


def _always(case: Case) -> bool:
    return True


def _referred(case: Case) -> tuple[bool, Facts]:
    return case.bond is not None, {"since": _time(case.bond.since)} if case.bond else {}


def _not_oneself(case: Case) -> tuple[bool, Facts]:
    return case.bond is None or case.bond.referrer.identity != case.friend.identity, {}


def _new_customer(case: Case) -> tuple[bool, Facts]:
    return not case.friend.existing_customer, {}


def _campaign(code: str) -> Callable[[Case], tuple[bool, Facts]]:
    def check(case: Case) -> tuple[bool, Facts]:
        return case.event.closed_reason != code, {"at": _time(case.event.occurred_at)}

    return check


def _referrer_in_good_standing(case: Case) -> tuple[bool, Facts]:
    banned = case.bond.referrer.banned_at if case.bond else None
    return banned is None, {"banned_at": _time(banned)} if banned else {}


def _above_minimum(case: Case) -> tuple[bool, Facts]:
    minimum, kept = case.terms.minimum_purchase, case.event.kept
    assert minimum is not None  # noqa: S101 - `applies` has seen to it
    paid = kept.minor if kept else 0
    return paid >= minimum.minor, {"minimum": _money(minimum), "amount": _money(Money(paid, minimum.currency))}


def _within_friend_limit(case: Case) -> tuple[bool, Facts]:
    limit = friend_limit(case.terms)
    assert limit is not None  # noqa: S101 - `applies` has seen to it
    return case.history.rewarded < limit, {"limit": limit, "rewarded_before": case.history.rewarded}


def _count_reached(case: Case) -> tuple[bool, Facts]:
    number, nth = case.history.counted + 1, case.terms.nth or 1
    reached = number == nth if case.terms.trigger == "nth_event" else number >= nth
    return reached, {"payment": number, "needed": nth}


def _not_refunded(case: Case) -> tuple[bool, Facts]:
    back = case.event.refunded
    return not case.event.is_taken_back, {"refunded": _money(back)} if back is not None and back.minor else {}


def _not_disputed(case: Case) -> tuple[bool, Facts]:
    since = case.event.disputed_at
    return since is None, {"disputed_at": _time(since)} if since else {}


def friend_limit(terms: RuleTerms) -> int | None:
    """How many events of one friend a rule rewards; None is any number."""
    if terms.trigger in {"join", "first_event", "nth_event"}:
        return 1
    return terms.max_purchases_per_friend


# In the order in which a merchant asks; the first that fails is the decision's reason.
CONDITIONS: tuple[Condition, ...] = (
    Condition("not_referred", _always, _referred),
    Condition("self_referral", lambda case: case.bond is not None, _not_oneself),
    Condition("existing_customer", lambda case: case.terms.new_customers_only, _new_customer),
    Condition("campaign_not_started", _always, _campaign("campaign_not_started")),
    Condition("campaign_paused", _always, _campaign("campaign_paused")),
    Condition("campaign_ended", _always, _campaign("campaign_ended")),
    Condition("referrer_banned", lambda case: case.bond is not None, _referrer_in_good_standing),
    Condition("refunded", lambda case: case.event.type != "join", _not_refunded),
    Condition("disputed", lambda case: case.event.type != "join", _not_disputed),
    Condition("below_minimum_purchase", lambda case: case.terms.minimum_purchase is not None, _above_minimum),
    Condition("payment_count_not_reached", lambda case: case.terms.nth is not None, _count_reached, counting=True),
    Condition(
        "friend_purchase_limit",
        lambda case: case.terms.trigger != "join" and friend_limit(case.terms) is not None,
        _within_friend_limit,
        counting=True,
    ),
)
COUNTING: frozenset[str] = frozenset(condition.code for condition in CONDITIONS if condition.counting)
CODES: frozenset[str] = frozenset(condition.code for condition in CONDITIONS)


def decide(case: Case) -> Verdict:
    """Check every condition that applies to the case, and work out the amount when all pass."""
    checked = tuple(
        Checked(condition.code, *condition.check(case)) for condition in CONDITIONS if condition.applies(case)
    )
    failed = next((item.code for item in checked if not item.passed), "")
    amount = None if failed else amount_of(case)
    if amount is not None and amount.minor == 0:
        # A share of nothing: there is no purchase to take it from.
        nothing = Checked(
            "below_minimum_purchase", False, {"minimum": _money(Money(1, amount.currency)), "amount": _money(amount)}
        )
        return Verdict(False, nothing.code, (*(c for c in checked if c.code != nothing.code), nothing), None)
    return Verdict(not failed, failed, checked, amount)


def decide_all(
    row: Iterable[tuple[RuleTerms, EventFacts]], friend: PersonFacts, bond: Bond | None
) -> dict[int, Verdict]:
    """Decide a friend's whole row of events under one rule, keyed by event id; each event brings the terms it is judged by.

    The answer depends on the facts alone, not on the order in which they reached us: events are taken by when they occurred.
    An event that fails a condition of its own is skipped in the counting, and resets nothing.
    """
    verdicts: dict[int, Verdict] = {}
    rewarded = counted = 0
    for terms, event in sorted(row, key=lambda item: (item[1].occurred_at, item[1].id)):
        if event.type != terms.event:
            continue
        verdict = decide(Case(terms, event, friend, bond, History(rewarded, counted)))
        verdicts[event.id] = verdict
        counted += all(item.passed for item in verdict.conditions if item.code not in COUNTING)
        rewarded += verdict.rewardable
    return verdicts


def amount_of(case: Case) -> Money:
    """What the rule pays for the event: fixed, or a share of what the friend kept paying, at most the cap."""
    amount = case.terms.amount
    if isinstance(amount, Fixed):
        return amount.money
    kept = case.event.kept
    if kept is None:
        return Money.zero(case.event.currency)
    share = kept.percent(amount.rate)
    return share if amount.cap is None or share <= amount.cap else amount.cap


def _time(value: datetime) -> str:
    return value.isoformat(timespec="milliseconds")


def _money(value: Money) -> dict[str, Any]:
    return {"amount_minor": value.minor, "currency": value.currency}
