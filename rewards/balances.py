"""Balances, derived from the ledger: earned, redeemed and left, for each side (the six numbers of API.md v1)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from django.db.models import Sum

from referrals.lib.prepared import PreparedRows, Slot
from referrals.lib.queries import Among
from rewards.models import LedgerEntry


@dataclass(slots=True)
class SideBalance:
    """Minor units. `left` is earned less redeemed, and can be negative after a reversal."""

    earned: int = 0
    redeemed: int = 0

    @property
    def left(self) -> int:
        return self.earned - self.redeemed


@dataclass(slots=True)
class Balances:
    """What a person earned by referring (`referrer`) and by joining (`invitee`)."""

    referrer: SideBalance = field(default_factory=SideBalance)
    invitee: SideBalance = field(default_factory=SideBalance)

    def side(self, name: str) -> SideBalance:
        """The balance of "referrer" or "invitee"."""
        return self.referrer if name == "referrer" else self.invitee


_SUMS = PreparedRows(
    lambda: (
        LedgerEntry.objects.filter(Among("participant_id", Slot("participants")))
        .values_list("participant_id", "side", "kind")
        .annotate(total=Sum("amount_minor"))
        .order_by()
    )
)


def balances_of(participant_ids: Collection[int]) -> dict[int, Balances]:
    """Balances by participant's primary key, in one query; everybody asked for is in the answer."""
    result = {pk: Balances() for pk in participant_ids}
    for participant, side_name, kind, total in _SUMS(participants=list(result)):
        side = result[participant].side(side_name)
        if kind in {"pay", "pay_back"}:
            side.redeemed -= total
        else:
            side.earned += total
    return result
