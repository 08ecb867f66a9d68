"""Referrals of the demo that look odd, so that the fraud review has something to decide, and something that was decided."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from campaigns.models import Campaign
from participants.fraud import traces
from participants.fraud.models import FraudCase
from participants.fraud.traces import Seen
from participants.models import Participant
from referrals.accounts.tenancy import Tenant
from referrals.events.services import Actor
from referrals.lib import clock
from referrals.lib.money import Money
from rewards import fraud_cases, services

PAGE = Actor("participant", "", "Campaign page")
STORE = Actor("api_key", "demo", "Web shop")
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/131.0.0.0 Safari/537.36"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Version/18.1 Mobile Safari/604.1"
HOME, CAFE = Seen("203.0.113.24", CHROME, ("d-home",)), Seen("198.51.100.8", CHROME, ("d-cafe",))
OFFICE, DESK = Seen("192.0.2.77", CHROME, ("d-office",)), Seen("192.0.2.77", PHONE, ("d-desk",))
HOTEL, LOBBY = Seen("198.18.7.9", CHROME, ("d-hotel",)), Seen("198.18.7.9", PHONE, ("d-lobby",))


@dataclass(frozen=True, slots=True)
class Suspect:
    """A friend of the advocate with this number, where they were seen, and what the merchant decided (one of fraud_cases), if anything."""

    email: str
    first: str
    last: str
    advocate: int
    seen: Seen
    decided: Callable[..., Any] | None = None
    note: str = ""


FRIENDS = (
    Suspect("julia.brandt@example.net", "Julia", "Brandt", 0, Seen("203.0.113.24", PHONE, ("d-phone",))),
    Suspect("second.box@example.org", "", "", 0, HOME),
    Suspect("gratis1@disposable.example", "Gratis", "", 1, CAFE),
    Suspect("gratis2@disposable.example", "Gratis", "", 1, CAFE),
    Suspect(
        "iben.dahl@example.com", "Iben", "Dahl", 2, DESK, fraud_cases.trust, "Colleagues in one office; called them."
    ),
    Suspect("promo99@disposable.example", "Promo", "", 3, LOBBY, fraud_cases.deny, "The order was never collected."),
)


def add_suspects(tenant: Tenant, owner: Actor) -> None:
    """Some advocates of the open dollar campaign get doubtful friends, who buy; two are decided, the others wait for review."""
    campaign = Campaign.objects.for_tenant(tenant).running().filter(currency="USD").order_by("pk").first()
    if campaign is None:
        return
    campaign = Campaign.objects.select_related("merchant").get(pk=campaign.pk)
    advocates = list(Participant.objects.filter(campaign=campaign, referral=None, banned_at=None).order_by("pk")[:4])
    if len(advocates) < 4:
        return
    now = clock.now()
    with clock.at(now - timedelta(hours=5)):
        traces.keep(advocates[0], HOME)
        traces.keep(advocates[2], OFFICE)
        traces.keep(advocates[3], HOTEL)
    for number, suspect in enumerate(FRIENDS):
        minutes = timedelta(minutes=number)
        with clock.at(now - timedelta(hours=4) + minutes):
            friend = _joins(campaign, suspect, advocates[suspect.advocate])
        with clock.at(now - timedelta(hours=3) + minutes):
            services.qualify(
                participant=friend,
                actor=STORE,
                source="api",
                amount=Money(4200 + 350 * number, "USD"),
                external_id=f"order-odd-{number + 1}",
            )
        case = FraudCase.objects.filter(participant=friend).select_related("participant", "merchant").first()
        if suspect.decided is not None and case is not None:
            with clock.at(now - timedelta(hours=2) + minutes):
                suspect.decided(case=case, actor=owner, note=suspect.note)
    fraud_cases.add_block(
        tenant=tenant, kind="domain", value="free-codes.example", actor=owner, note="Hands out our codes to anybody."
    )


def _joins(campaign: Campaign, suspect: Suspect, advocate: Participant) -> Participant:
    return services.join(
        campaign=campaign,
        email=suspect.email,
        actor=PAGE,
        source="hosted",
        first_name=suspect.first,
        last_name=suspect.last,
        language="en",
        referred_by_code=advocate.referral_code,
        seen=suspect.seen,
    ).participant
