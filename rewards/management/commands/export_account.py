"""Write a business's whole account to an archive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from referrals.accounts.models import Merchant
from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.services import SYSTEM, Happening, record
from rewards.account.archive import write_archive


class Command(BaseCommand):
    """manage.py export_account"""

    help = "Write everything that a business has (its live side, or with --test its test side) to one zip file. Secrets are left out."

    def add_arguments(self, parser: CommandParser) -> None:
        """Which business, and where to."""
        parser.add_argument("merchant", help="the business's id (mer_...)")
        parser.add_argument("file", type=Path, help="the zip file to write")
        parser.add_argument("--test", action="store_true", help="the test side instead of the live one")

    def handle(self, *args: Any, **options: Any) -> None:
        """Write it and say how much it is."""
        merchant = Merchant.objects.filter(public_id=options["merchant"]).first()
        if merchant is None:
            raise CommandError(f"There is no business {options['merchant']}.")
        tenant = Tenant(merchant, options["test"])
        manifest = write_archive(tenant, options["file"])
        with transaction.atomic():
            data = {"what": "account", "query": ""}
            record(tenant, SYSTEM, Happening(types.EXPORT_MADE, "merchant", merchant.public_id, data=data))
        rows = sum(item["rows"] for item in manifest["files"])
        self.stdout.write(f"{options['file']}: {rows} rows, {options['file'].stat().st_size} bytes")
