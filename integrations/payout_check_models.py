"""What companies say they paid against what is written here: when it was last compared, and what does not agree (issue 6, part 1)."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from referrals.accounts.tenancy import TenantModel, TenantQuerySet
from referrals.lib import clock
from referrals.lib.codes import public_id
from referrals.lib.money import Money


def _difference_id() -> str:
    return public_id("df")


class PayoutComparison(TenantModel):
    """A connection that pays, and when its company's list is next compared; the row is the job."""

    connection = models.OneToOneField("integrations.Connection", on_delete=models.CASCADE, related_name="comparison")
    next_at = models.DateTimeField(default=clock.wall)
    # When the long comparison is due, of days instead of hours.
    full_at = models.DateTimeField(default=clock.wall)
    done_at = models.DateTimeField(null=True)
    # How many payments the last one looked at, and why it could not be made, in words.
    looked_at = models.PositiveIntegerField(default=0)
    problem = models.CharField(max_length=500, blank=True)

    objects = TenantQuerySet["PayoutComparison"].as_manager()

    class Meta:
        indexes = [models.Index(fields=["next_at"], name="payout_comparison_next")]

    def __str__(self) -> str:
        return f"comparison of {self.connection_id}"


class PayoutDifference(TenantModel):
    """Something about which a company and we say different things. Stays until a person has looked, or until it has gone by itself."""

    KINDS = (
        ("stranger", _("The company has a payment with a name of ours that no payout here has")),
        ("amount", _("The company paid another amount")),
        ("twice", _("The company has two payments for one payout")),
        ("missing", _("The company does not know a payout that counts as sent here")),
    )

    public_id = models.CharField(max_length=32, unique=True, default=_difference_id, editable=False)
    connection = models.ForeignKey("integrations.Connection", on_delete=models.CASCADE, related_name="differences")
    kind = models.CharField(max_length=8, choices=KINDS)
    # Our name for the payment, and the company's.
    key = models.CharField(max_length=80)
    reference = models.CharField(max_length=255, blank=True)
    payout = models.ForeignKey("rewards.Payout", on_delete=models.CASCADE, null=True, related_name="differences")
    # In minor units; None where that side knows of no payment.
    ours_minor = models.BigIntegerField(null=True)
    theirs_minor = models.BigIntegerField(null=True)
    currency = models.CharField(max_length=3)
    found_at = models.DateTimeField(default=clock.wall)
    told_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    # Who looked, and what they found; empty when it has gone by itself.
    ended_by = models.CharField(max_length=300, blank=True)
    note = models.CharField(max_length=500, blank=True)

    objects = TenantQuerySet["PayoutDifference"].as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["connection", "kind", "key"], name="payout_difference_once")]
        indexes = [
            models.Index(
                fields=["merchant", "is_test", "-id"], condition=Q(ended_at=None), name="payout_difference_open"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"

    @property
    def ours(self) -> Money | None:
        """What the payout here says."""
        return None if self.ours_minor is None else Money(self.ours_minor, self.currency)

    @property
    def theirs(self) -> Money | None:
        """What the company says."""
        return None if self.theirs_minor is None else Money(self.theirs_minor, self.currency)
