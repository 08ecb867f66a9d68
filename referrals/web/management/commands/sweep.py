"""`manage.py sweep`: everything that the schedule runs, once and now (API.md, "Command line")."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.module_loading import import_string
from django_q.models import Schedule


class Command(BaseCommand):
    """For installations that prefer cron to a worker, and for looking after a worker that stood still."""

    help = "Run every scheduled job once: release rewards, work on messages that wait, send mails, clean up."

    def handle(self, *args: Any, **options: Any) -> None:
        """Print what each job did; CommandError when one failed, after all have had their turn."""
        failed = []
        for job in Schedule.objects.order_by("func"):
            try:
                done = import_string(job.func)()
            except Exception as error:
                failed.append(f"{job.func}: {type(error).__name__}: {error}")
                continue
            self.stdout.write(f"{job.name}: {done}")
        if failed:
            raise CommandError("\n".join(failed))
