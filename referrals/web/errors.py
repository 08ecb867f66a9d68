"""Error pages: say what happened and what to do; JSON for the API (RELIABILITY section 6)."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from referrals.lib.problems import problem
from referrals.lib.requests import request_id
from referrals.web.filters import BadFilter


def _error(request: HttpRequest, status: int, code: str, message: str) -> HttpResponse:
    if request.path.startswith("/api/"):
        return problem(request.path, status, code, message, request_id=request_id.get())
    return render(request, f"{status}.html", {"message": message}, status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400: the request can't be understood; a filter that does not exist is named."""
    message = str(exception) if isinstance(exception, BadFilter) else _("This request can't be understood.")
    return _error(request, 400, "bad_request", f"{message} {_('Go back and try again.')}")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403: known, but not allowed."""
    return _error(request, 403, "forbidden", _("Your role does not allow this. Ask an owner of the account."))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403: the form is too old or came from elsewhere."""
    return _error(request, 403, "csrf", _("This form has expired. Reload the page and try again."))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404: nothing here, or nothing that is yours."""
    return _error(
        request,
        404,
        "not_found",
        _("There is nothing here. It may have been removed, or it belongs to another account."),
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """500: our fault; the log has the request's id."""
    return _error(
        request,
        500,
        "internal",
        _("Something went wrong on our side. Try again; if it stays, tell us the time it happened."),
    )
