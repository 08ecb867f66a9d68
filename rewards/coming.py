"""What is going to happen on one side, and when: a small table of sources, each a query. The test clock stops at these moments."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Exists, Min, OuterRef, Q

from campaigns.models import Campaign, Status
from participants.models import PayoutDestination, Referral, Visit
from referrals.accounts.tenancy import Tenant
from referrals.lib.money import Money
from rewards.leaderboard import open_leaderboards
from rewards.models import Reward, State
from rewards.queueing import waits_for_address
from rewards.runs import next_moments


@dataclass(frozen=True, slots=True)
class Coming:
    """One thing that is going to happen: what kind of thing, to whom (a public id), in which campaign, and the amount if there is one."""

    at: datetime
    kind: str
    subject_type: str
    subject_id: str
    who: str
    campaign: str
    amount: Money | None = None
    # What a reward is worth in words, where it is not money ("1 free month").
    worth: str = ""


Query = Callable[[Tenant, datetime, int], Iterable[Coming]]


@dataclass(frozen=True, slots=True)
class Source:
    """A kind of moment. `query` gives the first few after a moment, in order; `acts`: the schedule has something to do then."""

    kind: str
    query: Query
    acts: bool = False


def _review_ends(tenant: Tenant, after: datetime, limit: int) -> Iterator[Coming]:
    """Rewards leave review. What is overdue comes at once."""
    rows = (
        Reward.objects.for_tenant(tenant)
        .filter(state=State.REVIEW, review_ends_at__isnull=False)
        .order_by("review_ends_at", "pk")
        .select_related("participant", "campaign")[:limit]
    )
    for row in rows:
        at = max(after, row.review_ends_at or after)
        amount = row.amount if row.units is None else None
        who, name = str(row.participant), row.campaign.name
        yield Coming(at, "review_ends", "reward", row.public_id, who, name, amount, str(row.worth))


def _campaign_starts(tenant: Tenant, after: datetime, limit: int) -> Iterator[Coming]:
    rows = Campaign.objects.for_tenant(tenant).filter(status=Status.ACTIVE, starts_at__gt=after)
    for row in rows.order_by("starts_at", "pk")[:limit]:
        yield Coming(row.starts_at or after, "campaign_starts", "campaign", row.public_id, row.name, row.name)


def _campaign_ends(tenant: Tenant, after: datetime, limit: int) -> Iterator[Coming]:
    rows = Campaign.objects.for_tenant(tenant).filter(status__in=[Status.ACTIVE, Status.PAUSED], ends_at__gt=after)
    for row in rows.order_by("ends_at", "pk")[:limit]:
        yield Coming(row.ends_at or after, "campaign_ends", "campaign", row.public_id, row.name, row.name)


def _leaderboards_close(tenant: Tenant, after: datetime, limit: int) -> Iterator[Coming]:
    """A leaderboard's prizes are given when its campaign is over. What is overdue comes at once."""
    rows = open_leaderboards().for_tenant(tenant).filter(Q(ends_at__isnull=False) | Q(status=Status.ENDED))
    found = [(max(after, after if row.status == Status.ENDED else row.ends_at or after), row) for row in rows]
    for at, row in sorted(found, key=lambda one: (one[0], one[1].pk))[:limit]:
        yield Coming(at, "leaderboard_closes", "campaign", row.public_id, row.name, row.name)


def _runs_come(tenant: Tenant, after: datetime, limit: int) -> Iterator[Coming]:
    """Runs of automatic issuing for which something is due."""
    for at, route, _delivery in next_moments(tenant, after)[:limit]:
        yield Coming(at, "payout_run", "payout_route", route.public_id, str(route.get_kind_display()), "")


def _addresses_count(tenant: Tenant, after: datetime, limit: int) -> Iterator[Coming]:
    """Payout addresses for which a reward waits are used from a moment on, as the end of their 72 hours. What is overdue comes at once."""
    waiting = waits_for_address(Reward.objects.all()).filter(
        participant=OuterRef("participant"), stage_at__lt=OuterRef("usable_from")
    )
    rows = (
        PayoutDestination.objects.for_tenant(tenant)
        .filter(Exists(waiting), ended_at=None, confirmed_at__isnull=False)
        .order_by("usable_from", "pk")
        .select_related("participant__campaign")[:limit]
    )
    for row in rows:
        who, at = row.participant, max(after, row.usable_from or after)
        yield Coming(at, "address_counts", "participant", who.public_id, str(who), who.campaign.name)


def _windows_end(tenant: Tenant, after: datetime, limit: int) -> Iterator[Coming]:
    """Clicks that brought nobody yet stop counting: for each campaign the first of them. Two queries."""
    windows = Campaign.objects.for_tenant(tenant).filter(status=Status.ACTIVE).values_list("window_days", flat=True)
    still = Q()
    for days in set(windows):
        still |= Q(campaign__window_days=days, occurred_at__gt=after - timedelta(days=days))
    if not still:
        return
    used = Referral.objects.for_tenant(tenant).filter(visit__isnull=False).values("visit")
    rows = (
        Visit.objects.filter(still, merchant=tenant.merchant, is_test__in=[tenant.is_test], hidden_reason="")
        .filter(campaign__status=Status.ACTIVE)
        .exclude(pk__in=used)
        .values("campaign__public_id", "campaign__name", "campaign__window_days")
        .annotate(first=Min("occurred_at"))
        .order_by()
    )
    found = [
        Coming(
            row["first"] + timedelta(days=row["campaign__window_days"]),
            "window_ends",
            "campaign",
            row["campaign__public_id"],
            row["campaign__name"],
            row["campaign__name"],
        )
        for row in rows
    ]
    yield from sorted(found, key=lambda one: one.at)[:limit]


SOURCES: tuple[Source, ...] = (
    Source("review_ends", _review_ends, acts=True),
    Source("leaderboard_closes", _leaderboards_close, acts=True),
    Source("address_counts", _addresses_count, acts=True),
    Source("payout_run", _runs_come, acts=True),
    Source("campaign_starts", _campaign_starts),
    Source("campaign_ends", _campaign_ends),
    Source("window_ends", _windows_end),
)


KINDS = [source.kind for source in SOURCES]


def coming(tenant: Tenant, after: datetime, *, limit: int = 10) -> list[Coming]:
    """The next things that happen on this side, soonest first; a few queries, however much there is."""
    streams = (source.query(tenant, after, limit) for source in SOURCES)
    return list(heapq.merge(*streams, key=lambda one: one.at))[:limit]


def next_act(tenant: Tenant, after: datetime) -> datetime | None:
    """When the schedule next has something to do on this side."""
    firsts = (one.at for source in SOURCES if source.acts for one in source.query(tenant, after, 1))
    return min(firsts, default=None)


def passed(tenant: Tenant, after: datetime, until: datetime, *, limit: int = 20) -> list[Coming]:
    """The dates without an Event of their own that lie in (after, until], in order: campaigns that started or ended."""
    streams = [source.query(tenant, after, limit) for source in SOURCES if source.kind.startswith("campaign_")]
    return [one for one in heapq.merge(*streams, key=lambda one: one.at) if one.at <= until][:limit]
