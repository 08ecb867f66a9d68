"""Indexes for a search by the beginning of a name. PostgreSQL answers `istartswith` by one over the capitals; SQLite by none."""

from __future__ import annotations

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

NAMES = ("first_name", "last_name")


def _create(apps: object, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor != "postgresql":
        return
    for name in NAMES:
        schema_editor.execute(
            f"CREATE INDEX participant_{name} ON participants_participant"
            f" (merchant_id, is_test, UPPER({name}::text) text_pattern_ops)"
        )


def _drop(apps: object, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor != "postgresql":
        return
    for name in NAMES:
        schema_editor.execute(f"DROP INDEX participant_{name}")


class Migration(migrations.Migration):
    dependencies = [("participants", "0011_forget_waiting")]
    operations = [migrations.RunPython(_create, _drop)]
