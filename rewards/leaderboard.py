"""Leaderboards: who brought the most friends, and the prizes by rank when the campaign ends (PRODUCT.md, "Rules").

Ties are broken by time: of two with as many friends, the one who reached that number first stands higher, then the one who joined
first. The standings are taken once, at the campaign's end; what is refunded afterwards is seen to in the review period by a person.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Count, Exists, F, Max, Min, OuterRef, Q, QuerySet, Subquery

from campaigns.models import Campaign, CampaignQuerySet, RewardRule, Status
from campaigns.rules import current_terms
from campaigns.terms import RuleTerms
from participants import services as facts
from participants.models import Participant, QualifyingEvent, Referral
from referrals.accounts.models import MerchantClock
from referrals.accounts.tenancy import Tenant
from referrals.events.services import SYSTEM
from referrals.lib import clock
from rewards.deciding import redecide


@dataclass(frozen=True, slots=True)
class Standing:
    """One place: the participant, how many friends counted, and when that number was reached. `rank` counts from 1."""

    rank: int
    participant: Participant
    friends: int
    reached_at: datetime


def rule_of(campaign: Campaign) -> RuleTerms | None:
    """The campaign's first leaderboard rule: what counts as a friend."""
    return next((terms for terms in current_terms(campaign) if terms.trigger == "leaderboard"), None)


def standings(campaign: Campaign, *, limit: int = 10, until: datetime | None = None) -> list[Standing]:
    """The first `limit` places, by friends with an event that counts until a moment (now). Two queries.

    An event counts that is of the rule's type, happened while the campaign ran, came to the minimum purchase, and was not refunded in
    full, cancelled or disputed. Banned people and people who referred themselves have no place.
    """
    terms = rule_of(campaign)
    if terms is None:
        return []
    rows = _ranked(campaign, terms, until or clock.now())[:limit]
    people = Participant.objects.in_bulk([row["referrer"] for row in rows])
    return [
        Standing(rank, people[row["referrer"]], row["friends"], row["reached_at"])
        for rank, row in enumerate(rows, start=1)
    ]


def _ranked(campaign: Campaign, terms: RuleTerms, until: datetime) -> QuerySet[Referral, Any]:
    first = (
        _counting(campaign, terms, until)
        .filter(participant=OuterRef("invitee"))
        .order_by()
        .values("participant")
        .annotate(at=Min("occurred_at"))
        .values("at")
    )
    return (
        _bonds(campaign)
        .annotate(first_at=Subquery(first))
        .filter(first_at__isnull=False)
        .order_by()
        .values("referrer")
        .annotate(friends=Count("pk"), reached_at=Max("first_at"), joined_at=Min("referrer__joined_at"))
        .order_by("-friends", "reached_at", "joined_at", "referrer")
    )


def counting_friends(referrer: Participant, people: Collection[int]) -> frozenset[int]:
    """Which of these people (primary keys) count for a referrer now; none where there is no leaderboard. One query."""
    terms = rule_of(referrer.campaign)
    if terms is None or not people:
        return frozenset()
    events = _counting(referrer.campaign, terms, clock.now()).filter(participant__in=people)
    bonds = _bonds(referrer.campaign).filter(referrer=referrer, invitee__in=events.values("participant"))
    return frozenset(bonds.values_list("invitee", flat=True))


def _bonds(campaign: Campaign) -> QuerySet[Referral]:
    """The bonds that may have a place: not those of banned people, of oneself, or denied."""
    return (
        Referral.objects.filter(campaign=campaign, standing_for__isnull=False, referrer__banned_at=None)
        .exclude(referrer__identity_key=F("invitee__identity_key"))
        .exclude(status="denied")
    )


def _counting(campaign: Campaign, terms: RuleTerms, until: datetime) -> QuerySet[QualifyingEvent]:
    events = QualifyingEvent.objects.filter(
        campaign=campaign, type=terms.event, occurred_at__lt=until, disputed_at=None, cancelled_at=None
    )
    if campaign.starts_at is not None:
        events = events.filter(occurred_at__gte=campaign.starts_at)
    if terms.minimum_purchase is not None:
        return events.filter(amount_minor__gte=F("refunded_minor") + terms.minimum_purchase.minor)
    return events.filter(Q(refunded_minor=0) | Q(amount_minor__gt=F("refunded_minor")))


def close_leaderboards(tenant: Tenant | None = None) -> int:
    """Give the prizes of every leaderboard whose campaign is over. Returns how many were closed; the schedule calls it.

    Of one `tenant`, or of all whose time is the real one (as lifecycle.release_due).
    """
    waiting = open_leaderboards().filter(Q(status=Status.ENDED) | Q(ends_at__lte=clock.now()))
    if tenant is not None:
        waiting = waiting.for_tenant(tenant)
    else:
        waiting = waiting.exclude(is_test=True, merchant__in=MerchantClock.objects.values("merchant"))
    return sum(close(campaign) for campaign in waiting.order_by("pk"))


def open_leaderboards() -> CampaignQuerySet:
    """Launched campaigns with a leaderboard whose prizes are still to be given."""
    rules = RewardRule.objects.filter(version=OuterRef("version"), trigger="leaderboard")
    return Campaign.objects.launched().filter(Exists(rules), leaderboard_closed_at=None)


def close(campaign: Campaign) -> bool:
    """Write down the winners of one campaign, once: an event for each, which the rules decide like any other.

    False when somebody else has done it. Runs in a transaction of its own.
    """
    with transaction.atomic():
        now = clock.now()
        if Campaign.objects.filter(pk=campaign.pk, leaderboard_closed_at=None).update(leaderboard_closed_at=now) != 1:
            return False
        campaign = Campaign.objects.select_related("merchant", "version").get(pk=campaign.pk)
        end = min(campaign.ends_at or now, campaign.status_since if campaign.status == Status.ENDED else now)
        winners = standings(campaign, limit=_prizes(current_terms(campaign)), until=end)
        for winner in sorted(winners, key=lambda place: place.participant.pk):
            person = winner.participant
            person.campaign, person.merchant = campaign, campaign.merchant
            event, created = facts.add_event(
                participant=person,
                type_="leaderboard",
                amount=None,
                source="passalong",
                external_id=f"leaderboard:{person.public_id}",
                occurred_at=end,
                metadata={"rank": winner.rank, "friends": winner.friends, "reached_at": winner.reached_at.isoformat()},
            )
            if created:
                redecide(person, SYSTEM, recorded=event)
    return True


def _prizes(rules: Sequence[RuleTerms]) -> int:
    """The last rank that wins anything."""
    ranks = [tier.last or 0 for terms in rules if terms.trigger == "leaderboard" for tier in terms.tiers]
    return max(ranks, default=0)
