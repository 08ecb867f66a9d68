"""Every ten minutes: what could not be checked for fraud is tried again, and old traces of browsers are forgotten."""

from __future__ import annotations

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

JOBS = {"look after the fraud check": "rewards.jobs.look_after_fraud"}


def forwards(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    schedule = apps.get_model("django_q", "Schedule")
    for name, func in JOBS.items():
        schedule.objects.update_or_create(
            name=name, defaults={"func": func, "schedule_type": "I", "minutes": 10, "repeats": -1}
        )


def backwards(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("django_q", "Schedule").objects.filter(name__in=JOBS).delete()


class Migration(migrations.Migration):
    dependencies = [("rewards", "0010_what_if_schedules"), ("django_q", "0018_task_success_index")]
    operations = [migrations.RunPython(forwards, backwards)]
