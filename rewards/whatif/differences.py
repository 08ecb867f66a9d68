"""What differs between the rewards there are and those there would be: counted, added up, and the first ten of each kind kept."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

KINDS = ("created", "gone", "larger", "smaller")
EXAMPLES = 10


class Worth(NamedTuple):
    """What a reward gives: minor units, or units of something by its label."""

    minor: int
    units: int = 0
    label: str = ""


class Reason(NamedTuple):
    """Why the rules would give something else: the failing condition's code and facts; nothing when all are met."""

    code: str
    facts: dict[str, Any]


class Example(NamedTuple):
    """One difference: the time and key of its event, and what there is and would be."""

    at: datetime
    event: int
    before: Worth | None
    after: Worth | None
    reason: Reason


@dataclass(slots=True)
class Sum:
    """So many rewards, worth so much: minor units, and units by label."""

    rewards: int = 0
    minor: int = 0
    units: dict[str, int] = field(default_factory=dict)

    def add(self, worth: Worth, rewards: int = 1) -> None:
        """Count `rewards` that come to `worth` together."""
        self.rewards += rewards
        self.minor += worth.minor
        if worth.label:
            self.units[worth.label] = self.units.get(worth.label, 0) + worth.units


@dataclass(slots=True)
class Line:
    """One rule on one side: what there is, what there would be, and the differences. For larger and smaller ones the sum is by how much."""

    now: Sum = field(default_factory=Sum)
    then: Sum = field(default_factory=Sum)
    kinds: dict[str, Sum] = field(default_factory=lambda: {kind: Sum() for kind in KINDS})
    examples: dict[str, list[Example]] = field(default_factory=lambda: {kind: [] for kind in KINDS})


Given = tuple[str, Worth]  # side and worth


class Differences:
    """All lines of a replay, by (rule key, side)."""

    def __init__(self) -> None:
        self.lines: dict[tuple[str, str], Line] = {}

    def line(self, key: str, side: str) -> Line:
        """The line of a rule's side, made when it is first asked for."""
        found = self.lines.get((key, side))
        if found is None:
            found = self.lines[key, side] = Line()
        return found

    def compare(
        self, key: str, before: Given | None, after: Given | None, at: datetime, event: int, why: Callable[[], Reason]
    ) -> None:
        """Note what one event has and would have under a rule. `why` is only asked when it is kept as an example."""
        if before is not None and after is not None and before[0] != after[0]:
            self.compare(key, before, None, at, event, why)
            before = None
        given = after or before
        if given is None:
            return
        line = self.lines.get((key, given[0])) or self.line(key, given[0])
        was, will = before[1] if before else None, after[1] if after else None
        if was is not None:
            line.now.add(was)
        if will is not None:
            line.then.add(will)
        if was == will:
            return
        for kind, worth in _steps(was, will):
            line.kinds[kind].add(worth)
            kept = line.examples[kind]
            if len(kept) < EXAMPLES or (at <= kept[-1].at and (at, event) < (kept[-1].at, kept[-1].event)):
                insort(kept, Example(at, event, was, will, why()), key=lambda one: (one.at, one.event))
                del kept[EXAMPLES:]

    def dump(self) -> list[Any]:
        """As JSON, so that the next slice of work can go on."""
        return [[key, side, _line_json(line)] for (key, side), line in self.lines.items()]

    @classmethod
    def load(cls, data: list[Any]) -> Differences:
        """What dump() gave."""
        found = cls()
        for key, side, line in data:
            found.lines[key, side] = _line(line)
        return found


def _steps(was: Worth | None, will: Worth | None) -> list[tuple[str, Worth]]:
    if was is None or will is None or was.label != will.label:
        # Units instead of money, or other units: one reward goes and another comes.
        return [(kind, worth) for kind, worth in (("gone", was), ("created", will)) if worth is not None]
    more = (will.minor, will.units) > (was.minor, was.units)
    by = Worth(abs(will.minor - was.minor), abs(will.units - was.units), was.label)
    return [("larger" if more else "smaller", by)]


def _sum_json(one: Sum) -> list[Any]:
    return [one.rewards, one.minor, one.units]


def _line_json(line: Line) -> dict[str, Any]:
    return {
        "now": _sum_json(line.now),
        "then": _sum_json(line.then),
        "kinds": {kind: _sum_json(one) for kind, one in line.kinds.items()},
        "examples": {
            kind: [[one.at.isoformat(), one.event, one.before, one.after, one.reason] for one in kept]
            for kind, kept in line.examples.items()
        },
    }


def _line(data: dict[str, Any]) -> Line:
    return Line(
        Sum(*data["now"]),
        Sum(*data["then"]),
        {kind: Sum(*one) for kind, one in data["kinds"].items()},
        {kind: [_example(one) for one in kept] for kind, kept in data["examples"].items()},
    )


def _example(data: list[Any]) -> Example:
    at, event, before, after, reason = data
    return Example(
        datetime.fromisoformat(at),
        event,
        Worth(*before) if before else None,
        Worth(*after) if after else None,
        Reason(*reason),
    )
