"""What rewards come to together where some of them are no money: "$30.00 and 2 × 1 free month"."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal

from django.db.models import Count

from campaigns.terms import Units
from referrals.lib.money import Money
from referrals.web.templatetags.ui import listed, money
from rewards.models import Payout, PayoutBatch, PayoutItem, Reward
from rewards.payouts import MANUAL

NOTHING: Mapping[str, int] = {}


def worths(sums: Iterable[Money], units: Mapping[str, int]) -> str:
    """Sums of several currencies, then what is no money with how often; a sum of nothing only where there is nothing else."""
    texts = [money(each) for each in sums if each.minor or not units]
    texts += [name if often == 1 else f"{often:,} × {name}" for name, often in sorted(units.items())]
    return listed(texts)


def units_of(rewards: Iterable[Reward]) -> Counter[str]:
    """What of these rewards is no money, with how often."""
    return Counter(str(reward.worth) for reward in rewards if reward.units is not None)


def units_of_payouts(payouts: Sequence[Payout]) -> dict[int, Counter[str]]:
    """The same of each payout, by its primary key. Only people hand over what is no money: no query where nothing was paid by hand."""
    return _units("payout", [row.pk for row in payouts if row.method == MANUAL])


def units_of_batches(batches: Sequence[PayoutBatch]) -> dict[int, Counter[str]]:
    """The same of each batch, by its primary key."""
    return _units("payout__batch", [row.pk for row in batches if row.method == MANUAL])


def _units(whose: Literal["payout", "payout__batch"], keys: Collection[int]) -> dict[int, Counter[str]]:
    found: dict[int, Counter[str]] = {}
    if not keys:
        return found
    items = PayoutItem.objects.filter(**{f"{whose}__in": keys}, reward__units__isnull=False).order_by()
    rows = items.values_list(whose, "reward__units", "reward__units_label").annotate(n=Count("pk"))
    for key, units, label, often in rows:
        found.setdefault(key, Counter())[str(Units(units, label))] += often
    return found
