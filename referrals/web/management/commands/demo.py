"""The demo merchant: filled once, summed up on every start."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from campaigns.models import Campaign
from participants.models import Participant
from referrals.accounts.models import Membership, Merchant, Role, User
from referrals.accounts.tenancy import Tenant
from referrals.events.services import Actor
from referrals.lib import clock
from referrals.lib.codes import repeatable
from referrals.web.demo import EMAIL, PASSWORD, cases, hub, issuing, more, paying, payments, practice, touches
from referrals.web.demo.story import Story

SEED = 20261120


class Command(BaseCommand):
    """Fill an empty database with Halden Coffee's 90 days, or say how to get in."""

    help = (
        "Make the demo merchant Halden Coffee with 90 days of history, and print the log-in and a campaign link to try."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--summary", action="store_true", help="only print the log-in and the link, fill nothing")
        parser.add_argument("--until", help="the day the story ends, as 2026-11-20T12:00:00+00:00 (default: now)")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["summary"]:
            self._fill(options["until"])
        self._summary()

    def _fill(self, until: str | None) -> None:
        if User.objects.filter(email=EMAIL).exists():
            raise CommandError(
                f"The demo is already here: {EMAIL} exists. Start with an empty database to make it again."
            )
        end = datetime.fromisoformat(until) if until else clock.now()
        if end.tzinfo is None:
            raise CommandError(f"--until {until} has no time zone; write it like 2026-11-20T12:00:00+00:00.")
        with repeatable(SEED):
            merchant = Merchant.objects.create(name="Halden Coffee", currency="USD", time_zone="Europe/Oslo")
            user = User.objects.create_user(EMAIL, PASSWORD, name="Elin Larsen")
            Membership.objects.create(merchant=merchant, user=user, role=Role.OWNER)
            owner = Actor("user", str(user.pk), user.email)
            Story(Tenant(merchant), owner, end, SEED).tell()
            cases.tell(Tenant(merchant), end)
            payments.tell(Tenant(merchant), owner, end)
            more.tell(Tenant(merchant), owner, end)
            touches.tell(Tenant(merchant), end)
            practice.tell(Tenant(merchant, True), owner, end)
            hub.tell(Tenant(merchant), owner, end)
            issuing.tell(Tenant(merchant, True), owner, end)
            colleague = paying.invite_colleague(Tenant(merchant))
            paying.tell_live(Tenant(merchant), owner, colleague, end)
            paying.tell_test(Tenant(merchant, True), owner, colleague, end)

    def _summary(self) -> None:
        user = User.objects.filter(email=EMAIL).first()
        membership = user.memberships.select_related("merchant").first() if user else None
        campaign = (
            Campaign.objects.for_tenant(Tenant(membership.merchant)).running().order_by("pk").first()
            if membership
            else None
        )
        if campaign is None:
            self.stdout.write("No demo merchant in this database; `manage.py demo` makes one.")
            return
        asha = Participant.objects.filter(campaign=campaign).order_by("pk").first()
        link = f"{settings.SITE_URL}/campaign?id={campaign.public_id}"
        if asha is not None:
            link += f"&referralCode={asha.referral_code}"
        self.stdout.write(f"Log in at   {settings.SITE_URL}/app/")
        self.stdout.write(f"       as   {EMAIL}")
        self.stdout.write(f" password   {PASSWORD}")
        self.stdout.write(f"Try a link  {link}")
