"""History for operators: to read."""

from __future__ import annotations

from django.contrib import admin

from referrals.accounts.operators import LookOnly
from referrals.events.models import Event


@admin.register(Event)
class EventAdmin(LookOnly):
    """What happened, newest first."""

    list_display = (
        "created_at",
        "type",
        "subject_id",
        "merchant",
        "is_test",
        "actor_kind",
        "actor_label",
        "request_id",
    )
    list_select_related = ("merchant",)
    list_filter = ("is_test", "actor_kind")
    search_fields = ("=subject_id", "=public_id", "=request_id", "=participant_ref")
    ordering = ("-pk",)
