"""Public pages: campaign, short links, portal."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

app_name = "hosted"
urlpatterns: list[URLPattern | URLResolver] = []
