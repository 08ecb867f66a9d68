"""The app behind referrals/hosted."""

from __future__ import annotations

from django.apps import AppConfig


class HostedConfig(AppConfig):
    """Front end: parses, calls and renders; decides nothing."""

    name = "referrals.hosted"
    label = "hosted"
