"""What every HTTP request gets: an id for the logs, the client's true address, and no NUL bytes."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.http.request import UnreadablePostError

from referrals.lib.codes import random_text
from referrals.lib.problems import problem

request_id: ContextVar[str] = ContextVar("request_id", default="")
_SAFE_ID = re.compile(r"[A-Za-z0-9_-]{8,64}", re.ASCII)
Next = Callable[[HttpRequest], HttpResponseBase]


class RequestIdMiddleware:
    """Give each request an id (the caller's own when it is harmless), keep it for logs and history, and send it back."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get("X-Request-Id", "")
        value = given if _SAFE_ID.fullmatch(given) else random_text(16)
        token = request_id.set(value)
        try:
            response = self.get_response(request)
        finally:
            request_id.reset(token)
        response["X-Request-Id"] = value
        return response


class NulByteMiddleware:
    """Refuse a NUL in path, query or form with 400 before any database sees it (RELIABILITY section 6, row 14)."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        query = request.META.get("QUERY_STRING", "")
        if "\x00" in request.path or "%00" in query or "\x00" in query:
            if request.path.startswith("/api/"):
                path = request.path.replace("\x00", "")
                message = "The address has a NUL byte; remove it."
                return problem(path, 400, "nul_byte", message, request_id=request_id.get())
            return HttpResponse("The address has a NUL byte; remove it.", status=400, content_type="text/plain")
        if _is_form(request) and _has_nul(request):
            return HttpResponse("The form has a NUL byte; remove it.", status=400, content_type="text/plain")
        return self.get_response(request)


def _is_form(request: HttpRequest) -> bool:
    """Whether a page's form is sent; the API and the webhooks read their bodies themselves."""
    return (
        request.method == "POST"
        and request.content_type in {"application/x-www-form-urlencoded", "multipart/form-data"}
        and not request.path.startswith(("/api/", "/in/"))
    )


def _has_nul(request: HttpRequest) -> bool:
    try:
        return any("\x00" in text for name, values in request.POST.lists() for text in (name, *values))
    except UnreadablePostError:
        return False  # the connection broke; whoever reads the form next says so


def client_ip(request: HttpRequest) -> str:
    """The client's address: the n-th from the right of X-Forwarded-For with n proxies in front, else the socket's.

    What a client writes there itself is never believed (RELIABILITY F6; section 7, "Client IP").
    """
    return client_ip_of(request.META)


def client_ip_of(environ: Mapping[str, Any]) -> str:
    """As client_ip(), from a WSGI environment."""
    remote = str(environ.get("REMOTE_ADDR", ""))
    count: int = settings.TRUSTED_PROXY_COUNT
    if count > 0:
        hops = [hop.strip() for hop in str(environ.get("HTTP_X_FORWARDED_FOR", "")).split(",")]
        if len(hops) >= count:
            remote = hops[-count] if _is_ip(hops[-count]) else remote
    return remote if _is_ip(remote) else "0.0.0.0"  # noqa: S104 - a placeholder in a log column, nothing listens on it


@lru_cache(maxsize=4096)
def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def truncate_ip(text: str) -> str:
    """The network of an address (IPv4 /24, IPv6 /48), which is what is stored (RELIABILITY section 8, consent)."""
    address = ipaddress.ip_address(text)
    prefix = 24 if address.version == 4 else 48
    return str(ipaddress.ip_network(f"{address}/{prefix}", strict=False).network_address)


def client_key(request: HttpRequest) -> str:
    """Whom a limit counts: an IPv4 address, or an IPv6 network of /64, which one customer of a provider has to themselves
    (RELIABILITY section 7).
    """
    address = ipaddress.ip_address(client_ip(request))
    if address.version == 4:
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))


def takes_gzip(header: str) -> bool:
    """Whether an Accept-Encoding header asks for gzip."""
    for part in header[:500].lower().split(","):
        name, _mark, weight = part.partition(";")
        if name.strip() in {"gzip", "*"}:
            return weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False
