"""What we keep at a company for a merchant: promotion codes, the coupon behind them, the address that it sends messages to.

Each row is the job that brings the company in line with it: state, attempts, when it is next due, and what went wrong (ARCHITECTURE.md,
"The row is the job").
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from integrations.remote_texts import sentence
from referrals.accounts.tenancy import TenantModel, TenantQuerySet
from referrals.lib import clock
from referrals.lib.codes import public_id


def request_key() -> str:
    """A name for one request, chosen before it is first sent, so that sending it again has no second effect."""
    return public_id("rq")


class Problem(models.Model):
    """What is wrong: `problem` is a code of integrations.remote_texts, `said` the company's own words."""

    problem = models.CharField(max_length=30, blank=True)
    said = models.CharField(max_length=300, blank=True)

    class Meta:
        abstract = True

    @property
    def problem_sentence(self) -> str:
        """What went wrong and what to do, in the reader's language; "" while nothing did."""
        return sentence(self.problem, self.said)


class RemoteJob(Problem):
    """The columns of a row that is a job at a company."""

    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, default=clock.wall)

    class Meta:
        abstract = True


class PromotionPlan(Problem, TenantModel):
    """That a campaign's people get promotion codes in the merchant's account, and for what discount.

    `discount` is what the coupon gives, as integrations.discounts writes it. A coupon that the merchant chose is `chosen_coupon`; else one
    is made from the friend's reward, and made anew when that changes (`revision`). `rule_key` is the friend's reward that a redeemed code
    stands for: who had it by the code is not owed it again. `looked_to` and `seen_to` are how far through the participants it has come.
    """

    campaign = models.OneToOneField("campaigns.Campaign", on_delete=models.PROTECT, related_name="promotion_plan")
    connection = models.ForeignKey("integrations.Connection", on_delete=models.PROTECT, related_name="+")
    is_on = models.BooleanField(default=True)
    chosen_coupon = models.CharField(max_length=200, blank=True)
    rule_key = models.CharField(max_length=32, blank=True)
    first_order_only = models.BooleanField(default=True)
    discount = models.JSONField(default=dict, blank=True)
    revision = models.PositiveIntegerField(default=1)
    # The coupon once it is known to be there.
    coupon = models.CharField(max_length=200, blank=True)
    looked_to = models.BigIntegerField(default=0)
    seen_to = models.BigIntegerField(default=0)
    looked_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=clock.now)

    objects = TenantQuerySet["PromotionPlan"].as_manager()

    def __str__(self) -> str:
        return f"promotion codes of {self.campaign}"


class PromotionCode(RemoteJob, TenantModel):
    """One participant's promotion code at the company. `revision` is the plan's that `remote_id` was made for, 0 before that."""

    STATES = (
        ("wanted", _("Being made")),
        ("active", _("Active")),
        ("ending", _("Being switched off")),
        ("ended", _("Switched off")),
        ("failed", _("Not made")),
    )

    plan = models.ForeignKey(PromotionPlan, on_delete=models.PROTECT, related_name="codes", db_index=False)
    participant = models.ForeignKey("participants.Participant", on_delete=models.PROTECT, related_name="+")
    public_id = models.CharField(max_length=32, unique=True, default=request_key, editable=False)
    code = models.CharField(max_length=64)
    revision = models.PositiveIntegerField(default=0)
    remote_id = models.CharField(max_length=200, blank=True)
    request_key = models.CharField(max_length=32, default=request_key, editable=False)
    state = models.CharField(max_length=6, choices=STATES, default="wanted")
    created_at = models.DateTimeField(default=clock.now)

    objects = TenantQuerySet["PromotionCode"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["plan", "participant"], name="promotion_code_once"),
        ]
        indexes = [
            models.Index(
                fields=["next_attempt_at"], condition=Q(next_attempt_at__isnull=False), name="promotion_code_due"
            ),
            models.Index(fields=["plan", "state", "id"], name="promotion_code_state"),
            # A payment names the company's id of the code, or its text.
            models.Index(fields=["merchant", "is_test", "remote_id"], name="promotion_code_remote"),
            models.Index("merchant", "is_test", Lower("code"), name="promotion_code_text"),
        ]

    def __str__(self) -> str:
        return self.code


class InboundEndpoint(RemoteJob, TenantModel):
    """The address at the company that sends us its messages, made and kept by us with the merchant's key.

    `events` are those it was last made or updated with: when our list grows, it is updated.
    """

    STATES = (("wanted", _("Being made")), ("active", _("Active")), ("failed", _("Not made")))

    connection = models.OneToOneField(
        "integrations.Connection", on_delete=models.PROTECT, related_name="inbound_endpoint"
    )
    remote_id = models.CharField(max_length=200, blank=True)
    request_key = models.CharField(max_length=32, default=request_key, editable=False)
    events = models.JSONField(default=list, blank=True)
    state = models.CharField(max_length=6, choices=STATES, default="wanted")
    created_at = models.DateTimeField(default=clock.now)

    objects = TenantQuerySet["InboundEndpoint"].as_manager()

    class Meta:
        indexes = [
            models.Index(
                fields=["next_attempt_at"], condition=Q(next_attempt_at__isnull=False), name="inbound_endpoint_due"
            )
        ]

    def __str__(self) -> str:
        return self.remote_id or self.state
