"""Who was a customer before: the merchant's list, and the files that it came in (docs/attribution.md)."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from referrals.accounts.tenancy import TenantModel, TenantQuerySet
from referrals.lib import clock
from referrals.lib.codes import public_id


def _upload_id() -> str:
    return public_id("cu")


class KnownCustomer(TenantModel):
    """Somebody on a merchant's list of customers, as a fingerprint of the folded address or of the source's own id.

    The address itself is not kept: these people never asked to be in a referral programme. `hint` is enough for its owner to
    recognise. `since` is when they became a customer, as far as known; else when they were put on the list.
    """

    key = models.CharField(max_length=64)
    hint = models.CharField(max_length=80)
    since = models.DateTimeField()
    added_at = models.DateTimeField(default=clock.now)

    objects = TenantQuerySet["KnownCustomer"].as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["merchant", "is_test", "key"], name="known_customer_once")]
        indexes = [models.Index(fields=["merchant", "is_test", "-id"], name="known_customer_list")]

    def __str__(self) -> str:
        return self.hint


class CustomerUpload(TenantModel):
    """One file with customers: looked at first, applied when a person says so. The file goes once it is applied, or after a day."""

    STATES = (
        ("checking", _("Being looked at")),
        ("checked", _("Ready to be applied")),
        ("applying", _("Being applied")),
        ("done", _("Applied")),
        ("dropped", _("Not applied")),
    )
    KINDS = (("email", _("E-mail addresses")), ("id", _("Customer ids")))

    public_id = models.CharField(max_length=32, unique=True, default=_upload_id, editable=False)
    name = models.CharField(max_length=120)
    state = models.CharField(max_length=8, choices=STATES, default="checking")
    data = models.BinaryField(null=True)
    # How it is read: the first row's cells, whether they are names, which column has what.
    columns = models.JSONField(default=list)
    has_header = models.BooleanField(default=True)
    column = models.PositiveSmallIntegerField(default=0)
    kind = models.CharField(max_length=5, choices=KINDS, default="email")
    since_column = models.PositiveSmallIntegerField(null=True)
    # Of `rows`, how many are read and on the list, of how many the friends are decided again, and what they were.
    rows = models.PositiveIntegerField(default=0)
    position = models.PositiveIntegerField(default=0)
    decided_to = models.PositiveIntegerField(default=0)
    added = models.PositiveIntegerField(default=0)
    known = models.PositiveIntegerField(default=0)
    wrong = models.PositiveIntegerField(default=0)
    # Participants who turned out to have been customers, and were decided again.
    decided = models.PositiveIntegerField(default=0)
    # [line, text, reason] of what can't be read, as far as kept.
    wrong_rows = models.JSONField(default=list)
    actor = models.JSONField(default=list)
    created_at = models.DateTimeField(default=clock.wall)
    finished_at = models.DateTimeField(null=True)

    objects = TenantQuerySet["CustomerUpload"].as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["merchant", "is_test", "-id"], name="customer_upload_list"),
            models.Index(fields=["created_at"], condition=~models.Q(data=None), name="customer_upload_open"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_running(self) -> bool:
        """Whether a worker has something to do with it."""
        return self.state in {"checking", "applying"}

    @property
    def percent(self) -> int:
        """How much of it is done, 0 to 100."""
        done = self.decided_to if self.state == "applying" else self.position
        return 100 * done // self.rows if self.rows else 0
