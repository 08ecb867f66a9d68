"""What-ifs that lost their worker go on each minute; old answers go each hour."""

from __future__ import annotations

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

JOBS = {
    "carry on with what-ifs": ("rewards.whatif.jobs.sweep", 1),
    "forget old what-ifs": ("rewards.whatif.jobs.forget_old", 60),
}


def forwards(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    schedule = apps.get_model("django_q", "Schedule")
    for name, (func, minutes) in JOBS.items():
        schedule.objects.update_or_create(
            name=name, defaults={"func": func, "schedule_type": "I", "minutes": minutes, "repeats": -1}
        )


def backwards(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("django_q", "Schedule").objects.filter(name__in=JOBS).delete()


class Migration(migrations.Migration):
    dependencies = [("rewards", "0009_what_if"), ("django_q", "0018_task_success_index")]
    operations = [migrations.RunPython(forwards, backwards)]
