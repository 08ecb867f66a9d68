"""What Django's queries lack."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, Func, TextField
from django.db.models.functions import Cast
from django.db.models.sql.compiler import SQLCompiler

from referrals.lib.prepared import Slot


class Among(Func):
    """`column IN (these keys)` with all keys as one parameter: `filter(Among("event_id", keys))`.

    For thousands of them `__in` spends longer on its place-holders than the database on the rows.
    """

    output_field = BooleanField()

    def __init__(self, column: str, keys: Collection[int] | Collection[str] | Slot) -> None:
        super().__init__(column)
        self.keys = keys if isinstance(keys, Slot) else list(keys)

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_extra: Any) -> tuple[str, list[Any]]:  # type: ignore[override]  # no templates here
        """SQL and its parameters."""
        column, params = compiler.compile(self.source_expressions[0])
        if connection.vendor == "postgresql":
            return f"{column} = ANY(%s)", [*params, self.keys]
        keys = self.keys if isinstance(self.keys, Slot) else json.dumps(self.keys)
        return f"{column} IN (SELECT value FROM json_each(%s))", [*params, keys]  # noqa: S608 - a column


def as_text(column: str) -> Cast:
    """A moment as the database writes it, for read_moment(): a tenth of what Django's own way takes."""
    return Cast(column, TextField())


def read_moment(text: str) -> datetime:
    """What as_text() gave, with its zone; SQLite keeps UTC and does not say so."""
    at = datetime.fromisoformat(text)
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
