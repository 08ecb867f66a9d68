"""Files that are made or read in the background: a list, the whole account, an account that comes back (docs/exports.md)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from referrals.accounts.tenancy import TenantModel, TenantQuerySet
from referrals.lib import clock
from referrals.lib.codes import public_id


def _transfer_id() -> str:
    return public_id("xp")


class Transfer(TenantModel):
    """One file. The row is the job (ADR 3); the file stands in the data folder under the row's id, and goes after a week."""

    KINDS = (("list", _("List")), ("account", _("Whole account")), ("restore", _("Account read from an archive")))
    STATES = (("queued", _("Waiting")), ("working", _("Being made")), ("done", _("Ready")), ("failed", _("Failed")))
    OPEN = ("queued", "working")
    KEPT = timedelta(days=7)
    # After so long the worker that had it is taken for lost.
    LEASE = timedelta(minutes=15)
    MOST_ATTEMPTS = 3

    public_id = models.CharField(max_length=32, unique=True, default=_transfer_id, editable=False)
    kind = models.CharField(max_length=7, choices=KINDS)
    # Of a list: its name (rewards.transfers.LISTS) and the page's filter as a query string.
    name = models.CharField(max_length=40, blank=True)
    query = models.TextField(blank=True)
    state = models.CharField(max_length=7, choices=STATES, default="queued")
    rows = models.PositiveIntegerField(default=0)
    size = models.PositiveBigIntegerField(default=0)
    # What came of reading an account: rows, and how many ids and codes are other ones here.
    result = models.JSONField(default=dict)
    error = models.CharField(max_length=300, blank=True)
    actor = models.JSONField(default=list)
    attempts = models.PositiveSmallIntegerField(default=0)
    claimed_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=clock.wall)
    finished_at = models.DateTimeField(null=True)
    gone_at = models.DateTimeField(null=True)

    objects = TenantQuerySet["Transfer"].as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["merchant", "is_test", "-id"], name="transfer_list"),
            models.Index(fields=["id"], condition=models.Q(state__in=["queued", "working"]), name="transfer_open"),
            models.Index(fields=["created_at"], condition=models.Q(gone_at=None), name="transfer_age"),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def is_open(self) -> bool:
        """Whether a worker has something to do with it."""
        return self.state in self.OPEN

    @property
    def path(self) -> Path:
        """Where its file stands, or will stand."""
        folder = Path(settings.DATA_DIR) / "exports"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder / f"{self.public_id}.{'csv' if self.kind == 'list' else 'zip'}"

    @property
    def mapping_path(self) -> Path:
        """Where it says which ids and codes became which, after an account was read."""
        return self.path.with_suffix(".csv")
