"""Prove that the books add up."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from rewards.models import LedgerEntry
from rewards.verify import CHECKS, differences


class Command(BaseCommand):
    """Exits 1 and prints every difference when something does not add up (ARCHITECTURE.md, "The ledger")."""

    help = "Compare balances, payouts and stage totals with the ledger and the rewards; exits 1 and prints each difference."

    def handle(self, *args: Any, **options: Any) -> None:
        found = list(differences())
        for name, what, recorded, derived in found:
            self.stderr.write(f"{name}: {what} is recorded as {recorded}, derived {derived}")
        if found:
            raise CommandError(f"{len(found)} differences.")
        self.stdout.write(f"{LedgerEntry.objects.count()} ledger entries, {len(CHECKS)} checks: all add up.")
