"""The app integrations."""

from __future__ import annotations

from django.apps import AppConfig


class IntegrationsConfig(AppConfig):
    """See models.py and services.py."""

    name = "integrations"
