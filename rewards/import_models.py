"""Files that are imported: people, their referrals, what they did (docs/imports.md)."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from campaigns.models import Campaign
from referrals.accounts.tenancy import TenantModel, TenantQuerySet
from referrals.lib import clock
from referrals.lib.codes import public_id


def _import_id() -> str:
    return public_id("im")


class Import(TenantModel):
    """One file: looked at first (a dry run), applied when a person says so. The row is the job (ADR 3): `position` is how far it is.

    People are read twice: once for themselves, once for who invited them (`bound_to`), because a referrer may stand further down.
    """

    KINDS = (
        ("participants", _("Participants")),
        ("referrals", _("Referrals: who invited whom")),
        ("events", _("Events: purchases, refunds, statuses")),
    )
    STATES = (
        ("mapping", _("Waiting for its columns")),
        ("checking", _("Being looked at")),
        ("checked", _("Ready to be applied")),
        ("applying", _("Being applied")),
        ("done", _("Applied")),
        ("dropped", _("Not applied")),
    )
    DATES = (
        ("auto", _("Only dates that can be read in one way")),
        ("dmy", _("31/01/2026: day first")),
        ("mdy", _("01/31/2026: month first")),
    )
    MARKS = (
        ("auto", _("Only amounts that can be read in one way")),
        ("point", _("1,234.50: a point")),
        ("comma", _("1.234,50: a comma")),
    )
    RUNNING: ClassVar[tuple[str, ...]] = ("checking", "applying")

    public_id = models.CharField(max_length=32, unique=True, default=_import_id, editable=False)
    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="+", db_index=False)
    kind = models.CharField(max_length=12, choices=KINDS)
    name = models.CharField(max_length=120)
    state = models.CharField(max_length=8, choices=STATES, default="mapping")
    # Whose export it was taken for, and how it is read.
    preset = models.CharField(max_length=24, blank=True)
    encoding = models.CharField(max_length=16)
    columns = models.JSONField(default=list)
    has_header = models.BooleanField(default=True)
    # Field -> number of its column, from 0.
    mapping = models.JSONField(default=dict)
    date_order = models.CharField(max_length=4, choices=DATES, default="auto")
    decimal_mark = models.CharField(max_length=5, choices=MARKS, default="auto")
    # Whether what is imported earns rewards; history was settled elsewhere unless the merchant says otherwise.
    decide = models.BooleanField(default=False)
    rows = models.PositiveIntegerField(default=0)
    position = models.PositiveIntegerField(default=0)
    bound_to = models.PositiveIntegerField(default=0)
    added = models.PositiveIntegerField(default=0)
    updated = models.PositiveIntegerField(default=0)
    known = models.PositiveIntegerField(default=0)
    wrong = models.PositiveIntegerField(default=0)
    actor = models.JSONField(default=list)
    created_at = models.DateTimeField(default=clock.wall)
    finished_at = models.DateTimeField(null=True)

    objects = TenantQuerySet["Import"].as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["merchant", "is_test", "-id"], name="import_list"),
            models.Index(fields=["id"], condition=models.Q(state__in=["checking", "applying"]), name="import_running"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_running(self) -> bool:
        """Whether a worker has something to do with it."""
        return self.state in self.RUNNING

    @property
    def reads_people(self) -> bool:
        """Whether its rows are people, and not what they did."""
        return self.kind != "events"

    @property
    def percent(self) -> int:
        """How much of it is done, 0 to 100."""
        passes = 2 if self.state == "applying" and self.reads_people else 1
        return 100 * (self.position + self.bound_to) // (self.rows * passes) if self.rows else 0


class ImportFile(models.Model):
    """The file itself, apart from the counts that change with every batch; it goes after a week.

    `wrong` has [line, field, reason] of each row that can't be taken.
    """

    upload = models.OneToOneField(Import, on_delete=models.CASCADE, primary_key=True, related_name="file")
    data = models.BinaryField()
    wrong = models.JSONField(default=list)

    def __str__(self) -> str:
        return f"file of {self.upload_id}"
