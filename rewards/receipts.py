"""What a person was paid, as papers: a receipt of each payout, and a statement of each year (issue "Pay", part 9).

They are about the person at one side of one merchant, in all of its campaigns, since that is who paid. A payout is in the year in which
it left, by the merchant's calendar. Nothing here is stored: the payouts, their items and the ledger are the books.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Max, Min, QuerySet

from campaigns.terms import Units
from participants.models import Participant
from referrals.lib.money import Money
from rewards.models import Payout, PayoutItem, Reward

# A year's statement lists this many payouts; more than that is a business's own book-keeping.
MOST = 1000


@dataclass(frozen=True, slots=True)
class Line:
    """One reward in a payout: what it was when it left, which may not be what it is now."""

    reward: Reward
    worth: Money | Units


@dataclass(frozen=True, slots=True)
class Receipt:
    """One payout that left: `amount` = the sum of its `lines` + `netted` (below zero: set off against what was taken back before)."""

    payout: Payout
    paid_at: datetime
    lines: tuple[Line, ...]

    @property
    def gross(self) -> Money:
        """What its rewards came to before anything was set off."""
        return Money(self.payout.amount_minor - self.payout.netted_minor, self.payout.currency)

    @property
    def netted(self) -> Money:
        """What was set off (below zero) or added."""
        return Money(self.payout.netted_minor, self.payout.currency)


@dataclass(frozen=True, slots=True)
class Statement:
    """A calendar year at the merchant: what was received, by currency, and each payout of it, the oldest first."""

    year: int
    sums: tuple[Money, ...]
    receipts: tuple[Receipt, ...]


def payouts_of(participant: Participant) -> QuerySet[Payout]:
    """Everything that was tried to be paid to this person by this side of the merchant, but for what was withdrawn. No order."""
    same = Participant.objects.for_tenant(participant.tenant).filter(email_key=participant.email_key)
    rows: QuerySet[Payout] = Payout.objects.for_tenant(participant.tenant).filter(participant__in=same)
    return rows.exclude(status="undone").select_related("participant__campaign", "merchant")


def receipt(participant: Participant, public_id: str) -> Receipt | None:
    """The receipt of one payout of this person; None for another's, and for one that has not left or came back. Two queries."""
    row = payouts_of(participant).filter(public_id=public_id[:32], status__in=Payout.GONE).first()
    return _receipts([row])[0] if row is not None and row.paid_at is not None else None


def statement(participant: Participant, year: int) -> Statement:
    """What the person received in a year; empty for a year without payouts. Two queries."""
    zone = participant.campaign.merchant.zone
    start, end = datetime(year, 1, 1, tzinfo=zone), datetime(year + 1, 1, 1, tzinfo=zone)
    left = payouts_of(participant).filter(status__in=Payout.GONE, paid_at__gte=start, paid_at__lt=end)
    found = _receipts(left.order_by("paid_at", "pk")[:MOST])
    sums: Counter[str] = Counter()
    for one in found:
        sums[one.payout.currency] += one.payout.amount_minor
    money = tuple(Money(minor, currency) for currency, minor in sorted(sums.items()))
    return Statement(year, money, tuple(found))


def years(participant: Participant) -> list[int]:
    """The calendar years from the first payout that left to the last, the newest first; none without one. One query."""
    zone = participant.campaign.merchant.zone
    ends = payouts_of(participant).filter(status__in=Payout.GONE).aggregate(first=Min("paid_at"), last=Max("paid_at"))
    if ends["first"] is None:
        return []
    return list(range(ends["last"].astimezone(zone).year, ends["first"].astimezone(zone).year - 1, -1))


def _receipts(payouts: Sequence[Payout] | QuerySet[Payout]) -> list[Receipt]:
    rows = [row for row in payouts if row.paid_at is not None]
    lines: dict[int, list[Line]] = {row.pk: [] for row in rows}
    items = PayoutItem.objects.filter(payout__in=rows).order_by("pk")
    for item in items.select_related("reward__event__participant", "reward__campaign"):
        reward = item.reward
        worth = Money(item.amount_minor, reward.currency) if reward.units is None else reward.worth
        lines[item.payout_id].append(Line(reward, worth))
    return [Receipt(row, row.paid_at, tuple(lines[row.pk])) for row in rows if row.paid_at is not None]


def exported(keys: Sequence[int]) -> list[dict[str, Any]]:
    """The receipts of people with these primary keys as plain values, for the export of a person's data. Two queries."""
    left = Payout.objects.filter(participant__in=keys, status__in=Payout.GONE).order_by("pk")
    return [
        {
            "number": one.payout.public_id,
            "paid_at": one.paid_at,
            "method": one.payout.method,
            "amount": str(one.payout.amount),
            "rewards": [str(line.worth) for line in one.lines],
            "set_off": str(one.netted) if one.payout.netted_minor else "",
            "reference": one.payout.reference,
        }
        for one in _receipts(left)
    ]
