"""`/r/<code>`: the short address of a referral link. Records the visit, sets the cookie, leads on.

The fast path (referrals.hosted.fast) answers the plain cases before Django sees them; this view is the truth that it copies, and
answers everything else.
"""

from __future__ import annotations

import time

from django.conf import settings
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from campaigns.models import Campaign, Status
from participants.codes import find_by_code
from participants.links import short_link as short
from participants.models import Participant
from referrals.accounts import clocks
from referrals.hosted import clicks, fast, hosts, qr, tracking
from referrals.hosted.invitation import link_opened
from referrals.hosted.page import message


@require_safe
def short_link(request: HttpRequest, code: str, name: str = "") -> HttpResponse:
    """302 to the campaign's page or the merchant's; 404 with a neutral page that names a code nobody has."""
    referrer = _owner(request, code, name)
    if referrer is None and not name:
        opened = link_opened(request, code)
        if isinstance(opened, HttpResponse):
            return opened
        referrer = opened
    if referrer is None:
        return message(
            request,
            None,
            heading=_("This link leads nowhere"),
            text=_("Nobody has the referral code %(code)s. Check the link, or ask your friend to send it again.")
            % {"code": code[:40]},
            icon="unlink",
            status=404,
        )
    campaign = referrer.campaign
    clocks.enter(campaign.tenant)
    opening = tracking.record(request, campaign, referrer)
    code = referrer.referral_code
    query = request.META.get("QUERY_STRING", "")
    location = tracking.landing_address(campaign, code, query)
    if opening.visitor is None and not opening.hidden and location.startswith("/"):
        location += f"&seen={tracking.seen_mark(code, opening.id)}"
    response = tracking.Leave(location)
    response["Content-Language"] = settings.LANGUAGE_CODE
    tracking.remember(response, campaign, opening)
    # The clock of a test campaign may be moved at any time; a query may lead elsewhere; who must not be followed gets no cookie.
    if campaign.is_test or campaign.consent != "always" or clicks.plain_channel(query) is None:
        return response
    request.META[fast.TARGET] = fast.Target(
        merchant=campaign.merchant_id,
        is_test=campaign.is_test,
        campaign=campaign.pk,
        campaign_id=campaign.public_id,
        window_days=campaign.window_days,
        referrer=referrer.pk,
        code=code,
        until=_until(campaign),
    )
    return response


def _owner(request: HttpRequest, code: str, name: str) -> Participant | None:
    """Whose code this is: a random one anywhere, a chosen one in the campaign that the address or its host names; never a draft's."""
    if not clicks.is_code(code):
        return None
    own = hosts.campaign_of_host(request)
    if not name and not own:
        rows = Participant.objects.select_related("campaign__merchant").filter(referral_code=code)
        return rows.exclude(campaign__status=Status.DRAFT).first()
    campaigns = Campaign.objects.launched().select_related("merchant")
    if own:
        campaigns = campaigns.filter(public_id=own)
    if name:
        campaigns = campaigns.filter(Q(public_id=name[:64]) | Q(link_name=name[:64].lower()))
    # A name of ten letters could be another campaign's id: the id goes first.
    campaign = min(campaigns[:2], key=lambda found: found.public_id != name, default=None)
    return find_by_code(campaign, code) if campaign else None


@require_safe
def qr_image(request: HttpRequest, kind: str, code: str, name: str = "") -> HttpResponse:
    """The short link as a QR code, to print or to put into a mail; 404 for a code nobody has."""
    referrer = _owner(request, code, name)
    if referrer is None:
        raise Http404
    response = HttpResponse(
        qr.file(f"{short(referrer)}?via=qr", kind), content_type="image/svg+xml" if kind == "svg" else "image/png"
    )
    response["Cache-Control"] = "public, max-age=3600"
    response["Content-Disposition"] = f'inline; filename="referral-{referrer.referral_code}.{kind}"'
    response["Content-Language"] = settings.LANGUAGE_CODE
    return response


def _until(campaign: Campaign) -> float:
    """Until when the fast path may repeat this answer: half a minute, or the campaign's next date if that comes first."""
    now = time.time()
    dates = [at.timestamp() for at in (campaign.starts_at, campaign.ends_at) if at is not None]
    return min([now + fast.LIFE, *(at for at in dates if at > now)])
