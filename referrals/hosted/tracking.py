"""Recording one opening of a referral link from a Django request, and the address the link leads to."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponseBase

from campaigns.models import Campaign
from participants.fraud.traces import Seen, is_outside
from participants.links import campaign_link
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
    """One opening of a link: the browser's cookie afterwards. None for a machine, and for a browser that wants no cookie."""

    visitor: visitor.Visitor | None
    hidden: str


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
    quiet = hidden or clicks.wants_no_cookie(request.META)
    earlier = visitor.id_of(request.COOKIES, campaign.public_id)
    after = None if quiet else visitor.click(before, referrer.referral_code, int(now.timestamp()), earlier)
    known = after or before
    visit_row(
        referrer=referrer,
        visitor=known.id if known else random_text(22),
        at=now,
        hidden_reason=hidden,
        channel=clicks.channel(request.META.get("QUERY_STRING", "")),
        ip=client_ip(request),
        agent=clicks.agent(request.META),
    ).save(force_insert=True)
    return Opening(after, hidden)


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


def seen_mark(code: str) -> str:
    """What tells our page, for a minute, that this click is recorded already, when no cookie may say so."""
    return signing.dumps(code, salt=_SEEN, compress=False)


def is_seen(request: HttpRequest, code: str) -> bool:
    """Whether the address carries such a mark for this code."""
    try:
        return bool(signing.loads(request.GET.get("seen", ""), salt=_SEEN, max_age=60) == code)
    except signing.BadSignature:
        return False


def landing_address(campaign: Campaign, code: str) -> str:
    """Where a referral link leads: our page, or the merchant's own with the code added (PRODUCT.md, "Campaigns")."""
    if campaign.landing_mode == "redirect" and campaign.is_open:
        own = with_code(campaign.landing_url, code)
        if own:
            return own
    return campaign_link(campaign.public_id, code).removeprefix(settings.SITE_URL)


def with_code(url: str, code: str) -> str:
    """The merchant's address with `referralCode` set in its query; its other parameters and fragment stay.

    "" for what is no plain https address: another scheme, a user name, a backslash, a control character (RELIABILITY section 6, row 23).
    Plain http is for a shop on this machine, and for the demo.
    """
    if not url or "\\" in url or any(ord(c) <= 32 or ord(c) == 127 for c in url):
        return ""
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return ""
    if not host or "@" in parts.netloc:
        return ""
    local = host in {"localhost", "127.0.0.1", "::1"}
    if parts.scheme != "https" and not (parts.scheme == "http" and (local or settings.DEMO)):
        return ""
    pairs = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name != "referralCode"]
    query = urlencode([*pairs, ("referralCode", code)])
    return urlunsplit((parts.scheme, parts.netloc, parts.path or "/", query, parts.fragment))
