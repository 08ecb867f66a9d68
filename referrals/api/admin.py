"""Kept answers, for operators: to read, without what they said."""

from __future__ import annotations

from django.contrib import admin

from referrals.accounts.operators import LookOnly
from referrals.api.models import IdempotencyRecord


@admin.register(IdempotencyRecord)
class IdempotencyRecordAdmin(LookOnly):
    """Repeated requests."""

    list_display = ("created_at", "merchant", "is_test", "method", "path", "status")
    list_select_related = ("merchant",)
    exclude = ("body", "request_hash")
