"""Make due what has left review; the schedule runs this every minute."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from rewards.jobs import release_all


class Command(BaseCommand):
    """See rewards.lifecycle.release_due."""

    help = "Make every reward due whose review period has ended, by the database's clock."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{release_all()} rewards became due.")
