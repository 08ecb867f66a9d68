"""Append-only rows of a test side may go when all of it is deleted, and only then (ADR 8): the trigger asks for both, row by row."""

from __future__ import annotations

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

FUNCTION = """
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {exception}RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP;
END $$
"""
# The setting lasts for one transaction and names one merchant; rewards.wiping alone sets it.
EXCEPTION = """IF TG_OP = 'DELETE' THEN
        IF OLD.is_test AND OLD.merchant_id::text = current_setting('passalong.wipes_test_side_of', true) THEN
            RETURN OLD;
        END IF;
    END IF;
    """


def forwards(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            FUNCTION.format(exception=EXCEPTION), params=None
        )  # as it stands: its % signs are RAISE's


def backwards(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(FUNCTION.format(exception=""), params=None)


class Migration(migrations.Migration):
    dependencies = [("events", "0002_append_only")]
    operations = [migrations.RunPython(forwards, backwards)]
