"""What is kept about suspicion: traces of browsers, evaluations with their reasons, cases for a person to decide, and lists.

Rows go with the participant that they are about: nothing here is money or history.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from participants.fraud.facts import RULES_VERSION
from participants.fraud.presets import HIGH, LOW, MEDIUM, UNKNOWN
from referrals.accounts.tenancy import TenantModel, TenantQuerySet
from referrals.lib import clock

LEVELS = ((LOW, _("Low")), (MEDIUM, _("Medium")), (HIGH, _("High")), (UNKNOWN, _("Not checked")))


class Trace(TenantModel):
    """That a participant was at a browser: as they joined, opened their own page, or bought (if the shop says so).

    `network` is shortened (IPv4 /24, IPv6 /48). `address` and `browser` are keyed hashes: they say "the same" and nothing else.
    Forgotten after 90 days (participants.fraud.traces).
    """

    participant = models.ForeignKey("participants.Participant", on_delete=models.CASCADE, related_name="traces")
    at = models.DateTimeField(default=clock.now)
    address = models.CharField(max_length=22, blank=True)
    browser = models.CharField(max_length=22, blank=True)
    network = models.GenericIPAddressField(null=True)
    agent = models.CharField(max_length=200, blank=True)
    hosting = models.BooleanField(default=False)

    objects = TenantQuerySet["Trace"].as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["participant", "-at"], name="trace_of"),
            models.Index(fields=["merchant", "is_test", "address", "at"], name="trace_address"),
            models.Index(fields=["at"], name="trace_at"),
        ]

    def __str__(self) -> str:
        return f"trace at {self.at:%Y-%m-%d %H:%M}"


class FraudEvaluation(TenantModel):
    """The score of one referral, as the friend joined (no event) or for one event. A new one replaces the `current` one."""

    participant = models.ForeignKey(
        "participants.Participant", on_delete=models.CASCADE, related_name="fraud_evaluations"
    )
    referral = models.ForeignKey("participants.Referral", on_delete=models.CASCADE, related_name="+", db_index=False)
    event = models.ForeignKey(
        "participants.QualifyingEvent", on_delete=models.CASCADE, null=True, related_name="fraud_evaluations"
    )
    rules_version = models.PositiveSmallIntegerField(default=RULES_VERSION)
    inputs_hash = models.CharField(max_length=64, blank=True)
    preset = models.CharField(max_length=8)
    level = models.CharField(max_length=8, choices=LEVELS)
    score = models.PositiveSmallIntegerField()
    holds = models.BooleanField()
    decided_at = models.DateTimeField(default=clock.now)
    current = models.BooleanField(default=True)

    objects = TenantQuerySet["FraudEvaluation"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["participant"], condition=Q(current=True, event=None), name="fraud_of_joining_once"
            ),
            models.UniqueConstraint(fields=["event"], condition=Q(current=True), name="fraud_of_event_once"),
            models.CheckConstraint(condition=Q(score__lte=100), name="fraud_score"),
        ]
        indexes = [
            models.Index(fields=["merchant", "is_test", "-decided_at"], name="fraud_evaluated"),
            # What could not be checked is tried again.
            models.Index(fields=["decided_at"], condition=Q(current=True, level=UNKNOWN), name="fraud_unknown"),
        ]

    def __str__(self) -> str:
        return f"{self.level} ({self.score})"


class FraudReason(models.Model):
    """One finding of an evaluation: its code, which form of the signal, the points that it adds, and masked evidence."""

    evaluation = models.ForeignKey(FraudEvaluation, on_delete=models.CASCADE, related_name="reasons")
    code = models.CharField(max_length=3, blank=True)
    name = models.CharField(max_length=24)
    points = models.PositiveSmallIntegerField()
    evidence = models.JSONField(default=dict)

    class Meta:
        ordering: ClassVar = ["pk"]

    def __str__(self) -> str:
        return f"{self.code} {self.name} {self.points}"


class FraudCase(TenantModel):
    """A referral that waits for a person, or waited: one for a friend. While it is open, held or denied, nothing of theirs is paid.

    `cleared` names the findings that somebody has looked at and let pass: the same ones again do not hold again.
    """

    OPEN, HELD, APPROVED, DENIED = "open", "held", "approved", "denied"
    STATUSES = (
        (OPEN, _("To decide")),
        (HELD, _("On hold")),
        (APPROVED, _("Approved")),
        (DENIED, _("Denied")),
    )

    participant = models.OneToOneField("participants.Participant", on_delete=models.CASCADE, related_name="fraud_case")
    referrer = models.ForeignKey("participants.Participant", on_delete=models.CASCADE, related_name="+")
    campaign = models.ForeignKey("campaigns.Campaign", on_delete=models.CASCADE, related_name="+", db_index=False)
    level = models.CharField(max_length=8, choices=LEVELS)
    score = models.PositiveSmallIntegerField()
    # Sorts the queue: what is worst first.
    rank = models.PositiveSmallIntegerField()
    status = models.CharField(max_length=8, choices=STATUSES, default=OPEN)
    cleared = models.JSONField(default=list)
    opened_at = models.DateTimeField(default=clock.now)

    objects = TenantQuerySet["FraudCase"].as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["merchant", "is_test", "status", "-rank", "-id"], name="fraud_queue"),
        ]

    def __str__(self) -> str:
        return f"{self.participant}: {self.status}"


class FraudAction(TenantModel):
    """What somebody decided about a case, with what is needed to undo it."""

    KINDS = (
        ("approve", _("Approved")),
        ("hold", _("Kept on hold")),
        ("deny", _("Denied")),
        ("ban", _("Referrer banned")),
        ("trust", _("Pair trusted")),
        ("block_domain", _("Mail domain blocked")),
        ("block_network", _("Network blocked")),
    )

    case = models.ForeignKey(FraudCase, on_delete=models.CASCADE, related_name="actions")
    kind = models.CharField(max_length=13, choices=KINDS)
    note = models.CharField(max_length=300)
    actor = models.CharField(max_length=300, blank=True)
    at = models.DateTimeField(default=clock.now)
    before = models.JSONField(default=dict)
    undone_at = models.DateTimeField(null=True)

    objects = TenantQuerySet["FraudAction"].as_manager()

    def __str__(self) -> str:
        return self.kind


class TrustedPair(TenantModel):
    """Two people whose referrals are never flagged, such as a family. Kept as their folded mailboxes, the smaller one first."""

    one = models.CharField(max_length=254)
    other = models.CharField(max_length=254)
    note = models.CharField(max_length=300)
    added_by = models.CharField(max_length=300, blank=True)
    added_at = models.DateTimeField(default=clock.now)

    objects = TenantQuerySet["TrustedPair"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["merchant", "is_test", "one", "other"], name="trusted_pair_once")
        ]

    def __str__(self) -> str:
        return f"{self.one} and {self.other}"


class FraudBlock(TenantModel):
    """A mail domain, a network (shortened) or a web site whose people are always held as High."""

    KINDS = (("domain", _("Mail domain")), ("network", _("Network")), ("host", _("Web site")))

    kind = models.CharField(_("kind"), max_length=7, choices=KINDS)
    value = models.CharField(_("value"), max_length=253)
    note = models.CharField(_("reason"), max_length=300)
    added_by = models.CharField(max_length=300, blank=True)
    added_at = models.DateTimeField(default=clock.now)

    objects = TenantQuerySet["FraudBlock"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["merchant", "is_test", "kind", "value"], name="fraud_block_once")
        ]

    def __str__(self) -> str:
        return self.value
