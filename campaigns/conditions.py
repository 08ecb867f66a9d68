"""Conditions over attributes: of the event, the friend, the referrer and the campaign, joined by all or any (PRODUCT.md, "What the
best of the field adds"). Pure values: parsed from the API and the editor, checked against facts, explained leaf by leaf."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, cast, get_args

Entity = Literal["event", "invitee", "referrer", "campaign"]
Mode = Literal["all", "any"]
MAX_DEPTH, MAX_LEAVES, MAX_VALUES = 4, 40, 200
# What each entity knows by a fixed name; `metadata.<key>` is whatever the merchant sent.
FIELDS: dict[str, tuple[str, ...]] = {
    "event": ("type", "amount", "currency", "source", "country", "product", "plan", "quantity", "first"),
    "invitee": ("email", "email_domain", "country", "language", "source", "existing_customer"),
    "referrer": ("email", "email_domain", "country", "language", "source", "existing_customer"),
    "campaign": ("id", "name", "type", "currency"),
}
# Facts by entity and field; a field that is not there is None.
Attributes = Mapping[str, Mapping[str, Any]]


class ConditionsError(ValueError):
    """Conditions that can't be kept; `field` is the place within them ("all[1].op")."""

    def __init__(self, field: str, code: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison: an entity's field with a value (a list of texts for one_of and none_of)."""

    of: Entity
    field: str
    op: str
    value: str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Tests and groups of which all, or any one, must hold."""

    mode: Mode
    items: tuple[Comparison | Group, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """One test's answer, with the value that was found (None: the fact is not known)."""

    test: Comparison
    found: str | None
    passed: bool

    def as_json(self) -> dict[str, Any]:
        """As a decision keeps it."""
        return comparison_to_json(self.test) | {"found": self.found}


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _ordered(compare: Callable[[Decimal, Decimal], bool]) -> Callable[[str, str], bool]:
    """Numbers by size; text that is no number never holds."""

    def check(found: str, wanted: str) -> bool:
        left, right = _number(found), _number(wanted)
        return left is not None and right is not None and compare(left, right)

    return check


def _same(found: str, wanted: str) -> bool:
    left, right = _number(found), _number(wanted)
    return left == right if left is not None and right is not None else found.casefold() == wanted.casefold()


# The operators: what holds for the text found and the text wanted. A fact that is not known is "" here.
_SINGLE: dict[str, Callable[[str, Any], bool]] = {
    "is": _same,
    "is_not": lambda found, wanted: not _same(found, wanted),
    "contains": lambda found, wanted: wanted.casefold() in found.casefold(),
    "does_not_contain": lambda found, wanted: wanted.casefold() not in found.casefold(),
    "starts_with": lambda found, wanted: found.casefold().startswith(wanted.casefold()),
    "ends_with": lambda found, wanted: found.casefold().endswith(wanted.casefold()),
    "more_than": _ordered(lambda left, right: left > right),
    "at_least": _ordered(lambda left, right: left >= right),
    "less_than": _ordered(lambda left, right: left < right),
    "at_most": _ordered(lambda left, right: left <= right),
}
_LISTED: dict[str, Callable[[str, Any], bool]] = {
    "one_of": lambda found, wanted: any(_same(found, value) for value in wanted),
    "none_of": lambda found, wanted: not any(_same(found, value) for value in wanted),
}
OPERATORS: tuple[str, ...] = (*_SINGLE, *_LISTED)
NUMERIC: frozenset[str] = frozenset({"more_than", "at_least", "less_than", "at_most"})


def check(group: Group, attributes: Attributes) -> tuple[bool, list[Found]]:
    """Whether the group holds, and every test's answer in the order written (all are checked, PRODUCT.md "Decisions")."""
    answers: list[Found] = []
    return _check_group(group, attributes, answers), answers


def _check_group(group: Group, attributes: Attributes, answers: list[Found]) -> bool:
    results = [
        _check_group(item, attributes, answers) if isinstance(item, Group) else _check_test(item, attributes, answers)
        for item in group.items
    ]
    return all(results) if group.mode == "all" else any(results)


def _check_test(test: Comparison, attributes: Attributes, answers: list[Found]) -> bool:
    value = attributes.get(test.of, {}).get(test.field)
    found = None if value is None else _text(value)
    listed = isinstance(test.value, tuple)
    passed = (_LISTED if listed else _SINGLE)[test.op](found or "", test.value)
    answers.append(Found(test, found, passed))
    return passed


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value:f}"
    return str(value)[:200]


def conditions_from_json(data: object, *, at: str = "conditions") -> Group | None:
    """Read {"all": [..]} or {"any": [..]}, nested up to MAX_DEPTH; None for none. Raises ConditionsError naming the place."""
    if data is None:
        return None
    leaves = [0]
    return _group(data, at, 1, leaves)


def _group(data: object, at: str, depth: int, leaves: list[int]) -> Group:
    if not isinstance(data, dict) or len(data) != 1 or next(iter(data)) not in get_args(Mode):
        raise ConditionsError(at, "invalid_type", 'Conditions are {"all": [..]} or {"any": [..]}.')
    if depth > MAX_DEPTH:
        raise ConditionsError(at, "too_deep", f"Groups can stand {MAX_DEPTH} deep; this one is deeper.")
    ((mode, items),) = data.items()
    if not isinstance(items, list) or not items:
        raise ConditionsError(f"{at}.{mode}", "required", "A group has at least one condition.")
    read: list[Comparison | Group] = []
    for number, item in enumerate(items):
        place = f"{at}.{mode}[{number}]"
        if isinstance(item, dict) and not item.keys().isdisjoint(get_args(Mode)):
            read.append(_group(item, place, depth + 1, leaves))
        else:
            read.append(_test(item, place, leaves))
    return Group(cast(Mode, mode), tuple(read))


def _test(data: object, at: str, leaves: list[int]) -> Comparison:
    leaves[0] += 1
    if leaves[0] > MAX_LEAVES:
        raise ConditionsError(at, "too_many", f"A rule has at most {MAX_LEAVES} conditions.")
    if not isinstance(data, dict):
        raise ConditionsError(at, "invalid_type", 'A condition is {"of", "field", "op", "value"}.')
    for name in data:
        if name not in {"of", "field", "op", "value"}:
            raise ConditionsError(f"{at}.{name}", "unknown_field", f"A condition has no field {name!r}.")
    of, name, op = (data.get(part) for part in ("of", "field", "op"))
    if not isinstance(of, str) or of not in get_args(Entity):
        raise ConditionsError(f"{at}.of", "invalid_choice", f"{of!r} is not one of {', '.join(get_args(Entity))}.")
    known = FIELDS[of]
    if not isinstance(name, str) or not (name in known or _is_metadata(of, name)):
        choices = ", ".join(known) + ("" if of == "campaign" else ", metadata.<key>")
        raise ConditionsError(f"{at}.field", "invalid_choice", f"{name!r} is no field of {of}; it has {choices}.")
    if not isinstance(op, str) or op not in OPERATORS:
        raise ConditionsError(f"{at}.op", "invalid_choice", f"{op!r} is not one of {', '.join(OPERATORS)}.")
    return Comparison(cast(Entity, of), name, op, _value(data.get("value"), op, f"{at}.value"))


def _is_metadata(of: str, name: str) -> bool:
    return of != "campaign" and name.startswith("metadata.") and 9 < len(name) <= 80


def _value(value: object, op: str, at: str) -> str | tuple[str, ...]:
    if op in _LISTED:
        if not isinstance(value, list) or not 0 < len(value) <= MAX_VALUES:
            raise ConditionsError(at, "invalid_type", f"{op!r} takes a list of 1 to {MAX_VALUES} values.")
        return tuple(_scalar(item, f"{at}[{number}]") for number, item in enumerate(value))
    text = _scalar(value, at)
    if op in NUMERIC and _number(text) is None:
        raise ConditionsError(at, "invalid_type", f"{text!r} is not a number, which {op!r} needs.")
    return text


def _scalar(value: object, at: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str) and 0 < len(value) <= 200:
        return value
    raise ConditionsError(
        at, "invalid_type", f"{value!r} is not text of 1 to 200 characters, a whole number, true or false."
    )


def conditions_to_json(group: Group | None) -> dict[str, Any] | None:
    """The same conditions as the API writes them."""
    if group is None:
        return None
    return {
        group.mode: [
            conditions_to_json(item) if isinstance(item, Group) else comparison_to_json(item) for item in group.items
        ]
    }


def comparison_to_json(test: Comparison) -> dict[str, Any]:
    """One comparison as the API writes it."""
    value = list(test.value) if isinstance(test.value, tuple) else test.value
    return {"of": test.of, "field": test.field, "op": test.op, "value": value}


def fields_used(group: Group | None) -> frozenset[str]:
    """The entities that the conditions ask about, so that only their facts are loaded."""
    if group is None:
        return frozenset()
    found: set[str] = set()
    for item in group.items:
        found |= fields_used(item) if isinstance(item, Group) else {item.of}
    return frozenset(found)
