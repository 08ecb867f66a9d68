"""`/widget/<campaign>/referrer|invitee`: a card of the campaign for a frame on the merchant's own pages (docs/widgets.md).

The only pages of ours that others may frame, and only the campaign's own pages may (RELIABILITY section 8). In a frame of another site
there are no cookies: what the page around it knows comes by postMessage (static/js/widget.js) and is posted back. Who a customer is, is
believed for the signature of the merchant's server; without a good one this is the page that everybody sees.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from csp.constants import NONE
from csp.decorators import csp_replace
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from campaigns import sightings
from campaigns.models import Campaign, Status
from campaigns.texts import texts_for
from participants.attribution import Claim
from participants.confirming import Applicant
from participants.links import short_link
from participants.models import JoinRequest, Participant
from participants.services import check_email
from referrals.events.services import Actor
from referrals.hosted import clicks, join, kept, tracking, visitor
from referrals.hosted.confirm_mail import confirm_address
from referrals.hosted.join import JoinForm, form_token
from referrals.hosted.offer import closed_words, friend_offer, referrer_offer
from referrals.hosted.page import choose_language, find_campaign, find_referrer, languages_of, look, packed, public_name
from referrals.hosted.portal import share_addresses
from referrals.hosted.script_calls import check_limit
from referrals.hosted.signed import LONGEST_TOKEN, read_token, text_claim, wrong_claims
from referrals.hosted.story import tell
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.requests import takes_gzip
from rewards import services

log = logging.getLogger(__name__)
SOURCE = "widget"
SCHEMES = ("light", "dark")
_ORIGIN = re.compile(r"https?://(?:[a-z0-9-]{1,63}\.)*[a-z0-9-]{1,63}(?::[0-9]{1,5})?")
_COLOR = re.compile(r"#[0-9a-fA-F]{6}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom the merchant's server has named."""

    email: str
    first_name: str
    last_name: str
    language: str


def origins_of(campaign: Campaign) -> list[str]:
    """The origins whose pages may frame a campaign's widgets: its own list, each as a policy can spell it."""
    return [origin for origin in campaign.script_origins if _ORIGIN.fullmatch(origin)]


# No session and no CSRF cookie, which a frame on another site would not have: the form's own signed token stands in for them.
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def widget(request: HttpRequest, campaign_id: str, kind: str) -> HttpResponseBase:
    """One widget. POST joins with the form, or with `identity` shows a customer their own link."""
    campaign = find_campaign(campaign_id)
    if campaign is None or campaign.status == Status.DRAFT:
        raise Http404
    language = choose_language(request, languages_of(campaign))
    if origin := _origin(request, campaign):
        sightings.note(campaign, "widget", origin)
    with translation.override(language), timezone.override(campaign.merchant.zone):
        response = _answer(request, campaign, kind, language)
        response["Content-Language"] = language
    return _framed(request, campaign, response)


def _framed(request: HttpRequest, campaign: Campaign, response: HttpResponse) -> HttpResponseBase:
    """Frames by exactly the campaign's origins; what is somebody's own is never kept anywhere."""
    ancestors = origins_of(campaign) or [NONE]
    framed = csp_replace({"frame-ancestors": ancestors})(lambda _request: response)(request)
    # Both headers would contradict each other, and browsers that know frame-ancestors go by it.
    framed.xframe_options_exempt = True  # type: ignore[attr-defined]  # read by XFrameOptionsMiddleware
    framed["Cache-Control"] = "private, no-store" if request.method == "POST" else "private, no-cache"
    return framed


def _answer(request: HttpRequest, campaign: Campaign, kind: str, language: str) -> HttpResponse:
    given = request.GET.get("referralCode", "").strip()
    referrer = find_referrer(campaign, given) if kind == "invitee" and clicks.is_code(given) else None
    if request.method == "POST" and "identity" in request.POST and kind == "referrer":
        return _named(request, campaign, language)
    if (reason := campaign.closed_reason(clock.now())) is not None:
        return _closed(request, campaign, reason)
    if request.method == "POST":
        return _join(request, campaign, language, referrer)
    return _public(request, campaign, language, referrer)


def _named(request: HttpRequest, campaign: Campaign, language: str) -> HttpResponse:
    """The own link of the customer whom the token names; the public page, with the reason in a word, for any other token."""
    try:
        check_limit(request)
        identity = read_identity(request.POST["identity"], campaign)
        participant = _enrol(request, campaign, identity, language)
        if participant is None:
            form = JoinForm(campaign, language=language)
            form.initial = {"email": identity.email, "first_name": identity.first_name}
            return _public(request, campaign, language, None, form=form)
    except Refused as refusal:
        log.info("A widget of campaign %s was not told who is there: %s.", campaign.public_id, refusal.code)
        reason = campaign.closed_reason(clock.now())
        if reason is not None:
            return _closed(request, campaign, reason)
        return _public(request, campaign, language, None, refused=refusal.code)
    participant.campaign = campaign
    sightings.note(campaign, "identity", _origin(request, campaign))
    return _own(request, campaign, language, participant)


def read_identity(token: str, campaign: Campaign) -> Identity:
    """Whom a token names. Raises Refused as read_token does; a token for a purchase is none for a person, and the other way round."""
    claims = read_token(token[: LONGEST_TOKEN + 1], campaign)
    if "external_id" in claims or "amount_minor" in claims:
        raise wrong_claims("This token is for a purchase. Sign one for the person, with aud, exp and email only.")
    email = text_claim(claims, "email")
    if not email:
        raise wrong_claims("The token lacks email.")
    names = (text_claim(claims, name, 80) for name in ("first_name", "last_name", "language"))
    return Identity(email, *names)


def _enrol(request: HttpRequest, campaign: Campaign, identity: Identity, language: str) -> Participant | None:
    """The customer's participant; None for a new one where joining asks for more than an address, which they have to answer.

    Looking at the merchant's page is no reason to be somebody's friend: no code binds them here.
    """
    key = check_email(identity.email).key
    found = Participant.objects.filter(campaign=campaign, email_key=key).first()
    if found is not None:
        return found
    if campaign.is_open and JoinForm(campaign, language=language).asks:
        return None
    return services.join(
        campaign=campaign,
        email=identity.email,
        actor=Actor("api", "", "Widget, signed by the merchant's server"),
        source=SOURCE,
        first_name=identity.first_name,
        last_name=identity.last_name,
        language=identity.language if identity.language in languages_of(campaign) else language,
        seen=tracking.seen(request, campaign),
    ).participant


def _own(request: HttpRequest, campaign: Campaign, language: str, participant: Participant) -> HttpResponse:
    texts = texts_for(campaign, language)
    link = short_link(participant)
    context = {
        "texts": texts,
        "participant": participant,
        "link": link,
        "shown_link": link.partition("://")[2],
        "share": share_addresses(link, texts.share_message, campaign.merchant.name),
        "story": tell(participant),
        "closed": campaign.closed_reason(clock.now()),
        "portal_url": f"{settings.SITE_URL}{reverse('hosted:portal')}?{urlencode({'campaign': campaign.public_id})}",
    }
    return _show(request, campaign, "own", context)


def _public(
    request: HttpRequest,
    campaign: Campaign,
    language: str,
    referrer: Participant | None,
    *,
    form: JoinForm | None = None,
    refused: str = "",
    status: int = 200,
) -> HttpResponse:
    """What everybody may see: the offer to a friend of `referrer`, or to whoever wants a link. Kept as bytes while nothing was typed."""

    def context(token: str) -> dict[str, Any]:
        return _offer(campaign, language, referrer, form or JoinForm(campaign, language=language)) | {
            "refused": refused,
            "token": token,
        }

    token = form_token(campaign)
    # A colour from the address could be any: those pages are made anew.
    if form is not None or refused or "accent" in request.GET:
        return _show(request, campaign, "public", context(token), status=status)

    def render() -> bytes:
        place = mark_safe(kept.TOKEN)  # noqa: S308 - a constant, put there to be replaced
        return _show(request, campaign, "public", context(place)).content

    shown = (referrer.referral_code, referrer.first_name, public_name(referrer)) if referrer else ()
    frame = (_origin(request, campaign), request.GET.get("theme", "")[:5], _waits(request, "public"))
    page = kept.page(campaign, ("widget", language, shown, frame), render)
    if not takes_gzip(request.headers.get("Accept-Encoding", "")):
        return packed(request, HttpResponse(page.plain(token), status=status))
    response = HttpResponse(page.gzipped(token), status=status)
    response["Content-Encoding"] = "gzip"
    return packed(request, response)


def _offer(campaign: Campaign, language: str, referrer: Participant | None, form: JoinForm) -> dict[str, Any]:
    texts = texts_for(campaign, language)
    first_name = referrer.first_name.strip() if referrer else ""
    own_terms = f"{reverse('hosted:terms')}?{urlencode({'id': campaign.public_id, 'lang': language})}"
    return {
        "texts": texts,
        "invited": referrer is not None,
        "referrer_name": public_name(referrer) if referrer else "",
        "first_name": first_name,
        "headline": texts.reward_header if referrer else texts.share_header,
        "lede": texts.reward_description if referrer else texts.share_description,
        "offer": friend_offer(campaign, first_name) if referrer else referrer_offer(campaign),
        "form": form,
        "asks": form.asks,
        "terms_url": campaign.terms_url or (own_terms if texts.terms else ""),
    }


def _closed(request: HttpRequest, campaign: Campaign, reason: str) -> HttpResponse:
    icon, heading, text = closed_words(campaign, reason)
    return _show(request, campaign, "closed", {"icon_name": icon, "heading": heading, "text": text})


def _join(request: HttpRequest, campaign: Campaign, language: str, referrer: Participant | None) -> HttpResponse:
    form = JoinForm(campaign, request.POST, language=language)
    if wait := join.seconds_to_wait(request):
        form.add_error(None, _("Many people joined from this network just now. Try again in a minute."))
        response = _public(request, campaign, language, referrer, form=form, status=429)
        response["Retry-After"] = str(wait)
        return response
    if form.is_valid():
        try:
            done = _enter(request, campaign, form, referrer.referral_code if referrer else "", language)
        except Refused as refusal:
            form.add_error("email" if refusal.code == "email_invalid" else None, refusal.message)
        else:
            if isinstance(done, JoinRequest):
                context = {"email": done.email, "confirm_url": confirm_address(done) if campaign.is_test else ""}
                return _show(request, campaign, "waiting", context)
            return _thanks(request, campaign, language, done, referrer)
    return _public(request, campaign, language, referrer, form=form, status=422)


def _thanks(
    request: HttpRequest, campaign: Campaign, language: str, participant: Participant, referrer: Participant | None
) -> HttpResponse:
    participant.campaign = campaign
    texts, link = texts_for(campaign, language), short_link(participant)
    context = {
        "texts": texts,
        "invited": referrer is not None,
        "offer": friend_offer(campaign, "") if referrer else referrer_offer(campaign),
        "discount": campaign.discount_for(referrer.referral_code) if referrer else "",
        "link": link,
        "shown_link": link.partition("://")[2],
        "share": share_addresses(link, texts.share_message, campaign.merchant.name),
    }
    return _show(request, campaign, "joined", context)


def _enter(
    request: HttpRequest, campaign: Campaign, form: JoinForm, code: str, language: str
) -> Participant | JoinRequest:
    """As on the campaign's page; known and new addresses are answered alike (RELIABILITY INV-30)."""
    cookies = {visitor.cookie_name(campaign.public_id): request.POST.get("visitor", "")[:200]}
    now = int(clock.now().timestamp())
    known = visitor.read(cookies, campaign.public_id, campaign.window_days, now)
    person = known or tracking.visitor_of(request, campaign)
    if person:
        join.load_clicks()
    who = Applicant(
        email=form.cleaned_data["email"],
        first_name=form.cleaned_data["first_name"],
        language=language,
        source=SOURCE,
        claim=Claim(
            link_code=code,
            cookie_code=person.code(campaign.attribution_model) if person else "",
            visitor=person.id if person else "",
        ),
        answers=form.answers,
        seen=tracking.seen(request, campaign),
    )
    return join.enter(campaign, who, Actor("participant", "", _("Widget")))


def _origin(request: HttpRequest, campaign: Campaign) -> str:
    """The origin of the page around the frame as widgets.js says it, when it is on the list."""
    wanted = request.GET.get("origin", "")
    return wanted if wanted in origins_of(campaign) else ""


def _waits(request: HttpRequest, view: str) -> bool:
    """Whether the frame is not shown before it is known who is there."""
    return view == "public" and request.method != "POST" and "signed" in request.GET


def _show(
    request: HttpRequest, campaign: Campaign, view: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    scheme, accent = (request.GET.get(name, "") for name in ("theme", "accent"))
    found = look(campaign)
    if _COLOR.fullmatch(accent):
        found["theme_url"] += f"?c={accent[1:]}"
    context |= found | {
        "view": view,
        "template": f"hosted/widget/_{view}.html",
        # The one page that the frame talks to: whoever else frames it was refused by the policy.
        "origin": _origin(request, campaign),
        "scheme": scheme if scheme in SCHEMES else "",
        "waits": _waits(request, view),
    }
    return render(request, "hosted/widget/page.html", context, status=status)
