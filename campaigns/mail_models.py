"""What a merchant sets for the mails of a campaign: which are sent, their subject and first words (docs/mail.md)."""

from __future__ import annotations

from django.db import models


class CampaignMail(models.Model):
    """One kind of mail of one campaign, where the merchant changed anything; campaigns.mails has what counts without a row."""

    campaign = models.ForeignKey("campaigns.Campaign", on_delete=models.CASCADE, related_name="mails")
    kind = models.CharField(max_length=16)
    is_on = models.BooleanField(default=True)
    # By language: {"en": {"subject": "...", "opening": "..."}}.
    words = models.JSONField(default=dict, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["campaign", "kind"], name="campaign_mail_once")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.campaign_id}"
