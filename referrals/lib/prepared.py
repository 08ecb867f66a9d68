"""Queries and inserts whose SQL is made once and not for each call: Django spends more on the text than the database on the rows.

    _friend = Prepared(lambda: Participant.objects.select_for_update().filter(pk=Slot("pk")))
    (friend,) = _friend(pk=7)

    _friends = PreparedRows(lambda: Referral.objects.filter(referrer=Slot("referrer")).values_list("invitee"))
    [(8,), (9,)] = _friends(referrer=7)

    insert([Decision(...), Decision(...)])

    _settle = PreparedUpdate(lambda: InboundEvent.objects.filter(pk=Slot("pk")), state=Slot("state", CharField()))
    _settle(pk=7, state="processed")
    _settle.returning("received_at", pk=7, state="processed")

For the few queries that every join and every purchase asks (ADR 13). The rows are the same model instances as ever; what
a call gives are integers, texts, moments, and lists of integers or texts for Among(). The text is kept by kind of database.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Expression, Field, IntegerField, Model, QuerySet
from django.db.models.expressions import Col
from django.db.models.query import RelatedPopulator, get_related_populators
from django.db.models.sql.compiler import SQLCompiler
from django.db.models.sql.subqueries import UpdateQuery

from referrals.lib import transactions

M = TypeVar("M", bound=Model)
# So many rows at once are for bulk_create(), which spends its time on them and not on the text.
FEW = 20


class Slot(Expression):
    """Where a value of each call stands in a prepared query, by name."""

    def __init__(self, name: str, field: Field[Any, Any] | None = None) -> None:
        super().__init__(output_field=field or IntegerField())
        self.name = name
        self.is_column = field is not None

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_extra: Any) -> tuple[str, list[Any]]:  # type: ignore[override]  # a slot is no value yet
        """A place-holder, and this slot in the place of the value."""
        return "%s", [self]


def slots(model: type[Model], *names: str) -> dict[str, Slot]:
    """A Slot for each of these columns of a model, called as it is: the values of a PreparedUpdate."""
    return {name: Slot(name, _field(model, name)) for name in names}


def _field(model: type[Model], name: str) -> Field[Any, Any]:
    found = model._meta.get_field(name)
    if not isinstance(found, Field):
        raise TypeError(f"{model.__name__}.{name} is no column")
    return found


@dataclass(frozen=True, slots=True)
class _Text:
    """What is kept of a query: its SQL, and how its rows are read."""

    sql: str
    params: tuple[Any, ...]
    locks: bool
    converters: tuple[tuple[int, tuple[list[Any], Any]], ...]
    compiler: SQLCompiler


class _Prepared:
    """A query set with Slots, made into text when it is first asked."""

    def __init__(self, rows: Callable[[], QuerySet[Any, Any]]) -> None:
        self.rows = rows
        self._texts: dict[str, _Text] = {}

    def _text(self, connection: BaseDatabaseWrapper) -> _Text:
        return self._texts.get(connection.vendor) or self._make(connection.vendor)

    def _make(self, vendor: str) -> _Text:
        query = self.rows().query
        compiler = query.get_compiler(using=DEFAULT_DB_ALIAS)
        sql, params = compiler.as_sql()
        shown: Any = compiler  # whose reading of rows is not in the stubs
        converters = shown.get_converters([column[0] for column in shown.select[: shown.col_count]])
        text = _Text(sql, tuple(params), query.select_for_update, tuple(converters.items()), compiler)
        self._texts[vendor] = text
        return text

    def _read(self, connection: BaseDatabaseWrapper, text: _Text, values: dict[str, Any]) -> list[Any]:
        """The rows as the database has them, converted as Django does."""
        if text.locks:
            transactions.demand("This query locks rows: it has to run in a transaction.")
        params = [_given(values[param.name], connection) if isinstance(param, Slot) else param for param in text.params]
        with connection.cursor() as cursor:
            cursor.execute(text.sql, params)
            found: list[Any] = cursor.fetchall()
        if not text.converters:
            return found
        rows = [list(row) for row in found]
        for row in rows:
            for position, (converters, expression) in text.converters:
                value = row[position]
                for convert in converters:
                    value = convert(value, expression, connection)
                row[position] = value
        return rows


class PreparedRows(_Prepared):
    """As Prepared, for a `values_list()`: a call gives a row for each, in the order of its columns."""

    def __call__(self, **values: Any) -> list[tuple[Any, ...]]:
        """The rows for these values. KeyError for one that is missing."""
        connection = connections[DEFAULT_DB_ALIAS]
        return [tuple(row) for row in self._read(connection, self._text(connection), values)]


class Prepared(_Prepared, Generic[M]):
    """A query set with Slots, made when it is first asked. A call gives the rows of it, in its order."""

    def __init__(self, rows: Callable[[], QuerySet[M]]) -> None:
        super().__init__(rows)
        self._readers: dict[str, _Reader[M]] = {}

    def __call__(self, **values: Any) -> list[M]:
        """The rows for these values. KeyError for one that is missing; locking ones want a transaction, as always."""
        connection = connections[DEFAULT_DB_ALIAS]
        text = self._text(connection)
        read = self._readers.get(connection.vendor)
        if read is None:
            read = self._readers[connection.vendor] = _Reader(text.compiler)
        return [read(row) for row in self._read(connection, text, values)]

    def first(self, **values: Any) -> M | None:
        """The first row, or None."""
        return next(iter(self(**values)), None)


class PreparedUpdate(Generic[M]):
    """An update() of a query set, with Slots in its conditions and its values; each Slot of a value names its field."""

    def __init__(self, rows: Callable[[], QuerySet[M]], **values: Any) -> None:
        self.rows = rows
        self.values = values
        self._texts: dict[str, tuple[str, tuple[Any, ...]]] = {}

    def __call__(self, **values: Any) -> int:
        """How many rows were changed. KeyError for a value that is missing."""
        connection = connections[DEFAULT_DB_ALIAS]
        with connection.cursor() as cursor:
            cursor.execute(*self._filled(values, connection))
            return int(cursor.rowcount)

    def returning(self, column: str, **values: Any) -> list[Any]:
        """As a call; what stands in this column now of each row that was changed."""
        connection = connections[DEFAULT_DB_ALIAS]
        model = self.rows().model
        field = _field(model, column)
        shown = Col(model._meta.db_table, field)
        reading = [*connection.ops.get_db_converters(shown), *shown.get_db_converters(connection)]
        sql, given = self._filled(values, connection)
        with connection.cursor() as cursor:
            cursor.execute(f"{sql} RETURNING {connection.ops.quote_name(str(field.column))}", given)
            found = [value for (value,) in cursor.fetchall()]
        for convert in reading:
            found = [convert(value, shown, connection) for value in found]
        return found

    def _filled(self, values: dict[str, Any], connection: BaseDatabaseWrapper) -> tuple[str, list[Any]]:
        sql, params = self._texts.get(connection.vendor) or self._make(connection.vendor)
        return sql, [_saved(param, values, connection) if isinstance(param, Slot) else param for param in params]

    def _make(self, vendor: str) -> tuple[str, tuple[Any, ...]]:
        query: Any = self.rows().query.chain(UpdateQuery)
        query.add_update_values(self.values)
        sql, params = query.get_compiler(using=DEFAULT_DB_ALIAS).as_sql()
        self._texts[vendor] = sql, tuple(params)
        return self._texts[vendor]


def _saved(slot: Slot, values: dict[str, Any], connection: BaseDatabaseWrapper) -> Any:
    """A value as its column writes it: JSON as JSON, a moment as the database has it. One without a column as a query has it."""
    value = values[slot.name]
    return slot.output_field.get_db_prep_save(value, connection) if slot.is_column else _given(value, connection)


class _Reader(Generic[M]):
    """Makes a model instance of a row, with all that was read along, by Django's own way of doing it."""

    def __init__(self, compiler: Any) -> None:
        klass, select = compiler.klass_info, compiler.select
        self.model: type[M] = klass["model"]
        self.start, self.end = klass["select_fields"][0], klass["select_fields"][-1] + 1
        self.names = [column[0].target.attname for column in select[self.start : self.end]]
        populators: Any = get_related_populators  # with another signature in the stubs than in this Django
        self.related: list[RelatedPopulator] = populators(klass, select, DEFAULT_DB_ALIAS)

    def __call__(self, row: Sequence[Any]) -> M:
        made = self.model.from_db(DEFAULT_DB_ALIAS, self.names, row[self.start : self.end])
        for related in self.related:
            related.populate(row, made)
        return made


def _given(value: Any, connection: BaseDatabaseWrapper) -> Any:
    """A value as the driver takes it; lists are Among()'s."""
    if isinstance(value, list) and connection.vendor != "postgresql":
        return json.dumps(value)
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    return value


@dataclass(frozen=True, slots=True)
class _Columns:
    fields: tuple[Any, ...]
    head: str
    row: str


_COLUMNS: dict[type[Model], _Columns] = {}
_UNLESS = " ON CONFLICT DO NOTHING"


def _columns(model: type[Model], connection: BaseDatabaseWrapper) -> _Columns:
    fields = tuple(field for field in model._meta.local_concrete_fields if not field.primary_key)
    name = connection.ops.quote_name
    columns = ", ".join(name(str(field.column)) for field in fields)
    head = f"INSERT INTO {name(model._meta.db_table)} ({columns}) VALUES "  # noqa: S608 - names of the model
    _COLUMNS[model] = _Columns(fields, head, f"({', '.join(['%s'] * len(fields))})")
    return _COLUMNS[model]


def insert(rows: Sequence[M], *, unless_taken: bool = False) -> Sequence[M]:
    """Write new rows in one statement, as bulk_create() does, and give them their keys. IntegrityError as ever.

    `unless_taken` is for a single row: where a unique one stands already nothing is written, nothing is raised, and
    nothing comes back. Without a savepoint, which catching the IntegrityError would need. ValueError for several.
    """
    if not rows:
        return rows
    if unless_taken and len(rows) > 1:
        raise ValueError("Which of several rows were taken, the database does not say: insert them one by one.")
    if len(rows) > FEW:
        return type(rows[0])._default_manager.bulk_create(rows)
    key: Any = rows[0]._meta.pk
    name = connections[DEFAULT_DB_ALIAS].ops.quote_name(key.column)
    keys = _written(rows, f"{_UNLESS if unless_taken else ''} RETURNING {name}")
    for row, (made,) in zip(rows, keys, strict=False):
        row.pk = made
        row._state.adding = False
        row._state.db = DEFAULT_DB_ALIAS
    return rows[: len(keys)]


def insert_missing(rows: Sequence[M]) -> None:
    """Write in one statement those of the rows that no unique one stands in the way of. They get no keys: nobody says which they were."""
    if len(rows) > FEW:
        type(rows[0])._default_manager.bulk_create(rows, ignore_conflicts=True)
    elif rows:
        _written(rows, _UNLESS)


def _written(rows: Sequence[M], tail: str) -> list[tuple[Any, ...]]:
    """Insert the rows; what the statement gives back, if anything."""
    connection = connections[DEFAULT_DB_ALIAS]
    model = type(rows[0])
    columns = _COLUMNS.get(model) or _columns(model, connection)
    params = []
    for row in rows:
        unsaved: Any = row  # the check for keys of rows that were not written is not in the stubs
        unsaved._prepare_related_fields_for_save(operation_name="bulk_create")
        params += [field.get_db_prep_save(field.pre_save(row, True), connection) for field in columns.fields]
    with connection.cursor() as cursor:
        cursor.execute(columns.head + ", ".join([columns.row] * len(rows)) + tail, params)
        return cursor.fetchall() if cursor.description else []
