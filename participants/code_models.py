"""Codes that people choose for themselves, or merchants for them; the first, random code of a participant always keeps working."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from campaigns.models import Campaign
from referrals.accounts.tenancy import TenantModel, TenantQuerySet
from referrals.lib import clock


class ChosenCode(TenantModel):
    """One chosen code of one participant. Former ones stay theirs and keep working until the merchant takes them away.

    `key` is what the code looks like (participants.codes.look_of): two that look alike can't stand in one campaign.
    """

    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="+", db_index=False)
    participant = models.ForeignKey("participants.Participant", on_delete=models.PROTECT, related_name="chosen_codes")
    code = models.CharField(max_length=16)
    key = models.CharField(max_length=16)
    created_at = models.DateTimeField(default=clock.now)
    released_at = models.DateTimeField(null=True)

    objects = TenantQuerySet["ChosenCode"].as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["campaign", "key"], name="chosen_code_once")]
        indexes = [
            # An order's code names no campaign.
            models.Index(fields=["merchant", "is_test", "key"], condition=Q(released_at=None), name="chosen_code_key"),
        ]

    def __str__(self) -> str:
        return self.code
