"""Two campaigns of further types, so that tiers, limits and milestones have something to show: wholesale partners, and a club."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction

from campaigns import services as campaigns
from campaigns.models import Campaign, CampaignType
from campaigns.terms import Fixed, Limits, Percent, RuleTerms, Tier
from participants.models import Participant
from referrals.accounts.tenancy import Tenant
from referrals.events.services import Actor
from referrals.lib import clock
from referrals.lib.money import Money
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
# Who brings how many friends: the first name, the last, the friends.
SHARERS = {"partners": (("Ingrid", "Moe", 11), ("Tariq", "Aziz", 5), ("Lucia", "Ferri", 2)),
           "club": (("Signe", "Holm", 7), ("Mateo", "Rivas", 3))}  # fmt: skip

FRIENDS = ("Anna", "Bo", "Chiara", "Dag", "Edda", "Finn", "Greta", "Hugo", "Ines", "Jonas", "Kaja", "Leo")


def tell(tenant: Tenant, owner: Actor, end: datetime) -> None:
    """Launch both forty days before `end`; a friend joins and buys every other day. A second or so of work."""
    with transaction.atomic():
        with clock.at(end - timedelta(days=40)):
            partners = _launch(tenant, owner, "Café partners", CampaignType.AFFILIATE, [PARTNERS], "#3d4f8f")
            club = _launch(tenant, owner, "Halden club", CampaignType.MILESTONE, list(CLUB), "#7a5a12")
        for campaign, key in ((partners, "partners"), (club, "club")):
            for first, last, number in SHARERS[key]:
                _shares(campaign, first, last, number, end)
        lifecycle.release_due(until=end)


def _launch(
    tenant: Tenant, owner: Actor, name: str, kind: CampaignType, rules: list[RuleTerms], color: str
) -> Campaign:
    campaign = campaigns.create_campaign(
        tenant=tenant, actor=owner, name=name, currency="USD", rules=rules, type=kind, brand_color=color
    )
    return campaigns.launch(campaign=campaign, actor=owner)


def _shares(campaign: Campaign, first: str, last: str, number: int, end: datetime) -> None:
    start = end - timedelta(days=38)
    with clock.at(start):
        sharer = _join(campaign, first, last)
    for index in range(number):
        with clock.at(start + timedelta(days=3 * index + 1, hours=index)):
            name = FRIENDS[(index + len(first)) % len(FRIENDS)]
            friend = _join(campaign, name, f"{last}-{index + 1}", sharer.referral_code)
            amount = Money(4500 + 350 * index, "USD")
            order = f"{campaign.public_id}-{first.lower()}-{index + 1}"
            services.qualify(participant=friend, actor=STORE, source="api", amount=amount, external_id=order)


def _join(campaign: Campaign, first: str, last: str, code: str = "") -> Participant:
    email = f"{first}.{last}.{campaign.public_id}@example.net".lower().replace(" ", "-")
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
