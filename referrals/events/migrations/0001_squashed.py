"""The append-only history, as it stood before the first release."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

import referrals.events.models
import referrals.lib.clock

# History can't be edited (RELIABILITY INV-07). The exception is a test side that is deleted as a whole (ADR 8): the
# setting lasts for one transaction and names one merchant; rewards.wiping alone sets it.
FUNCTION = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.is_test AND OLD.merchant_id::text = current_setting('passalong.wipes_test_side_of', true) THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP;
END $$
"""


def refuse_change(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """On PostgreSQL a trigger refuses UPDATE and DELETE."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(FUNCTION, params=None)  # as it stands: its % signs are RAISE's
        schema_editor.execute(
            "CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE ON events_event"
            " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )


def allow_change(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP TRIGGER events_append_only ON events_event")
        schema_editor.execute("DROP FUNCTION refuse_change()")


class Migration(migrations.Migration):
    initial = True
    # A database that has all of these is where this migration leads.
    replaces = [
        ("events", "0001_initial"),
        ("events", "0002_append_only"),
        ("events", "0003_wiping_test_data"),
    ]

    dependencies = [
        ("accounts", "0001_squashed"),
    ]

    operations = [
        migrations.CreateModel(
            name="Event",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("is_test", models.BooleanField(default=False)),
                (
                    "public_id",
                    models.CharField(
                        default=referrals.events.models._event_id, editable=False, max_length=32, unique=True
                    ),
                ),
                ("type", models.CharField(max_length=48)),
                ("subject_type", models.CharField(max_length=24)),
                ("subject_id", models.CharField(max_length=32)),
                ("campaign_ref", models.CharField(blank=True, max_length=32)),
                ("participant_ref", models.CharField(blank=True, max_length=32)),
                ("referrer_ref", models.CharField(blank=True, max_length=32)),
                ("actor_kind", models.CharField(max_length=16)),
                ("actor_ref", models.CharField(blank=True, max_length=64)),
                ("actor_label", models.CharField(blank=True, max_length=254)),
                ("data", models.JSONField(default=dict)),
                ("request_id", models.CharField(blank=True, max_length=64)),
                ("created_at", models.DateTimeField(default=referrals.lib.clock.now)),
                (
                    "merchant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.merchant"
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["merchant", "is_test", "-id"], name="event_log"),
                    models.Index(
                        condition=models.Q(("participant_ref", ""), _negated=True),
                        fields=["participant_ref", "-id"],
                        name="event_participant",
                    ),
                    models.Index(
                        condition=models.Q(("referrer_ref", ""), _negated=True),
                        fields=["referrer_ref", "-id"],
                        name="event_referrer",
                    ),
                    models.Index(fields=["subject_id", "-id"], name="event_subject"),
                ],
            },
        ),
        migrations.RunPython(refuse_change, allow_change),
    ]
