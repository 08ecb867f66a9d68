"""The app behind referrals/web."""

from __future__ import annotations

from django.apps import AppConfig


class WebConfig(AppConfig):
    """Front end: parses, calls and renders; decides nothing."""

    name = "referrals.web"
    label = "web"
