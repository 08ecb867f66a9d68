"""Short ways to a world worth testing: merchants, campaigns, people, rewards, made through the services a user would use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.test import Client
from django.utils import timezone

from campaigns import services as campaigns
from campaigns.models import Campaign, StatusChange
from campaigns.terms import Fixed, Percent, RuleTerms
from participants.models import Participant
from referrals.accounts.models import Membership, Merchant, Role, User
from referrals.accounts.tenancy import Tenant
from referrals.events.services import Actor
from referrals.lib.money import Money
from rewards import services as rewards
from rewards.models import Reward

ACTOR = Actor("user", "1", "alice@example.com")


@dataclass
class Cast:
    """One of Alice, Bob and Charlie: who they are, whose merchant they belong to, and a logged-in client."""

    user: User
    merchant: Merchant
    tenant: Tenant
    client: Client


def make_merchant(name: str = "Halden Coffee", currency: str = "USD") -> Merchant:
    """A merchant without people."""
    return Merchant.objects.create(name=name, currency=currency)


def make_cast(email: str, merchant: Merchant, role: Role = Role.OWNER, *, is_test: bool = False) -> Cast:
    """A user with a role, logged in."""
    user = User.objects.create_user(email, "correct horse battery", name=email.split("@")[0].title())
    Membership.objects.create(merchant=merchant, user=user, role=role)
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return Cast(user, merchant, Tenant(merchant, is_test), client)


def fixed_rule(minor: int = 1500, currency: str = "USD", **terms: Any) -> RuleTerms:
    """A referrer's fixed reward for the first purchase, with no review unless asked for."""
    values: dict[str, Any] = {
        "key": "",
        "side": "referrer",
        "trigger": "first_event",
        "amount": Fixed(Money(minor, currency)),
    }
    return RuleTerms(**values | terms)


def percent_rule(rate: str = "10", **terms: Any) -> RuleTerms:
    """A referrer's share of every purchase."""
    values: dict[str, Any] = {"key": "", "side": "referrer", "trigger": "every_event", "amount": Percent(Decimal(rate))}
    return RuleTerms(**values | terms)


def make_campaign(
    tenant: Tenant,
    rules: Sequence[RuleTerms] | None = None,
    *,
    launched: bool = True,
    since_days: int = 30,
    **fields: Any,
) -> Campaign:
    """A campaign in dollars (or `currency`) with one fixed rule unless `rules` says otherwise, launched `since_days` ago."""
    currency = fields.pop("currency", "USD")
    name = fields.pop("name", "Spring refer-a-friend")
    terms = [fixed_rule(currency=currency)] if rules is None else rules
    campaign = campaigns.create_campaign(
        tenant=tenant, actor=ACTOR, name=name, currency=currency, rules=terms, **fields
    )
    if launched:
        campaign = campaigns.launch(campaign=campaign, actor=ACTOR)
        since = timezone.now() - timedelta(days=since_days)
        StatusChange.objects.filter(campaign=campaign).update(at=since)
        Campaign.objects.filter(pk=campaign.pk).update(status_since=since, launched_at=since)
        campaign.refresh_from_db()
    return campaign


def make_participant(campaign: Campaign, email: str = "asha@example.com", **fields: Any) -> Participant:
    """A participant whom nobody referred."""
    return rewards.join(campaign=campaign, email=email, actor=ACTOR, source="manual", **fields).participant


def make_friend(referrer: Participant, email: str = "maya@example.net", **fields: Any) -> Participant:
    """A participant who came through `referrer`'s code."""
    return rewards.join(
        campaign=referrer.campaign,
        email=email,
        actor=ACTOR,
        source="manual",
        referred_by_code=referrer.referral_code,
        **fields,
    ).participant


def buy(friend: Participant, minor: int = 5000, external_id: str = "", **fields: Any) -> rewards.Qualified:
    """A purchase of `minor` units by a friend, decided at once."""
    amount = Money(minor, friend.campaign.currency)
    return rewards.qualify(
        participant=friend, actor=ACTOR, source="manual", amount=amount, external_id=external_id, **fields
    )


def make_reward(
    campaign: Campaign, referrer: str = "asha@example.com", friend: str = "maya@example.net", minor: int = 5000
) -> Reward:
    """The referrer's reward for a friend's purchase."""
    done = buy(make_friend(make_participant(campaign, referrer), friend), minor)
    return next(reward for reward in done.rewards if reward.side == "referrer")


# From due to a state that no action of today leads to, by the steps that a reward may take.
_WALKS = {
    "review": ("held", "review"),
    "queued": ("queued",),
    "sending": ("queued", "sending"),
    "waiting": ("queued", "sending", "waiting"),
    "attention": ("queued", "sending", "attention"),
}


def walk(reward_ids: Sequence[int], state: str) -> None:
    """Put due rewards into another state, with no Event and no tally."""
    for step in _WALKS.get(state, (state,)):
        Reward.objects.filter(pk__in=reward_ids).update(state=step)
