"""Pages without log-in that belong to no campaign: health, front door."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

app_name = "public"
urlpatterns: list[URLPattern | URLResolver] = []
