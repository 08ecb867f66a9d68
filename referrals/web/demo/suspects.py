"""Four referrals of the demo that look odd, so that the fraud review has something to decide."""

from __future__ import annotations

from datetime import timedelta

from campaigns.models import Campaign
from participants.fraud import traces
from participants.fraud.traces import Seen
from participants.models import Participant
from referrals.accounts.tenancy import Tenant
from referrals.events.services import Actor
from referrals.lib import clock
from referrals.lib.money import Money
from rewards import services

PAGE = Actor("participant", "", "Campaign page")
STORE = Actor("api_key", "demo", "Web shop")
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/131.0.0.0 Safari/537.36"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Version/18.1 Mobile Safari/604.1"
# address, first and last name, internet address, browser, device; the advocate's own line is the first of each.
HOME, CAFE = Seen("203.0.113.24", CHROME, ("d-home",)), Seen("198.51.100.8", CHROME, ("d-cafe",))
FRIENDS: tuple[tuple[str, str, str, bool, Seen], ...] = (
    ("julia.brandt@example.net", "Julia", "Brandt", True, Seen("203.0.113.24", PHONE, ("d-phone",))),
    ("second.box@example.org", "", "", True, HOME),
    ("gratis1@disposable.example", "Gratis", "", False, CAFE),
    ("gratis2@disposable.example", "Gratis", "", False, CAFE),
)


def add_suspects(tenant: Tenant) -> None:
    """Two advocates of the open dollar campaign get a doubtful friend or two, who buy; all is held for review."""
    campaign = Campaign.objects.for_tenant(tenant).running().filter(currency="USD").order_by("pk").first()
    if campaign is None:
        return
    campaign = Campaign.objects.select_related("merchant").get(pk=campaign.pk)
    advocates = list(Participant.objects.filter(campaign=campaign, referral=None, banned_at=None).order_by("pk")[:2])
    if len(advocates) < 2:
        return
    now = clock.now()
    with clock.at(now - timedelta(hours=5)):
        traces.keep(advocates[0], HOME)
    for number, (email, first, last, at_home, seen) in enumerate(FRIENDS):
        with clock.at(now - timedelta(hours=4) + timedelta(minutes=number)):
            friend = services.join(
                campaign=campaign,
                email=email,
                actor=PAGE,
                source="hosted",
                first_name=first,
                last_name=last,
                language="en",
                referred_by_code=advocates[0 if at_home else 1].referral_code,
                seen=seen,
            ).participant
        with clock.at(now - timedelta(hours=3) + timedelta(minutes=number)):
            services.qualify(
                participant=friend,
                actor=STORE,
                source="api",
                amount=Money(4200 + 350 * number, "USD"),
                external_id=f"order-odd-{number + 1}",
            )
