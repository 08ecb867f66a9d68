"""What all pages of the affiliate hub share: the switch of the installation, the language, what caches may keep."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec
from urllib.parse import urlencode

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import translation
from django.utils.cache import patch_vary_headers

from referrals.hosted.page import NAMES, choose_language

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]
# How long anybody may keep a page that is the same for everybody: a programme that is taken off is gone after a minute.
PUBLIC = "public, max-age=60"


def hub_page(view: View[P]) -> View[P]:
    """A page of the hub: 404 when the installation has none, and in the reader's language."""

    @wraps(view)
    def shown(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not settings.HUB:
            raise Http404
        language = choose_language(request, [code for code, _name in settings.LANGUAGES])
        with translation.override(language):
            response = view(request, *args, **kwargs)
        response["Content-Language"] = language
        patch_vary_headers(response, ["Accept-Language"])
        return response

    return shown


def show(
    request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200, public: bool = False
) -> HttpResponse:
    """A page from its template; `public` ones are the same for everybody and may be kept for a minute."""
    response = render(
        request, template, {"messages": [], "languages": other_languages(request), **context}, status=status
    )
    response["Cache-Control"] = PUBLIC if public else "private, no-store"
    return response


def other_languages(request: HttpRequest) -> list[dict[str, str]]:
    """Links to the same page in the other languages that it speaks."""
    kept = [(name, value) for name, value in request.GET.items() if name not in {"lang", "page", "preview"}]
    now = translation.get_language() or "en"
    return [
        {"code": code, "name": NAMES.get(code, code), "url": f"?{urlencode([*kept, ('lang', code)])}"}
        for code, _name in settings.LANGUAGES
        if code != now
    ]


def address(name: str, *args: Any) -> str:
    """A page of the hub as a whole address."""
    return f"{settings.SITE_URL}{reverse(f'hosted:{name}', args=args)}"
