"""A server has no transaction around a request, and most tests have one. So while the test's client asks, only what the code
under test has opened since counts: history and row locks that lean on the test's own fail here as they would for people."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import pytest
from django.db import connection
from django.db.models.sql.compiler import SQLCompiler
from django.test.client import ClientHandler

from referrals.lib import transactions

# How deep in transactions the test was when it asked; nobody asks at -1.
_asked_at: ContextVar[int] = ContextVar("asked_at", default=-1)
_answer, _as_sql = ClientHandler.__call__, SQLCompiler.as_sql


def _depth() -> int:
    """0 where no transaction is open."""
    return 1 + len(connection.savepoint_ids) if connection.in_atomic_block else 0


def _is_open() -> bool:
    return _depth() > max(_asked_at.get(), 0)


def _answered(self: ClientHandler, *args: Any, **kwargs: Any) -> Any:
    token = _asked_at.set(_depth())
    try:
        return _answer(self, *args, **kwargs)
    finally:
        _asked_at.reset(token)


def _locking(self: SQLCompiler, *args: Any, **kwargs: Any) -> Any:
    """Django's own check, on SQLite too and without counting the test's transaction."""
    if self.query.select_for_update and _asked_at.get() >= 0:
        transactions.demand("select_for_update cannot be used outside of a transaction.")
    return _as_sql(self, *args, **kwargs)


def make_requests_bring_their_own(patch: pytest.MonkeyPatch) -> None:
    """For every request of django's client, and of DRF's."""
    patch.setattr(transactions, "is_open", _is_open)
    patch.setattr(ClientHandler, "__call__", _answered)
    patch.setattr(SQLCompiler, "as_sql", _locking)
