"""Applications to an affiliate programme, their mails, and the log-in to all of one's programmes (docs/hub.md)."""

from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from campaigns.models import Campaign
from referrals.accounts.tenancy import TenantModel, TenantQuerySet
from referrals.lib import clock
from referrals.lib.codes import public_id, random_text


def _application_id() -> str:
    return public_id("apl")


def application_nonce() -> str:
    """What the mailed link of an application carries besides its number."""
    return random_text(22)


class Application(TenantModel):
    """Somebody's wish to take part in a programme, once per campaign and address. It counts once its address is confirmed by mail.

    `answers` are what was asked and said then: [{"key", "label", "kind", "value"}].
    """

    UNCONFIRMED, WAITING, APPROVED, DECLINED = "unconfirmed", "waiting", "approved", "declined"
    STATUSES = (
        (UNCONFIRMED, _("Not confirmed yet")),
        (WAITING, _("Waiting")),
        (APPROVED, _("Approved")),
        (DECLINED, _("Declined")),
    )
    # How long an application may wait for its confirmation, and how long a mailed link to it works.
    LIFE = timedelta(days=7)

    public_id = models.CharField(max_length=32, unique=True, default=_application_id, editable=False)
    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="applications")
    email = models.CharField(max_length=254)
    email_key = models.CharField(max_length=254)
    first_name = models.CharField(max_length=80, blank=True)
    last_name = models.CharField(max_length=80, blank=True)
    language = models.CharField(max_length=8, blank=True)
    answers = models.JSONField(default=list, blank=True)
    status = models.CharField(max_length=11, choices=STATUSES, default=UNCONFIRMED)
    nonce = models.CharField(max_length=22, default=application_nonce)
    created_at = models.DateTimeField(default=clock.now)
    confirmed_at = models.DateTimeField(null=True)
    decided_at = models.DateTimeField(null=True)
    decided_by = models.CharField(max_length=300, blank=True)
    # What the applicant is told about the decision, in the merchant's words.
    reason = models.CharField(max_length=1000, blank=True)
    participant = models.ForeignKey("participants.Participant", on_delete=models.PROTECT, null=True, related_name="+")

    objects = TenantQuerySet["Application"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["campaign", "email_key"], name="application_once"),
            models.CheckConstraint(
                condition=~Q(status="approved") | Q(participant__isnull=False), name="application_approved_takes_part"
            ),
        ]
        indexes = [
            # The merchant's lists, and one person's applications everywhere.
            models.Index(fields=["merchant", "is_test", "status", "-id"], name="application_list"),
            models.Index(fields=["email_key"], name="application_email"),
            models.Index(fields=["created_at"], condition=Q(status="unconfirmed"), name="application_unconfirmed"),
        ]

    def __str__(self) -> str:
        return self.name or self.email

    @property
    def name(self) -> str:
        """First and last name, as far as known."""
        return f"{self.first_name} {self.last_name}".strip()


class ApplicationMail(models.Model):
    """One mail to an applicant. The row is the job: it carries its attempts, and a sweeper serves it."""

    CONFIRM, STATE, APPROVED, DECLINED = "confirm", "state", "approved", "declined"
    MOST_ATTEMPTS = 12  # over about three days

    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="mails")
    kind = models.CharField(max_length=8)
    created_at = models.DateTimeField(default=clock.wall)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, default=clock.wall)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["next_attempt_at"], condition=Q(next_attempt_at__isnull=False), name="application_mail_waiting"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} to {self.application_id}"


class HubAccess(models.Model):
    """A log-in to all programmes of one address: first a mailed one-time link, then, once it is used, the session of one browser.

    It is nobody's side: it proves an address, and shows what that address has with each merchant. Only the token's hash is kept.
    """

    LINK_LIFE = timedelta(minutes=10)
    SESSION_LIFE = timedelta(days=30)

    email = models.CharField(max_length=254)
    email_key = models.CharField(max_length=254, db_index=True)
    language = models.CharField(max_length=8, blank=True)
    nonce = models.CharField(max_length=22, default=application_nonce)
    created_at = models.DateTimeField(default=clock.wall)
    sent_at = models.DateTimeField(null=True)
    used_at = models.DateTimeField(null=True)
    token_hash = models.CharField(max_length=64, unique=True, null=True)
    expires_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    agent = models.CharField(max_length=200, blank=True)

    class Meta:
        indexes = [models.Index(fields=["created_at"], name="hub_access_age")]

    def __str__(self) -> str:
        return f"hub of {self.email}"
