"""Every table is thought of: what it holds about a person, what an export gives, and what becomes of it."""

from __future__ import annotations

import pytest
from django.db.models import CharField, GenericIPAddressField, JSONField, TextField

from participants.models import Participant
from participants.privacy import HELD, NOTHING, Held
from rewards.wiping import _ours

PERSONAL = {
    "email",
    "email_key",
    "identity_key",
    "first_name",
    "last_name",
    "agent",
    "network",
    "visitor",
    "hint",
    "sealed",
}


def test_every_table_is_in_the_list_once() -> None:
    ours = {model._meta.label for model in _ours()}
    held = {row.label for row in HELD}
    assert sorted(ours - held - set(NOTHING)) == [], "Say in participants/privacy.py what is held about people."
    assert sorted((held | set(NOTHING)) - ours) == []
    assert sorted(held & set(NOTHING)) == []


@pytest.mark.parametrize("label", sorted(NOTHING))
def test_what_holds_nothing_has_no_way_to_a_participant(label: str) -> None:
    model = next(model for model in _ours() if model._meta.label == label)
    ways = {
        field.name for field in model._meta.concrete_fields if field.is_relation and field.related_model is Participant
    }
    assert ways == set()
    assert NOTHING[label].endswith(".")


@pytest.mark.parametrize("held", HELD, ids=lambda held: f"{held.label}-{held.name}")
def test_the_fields_exist_and_each_fate_is_whole(held: Held) -> None:
    names = {field.name: field for field in held.model._meta.concrete_fields}
    for name in [*held.fields, *held.empty]:
        assert name.split("__")[0] in names
    assert (held.fate == "emptied") == bool(held.empty)
    assert bool(held.name) == bool(held.fields)
    assert held.name or held.why
    assert held.fate != "kept" or held.why
    texts = (CharField, TextField, GenericIPAddressField, JSONField)
    personal = {name for name, field in names.items() if name in PERSONAL and isinstance(field, texts)}
    if held.fate == "kept":
        assert personal == set()


def test_the_names_of_the_export_are_different() -> None:
    names = [held.name for held in HELD if held.name]
    assert len(set(names)) == len(names)
