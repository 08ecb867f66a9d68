"""Turn the click journal into visits; the schedule runs this every minute, and every web process does for its own clicks."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from referrals.hosted.jobs import load_clicks


class Command(BaseCommand):
    """See referrals.hosted.journal."""

    help = "Move the clicks that wait in the journal files of DATA_DIR/clicks into the database, each exactly once."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{load_clicks()} clicks loaded.")
