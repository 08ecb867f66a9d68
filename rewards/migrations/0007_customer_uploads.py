"""Files with customers that a lost nudge left behind are worked on by the schedule."""

from __future__ import annotations

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

NAME = "work on lists of customers"


def forwards(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("django_q", "Schedule").objects.update_or_create(
        name=NAME,
        defaults={"func": "rewards.customer_uploads.work_all", "schedule_type": "I", "minutes": 5, "repeats": -1},
    )


def backwards(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("django_q", "Schedule").objects.filter(name=NAME).delete()


class Migration(migrations.Migration):
    dependencies = [("rewards", "0006_rules_to_the_full"), ("django_q", "0018_task_success_index")]
    operations = [migrations.RunPython(forwards, backwards)]
