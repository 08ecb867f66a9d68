"""Who calls: an API key in the header of its version, what it may do, and how often (RELIABILITY section 6, row 34; section 7)."""

from __future__ import annotations

import re

from django.conf import settings
from django.http import HttpRequest

from referrals.accounts.keys import authenticate
from referrals.accounts.limits import Allowance, take
from referrals.accounts.models import ApiKey, Scope
from referrals.api.errors import ApiError
from referrals.events.services import Actor
from referrals.lib.requests import client_key

KEY_SECONDS = 60
# A publishable key stands in public pages, so its limit is the visitor's, not the key's (RELIABILITY section 7, "Limits").
VISITOR_LIMITS = ((10, 60), (60, 3600))
VISITOR_READS = ((60, 60),)

_KEY_TEXT = re.compile(r"(sk|pk)_(live|test)_", re.ASCII)
_KEY_NAMES = frozenset({"api_key", "apikey", "api-key", "x-api-key", "key", "access_token", "token", "authorization"})
_OVERRIDES = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")


def refuse_tricks(request: HttpRequest) -> None:
    """Keys in the address end up in logs (400); a header must not change the method (405)."""
    for name, values in request.GET.lists():
        if name.lower() in _KEY_NAMES or any(_KEY_TEXT.match(value) for value in values):
            raise ApiError(400, "key_in_url", "Send the API key in a header; addresses are written to logs.")
    if any(request.headers.get(name) for name in _OVERRIDES):
        raise ApiError(405, "method_not_allowed", "Use the method itself instead of a header that overrides it.")


def identify(request: HttpRequest, version: str) -> ApiKey:
    """The usable key of the request's header; raises ApiError 401, or 403 for a secret key that a browser sends."""
    text = _presented(request, version)
    key = authenticate(text) if text else None
    if key is None:
        header = "x-api-key" if version == "v1" else "Authorization: Bearer"
        raise ApiError(
            401,
            "unauthorized",
            f"Send a valid API key in the header {header}. Keys are made under Developers; they can expire and be revoked.",
            headers={} if version == "v1" else {"WWW-Authenticate": 'Bearer realm="Passalong"'},
        )
    if key.kind == "secret" and "Origin" in request.headers:
        raise ApiError(
            403, "secret_key_in_browser", "A web page sent a secret key. Revoke it, and use a publishable key in pages."
        )
    return key


def _presented(request: HttpRequest, version: str) -> str:
    if version == "v1":
        text = request.headers.get("x-api-key", "").strip()
    else:
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        text = text.strip() if scheme.lower() == "bearer" else ""
    return text if text.isascii() and len(text) <= 200 else ""


def check_scope(key: ApiKey, scope: Scope, *, publishable: bool) -> None:
    """403 unless the key may do this. `publishable` operations are open to publishable keys too."""
    if key.kind == "publishable":
        if not publishable:
            raise ApiError(
                403, "secret_key_required", "A publishable key can't do this; use a secret key on your server."
            )
        return
    if not key.allows(scope):
        raise ApiError(
            403,
            "missing_scope",
            f"The key {key.name!r} lacks the scope '{scope.value}'; make one that has it.",
            details={"scope": scope.value},
        )


def need_test_key(key: ApiKey) -> None:
    """403 for a live key: what plays with time or deletes everything exists on the test side only (API.md, "test keys only")."""
    if not key.is_test:
        raise ApiError(
            403,
            "test_key_required",
            "This exists on the test side only and a live key was sent; use a key that begins with sk_test_.",
        )


def count_call(key: ApiKey, request: HttpRequest, *, writes: bool) -> Allowance:
    """Count the call against the key (API_REQUESTS_PER_MINUTE), or against the visitor's address for a publishable key; 429 beyond."""
    if key.kind == "secret":
        allowance = take(f"api:{key.pk}", limit=settings.API_REQUESTS_PER_MINUTE, seconds=KEY_SECONDS)
        return _within(allowance)
    limits = VISITOR_LIMITS if writes else VISITOR_READS
    address = client_key(request)
    allowances = [
        _within(take(f"api:{key.pk}:{address}:{writes}:{seconds}", limit=limit, seconds=seconds))
        for limit, seconds in limits
    ]
    return allowances[0]


def _within(allowance: Allowance) -> Allowance:
    if not allowance.allowed:
        raise ApiError(
            429,
            "rate_limited",
            f"More than {allowance.limit} requests came in; wait {allowance.resets_in} seconds.",
            headers={"Retry-After": str(allowance.resets_in), **limit_headers(allowance)},
        )
    return allowance


def limit_headers(allowance: Allowance) -> dict[str, str]:
    """How much is left, as headers."""
    return {
        "RateLimit-Limit": str(allowance.limit),
        "RateLimit-Remaining": str(allowance.left),
        "RateLimit-Reset": str(allowance.resets_in),
    }


def actor_of(key: ApiKey) -> Actor:
    """The key as the one who did it, for the history."""
    return Actor("api_key", key.public_id, key.name)
