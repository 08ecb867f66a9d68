"""Deciding a whole row of events under one rule, oldest first, each with the history that the ones before it make.

The answer depends on the facts alone, not on the order in which they reached us (RELIABILITY INV-13). Pure: no database.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol

from campaigns.conditions import Attributes
from campaigns.terms import RuleTerms
from rewards.eligibility import decide, decide_briefly
from rewards.facts import Bond, Case, EventFacts, History, PersonFacts, Verdict


class Doing(Protocol):
    """One event and whose it is: what is asked under each rule. `friend_id` tells one friend's events from another's."""

    @property
    def event(self) -> EventFacts: ...
    @property
    def friend(self) -> PersonFacts: ...
    @property
    def bond(self) -> Bond | None: ...
    @property
    def friend_id(self) -> int: ...
    @property
    def attributes(self) -> Attributes | None: ...


@dataclass(slots=True)
class Item:
    """One event, whose it is, and the terms that it is judged by."""

    terms: RuleTerms
    event: EventFacts
    friend: PersonFacts
    bond: Bond | None
    friend_id: int = 0
    attributes: Attributes | None = None


@dataclass(slots=True)
class OfFriend:
    """What one friend's events came to so far."""

    rewarded: int = 0
    counted: int = 0
    earlier: int = 0


@dataclass(slots=True)
class Standing:
    """What a referrer's friends came to so far under one rule: where the fold begins, and what it carries on.

    `friends` counts those with an event that counted; `granted` and `by_year` are minor units.
    """

    friends: int = 0
    granted: int = 0
    by_year: dict[int, int] = field(default_factory=dict)
    of_friend: dict[int, OfFriend] = field(default_factory=dict)

    def copy(self) -> Standing:
        """The same, to be carried on apart."""
        people = {pk: OfFriend(one.rewarded, one.counted, one.earlier) for pk, one in self.of_friend.items()}
        return Standing(self.friends, self.granted, dict(self.by_year), people)


@dataclass(slots=True)
class Budget:
    """What of a rule's campaign budget is used, by period ("all", "2026-11", "2026-W47", "2026-11-21").

    `standing` is what each event's own reward has of it now; rewards that a person declined (`declined`) use nothing.
    """

    used: dict[str, int]
    standing: Mapping[int, int] = field(default_factory=dict)
    declined: frozenset[int] = frozenset()

    def copy(self) -> Budget:
        """The same, to be carried on apart."""
        return Budget(dict(self.used), self.standing, self.declined)

    def spent(self, event: EventFacts) -> dict[str, int]:
        """Minor units used in the event's periods by all others."""
        own = self.standing.get(event.id, 0)
        names = period_names(event.day)
        return {period: self.used.get(name, 0) - own for period, name in names.items()}

    def take(self, event: EventFacts, minor: int) -> None:
        """Count what the event is given in place of what it had."""
        if event.id in self.declined:
            return
        change = minor - self.standing.get(event.id, 0)
        for name in period_names(event.day).values():
            self.used[name] = self.used.get(name, 0) + change


def period_names(day: date | None) -> dict[str, str]:
    """The names under which a day's use of a budget is kept: ever, its month, its week (ISO, Monday first), the day."""
    if day is None:
        return {"all": "all"}
    year, week, _weekday = day.isocalendar()
    return {"all": "all", "month": f"{day:%Y-%m}", "week": f"{year}-W{week:02d}", "day": day.isoformat()}


def decide_all(
    row: Iterable[Item], standing: Standing | None = None, budget: Budget | None = None
) -> dict[int, Verdict]:
    """Decide a row of events under one rule, by when they occurred; verdicts by event id.

    `standing` and `budget` say what was before the row, and are carried on in place.
    """
    state = standing or Standing()
    ordered = sorted(row, key=lambda item: (item.event.occurred_at, item.event.id))
    return {
        item.event.id: decide_next(item.terms, item, state, budget)[0]
        for item in ordered
        if item.terms.rewards(item.event.type)
    }


def decide_next(
    terms: RuleTerms, item: Doing, standing: Standing, budget: Budget | None = None, *, explain: bool = True
) -> tuple[Verdict, Case]:
    """Decide one event after those that `standing` has come from, and carry it and `budget` on in place; with what was asked.

    An event that fails a condition of its own is skipped in the counting, and resets nothing. Without `explain` the verdict comes
    sooner, without its conditions.
    """
    event = item.event
    one = standing.of_friend.get(item.friend_id)
    if one is None:
        one = standing.of_friend[item.friend_id] = OfFriend()
    year = event.day.year if event.day else 0
    limited = budget is not None and terms.limits.of_campaign
    spent = budget.spent(event) if budget is not None and limited else {}
    history = History(
        one.rewarded, one.counted, one.earlier, standing.friends, standing.granted, standing.by_year.get(year, 0), spent
    )
    case = Case(terms, event, item.friend, item.bond, history, item.attributes)
    verdict = decide(case) if explain else decide_briefly(case)
    one.earlier += 1
    if verdict.counted:
        standing.friends += one.counted == 0
        one.counted += 1
    if event.settled and verdict.counted:
        one.rewarded += 1  # by whoever settled it
    if verdict.amount is not None:
        minor = verdict.amount.minor
        one.rewarded += 1
        standing.granted += minor
        standing.by_year[year] = standing.by_year.get(year, 0) + minor
    if budget is not None and limited:
        budget.take(event, verdict.amount.minor if verdict.amount else 0)
    return verdict, case
