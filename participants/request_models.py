"""Joining that waits until the address is confirmed (double opt-in, docs/hosted.md)."""

from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.db.models import Q

from campaigns.models import Campaign
from participants.agreement_models import TermsVersion
from referrals.accounts.tenancy import TenantModel, TenantQuerySet
from referrals.lib import clock
from referrals.lib.codes import random_text


def _nonce() -> str:
    return random_text(22)


class JoinRequest(TenantModel):
    """Somebody filled in the form of a campaign that wants the address confirmed. Nobody is a participant yet, and nothing is decided.

    It guards a door, so its times are real ones on the test side, too.
    """

    LIFE = timedelta(days=3)
    MOST_MAILS = 5

    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="join_requests")
    email = models.CharField(max_length=254)
    email_key = models.CharField(max_length=254)
    first_name = models.CharField(max_length=80, blank=True)
    last_name = models.CharField(max_length=80, blank=True)
    language = models.CharField(max_length=8, blank=True)
    source = models.CharField(max_length=24)
    # The claim on a referrer, as it was when the form was sent; `referrer` sees that somebody is waiting.
    link_code = models.CharField(max_length=64, blank=True)
    cookie_code = models.CharField(max_length=64, blank=True)
    visitor = models.CharField(max_length=22, blank=True)
    referrer = models.ForeignKey(
        "participants.Participant", on_delete=models.SET_NULL, null=True, related_name="requests_brought"
    )
    answers = models.JSONField(default=dict, blank=True)
    terms = models.ForeignKey(TermsVersion, on_delete=models.PROTECT, null=True, related_name="+")
    # What was seen of the browser, for the fraud check once they have joined (participants.fraud.traces.Seen).
    seen = models.JSONField(default=dict, blank=True)
    nonce = models.CharField(max_length=22, default=_nonce)
    created_at = models.DateTimeField(default=clock.wall)
    mails = models.PositiveSmallIntegerField(default=0)
    # When a mail has to go out; null when nothing waits.
    mail_due_at = models.DateTimeField(null=True)
    confirmed_at = models.DateTimeField(null=True)
    participant = models.ForeignKey(
        "participants.Participant", on_delete=models.CASCADE, null=True, related_name="join_requests"
    )

    objects = TenantQuerySet["JoinRequest"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["campaign", "email_key"], condition=Q(confirmed_at=None), name="join_request_once"
            )
        ]
        indexes = [
            models.Index(fields=["created_at"], name="join_request_age"),
            models.Index(fields=["mail_due_at"], condition=Q(mail_due_at__isnull=False), name="join_request_mail"),
        ]

    def __str__(self) -> str:
        return f"request {self.pk} to join {self.campaign_id}"
