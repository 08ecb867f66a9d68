"""Friends whom a participant invited by mail, and reminders of friends who joined and have not bought (docs/portal.md)."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from campaigns.models import Campaign
from referrals.accounts.tenancy import TenantModel, TenantQuerySet
from referrals.lib import clock
from referrals.lib.codes import public_id

A_DAY = 10
MOST_REMINDERS = 2


def _invitation_id() -> str:
    return public_id("fi")


def _reminder_id() -> str:
    return public_id("fr")


class FriendInvitation(TenantModel):
    """One address that a participant entered on their page.

    `key` is a fingerprint of the mailbox, which stays when the address is forgotten: nobody is invited twice. `day` and `slot` are the
    limit: of each day (in the business's time zone) there are ten slots, and each is taken once. `mailed` is set before the mail goes,
    and only one invitation of a campaign to one mailbox can have it, whoever sent it; the sender never sees it.
    """

    public_id = models.CharField(max_length=32, unique=True, default=_invitation_id, editable=False)
    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="+", db_index=False)
    participant = models.ForeignKey("participants.Participant", on_delete=models.CASCADE, related_name="invitations")
    email = models.CharField(max_length=254, blank=True)
    email_key = models.CharField(max_length=254, blank=True)
    key = models.CharField(max_length=64)
    day = models.DateField()
    slot = models.PositiveSmallIntegerField()
    invited_at = models.DateTimeField(default=clock.now)
    mailed = models.BooleanField(default=False)
    reminders = models.PositiveSmallIntegerField(default=0)
    reminded_at = models.DateTimeField(null=True)

    objects = TenantQuerySet["FriendInvitation"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["participant", "key"], name="friend_invited_once"),
            models.UniqueConstraint(fields=["participant", "day", "slot"], name="friend_invitation_slot"),
            models.UniqueConstraint(fields=["campaign", "key"], condition=Q(mailed=True), name="friend_mailed_once"),
            models.CheckConstraint(condition=Q(slot__gte=1, slot__lte=A_DAY), name="friend_invitation_a_day"),
            models.CheckConstraint(condition=Q(reminders__lte=MOST_REMINDERS), name="friend_invitation_reminders"),
        ]
        indexes = [
            models.Index(fields=["merchant", "is_test", "email_key"], name="friend_invitation_email"),
            models.Index(fields=["invited_at"], condition=~Q(email=""), name="friend_invitation_age"),
        ]

    def __str__(self) -> str:
        return self.public_id


class FriendReminder(models.Model):
    """That a referrer reminded a friend who joined and has not bought: at most twice, a week apart."""

    public_id = models.CharField(max_length=32, unique=True, default=_reminder_id, editable=False)
    referral = models.ForeignKey("participants.Referral", on_delete=models.CASCADE, related_name="reminders")
    number = models.PositiveSmallIntegerField()
    at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["referral", "number"], name="friend_reminded_once"),
            models.CheckConstraint(
                condition=Q(number__gte=1, number__lte=MOST_REMINDERS), name="friend_reminder_number"
            ),
        ]

    def __str__(self) -> str:
        return self.public_id
