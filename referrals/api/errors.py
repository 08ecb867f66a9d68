"""Every error that the API knows, and how an exception becomes one (API.md, "Errors"; RELIABILITY section 6)."""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.db import OperationalError
from django.http import Http404, JsonResponse
from django.http.request import UnreadablePostError
from rest_framework import exceptions

from campaigns.terms import TermsError
from referrals.lib.emails import EmailError
from referrals.lib.errors import Refused
from referrals.lib.money import MoneyError
from referrals.lib.pages import PageError
from referrals.lib.problems import problem
from referrals.lib.requests import request_id

log = logging.getLogger(__name__)
# A rule's error that is about the form of the JSON, not about what it says.
_MALFORMED = frozenset({"unknown_field", "invalid_type", "missing_field"})


class ApiError(Exception):
    """A request that is answered with an error: HTTP `status`, stable `code`, a plain sentence, and the field at fault."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        field: str = "",
        details: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.field = field
        self.details = details or {}
        self.headers = headers or {}


def malformed(code: str, message: str, field: str = "") -> ApiError:
    """400: the request can't be read."""
    return ApiError(400, code, message, field=field)


def refused(code: str, message: str, field: str = "") -> ApiError:
    """422: the request was read, and its values can't be accepted."""
    return ApiError(422, code, message, field=field)


def not_found(kind: str, given: str) -> ApiError:
    """404 naming the id; the same for what does not exist and for what belongs to another merchant (section 6, row 18)."""
    shown = given[:64]
    return ApiError(404, f"{kind}_not_found", f"No {kind.replace('_', ' ')} {shown}.", details={"id": shown})


def used_elsewhere(external_id: str, field: str = "external_id") -> ApiError:
    """409: the caller's id already names something else."""
    message = (
        f"The id {external_id[:64]} was already recorded for another participant or payment; use one id for one fact."
    )
    return ApiError(409, "external_id_reused", message, field=field)


def as_api_error(error: Exception) -> ApiError:
    """The API's form of any exception; what nobody foresaw becomes 500 `internal` and is logged with its traceback."""
    match error:
        case ApiError():
            return error
        case Refused():
            return ApiError(error.status, error.code, error.message, field=error.field, details=error.details)
        case TermsError():
            return ApiError(400 if error.code in _MALFORMED else 422, error.code, error.message, field=error.field)
        case MoneyError():
            return refused(error.code, error.message)
        case EmailError():
            return refused("email_invalid", str(error), "email")
        case PageError():
            return malformed("pagination", str(error), "cursor")
        case RequestDataTooBig():
            return ApiError(413, "body_too_large", "The request's body is larger than 256 KiB; send less at a time.")
        case OperationalError():
            log.error("the database did not answer", exc_info=error)
            return ApiError(
                503, "unavailable", "The service is busy; nothing was changed. Try again.", headers={"Retry-After": "2"}
            )
        case Http404() | exceptions.NotFound():
            return ApiError(404, "not_found", "There is nothing at this address; check its spelling.")
        case exceptions.MethodNotAllowed():
            return ApiError(405, "method_not_allowed", str(error.detail))
        case SuspiciousOperation() | UnreadablePostError() | exceptions.ParseError():
            return malformed("bad_request", "The request can't be read.")
    log.error("unexpected error", exc_info=error)
    return ApiError(500, "internal", "Something went wrong on our side; nothing was changed. Try again.")


def error_answer(error: Exception, path: str) -> JsonResponse:
    """The JSON answer for an exception raised while serving `path`. Never HTML, never a traceback."""
    found = as_api_error(error)
    response = problem(
        path,
        found.status,
        found.code,
        found.message,
        field=found.field,
        details=found.details,
        request_id=request_id.get(),
    )
    for name, value in found.headers.items():
        response[name] = value
    return response
