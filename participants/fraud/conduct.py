"""Signals about what happened: when, where from, who invited whom, and what became of the money."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from participants.fraud.facts import Facts
from participants.fraud.lists import COUPON_HOSTS, under

Found = tuple[str, dict[str, Any]]


def timing(facts: Facts) -> Iterator[Found]:
    """S10: faster than a person reads."""
    joining = _seconds(facts.clicked_at, facts.joined_at)
    if joining is not None and joining < 3:
        yield "hasty_joining", {"seconds": round(joining, 1)}
    order = _seconds(facts.shared_at, facts.ordered_at)
    if order is not None and order < 60:
        yield "hasty_order", {"seconds": round(order)}


def source(facts: Facts) -> Iterator[Found]:
    """S12: blocked by the merchant, a code on a coupon site, a code that went round, an advertisement."""
    if facts.blocked:
        yield "blocked", {"what": facts.blocked}
    if facts.banned_host:
        yield "banned_host", {"host": facts.source_host}
    elif under(facts.source_host, COUPON_HOSTS):
        yield "coupon_site", {"host": facts.source_host}
    if facts.unclicked_hour > 10:
        yield "code_without_clicks", {"count": facts.unclicked_hour}
    if facts.paid_click:
        yield "paid_click", {"parameter": facts.paid_click}


def circle(facts: Facts) -> Iterator[Found]:
    """S13: the chain of who invited whom leads back to the friend."""
    if facts.cycle:
        yield "circle", {"people": facts.cycle}
    elif facts.mutual:
        yield "mutual", {}


def money(facts: Facts) -> Iterator[Found]:
    """S14: purchases that come back, and orders made to measure."""
    if facts.sales >= 5 and facts.sales_refunded * 10 >= facts.sales * 3:
        yield "many_refunds", {"refunded": facts.sales_refunded, "sales": facts.sales}
    if not facts.amount:
        return
    if facts.minimum and facts.amount <= facts.minimum:
        yield "just_enough", {}
    elif facts.average and facts.amount >= facts.average * 10:
        yield "unusual_order", {"times": facts.amount // facts.average}


def recipient(facts: Facts) -> Iterator[Found]:
    """S15: sent or billed to the person who invited them."""
    if facts.same_recipient:
        yield "same_recipient", {}


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    """From start to end; None when one is unknown or the end came first (two clocks)."""
    if start is None or end is None or end < start:
        return None
    return (end - start).total_seconds()
