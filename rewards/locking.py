"""Whose rows are locked while something is decided: people in the order of their keys, and before rewards."""

from __future__ import annotations

from collections.abc import Collection

from participants.models import Participant, Referral
from referrals.lib.prepared import Prepared, PreparedRows, Slot
from referrals.lib.queries import Among
from rewards.loading import referral_of
from rewards.sharing import beneficiary_keys, shares_of

_FRIEND = Prepared(
    lambda: (
        Participant.objects.select_for_update(of=("self",), no_key=True)
        .select_related("campaign__merchant")
        .filter(pk=Slot("pk"))
    )
)

_PEOPLE = PreparedRows(
    lambda: (
        Participant.objects.filter(Among("pk", Slot("people")))
        .order_by("pk")
        .select_for_update(no_key=True)
        .values_list("pk")
    )
)


def lock_people(friend: Participant) -> tuple[Participant, Referral | None]:
    """The friend's row, fresh and locked, and the bond that stands; with the referrer's row locked where rules look at it, and with
    those of all who share the friend, so that a ban of one of them comes before or after.

    No stronger lock than this: whoever writes a reward or a payout for these people refers to their rows, and must not have to
    wait. People are locked in the order of their keys, and before rewards.
    """
    if friend.campaign.counts_referrers or friend.campaign.has_splits:
        while True:
            people = _involved(friend)
            lock_rows(people)
            if _involved(friend) == people:
                break
    (friend,) = _FRIEND(pk=friend.pk)
    friend.merchant = friend.campaign.merchant  # the same row, without asking for it again
    return friend, referral_of(friend)


def _involved(friend: Participant) -> set[int]:
    """The friend, and whoever of the referrers has to stay as they are while the friend's events are decided."""
    bond = referral_of(friend)
    if bond is None:
        return {friend.pk}
    if bond.split_by:
        return {friend.pk, *(row.participant_id for row in shares_of(bond))}
    return {friend.pk, bond.referrer_id} if friend.campaign.counts_referrers else {friend.pk}


def lock_all(keys: Collection[int]) -> None:
    """Several people's rows, and with each friend among them all who share that friend, in the order of their keys."""
    lock_rows({*keys, *beneficiary_keys(keys)})


def lock_rows(people: Collection[int]) -> None:
    """These people's rows and nobody else's, in the order of their keys."""
    _PEOPLE(people=list(people))
