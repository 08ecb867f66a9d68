"""Addresses of settings, team, developers, history, and switching between businesses and sides."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

urlpatterns: list[URLPattern | URLResolver] = []
