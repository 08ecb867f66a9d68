"""The demo's test side: one campaign, a simulated referral that waits for the test clock, and connections to try."""

from __future__ import annotations

from datetime import datetime, timedelta

from campaigns import services as campaigns
from integrations import catalogue
from integrations.services import connect
from integrations.trying import make_up_secrets
from referrals.accounts.tenancy import Tenant
from referrals.events.services import Actor
from referrals.lib import clock
from referrals.lib.money import Money
from referrals.web.demo import webhooks
from rewards.simulating import simulate


def tell(tenant: Tenant, owner: Actor, end: datetime) -> None:
    """A campaign of the double-sided template, launched an hour before `end`, and one friend who bought for 80 dollars."""
    with clock.at(end - timedelta(hours=1)):
        campaign = campaigns.create_campaign(
            tenant=tenant, actor=owner, name="Try it here", currency="USD", preset_key="refer_a_friend_double"
        )
        campaign = campaigns.launch(campaign=campaign, actor=owner)
    told = webhooks.begin(tenant, owner)
    with clock.at(end):
        simulate(campaign=campaign, actor=owner, amount=Money(8000, "USD"))
        begun = connect(tenant=tenant, actor=owner, provider="stripe", label="A shop to try")
        make_up_secrets(connection=begun, actor=owner)
        _gift_cards(tenant, owner)
    webhooks.tell(told)


def _gift_cards(tenant: Tenant, owner: Actor) -> None:
    """A stand-in that sells gift cards, with its products."""
    begun = connect(tenant=tenant, actor=owner, provider="giftcards", label="Gift cards to try")
    made = make_up_secrets(connection=begun, actor=owner)
    catalogue.refresh(made)
    catalogue.fetch(made.pk)
