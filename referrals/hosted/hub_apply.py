"""Applying in the affiliate hub: the form on a programme's page, "look into your mail", and the page behind the mailed link.

Opening the mailed address changes nothing, since scanners do that too: GET shows the application, POST sends it.
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from campaigns.listings import is_preview
from participants import applications
from participants.models import Application
from referrals.accounts import clocks
from referrals.events.services import Actor
from referrals.hosted import hub_page, tracking
from referrals.hosted.hub import find_listing, is_open, no_programme, programme_page
from referrals.hosted.hub_form import ApplyForm, may_mail, seconds_to_wait
from referrals.hosted.hub_page import hub_page as page
from referrals.hosted.page import by_token, framed, look, message
from referrals.lib.errors import Refused
from rewards.applications import confirm


# No session and no CSRF cookie: the form's own signed token stands in for them (referrals.hosted.hub_form).
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
@page
def programme(request: HttpRequest, slug: str) -> HttpResponseBase:
    """One programme: what it pays, its terms, how it is decided; POST applies."""
    listing = find_listing(slug)
    if (
        listing is not None
        and request.method != "POST"
        and is_preview(listing.campaign, request.GET.get("preview", ""))
    ):
        return framed(request, lambda: programme_page(request, listing, ApplyForm(listing)))
    if listing is None or not is_open(listing):
        return no_programme(request)
    if request.method != "POST":
        return programme_page(request, listing, ApplyForm(listing))
    form = ApplyForm(listing, request.POST)
    wait = seconds_to_wait(request)
    if wait:
        form.add_error(None, _("Many applications came from this network just now. Try again in a minute."))
        response = programme_page(request, listing, form, status=429)
        response["Retry-After"] = str(wait)
        return response
    if not form.is_valid():
        return programme_page(request, listing, form, status=422)
    data = form.cleaned_data
    if may_mail(data["email"], listing.campaign.public_id):
        applications.apply(
            campaign=listing.campaign,
            email=data["email"],
            answers=form.answers,
            first_name=data["first_name"],
            last_name=data["last_name"],
            language=get_language() or "",
        )
    return see_other(request, reverse("hosted:hub_sent", args=[listing.slug]))


def see_other(request: HttpRequest, path: str) -> HttpResponse:
    """303, in the language that the reader chose by hand."""
    response = HttpResponseRedirect(f"{path}?lang={get_language()}" if "lang" in request.GET else path)
    response.status_code = 303
    response["Cache-Control"] = "no-store"
    return response


@require_safe
@page
def sent_page(request: HttpRequest, slug: str) -> HttpResponseBase:
    """After applying, the same words for everybody."""
    listing = find_listing(slug)
    if listing is None or not is_open(listing):
        return no_programme(request)
    sent = _(
        "We have sent you a link. Open it and send your application from there: that shows that the address is yours."
    )
    before = _("If you have applied before, the mail says where your application stands.")
    response = message(
        request,
        listing.campaign,
        heading=_("Look into your mail"),
        text=f"{sent} {before}",
        icon="mail",
        url=reverse("hosted:hub"),
        label=_("See other programmes"),
    )
    response["Cache-Control"] = "no-store"
    return response


@require_http_methods(["GET", "HEAD", "POST"])
@page
def application(request: HttpRequest, token: str) -> HttpResponseBase:
    """What somebody applied with and where it stands; POST sends it. Whoever has the mailed link is the applicant."""
    row = applications.find(token)
    if row is None:
        response: HttpResponseBase = message(
            request,
            None,
            heading=_("This link is too old"),
            text=_(
                "It works for seven days, and a newer one takes its place. Apply once more, and we mail you a new one."
            ),
            icon="hourglass",
            status=410,
            url=reverse("hosted:hub"),
            label=_("See all programmes"),
        )
    else:
        clocks.enter(row.tenant)
        response = _send(request, row, token) if request.method == "POST" else _show(request, row)
    return by_token(response)


def _send(request: HttpRequest, row: Application, token: str) -> HttpResponseBase:
    actor = Actor("participant", "", _("Affiliate hub"))
    try:
        confirm(application=row, actor=actor, seen=tracking.seen(request, row.campaign))
    except Refused as refusal:
        return _show(request, row, error=refusal.message, status=409)
    return see_other(request, reverse("hosted:hub_application", args=[token]))


def _show(request: HttpRequest, row: Application, *, error: str = "", status: int = 200) -> HttpResponse:
    context = look(row.campaign) | {
        "application": row,
        "answers": [answer for answer in row.answers if answer.get("value")],
        "error": error,
        "home_url": reverse("hosted:hub"),
    }
    return hub_page.show(request, "hosted/hub_application.html", context, status=status)
