"""A reward split over the referrers who share a friend: who gets which part, to the last minor unit (docs/attribution.md, ADR 11).

The amount is decided once, as for one referrer; here it is cut by largest remainder. A part of nothing is no reward.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from django.db.models import Prefetch, prefetch_related_objects

from participants.attribution_models import split
from participants.models import Participant, Referral, ReferralShare
from referrals.lib.prepared import PreparedRows, Slot
from referrals.lib.queries import Among
from rewards.budgets import FALLEN
from rewards.facts import Share
from rewards.lifecycle import BY_HAND
from rewards.models import Reward

# Why a reward falls whose part comes to less than the smallest unit of money.
TOO_SMALL = "share_too_small"


def load_shares(referrals: Iterable[Referral]) -> None:
    """Read the shares of those referrals that have some, with their people. One query, or none."""
    split_ones = [referral for referral in referrals if referral.split_by]
    if split_ones:
        rows = ReferralShare.objects.select_related("participant").order_by("position")
        prefetch_related_objects(split_ones, Prefetch("shares", queryset=rows))


def shares_of(referral: Referral) -> list[ReferralShare]:
    """The shares in their order, with their people; none where one referrer has the whole friend. No query after load_shares()."""
    return list(referral.shares.all()) if referral.split_by else []


def share_facts(referral: Referral) -> tuple[Share, ...]:
    """The shares as plain values."""
    return tuple(
        Share(row.participant_id, row.participant.public_id, row.weight, row.participant.banned_at)
        for row in shares_of(referral)
    )


def beneficiaries(referral: Referral, minor: int) -> list[tuple[Participant, int]]:
    """Who gets how many minor units of an amount that this referral earned: one referrer the whole, or several their parts."""
    rows = shares_of(referral)
    cut = split(minor, {row.participant_id: row.weight for row in rows}) if rows else {}
    return [(row.participant, cut[row.participant_id]) for row in rows] or [(referral.referrer, minor)]


def declined_part(rewards: Iterable[Reward], referral: Referral | None) -> int:
    """Minor units of an event's rewards that a person declined to some of those who share the friend, while others' stand.

    A budget has them back, but the whole must not be taken for smaller because of it: the others' parts stay as they are.
    """
    people = {row.participant_id for row in shares_of(referral)} if referral is not None else set()
    mine = [row for row in rewards if row.participant_id in people]
    if all(row.state in FALLEN for row in mine):
        return 0
    return sum(row.amount_minor for row in mine if row.state in FALLEN and row.reason in BY_HAND)


_SHARERS = PreparedRows(
    lambda: ReferralShare.objects.filter(Among("referral__standing_for_id", Slot("friends"))).values_list(
        "participant_id"
    )
)


def beneficiary_keys(friends: Collection[int]) -> set[int]:
    """The primary keys of all referrers who share one of these friends. One query."""
    return {key for (key,) in _SHARERS(friends=list(friends))}


def sharers_friends(referrer: int) -> set[int]:
    """The primary keys of the friends of whom this referrer has a share now. One query."""
    rows = ReferralShare.objects.filter(participant=referrer, referral__standing_for__isnull=False)
    return set(rows.values_list("referral__standing_for_id", flat=True))
