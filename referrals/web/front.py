"""The front door, and the small files that every site has."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from campaigns.listing_models import Listing
from referrals.lib import clock
from referrals.web.demo import EMAIL, PASSWORD

_CLOSED = ("/app/", "/account/", "/api/", "/invitation/", "/me/", "/in/", "/hub/me/", "/hub/applications/")
ROBOTS = "User-agent: *\n" + "".join(f"Disallow: {path}\n" for path in _CLOSED)


@require_safe
def front(request: HttpRequest) -> HttpResponse:
    """What this is, and the way in; people who are logged in go to their first page."""
    if request.user.is_authenticated:
        return redirect("web:home")
    log_in = {"email": EMAIL, "password": PASSWORD} if settings.DEMO else None
    has_programmes = settings.HUB and Listing.objects.public(clock.now()).exists()
    context = {"demo": log_in, "sign_up_open": settings.SIGN_UP_OPEN, "has_programmes": has_programmes}
    return render(request, "public/front.html", context)


@require_safe
@cache_control(public=True, max_age=86_400)
def robots(request: HttpRequest) -> HttpResponse:
    """Campaign pages and the affiliate hub may be found; the rest is for those who work here. The operators' address is not told."""
    return HttpResponse(ROBOTS, content_type="text/plain; charset=utf-8")


@require_safe
@cache_control(public=True, max_age=86_400)
def favicon(request: HttpRequest) -> HttpResponse:
    """Where the icon is, for browsers that ask for the old address."""
    return redirect(static("favicon.svg"))
