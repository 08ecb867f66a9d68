"""Rewards that go out by themselves: at once after review, or in the runs of the merchant's calendar (seed 004; docs/payouts.md).

What a run takes and that it is made once is in rewards.runs; here it meets the ways of paying. Nothing here calls a network: what is
queued is carried out by integrations.payouts.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime

from django.utils.translation import gettext as _

from campaigns.models import Campaign
from integrations import methods
from integrations.methods import Option
from referrals.accounts import clocks
from referrals.accounts.models import Merchant, MerchantClock
from referrals.accounts.tenancy import Tenant
from referrals.events.services import SYSTEM, Actor
from referrals.lib import clock
from referrals.lib.errors import Refused
from rewards import ceilings, routes, runs
from rewards.lifecycle import BANNED, release_due
from rewards.models import PayoutBatch, PayoutRoute, Reward
from rewards.queueing import NO_DESTINATION
from rewards.runs import Task

RELEASED = 1000
# What may have happened to a reward since it was read: nothing is wrong with the way.
PASSING = frozenset({"not_due", BANNED})
_KNOWN = PASSING | {NO_DESTINATION}
logger = logging.getLogger(__name__)


def sweep() -> int:
    """For the schedule: make the runs that are due on every side whose time is the real one. Returns how many were made.

    Test sides with a clock of their own are looked after in rewards.advancing.
    """
    sides = PayoutRoute.objects.exclude(is_test=True, merchant__in=MerchantClock.objects.values("merchant"))
    keys = list(sides.order_by("merchant_id", "is_test").values_list("merchant_id", "is_test").distinct())
    merchants = Merchant.objects.in_bulk({merchant for merchant, _is_test in keys})
    made = 0
    for merchant, is_test in keys:
        tenant = Tenant(merchants[merchant], is_test)
        try:
            with clocks.running(tenant):
                made += run_due(tenant, clock.now())
        except Exception:
            # One business whose runs can't be made keeps no other one waiting.
            logger.exception("the runs of merchant %s could not be made", merchant)
    return made


def run_due(tenant: Tenant, moment: datetime) -> int:
    """Make the runs of one side that are due at a moment, each once. Returns how many batches they led to."""
    tasks = runs.tasks_of(tenant, moment)
    if any(task.slot for task in tasks):
        # What is out of review at the moment of a slot goes with it, whoever was first.
        while release_due(tenant=tenant, until=moment, limit=RELEASED) >= RELEASED:
            pass
    return sum(_run(tenant, task) for task in tasks)


def _run(tenant: Tenant, task: Task) -> bool:
    """One run; a reason why it can't be made stands on its route, and it is tried again. Whether it led to a batch."""
    route, due = task.route, runs.of_task(task)
    if not due and not task.slot:
        return False
    try:
        option = methods.find(tenant, route.method)
        takes, below, unfit = choose(option, tenant, due, route.options)
        takes, more = runs.one_part(takes)
        # Once more of what goes: without who is below the minimum, a person's sum may be another one.
        refused = {row.pk: code for row, code in _refused(option, tenant, takes, route.options)}
        waiting = {pk for pk, code in refused.items() if code == NO_DESTINATION}
        unfit += [(row, refused[row.pk]) for row in takes if refused.get(row.pk, NO_DESTINATION) not in _KNOWN]
        takes = [row for row in takes if row.pk not in refused or row.pk in waiting]
        # What is above a day's ceiling goes with another part of the run, as soon as there is room.
        late = any(code == ceilings.LIMIT for _row, code in unfit)
        if not takes and (late or not task.slot):
            runs.note_problem(route, _unfit_words(unfit))
            return False

        def issue(key: str) -> PayoutBatch | None:
            runs.let_wait(tenant, waiting)
            payable = [row.pk for row in takes if row.pk not in waiting]
            if not payable:
                return None
            batch, _made = methods.issue(
                option, tenant=tenant, reward_ids=payable, actor=SYSTEM, key=key, chosen=route.options
            )
            return batch

        slot = runs.slot_of(task, takes)
        made = runs.make_once(task, slot, below=len(below), more=more or late, issue=issue)
    except Refused as refusal:
        runs.note_problem(route, refusal.message)
        return False
    runs.note_problem(route, _unfit_words(unfit))
    return made is not None and made.batch is not None


def choose(
    option: Option, tenant: Tenant, due: Sequence[Reward], chosen: Mapping[str, str]
) -> tuple[list[Reward], dict[int, runs.Below], list[tuple[Reward, str]]]:
    """Of due rewards: (what goes, or waits for a payout address; what is below the minimum; what can't go this way, with the code)."""
    wrong = {row.pk: (row, code) for row, code in _refused(option, tenant, due, chosen) if code != NO_DESTINATION}
    takes, below = runs.by_minimum([row for row in due if row.pk not in wrong])
    return takes, below, [(row, code) for row, code in wrong.values() if code not in PASSING]


def _refused(
    option: Option, tenant: Tenant, rewards: Sequence[Reward], chosen: Mapping[str, str]
) -> list[tuple[Reward, str]]:
    if not rewards:
        return []
    return methods.preview(option, tenant, [row.pk for row in rewards], chosen).refused


def _unfit_words(unfit: Sequence[tuple[Reward, str]]) -> str:
    if not unfit:
        return ""
    row, code = unfit[0]
    if code == ceilings.LIMIT:
        return _("A limit for a day is used up. What is above it goes as soon as there is room again.")
    words = {"amount": row.worth, "who": row.participant, "why": code if " " in code else ""}
    return (_("%(amount)s to %(who)s can't be paid this way. Issue it another way. %(why)s") % words).strip()


def set_route(
    *,
    tenant: Tenant,
    actor: Actor,
    side: str,
    kind: str,
    method: str,
    options: Mapping[str, str],
    campaign: Campaign | None = None,
) -> PayoutRoute:
    """Choose the way by which a kind of reward is paid by itself. Raises Refused: method_unknown, method_by_hand, method_unsuitable,
    option, each with its field."""
    option = methods.find(tenant, method)
    if not option.by_itself:
        message = _(
            "%(way)s needs somebody to do it. Choose a way that pays by itself, or leave this kind to your team."
        )
        raise Refused("method_by_hand", message % {"way": option.label}, field="method")
    if kind not in option.method.kinds:
        message = _("%(way)s can't deliver this kind of reward.")
        raise Refused("method_unsuitable", message % {"way": option.label}, field="method")
    values = methods.checked(option, tenant, options)
    return routes.set_route(
        tenant=tenant, actor=actor, side=side, kind=kind, method=option.value, options=values, campaign=campaign
    )
