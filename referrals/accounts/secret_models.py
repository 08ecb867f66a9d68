"""The secret that a merchant's own server signs with, so that a browser may carry what it says (API.md, "Browser script")."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils import timezone

from referrals.accounts.tenancy import TenantModel, TenantQuerySet
from referrals.lib.sealed import seal, unseal


class SigningSecret(TenantModel):
    """One side's secret and the one before, sealed: HMAC needs them readable, unlike API keys."""

    sealed = models.TextField(editable=False)
    last4 = models.CharField(max_length=4, editable=False)
    made_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = TenantQuerySet["SigningSecret"].as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["merchant", "is_test"], name="one_signing_secret")]

    def __str__(self) -> str:
        return f"…{self.last4}"

    @property
    def _bound_to(self) -> str:
        return f"signing_secret.sealed:{self.merchant_id}:{self.is_test:d}"

    @property
    def secrets(self) -> dict[str, Any]:
        """`secret`, and `former` (which may be ""); raises SealError when the row was tampered with."""
        return unseal(self.sealed, bound_to=self._bound_to)

    @secrets.setter
    def secrets(self, value: dict[str, Any]) -> None:
        self.sealed = seal(value, bound_to=self._bound_to)
