"""`manage.py create_merchant`: a business, its owner, and an API key for each side (API.md, "Command line")."""

from __future__ import annotations

import json
from getpass import getpass
from typing import Any

from allauth.account.models import EmailAddress
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import IntegrityError, transaction

from referrals.accounts.keys import create_api_key
from referrals.accounts.models import Scope, User
from referrals.accounts.services import create_merchant
from referrals.accounts.tenancy import Tenant
from referrals.events.services import SYSTEM
from referrals.lib.emails import EmailError, parse_email
from referrals.lib.errors import Refused


class Command(BaseCommand):
    """Does everything in one transaction, so that a refused value leaves nothing behind."""

    help = "Make a business with its owner, and print an API key with every scope for the live and the test side."

    def add_arguments(self, parser: CommandParser) -> None:
        """What the command is told."""
        parser.add_argument("--name", required=True, help="name of the business")
        parser.add_argument("--email", required=True, help="address of the owner, who logs in with it")
        parser.add_argument("--password", help="the owner's password; asked for when left out")
        parser.add_argument("--currency", default="USD", help="usual currency (default USD)")
        parser.add_argument("--time-zone", default="UTC", help="such as Europe/Oslo (default UTC)")
        parser.add_argument("--json", action="store_true", help="print one JSON object: merchant, live_key, test_key")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make it and print it; CommandError names a bad value."""
        try:
            email = parse_email(options["email"]).address.lower()
        except EmailError as error:
            raise CommandError(str(error)) from error
        password = options["password"] or getpass(f"Password for {email}: ")
        try:
            with transaction.atomic():
                made = self._make(options, email, password)
        except IntegrityError as error:
            raise CommandError(f"{email} has an account already; use another address.") from error
        except Refused as error:
            raise CommandError(error.message) from error
        if options["json"]:
            self.stdout.write(json.dumps(made))
        else:
            for key, value in made.items():
                self.stdout.write(f"{key:9} {value}")

    def _make(self, options: dict[str, Any], email: str, password: str) -> dict[str, str]:
        owner = User.objects.create_user(email, password)
        EmailAddress.objects.create(user=owner, email=email, verified=True, primary=True)
        merchant = create_merchant(
            name=options["name"],
            owner=owner,
            actor=SYSTEM,
            currency=options["currency"],
            time_zone=options["time_zone"],
        )
        made = {"merchant": merchant.public_id}
        for field, is_test in (("live_key", False), ("test_key", True)):
            tenant = Tenant(merchant, is_test)
            made[field] = create_api_key(tenant=tenant, name="First key", actor=SYSTEM, scopes=Scope.values)[1]
        return made
