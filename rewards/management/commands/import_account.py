"""Read an account's archive into an empty business."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from referrals.accounts.models import Merchant
from referrals.accounts.tenancy import Tenant
from referrals.events.services import SYSTEM
from referrals.lib.errors import Refused
from rewards.account.restore import restore
from rewards.transfers import write_mapping


class Command(BaseCommand):
    """manage.py import_account"""

    help = "Read an archive of `export_account` into a business that has nothing yet: all of it or nothing. Derived totals are compared."

    def add_arguments(self, parser: CommandParser) -> None:
        """Which business, and where from."""
        parser.add_argument("merchant", help="the business's id (mer_...), which has no campaign yet")
        parser.add_argument("file", type=Path, help="the zip file to read")
        parser.add_argument("--test", action="store_true", help="into the test side instead of the live one")
        parser.add_argument("--mapping", type=Path, help="a CSV file for the ids and codes that are others here")

    def handle(self, *args: Any, **options: Any) -> None:
        """Read it and say what it came to."""
        merchant = Merchant.objects.filter(public_id=options["merchant"]).first()
        if merchant is None:
            raise CommandError(f"There is no business {options['merchant']}.")
        try:
            done = restore(tenant=Tenant(merchant, options["test"]), path=options["file"], actor=SYSTEM)
        except Refused as error:
            raise CommandError(error.message) from error
        if options["mapping"]:
            write_mapping(done, options["mapping"])
        rows = sum(done.rows.values())
        self.stdout.write(f"{rows} rows, {len(done.ids)} ids and {len(done.codes)} codes are others here")
