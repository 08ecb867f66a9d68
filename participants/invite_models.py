"""Customers whom a merchant invites to share: lists, the people on them, their links, and who wants no invitation (docs/invitations.md).

Somebody who is invited is no participant yet (ADR 14): the row holds their address and the code that is kept for them.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from campaigns.models import Campaign
from referrals.accounts.tenancy import TenantModel, TenantQuerySet
from referrals.lib import clock
from referrals.lib.codes import public_id, referral_code


def _list_id() -> str:
    return public_id("il")


def _invite_id() -> str:
    return public_id("iv")


class InviteSettings(models.Model):
    """What a merchant set for the invitations of a campaign; without a row these defaults count."""

    MOST_PER_MINUTE = 1000
    MOST_DAYS = 90
    MOST_PURCHASES = 20

    campaign = models.OneToOneField(Campaign, on_delete=models.CASCADE, related_name="invite_settings")
    per_minute = models.PositiveSmallIntegerField(default=60)
    # Invitations that go out by themselves: after the nth purchase of at least so much, so many days later; or to everybody at once.
    after_purchase = models.BooleanField(default=False)
    nth = models.PositiveSmallIntegerField(default=1)
    minimum_minor = models.BigIntegerField(null=True)
    days_after = models.PositiveSmallIntegerField(default=7)
    loop = models.BooleanField(default=False)
    needs_consent = models.BooleanField(default=True)
    # Since when one of them is on, and up to which capture they were planned.
    since = models.DateTimeField(null=True)
    captured_to = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"invitations of {self.campaign_id}"

    @property
    def by_itself(self) -> bool:
        """Whether invitations go out without a list."""
        return self.after_purchase or self.loop


class InviteList(TenantModel):
    """A file with customers to invite: looked at first, sent when a person says so. The file goes once it was looked at."""

    STATES = (
        ("checking", _("Being looked at")),
        ("checked", _("Ready to be sent")),
        ("preparing", _("Links are being made")),
        ("sending", _("Being sent")),
        ("paused", _("Paused")),
        ("stopped", _("Stopped")),
        ("done", _("Sent")),
        ("dropped", _("Not sent")),
    )

    public_id = models.CharField(max_length=32, unique=True, default=_list_id, editable=False)
    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="invite_lists")
    name = models.CharField(max_length=120)
    state = models.CharField(max_length=9, choices=STATES, default="checking")
    data = models.BinaryField(null=True)
    # Which column has what: {"header": true, "email": 1, "name": 0, "consent": null}.
    columns = models.JSONField(default=dict)
    # The merchant said that everybody in the file agreed; without that only a line whose consent column says so counts.
    everyone_agreed = models.BooleanField(default=False)
    rows = models.PositiveIntegerField(default=0)
    position = models.PositiveIntegerField(default=0)
    wrong = models.PositiveIntegerField(default=0)
    # [line, column, value, reason] of what can't be read, as far as kept.
    wrong_rows = models.JSONField(default=list)
    actor = models.JSONField(default=list)
    created_at = models.DateTimeField(default=clock.wall)
    confirmed_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects = TenantQuerySet["InviteList"].as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["campaign", "-id"], name="invite_list_campaign"),
            # What the schedule asks for.
            models.Index(
                fields=["state", "created_at"],
                condition=Q(state__in=["checking", "checked", "preparing", "sending"]),
                name="invite_list_open",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_running(self) -> bool:
        """Whether a worker has something to do with it."""
        return self.state in {"checking", "preparing", "sending"}


class Invite(TenantModel):
    """One person's invitation to one campaign, ever, with the code that is kept for them. The row is the job (ADR 3).

    `participant` is set once they take part: by their own press, or when somebody opens their link.
    """

    SOURCES = (
        ("list", _("List")),
        ("link", _("Link for a newsletter")),
        ("thanks", _("Thank-you page")),
        ("purchase", _("After a purchase")),
        ("loop", _("Automatic")),
    )
    STATES = (
        # The link is there, and no mail was asked for.
        ("ready", _("Link ready")),
        ("queued", _("Waiting")),
        ("sent", _("Sent")),
        ("left_out", _("Left out")),
        ("failed", _("Failed")),
    )

    public_id = models.CharField(max_length=32, unique=True, default=_invite_id, editable=False)
    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="invites")
    email = models.CharField(max_length=254)
    email_key = models.CharField(max_length=254)
    name = models.CharField(max_length=80, blank=True)
    code = models.CharField(max_length=16, unique=True, default=referral_code)
    source = models.CharField(max_length=8, choices=SOURCES)
    list = models.ForeignKey(InviteList, on_delete=models.PROTECT, null=True, related_name="invites")
    state = models.CharField(max_length=8, choices=STATES, default="ready")
    # Why it was left out or failed: a code of participants.invites.REASONS.
    reason = models.CharField(max_length=16, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=clock.now)
    sent_at = models.DateTimeField(null=True)
    opened_at = models.DateTimeField(null=True)
    participant = models.ForeignKey(
        "participants.Participant", on_delete=models.PROTECT, null=True, related_name="invites"
    )

    objects = TenantQuerySet["Invite"].as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["campaign", "email_key"], name="invite_once")]
        indexes = [
            # What the sender asks for.
            models.Index(
                fields=["campaign", "next_attempt_at", "id"], condition=Q(state="queued"), name="invite_waiting"
            ),
            models.Index(fields=["list", "state"], name="invite_of_list"),
            models.Index(fields=["merchant", "is_test", "email_key"], name="invite_email"),
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.public_id}"

    @property
    def is_erased(self) -> bool:
        """Whether the person had their data erased (participants.erasing): no mail goes, and the link leads to nobody."""
        gone = self.participant is not None and self.participant.erased_at is not None
        return gone or self.email.endswith("@erased.invalid")


class InviteLine(models.Model):
    """A readable line of a list: whom it names, and why they get no mail ("" for who does)."""

    list = models.ForeignKey(InviteList, on_delete=models.CASCADE, related_name="lines")
    number = models.PositiveIntegerField()
    email = models.CharField(max_length=254)
    email_key = models.CharField(max_length=254)
    name = models.CharField(max_length=80, blank=True)
    reason = models.CharField(max_length=16, blank=True)
    invite = models.ForeignKey(Invite, on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["list", "number"], name="invite_line_once")]
        indexes = [
            models.Index(fields=["list", "email_key"], name="invite_line_email"),
            models.Index(fields=["list", "reason"], name="invite_line_reason"),
        ]

    def __str__(self) -> str:
        return f"line {self.number} of {self.list_id}"


class NoInvite(TenantModel):
    """An address that gets no invitation of this merchant: who stopped them, or whose mail server refused it. Kept as a fingerprint."""

    key = models.CharField(max_length=64)
    reason = models.CharField(max_length=8, choices=(("stopped", _("Stopped")), ("bounced", _("Bounced"))))
    code = models.PositiveSmallIntegerField(default=0)
    text = models.CharField(max_length=300, blank=True)
    at = models.DateTimeField(default=clock.wall)

    objects = TenantQuerySet["NoInvite"].as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["merchant", "is_test", "key", "reason"], name="no_invite_once")]

    def __str__(self) -> str:
        return f"{self.reason} {self.key[:8]}"
