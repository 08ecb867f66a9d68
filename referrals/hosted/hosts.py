"""Campaigns' own host names: a proven one shows its campaign's pages and nothing else; every other unknown Host is refused as before.

Django never hears of such a name. The middleware puts the site's own host in its place, so that no address that Django builds, and no
check that compares hosts, can be led astray by a header (RELIABILITY section 6, row 37). Merchant's console, API, portal and other
campaigns don't exist under it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponsePermanentRedirect, HttpResponseRedirect
from django.http.request import split_domain_port, validate_host
from django.views.decorators.http import require_safe

from campaigns.hosts import PROOF_PATH, campaign_at, proofs_at
from referrals.lib.addresses import ascii_host

LIFE = 30.0  # seconds: how late a name that was proven or taken away is noticed
MOST = 10_000
_PAGES = re.compile(r"/(?:campaign(?:/[a-z]+)?|invited/.*|r/.*|static/.*|js/(?:referral|widgets)\.js)", re.DOTALL)
_ASSETS = re.compile(r"/(?:c|js|widget)/([0-9A-Za-z]{10})/.*", re.DOTALL)
_PORTAL = re.compile(r"/me/.*", re.DOTALL)
_known: dict[str, tuple[float, str]] = {}
Next = Callable[[HttpRequest], HttpResponseBase]


class OwnHostMiddleware:
    """Stands first: see the module."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        given = str(request.META.get("HTTP_HOST", ""))
        domain, _port = split_domain_port(given)
        if not domain or validate_host(domain, settings.ALLOWED_HOSTS) or ":" in domain:
            return self.get_response(request)
        host = ascii_host(domain)
        if request.path == PROOF_PATH and request.method in {"GET", "HEAD"}:
            return _proofs(host)
        campaign_id = _campaign_at(host)
        if not campaign_id:
            return self.get_response(request)  # which refuses it: 400
        return self._serve(request, host, campaign_id)

    def _serve(self, request: HttpRequest, host: str, campaign_id: str) -> HttpResponseBase:
        if settings.SECURE_SSL_REDIRECT and not request.is_secure():
            return HttpResponsePermanentRedirect(f"https://{host}{request.get_full_path()}")
        led = _elsewhere(request, campaign_id)
        if led is not None:
            return led
        request.META["HTTP_HOST"] = _site_host()
        request.own_host_campaign = campaign_id  # type: ignore[attr-defined]  # read by campaign_of_host()
        response = self.get_response(request)
        if "Strict-Transport-Security" in response:
            # The merchant's other subdomains are not ours to promise anything about.
            response["Strict-Transport-Security"] = f"max-age={settings.SECURE_HSTS_SECONDS}"
        return response


def campaign_of_host(request: HttpRequest) -> str:
    """The public id of the campaign whose own name the request came to; "" under the site's own."""
    return str(getattr(request, "own_host_campaign", ""))


def forget() -> None:
    """Forget which names are known, for tests and for the process that has just proven one."""
    _known.clear()


def _site_host() -> str:
    site: str = settings.SITE_URL
    return site.partition("://")[2].partition("/")[0]


def _campaign_at(host: str) -> str:
    now = time.monotonic()
    until, found = _known.get(host, (0.0, ""))
    if now >= until:
        if len(_known) >= MOST:
            _known.clear()
        found = campaign_at(host) if host else ""
        _known[host] = (now + LIFE, found)
    return found


def _elsewhere(request: HttpRequest, campaign_id: str) -> HttpResponse | None:
    """The answer for what is not under the name: its front leads to the campaign, the portal to the site; the rest does not exist."""
    path, query = request.path, request.GET
    if path in {"/", "/campaign"} and "id" not in query:
        rest = urlencode([("id", campaign_id), *((name, value) for name in query for value in query.getlist(name))])
        return HttpResponseRedirect(f"/campaign?{rest}")
    if _PORTAL.fullmatch(path) and request.method in {"GET", "HEAD"}:
        return HttpResponseRedirect(f"{settings.SITE_URL}{request.get_full_path()}")
    asset = _ASSETS.fullmatch(path)
    mine = asset[1] == campaign_id if asset else bool(_PAGES.fullmatch(path))
    if mine and query.get("id", campaign_id) == campaign_id:
        return None
    return HttpResponse("There is no such page under this name.\n", status=404, content_type="text/plain")


def _proofs(host: str) -> HttpResponse:
    found = proofs_at(host)
    response = HttpResponse(
        "".join(f"{line}\n" for line in found), content_type="text/plain", status=200 if found else 404
    )
    response["Cache-Control"] = "no-store"
    return response


@require_safe
def certificate_for(request: HttpRequest) -> HttpResponse:
    """200 when the proxy may get a certificate for `domain`, because a campaign has set it as its own name; else 404.

    For proxies that make certificates on demand and ask first (Caddy's `on_demand_tls { ask }`).
    """
    known = proofs_at(ascii_host(request.GET.get("domain", "")[:300]))
    return HttpResponse("yes\n" if known else "no\n", status=200 if known else 404, content_type="text/plain")
