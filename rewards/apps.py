"""The app rewards."""

from __future__ import annotations

from django.apps import AppConfig


class RewardsConfig(AppConfig):
    """See models.py and services.py."""

    name = "rewards"
