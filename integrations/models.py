"""The outside world as rows: connections with sealed secrets, and everything that providers sent us."""

from __future__ import annotations

from typing import Any

from django.conf import settings as site
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from integrations import registry
from integrations.catalogue_models import Catalogue as Catalogue
from integrations.catalogue_models import CatalogueProduct as CatalogueProduct
from integrations.outcomes import ADVICE_WITH_PULL, UNIDENTIFIED, advice, sentence
from integrations.payout_check_models import PayoutComparison as PayoutComparison
from integrations.payout_check_models import PayoutDifference as PayoutDifference
from integrations.remote_models import InboundEndpoint as InboundEndpoint
from integrations.remote_models import PromotionCode as PromotionCode
from integrations.remote_models import PromotionPlan as PromotionPlan
from integrations.webhook_models import OutboxPosition as OutboxPosition
from integrations.webhook_models import WebhookAttempt as WebhookAttempt
from integrations.webhook_models import WebhookDelivery as WebhookDelivery
from integrations.webhook_models import WebhookEndpoint as WebhookEndpoint
from referrals.accounts.tenancy import TenantModel, TenantQuerySet
from referrals.lib import clock
from referrals.lib.codes import public_id
from referrals.lib.sealed import seal, unseal


def _connection_id() -> str:
    return public_id("con")


def _inbound_id() -> str:
    return public_id("in")


class Connection(TenantModel):
    """A merchant's account at a provider. The public id is the unguessable part of its webhook address."""

    public_id = models.CharField(max_length=32, unique=True, default=_connection_id, editable=False)
    provider = models.CharField(max_length=24)
    label = models.CharField(_("name"), max_length=80, blank=True)
    sealed = models.TextField(editable=False)
    # What its provider's module has to know and is no secret, such as a field mapping.
    settings = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(default=clock.now)
    removed_at = models.DateTimeField(null=True)
    # Since when the company says that we are uninstalled there, and up to whom a shop that is gone was erased (account_facts).
    ended_at = models.DateTimeField(null=True)
    erase_from = models.BigIntegerField(null=True)
    last_event_at = models.DateTimeField(null=True)
    failing_since = models.DateTimeField(null=True)
    # Deliveries refused for a bad signature since the last good one: a wrong secret shows here.
    refused = models.PositiveIntegerField(default=0)
    last_refused_at = models.DateTimeField(null=True)
    # Since when the company refuses the key with which it is asked (integrations.key_health).
    key_refused_at = models.DateTimeField(null=True)
    # When what the company keeps is next compared with what arrived (integrations.reconciling); None: not planned yet.
    reconcile_at = models.DateTimeField(null=True)
    # Which trouble the team was written to about ("" for none), and when it was last seen (integrations.alarms).
    warned_of = models.CharField(max_length=8, blank=True)
    warned_at = models.DateTimeField(null=True)
    # Silence for longer than this many seconds is unusual here; None: too little came to know.
    quiet_after = models.PositiveIntegerField(null=True)

    objects = TenantQuerySet["Connection"].as_manager()

    class Meta:
        indexes = [models.Index(fields=["merchant", "is_test", "provider"], name="connection_list")]

    def __str__(self) -> str:
        return self.label or self.provider

    @property
    def webhook_url(self) -> str:
        """The address that the provider sends to; its unguessable part is the public id."""
        return f"{site.SITE_URL}/in/{self.public_id}/"

    @property
    def _bound_to(self) -> str:
        return f"connection.sealed:{self.public_id}"

    @property
    def secrets(self) -> dict[str, Any]:
        """The provider's secrets, opened; raises SealError when the row was tampered with."""
        return unseal(self.sealed, bound_to=self._bound_to)

    @secrets.setter
    def secrets(self, value: dict[str, Any]) -> None:
        self.sealed = seal(value, bound_to=self._bound_to)


class InboundEvent(TenantModel):
    """One delivery from a provider, stored as it came before anything is done with it. The row is the job (ARCHITECTURE.md)."""

    STATES = (
        ("received", _("Received")),
        ("processed", _("Processed")),
        ("ignored", _("Ignored")),
        ("failed", _("Failed")),
    )

    CAME_BY = (
        ("webhook", _("Sent by the company")),
        ("pull", _("Found by the nightly comparison")),
    )

    public_id = models.CharField(max_length=32, unique=True, default=_inbound_id, editable=False)
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="inbound_events", db_index=False)
    event_id = models.CharField(max_length=255)
    type = models.CharField(max_length=80)
    body = models.BinaryField()
    headers = models.JSONField(default=dict)
    # Whether the company said that it sent this; empty where a signature already proved it (Provider.confirm).
    confirmed = models.BooleanField(null=True)
    came_by = models.CharField(max_length=7, choices=CAME_BY, default="webhook")
    state = models.CharField(max_length=9, choices=STATES, default="received")
    # What it led to, or why it was ignored: a code of integrations.outcomes and the facts of its sentence.
    outcome = models.CharField(max_length=40, blank=True)
    facts = models.JSONField(default=dict, blank=True)
    error = models.TextField(blank=True)
    event_ref = models.CharField(max_length=32, blank=True)
    # Whom it led to or would have, folded as participants' addresses are: what the list is searched by.
    email_key = models.CharField(max_length=254, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, default=clock.wall)
    received_at = models.DateTimeField(default=clock.now)
    processed_at = models.DateTimeField(null=True)

    objects = TenantQuerySet["InboundEvent"].as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["connection", "event_id"], name="inbound_event_once")]
        indexes = [
            # The sweeper: what is waiting, oldest first.
            models.Index(
                fields=["next_attempt_at"], condition=Q(next_attempt_at__isnull=False), name="inbound_waiting"
            ),
            models.Index(fields=["connection", "-id"], name="inbound_list"),
            # "Purchases and referrals": payments that nobody could be found for, newest first.
            models.Index(
                fields=["merchant", "is_test", "-id"],
                condition=Q(outcome__in=UNIDENTIFIED),
                name="inbound_unidentified",
            ),
            # The list over all connections, newest first, by days, by type and by state, and its search by address or event.
            models.Index(fields=["merchant", "is_test", "-received_at", "-id"], name="inbound_newest"),
            models.Index(fields=["merchant", "is_test", "type", "-received_at", "-id"], name="inbound_types"),
            models.Index(
                fields=["merchant", "is_test", "-received_at", "-id"],
                condition=Q(state="failed"),
                name="inbound_failed",
            ),
            models.Index(fields=["event_ref"], condition=~Q(event_ref=""), name="inbound_event_ref"),
            # What is deleted after 30 days.
            models.Index(fields=["received_at"], name="inbound_oldest"),
            models.Index(
                fields=["merchant", "is_test", "email_key", "-id"], condition=~Q(email_key=""), name="inbound_email"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"

    @property
    def sentence(self) -> str:
        """What it led to, or why it was ignored, in the reader's language."""
        return sentence(self.outcome, self.facts)

    @property
    def advice(self) -> str:
        """What the merchant can do about it; "" where there is nothing to do."""
        # The connection is looked at only where it matters.
        has_pull = self.outcome in ADVICE_WITH_PULL and bool(registry.get(self.connection.provider).pull)
        return advice(self.outcome, has_pull=has_pull)

    @property
    def is_waiting(self) -> bool:
        """Whether it is still to be worked on."""
        return self.state == "received"


class SandboxRow(TenantModel):
    """Something that a stand-in for a company remembers: an order, a key that was used, money that left (integrations.sandbox, ADR 15)."""

    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="+", db_index=False)
    kind = models.CharField(max_length=24)
    name = models.CharField(max_length=255)
    data = models.JSONField(default=dict)
    # When it goes on by itself, by the side's own clock.
    due_at = models.DateTimeField(null=True)
    made_at = models.DateTimeField(default=clock.now)

    objects = TenantQuerySet["SandboxRow"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "kind", "name"], name="sandbox_row_once"),
            models.CheckConstraint(condition=Q(is_test=True), name="sandbox_row_is_test"),
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="sandbox_row_due"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Reconciliation(TenantModel):
    """One comparison of what a company keeps with what arrived here. The row is the job: it says how far it came."""

    STATES = (("waiting", _("Waiting")), ("done", _("Done")), ("failed", _("Failed")))

    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="reconciliations", db_index=False)
    # The company's time: since <= what is compared < until, and up to where it is done.
    since = models.DateTimeField()
    until = models.DateTimeField()
    reached_at = models.DateTimeField()
    state = models.CharField(max_length=7, choices=STATES, default="waiting")
    compared = models.PositiveIntegerField(default=0)
    missing = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=300, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, default=clock.wall)
    created_at = models.DateTimeField(default=clock.wall)
    finished_at = models.DateTimeField(null=True)

    objects = TenantQuerySet["Reconciliation"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["connection"], condition=Q(state="waiting"), name="reconciliation_one_at_a_time"
            )
        ]
        indexes = [models.Index(fields=["connection", "-id"], name="reconciliation_latest")]

    def __str__(self) -> str:
        return f"{self.connection_id} {self.since} - {self.until}"
