"""The pipeline's figures: how many rewards and how much money stand in each stage (UX.md, "reward pipeline").

Read from the tallies, never by counting rewards; `manage.py verify_ledger` proves that both say the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Count, Max, Sum

from campaigns.models import Campaign
from referrals.accounts.tenancy import Tenant
from referrals.lib.money import Money
from rewards.models import RewardTally, State

# Stage of the pages: the states it shows, in order. Every state stands in exactly one.
STAGES: dict[str, tuple[str, ...]] = {
    "review": (State.REVIEW,),
    "due": (State.DUE,),
    "sending": (State.QUEUED, State.SENDING),
    "issued": (State.ISSUED,),
    "attention": (State.HELD, State.WAITING, State.ATTENTION),
    "closed": (State.VOID, State.REVERSED),
}
STAGE_OF: dict[str, str] = {state: stage for stage, states in STAGES.items() for state in states}


@dataclass(frozen=True, slots=True)
class StageTotals:
    """One stage: how many rewards, and their money per currency, largest count first; currencies are never added."""

    stage: str
    count: int
    amounts: tuple[Money, ...]


def pipeline(tenant: Tenant, campaign: Campaign | None = None) -> list[StageTotals]:
    """The totals of every stage, in order, of one side of a merchant or of one campaign. One query."""
    rows = RewardTally.objects.for_tenant(tenant)
    if campaign is not None:
        rows = rows.filter(campaign=campaign)
    found: dict[str, dict[str, tuple[int, int]]] = {stage: {} for stage in STAGES}
    for row in rows.values("state", "currency").annotate(n=Sum("count"), minor=Sum("amount_minor")).order_by():
        per_currency = found[STAGE_OF[row["state"]]]
        count, minor = per_currency.get(row["currency"], (0, 0))
        per_currency[row["currency"]] = (count + row["n"], minor + row["minor"])
    return [_totals(stage, found[stage]) for stage in STAGES]


def due_by_campaign(tenant: Tenant) -> dict[int, StageTotals]:
    """What is due in each campaign, by its primary key. Campaigns that owe nothing are left out. One query."""
    rows = RewardTally.objects.for_tenant(tenant).filter(state=State.DUE)
    found: dict[int, dict[str, tuple[int, int]]] = {}
    for row in rows.values("campaign_id", "currency").annotate(n=Sum("count"), minor=Sum("amount_minor")).order_by():
        if row["n"]:
            found.setdefault(row["campaign_id"], {})[row["currency"]] = (row["n"], row["minor"])
    return {campaign_id: _totals("due", per_currency) for campaign_id, per_currency in found.items()}


def _totals(stage: str, per_currency: dict[str, tuple[int, int]]) -> StageTotals:
    present = sorted(((n, minor, code) for code, (n, minor) in per_currency.items() if n), reverse=True)
    return StageTotals(stage, sum(n for n, _, _ in present), tuple(Money(minor, code) for _, minor, code in present))


def fold_tallies() -> int:
    """Replace the delta rows of each (campaign, currency, state) by their sum. Returns how many rows went. Safe beside writers:
    only rows that this call has read are removed."""
    groups: Any = (
        RewardTally.objects.values("merchant_id", "is_test", "campaign_id", "currency", "state")
        .annotate(rows=Count("pk"), last=Max("pk"))
        .filter(rows__gt=1)
        .order_by()
    )
    gone = 0
    for group in list(groups):
        where = {name: group[name] for name in ("merchant_id", "is_test", "campaign_id", "currency", "state")}
        with transaction.atomic():
            rows = list(RewardTally.objects.filter(**where, pk__lte=group["last"]).select_for_update(skip_locked=True))
            count, minor = sum(row.count for row in rows), sum(row.amount_minor for row in rows)
            RewardTally.objects.filter(pk__in=[row.pk for row in rows]).delete()
            if count or minor:
                RewardTally.objects.create(**where, count=count, amount_minor=minor)
            gone += len(rows) - 1
    return gone
