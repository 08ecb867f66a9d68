"""Worlds that cost something, made once for the tests of a module and given to each of them as if new.

    @pytest.fixture(scope="module")
    def world(kept: None) -> World: ...          # makes rows

    due = taken("due")                           # a fixture: this test's own copy of it

A test that takes something has `alice` and `campaign` of that world too; one that takes nothing has its own, and sees
the world's rows only where it looks at everybody's. The rows live in a transaction around the module, each test in a
savepoint in it, so nothing that one test does is seen by another. Not for a module with tests that commit
(`transaction=True`): those have a file of their own.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from pytest_django import DjangoDbBlocker

from campaigns import rules


@pytest.fixture(scope="module")
def kept(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """A transaction around the module, undone after its last test."""
    with django_db_blocker.unblock():
        rules._rules.cache_clear()
        with transaction.atomic():
            yield
            transaction.set_rollback(True)


@pytest.fixture
def own(world: Any, db: None) -> Any:
    """This test's copy of the module's world: what is changed on its objects stays with the test."""
    return copy.deepcopy(world)


def taken(name: str) -> Any:
    """A fixture that is the attribute `name` of the world."""

    @pytest.fixture(name=name)
    def take(own: Any) -> Any:
        return getattr(own, name)

    return take


def found(request: pytest.FixtureRequest, name: str) -> Any:
    """The world's `name` for a test that takes anything of it; None where there is no such thing."""
    return getattr(request.getfixturevalue("own"), name, None) if "own" in request.fixturenames else None
