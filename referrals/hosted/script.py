"""`/js/referral.js` and what it asks the server for: the campaign, a code, a visit, joining (API.md, "Browser script"; docs/script.md)."""

from __future__ import annotations

import gzip
import hashlib
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.http import parse_etags
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from campaigns.destinations import landing_page
from campaigns.models import Campaign
from campaigns.texts import texts_for
from participants.attribution import Claim
from participants.confirming import Applicant
from participants.fraud.traces import Seen, is_outside
from participants.join_answers import check_answers
from participants.links import campaign_link, share_link
from participants.models import JoinRequest, Participant, Visit
from participants.visits import visit_row
from referrals.events.services import Actor
from referrals.hosted import clicks, join, visitor
from referrals.hosted.page import choose_language, find_referrer, languages_of, public_name
from referrals.hosted.script_calls import Action, Call, answer, too_many
from referrals.hosted.script_token import qualify
from referrals.hosted.script_words import words
from referrals.lib import clock
from referrals.lib.addresses import read_address
from referrals.lib.codes import random_text
from referrals.lib.errors import Refused
from referrals.lib.requests import client_ip, takes_gzip, truncate_ip

_FOLDER = Path(__file__).parent / "browser"
FRESH = 300  # seconds: how late a new release of the script is noticed
# The code goes along from one of the merchant's sites to the next for so long without being another visit.
PASSED_ON = timedelta(hours=12)


@lru_cache(maxsize=4)
def packed(name: str) -> tuple[bytes, bytes, str]:
    """A script as it is, compressed, and the name of this version."""
    content = (_FOLDER / name).read_bytes()
    return content, gzip.compress(content, 9, mtime=0), hashlib.sha256(content).hexdigest()[:16]


@require_safe
def file(request: HttpRequest, name: str) -> HttpResponse:
    """A script, at an address that stays; compressed once, and kept by browsers and proxies for five minutes."""
    content, small, version = packed(name)
    as_gzip = takes_gzip(request.headers.get("Accept-Encoding", ""))
    etag = f'"{version}-gz"' if as_gzip else f'"{version}"'
    known = {tag.removeprefix("W/") for tag in parse_etags(request.headers.get("If-None-Match", ""))}
    response = HttpResponse(content_type="text/javascript; charset=utf-8")
    if etag in known or "*" in known:
        response.status_code = 304
    else:
        response.content = small if as_gzip else content
        if as_gzip:
            response["Content-Encoding"] = "gzip"
    response["ETag"] = etag
    response["Cache-Control"] = f"public, max-age={FRESH}, stale-while-revalidate=86400"
    response["Vary"] = "Accept-Encoding"
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Language"] = "en"
    return response


# The page's origin stands in for a CSRF token, and no cookie is read.
@csrf_exempt
def call(request: HttpRequest, campaign_id: str, name: str) -> HttpResponse:
    """One of the script's calls, by its name."""
    method, action, seconds = _CALLS[name]
    way = "widget" if name == "widget" else "script"
    return answer(request, campaign_id, method, action, seconds=seconds, way=way)


def _campaign(call: Call) -> dict[str, Any]:
    """What everybody may see of a campaign, under the names of the documented contract, and what the script goes by."""
    campaign = call.campaign
    texts = texts_for(campaign, choose_language(call.request, languages_of(campaign)))
    closed = campaign.closed_reason(clock.now())
    return {
        "campaignId": campaign.public_id,
        "campaignName": campaign.name,
        "status": {"": "Active", "campaign_ended": "End"}.get(closed or "", "Pause"),
        "hostURL": campaign_link(campaign),
        "paused": closed == "campaign_paused",
        "ended": closed == "campaign_ended",
        "rewardHeader": texts.reward_header,
        "rewardDescription": texts.reward_description,
        "shareHeader": texts.share_header,
        "shareDescription": texts.share_description,
        "hosts": _hosts(campaign),
    }


def _hosts(campaign: Campaign) -> list[str]:
    """The host names that the code is passed on to."""
    page = landing_page(campaign.landing_url)
    return list(dict.fromkeys([*([page.host] if page else []), *campaign.allowed_hosts]))


def _code(call: Call) -> dict[str, Any]:
    """Whether a code is somebody's, and whose, as the campaign's page says it."""
    referrer = find_referrer(call.campaign, call.request.GET.get("code", "")[:64])
    return {"valid": referrer is not None, "referrer": public_name(referrer) if referrer else ""}


def _visitor(call: Call) -> visitor.Visitor | None:
    """What the page's own cookie says, when we signed it and its window is not over."""
    cookies = {visitor.cookie_name(call.campaign.public_id): call.text("visitor", 200)}
    return visitor.read(cookies, call.campaign.public_id, call.campaign.window_days, int(clock.now().timestamp()))


def _visit(call: Call) -> dict[str, Any]:
    """Record that a page was opened with a code; the same rules as for a click on a link (docs/links.md)."""
    campaign, given = call.campaign, call.text("code", 64)
    referrer = find_referrer(campaign, given)
    if referrer is None:
        message = f"Nobody has the referral code {given[:40]} in this campaign."
        raise Refused("code_not_found", message, field="code", status=404)
    now, before = clock.now(), _visitor(call)
    hidden = _hidden_reason(call, referrer)
    twin = None if hidden else _same_click(call, referrer)
    name = before.id if before else twin.visitor if twin else random_text(22)
    again = before is not None and before.just_clicked(referrer.referral_code, int(now.timestamp()))
    if twin is None and not again:
        _row(call, referrer, name, hidden).save(force_insert=True)
    elif twin is not None and twin.visitor != name:
        # The click came through our own site, where this browser has another cookie or none.
        Visit.objects.filter(pk=twin.pk).update(visitor=name)
    after = visitor.click(before, referrer.referral_code, int(now.timestamp()), name)
    quiet = hidden or campaign.consent == "never" or clicks.wants_no_cookie(call.request.META)
    return {
        "code": referrer.referral_code if quiet else after.code(campaign.attribution_model),
        "visitor": "" if quiet else visitor.write(after, campaign.public_id),
        "keep": 0 if quiet else campaign.window_days * visitor.DAY,
        "consent": campaign.consent,
        "hosts": _hosts(campaign),
    }


def _hidden_reason(call: Call, referrer: Participant) -> str:
    """As for a navigation, which the script's own request is not; the page that it is on was one."""
    environ = {name: value for name, value in call.request.META.items() if not name.startswith("HTTP_SEC_FETCH_")}
    return clicks.hidden_reason({**environ, "REQUEST_METHOD": "GET"}, referrer.referral_code)


def _same_click(call: Call, referrer: Participant) -> Visit | None:
    """The visit that this one continues: a short link that led here a moment ago, a reload, or another site of the merchant."""
    campaign = call.campaign
    own = {*_hosts(campaign), *(page.host for page in map(read_address, campaign.script_origins) if page)}
    span = PASSED_ON if _referer(call) in own else timedelta(seconds=visitor.SAME_CLICK)
    if campaign.landing_mode == "redirect" or campaign.allowed_hosts:
        join.load_clicks()
    return (
        Visit.objects.filter(
            campaign=campaign,
            referrer=referrer,
            hidden_reason="",
            occurred_at__gte=clock.now() - span,
            network=truncate_ip(client_ip(call.request)),
            agent=clicks.agent(call.request.META),
        )
        .order_by("-occurred_at", "-pk")
        .first()
    )


def _referer(call: Call) -> str:
    return clicks.referer({"HTTP_REFERER": call.cut("referrer", 2000)})


def _row(call: Call, referrer: Participant, name: str, hidden: str) -> Visit:
    query = call.cut("query", 2000).removeprefix("?")
    return visit_row(
        referrer=referrer,
        visitor=name,
        at=clock.now(),
        hidden_reason=hidden,
        channel=clicks.channel(query),
        ip=client_ip(call.request),
        agent=clicks.agent(call.request.META),
        referer=_referer(call),
        utm=clicks.utm(query),
    )


def _join(call: Call) -> dict[str, Any]:
    """Join as on the campaign's page; people who are there already and new ones are answered alike (RELIABILITY INV-30)."""
    wait = join.seconds_to_wait(call.request)
    if wait:
        raise too_many(wait)
    campaign, seen = call.campaign, _visitor(call)
    email, code = call.text("email", 254), call.text("code", 64)
    if not email:
        raise Refused("missing_field", "email is missing.", field="email", status=400)
    if seen:
        join.load_clicks()
    ip = client_ip(call.request)
    outside = Seen(ip, call.request.headers.get("User-Agent", ""), (seen.id if seen else "",))
    language = choose_language(call.request, languages_of(campaign))
    accepted = call.body.get("termsAccepted") is True
    who = Applicant(
        email=email,
        first_name=call.text("firstName", 80),
        last_name=call.text("lastName", 80),
        language=language,
        source="script",
        claim=Claim(
            link_code=code if clicks.is_code(code) else "",
            cookie_code=seen.code(campaign.attribution_model) if seen else "",
            visitor=seen.id if seen else "",
        ),
        answers=check_answers(
            campaign, call.group("fields"), accepted=accepted, language=language, terms_field="termsAccepted"
        ),
        seen=outside if is_outside(ip) else None,
    )
    done = join.enter(campaign, who, Actor("participant", "", "Browser script"))
    if isinstance(done, JoinRequest):
        # Nobody has a code before the address is confirmed, whether they are known or not.
        return {"joined": False, "waiting": True, "referralCode": "", "shareLink": ""}
    return {"joined": True, "referralCode": done.referral_code, "shareLink": share_link(done)}


_CALLS: dict[str, tuple[str, Action, int]] = {
    "campaign": ("GET", _campaign, 60),
    "code": ("GET", _code, 0),
    "visit": ("POST", _visit, 0),
    "participants": ("POST", _join, 0),
    "events": ("POST", qualify, 0),
    "widget": ("GET", words, 60),
}
