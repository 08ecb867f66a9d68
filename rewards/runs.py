"""What a run of automatic issuing takes: due rewards of its kind and delivery, from the smallest payout on; and each run once.

A run is a row with a unique key, written in the transaction that makes its batch, whose key it gives: two workers, or one that died and
came again, make one batch. What a person took back, or what came to nothing without a reason that mends itself, is left to a person.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q

from referrals.accounts.tenancy import Tenant
from referrals.events.services import SYSTEM
from referrals.lib import clock
from referrals.lib.money import Money
from rewards import lifecycle, slots
from rewards.models import PayoutBatch, PayoutItem, PayoutRoute, PayoutRun, Reward, RewardQuerySet, State
from rewards.payouts import carried_over, lock_recipients
from rewards.queueing import NO_DESTINATION
from rewards.routes import Need, calendar_of, needs_of, route_for, times_of
from rewards.sending import MENDED

# How many rewards one batch takes, whole people only; what is more is the next part of the slot.
MOST = 2000


@dataclass(frozen=True, slots=True)
class Task:
    """One run that is to be made now: of which route, for which campaigns and delivery, and until which moment what is due counts."""

    route: PayoutRoute
    delivery: str
    campaigns: tuple[int, ...]
    # "" for what is paid at once: its name comes from what it takes.
    slot: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Below:
    """Somebody who has to wait: what is due to them so far, and the smallest payout that it has to reach."""

    so_far: Money
    minimum: Money


def left_to_a_person() -> Exists:
    """Rewards that were in a payout that was withdrawn, undone, or came to nothing for no reason that mends itself.

    One that did not leave because its rewards were held meanwhile, or its recipient has another address, leaves nothing to a person.
    """
    over = Q(payout__status="undone") | Q(payout__status="failed", payout__reason="") & ~Q(payout__message__in=MENDED)
    return Exists(PayoutItem.objects.filter(over, reward=OuterRef("pk")))


def due_by_itself(tenant: Tenant) -> RewardQuerySet:
    """Due rewards whose rule issues by itself."""
    due = Reward.objects.for_tenant(tenant).filter(state=State.DUE).exclude(rule__delivery="manual")
    return due.filter(~left_to_a_person())


def of_task(task: Task) -> list[Reward]:
    """What is due to go with a run, oldest first: of a slot what was due, or out of review, when it came."""
    rows = due_by_itself(task.route.tenant).filter(
        campaign__in=task.campaigns, side=task.route.side, kind=task.route.kind, rule__delivery=task.delivery
    )
    if task.slot:
        rows = rows.filter(Q(stage_at__lte=task.until) | Q(review_ends_at__lte=task.until))
    return list(rows.order_by("stage_at", "pk").select_related("participant", "rule", "merchant"))


def by_minimum(rewards: Sequence[Reward]) -> tuple[list[Reward], dict[int, Below]]:
    """(what may go, what has to wait by primary key): all that is due to one person and side has to reach each reward's own minimum,
    with what was taken back from them, or added, counted in. One set of queries."""
    bounded = [row for row in rewards if row.rule.minimum_payout_minor]
    carried = carried_over({row.participant_id for row in bounded}) if bounded else {}
    left = list(rewards)
    waiting: dict[int, Below] = {}
    while True:
        sums = _sums(left)
        short = [row for row in left if _net(row, sums, carried) < (row.rule.minimum_payout_minor or 0)]
        if not short:
            return left, waiting
        for row in short:
            so_far = Money(max(0, _net(row, sums, carried)), row.currency)
            waiting[row.pk] = Below(so_far, Money(row.rule.minimum_payout_minor or 0, row.currency))
        left = [row for row in left if row.pk not in waiting]


def _sums(rewards: Iterable[Reward]) -> Counter[tuple[int, str]]:
    sums: Counter[tuple[int, str]] = Counter()
    for row in rewards:
        sums[row.participant_id, row.side] += row.amount_minor
    return sums


def _net(row: Reward, sums: Counter[tuple[int, str]], carried: dict[tuple[int, str], int]) -> int:
    who = (row.participant_id, row.side)
    return sums[who] + (carried.get(who, 0) if row.rule.minimum_payout_minor else 0)


def tasks_of(tenant: Tenant, moment: datetime) -> list[Task]:
    """The runs that are to be made at a moment: of each route what is paid at once, and the latest slot where its run is missing.

    A slot that nobody was there for is made up for once; of several missed ones the latest takes everything. Four queries.
    """
    routes = list(PayoutRoute.objects.for_tenant(tenant).select_related("merchant").order_by("pk"))
    if not routes:
        return []
    calendar = calendar_of(tenant)
    times = times_of(calendar)
    found: dict[tuple[int, str], tuple[PayoutRoute, list[Need]]] = {}
    for need in needs_of(tenant):
        route = route_for(routes, need)
        if route is not None:
            found.setdefault((route.pk, need.delivery), (route, []))[1].append(need)
    tasks = []
    for (_pk, delivery), (route, needs) in found.items():
        campaigns = tuple(need.campaign for need in needs)
        if delivery == "immediate":
            tasks.append(Task(route, delivery, campaigns, "", moment))
            continue
        at = slots.last_slot(delivery, times, moment)
        if at > max(route.since, calendar.since):
            tasks.append(Task(route, delivery, campaigns, slots.name_of(delivery, at, times), at))
    made = _made(tenant, tasks)
    return [part for part in (_next_part(task, made) for task in tasks) if part is not None]


def _made(tenant: Tenant, tasks: Sequence[Task]) -> dict[tuple[int, str], PayoutRun]:
    """The last run that was made of each route and slot, by the slot's own name."""
    wanted = Q(pk__in=[])
    for name in {task.slot for task in tasks if task.slot}:
        wanted |= Q(slot__startswith=name)
    rows = PayoutRun.objects.for_tenant(tenant).filter(wanted).order_by("pk")
    return {(row.route_id, row.slot.partition("/")[0]): row for row in rows}


def _next_part(task: Task, made: Mapping[tuple[int, str], PayoutRun]) -> Task | None:
    """The task itself, its next part ("day_15:2026-11-15/2"), or None when all of it was done."""
    last = made.get((task.route.pk, task.slot)) if task.slot else None
    if last is None:
        return task
    if not last.more:
        return None
    number = int(last.slot.partition("/")[2] or 1) + 1
    return replace(task, slot=f"{task.slot}/{number}")


def one_part(rewards: Sequence[Reward]) -> tuple[list[Reward], bool]:
    """(what one batch takes, whether there is more): whole people only, in the order of their first reward."""
    groups: dict[int, list[Reward]] = {}
    for row in rewards:
        groups.setdefault(row.participant_id, []).append(row)
    part: list[Reward] = []
    for group in groups.values():
        if part and len(part) + len(group) > MOST:
            return part, True
        part += group
    return part, False


def slot_of(task: Task, takes: Sequence[Reward]) -> str:
    """The run's own name; of what is paid at once, that of its first reward in the state in which it is."""
    if task.slot:
        return task.slot
    first = min(takes, key=lambda row: row.pk)
    return f"now:{first.public_id}:{first.revision}"


def make_once(
    task: Task, slot: str, *, below: int, more: bool, issue: Callable[[str], PayoutBatch | None]
) -> PayoutRun | None:
    """Make a run, once: the row and, by `issue` with the batch's key, what it leads to, in one transaction. None when it was made before.

    What `issue` raises leaves no row, so that the run is made later.
    """
    with transaction.atomic():
        try:
            with transaction.atomic():
                row = PayoutRun.objects.create(
                    merchant=task.route.merchant,
                    is_test=task.route.is_test,
                    route=task.route,
                    slot=slot,
                    due_at=task.until,
                    below=below,
                    more=more,
                )
        except IntegrityError:
            return None
        row.batch = issue(f"run:{task.route.public_id}:{slot}"[:80])
        row.save(update_fields=["batch"])
    return row


def let_wait(tenant: Tenant, reward_ids: Collection[int]) -> int:
    """Rewards whose recipients have no payout address for the way they are paid: they wait for them. In the caller's transaction."""
    if not reward_ids:
        return 0
    lock_recipients(tenant, reward_ids)
    rows = [row for row in lifecycle.lock(tenant, reward_ids) if row.state == State.DUE]
    targets = [lifecycle.Target(row, State.WAITING, NO_DESTINATION) for row in rows]
    return len(lifecycle.move(lifecycle.ACTS["wait"], targets, actor=SYSTEM))


def note_problem(route: PayoutRoute, problem: str) -> None:
    """Remember why the runs of a route can't be made, since when; empty when they can again."""
    problem = problem[:500]
    if route.problem == problem:
        return
    since = (route.problem_since or clock.now()) if problem else None
    PayoutRoute.objects.filter(pk=route.pk).update(problem=problem, problem_since=since)
    route.problem, route.problem_since = problem, since


def next_moments(tenant: Tenant, after: datetime) -> list[tuple[datetime, PayoutRoute, str]]:
    """When there is next something to be paid by a run: (moment, route, delivery), soonest first. Only where something is due."""
    routes = list(PayoutRoute.objects.for_tenant(tenant).select_related("merchant").order_by("pk"))
    if not routes:
        return []
    times = times_of(calendar_of(tenant))
    found: dict[tuple[int, str], tuple[datetime, PayoutRoute, str]] = {}
    rows = due_by_itself(tenant).order_by("campaign_id", "side", "kind", "rule__delivery").distinct()
    for need in (Need(*row) for row in rows.values_list("campaign_id", "side", "kind", "rule__delivery")):
        route = route_for(routes, need)
        if route is not None and need.delivery in slots.SLOTTED:
            at = slots.next_slot(need.delivery, times, after)
            found.setdefault((route.pk, need.delivery), (at, route, need.delivery))
    return sorted(found.values(), key=lambda one: (one[0], one[1].pk))
