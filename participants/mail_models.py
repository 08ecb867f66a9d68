"""To whom no mail goes: who wants none, and whose address bounced; and mails that wait to be sent (docs/mail.md)."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from referrals.lib import clock


class MailStop(models.Model):
    """A person's wish for no more mails of one kind, or of any ("")."""

    participant = models.ForeignKey("participants.Participant", on_delete=models.CASCADE, related_name="mail_stops")
    kind = models.CharField(max_length=16, blank=True)
    stopped_at = models.DateTimeField(default=clock.wall)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["participant", "kind"], name="mail_stop_once")]

    def __str__(self) -> str:
        return f"{self.kind or 'no mail'} for {self.participant_id}"


class MailBounce(models.Model):
    """An address that a mail server refused for good; nothing is sent to it until somebody clears this."""

    participant = models.ForeignKey("participants.Participant", on_delete=models.CASCADE, related_name="mail_bounces")
    email_key = models.CharField(max_length=254)
    code = models.PositiveSmallIntegerField()
    text = models.CharField(max_length=300, blank=True)
    bounced_at = models.DateTimeField(default=clock.wall)
    cleared_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["participant", "email_key"], condition=Q(cleared_at=None), name="mail_bounce_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.code} for {self.participant_id}"


class MailOrder(models.Model):
    """One mail that somebody's press on a page asked for. The row is the job, as hosted.Mail is for notices.

    `to` is empty where it goes to the participant's own address, and is emptied once nothing more is to be sent.
    """

    MOST_ATTEMPTS = 12  # over about three days

    participant = models.ForeignKey("participants.Participant", on_delete=models.CASCADE, related_name="mail_orders")
    kind = models.CharField(max_length=16)
    # The public id of what it is about.
    subject_id = models.CharField(max_length=32)
    to = models.CharField(max_length=254, blank=True)
    created_at = models.DateTimeField(default=clock.wall)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, default=clock.wall)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["next_attempt_at"], condition=Q(next_attempt_at__isnull=False), name="mail_order_waiting"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} for {self.participant_id}"
