"""The app campaigns."""

from __future__ import annotations

from django.apps import AppConfig


class CampaignsConfig(AppConfig):
    """See models.py and services.py."""

    name = "campaigns"
