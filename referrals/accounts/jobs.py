"""What the schedule does for accounts."""

from __future__ import annotations

from django.contrib.sessions.models import Session
from django.utils import timezone

from referrals.accounts.limits import forget_expired


def forget() -> int:
    """Delete counters of attempts and log-in sessions that are over. Returns how many rows went."""
    sessions, _ = Session.objects.filter(expire_date__lt=timezone.now()).delete()
    return sessions + forget_expired()
