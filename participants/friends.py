"""The friends of a referrer: those who are theirs as a whole, and those of whom they have a share (docs/attribution.md)."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from django.db.models import Count, Exists, F, OuterRef, Q

from participants.models import Participant, Referral, ReferralShare


def friends_of(person: Participant) -> Q:
    """Which standing referrals brought this person a friend, or a part of one; `person` comes with the campaign."""
    if not person.campaign.has_splits:
        return Q(referrer=person, detached_at=None)
    shared = ReferralShare.objects.filter(participant=person).values("referral")
    return Q(Q(referrer=person) | Q(pk__in=shared), campaign=person.campaign_id, detached_at=None)


def is_referrer() -> Q:
    """For a query of participants: whether somebody brought a friend, or has a share of one."""
    parts = ReferralShare.objects.filter(participant=OuterRef("pk"), referral__detached_at=None)
    return Exists(Referral.objects.filter(referrer=OuterRef("pk"), detached_at=None)) | Exists(parts)


def count_friends(people: Collection[Participant]) -> dict[int, int]:
    """How many friends each has now, shared ones included, by primary key. One query, two where friends are shared.

    `people` come with their campaigns.
    """
    keys = [person.pk for person in people]
    whole = Referral.objects.filter(referrer__in=keys, detached_at=None).order_by()
    found = dict(whole.values_list("referrer").annotate(Count("pk")))
    if not any(person.campaign.has_splits for person in people):
        return found
    parts = ReferralShare.objects.filter(participant__in=keys, referral__detached_at=None).order_by()
    # Who stands for all of them is counted above.
    parts = parts.exclude(participant=F("referral__referrer"))
    for person, count in parts.values_list("participant").annotate(Count("pk")):
        found[person] = found.get(person, 0) + count
    return found


def shares_by_referral(referrals: Iterable[Referral]) -> dict[int, list[ReferralShare]]:
    """The shares of those referrals that have some, in their order, with their people. One query, or none."""
    keys = [referral.pk for referral in referrals if referral.split_by]
    found: dict[int, list[ReferralShare]] = {}
    if keys:
        rows = ReferralShare.objects.filter(referral__in=keys).select_related("participant")
        for row in rows.order_by("referral_id", "position"):
            found.setdefault(row.referral_id, []).append(row)
    return found
