"""What is owed: decisions with their conditions, rewards, the append-only ledger, payouts. Money is integer minor units throughout."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from campaigns.models import Campaign, RewardRule
from campaigns.terms import Units
from participants.models import Participant, QualifyingEvent
from referrals.accounts.tenancy import TenantModel, TenantQuerySet
from referrals.events.models import AppendOnlyModel, AppendOnlyQuerySet
from referrals.lib import clock
from referrals.lib.codes import public_id
from referrals.lib.money import Money
from rewards.coupon_models import CouponCode as CouponCode
from rewards.coupon_models import CouponList as CouponList
from rewards.export_schedule_models import ExportSchedule as ExportSchedule
from rewards.file_models import PayoutFile as PayoutFile
from rewards.file_models import PayoutLine as PayoutLine
from rewards.file_models import PayoutReturn as PayoutReturn
from rewards.import_models import Import as Import
from rewards.import_models import ImportFile as ImportFile
from rewards.payout_models import SIDES as SIDES
from rewards.payout_models import Payout as Payout
from rewards.payout_models import PayoutAttempt as PayoutAttempt
from rewards.payout_models import PayoutBatch as PayoutBatch
from rewards.payout_models import PayoutGift as PayoutGift
from rewards.payout_models import PayoutItem as PayoutItem
from rewards.payout_models import PayoutLimit as PayoutLimit
from rewards.payout_models import PayoutShipment as PayoutShipment
from rewards.payout_models import PayoutStop as PayoutStop
from rewards.payout_models import YearlyNotice as YearlyNotice
from rewards.route_models import PayoutCalendar as PayoutCalendar
from rewards.route_models import PayoutRoute as PayoutRoute
from rewards.route_models import PayoutRun as PayoutRun
from rewards.route_models import TeamAlert as TeamAlert
from rewards.transfer_models import Transfer as Transfer
from rewards.veto_models import PayoutVeto as PayoutVeto
from rewards.veto_models import VetoEndpoint as VetoEndpoint


def _reward_id() -> str:
    return public_id("rw")


def _what_if_id() -> str:
    return public_id("wi")


class Decision(TenantModel):
    """The outcome of checking one event against one rule: every condition, the facts used, pass or fail (PRODUCT.md, "Decisions").

    `conditions` is a list of {"code", "passed", "facts"}. A new decision replaces the `current` one and leaves it as history.
    """

    event = models.ForeignKey(QualifyingEvent, on_delete=models.PROTECT, related_name="decisions")
    rule = models.ForeignKey(RewardRule, on_delete=models.PROTECT, related_name="+", db_index=False)
    rule_key = models.CharField(max_length=32)
    side = models.CharField(max_length=8, choices=SIDES)
    # Whose friend's event it was (nobody's where several share the friend), and whether it counts as one that qualified: by these,
    # milestones, tiers and limits add up.
    referrer = models.ForeignKey(Participant, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    counted = models.BooleanField(default=False)
    rewardable = models.BooleanField()
    reason = models.CharField(max_length=32, blank=True)
    amount_minor = models.BigIntegerField(default=0)
    conditions = models.JSONField(default=list)
    decided_at = models.DateTimeField(default=clock.now)
    current = models.BooleanField(default=True)

    objects = TenantQuerySet["Decision"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["event", "rule_key"], condition=Q(current=True), name="decision_current_once"
            )
        ]
        indexes = [
            # The API's list, newest first, and since a time.
            models.Index(fields=["merchant", "is_test", "-decided_at", "-id"], name="decision_list"),
            # "Purchases and referrals": the events that failed for one reason, or for any.
            models.Index(
                fields=["merchant", "is_test", "reason", "event"],
                condition=Q(current=True) & ~Q(reason=""),
                name="decision_reason",
            ),
            # What a referrer's friends came to under a rule.
            models.Index(
                fields=["referrer", "rule_key"], condition=Q(current=True, counted=True), name="decision_of_referrer"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.rule_key}: {self.reason or 'rewardable'}"


class State(models.TextChoices):
    """A reward's life (PRODUCT.md): review, due, queued, sending, issued; aside held, waiting, attention; void and reversed at the end."""

    REVIEW = "review", _("In review")
    DUE = "due", _("Due")
    QUEUED = "queued", _("Queued")
    SENDING = "sending", _("Sending")
    ISSUED = "issued", _("Issued")
    HELD = "held", _("Held")
    WAITING = "waiting", _("Waiting for the recipient")
    ATTENTION = "attention", _("Needs attention")
    VOID = "void", _("Void")
    REVERSED = "reversed", _("Reversed")


class RewardQuerySet(TenantQuerySet["Reward"]):
    """Rewards by where they stand."""

    def due(self) -> RewardQuerySet:
        """Ready to be issued."""
        return self.filter(state=State.DUE)

    def in_review(self) -> RewardQuerySet:
        """Earned, and waiting for the review period to end."""
        return self.filter(state=State.REVIEW)


class Reward(TenantModel):
    """What one participant is owed for one event under one rule. `amount_minor` is owed now; the ledger tells how it came to that."""

    public_id = models.CharField(max_length=32, unique=True, default=_reward_id, editable=False)
    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="rewards", db_index=False)
    participant = models.ForeignKey(Participant, on_delete=models.PROTECT, related_name="rewards")
    side = models.CharField(max_length=8, choices=SIDES)
    rule = models.ForeignKey(RewardRule, on_delete=models.PROTECT, related_name="+", db_index=False)
    rule_key = models.CharField(max_length=32)
    event = models.ForeignKey(QualifyingEvent, on_delete=models.PROTECT, related_name="rewards", db_index=False)
    kind = models.CharField(max_length=12, choices=RewardRule.KINDS)
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    # Something that is no money ("1 free month"): then amount_minor is 0, and the ledger has no line.
    units = models.PositiveIntegerField(null=True, blank=True)
    units_label = models.CharField(max_length=60, blank=True)
    state = models.CharField(max_length=9, choices=State.choices)
    # Why it stands where it stands, as a code of PRODUCT.md; and a person's own words.
    reason = models.CharField(max_length=32, blank=True)
    note = models.CharField(max_length=500, blank=True)
    # Since when it stands there ("Due since"); one index serves every tab.
    stage_at = models.DateTimeField(default=clock.now)
    review_ends_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=clock.now)
    issued_at = models.DateTimeField(null=True, blank=True)
    payout = models.ForeignKey("Payout", on_delete=models.PROTECT, null=True, related_name="rewards")
    # Counts the changes of state: part of the ledger's keys, and the guard against two tabs.
    revision = models.PositiveIntegerField(default=0)

    objects = RewardQuerySet.as_manager()

    class Meta:
        constraints = [
            # With the person: a friend who is given to another referrer earns that one the same reward.
            models.UniqueConstraint(fields=["event", "rule_key", "side", "participant"], name="reward_once"),
            models.CheckConstraint(condition=Q(amount_minor__gte=0), name="reward_amount"),
            models.CheckConstraint(
                condition=~Q(state="issued") | Q(payout__isnull=False), name="reward_issued_by_payout"
            ),
        ]
        indexes = [
            # The Reward section: a tab of one side, and of one campaign; by date.
            models.Index(fields=["merchant", "is_test", "state", "stage_at", "id"], name="reward_stage"),
            models.Index(fields=["campaign", "state", "stage_at", "id"], name="reward_campaign_stage"),
            models.Index(fields=["merchant", "is_test", "state", "amount_minor", "id"], name="reward_amount_sort"),
            # release_due.
            models.Index(fields=["review_ends_at"], condition=Q(state="review"), name="reward_review_end"),
            # Mails to the team about what only they can hand over (integrations.team_mails).
            models.Index(fields=["stage_at"], condition=Q(state="due", kind="custom"), name="reward_custom_due"),
            # queueing.wake, and who is told that something waits for them: few, whosever they are.
            models.Index(fields=["participant"], condition=Q(state="waiting"), name="reward_waiting"),
        ]

    def __str__(self) -> str:
        return f"{self.worth} to {self.participant}"

    @property
    def amount(self) -> Money:
        """What is owed, in money."""
        return Money(self.amount_minor, self.currency)

    @property
    def worth(self) -> Money | Units:
        """What to show: money, or units of something."""
        return self.amount if self.units is None else Units(self.units, self.units_label)


class LedgerQuerySet(AppendOnlyQuerySet["LedgerEntry"]):
    """Ledger lines: added and read, nothing else."""


class LedgerEntry(AppendOnlyModel):
    """One line of the ledger: `amount_minor` is signed, the kind fixes the sign, `key` is said once for ever (ARCHITECTURE.md)."""

    KINDS = (
        ("earn", _("Earned")),
        ("reverse", _("Taken back")),
        ("pay", _("Paid")),
        ("pay_back", _("Payment undone")),
        ("adjust", _("Adjusted")),
    )

    key = models.CharField(max_length=96, unique=True)
    participant = models.ForeignKey(Participant, on_delete=models.PROTECT, related_name="ledger")
    side = models.CharField(max_length=8, choices=SIDES)
    kind = models.CharField(max_length=8, choices=KINDS)
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    reward = models.ForeignKey(Reward, on_delete=models.PROTECT, null=True, related_name="ledger")
    payout = models.ForeignKey("Payout", on_delete=models.PROTECT, null=True, related_name="ledger")
    note = models.CharField(max_length=500, blank=True)
    actor = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=clock.now)

    objects = LedgerQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "ledger entries"
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=["earn", "pay_back"], amount_minor__gt=0)
                | Q(kind__in=["reverse", "pay"], amount_minor__lt=0)
                | (Q(kind="adjust") & ~Q(amount_minor=0) & ~Q(note="")),
                name="ledger_sign",
            )
        ]
        indexes = [
            models.Index(fields=["participant", "side"], name="ledger_balance"),
            # The books of one side, newest first, and the sums of a span.
            models.Index(fields=["merchant", "is_test", "-id"], name="ledger_list"),
            models.Index(fields=["merchant", "is_test", "created_at"], name="ledger_span"),
        ]

    def __str__(self) -> str:
        return f"{self.key} {self.amount_minor}"

    @property
    def amount(self) -> Money:
        """The signed amount."""
        return Money(self.amount_minor, self.currency)


class RewardTally(TenantModel):
    """How many rewards, and how much money, moved into or out of a state: the sums of these rows are the pipeline's figures.

    Rows are added, never updated, so that no row is hot; `manage.py sweep` folds them, `manage.py verify_ledger` compares them with
    the rewards themselves (PERFORMANCE.md, "Counter contention").
    """

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="+", db_index=False)
    currency = models.CharField(max_length=3)
    state = models.CharField(max_length=9, choices=State.choices)
    count = models.IntegerField()
    amount_minor = models.BigIntegerField()

    objects = TenantQuerySet["RewardTally"].as_manager()

    class Meta:
        verbose_name_plural = "reward tallies"
        indexes = [models.Index(fields=["merchant", "is_test", "campaign", "state"], name="reward_tally")]

    def __str__(self) -> str:
        return f"{self.state} {self.count:+d}"


class BudgetUse(TenantModel):
    """How much of a rule's campaign budget is used, ever ("all") and in one period ("2026", "2026-11", "2026-W47", "2026-11-21").

    The row is the lock under which the last unit is given once (RELIABILITY INV-16); `manage.py verify_ledger` compares it with
    the rewards. Periods are the merchant's, by the time of the purchase.
    """

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="budget_uses")
    rule_key = models.CharField(max_length=32)
    period = models.CharField(max_length=10)
    used_minor = models.BigIntegerField(default=0)

    objects = TenantQuerySet["BudgetUse"].as_manager()

    class Meta:
        verbose_name_plural = "budget uses"
        constraints = [
            models.UniqueConstraint(fields=["campaign", "rule_key", "period"], name="budget_use_once"),
        ]

    def __str__(self) -> str:
        return f"{self.rule_key} {self.period}: {self.used_minor}"


class WhatIf(TenantModel):
    """A question: what would this campaign's events have earned under these rules? The row is the job (ADR 3), its answer and its lease.

    `work` is how far it is, for the next slice; `owner` names the worker that has it until `leased_until` by the database's clock.
    """

    STATES = (
        ("queued", _("Waiting")),
        ("running", _("Running")),
        ("done", _("Done")),
        ("failed", _("Failed")),
        ("cancelled", _("Cancelled")),
    )
    OPEN = ("queued", "running")

    public_id = models.CharField(max_length=32, unique=True, default=_what_if_id, editable=False)
    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="what_ifs")
    rules = models.JSONField(default=list)
    digest = models.CharField(max_length=64)
    # The campaign's revision that the question was asked of: publishing the rules refuses another one.
    revision = models.PositiveIntegerField()
    asked_by = models.CharField(max_length=320)
    state = models.CharField(max_length=9, choices=STATES, default="queued")
    events = models.PositiveIntegerField(default=0)
    events_done = models.PositiveIntegerField(default=0)
    work = models.JSONField(default=dict)
    result = models.JSONField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    owner = models.CharField(max_length=22, blank=True)
    leased_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=clock.wall)
    finished_at = models.DateTimeField(null=True)

    objects = TenantQuerySet["WhatIf"].as_manager()

    class Meta:
        constraints = [
            # A double press asks once.
            models.UniqueConstraint(
                fields=["campaign", "asked_by", "digest"],
                condition=Q(state__in=["queued", "running"]),
                name="what_if_open_once",
            ),
        ]
        indexes = [
            models.Index(fields=["id"], condition=Q(state__in=["queued", "running"]), name="what_if_open"),
            models.Index(fields=["created_at"], name="what_if_age"),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def is_open(self) -> bool:
        """Whether it is still being worked on."""
        return self.state in self.OPEN

    @property
    def percent(self) -> int:
        """How much of the work is done."""
        return min(99, self.events_done * 100 // self.events) if self.events else 0
