"""The merchant's veto: their own system is asked before a payout leaves (PRODUCT.md, "What the best of the field adds")."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from referrals.accounts.tenancy import TenantModel, TenantQuerySet
from referrals.lib import clock
from referrals.lib.codes import public_id
from referrals.lib.sealed import seal, unseal


def _veto_id() -> str:
    return public_id("vt")


class VetoEndpoint(TenantModel):
    """Where a side asks before it pays; one for each side. The secret signs the question (Standard Webhooks)."""

    public_id = models.CharField(max_length=32, unique=True, default=_veto_id, editable=False)
    url = models.CharField(max_length=2000)
    is_on = models.BooleanField(default=True)
    sealed = models.TextField(editable=False)
    created_at = models.DateTimeField(default=clock.now)

    objects = TenantQuerySet["VetoEndpoint"].as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["merchant", "is_test"], name="veto_endpoint_once")]

    def __str__(self) -> str:
        return self.url

    @property
    def _bound_to(self) -> str:
        return f"veto_endpoint.sealed:{self.public_id}"

    @property
    def secrets(self) -> dict[str, Any]:
        """`secret`, opened; raises SealError when the row was tampered with."""
        return unseal(self.sealed, bound_to=self._bound_to)

    @secrets.setter
    def secrets(self, value: dict[str, Any]) -> None:
        self.sealed = seal(value, bound_to=self._bound_to)


class PayoutVeto(models.Model):
    """One question about one payout, asked until it is answered; the row is the job. The times are real ones."""

    ANSWERS = (
        ("allowed", _("Allowed")),
        ("refused", _("Refused")),
        ("silent", _("No answer for 72 hours")),
        ("off", _("Not asked: it was switched off")),
        ("gone", _("Not asked: it was withdrawn")),
    )

    payout = models.OneToOneField("rewards.Payout", on_delete=models.PROTECT, related_name="veto")
    answer = models.CharField(max_length=7, choices=ANSWERS, blank=True)
    # The system's own words, or why it could not be asked.
    message = models.CharField(max_length=500, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=clock.wall)
    next_at = models.DateTimeField(null=True, default=clock.wall)

    class Meta:
        indexes = [models.Index(fields=["next_at"], condition=Q(next_at__isnull=False), name="payout_veto_next")]

    def __str__(self) -> str:
        return f"veto of {self.payout_id}: {self.answer}"
