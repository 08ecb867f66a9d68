"""Answers kept for `Idempotency-Key`, so that a repeated request gets the first one's answer (RELIABILITY section 2)."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from referrals.accounts.tenancy import TenantModel, TenantQuerySet


class IdempotencyRecord(TenantModel):
    """One key of one tenant, what was asked, and the answer once there is one; a lease while it runs.

    `owner` names the request that holds the lease, so that one that was overtaken can't store its answer.
    """

    key = models.CharField(max_length=255)
    method = models.CharField(max_length=6)
    path = models.CharField(max_length=500)
    request_hash = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    body = models.TextField(blank=True)
    headers = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now)
    leased_until = models.DateTimeField(null=True)
    owner = models.CharField(max_length=22, default="")

    objects = TenantQuerySet["IdempotencyRecord"].as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["merchant", "is_test", "key"], name="idempotency_once")]
        indexes = [models.Index(fields=["created_at"], name="idempotency_age")]

    def __str__(self) -> str:
        return self.key
