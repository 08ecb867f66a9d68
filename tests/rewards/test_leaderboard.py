"""Leaderboards: places, ties, prizes when the campaign ends, and only once."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from campaigns import services as campaigns
from campaigns.models import Campaign
from campaigns.terms import Fixed, RuleTerms, Tier, Units
from participants.models import Participant, QualifyingEvent
from referrals.lib import clock
from referrals.lib.money import Money
from rewards import bans, refunds, services
from rewards.jobs import close_boards
from rewards.leaderboard import close_leaderboards, standings
from rewards.models import Decision, Reward
from rewards.verify import differences
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant

pytestmark = pytest.mark.django_db
START = datetime.fromisoformat("2026-11-01T09:00:00+00:00")
END = START + timedelta(days=10)


def board(**terms: Any) -> RuleTerms:
    prizes = (
        Tier(1, 1, Fixed(Money(50_000, "USD"))),
        Tier(2, 3, Fixed(Money(10_000, "USD"))),
        Tier(4, 4, Units(1, "mug")),
    )
    return fixed_rule(trigger="leaderboard", tiers=prizes, amount=prizes[0].amount, **terms)


@pytest.fixture
def campaign(alice: Cast) -> Campaign:
    with clock.at(START):
        found = make_campaign(alice.tenant, [board()], type="leaderboard", since_days=0, ends_at=END)
    Campaign.objects.filter(pk=found.pk).update(status_since=START)
    found.status_changes.update(at=START)
    found.refresh_from_db()
    return found


def bring(referrer: Participant, hours: list[float], minor: int = 5000) -> list[services.Qualified]:
    """A friend's purchase at each of these hours after the start."""
    name = referrer.email.split("@")[0]
    with clock.at(START):
        people = [make_friend(referrer, f"{name}-{n}@example.net") for n, _hour in enumerate(hours)]
    return [buy(p, minor, occurred_at=START + timedelta(hours=h)) for p, h in zip(people, hours, strict=True)]


def people(campaign: Campaign, *names: str) -> list[Participant]:
    with clock.at(START):
        return [make_participant(campaign, f"{name}@example.com") for name in names]


def places(campaign: Campaign) -> list[tuple[int, str, int]]:
    return [(place.rank, place.participant.email.split("@")[0], place.friends) for place in standings(campaign)]


def test_more_friends_stand_higher_and_of_two_alike_who_was_there_first(campaign: Campaign) -> None:
    asha, ben, cem, dora = people(campaign, "asha", "ben", "cem", "dora")
    bring(asha, [5, 30])
    bring(ben, [1, 20])
    bring(cem, [2, 3, 4])
    bring(dora, [6])
    assert places(campaign) == [(1, "cem", 3), (2, "ben", 2), (3, "asha", 2), (4, "dora", 1)]


def test_what_does_not_count_moves_nobody(campaign: Campaign, alice: Cast) -> None:
    asha, ben, cem = people(campaign, "asha", "ben", "cem")
    bring(asha, [1])
    (back,) = bring(ben, [2])
    refunds.refund(tenant=alice.tenant, actor=ACTOR, source="manual", external_id="r", event=back.event)
    bring(cem, [3, 4])
    bans.ban(participant=cem, actor=ACTOR, reason="Bots")
    assert places(campaign) == [(1, "asha", 1)]


def test_prizes_are_given_once_when_the_campaign_is_over(campaign: Campaign) -> None:
    crowd = people(campaign, "asha", "ben", "cem", "dora", "emil")
    for number, person in enumerate(crowd):
        bring(person, [float(number + 1)] + [50.0] * (4 - number))
    with clock.at(END - timedelta(seconds=1)):
        assert close_leaderboards() == 0
    with clock.at(END + timedelta(minutes=3)):
        bring(crowd[4], [])
        assert close_boards() == 1
        assert close_boards() == 0
    rows = Reward.objects.order_by("pk").select_related("participant", "event")
    assert [(r.participant.email.split("@")[0], str(r.worth), r.side, r.event.metadata["rank"]) for r in rows] == [
        ("asha", "$500.00", "referrer", 1),
        ("ben", "$100.00", "referrer", 2),
        ("cem", "$100.00", "referrer", 3),
        ("dora", "1 mug", "referrer", 4),
    ]
    assert QualifyingEvent.objects.filter(type="leaderboard").count() == 4
    assert {event.occurred_at for event in QualifyingEvent.objects.filter(type="leaderboard")} == {END}
    codes = [c["code"] for c in Decision.objects.get(event__metadata__rank=1).conditions]
    assert codes == ["referrer_banned", "tier_not_reached"]
    assert list(differences()) == []


def test_a_winner_who_was_invited_gets_the_prize_and_not_who_invited_them(campaign: Campaign) -> None:
    (asha,) = people(campaign, "asha")
    with clock.at(START):
        ben = make_friend(asha, "ben@example.com")
    bring(ben, [1, 2])
    with clock.at(END):
        close_boards()
    assert [r.participant for r in Reward.objects.all()] == [ben]


def test_ending_by_hand_closes_at_that_moment(campaign: Campaign) -> None:
    asha, ben = people(campaign, "asha", "ben")
    bring(asha, [1])
    bring(ben, [100, 101])
    with clock.at(START + timedelta(hours=50)):
        campaigns.end(campaign=campaign, actor=ACTOR)
        assert close_boards() == 1
    assert [r.participant for r in Reward.objects.all()] == [asha]


def test_a_campaign_without_a_board_has_no_standings(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant)
    assert standings(campaign) == []
    campaigns.end(campaign=campaign, actor=ACTOR)
    assert close_boards() == 0
