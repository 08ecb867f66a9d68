"""Secrets at rest: readable by their own row alone, with any key of the ring (RELIABILITY INV-24, INV-25)."""

from __future__ import annotations

import pytest
from pytest_django.fixtures import Settings

from referrals.lib.sealed import SealError, needs_resealing, seal, unseal

OLD = "old:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
NEW = "new:ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="


def test_a_secret_can_not_be_moved_to_another_row() -> None:
    sealed = seal({"api_key": "sk_test_1"}, bound_to="connection:a")
    assert "sk_test_1" not in sealed
    assert unseal(sealed, bound_to="connection:a") == {"api_key": "sk_test_1"}
    with pytest.raises(SealError):
        unseal(sealed, bound_to="connection:b")


def test_one_changed_character_is_noticed() -> None:
    sealed = seal({"a": "b"}, bound_to="x")
    assert unseal(sealed, bound_to="x") == {"a": "b"}
    for place, before in enumerate(sealed):
        for after in {"A", "B", "E", "!", "="} - {before}:
            with pytest.raises(SealError):
                unseal(sealed[:place] + after + sealed[place + 1 :], bound_to="x")


def test_rows_are_readable_before_during_and_after_a_rotation(settings: Settings) -> None:
    settings.SECRETS_KEYS = [OLD]
    sealed = seal({"a": "b"}, bound_to="x")
    settings.SECRETS_KEYS = [NEW, OLD]
    assert (unseal(sealed, bound_to="x"), needs_resealing(sealed)) == ({"a": "b"}, True)
    resealed = seal(unseal(sealed, bound_to="x"), bound_to="x")
    settings.SECRETS_KEYS = [NEW]
    assert (unseal(resealed, bound_to="x"), needs_resealing(resealed)) == ({"a": "b"}, False)
    with pytest.raises(SealError):
        unseal(sealed, bound_to="x")
