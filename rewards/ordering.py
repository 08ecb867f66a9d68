"""What an issuer may know of a payout, put together from its rows (rewards.orders says what that is)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from participants.models import PayoutDestination
from referrals.lib import clock
from referrals.lib.prepared import PreparedRows, Slot
from rewards.models import Payout, PayoutGift, Reward
from rewards.orders import Order

# Asked for each payout: its text is made once (ADR 13).
_REWARDS = PreparedRows(lambda: Reward.objects.filter(payout=Slot("payout")).order_by("pk").values_list("public_id"))


def order_of(row: Payout, *, first_call: bool = False) -> Order:
    """What an issuer may know of a payout. Its participant, campaign, merchant and batch are loaded. Raises SealError."""
    found = addresses([row]).get((row.participant_id, row.destination))
    # Before the first call there is none.
    has_gift = not first_call and PayoutGift.objects.filter(payout=row).exists()
    opened = {} if found is None else found.secrets
    rewards = tuple(name for (name,) in _REWARDS(payout=row.pk))
    return order_with(row, opened, rewards, first_call=first_call, has_gift=has_gift)


def order_with(
    row: Payout, opened: Mapping[str, Any], rewards: tuple[str, ...], *, first_call: bool, has_gift: bool = False
) -> Order:
    """order_of() with what is known already: the opened payout address, and the rewards' public ids."""
    person = row.participant
    details = {str(name): str(value) for name, value in opened.items()}
    return Order(
        payout_id=row.pk,
        public_id=row.public_id,
        key=row.key,
        number=row.attempts,
        method=row.method,
        account=row.account,
        amount=row.amount,
        email=person.email,
        name=person.name,
        # Where it goes: the payout address that the intent named, which a change would have stopped, else the person's own.
        address=details.get("address", "") if row.destination else person.email,
        note=row.batch.note,
        reference=row.reference,
        rewards=rewards,
        is_test=row.is_test,
        called_at=row.called_at or clock.wall(),
        first_call=first_call,
        side=row.side,
        person=person.public_id,
        merchant=row.merchant.name,
        campaign=person.campaign.name,
        language=person.language or person.campaign.default_language,
        details=details,
        options=row.batch.options,
        has_gift=has_gift,
    )


def addresses(rows: Sequence[Payout]) -> dict[tuple[int, str], PayoutDestination]:
    """The payout addresses that the intents named, by person and public id. One query."""
    named = {(row.participant_id, row.destination) for row in rows if row.destination}
    people, names = {person for person, _name in named}, {name for _person, name in named}
    found = PayoutDestination.objects.filter(participant__in=people, public_id__in=names) if named else []
    return {(one.participant_id, one.public_id): one for one in found if (one.participant_id, one.public_id) in named}
