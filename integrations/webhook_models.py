"""Messages to a merchant's own systems as rows: where they go, each message, and each try (API.md, "Webhooks out")."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from referrals.accounts.tenancy import TenantModel, TenantQuerySet
from referrals.events.models import Event
from referrals.lib import clock
from referrals.lib.codes import public_id
from referrals.lib.sealed import seal, unseal

# Deliveries and their tries are kept this long (RELIABILITY section 3.1): their bodies name people.
KEPT = timedelta(days=30)
# As much of an answer is kept.
ANSWER_KEPT = 8 * 1024


def _endpoint_id() -> str:
    return public_id("whe")


def _delivery_id() -> str:
    return public_id("whd")


class WebhookEndpoint(TenantModel):
    """An address of the merchant's that is told what happens. Without `types` it is told everything.

    It hears of what is written behind `starts_after`, the last event when it was made or enabled again.
    """

    STOPPED = (
        ("", _("Enabled")),
        ("by_hand", _("Disabled")),
        ("gone", _("Disabled: it answered 410 Gone")),
        ("failing", _("Disabled: it failed for five days")),
    )

    public_id = models.CharField(max_length=32, unique=True, default=_endpoint_id, editable=False)
    url = models.CharField(_("address"), max_length=2048)
    label = models.CharField(_("name"), max_length=80, blank=True)
    types = models.JSONField(default=list, blank=True)
    sealed = models.TextField(editable=False)
    created_at = models.DateTimeField(default=clock.now)
    disabled_at = models.DateTimeField(null=True)
    disabled_reason = models.CharField(max_length=8, choices=STOPPED, blank=True)
    removed_at = models.DateTimeField(null=True)
    starts_after = models.BigIntegerField(default=0)
    # How it is doing, by the real time: since when nothing but failures, how many, and which mail about it went out last.
    failing_since = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0)
    warned = models.PositiveSmallIntegerField(default=0)
    last_success_at = models.DateTimeField(null=True)

    objects = TenantQuerySet["WebhookEndpoint"].as_manager()

    class Meta:
        indexes = [models.Index(fields=["merchant", "is_test", "-id"], name="webhook_endpoint_list")]

    def __str__(self) -> str:
        return self.label or self.url

    @property
    def is_enabled(self) -> bool:
        """Whether messages go to it."""
        return self.disabled_at is None and self.removed_at is None

    def wants(self, type_: str) -> bool:
        """Whether it is to hear of events of this type."""
        return not self.types or type_ in self.types

    @property
    def _bound_to(self) -> str:
        return f"webhook_endpoint.sealed:{self.public_id}"

    @property
    def secrets(self) -> dict[str, Any]:
        """`all`: a list of {"secret", "ends"}, newest first, `ends` a time or None; raises SealError when tampered with."""
        return unseal(self.sealed, bound_to=self._bound_to)

    @secrets.setter
    def secrets(self, value: dict[str, Any]) -> None:
        self.sealed = seal(value, bound_to=self._bound_to)

    def live_secrets(self, now: datetime) -> list[str]:
        """The secrets that sign at this real time, newest first."""
        found = self.secrets.get("all", [])
        return [one["secret"] for one in found if one["ends"] is None or datetime.fromisoformat(one["ends"]) > now]


class WebhookDelivery(TenantModel):
    """One message for one endpoint, its body frozen as it was first made. The row is the job (ARCHITECTURE.md).

    `next_attempt_at` is empty when nothing more is to be done. While it is being sent, that is when the sender may be believed dead.
    """

    STATES = (
        ("pending", _("Waiting")),
        ("sending", _("Sending")),
        ("delivered", _("Delivered")),
        ("failed", _("Failed")),
        ("stopped", _("Not sent")),
    )

    public_id = models.CharField(max_length=32, unique=True, default=_delivery_id, editable=False)
    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    # Empty for a test message.
    event = models.ForeignKey(Event, on_delete=models.PROTECT, null=True, related_name="+")
    # `webhook-id`: the event's public id, so that one told twice is told under one name.
    message_id = models.CharField(max_length=32)
    type = models.CharField(max_length=48)
    # What it is about, for the order of messages, and whose data the body holds.
    subject_id = models.CharField(max_length=32)
    person_ref = models.CharField(max_length=32, blank=True)
    body = models.TextField()
    is_sample = models.BooleanField(default=False)
    state = models.CharField(max_length=9, choices=STATES, default="pending")
    # Tries of the present round; sending again begins a new one.
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, default=clock.wall)
    created_at = models.DateTimeField(default=clock.wall)
    delivered_at = models.DateTimeField(null=True)
    # The last try: a status, or a code of referrals.lib.http.ERRORS.
    last_status = models.PositiveSmallIntegerField(null=True)
    last_error = models.CharField(max_length=20, blank=True)

    objects = TenantQuerySet["WebhookDelivery"].as_manager()

    class Meta:
        verbose_name_plural = "webhook deliveries"
        constraints = [models.UniqueConstraint(fields=["endpoint", "event"], name="webhook_delivery_once")]
        indexes = [
            # What an endpoint is to be sent now; serves "which endpoints have something" as well.
            models.Index(
                fields=["endpoint", "next_attempt_at", "id"],
                condition=Q(next_attempt_at__isnull=False),
                name="webhook_due",
            ),
            # What is under way about one thing.
            models.Index(
                fields=["endpoint", "subject_id"],
                condition=Q(next_attempt_at__isnull=False),
                name="webhook_about",
            ),
            models.Index(fields=["merchant", "is_test", "-id"], name="webhook_delivery_list"),
            models.Index(fields=["endpoint", "-id"], name="webhook_delivery_of"),
            models.Index(fields=["person_ref"], condition=~Q(person_ref=""), name="webhook_delivery_person"),
            models.Index(fields=["created_at"], name="webhook_delivery_age"),
        ]

    def __str__(self) -> str:
        return f"{self.type} to {self.endpoint_id}"

    @property
    def is_open(self) -> bool:
        """Whether it is still to be sent."""
        return self.next_attempt_at is not None


class WebhookAttempt(models.Model):
    """One try to deliver: what came of it, and the beginning of the answer."""

    delivery = models.ForeignKey(WebhookDelivery, on_delete=models.CASCADE, related_name="tries")
    at = models.DateTimeField(default=clock.wall)
    ms = models.PositiveIntegerField(default=0)
    status = models.PositiveSmallIntegerField(null=True)
    error = models.CharField(max_length=20, blank=True)
    retry_after = models.CharField(max_length=100, blank=True)
    answer = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"{self.status or self.error} at {self.at:%Y-%m-%d %H:%M}"


class OutboxPosition(models.Model):
    """How far the history has been turned into deliveries; one row, made with the first endpoint.

    Every event up to `position` has its deliveries, but for `gaps`: ranges of primary keys that were not there yet, each with the
    transactions that might still fill it, `[first, last, [transactions]]` (PostgreSQL; integrations.outbox).
    """

    name = models.CharField(max_length=16, unique=True)
    position = models.BigIntegerField()
    gaps = models.JSONField(default=list)

    def __str__(self) -> str:
        return f"{self.name} at {self.position}"
