"""The ledger can't be edited: on PostgreSQL a trigger refuses UPDATE and DELETE (ARCHITECTURE.md, "The ledger")."""

from __future__ import annotations

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps


def forwards(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            "CREATE TRIGGER ledger_append_only BEFORE UPDATE OR DELETE ON rewards_ledgerentry"
            " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )


def backwards(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP TRIGGER ledger_append_only ON rewards_ledgerentry")


class Migration(migrations.Migration):
    dependencies = [("rewards", "0001_initial"), ("events", "0002_append_only")]
    operations = [migrations.RunPython(forwards, backwards)]
