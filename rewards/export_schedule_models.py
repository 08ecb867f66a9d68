"""Lists that are made into files by themselves, every day, week or month (docs/exports.md)."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from referrals.accounts.models import User
from referrals.accounts.tenancy import TenantModel, TenantQuerySet
from referrals.lib import clock
from referrals.lib.codes import public_id
from rewards.transfer_models import Transfer


def _schedule_id() -> str:
    return public_id("xs")


class ExportSchedule(TenantModel):
    """One list with its filter, and when it is next made. The row is the job; each file is a Transfer, which goes after a week."""

    EVERY = (("day", _("Every day")), ("week", _("Every week, on Mondays")), ("month", _("Every month, on the 1st")))

    public_id = models.CharField(max_length=32, unique=True, default=_schedule_id, editable=False)
    # One of rewards.transfers.LISTS, and the page's filter as a query string.
    name = models.CharField(max_length=40)
    query = models.TextField(blank=True)
    every = models.CharField(max_length=5, choices=EVERY, default="week")
    # The hour of the day, in the merchant's time zone.
    hour = models.PositiveSmallIntegerField(default=6)
    # Who asked for it gets the mail, as long as they are on the team.
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    next_at = models.DateTimeField()
    # The file that is being made, and that a mail is still to tell of.
    making = models.ForeignKey(Transfer, on_delete=models.SET_NULL, null=True, related_name="+")
    last_sent_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=clock.wall)

    objects = TenantQuerySet["ExportSchedule"].as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["next_at"], name="export_schedule_due"),
            models.Index(fields=["merchant", "is_test", "-id"], name="export_schedule_list"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.every}"
