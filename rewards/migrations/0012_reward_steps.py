"""A reward goes only where its life leads: on PostgreSQL a trigger refuses every other change of state (RELIABILITY INV-08).

The pairs are those of rewards.lifecycle.TRANSITIONS at this migration; a test compares them with the table in the database.
"""

from __future__ import annotations

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

STEPS = (
    "review>due review>held due>held held>review held>due due>issued issued>due issued>held"
    " review>void due>void held>void waiting>void attention>void queued>void void>review void>due void>held"
    " issued>reversed reversed>issued reversed>void"
    " due>queued queued>due queued>sending queued>held sending>issued sending>waiting sending>attention sending>due"
    " waiting>due attention>due"
)


def forwards(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor != "postgresql":
        return
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


def backwards(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP TRIGGER reward_step ON rewards_reward")
        schema_editor.execute("DROP FUNCTION refuse_reward_step()")


class Migration(migrations.Migration):
    dependencies = [("rewards", "0011_fraud_schedule")]
    operations = [migrations.RunPython(forwards, backwards)]
