"""What waits for its recipient, and why: nobody but they can make it go on (PRODUCT.md: "a rejected address waits and asks")."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.db.models import QuerySet

from participants import destinations
from participants.models import Participant
from referrals.lib.money import Money
from rewards.models import Payout, Reward, State
from rewards.queueing import NO_DESTINATION

# address: there is none. another: the one that is there does not do for the way in which the merchant pays. confirm: one waits to be
# confirmed. rejected: a company refused the one that is there, or sent the money back. account: the company knows no account of theirs.
# soon: nothing is asked of them, a change is being held or the reward is about to go on.
# unclaimed: the money is at the company, and they have to claim it there.
Situation = Literal["address", "another", "confirm", "rejected", "account", "unclaimed", "soon"]


@dataclass(frozen=True, slots=True)
class Wait:
    """Why a person's rewards wait for them: since when, how much by currency, how many that are no money, and a company's words."""

    situation: Situation
    since: datetime
    sums: tuple[Money, ...]
    things: int
    message: str = ""

    @property
    def asks(self) -> bool:
        """Whether the person has to do something."""
        return self.situation != "soon"

    @property
    def at_home(self) -> bool:
        """Whether they do it on their own page, and not at a company."""
        return self.situation in {"address", "another", "confirm", "rejected"}


def wait_of(participant: Participant) -> Wait | None:
    """Why something waits for this participant; None when nothing does. Two queries then, at most four else."""
    rewards = list(Reward.objects.filter(participant=participant, state=State.WAITING).order_by("stage_at", "pk"))
    if not rewards:
        return _unclaimed(participant)
    situation, message = _why(participant, rewards)
    money = _sums(rewards)
    things = sum(1 for reward in rewards if reward.units is not None)
    return Wait(situation, rewards[0].stage_at, money, things, message)


def unclaimed() -> QuerySet[Payout]:
    """The payouts that have left and wait at the company for somebody to claim them, whosever they are."""
    return Payout.objects.filter(status="sent", reason=NO_DESTINATION)


def _unclaimed(participant: Participant) -> Wait | None:
    rows = list(unclaimed().filter(participant=participant).order_by("pk"))
    if not rows:
        return None
    return Wait("unclaimed", rows[0].paid_at or rows[0].created_at, _sums(rows), 0, rows[-1].message)


def _sums(rows: Sequence[Reward] | Sequence[Payout]) -> tuple[Money, ...]:
    sums: Counter[str] = Counter()
    for row in rows:
        sums[row.currency] += row.amount_minor
    return tuple(Money(minor, currency) for currency, minor in sorted(sums.items()) if minor)


def _why(participant: Participant, rewards: Sequence[Reward]) -> tuple[Situation, str]:
    failed = _failed(rewards)
    if failed is not None and failed.account and not failed.destination:
        return "account", failed.message
    if destinations.asked_for(participant) is not None:
        return "confirm", ""
    row = destinations.current(participant)
    if row is None:
        return "address", ""
    # What counts from a later moment on makes them go on by itself (queueing.wake), at the end of its hold.
    if row.usable_from is None or row.usable_from > rewards[-1].stage_at:
        return "soon", ""
    # A file says nowhere which address it took: theirs, where there was one.
    if failed is not None and (failed.destination == row.public_id or not failed.account):
        return "rejected", failed.message
    return "another", ""


def _failed(rewards: Sequence[Reward]) -> Payout | None:
    """The newest payout of these rewards that their recipient kept from working."""
    rows = Payout.objects.filter(items__reward__in=rewards, status="failed", reason=NO_DESTINATION)
    return rows.order_by("-pk").first()
