"""The app of the append-only history."""

from __future__ import annotations

from django.apps import AppConfig


class EventsConfig(AppConfig):
    """What happened, who did it and when; also the outbox."""

    name = "referrals.events"
    label = "events"
