"""The app behind referrals/api."""

from __future__ import annotations

from django.apps import AppConfig


class ApiConfig(AppConfig):
    """Front end: parses, calls and renders; decides nothing."""

    name = "referrals.api"
    label = "api"
