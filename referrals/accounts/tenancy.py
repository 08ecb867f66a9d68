"""Whose data: a merchant and its live or test side. Every tenant table and every look-up starts here (ARCHITECTURE.md, rule 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeVar

from django.db import models

if TYPE_CHECKING:
    from referrals.accounts.models import Merchant

M = TypeVar("M", bound=models.Model)


@dataclass(frozen=True, slots=True)
class Tenant:
    """One side of one merchant. Live and test share people who log in, and nothing else."""

    merchant: Merchant
    is_test: bool = False


class TenantQuerySet(models.QuerySet[M]):
    """Rows that belong to a tenant."""

    def for_tenant(self, tenant: Tenant) -> Self:
        """The tenant's own rows; anything else does not exist for it.

        `is_test__in` and not `is_test`: Django writes the latter as NOT is_test, for which SQLite uses none of the indexes that
        begin with (merchant, is_test), and sorts the whole table instead.
        """
        return self.filter(merchant=tenant.merchant, is_test__in=[tenant.is_test])


class TenantModel(models.Model):
    """A row owned by a merchant, on its live or its test side. Money outlives everything, so the merchant is PROTECTed."""

    merchant = models.ForeignKey("accounts.Merchant", on_delete=models.PROTECT, related_name="+")
    is_test = models.BooleanField(default=False)

    class Meta:
        abstract = True

    @property
    def tenant(self) -> Tenant:
        """The side of the merchant that owns this row."""
        return Tenant(self.merchant, self.is_test)
