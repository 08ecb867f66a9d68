"""Decisions, rewards and the ledger, as they stood before the first release."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

import referrals.lib.clock

# The pairs are those of rewards.lifecycle.TRANSITIONS at this migration; a test compares them with the table in the database.
STEPS = (
    "review>due review>held due>held held>review held>due due>issued issued>due issued>held"
    " review>void due>void held>void waiting>void attention>void queued>void void>review void>due void>held"
    " issued>reversed reversed>issued reversed>void"
    " due>queued queued>due queued>sending queued>held sending>issued sending>waiting sending>attention sending>due"
    " waiting>due attention>due"
)


def guard(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """On PostgreSQL triggers refuse to edit the ledger (ARCHITECTURE.md, "The ledger") and each step that is not in a reward's life (INV-08)."""
    if schema_editor.connection.vendor != "postgresql":
        return
    schema_editor.execute(
        "CREATE TRIGGER ledger_append_only BEFORE UPDATE OR DELETE ON rewards_ledgerentry"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    steps = ", ".join(f"'{step}'" for step in STEPS.split())
    schema_editor.execute(
        "CREATE FUNCTION refuse_reward_step() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE EXCEPTION 'A reward can''t go from % to %', OLD.state, NEW.state USING ERRCODE = 'check_violation';"
        " END $$",
        params=None,  # % is the function's own
    )
    schema_editor.execute(
        "CREATE TRIGGER reward_step BEFORE UPDATE OF state ON rewards_reward FOR EACH ROW"
        f" WHEN (OLD.state <> NEW.state AND OLD.state || '>' || NEW.state NOT IN ({steps}))"
        " EXECUTE FUNCTION refuse_reward_step()",
        params=None,
    )


def unguard(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP TRIGGER reward_step ON rewards_reward")
        schema_editor.execute("DROP FUNCTION refuse_reward_step()")
        schema_editor.execute("DROP TRIGGER ledger_append_only ON rewards_ledgerentry")


class Migration(migrations.Migration):
    # A database that has all of these is where this migration and its neighbours lead.
    replaces = [
        ("rewards", "0007_customer_uploads"),
        ("rewards", "0008_leaderboards"),
        ("rewards", "0009_what_if"),
        ("rewards", "0010_what_if_schedules"),
        ("rewards", "0011_fraud_schedule"),
        ("rewards", "0012_reward_steps"),
    ]

    dependencies = [("rewards", "0001_squashed")]

    operations = [
        migrations.CreateModel(
            name="Decision",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("is_test", models.BooleanField(default=False)),
                ("rule_key", models.CharField(max_length=32)),
                ("side", models.CharField(choices=[("referrer", "Referrer"), ("invitee", "Friend")], max_length=8)),
                ("counted", models.BooleanField(default=False)),
                ("rewardable", models.BooleanField()),
                ("reason", models.CharField(blank=True, max_length=32)),
                ("amount_minor", models.BigIntegerField(default=0)),
                ("conditions", models.JSONField(default=list)),
                ("decided_at", models.DateTimeField(default=referrals.lib.clock.now)),
                ("current", models.BooleanField(default=True)),
                (
                    "event",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="decisions",
                        to="participants.qualifyingevent",
                    ),
                ),
                (
                    "merchant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.merchant"
                    ),
                ),
                (
                    "referrer",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="participants.participant",
                    ),
                ),
                (
                    "rule",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="campaigns.rewardrule",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["merchant", "is_test", "-decided_at", "-id"], name="decision_list"),
                    models.Index(
                        condition=models.Q(("current", True), models.Q(("reason", ""), _negated=True)),
                        fields=["merchant", "is_test", "reason", "event"],
                        name="decision_reason",
                    ),
                    models.Index(
                        condition=models.Q(("counted", True), ("current", True)),
                        fields=["referrer", "rule_key"],
                        name="decision_of_referrer",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("current", True)),
                        fields=("event", "rule_key"),
                        name="decision_current_once",
                    )
                ],
            },
        ),
        migrations.RunPython(guard, unguard),
    ]
