"""The app participants."""

from __future__ import annotations

from django.apps import AppConfig


class ParticipantsConfig(AppConfig):
    """See models.py and services.py."""

    name = "participants"
