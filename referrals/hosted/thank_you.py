"""`POST /invited/for/<campaign>`: a shop's thank-you page or checkout sends a customer on to their own link (docs/invitations.md).

The shop's server signs who it is, with the token of docs/widgets.md. It comes by POST, because an address does not belong into URLs;
and the page it leads to has a name that says nothing.
"""

from __future__ import annotations

import logging

from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from campaigns.models import Campaign, Status
from participants.captures import capture
from participants.links import campaign_path
from participants.personal_links import own_invite
from referrals.hosted.hosts import campaign_of_host
from referrals.hosted.invite_mail import page_address
from referrals.hosted.join import see_other
from referrals.hosted.landing import closed
from referrals.hosted.page import choose_language, find_campaign, languages_of, message
from referrals.hosted.script_calls import check_limit
from referrals.hosted.signed import read_token
from referrals.hosted.widget import Identity, read_identity
from referrals.lib import clock
from referrals.lib.errors import Refused

log = logging.getLogger(__name__)


# The form stands on the shop's page: its signed token is what lets it, and no cookie of ours is read.
@csrf_exempt
@require_POST
def thank_you(request: HttpRequest, campaign_id: str) -> HttpResponse:
    """303 to the customer's own page with their link; a page that says so where the token is not one, or the campaign is closed."""
    campaign = find_campaign(campaign_id)
    if campaign is None or campaign.status == Status.DRAFT or campaign_of_host(request) not in {"", campaign.public_id}:
        return message(
            request,
            None,
            heading=_("This page does not exist"),
            text=_("The shop's page names a campaign that is not there."),
            icon="unlink",
            status=404,
        )
    with (
        translation.override(choose_language(request, languages_of(campaign))),
        timezone.override(campaign.merchant.zone),
    ):
        if reason := campaign.closed_reason(clock.now()):
            return closed(request, campaign, reason)
        try:
            check_limit(request)
            identity = read_identity(request.POST.get("identity", ""), campaign)
            return see_other(_address(request, campaign, identity))
        except Refused as refusal:
            log.info("A thank-you page of campaign %s did not say who is there: %s.", campaign_id, refusal.code)
            return _not_told(request, campaign, refusal)


def _address(request: HttpRequest, campaign: Campaign, identity: Identity) -> str:
    """The page of the customer's own invitation. Where addresses are invited by themselves, theirs is captured."""
    name = f"{identity.first_name} {identity.last_name}".strip()[:80]
    invite = own_invite(campaign=campaign, email=identity.email, name=name, source="thanks")
    agreed = read_token(request.POST.get("identity", ""), campaign).get("marketing_consent") is True
    capture(
        tenant=campaign.tenant,
        email=identity.email,
        source="thanks",
        references=[invite.public_id],
        occurred_at=clock.now(),
        name=name,
        consent=agreed,
    )
    return page_address(invite)


def _not_told(request: HttpRequest, campaign: Campaign, refusal: Refused) -> HttpResponse:
    response = message(
        request,
        campaign,
        heading=_("We could not tell who you are"),
        text=_("Go back to the shop and press the button once more, or get your link here with your e-mail address."),
        icon="info",
        url=campaign_path(campaign.public_id),
        label=_("Get your link"),
        status=refusal.status,
    )
    if refusal.status == 429:
        response["Retry-After"] = str(refusal.details["retry_after"])
    return response
