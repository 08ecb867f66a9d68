"""The baseline: the product's settings without middleware, and one view that does nothing."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path

from referrals.settings import *  # noqa: F403

MIDDLEWARE: list[str] = []
INSTALLED_APPS: list[str] = []
ROOT_URLCONF = "bench.empty"
WSGI_APPLICATION = None


def empty(request: HttpRequest) -> HttpResponse:
    """Nothing, quickly."""
    return HttpResponse(b"ok")


urlpatterns = [path("", empty)]
