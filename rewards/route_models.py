"""Issuing by itself: by which way each kind of reward goes out, when its runs are, and each run once (docs/payouts.md)."""

from __future__ import annotations

from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from campaigns.models import Campaign, RewardRule
from referrals.accounts.tenancy import TenantModel, TenantQuerySet
from referrals.lib import clock
from referrals.lib.codes import public_id
from rewards.payout_models import SIDES, PayoutBatch


def _route_id() -> str:
    return public_id("rt")


def _run_id() -> str:
    return public_id("pr")


class PayoutRoute(TenantModel):
    """By which way rewards of one kind and side are paid by themselves; one of a campaign goes before the one of all campaigns."""

    public_id = models.CharField(max_length=32, unique=True, default=_route_id, editable=False)
    side = models.CharField(max_length=8, choices=SIDES)
    kind = models.CharField(max_length=12, choices=RewardRule.KINDS)
    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, null=True, related_name="payout_routes")
    # As integrations.methods.find() reads it: "paypal_file", "tremendous:con_...".
    method = models.CharField(max_length=60)
    options = models.JSONField(default=dict)
    # Runs before it are none of its; a change of the way begins anew.
    since = models.DateTimeField(default=clock.now)
    created_by = models.CharField(max_length=300, blank=True)
    # Why the last run of it could not be made, and since when; empty when it could.
    problem = models.CharField(max_length=500, blank=True)
    problem_since = models.DateTimeField(null=True)

    objects = TenantQuerySet["PayoutRoute"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["campaign", "side", "kind"], name="payout_route_of_campaign"),
            models.UniqueConstraint(
                fields=["merchant", "is_test", "side", "kind"],
                condition=Q(campaign__isnull=True),
                name="payout_route_of_all",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.side} {self.kind}: {self.method}"


class PayoutCalendar(TenantModel):
    """When the runs of a side are: the weekday of the weekly one (0 is Monday) and the hour of all, in the merchant's time zone."""

    weekday = models.PositiveSmallIntegerField(default=0, validators=[MaxValueValidator(6)])
    hour = models.PositiveSmallIntegerField(default=9, validators=[MaxValueValidator(23)])
    # Moments before it were by another calendar.
    since = models.DateTimeField(default=clock.now)

    objects = TenantQuerySet["PayoutCalendar"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["merchant", "is_test"], name="payout_calendar_once"),
            models.CheckConstraint(condition=Q(weekday__lte=6) & Q(hour__lte=23), name="payout_calendar_real"),
        ]

    def __str__(self) -> str:
        return f"day {self.weekday}, {self.hour}:00"


class PayoutRun(TenantModel):
    """One slot of one route, carried out: the unique key is what makes a run happen once, whoever asks for it how often."""

    public_id = models.CharField(max_length=32, unique=True, default=_run_id, editable=False)
    route = models.ForeignKey(PayoutRoute, on_delete=models.CASCADE, related_name="runs")
    # "weekly:2026-11-23", "day_15:2026-11-15", and "/2" after it for its second part; of what is paid at once, the first of its rewards.
    slot = models.CharField(max_length=60)
    # The moment of the slot, and when the run was made: later when nobody worked at that moment.
    due_at = models.DateTimeField()
    made_at = models.DateTimeField(default=clock.now)
    # None where nothing was to be paid.
    batch = models.ForeignKey(PayoutBatch, on_delete=models.PROTECT, null=True, related_name="runs")
    # Whether there is more of the slot than one batch takes: its next part is a run of its own.
    more = models.BooleanField(default=False)
    # Rewards that stayed due, because their recipient is below the minimum.
    below = models.PositiveIntegerField(default=0)

    objects = TenantQuerySet["PayoutRun"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["merchant", "is_test", "slot", "route"], name="payout_run_once"),
        ]
        indexes = [models.Index(fields=["route", "-id"], name="payout_run_list")]

    def __str__(self) -> str:
        return f"{self.slot} of {self.route_id}"


class TeamAlert(TenantModel):
    """What the team is mailed about once: a reward that only they can hand over, a batch that waits for money. The row is the job."""

    KINDS = (
        ("custom_due", _("Reward to hand over")),
        ("funding", _("Waiting for money")),
        ("todo", _("Batch to pay")),
        ("route", _("Runs that fail")),
    )

    kind = models.CharField(max_length=12, choices=KINDS)
    # The public id of the reward or batch.
    subject_id = models.CharField(max_length=32)
    # How many mails went out about it, and when the next one is due; empty when nothing more is to be said.
    told = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(null=True, default=clock.wall)
    created_at = models.DateTimeField(default=clock.now)

    objects = TenantQuerySet["TeamAlert"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["merchant", "is_test", "kind", "subject_id"], name="team_alert_once"),
        ]
        indexes = [models.Index(fields=["next_at"], condition=Q(next_at__isnull=False), name="team_alert_due")]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject_id}"
