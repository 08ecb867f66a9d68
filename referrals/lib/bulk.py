"""Many rows into one table at once: COPY on PostgreSQL, executemany on SQLite (PERFORMANCE.md, "import 100k CSV").

bulk_create() spends more on a model instance for each row than the databases on writing them. Here rows are tuples.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection, models
from django.db.models.fields import NOT_PROVIDED


def insert_rows(
    model: type[models.Model],
    names: Sequence[str],
    rows: Iterable[Sequence[Any]],
    same: Mapping[str, Any] | None = None,
) -> int:
    """Write `rows`, each with a value for each of `names` (fields, or `x_id` for keys), unless a unique one stands already.

    `same` has what is the same in all of them; what is in neither has the model's default. Returns how many were written. Runs in the
    caller's transaction. KeyError names a field that is nowhere and has no default that all rows may share.
    """
    constants = _constants(model, names, same or {})
    known = _columns(model)
    columns = [known[name] for name in (*names, *constants)]
    tail = tuple(_plain(value) for value in constants.values())
    full = [(*map(_plain, row), *tail) for row in rows]
    if not full:
        return 0
    table = connection.ops.quote_name(model._meta.db_table)
    listed = ", ".join(connection.ops.quote_name(column) for column in columns)
    with connection.cursor() as cursor:
        if connection.vendor != "postgresql":
            slots = ", ".join(["%s"] * len(columns))
            cursor.executemany(f"INSERT INTO {table} ({listed}) VALUES ({slots}) ON CONFLICT DO NOTHING", full)  # noqa: S608 - the model's names
            return int(cursor.rowcount)
        cursor.execute("DROP TABLE IF EXISTS pg_temp.incoming_rows")
        cursor.execute(
            f"CREATE TEMPORARY TABLE incoming_rows ON COMMIT DROP AS SELECT {listed} FROM {table} WITH NO DATA"  # noqa: S608 - the same
        )
        with cursor.copy(f"COPY incoming_rows ({listed}) FROM STDIN") as copy:
            for row in full:
                copy.write_row(row)
        cursor.execute(
            f"INSERT INTO {table} ({listed}) SELECT {listed} FROM incoming_rows ON CONFLICT DO NOTHING"  # noqa: S608 - the same
        )
        return int(cursor.rowcount)


def _columns(model: type[models.Model]) -> dict[str, str]:
    found = {}
    for field in model._meta.local_concrete_fields:
        found[field.name] = found[field.attname] = str(field.column)
    return found


def _constants(model: type[models.Model], names: Sequence[str], same: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(same)
    given = {*names, *same}
    for field in model._meta.local_concrete_fields:
        if field.primary_key or {field.name, field.attname} & given:
            continue
        if field.unique:
            raise KeyError(field.name)
        if field.default is not NOT_PROVIDED:
            found[field.name] = field.get_default()
        elif field.null:
            found[field.name] = None
        elif isinstance(field, models.CharField | models.TextField):
            found[field.name] = ""
        else:
            raise KeyError(field.name)
    return found


def _plain(value: Any) -> Any:
    """A value as both drivers take it."""
    if isinstance(value, dict | list):
        return json.dumps(value)
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    return value
