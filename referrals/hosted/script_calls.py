"""The browser script's calls from merchants' pages: which page may call, and the form of every answer (API.md, "Browser script").

Anybody can forge a browser's call, `Origin` included, so nothing here moves money by itself and no cookie is read or set: what the
page knows stands in the body. CORS lets exactly the campaign's origins read answers, without credentials (RELIABILITY F13, section 8).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse

from campaigns import sightings
from campaigns.models import Campaign, Status
from referrals.accounts import limits
from referrals.hosted.page import find_campaign
from referrals.lib.errors import Refused
from referrals.lib.problems import problem
from referrals.lib.requests import client_key, request_id

log = logging.getLogger(__name__)
LONGEST_BODY = 16 * 1024
# Calls of one visitor a minute, besides joining, which has the limits of the campaign's page.
MOST_CALLS = 120


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a page that may make it. `text()` reads the body of a POST, which has texts and at most one object."""

    request: HttpRequest
    campaign: Campaign
    body: Mapping[str, Any]

    def text(self, name: str, limit: int) -> str:
        """A text in one line without control characters; "" when it is missing. Raises Refused: invalid_type, too_long."""
        value = self.body.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise Refused("invalid_type", f"{name} must be a text.", field=name, status=400)
        value = " ".join("".join(c if c.isprintable() else " " for c in value).split())
        if len(value) > limit:
            raise Refused("too_long", f"{name} is longer than {limit} characters.", field=name)
        return value

    def group(self, name: str) -> Mapping[str, Any]:
        """An object of texts, numbers and truths; empty when it is missing. Raises Refused: invalid_type."""
        value = self.body.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict) or len(value) > 40:
            raise Refused("invalid_type", f"{name} must be an object.", field=name, status=400)
        return value

    def cut(self, name: str, limit: int) -> str:
        """A text cut to size, for what the browser says by itself; "" for anything else."""
        value = self.body.get(name)
        return value[:limit] if isinstance(value, str) else ""


Action = Callable[[Call], dict[str, Any]]


def answer(
    request: HttpRequest, campaign_id: str, method: str, action: Action, *, seconds: int = 0, way: str = "script"
) -> HttpResponse:
    """Run an action for a page on the campaign's list; `seconds` is for how long a GET's answer may be kept.

    `way` is what the Install page then has seen at work.
    """
    campaign = find_campaign(campaign_id)
    if campaign is None or campaign.status == Status.DRAFT:
        return _headers(_refused(request, Refused("campaign_not_found", f"No campaign {campaign_id}.", status=404)))
    origin = request.headers.get("Origin", "")
    if origin not in campaign.script_origins:
        return _headers(_refused(request, _stranger(origin)))
    if request.method == "OPTIONS":
        response: HttpResponse = HttpResponse(status=204)
        response["Access-Control-Allow-Methods"] = method
        response["Access-Control-Allow-Headers"] = "Content-Type"
        response["Access-Control-Max-Age"] = "600"
    elif request.method != method:
        response = _refused(request, Refused("method_not_allowed", f"Use {method} here.", status=405))
        response["Allow"] = f"{method}, OPTIONS"
    else:
        sightings.note(campaign, way, origin)
        response = _run(request, campaign, action)
        if seconds and response.status_code == 200:
            response["Cache-Control"] = f"public, max-age={seconds}"
    response["Access-Control-Allow-Origin"] = origin
    response["Access-Control-Expose-Headers"] = "Retry-After, X-Request-Id"
    return _headers(response)


def _run(request: HttpRequest, campaign: Campaign, action: Action) -> HttpResponse:
    try:
        check_limit(request)
        body = _body(request) if request.method == "POST" else {}
        return JsonResponse(action(Call(request, campaign, body)))
    except Refused as error:
        response = _refused(request, error)
        if error.status == 429:
            response["Retry-After"] = str(error.details["retry_after"])
        return response


def too_many(seconds: int) -> Refused:
    """429 that says when to come back."""
    message = f"Too many calls from this address. Wait {seconds} seconds."
    return Refused("rate_limited", message, status=429, details={"retry_after": seconds})


def check_limit(request: HttpRequest) -> None:
    """Count one call of this address. Raises Refused rate_limited (429); open when the counter is down."""
    try:
        span = limits.take(f"script:{client_key(request)}", limit=MOST_CALLS, seconds=60)
    except DatabaseError:
        log.exception("The limit on the script's calls can't be counted; letting the call through.")
        return
    if not span.allowed:
        raise too_many(span.resets_in)


def _body(request: HttpRequest) -> dict[str, Any]:
    length = str(request.META.get("CONTENT_LENGTH") or "0")
    if not (length.isascii() and length.isdigit()) or len(length) > 9 or int(length) > LONGEST_BODY:
        raise Refused("body_too_large", "The body is larger than 16 KiB.", status=413)
    try:
        # Texts with half a character (a lone surrogate) are none.
        value = json.loads(request.body.decode("utf-8"))
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise Refused("invalid_json", "The body is not JSON in UTF-8.", status=400) from error
    if not isinstance(value, dict):
        raise Refused("invalid_body", "Send a JSON object, such as {}.", status=400)
    return value


def _stranger(origin: str) -> Refused:
    shown = "".join(c for c in origin if c.isascii() and c.isprintable())[:200]
    if not shown:
        message = "The call names no Origin. It is for web pages; servers use /api/v2/ with a key."
    else:
        message = f"Pages of {shown} may not use this campaign. Add {shown} on the campaign's Links page, under Browser script."
    return Refused("origin_not_allowed", message, status=403, details={"origin": shown})


def _refused(request: HttpRequest, error: Refused) -> JsonResponse:
    return problem(
        request.path,
        error.status,
        error.code,
        error.message,
        field=error.field,
        details=error.details,
        request_id=request_id.get(),
    )


def _headers(response: HttpResponse) -> HttpResponse:
    response["Vary"] = "Origin"
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.setdefault("Cache-Control", "no-store")
    return response
