"""Files with which a merchant pays outside: frozen when the batch is made, and marked line by line when they come back."""

from __future__ import annotations

import base64
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from referrals.accounts.tenancy import TenantModel, TenantQuerySet
from referrals.lib import clock
from referrals.lib.codes import public_id
from referrals.lib.sealed import seal, unseal
from rewards.payout_models import Payout, PayoutBatch


def _file_id() -> str:
    return public_id("pf")


def _return_id() -> str:
    return public_id("pr")


class PayoutFile(TenantModel):
    """One file of a batch: its head, and the lines in the rows that point here. The same bytes on every download.

    `sha256` is of the bytes as they were made; they become others only where a person's data was erased afterwards.
    """

    public_id = models.CharField(max_length=32, unique=True, default=_file_id, editable=False)
    batch = models.ForeignKey(PayoutBatch, on_delete=models.PROTECT, related_name="files")
    number = models.PositiveIntegerField()
    name = models.CharField(max_length=120)
    currency = models.CharField(max_length=3)
    amount_minor = models.BigIntegerField()
    rows = models.PositiveIntegerField()
    head = models.TextField(blank=True)
    size = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    made_at = models.DateTimeField(default=clock.now)

    objects = TenantQuerySet["PayoutFile"].as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["batch", "number"], name="payout_file_once")]

    def __str__(self) -> str:
        return self.name


class PayoutLine(models.Model):
    """A payout's line in a file, exactly as it stands there. Sealed, because it holds a payout address; empty once that is erased.

    `mark` is what the file calls the payout. `answers` are what returned files have said of it, so that each is taken once.
    """

    file = models.ForeignKey(PayoutFile, on_delete=models.PROTECT, related_name="lines")
    payout = models.OneToOneField(Payout, on_delete=models.PROTECT, related_name="line")
    number = models.PositiveIntegerField()
    mark = models.CharField(max_length=32)
    sealed = models.TextField(editable=False, blank=True)
    answers = models.JSONField(default=list)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["file", "number"], name="payout_line_once"),
            models.UniqueConstraint(fields=["file", "mark"], name="payout_line_mark_once"),
        ]

    def __str__(self) -> str:
        return f"line {self.number} of {self.file_id}"

    @property
    def public_id(self) -> str:
        """What to call it where a public id is wanted."""
        return self.mark

    @property
    def _bound_to(self) -> str:
        return f"payout_line.sealed:{self.file_id}:{self.mark}"

    @property
    def secrets(self) -> dict[str, Any]:
        """`line`, with its line break, and `to`, the recipient as it stands there; both empty once erased. Raises SealError."""
        return unseal(self.sealed, bound_to=self._bound_to) if self.sealed else {"line": "", "to": ""}

    @secrets.setter
    def secrets(self, value: dict[str, Any]) -> None:
        self.sealed = seal(value, bound_to=self._bound_to)


class PayoutReturn(TenantModel):
    """What became of a batch's lines, as a merchant says: with a file, or in one word for all that are open. The row is the job (ADR 3)."""

    KINDS = (("file", _("File")), ("paid", _("Marked as paid")), ("withdrawn", _("Withdrawn")))
    STATES = (("working", _("Being worked on")), ("done", _("Done")))
    COUNTS = ("paid", "sent", "failed", "same", "still_open", "wrong")

    public_id = models.CharField(max_length=32, unique=True, default=_return_id, editable=False)
    batch = models.ForeignKey(PayoutBatch, on_delete=models.PROTECT, related_name="returns")
    kind = models.CharField(max_length=9, choices=KINDS, default="file")
    name = models.CharField(max_length=120, blank=True)
    note = models.CharField(max_length=500, blank=True)
    # The file, until it is worked through.
    sealed = models.TextField(editable=False, blank=True)
    state = models.CharField(max_length=7, choices=STATES, default="working")
    rows = models.PositiveIntegerField(default=0)
    position = models.PositiveIntegerField(default=0)
    # How many lines were found paid, taken, not paid, as they were already, without an answer, and wrong.
    paid = models.PositiveIntegerField(default=0)
    sent = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    same = models.PositiveIntegerField(default=0)
    still_open = models.PositiveIntegerField(default=0)
    wrong = models.PositiveIntegerField(default=0)
    # (line, what names the payout there, why it is wrong); never an address.
    wrong_rows = models.JSONField(default=list)
    actor = models.JSONField(default=list)
    created_at = models.DateTimeField(default=clock.wall)
    finished_at = models.DateTimeField(null=True)

    objects = TenantQuerySet["PayoutReturn"].as_manager()

    class Meta:
        indexes = [models.Index(fields=["id"], condition=models.Q(state="working"), name="payout_return_open")]

    def __str__(self) -> str:
        return self.name or str(self.get_kind_display())

    @property
    def is_running(self) -> bool:
        """Whether lines are still being marked."""
        return self.state == "working"

    @property
    def percent(self) -> int:
        """How much is done."""
        return min(99, self.position * 100 // self.rows) if self.rows else 0

    @property
    def _bound_to(self) -> str:
        return f"payout_return.sealed:{self.public_id}"

    @property
    def data(self) -> bytes:
        """The file's bytes, none once it is worked through; raises SealError."""
        if not self.sealed:
            return b""
        return base64.b64decode(unseal(self.sealed, bound_to=self._bound_to)["data"])

    @data.setter
    def data(self, value: bytes) -> None:
        self.sealed = seal({"data": base64.b64encode(value).decode()}, bound_to=self._bound_to) if value else ""
