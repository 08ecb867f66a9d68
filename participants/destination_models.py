"""Where a participant wants money to be paid: one address at a time, sealed, with its former ones as history (docs/portal.md)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from participants import destination_kinds
from referrals.accounts.tenancy import TenantModel, TenantQuerySet
from referrals.lib import clock
from referrals.lib.codes import public_id
from referrals.lib.sealed import seal, unseal


def _destination_id() -> str:
    return public_id("pd")


class PayoutDestination(TenantModel):
    """An address for payouts. Asked for, then confirmed from a mail to it; it counts from `usable_from` on, and ends once.

    The address itself is sealed. `hint` is enough for its owner to recognise, `fingerprint` is the same for the same address at one
    side of one merchant and says nothing else (fraud signal S03).
    """

    # How long nothing is paid after a change, and how long the change can be taken back from the mail about it.
    HOLD = timedelta(hours=72)
    METHODS = destination_kinds.choices()
    ENDS = (
        ("withdrawn", _("Another one was entered before it was confirmed")),
        ("replaced", _("Changed")),
        ("taken_back", _("The change was taken back")),
        ("removed", _("Removed")),
    )

    public_id = models.CharField(max_length=32, unique=True, default=_destination_id, editable=False)
    participant = models.ForeignKey("participants.Participant", on_delete=models.CASCADE, related_name="destinations")
    method = models.CharField(max_length=12, choices=METHODS, default="paypal")
    sealed = models.TextField(editable=False)
    hint = models.CharField(max_length=260)
    fingerprint = models.CharField(max_length=64)
    asked_at = models.DateTimeField(default=clock.now)
    confirmed_at = models.DateTimeField(null=True)
    usable_from = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    end = models.CharField(max_length=10, choices=ENDS, blank=True)
    replaces = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, related_name="+", db_index=False)

    objects = TenantQuerySet["PayoutDestination"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["participant"], condition=Q(ended_at=None, confirmed_at__isnull=False), name="destination_once"
            ),
            models.UniqueConstraint(
                fields=["participant"], condition=Q(ended_at=None, confirmed_at=None), name="destination_asked_once"
            ),
            models.CheckConstraint(
                condition=Q(confirmed_at=None, usable_from=None)
                | Q(confirmed_at__isnull=False, usable_from__gte=models.F("confirmed_at")),
                name="destination_usable",
            ),
        ]
        indexes = [models.Index(fields=["merchant", "is_test", "fingerprint"], name="destination_shared")]

    def __str__(self) -> str:
        return self.hint

    @property
    def _bound_to(self) -> str:
        return f"payout_destination.sealed:{self.public_id}"

    @property
    def secrets(self) -> dict[str, Any]:
        """What is sealed, opened; raises SealError when the row was tampered with."""
        return unseal(self.sealed, bound_to=self._bound_to)

    @secrets.setter
    def secrets(self, value: dict[str, Any]) -> None:
        self.sealed = seal(value, bound_to=self._bound_to)

    @property
    def address(self) -> str:
        """The address, opened; raises SealError."""
        return str(self.secrets["address"])
