"""What was done by somebody who is not known yet: kept until they are (PRODUCT.md, "Late binding"; docs/attribution.md)."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from campaigns.models import Campaign
from referrals.accounts.tenancy import TenantModel, TenantQuerySet
from referrals.lib import clock
from referrals.lib.codes import public_id
from referrals.lib.money import Money


def _waiting_id() -> str:
    return public_id("we")


class WaitingEvent(TenantModel):
    """A fact whose source knows only its own id of the person. `event_ref` is what it became once somebody had that id.

    `scope` is the campaign's public id, or "" for a company's message, which names none: then the person's referral says which.
    """

    public_id = models.CharField(max_length=32, unique=True, default=_waiting_id, editable=False)
    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    scope = models.CharField(max_length=32, blank=True)
    customer_id = models.CharField(max_length=255)
    # The referrer's code that came along, so that a later address can join by it.
    code = models.CharField(max_length=16, blank=True)
    type = models.CharField(max_length=40, default="purchase")
    amount_minor = models.BigIntegerField(null=True)
    currency = models.CharField(max_length=3, blank=True)
    source = models.CharField(max_length=24)
    external_id = models.CharField(max_length=255)
    references = models.JSONField(default=list)
    occurred_at = models.DateTimeField()
    first_purchase_at = models.DateTimeField(null=True)
    metadata = models.JSONField(default=dict)
    recorded_at = models.DateTimeField(default=clock.now)
    found_at = models.DateTimeField(null=True)
    event_ref = models.CharField(max_length=32, blank=True)

    objects = TenantQuerySet["WaitingEvent"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["merchant", "is_test", "scope", "source", "external_id"], name="waiting_event_once"
            )
        ]
        indexes = [
            models.Index(
                fields=["merchant", "is_test", "source", "customer_id"],
                condition=Q(found_at=None),
                name="waiting_event_for",
            ),
            models.Index(fields=["merchant", "is_test", "-id"], condition=Q(found_at=None), name="waiting_event_list"),
            models.Index(fields=["recorded_at"], name="waiting_event_age"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.external_id}"

    @property
    def amount(self) -> Money | None:
        """What was paid, if anything was."""
        return None if self.amount_minor is None else Money(self.amount_minor, self.currency)
