"""The demo's test side: rewards to issue through a stand-in, some of amounts that make something go wrong (docs/test-mode.md)."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction

from campaigns import services as campaigns
from campaigns.models import Campaign
from campaigns.terms import Percent, RuleTerms
from integrations.services import connect
from integrations.trying import make_up_secrets
from participants.models import Participant
from referrals.accounts.tenancy import Tenant
from referrals.events.services import Actor
from referrals.lib import clock
from referrals.lib.money import Money
from rewards import services

STORE = Actor("system", "", "Demo shop")
# A tenth of what a friend pays, as a gift card and with no review: so a price decides the reward's amount, and the amount what happens.
RULE = RuleTerms(
    key="", side="referrer", trigger="first_event", amount=Percent(Decimal(10)), kind="gift_card", review_days=0
)
# Who is owed how much, in cents: it just works; it takes days; the answer is lost; the address is wrong; too little money is there; the
# company says no; it pays another amount, so that somebody has to look.
OWED = (
    ("Ada", "Lindt", 1500),
    ("Ben", "Osei", 2000),
    ("Cleo", "Marsh", 1200),
    ("Dina", "Petrov", 6601),
    ("Emil", "Sand", 6621),
    ("Farah", "Aziz", 6611),
    ("Gil", "Navarro", 6610),
    ("Hana", "Sato", 6615),
    ("Ivo", "Kovac", 6631),
)


def tell(tenant: Tenant, owner: Actor, end: datetime) -> None:
    """A campaign whose rewards are due at `end`, and a company's stand-in to issue them through."""
    with transaction.atomic():
        with clock.at(end - timedelta(days=2)):
            campaign = campaigns.create_campaign(
                tenant=tenant,
                actor=owner,
                name="Gift cards to issue",
                currency="USD",
                preset_key="refer_a_friend_single",
                rules=(RULE,),
            )
            campaign = campaigns.launch(campaign=campaign, actor=owner)
        for number, (first, last, minor) in enumerate(OWED):
            with clock.at(end - timedelta(hours=20 - number)):
                sharer = join(campaign, first, last, f"{first}.{last}@example.com")
                friend = join(campaign, "Friend", f"of {first}", f"of.{first}@example.net", sharer.referral_code)
                paid = Money(minor * 10, "USD")
                order = f"try-{campaign.public_id}-{number + 1}"
                services.qualify(participant=friend, actor=STORE, source="api", amount=paid, external_id=order)
    begun = connect(tenant=tenant, actor=owner, provider="tremendous")
    make_up_secrets(connection=begun, actor=owner)


def join(campaign: Campaign, first: str, last: str, email: str, code: str = "") -> Participant:
    """Somebody joins by the hosted page."""
    return services.join(
        campaign=campaign,
        email=email.lower(),
        actor=Actor("participant", "", email.lower()),
        source="hosted",
        first_name=first,
        last_name=last,
        language="en",
        referred_by_code=code,
        fraud_level="Low",
    ).participant
