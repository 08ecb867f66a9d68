"""What waited too long for its person is forgotten by itself."""

from __future__ import annotations

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

NAME = "forget what waited too long"


def forwards(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("django_q", "Schedule").objects.update_or_create(
        name=NAME,
        defaults={"func": "participants.waiting.forget", "schedule_type": "I", "minutes": 1440, "repeats": -1},
    )


def backwards(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("django_q", "Schedule").objects.filter(name=NAME).delete()


class Migration(migrations.Migration):
    dependencies = [("participants", "0010_waiting_events"), ("django_q", "0018_task_success_index")]
    operations = [migrations.RunPython(forwards, backwards)]
