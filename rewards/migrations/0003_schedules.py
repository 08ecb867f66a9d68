"""The schedule of what must happen by itself, so that no step has to be remembered (ARCHITECTURE.md, "The row is the job")."""

from __future__ import annotations

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

JOBS = {"release rewards from review": "rewards.jobs.release_all", "fold the tallies": "rewards.jobs.fold"}


def forwards(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    schedule = apps.get_model("django_q", "Schedule")
    for name, func in JOBS.items():
        schedule.objects.update_or_create(
            name=name, defaults={"func": func, "schedule_type": "I", "minutes": 1, "repeats": -1}
        )


def backwards(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("django_q", "Schedule").objects.filter(name__in=JOBS).delete()


class Migration(migrations.Migration):
    dependencies = [("rewards", "0002_append_only"), ("django_q", "0018_task_success_index")]
    operations = [migrations.RunPython(forwards, backwards)]
