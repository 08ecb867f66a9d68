"""The schedule of the weekly digest."""

from __future__ import annotations

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

JOBS = {"prepare weekly digests": "referrals.hosted.jobs.make_digests"}


def forwards(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    schedule = apps.get_model("django_q", "Schedule")
    for name, func in JOBS.items():
        schedule.objects.update_or_create(name=name, defaults={"func": func, "schedule_type": "H", "repeats": -1})


def backwards(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("django_q", "Schedule").objects.filter(name__in=JOBS).delete()


class Migration(migrations.Migration):
    dependencies = [("hosted", "0003_mails"), ("django_q", "0018_task_success_index")]
    operations = [migrations.RunPython(forwards, backwards)]
