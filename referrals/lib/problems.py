"""The form of an error on the HTTP API: one JSON object for v1, an RFC 9457 problem document for v2 (API.md)."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import JsonResponse

PROBLEM = "application/problem+json"


def problem(
    path: str,
    status: int,
    code: str,
    message: str,
    *,
    field: str = "",
    details: dict[str, Any] | None = None,
    request_id: str = "",
) -> JsonResponse:
    """The answer to a request at `path` that was not carried out; below /api/v2/ a problem document, else v1's form.

    `code` is stable, `message` a plain sentence, `field` the input at fault ("amount.currency"), `details` further facts.
    """
    if path.startswith("/api/v2/"):
        body: dict[str, Any] = {
            "type": f"{settings.SITE_URL}/docs/errors/#{code}",
            "title": title_of(code),
            "status": status,
            "detail": message,
            "code": code,
            "field": field or None,
            "request_id": request_id or None,
        }
        body.update((name, value) for name, value in (details or {}).items() if name not in body)
        return JsonResponse(body, status=status, content_type=PROBLEM)
    facts = {"field": field, **(details or {})} if field else dict(details or {})
    body = {"status": status, "error": code, "message": message, "path": path, "details": facts}
    return JsonResponse(body, status=status)


def title_of(code: str) -> str:
    """`campaign_not_found` as words: Campaign not found."""
    return code.replace("_", " ").capitalize()
