"""`/r/<code>`: the short address of a referral link. Records the visit, sets the cookie, leads on.

The fast path (referrals.hosted.fast) answers the plain cases before Django sees them; this view is the truth that it copies, and
answers everything else.
"""

from __future__ import annotations

import time

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from campaigns.models import Campaign, Status
from participants.models import Participant
from referrals.accounts import clocks
from referrals.hosted import clicks, fast, tracking
from referrals.hosted.page import message


@require_safe
def short_link(request: HttpRequest, code: str) -> HttpResponse:
    """302 to the campaign's page; 404 with a neutral page that names a code nobody has."""
    referrer = None
    if clicks.is_code(code):
        referrer = (
            Participant.objects.select_related("campaign__merchant")
            .filter(referral_code=code)
            .exclude(campaign__status=Status.DRAFT)
            .first()
        )
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


def _until(campaign: Campaign) -> float:
    """Until when the fast path may repeat this answer: half a minute, or the campaign's next date if that comes first."""
    now = time.time()
    dates = [at.timestamp() for at in (campaign.starts_at, campaign.ends_at) if at is not None]
    return min([now + fast.LIFE, *(at for at in dates if at > now)])
