"""A purchase of every outcome that the story does not come to by itself, so that each reason can be looked at."""

from __future__ import annotations

from datetime import datetime, timedelta

from campaigns.models import Campaign
from participants.models import Participant, QualifyingEvent, Referral
from referrals.accounts.tenancy import Tenant
from referrals.events.services import Actor
from referrals.lib import clock
from referrals.lib.money import Money
from rewards import refunds, services

STORE = Actor("api_key", "demo", "Web shop")
SOURCE = "api"


def tell(tenant: Tenant, end: datetime) -> None:
    """Shortly before `end`: by somebody whom nobody referred, disputed, cancelled, without a rule, in a pause, for a banned referrer;
    and what waits."""
    campaign = Campaign.objects.for_tenant(tenant).running().filter(currency="USD").order_by("pk").first()
    if campaign is None:
        return
    friends = list(_friends(campaign)[:3])
    advocate = Participant.objects.filter(campaign=campaign, referral=None).order_by("pk").first()
    with clock.at(end - timedelta(hours=30)):
        if advocate is not None:
            _buy(advocate, 5400, "order-20001")
        if len(friends) == 3:
            disputed, cancelled, renewing = friends
            _take_back(tenant, _buy(disputed, 6100, "order-20002"), "dispute")
            _take_back(tenant, _buy(cancelled, 4800, "order-20003"), "cancelled")
            _buy(renewing, 1900, "renewal-20004", type_="renewal")
        _wait(tenant, campaign)
        paused = Campaign.objects.for_tenant(tenant).filter(status="paused").order_by("pk").first()
        for friend in _friends(paused)[:1] if paused else []:
            _buy(friend, 7800, "order-20007")
    with clock.at(end - timedelta(minutes=20)):
        banned = Referral.objects.filter(campaign__merchant=tenant.merchant, referrer__banned_at__isnull=False)
        for bond in banned.filter(detached_at=None, is_test=False).select_related("invitee").order_by("pk")[:1]:
            _buy(bond.invitee, 4400, "order-20008")


def _friends(campaign: Campaign) -> list[Participant]:
    """Some who came through somebody in good standing and have not bought yet."""
    rows = Referral.objects.filter(campaign=campaign, detached_at=None, referrer__banned_at=None)
    bought = QualifyingEvent.objects.filter(campaign=campaign).exclude(type="join").values("participant")
    waiting = rows.exclude(invitee__in=bought).exclude(invitee__existing_customer=True)
    return [row.invitee for row in waiting.select_related("invitee").order_by("-pk")[:3]]


def _buy(person: Participant, minor: int, order: str, *, type_: str = "purchase") -> QualifyingEvent:
    person = Participant.objects.select_related("campaign__merchant", "merchant").get(pk=person.pk)
    amount = Money(minor, person.campaign.currency)
    return services.qualify(
        participant=person, actor=STORE, source=SOURCE, amount=amount, external_id=order, type=type_
    ).event


def _take_back(tenant: Tenant, event: QualifyingEvent, kind: str) -> None:
    refunds.refund(
        tenant=tenant, actor=STORE, source=SOURCE, external_id=f"{kind}-{event.external_id}", event=event, kind=kind
    )


def _wait(tenant: Tenant, campaign: Campaign) -> None:
    """A payment by an id that nobody has yet, and a refund that came before its payment."""
    services.keep_waiting(
        campaign=campaign,
        actor=STORE,
        source=SOURCE,
        customer_id="shop-user-4711",
        amount=Money(5200, campaign.currency),
        external_id="order-20005",
    )
    refunds.refund(
        tenant=tenant,
        actor=STORE,
        source=SOURCE,
        external_id="refund-20006",
        references=["order-20006"],
        amount=Money(2500, campaign.currency),
    )
