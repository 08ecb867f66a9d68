"""Visits: one row for each opening of a referral link by a person; machines are kept apart, not counted (UX.md, bots)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q

from participants.models import Participant, Visit
from referrals.lib import clock
from referrals.lib.requests import truncate_ip


@dataclass(frozen=True, slots=True)
class VisitCount:
    """Counted and hidden openings of one person's link."""

    counted: int = 0
    hidden: int = 0


def visit_row(
    *,
    referrer: Participant,
    visitor: str,
    at: datetime | None = None,
    hidden_reason: str = "",
    channel: str = "",
    ip: str = "",
    agent: str = "",
    referer: str = "",
    utm: Mapping[str, str] | None = None,
) -> Visit:
    """An unsaved visit with everything from outside cut to size; the address is kept as its network only."""
    return Visit(
        merchant_id=referrer.merchant_id,
        is_test=referrer.is_test,
        campaign_id=referrer.campaign_id,
        referrer=referrer,
        visitor=visitor[:22],
        occurred_at=at or clock.now(),
        hidden_reason=hidden_reason[:12],
        channel=channel[:40],
        network=truncate_ip(ip) if ip else None,
        agent="".join(c for c in agent if c.isprintable())[:200],
        referer=referer[:100],
        utm=dict(utm or {}),
    )


def counts_of(participant_ids: Collection[int]) -> dict[int, VisitCount]:
    """Openings per participant's primary key, in one query."""
    rows = (
        Visit.objects.filter(referrer_id__in=participant_ids)
        .values("referrer_id")
        .annotate(counted=Count("pk", filter=Q(hidden_reason="")), hidden=Count("pk", filter=~Q(hidden_reason="")))
    )
    return {row["referrer_id"]: VisitCount(row["counted"], row["hidden"]) for row in rows}
