"""Who gave their address at a checkout or in a form, for invitations that go out by themselves (docs/invitations.md)."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from referrals.accounts.tenancy import TenantModel, TenantQuerySet
from referrals.lib import clock


class Capture(TenantModel):
    """One purchase or form with an address. Kept only while a campaign of the side invites by itself, and for 120 days."""

    email = models.CharField(max_length=254)
    email_key = models.CharField(max_length=254)
    name = models.CharField(max_length=80, blank=True)
    source = models.CharField(max_length=24)
    # What was paid; null for a form and for what cost nothing.
    amount_minor = models.BigIntegerField(null=True)
    currency = models.CharField(max_length=3, blank=True)
    # Whether the source says that the person agreed to get mail.
    consent = models.BooleanField(default=False)
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField(default=clock.now)

    objects = TenantQuerySet["Capture"].as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(amount_minor=None) | Q(amount_minor__gt=0), name="capture_amount")
        ]
        indexes = [
            models.Index(fields=["merchant", "is_test", "id"], name="capture_list"),
            models.Index(fields=["merchant", "is_test", "email_key", "occurred_at"], name="capture_person"),
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.pk}"


class CaptureName(TenantModel):
    """A name that a source has for a capture (checkout, invoice, charge), so that one payment seen in two forms counts once."""

    capture = models.ForeignKey(Capture, on_delete=models.CASCADE, related_name="names")
    source = models.CharField(max_length=24)
    reference = models.CharField(max_length=255)

    objects = TenantQuerySet["CaptureName"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["merchant", "is_test", "source", "reference"], name="capture_once")
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.reference}"
