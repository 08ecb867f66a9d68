"""Beside the story: some friends opened two people's links before they joined, and some people were customers before."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from campaigns.models import Campaign
from participants.customers import by_email, put_on_list
from participants.models import Participant, Referral, Visit
from participants.visits import visit_row
from referrals.accounts.tenancy import Tenant
from referrals.lib import clock
from referrals.web.demo.people import FIRST

EVERY = 5  # of so many friends, one had a second link before them
CUSTOMERS = 24


def tell(tenant: Tenant, end: datetime) -> None:
    """Clicks of further links between a friend's first click and their joining, so that the models of attribution differ; and a
    list of existing customers. Two bulk writes."""
    campaign = Campaign.objects.for_tenant(tenant).running().filter(currency="USD").order_by("pk").first()
    if campaign is None:
        return
    others = list(Participant.objects.filter(campaign=campaign, referral=None).order_by("pk")[:12])
    bonds = Referral.objects.filter(campaign=campaign, detached_at=None).exclude(visit=None)
    visits: list[Visit] = []
    for number, bond in enumerate(bonds.select_related("visit").order_by("pk")):
        if number % EVERY or bond.visit is None:
            continue
        for step, other in enumerate(others[number % 7 : number % 7 + 1 + number % 2]):
            if other.pk != bond.referrer_id:
                at = bond.visit.occurred_at + timedelta(minutes=3 + 4 * step)
                visits.append(visit_row(referrer=other, visitor=bond.visit.visitor, at=at, channel="email"))
    Visit.objects.bulk_create(visits)
    with transaction.atomic(), clock.at(end - timedelta(days=60)):
        since = end - timedelta(days=400)
        names = [name for name in FIRST if name.isascii()][:CUSTOMERS]
        put_on_list(tenant, [by_email(tenant, f"{name.lower()}@old-shop.example", since) for name in names])
