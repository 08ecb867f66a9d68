"""Asking before a cookie is set, where the campaign wants that (RELIABILITY section 8, "Cookies / consent").

Without an answer nothing is kept in the browser: the code stands in the address and in the form of the page. The question carries,
signed, the visit that asks it, so that a yes is remembered under the same id and nothing is counted twice.
"""

from __future__ import annotations

from urllib.parse import urlencode

from django.core import signing
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from campaigns.models import Campaign
from participants.links import campaign_path
from participants.models import Participant
from referrals.hosted import clicks, tracking, visitor
from referrals.hosted.page import find_campaign, message
from referrals.lib import clock

_SALT = "hosted.consent"
LIFE = 12 * 3600


def question(request: HttpRequest, campaign: Campaign, referrer: Participant | None, visit_id: str) -> str:
    """The token of the question that the page has to ask; "" when there is nothing to ask."""
    if campaign.consent != "ask" or referrer is None or not visit_id or clicks.wants_no_cookie(request.META):
        return ""
    if tracking.visitor_id_of(request, campaign):
        return ""
    about = [campaign.public_id, referrer.referral_code, visit_id, int(clock.now().timestamp())]
    return signing.dumps(about, salt=_SALT)


# The signed token stands in for session and CSRF cookie, as it does for joining.
@csrf_exempt
@require_POST
def agree(request: HttpRequest) -> HttpResponse:
    """Yes: set the cookie as the click would have done, and back to the page. 410 for a token that is forged or too old."""
    try:
        campaign_id, code, visit_id, at = signing.loads(request.POST.get("token", ""), salt=_SALT, max_age=LIFE)
    except (signing.BadSignature, ValueError, TypeError):
        campaign_id = code = visit_id = ""
        at = 0
    campaign = find_campaign(str(campaign_id))
    if campaign is None:
        return message(
            request,
            None,
            heading=_("This page was open for a long time"),
            text=_("Open your friend's link once more."),
            icon="hourglass",
            status=410,
        )
    mark = urlencode({"seen": tracking.seen_mark(code, visit_id)})
    response = HttpResponseRedirect(f"{campaign_path(campaign.public_id, code)}&{mark}")
    response.status_code = 303
    if campaign.consent != "never":
        agreed = tracking.Opening(visitor.Visitor(visit_id, code, at, code, at), "", visit_id)
        tracking.remember(response, campaign, agreed)
    return response
