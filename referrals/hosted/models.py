"""What the public side keeps for itself: mails to participants that are to be sent, and how far the click journal has been read."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from participants.models import Participant


class Mail(models.Model):
    """One notice to a participant. The row is the job: it carries its attempts, and a sweeper serves it (ARCHITECTURE.md)."""

    MOST_ATTEMPTS = 12  # over about three days

    participant = models.ForeignKey(Participant, on_delete=models.CASCADE, related_name="mails")
    # One of campaigns.mails.KINDS.
    kind = models.CharField(max_length=16)
    # The public id of the friend or reward it tells of; one mail of a kind for each.
    subject_id = models.CharField(max_length=32)
    created_at = models.DateTimeField(default=timezone.now)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, default=timezone.now)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["participant", "kind", "subject_id"], name="mail_once")]
        indexes = [
            # What the sweeper asks for: null once it is sent or given up.
            models.Index(fields=["next_attempt_at"], condition=Q(next_attempt_at__isnull=False), name="mail_waiting"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} to {self.participant_id}"


class WaitingNotice(models.Model):
    """How often somebody was told that a reward waits for them: one row while it is not settled (referrals.hosted.reward_mail)."""

    participant = models.OneToOneField(Participant, on_delete=models.CASCADE, related_name="waiting_notice")
    since = models.DateTimeField(default=timezone.now)
    told = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(default=timezone.now, db_index=True)

    def __str__(self) -> str:
        return f"{self.participant_id} was told {self.told} times"


class Bookmark(models.Model):
    """How far a reader of the history has come: `position` is the last Event seen, `start` the one before which it never looks."""

    name = models.CharField(max_length=24, unique=True)
    start = models.BigIntegerField()
    position = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.name} at {self.position}"


class ClickSegment(models.Model):
    """How many bytes of one journal file have become visits; moved in the same transaction as the visits, so each counts once."""

    name = models.CharField(max_length=80, unique=True)
    loaded_bytes = models.BigIntegerField(default=0)
    started_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.name
