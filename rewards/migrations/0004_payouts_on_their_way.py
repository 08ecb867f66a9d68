"""Payouts that leave through a provider: their tries, their leases, and the steps of a reward on its way."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

import referrals.lib.clock

# The pairs are those of rewards.lifecycle.TRANSITIONS; a test compares them with the table in the database.
STEPS = (
    "review>due review>held due>held waiting>held attention>held queued>held held>review held>due"
    " due>issued issued>due issued>held"
    " review>void due>void held>void waiting>void attention>void queued>void void>review void>due void>held"
    " issued>reversed reversed>issued reversed>void"
    " due>queued queued>due queued>sending due>waiting queued>waiting queued>attention"
    " sending>issued sending>waiting sending>attention sending>due waiting>due attention>due"
    " issued>waiting issued>attention"
)
BEFORE = (
    "review>due review>held due>held held>review held>due due>issued issued>due issued>held"
    " review>void due>void held>void waiting>void attention>void queued>void void>review void>due void>held"
    " issued>reversed reversed>issued reversed>void"
    " due>queued queued>due queued>sending queued>held sending>issued sending>waiting sending>attention sending>due"
    " waiting>due attention>due"
)


def _guard(schema_editor: BaseDatabaseSchemaEditor, steps: str) -> None:
    """On PostgreSQL a trigger refuses each step that is not in a reward's life (RELIABILITY INV-08)."""
    if schema_editor.connection.vendor != "postgresql":
        return
    pairs = ", ".join(f"'{step}'" for step in steps.split())
    schema_editor.execute("DROP TRIGGER reward_step ON rewards_reward")
    schema_editor.execute(
        "CREATE TRIGGER reward_step BEFORE UPDATE OF state ON rewards_reward FOR EACH ROW"
        f" WHEN (OLD.state <> NEW.state AND OLD.state || '>' || NEW.state NOT IN ({pairs}))"
        " EXECUTE FUNCTION refuse_reward_step()",
        params=None,
    )


def guard(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """The steps with those of payouts that leave through a provider."""
    _guard(schema_editor, STEPS)


def unguard(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """The steps as they were."""
    _guard(schema_editor, BEFORE)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_squashed"),
        ("participants", "0011_erased"),
        ("rewards", "0003_imports"),
    ]

    operations = [
        migrations.CreateModel(
            name="PayoutAttempt",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.PositiveIntegerField()),
                ("began_at", models.DateTimeField(default=referrals.lib.clock.wall)),
                ("ended_at", models.DateTimeField(null=True)),
                ("state", models.CharField(blank=True, max_length=8)),
                ("reference", models.CharField(blank=True, max_length=255)),
                ("message", models.CharField(blank=True, max_length=500)),
            ],
        ),
        migrations.AddField(
            model_name="payout",
            name="account",
            field=models.CharField(blank=True, max_length=32),
        ),
        migrations.AddField(
            model_name="payout",
            name="called_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="payout",
            name="destination",
            field=models.CharField(blank=True, max_length=32),
        ),
        migrations.AddField(
            model_name="payout",
            name="reason",
            field=models.CharField(blank=True, max_length=32),
        ),
        migrations.AddField(
            model_name="payoutbatch",
            name="completed_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddIndex(
            model_name="payout",
            index=models.Index(
                condition=models.Q(("next_attempt_at__isnull", False)),
                fields=["next_attempt_at"],
                name="payout_waiting",
            ),
        ),
        migrations.AddField(
            model_name="payoutattempt",
            name="payout",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="tries", to="rewards.payout"
            ),
        ),
        migrations.AddConstraint(
            model_name="payoutattempt",
            constraint=models.UniqueConstraint(fields=("payout", "number"), name="payout_attempt_once"),
        ),
        migrations.RunPython(guard, unguard),
    ]
