"""What people accepted when they joined: each version of a campaign's terms, and who accepted which, when (docs/hosted.md)."""

from __future__ import annotations

from django.db import models

from campaigns.models import Campaign
from referrals.lib import clock


class TermsVersion(models.Model):
    """The terms of a campaign in one language as somebody saw them. Never changed: other words are the next version."""

    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="terms_versions")
    number = models.PositiveIntegerField()
    language = models.CharField(max_length=8)
    digest = models.CharField(max_length=64)
    text = models.TextField(blank=True)
    url = models.CharField(max_length=2000, blank=True)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["campaign", "digest"], name="terms_version_once"),
            models.UniqueConstraint(fields=["campaign", "number"], name="terms_version_number"),
        ]

    def __str__(self) -> str:
        return f"terms {self.number} of {self.campaign_id}"


class Agreement(models.Model):
    """One person accepted one version of the terms; `source` says where, as Participant.source does."""

    participant = models.ForeignKey("participants.Participant", on_delete=models.PROTECT, related_name="agreements")
    terms = models.ForeignKey(TermsVersion, on_delete=models.PROTECT, related_name="+")
    source = models.CharField(max_length=24)
    agreed_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["participant", "terms"], name="agreement_once")]

    def __str__(self) -> str:
        return f"{self.participant_id} accepted {self.terms_id}"
