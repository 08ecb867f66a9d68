"""When and how a due reward goes out by itself: for the merchant's pages and for the person's own (docs/payouts.md)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet
from django.utils import formats, timezone
from django.utils.translation import gettext as _

from integrations import methods
from integrations.base import Text
from referrals.accounts.tenancy import Tenant
from referrals.lib import clock
from referrals.lib.errors import Refused
from rewards import routes, runs
from rewards.models import PayoutRoute, Reward, State
from rewards.routes import Need
from rewards.runs import Below


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is going to happen to a due reward by itself.

    `at` is the next run's moment, None for what goes at once; `way` what it is paid by, "" where none is chosen or it is gone; `below`
    when the smallest payout is not reached; `problem` why runs can't be made; `by_hand` that it came back and waits for a person.
    """

    delivery: str
    at: datetime | None = None
    way: Text = ""
    # The company's name, as its recipients know it; "" for ways of the merchant's own.
    company: Text = ""
    below: Below | None = None
    problem: str = ""
    by_hand: bool = False


def outlook(tenant: Tenant, rewards: Sequence[Reward], *, now: datetime | None = None) -> dict[int, Outlook]:
    """By primary key, of those that are due and whose rule issues by itself; the others are not in it. At most nine queries, none when
    nothing is due. The rewards come with `rule`, or cost a query each."""
    mine = {row.pk: row for row in rewards if row.state == State.DUE and row.rule.delivery != "manual"}
    if not mine:
        return {}
    now = now or clock.now()
    taken = set(runs.due_by_itself(tenant).filter(pk__in=mine).values_list("pk", flat=True))
    calendar = routes.calendar_of(tenant)
    known = list(PayoutRoute.objects.for_tenant(tenant).order_by("pk"))
    ways = {route.pk: _way(tenant, route) for route in known} if known else {}
    below = _below(tenant, [row for row in mine.values() if row.rule.minimum_payout_minor])
    found = {}
    for pk, row in mine.items():
        delivery = row.rule.delivery
        route = routes.route_for(known, Need(row.campaign_id, row.side, row.kind, delivery))
        found[pk] = Outlook(
            delivery,
            at=routes.next_time(calendar, delivery, now),
            way=ways[route.pk][0] if route else "",
            company=ways[route.pk][1] if route else "",
            below=below.get(pk),
            problem=route.problem if route else "",
            by_hand=pk not in taken,
        )
    return found


def _way(tenant: Tenant, route: PayoutRoute) -> tuple[Text, Text]:
    """(its label, the company's)."""
    try:
        option = methods.find(tenant, route.method)
    except Refused:
        return "", ""
    return option.label, option.provider.label if option.provider else ""


def _below(tenant: Tenant, rewards: Collection[Reward]) -> dict[int, Below]:
    """Who is below the smallest payout, by all that is due to them by the same kind of run."""
    if not rewards:
        return {}
    rows: QuerySet[Reward] = runs.due_by_itself(tenant).filter(participant__in={row.participant_id for row in rewards})
    groups: dict[tuple[str, str, str], list[Reward]] = {}
    for row in rows.select_related("rule").order_by("pk"):
        groups.setdefault((row.side, row.kind, row.rule.delivery), []).append(row)
    found: dict[int, Below] = {}
    for group in groups.values():
        found |= runs.by_minimum(group)[1]
    return found


def words(found: Outlook, language: str) -> str:
    """For the merchant: "Waits until $25.00 is reached: $10.00 so far", "Goes out on 15 December by PayPal"."""
    if found.by_hand:
        return _("It came back: issue it by hand.")
    if found.below is not None:
        facts = {"minimum": found.below.minimum.format(language), "so_far": found.below.so_far.format(language)}
        return _("Waits until %(minimum)s is reached: %(so_far)s so far") % facts
    if not found.way:
        return _("Goes out by itself once a way of paying is chosen for it")
    if found.problem:
        return _("Can't go out by itself: %(problem)s") % {"problem": found.problem}
    if found.at is None:
        return _("Goes out by itself in a few minutes, by %(way)s") % {"way": found.way}
    day = formats.date_format(timezone.localtime(found.at), "DATE_FORMAT")
    return _("Goes out on %(day)s by %(way)s") % {"day": day, "way": found.way}
