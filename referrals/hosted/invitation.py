"""What an invitation leads to: the customer's own link, which works at once, and a button to take part (docs/invitations.md).

Opening shows and pressing acts, because mail scanners open every address. The exception is the link itself: when somebody opens it,
a friend has got it, so whoever passed it on takes part from then on (ADR 14).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from campaigns.models import Status
from campaigns.texts import texts_for
from participants import invites
from participants.links import campaign_path, short_link
from participants.models import Invite, Participant
from referrals.accounts import clocks
from referrals.events.services import Actor
from referrals.hosted import clicks, hosts, hub, qr, tracking
from referrals.hosted.join import JoinForm, done_token, mail_link, seconds_to_wait, see_other
from referrals.hosted.ladder import extras
from referrals.hosted.landing import closed
from referrals.hosted.offer import referrer_offer
from referrals.hosted.page import by_token, choose_language, incomplete, languages_of, look, show
from referrals.lib import clock
from referrals.lib.emails import mask_email
from referrals.lib.errors import Refused
from rewards.invited import accept


# No session and no CSRF cookie: the signed address stands in for them, as it does for every mail link.
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """The page of one invitation: the own link and what it brings. POST takes part, and leads to the page after joining."""
    invite = _found(request, token)
    if invite is None:
        return incomplete(request)
    campaign = invite.campaign
    clocks.enter(campaign.tenant)
    language = choose_language(request, languages_of(campaign))
    with translation.override(language), timezone.override(campaign.merchant.zone):
        response = _answer(request, invite, language)
        response["Content-Language"] = language
    return by_token(response)


def _answer(request: HttpRequest, invite: Invite, language: str) -> HttpResponse:
    campaign = invite.campaign
    if reason := campaign.closed_reason(clock.now()):
        return closed(request, campaign, reason)
    if request.method != "POST":
        if not clicks.hidden_reason(request.META, invite.code):
            invites.note_opened(invite)
        return _page(request, invite)
    if invite.participant is None and (JoinForm(campaign).asks or hub.application_address(campaign)):
        # There is more to say than yes: the campaign's own form asks for it, or the merchant decides about each.
        return see_other(campaign_path(campaign.public_id))
    if wait := seconds_to_wait(request):
        response = _page(request, invite, _("Many people joined from this network just now. Try again in a minute."))
        response.status_code = 429
        response["Retry-After"] = str(wait)
        return response
    try:
        person = _accept(request, invite, _("Invitation"), language)
    except Refused as refusal:
        response = _page(request, invite, refusal.message)
        response.status_code = refusal.status
        return response
    invites.note_opened(invite)
    mail_link(person)
    query = urlencode({"t": done_token(person, "referrer"), "lang": language})
    return see_other(f"{reverse('hosted:joined')}?{query}")


def _accept(request: HttpRequest, invite: Invite, label: str, language: str) -> Participant:
    seen = tracking.visitor_of(request, invite.campaign)
    return accept(
        invite=invite,
        actor=Actor("participant", "", label),
        language=language,
        cookie_code=seen.code(invite.campaign.attribution_model) if seen else "",
        visitor=tracking.visitor_id_of(request, invite.campaign),
    )


def _page(request: HttpRequest, invite: Invite, error: str = "") -> HttpResponse:
    campaign, person = invite.campaign, invite.participant
    texts = texts_for(campaign, translation.get_language() or "en")
    link = short_link(person) if person else invites.link_of(invite)
    context: dict[str, Any] = look(campaign) | {
        "texts": texts,
        "person": person,
        "portal_url": f"{reverse('hosted:portal')}?{urlencode({'campaign': campaign.public_id})}",
        "offer": referrer_offer(campaign),
        "extras": extras(campaign),
        "link": link,
        "shown_link": link.partition("://")[2],
        "qr": qr.inline(link),
        "error": error,
        "noindex": True,
    }
    return show(request, "hosted/invitation.html", context)


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def invitation_stop(request: HttpRequest, token: str) -> HttpResponse:
    """Ask whether to stop a merchant's invitations; POST stops them, for the address and in all of the merchant's campaigns."""
    invite = _found(request, token)
    if invite is None:
        return incomplete(request)
    stopped = invites.unwelcome(invite.tenant, [invite.email_key]).get(invite.email_key) == "stopped"
    if request.method == "POST":
        stopped = request.POST.get("wish") != "resume"
        if stopped:
            invites.refuse(invite.tenant, invite.email_key, "stopped")
        else:
            invites.allow(invite.tenant, invite.email_key)
    language = choose_language(request, languages_of(invite.campaign))
    with translation.override(language):
        context = look(invite.campaign) | {"email": mask_email(invite.email), "stopped": stopped}
        response = show(request, "hosted/invitation_stop.html", context)
        response["Content-Language"] = language
    return by_token(response)


def link_opened(request: HttpRequest, code: str) -> Participant | HttpResponse | None:
    """Whose kept code this is, as a participant: made now when a person opens it in an open campaign. None for nobody's.

    A machine gets the campaign's own page instead, and nobody joins. So does everybody while the campaign is closed, or takes
    people by the merchant's decision only.
    """
    invite = invites.find_code(code)
    if invite is None or hosts.campaign_of_host(request) not in {"", invite.campaign.public_id}:
        return None
    if invite.is_erased:
        return None
    campaign = invite.campaign
    clocks.enter(campaign.tenant)
    if invite.participant is None:
        shut = campaign.closed_reason(clock.now()) or hub.application_address(campaign)
        if clicks.hidden_reason(request.META, code) or shut:
            return tracking.Leave(campaign_path(campaign.public_id))
        try:
            accept(invite=invite, actor=Actor("participant", "", _("Own link opened")))
        except Refused:
            return tracking.Leave(campaign_path(campaign.public_id))
        invites.note_opened(invite)
    person = invite.participant
    if person is not None:
        person.campaign = campaign
    return person


def _found(request: HttpRequest, token: str) -> Invite | None:
    invite = invites.read_token(token)
    if invite is None or invite.campaign.status == Status.DRAFT or invite.is_erased:
        return None
    return invite if hosts.campaign_of_host(request) in {"", invite.campaign.public_id} else None
