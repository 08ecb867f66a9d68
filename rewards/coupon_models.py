"""Lists of codes that a merchant uploads, each worth the same and given once."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Q

from referrals.accounts.tenancy import TenantModel, TenantQuerySet
from referrals.lib import clock
from referrals.lib.codes import public_id
from referrals.lib.days import last_moment
from referrals.lib.money import Money
from referrals.lib.sealed import seal, unseal
from rewards.payout_models import Payout


def _list_id() -> str:
    return public_id("cl")


class CouponList(TenantModel):
    """Codes of one kind: what one is worth, until when, and how few left the team is told of."""

    public_id = models.CharField(max_length=32, unique=True, default=_list_id, editable=False)
    name = models.CharField(max_length=80)
    worth_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    # The codes can be used until then, at the shop; none is given any more after it.
    expires_at = models.DateTimeField(null=True, blank=True)
    low_at = models.PositiveIntegerField(default=20)
    # When the team was told that few are left; empty again once there are more.
    alerted_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=clock.now)
    created_by = models.CharField(max_length=300, blank=True)

    objects = TenantQuerySet["CouponList"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["merchant", "is_test", "name"], condition=Q(closed_at=None), name="coupon_list_name"
            ),
            models.CheckConstraint(condition=Q(worth_minor__gt=0), name="coupon_list_worth"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def worth(self) -> Money:
        """What one code is worth."""
        return Money(self.worth_minor, self.currency)

    @property
    def last_moment(self) -> datetime | None:
        """A moment of the last day on which its codes can be used, by the merchant's clock; None for codes that don't expire."""
        return last_moment(self.expires_at) if self.expires_at else None

    @property
    def is_expired(self) -> bool:
        """Whether its codes can't be used any more."""
        return self.expires_at is not None and self.expires_at <= clock.now()


class CouponCode(TenantModel):
    """One code. Sealed until it is given; then the payout's gift has it, and only its last characters stay here."""

    list = models.ForeignKey(CouponList, on_delete=models.PROTECT, related_name="codes")
    sealed = models.TextField(editable=False, blank=True)
    # The same for the same code at one side of one merchant, so that none is there twice.
    fingerprint = models.CharField(max_length=64)
    hint = models.CharField(max_length=8, blank=True)
    payout = models.OneToOneField(Payout, on_delete=models.PROTECT, null=True, related_name="coupon")
    taken_at = models.DateTimeField(null=True)
    added_at = models.DateTimeField(default=clock.now)

    objects = TenantQuerySet["CouponCode"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["merchant", "is_test", "fingerprint"], name="coupon_code_once"),
            models.CheckConstraint(
                condition=Q(payout=None, taken_at=None) | Q(payout__isnull=False, taken_at__isnull=False),
                name="coupon_code_taken",
            ),
        ]
        indexes = [models.Index(fields=["list", "id"], condition=Q(payout=None), name="coupon_code_free")]

    def __str__(self) -> str:
        return f"a code of {self.list_id}"

    @property
    def public_id(self) -> str:
        """What to call it where a public id is wanted."""
        return f"coupon {self.pk}"

    @property
    def _bound_to(self) -> str:
        return f"coupon_code.sealed:{self.list_id}:{self.fingerprint}"

    @property
    def secrets(self) -> dict[str, Any]:
        """`code`, `url` and `pin`, opened, each "" where there is none; raises SealError when the row was tampered with."""
        return unseal(self.sealed, bound_to=self._bound_to)

    @secrets.setter
    def secrets(self, value: dict[str, Any]) -> None:
        self.sealed = seal(value, bound_to=self._bound_to)
