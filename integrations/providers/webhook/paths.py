"""Where a value stands in a message: `customer.email`, `items.0.price`, `fields["1.3"]`, `answers[type=email].email`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeAlias

# A key or index, or (key, value): the first object of a list in which the key has the value.
Step: TypeAlias = "str | tuple[str, str]"
MAX_STEPS = 12
_PIECE = re.compile(
    r"""(?P<name>[^.\[\]"=]+) | \[\s*"(?P<quoted>[^"]+)"\s*\] | \[(?P<key>[^\[\]"=]+)=(?P<value>[^\[\]"]+)\] | \[(?P<index>\d+)\]""",
    re.VERBOSE,
)


@lru_cache(maxsize=1000)
def steps_of(path: str) -> tuple[Step, ...]:
    """The steps of a path; raises ValueError for a text that is none."""
    steps: list[Step] = []
    at, wants_name = 0, True
    while at < len(path):
        if path[at] == "." and not wants_name:
            at, wants_name = at + 1, True
            continue
        piece = _PIECE.match(path, at)
        if piece is None or (piece["name"] and not wants_name) or (not piece["name"] and wants_name and steps):
            raise ValueError(path)
        if piece["key"]:
            steps.append((piece["key"].strip(), piece["value"].strip()))
        else:
            steps.append((piece["name"] or piece["quoted"] or piece["index"]).strip())
        at, wants_name = piece.end(), False
    if wants_name or len(steps) > MAX_STEPS:
        raise ValueError(path)
    return tuple(steps)


def look(payload: Any, path: str) -> Any:
    """What stands there; None where nothing does, or null."""
    found = payload
    for step in steps_of(path):
        found = _step(found, step)
        if found is None:
            return None
    return found


def _step(found: Any, step: Step) -> Any:
    if isinstance(step, tuple):
        key, value = step
        things = found if isinstance(found, list) else []
        return next((one for one in things if isinstance(one, Mapping) and _same(one.get(key), value)), None)
    if isinstance(found, Mapping):
        return found.get(step)
    if isinstance(found, list) and step.isascii() and step.isdigit() and len(step) < 6:
        return found[int(step)] if int(step) < len(found) else None
    return None


def _same(found: Any, wanted: str) -> bool:
    return str(found) == wanted if isinstance(found, (str, int)) and not isinstance(found, bool) else False
