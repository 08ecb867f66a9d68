"""Noting that a campaign's script or widget is at work, for the Install page; cheap enough to stand beside every call."""

from __future__ import annotations

import logging
import time
from datetime import datetime

from django.db import DatabaseError, transaction

from campaigns.models import Campaign
from campaigns.sighting_models import Sighting
from referrals.lib import clock

log = logging.getLogger(__name__)
EVERY = 30.0  # seconds between two notes of the same by one process
MOST = 10_000
_noted: dict[tuple[int, str], float] = {}


def note(campaign: Campaign, way: str, origin: str) -> None:
    """Keep when and where `way` was last seen. Nothing depends on it: a database that can't write now is only logged."""
    now = time.monotonic()
    if now < _noted.get((campaign.pk, way), 0.0):
        return
    if len(_noted) >= MOST:
        _noted.clear()
    _noted[campaign.pk, way] = now + EVERY
    row = Sighting(campaign=campaign, way=way, seen_at=clock.wall(), origin=origin[:300])
    try:
        with transaction.atomic():
            Sighting.objects.bulk_create(
                [row], update_conflicts=True, unique_fields=["campaign", "way"], update_fields=["seen_at", "origin"]
            )
    except DatabaseError:
        log.exception("That the %s of a campaign was seen can't be noted.", way)


def sightings_of(campaign: Campaign) -> dict[str, tuple[datetime, str]]:
    """When and from which origin each way was last seen."""
    rows = Sighting.objects.filter(campaign=campaign).values_list("way", "seen_at", "origin")
    return {way: (seen_at, origin) for way, seen_at, origin in rows}


def forget() -> None:
    """Forget what was just noted, for tests."""
    _noted.clear()
