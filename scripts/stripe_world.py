"""The merchant, campaign and people of `make demo-stripe`. Imported once Django is set up."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from django.core.management import call_command

from campaigns import services as campaigns
from campaigns.terms import Fixed, RuleTerms
from integrations.models import Connection, InboundEvent
from integrations.services import connect
from participants.models import Participant
from referrals.accounts.models import Merchant
from referrals.accounts.tenancy import Tenant
from referrals.events.services import SYSTEM
from referrals.lib.money import Money
from rewards import services as rewards
from rewards.models import Decision, Reward
from rewards.reasons import sentence

__all__ = ["bring_friend", "payments", "prepare", "rewards_of", "sentence"]


def prepare() -> tuple[Connection, Participant]:
    """A merchant's test side with a campaign that pays $15 for a friend's first purchase. Returns its Stripe connection and a referrer."""
    call_command("migrate", verbosity=0, interactive=False)
    tenant = Tenant(Merchant.objects.create(name="Halden Coffee"), is_test=True)
    rule = RuleTerms(key="", side="referrer", trigger="first_event", amount=Fixed(Money(1500, "USD")))
    campaign = campaigns.create_campaign(
        tenant=tenant, actor=SYSTEM, name="Refer a friend", currency="USD", rules=[rule]
    )
    campaign = campaigns.launch(campaign=campaign, actor=SYSTEM)
    joined = rewards.join(campaign=campaign, email="asha@example.com", actor=SYSTEM, source="manual", first_name="Asha")
    secret = {"webhook_secret": f"whsec_{secrets.token_hex(16)}"}
    connection = connect(tenant=tenant, actor=SYSTEM, provider="stripe", secrets=secret, label="Local Stripe")
    return connection, joined.participant


def bring_friend(referrer: Participant, email: str) -> Participant:
    """Somebody who joined through the referrer's link."""
    joined = rewards.join(
        campaign=referrer.campaign,
        email=email,
        actor=SYSTEM,
        source="hosted",
        referred_by_code=referrer.referral_code,
    )
    return joined.participant


def payments(connection: Connection) -> Sequence[InboundEvent]:
    """The invoice messages that were worked on to the end."""
    paid = ("invoice.paid", "invoice.payment_succeeded")
    return list(connection.inbound_events.filter(type__in=paid).exclude(state="received"))


def rewards_of(referrer: Participant) -> Sequence[tuple[Reward, Decision]]:
    """What the referrer is owed, with the decision behind each."""
    rows = Reward.objects.filter(participant=referrer).select_related("event__participant")
    return [(row, Decision.objects.get(event=row.event, rule_key=row.rule_key, current=True)) for row in rows]
