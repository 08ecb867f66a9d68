"""Payouts as rows: made together in a batch, one for each recipient, sent by one method; and every try at sending one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from participants.models import Participant
from referrals.accounts.tenancy import TenantModel, TenantQuerySet
from referrals.lib import clock
from referrals.lib.codes import public_id
from referrals.lib.money import Money
from referrals.lib.sealed import seal, unseal

SIDES = (("referrer", _("Referrer")), ("invitee", _("Friend")))


def _payout_id() -> str:
    return public_id("po")


def _batch_id() -> str:
    return public_id("pb")


def _shipment_id() -> str:
    return public_id("ps")


class PayoutBatch(TenantModel):
    """Payouts made together. `key` comes with the request, so that a double click makes one batch."""

    public_id = models.CharField(max_length=32, unique=True, default=_batch_id, editable=False)
    key = models.CharField(max_length=80)
    method = models.CharField(max_length=24)
    note = models.CharField(max_length=500, blank=True)
    created_by = models.CharField(max_length=300, blank=True)
    # Who that is, for the rule that a second person has to agree: "user:us_...".
    created_by_id = models.CharField(max_length=80, blank=True)
    # Above the merchant's threshold nothing leaves until somebody else has agreed.
    needs_approval = models.BooleanField(default=False)
    approved_at = models.DateTimeField(null=True)
    approved_by = models.CharField(max_length=300, blank=True)
    # Of companies that pay from money the merchant has to bring first: nothing leaves until somebody says that it is there.
    needs_funding = models.BooleanField(default=False)
    funded_at = models.DateTimeField(null=True)
    funded_by = models.CharField(max_length=300, blank=True)
    # What was chosen along with the method, such as a gift card's product: the names are the method's own (integrations.base.Way).
    options = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(default=clock.now)
    undone_at = models.DateTimeField(null=True)
    # When nothing of it was open any more, for the first time.
    completed_at = models.DateTimeField(null=True)

    objects = TenantQuerySet["PayoutBatch"].as_manager()

    class Meta:
        verbose_name_plural = "payout batches"
        constraints = [models.UniqueConstraint(fields=["merchant", "is_test", "key"], name="payout_batch_once")]
        indexes = [models.Index(fields=["merchant", "is_test", "-id"], name="payout_batch_list")]

    def __str__(self) -> str:
        return self.public_id


class PayoutShipment(TenantModel):
    """Payouts of one batch, one connection and one currency that leave in one call (ADR 17). Its list is frozen before the first call,
    and never cut again once that may have arrived: a repeat sends exactly the same under the same key."""

    public_id = models.CharField(max_length=32, unique=True, default=_shipment_id, editable=False)
    batch = models.ForeignKey(PayoutBatch, on_delete=models.PROTECT, related_name="shipments")
    method = models.CharField(max_length=24)
    account = models.CharField(max_length=32, blank=True)
    # What the company knows it by, made once; and a fingerprint of what was frozen: payouts, amounts, addresses, in their order.
    key = models.CharField(max_length=64, unique=True)
    digest = models.CharField(max_length=64)
    # The company's own id of it.
    reference = models.CharField(max_length=255, blank=True)
    # A person was asked about one of its payouts: from then on the company is asked about it, and nothing is sent again.
    is_over = models.BooleanField(default=False)
    attempts = models.PositiveIntegerField(default=0)
    # As a payout's own, for all of its payouts that are on their way.
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    called_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=clock.now)

    objects = TenantQuerySet["PayoutShipment"].as_manager()

    class Meta:
        indexes = [
            models.Index(
                fields=["next_attempt_at"], condition=Q(next_attempt_at__isnull=False), name="shipment_waiting"
            ),
            # Status messages name a shipment by the company's own id.
            models.Index(fields=["account", "reference"], condition=~Q(reference=""), name="shipment_reference"),
        ]

    def __str__(self) -> str:
        return self.public_id


class Payout(TenantModel):
    """One attempt to deliver rewards to one recipient by one method (PRODUCT.md). The statuses are API.md's, and `undone`."""

    STATUSES = (
        ("queued", _("Queued")),
        ("sending", _("Sending")),
        ("sent", _("Sent")),
        ("paid", _("Paid")),
        ("failed", _("Failed")),
        ("unknown", _("Outcome unknown")),
        ("needs_attention", _("Needs attention")),
        ("undone", _("Undone")),
    )

    # On its way: what it is to deliver is promised, and no ledger line says so yet.
    OPEN = frozenset({"queued", "sending", "unknown", "needs_attention"})
    # The money has left, as far as the company says: the ledger has its line.
    GONE = frozenset({"sent", "paid"})

    public_id = models.CharField(max_length=32, unique=True, default=_payout_id, editable=False)
    batch = models.ForeignKey(PayoutBatch, on_delete=models.PROTECT, related_name="payouts", db_index=False)
    participant = models.ForeignKey(Participant, on_delete=models.PROTECT, related_name="payouts")
    side = models.CharField(max_length=8, choices=SIDES)
    method = models.CharField(max_length=24)
    # Through which connection it leaves, and to which payout address, by their public ids; both as they were when it was made.
    account = models.CharField(max_length=32, blank=True)
    destination = models.CharField(max_length=32, blank=True)
    # With which others it leaves in one call; then the turn is the shipment's, and `next_attempt_at` here is empty.
    shipment = models.ForeignKey(PayoutShipment, on_delete=models.PROTECT, null=True, related_name="payouts")
    amount_minor = models.BigIntegerField()
    # What an earlier reversal (below zero) or a late addition changed of the rewards' sum: amount = sum of its items + netted.
    netted_minor = models.BigIntegerField(default=0)
    currency = models.CharField(max_length=3)
    status = models.CharField(max_length=15, choices=STATUSES, default="queued")
    # Made before the first call, sent to the provider, never made anew on a retry (ARCHITECTURE.md, "Idempotency").
    key = models.CharField(max_length=64, unique=True)
    reference = models.CharField(max_length=255, blank=True)
    message = models.CharField(max_length=500, blank=True)
    # Why it failed, as a code of PRODUCT.md; of one that was sent, that its recipient has yet to claim it.
    reason = models.CharField(max_length=32, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    # While somebody works on it, the end of their lease; else when it is due next. All three by the database's clock (INV-19).
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    # When a call that may have reached the company first began: the life of the key counts from here. Without a company, when it was
    # frozen in a file, given as a code, or marked by hand: it counts for that day's ceilings.
    called_at = models.DateTimeField(null=True, blank=True)
    # When the company is next asked what became of it, and how often it was; a status message makes it now.
    check_at = models.DateTimeField(null=True, blank=True)
    checks = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=clock.now)
    paid_at = models.DateTimeField(null=True, blank=True)

    objects = TenantQuerySet["Payout"].as_manager()

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(amount_minor__gte=0), name="payout_amount")]
        indexes = [
            models.Index(fields=["merchant", "is_test", "-id"], name="payout_list"),
            # Each payout that ends asks whether its batch has another one open.
            models.Index(fields=["batch", "status"], name="payout_of_batch"),
            # Who is told to claim their money.
            models.Index(
                fields=["participant"],
                condition=Q(status="sent", reason="waiting_for_recipient"),
                name="payout_unclaimed",
            ),
            # The sweeper: what is waiting, oldest first.
            models.Index(fields=["next_attempt_at"], condition=Q(next_attempt_at__isnull=False), name="payout_waiting"),
            # How many nobody knows of: counted on every page.
            models.Index(
                fields=["merchant", "is_test"], condition=Q(status="needs_attention"), name="payout_questions"
            ),
            models.Index(fields=["check_at"], condition=Q(check_at__isnull=False), name="payout_check"),
            # What waits for somebody's word, or for a worker that needs no company.
            models.Index(fields=["method"], condition=Q(status="queued", next_attempt_at=None), name="payout_no_turn"),
            # Status messages name a payout by the company's own id.
            models.Index(fields=["account", "reference"], condition=~Q(reference=""), name="payout_reference"),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def turn_at(self) -> datetime | None:
        """When it is worked on next, or the end of a worker's lease: its own turn, or that of the shipment with which it is on its way."""
        if self.shipment is not None and self.status in {"sending", "unknown"}:
            return self.shipment.next_attempt_at
        return self.next_attempt_at

    @property
    def amount(self) -> Money:
        """What the payout delivers."""
        return Money(self.amount_minor, self.currency)


class PayoutGift(TenantModel):
    """What a payout gave its recipient to use: a code, a link, a card's number. Sealed, because whoever has it has the money."""

    payout = models.OneToOneField(Payout, on_delete=models.PROTECT, related_name="gift")
    sealed = models.TextField(editable=False)
    # Enough for its owner to recognise it: the last four characters.
    hint = models.CharField(max_length=8, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    made_at = models.DateTimeField(default=clock.now)

    objects = TenantQuerySet["PayoutGift"].as_manager()

    def __str__(self) -> str:
        return f"gift of {self.payout_id}"

    @property
    def _bound_to(self) -> str:
        return f"payout_gift.sealed:{self.payout_id}"

    @property
    def secrets(self) -> dict[str, Any]:
        """`code`, `url` and `pin`, opened, each "" where there is none; raises SealError when the row was tampered with."""
        return unseal(self.sealed, bound_to=self._bound_to)

    @secrets.setter
    def secrets(self, value: dict[str, Any]) -> None:
        self.sealed = seal(value, bound_to=self._bound_to)


class PayoutItem(models.Model):
    """One reward inside a payout, with the amount that went out for it. Stays when the payout is undone."""

    payout = models.ForeignKey(Payout, on_delete=models.PROTECT, related_name="items")
    reward = models.ForeignKey("rewards.Reward", on_delete=models.PROTECT, related_name="payout_items")
    amount_minor = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["payout", "reward"], name="payout_item_once")]

    def __str__(self) -> str:
        return f"{self.reward_id} in {self.payout_id}"


class PayoutAttempt(models.Model):
    """One try at a payout: who was asked, what the company said. Written before the call, completed after it, never taken out."""

    payout = models.ForeignKey(Payout, on_delete=models.PROTECT, related_name="tries")
    number = models.PositiveIntegerField()
    began_at = models.DateTimeField(default=clock.wall)
    ended_at = models.DateTimeField(null=True)
    # What came of it (rewards.orders.Outcome), empty while it runs, and for ever when its worker died.
    state = models.CharField(max_length=8, blank=True)
    reference = models.CharField(max_length=255, blank=True)
    message = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["payout", "number"], name="payout_attempt_once")]

    def __str__(self) -> str:
        return f"{self.payout_id} no. {self.number}: {self.state}"


class PayoutStop(TenantModel):
    """The kill switch: while this row stands, nothing of this side leaves through a provider (rewards.payout_guards)."""

    stopped_at = models.DateTimeField(default=clock.now)
    stopped_by = models.CharField(max_length=300, blank=True)
    note = models.CharField(max_length=500, blank=True)

    objects = TenantQuerySet["PayoutStop"].as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["merchant", "is_test"], name="payout_stop_once")]

    def __str__(self) -> str:
        return f"stopped by {self.stopped_by}"


class PayoutLimit(TenantModel):
    """How much may leave through providers in one currency, in minor units; empty for no limit. The row is the lock of its sums."""

    currency = models.CharField(max_length=3)
    a_day_minor = models.BigIntegerField(null=True, blank=True)
    a_person_a_day_minor = models.BigIntegerField(null=True, blank=True)
    # A batch of more than this waits for a second person (OWASP ASVS 2.3.5).
    second_person_above_minor = models.BigIntegerField(null=True, blank=True)

    objects = TenantQuerySet["PayoutLimit"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["merchant", "is_test", "currency"], name="payout_limit_once"),
            models.CheckConstraint(
                condition=(Q(a_day_minor=None) | Q(a_day_minor__gt=0))
                & (Q(a_person_a_day_minor=None) | Q(a_person_a_day_minor__gt=0))
                & (Q(second_person_above_minor=None) | Q(second_person_above_minor__gte=0)),
                name="payout_limit_positive",
            ),
        ]

    def __str__(self) -> str:
        return f"limits in {self.currency}"


class YearlyNotice(TenantModel):
    """Above which yearly total in one currency a person is marked, because a tax office may want to know (rewards.books)."""

    currency = models.CharField(max_length=3)
    # None: nobody is marked.
    above_minor = models.BigIntegerField(null=True, blank=True)

    objects = TenantQuerySet["YearlyNotice"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["merchant", "is_test", "currency"], name="yearly_notice_once"),
            models.CheckConstraint(condition=Q(above_minor=None) | Q(above_minor__gt=0), name="yearly_notice_positive"),
        ]

    def __str__(self) -> str:
        return f"yearly notice in {self.currency}"
