"""Counting without reading a whole big table: up to a limit, then "10,000+" (PERFORMANCE.md, "count capped")."""

from __future__ import annotations

from typing import Any

from django.db.models import IntegerField, QuerySet, Subquery
from django.utils.translation import gettext as _

CAP = 10_000


class CappedCount(Subquery):
    """How many rows a correlated query has, at most CAP + 1: `Campaign.objects.annotate(people=CappedCount(...OuterRef...))`."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) AS capped)"
    output_field = IntegerField()

    def __init__(self, queryset: QuerySet[Any], cap: int = CAP) -> None:
        super().__init__(queryset.order_by().values("pk")[: cap + 1])


def capped(rows: QuerySet[Any], cap: int = CAP) -> int:
    """How many rows there are, at most `cap` + 1."""
    return rows.order_by().values("pk")[: cap + 1].count()


def words(count: int, cap: int = CAP) -> str:
    """A capped count for people: "412", "10,000+"."""
    return f"{count:,}" if count <= cap else _("%(cap)s+") % {"cap": f"{cap:,}"}
