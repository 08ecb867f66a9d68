"""Whether a side's payouts are asked about before they leave (integrations.veto does the asking)."""

from __future__ import annotations

from django.db.models import QuerySet
from django.db.models.functions import Now

from referrals.accounts.tenancy import Tenant
from referrals.lib.queue import enqueue
from rewards.files.formats import FORMATS
from rewards.models import Payout, PayoutVeto, VetoEndpoint
from rewards.payouts import COUPONS

ASK = "integrations.veto.sweep"
SEND = "integrations.payouts.sweep"
# What leaves without a company has a worker of its own, by its method; such payouts never have a turn.
WORKERS = {COUPONS: "rewards.coupons.waiting.give", **dict.fromkeys(FORMATS, "rewards.files.waiting.freeze_all")}


def endpoint_of(tenant: Tenant) -> VetoEndpoint | None:
    """Where this side asks, if it asks at all."""
    return VetoEndpoint.objects.for_tenant(tenant).filter(is_on=True).first()


def let_leave(tenant: Tenant, payouts: QuerySet[Payout]) -> None:
    """Nothing else stands in the way of these queued payouts: they leave, or are asked about first. In the caller's transaction."""
    if endpoint_of(tenant) is None:
        go(payouts)
        return
    keys = payouts.values_list("pk", flat=True)
    PayoutVeto.objects.bulk_create([PayoutVeto(payout_id=pk) for pk in keys], ignore_conflicts=True)
    enqueue(ASK)


def go(payouts: QuerySet[Payout]) -> None:
    """Nobody is asked any more about these queued payouts, all of one way: they leave. In the caller's transaction."""
    if payouts.exclude(method__in=WORKERS).update(next_attempt_at=Now()):
        enqueue(SEND)
    else:
        enqueue(WORKERS.get(payouts.values_list("method", flat=True).first() or "", SEND))


def is_asked(payout: Payout) -> bool:
    """Whether a question about it waits for its answer."""
    return PayoutVeto.objects.filter(payout=payout, answer="").exists()
