"""A campaign of each further type, so that tiers, limits, milestones and ranks have something to show."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction

from campaigns import services as campaigns
from campaigns.models import Campaign
from campaigns.terms import Fixed, Limits, Percent, RuleTerms, Tier
from participants.models import Participant
from referrals.accounts.tenancy import Tenant
from referrals.events.services import Actor
from referrals.lib import clock
from referrals.lib.money import Money
from referrals.web.demo.people import LAST
from rewards import lifecycle, services

STORE = Actor("api_key", "demo", "Web shop")
TIERS = (
    Tier(1, 4, Fixed(Money(1000, "USD"))),
    Tier(5, 9, Fixed(Money(1500, "USD"))),
    Tier(10, None, Percent(Decimal(20), Money(4000, "USD"))),
)
PARTNERS = RuleTerms(
    key="",
    side="referrer",
    trigger="tier",
    amount=TIERS[0].amount,
    tiers=TIERS,
    max_purchases_per_friend=1,
    limits=Limits(per_referrer_year=Money(59900, "USD"), campaign_month=Money(30000, "USD")),
    review_days=14,
    # In runs of the payout calendar; by which way, paying.tell_live() says.
    delivery="month_end",
)
CLUB = tuple(
    RuleTerms(
        key="",
        side="referrer",
        trigger="milestone",
        amount=Fixed(Money(minor, "USD")),
        kind="store_credit",
        nth=friends,
        label=label,
        recurring=friends == 25,
        review_days=7,
    )
    for friends, minor, label in ((3, 1500, "Cupping spoon"), (10, 6000, "Grinder"), (25, 20000, "Golden bean"))
)


@dataclass(frozen=True, slots=True)
class Further:
    """One of these campaigns. Its type, and without rules of its own its rules too, are those of the template.

    `sharers` says who brings how many friends (first name, last name, friends). It ends so many days after the story;
    where nobody `buys`, the friends only join.
    """

    name: str
    template: str
    color: str
    sharers: tuple[tuple[str, str, int], ...]
    rules: tuple[RuleTerms, ...] | None = None
    ends: int | None = None
    buys: bool = True


FURTHER = (
    Further(
        "Café partners",
        "affiliate_lifetime",
        "#3d4f8f",
        (("Ingrid", "Moe", 11), ("Tariq", "Aziz", 5), ("Lucia", "Ferri", 2)),
        rules=(PARTNERS,),
    ),
    Further("Halden club", "milestones", "#7a5a12", (("Signe", "Holm", 7), ("Mateo", "Rivas", 3)), rules=CLUB),
    Further("The roaster's letter", "newsletter", "#2f6f62", (("Noor", "Haas", 5), ("Pau", "Soler", 1)), buys=False),
    Further(
        "Autumn race",
        "leaderboard",
        "#8a2f4a",
        (("Freya", "Lund", 4), ("Kofi", "Boateng", 3), ("Aiko", "Sato", 2), ("Bram", "Visser", 1)),
        ends=12,
    ),
)
FRIENDS = ("Anna", "Bo", "Chiara", "Dag", "Edda", "Finn", "Greta", "Hugo", "Ines", "Jonas", "Kaja", "Leo")


def tell(tenant: Tenant, owner: Actor, end: datetime) -> None:
    """Launch all forty days before `end`; a friend joins every third day, and buys. A second or so of work."""
    with transaction.atomic():
        for plan in FURTHER:
            with clock.at(end - timedelta(days=40)):
                campaign = _launch(tenant, owner, plan, end)
            for first, last, number in plan.sharers:
                _shares(campaign, first, last, number, end, buys=plan.buys)
        with clock.at(end):
            lifecycle.release_due(until=end)


def _launch(tenant: Tenant, owner: Actor, plan: Further, end: datetime) -> Campaign:
    campaign = campaigns.create_campaign(
        tenant=tenant,
        actor=owner,
        name=plan.name,
        currency="USD",
        preset_key=plan.template,
        rules=plan.rules,
        brand_color=plan.color,
        ends_at=end + timedelta(days=plan.ends) if plan.ends is not None else None,
    )
    return campaigns.launch(campaign=campaign, actor=owner)


def _shares(campaign: Campaign, first: str, last: str, number: int, end: datetime, *, buys: bool) -> None:
    start = end - timedelta(days=38)
    with clock.at(start):
        sharer = _join(campaign, first, last)
    for index in range(number):
        with clock.at(start + timedelta(days=3 * index + 1, hours=index)):
            name = FRIENDS[(index + len(first)) % len(FRIENDS)]
            family = LAST[(7 * index + len(first + last)) % len(LAST)]
            friend = _join(campaign, name, family, sharer.referral_code)
            if not buys:
                continue
            amount = Money(4500 + 350 * index, "USD")
            order = f"{campaign.public_id}-{first.lower()}-{index + 1}"
            services.qualify(participant=friend, actor=STORE, source="api", amount=amount, external_id=order)


def _join(campaign: Campaign, first: str, last: str, code: str = "") -> Participant:
    plain = unicodedata.normalize("NFKD", f"{first}.{last}.{campaign.public_id}").encode("ascii", "ignore").decode()
    email = f"{plain.lower()}@example.net"
    return services.join(
        campaign=campaign,
        email=email,
        actor=Actor("participant", "", email),
        source="hosted",
        first_name=first,
        last_name=last,
        language="en",
        referred_by_code=code,
        fraud_level="Low",
    ).participant
