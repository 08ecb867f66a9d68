"""Queries whose SQL is made once and not for each call: Django spends more on the text than the database on the rows.

    _friend = Prepared(lambda: Participant.objects.select_for_update().filter(pk=Slot("pk")))
    (friend,) = _friend(pk=7)

For the few queries that every join and every purchase asks. The rows are the same model instances as ever; what a call
gives are integers, texts, and lists of integers for Among(). The text is kept by kind of database.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Expression, Field, IntegerField, Model, QuerySet
from django.db.models.query import ModelIterable
from django.db.models.sql.compiler import SQLCompiler
from django.db.transaction import TransactionManagementError

M = TypeVar("M", bound=Model)


class Slot(Expression):
    """Where a value of each call stands in a prepared query, by name."""

    def __init__(self, name: str, field: Field[Any, Any] | None = None) -> None:
        super().__init__(output_field=field or IntegerField())
        self.name = name

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_extra: Any) -> tuple[str, list[Any]]:  # type: ignore[override]  # a slot is no value yet
        """A place-holder, and this slot in the place of the value."""
        return "%s", [self]


@dataclass(frozen=True, slots=True)
class _Text:
    compiler: SQLCompiler
    sql: str
    params: tuple[Any, ...]
    locks: bool


class _Asked:
    """What Django's own reader of rows wants of a query set, with the text that is there already."""

    db = DEFAULT_DB_ALIAS
    _known_related_objects: dict[Any, Any] = {}

    def __init__(self, compiler: SQLCompiler) -> None:
        self.query = self
        self.compiler = compiler

    def get_compiler(self, using: str) -> SQLCompiler:
        return self.compiler


class Prepared(Generic[M]):
    """A query set with Slots, made when it is first asked. A call gives the rows of it, in its order."""

    def __init__(self, rows: Callable[[], QuerySet[M]]) -> None:
        self.rows = rows
        self._texts: dict[str, _Text] = {}

    def __call__(self, **values: Any) -> list[M]:
        """The rows for these values. KeyError for one that is missing; locking ones want a transaction, as always."""
        connection = connections[DEFAULT_DB_ALIAS]
        text = self._texts.get(connection.vendor) or self._make(connection.vendor)
        if text.locks and not connection.in_atomic_block:
            raise TransactionManagementError("This query locks rows: it has to run in a transaction.")
        params = tuple(
            _given(values[param.name], connection) if isinstance(param, Slot) else param for param in text.params
        )
        compiler: Any = copy(text.compiler)  # each call has its own: other threads ask at the same time
        compiler.connection = connection
        compiler.as_sql = lambda *_args, **_options: (text.sql, params)
        reader: Any = ModelIterable
        return list(reader(_Asked(compiler)))

    def _make(self, vendor: str) -> _Text:
        query = self.rows().query
        compiler = query.get_compiler(using=DEFAULT_DB_ALIAS)
        sql, params = compiler.as_sql()
        text = self._texts[vendor] = _Text(compiler, sql, tuple(params), query.select_for_update)
        return text


def _given(value: Any, connection: BaseDatabaseWrapper) -> Any:
    """A value as the driver takes it; lists are Among()'s."""
    return json.dumps(value) if isinstance(value, list) and connection.vendor != "postgresql" else value
