"""Recording one opening of a referral link from a Django request, and the address the link leads to."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from campaigns.destinations import destination
from campaigns.models import Campaign
from participants.fraud.traces import Seen, is_outside
from participants.links import campaign_path
from participants.models import Participant
from participants.portal import device_of
from participants.visits import visit_row
from referrals.hosted import clicks, visitor
from referrals.lib import clock
from referrals.lib.codes import random_text
from referrals.lib.requests import client_ip

_SEEN = "hosted.seen"
# The session of a participant's own page (portal.py).
PORTAL_COOKIE = "__Host-portal" if settings.HTTPS else "portal"


@dataclass(frozen=True, slots=True)
class Opening:
    """One opening of a link: the browser's cookie afterwards, and under which id the visit is kept.

    There is no cookie for a machine, for a browser that wants none, and where the campaign may set none (yet).
    """

    visitor: visitor.Visitor | None
    hidden: str
    id: str = ""


def visitor_of(request: HttpRequest, campaign: Campaign) -> visitor.Visitor | None:
    """What this browser's cookie says about a campaign."""
    return visitor.read(request.COOKIES, campaign.public_id, campaign.window_days, int(clock.now().timestamp()))


def visitor_id_of(request: HttpRequest, campaign: Campaign) -> str:
    """The id under which this browser's visits are kept, also when their window is over; "" without a cookie."""
    return visitor.id_of(request.COOKIES, campaign.public_id)


def seen(request: HttpRequest, campaign: Campaign) -> Seen | None:
    """What a request tells of its browser for the fraud check: address, name, and the cookies that it has anyway.

    None from a private network: that is the merchant trying things out, or a proxy that TRUSTED_PROXY_COUNT does not know.
    """
    ip = client_ip(request)
    if not is_outside(ip):
        return None
    visitor_seen = visitor_of(request, campaign)
    devices = (visitor_seen.id if visitor_seen else "", device_of(request.COOKIES.get(PORTAL_COOKIE, "")))
    return Seen(ip, request.headers.get("User-Agent", ""), devices)


def record(request: HttpRequest, campaign: Campaign, referrer: Participant) -> Opening:
    """Keep one visit. Machines are kept too, marked, and get no cookie: only a person's click attributes anything."""
    now = clock.now()
    before = visitor_of(request, campaign)
    hidden = clicks.hidden_reason(request.META, referrer.referral_code)
    earlier = visitor.id_of(request.COOKIES, campaign.public_id)
    quiet = hidden or clicks.wants_no_cookie(request.META) or not _may_remember(campaign, earlier)
    after = None if quiet else visitor.click(before, referrer.referral_code, int(now.timestamp()), earlier)
    known = after or before
    name = known.id if known else random_text(22)
    visit_row(
        referrer=referrer,
        visitor=name,
        at=now,
        hidden_reason=hidden,
        channel=clicks.channel(request.META.get("QUERY_STRING", "")),
        ip=client_ip(request),
        agent=clicks.agent(request.META),
        referer=clicks.referer(request.META),
        utm=clicks.utm(request.META.get("QUERY_STRING", "")),
    ).save(force_insert=True)
    return Opening(after, hidden, name)


def _may_remember(campaign: Campaign, earlier: str) -> bool:
    """Whether a click may set the cookie. Where it needs consent, a browser that has one has agreed (`earlier` is its id)."""
    return campaign.consent == "always" or (campaign.consent == "ask" and bool(earlier))


def remember(response: HttpResponseBase, campaign: Campaign, opening: Opening | None) -> None:
    """Set the visitor's cookie, if the opening was a person's."""
    if opening is None or opening.visitor is None:
        return
    name = visitor.cookie_name(campaign.public_id)
    response.set_cookie(
        name,
        visitor.write(opening.visitor, campaign.public_id),
        max_age=visitor.max_age(campaign.window_days),
        httponly=True,
        samesite="Lax",
        secure=settings.HTTPS,
    )
    # The same header as the fast path's: browsers need only the age.
    response.cookies[name]["expires"] = ""


def seen_mark(code: str, visitor_id: str = "") -> str:
    """What tells our page, for a minute, that this click is recorded already, and under which id, when no cookie may say so."""
    return signing.dumps([code, visitor_id], salt=_SEEN, compress=False)


def seen_id(request: HttpRequest, code: str) -> str | None:
    """The visitor's id of such a mark for this code; None where the address carries none."""
    try:
        marked, visitor_id = signing.loads(request.GET.get("seen", ""), salt=_SEEN, max_age=60)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    return str(visitor_id) if marked == code else None


def landing_address(campaign: Campaign, code: str, query: str = "") -> str:
    """Where a referral link leads: our page, or the merchant's own with the code added (PRODUCT.md, "Campaigns").

    `query` is the link's own: `to=` asks for a deep link, and UTM parameters go along.
    """
    return shop_address(campaign, code, query) or campaign_path(campaign.public_id, code)


def shop_address(campaign: Campaign, code: str, query: str = "") -> str:
    """The address on the merchant's side that a link leads to; "" for our page, as it is for a campaign that is not open."""
    if not campaign.is_open:
        return ""
    return destination(campaign, code, to=clicks.wanted_place(query), utm=clicks.utm(query))


class Leave(HttpResponse):
    """302 to an address that landing_address() made: also into an app, and without touching its bytes."""

    status_code = 302

    def __init__(self, location: str) -> None:
        super().__init__()
        self["Location"] = location
        self["Cache-Control"] = "no-store"

    @property
    def url(self) -> str:
        """Where it leads, as redirects of Django tell."""
        return str(self["Location"])
