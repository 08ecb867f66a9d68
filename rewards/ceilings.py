"""Ceilings for a day where nothing is claimed by a worker: what is frozen in a file or given as a code leaves in the moment it is made
(docs/payouts.md, "What keeps money in the house"). What leaves through a company is put off when it is claimed: rewards.payout_guards.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from django.db import transaction

from participants.models import Participant
from referrals.accounts.tenancy import Tenant
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from rewards import payout_guards
from rewards.models import Payout, PayoutLimit, Reward
from rewards.payout_guards import Postponed
from rewards.payouts import amounts_of

# Why a reward does not leave today, where a reason's code is wanted (rewards.queueing.Preview).
LIMIT = "limit_reached"


def lock(tenant: Tenant) -> None:
    """Lock the limits of a side for this transaction. Before people and rewards, as whoever claims a payout does."""
    list(PayoutLimit.objects.for_tenant(tenant).order_by("pk").select_for_update().values_list("pk"))


def refuse_above(payouts: Sequence[Payout]) -> None:
    """Raise Refused `limit_reached` (409) when one of these payouts, which are not saved yet, is above a ceiling of today. lock() came
    before."""
    late = _late([(row.participant, row.amount) for row in payouts], payouts[0].tenant) if payouts else {}
    if late:
        first = late[min(late)]
        details = {"until": first.until.isoformat(timespec="milliseconds")}
        raise Refused(LIMIT, first.message, field="method", status=409, details=details)


def within(tenant: Tenant, rewards: Sequence[Reward], *, each: bool = False) -> tuple[list[Reward], list[Reward]]:
    """(what may leave today, what is above a ceiling) of rewards that would be payouts: one for each person and side, or for `each`.

    Each that may leave counts for those after it.
    """
    sums = amounts_of(rewards)
    groups: dict[object, list[Reward]] = defaultdict(list)
    for row in rewards:
        groups[row.pk if each else (row.participant_id, row.side)].append(row)
    parts = list(groups.values())
    worth = [part[0].amount if each else sums[part[0].participant_id, part[0].side] for part in parts]
    late = _late([(part[0].participant, money) for part, money in zip(parts, worth, strict=True)], tenant)
    above = {row.pk for at in late for row in parts[at]}
    return [row for row in rewards if row.pk not in above], [row for row in rewards if row.pk in above]


def _late(leaving: Sequence[tuple[Participant, Money]], tenant: Tenant) -> dict[int, Postponed]:
    """Those above a ceiling, by their place."""
    by_currency: dict[str, list[Payout]] = defaultdict(list)
    for at, (person, money) in enumerate(leaving):
        if money.minor:
            row = Payout(
                pk=-1 - at,  # of no row
                merchant=tenant.merchant,
                is_test=tenant.is_test,
                participant=person,
                amount_minor=money.minor,
                currency=money.currency,
            )
            by_currency[money.currency].append(row)
    found: dict[int, Postponed] = {}
    with transaction.atomic():
        for currency in sorted(by_currency):
            found |= payout_guards.postponed_of(by_currency[currency])
    return {-1 - pk: why for pk, why in found.items()}
