"""Conditions over attributes: twelve operators, groups, what is refused by name, and what each test found."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from campaigns.conditions import (
    OPERATORS,
    ConditionsError,
    check,
    conditions_from_json,
    conditions_to_json,
    fields_used,
)

FACTS: dict[str, dict[str, Any]] = {
    "event": {"plan": "Pro", "amount": Decimal("49.90"), "quantity": 3, "country": None, "first": True},
    "invitee": {"email_domain": "example.com", "metadata.team": "north"},
}


def one(field: str, op: str, value: object, of: str = "event") -> dict[str, Any]:
    return {"all": [{"of": of, "field": field, "op": op, "value": value}]}


@pytest.mark.parametrize(
    ("data", "holds"),
    [
        (one("plan", "is", "pro"), True),
        (one("plan", "is", "team"), False),
        (one("quantity", "is", "3.0"), True),
        (one("first", "is", True), True),
        (one("plan", "is_not", "team"), True),
        (one("country", "is_not", "NO"), True),
        (one("plan", "one_of", ["team", "PRO"]), True),
        (one("plan", "none_of", ["team", "PRO"]), False),
        (one("email_domain", "contains", "ampl", "invitee"), True),
        (one("email_domain", "does_not_contain", "ampl", "invitee"), False),
        (one("email_domain", "starts_with", "exa", "invitee"), True),
        (one("email_domain", "ends_with", ".org", "invitee"), False),
        (one("amount", "more_than", "49.9"), False),
        (one("amount", "at_least", "49.90"), True),
        (one("amount", "less_than", 50), True),
        (one("amount", "at_most", "49.89"), False),
        (one("country", "at_most", "1"), False),
        (one("plan", "less_than", "1"), False),
        (one("metadata.team", "is", "north", "invitee"), True),
        (one("metadata.size", "is", "xl"), False),
        (one("country", "is", "NO", "referrer"), False),
    ],
)
def test_an_operator_holds_or_not(data: dict[str, Any], holds: bool) -> None:
    group = conditions_from_json(data)
    assert group is not None
    assert check(group, FACTS)[0] is holds


def test_there_are_twelve_operators() -> None:
    assert len(OPERATORS) == 12


def test_groups_stand_in_groups_and_every_test_is_answered() -> None:
    data = {
        "any": [
            {"of": "event", "field": "plan", "op": "is", "value": "team"},
            {
                "all": [
                    {"of": "event", "field": "quantity", "op": "at_least", "value": "2"},
                    {"of": "invitee", "field": "email_domain", "op": "one_of", "value": ["example.com"]},
                ]
            },
        ]
    }
    group = conditions_from_json(data)
    assert group is not None
    assert conditions_to_json(group) == data
    passed, answers = check(group, FACTS)
    assert passed is True
    assert [(answer.test.field, answer.found, answer.passed) for answer in answers] == [
        ("plan", "Pro", False),
        ("quantity", "3", True),
        ("email_domain", "example.com", True),
    ]
    assert fields_used(group) == {"event", "invitee"}


def deep(levels: int) -> dict[str, Any]:
    inner: dict[str, Any] = one("plan", "is", "pro")
    for _ in range(levels - 1):
        inner = {"all": [inner]}
    return inner


@pytest.mark.parametrize(
    ("data", "field", "code"),
    [
        ([], "conditions", "invalid_type"),
        ({"all": [], "any": []}, "conditions", "invalid_type"),
        ({"none": []}, "conditions", "invalid_type"),
        ({"any": []}, "conditions.any", "required"),
        ({"all": ["x"]}, "conditions.all[0]", "invalid_type"),
        (one("plan", "is", "x", "robot"), "conditions.all[0].of", "invalid_choice"),
        (one("colour", "is", "x"), "conditions.all[0].field", "invalid_choice"),
        (one("metadata.", "is", "x"), "conditions.all[0].field", "invalid_choice"),
        (one("metadata.x", "is", "x", "campaign"), "conditions.all[0].field", "invalid_choice"),
        (one("plan", "equals", "x"), "conditions.all[0].op", "invalid_choice"),
        (one("plan", "one_of", "x"), "conditions.all[0].value", "invalid_type"),
        (one("plan", "one_of", []), "conditions.all[0].value", "invalid_type"),
        (one("plan", "one_of", ["a", 1.5]), "conditions.all[0].value[1]", "invalid_type"),
        (one("plan", "is", ""), "conditions.all[0].value", "invalid_type"),
        (one("amount", "at_least", "much"), "conditions.all[0].value", "invalid_type"),
        (one("amount", "at_least", "nan"), "conditions.all[0].value", "invalid_type"),
        ({"all": [{"of": "event", "field": "plan", "op": "is", "value": "x", "or": 1}]}, "conditions.all[0].or", "unknown_field"),
        (deep(5), "conditions.all[0].all[0].all[0].all[0]", "too_deep"),
        ({"all": one("plan", "is", "x")["all"] * 41}, "conditions.all[40]", "too_many"),
    ],
)  # fmt: skip
def test_what_can_not_be_kept_is_named(data: object, field: str, code: str) -> None:
    with pytest.raises(ConditionsError) as refused:
        conditions_from_json(data)
    assert (refused.value.field, refused.value.code) == (field, code)


def test_four_levels_are_not_too_deep() -> None:
    group = conditions_from_json(deep(4))
    assert group is not None
    assert check(group, FACTS)[0] is True
