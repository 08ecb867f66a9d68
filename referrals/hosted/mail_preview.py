"""A sample of each mail, for the merchant to look at in a frame and to send to themselves."""

from __future__ import annotations

import logging
import smtplib
from dataclasses import replace
from typing import Any

from csp.constants import NONE, SELF
from csp.decorators import csp
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from campaigns.mails import KINDS, mail_setting, read_preview_token
from campaigns.models import Campaign
from participants.links import campaign_link
from referrals.accounts.models import Membership
from referrals.hosted import letters
from referrals.hosted.given import Given
from referrals.hosted.letters import Facts, Letter
from referrals.hosted.offer import referrer_offer
from referrals.hosted.page import find_campaign, look
from referrals.hosted.reward_mail import GIFT, WAITING

log = logging.getLogger(__name__)
# A mail's styles stand in its text; nothing else may run, load or lead anywhere.
POLICY: dict[str, Any] = {
    "default-src": [NONE],
    "style-src": ["'unsafe-inline'"],
    "img-src": [SELF],
    "frame-ancestors": [SELF],
    "sandbox": True,
}


def sample(campaign: Campaign, kind: str) -> Letter:
    """A mail as it would be, in the active language, about people who do not exist."""
    link = campaign_link(campaign)
    facts = Facts("Asha", "Maya C.", referrer_offer(campaign).top.amount, _("It is for inviting %(name)s."), link)
    facts = Facts(facts.reader, facts.friend, facts.amount, facts.why % {"name": facts.friend}, link, 12, 2)
    if kind == GIFT:
        facts = replace(facts, given=Given("SAMPLE-1234-ABCD"))
    elif kind == WAITING:
        facts = replace(facts, lines=(_("Say where it is to be paid, and it is on its way."),))
    if kind == "link":
        letter = letters.link_letter(campaign, link, letters.portal_address(campaign))
    elif kind == "confirm":
        letter = letters.confirm_letter(campaign, link)
    elif kind == "customer":
        letter = letters.invitation(campaign, replace(facts, page=link))
    else:
        letter = letters.notice(campaign, kind, facts)
    return letters.in_merchants_words(letter, campaign, mail_setting(campaign, kind), facts)


@require_safe
def preview(request: HttpRequest, token: str) -> HttpResponseBase:
    """The sample behind a signed name, as HTML in a frame of our own site, or with `?as=text` as plain text."""
    found = read_preview_token(token)
    campaign = find_campaign(found[0]) if found else None
    if found is None or campaign is None or found[1] not in KINDS:
        raise Http404
    _public_id, kind, language = found
    with translation.override(language):
        letter = sample(campaign, kind)
        stop_url = "" if KINDS[kind].required else f"{settings.SITE_URL}{reverse('hosted:portal')}"
        if request.GET.get("as") == "text":
            text = f"{letters.subject_of(campaign, letter)}\n\n{letters.text_of(campaign, letter, stop_url=stop_url)}"
            response = HttpResponse(text, content_type="text/plain; charset=utf-8")
        else:
            logo = str(look(campaign)["logo_url"])
            response = HttpResponse(letters.html_of(campaign, letter, logo=logo, stop_url=stop_url))
    response["X-Frame-Options"] = "SAMEORIGIN"
    response["Cache-Control"] = "no-store"
    guarded: HttpResponseBase = csp(POLICY)(lambda _request: response)(request)
    return guarded


def send_test(campaign_pk: int, kind: int, language: int, user_pk: int) -> bool:
    """For the worker: mail a sample to a member of the campaign's team. `kind` and `language` are places in KINDS and LANGUAGES."""
    campaign = Campaign.objects.select_related("merchant").get(pk=campaign_pk)
    member = Membership.objects.filter(merchant=campaign.merchant, user=user_pk).select_related("user").first()
    if member is None:
        return False
    with translation.override(settings.LANGUAGES[language][0]):
        mail = letters.compose(campaign, member.user.email, sample(campaign, list(KINDS)[kind]))
        try:
            return mail.send() == 1
        except (OSError, smtplib.SMTPException) as error:
            log.warning("A test mail was not taken: %s", type(error).__name__)
            return False
