"""Rules that look at the referrer as a whole: milestones, tiers, and limits ever and by calendar year (seed 004, FlexiTiers)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from campaigns import services as campaigns
from campaigns.terms import Fixed, Limits, Percent, RuleTerms, Tier, Units
from participants.models import Participant
from referrals.events.models import Event
from referrals.lib import clock
from referrals.lib.money import Money
from rewards import refunds, services
from rewards.models import Decision, LedgerEntry, Reward
from rewards.verify import differences
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant, percent_rule

pytestmark = pytest.mark.django_db
NOW = clock.now().replace(microsecond=0)


def usd(minor: int) -> Money:
    return Money(minor, "USD")


def tier(first: int, last: int | None, minor: int) -> Tier:
    return Tier(first, last, Fixed(usd(minor)))


TIERS = (tier(1, 2, 1000), tier(3, 3, 2000), tier(4, None, 3000))


def tier_rule(*tiers: Tier, **terms: Any) -> RuleTerms:
    tiers = tiers or TIERS
    return fixed_rule(trigger="tier", tiers=tiers, amount=tiers[0].amount, **terms)


def standing() -> list[tuple[str, int]]:
    """(friend, minor units) of the rewards that stand, by the time of their purchase."""
    rows = Reward.objects.exclude(state__in=["void", "reversed"]).select_related("event__participant")
    return [
        (row.event.participant.email.split("@")[0], row.amount_minor)
        for row in rows.order_by("event__occurred_at", "event__pk")
    ]


def friends_of(asha: Participant, count: int) -> list[Participant]:
    return [make_friend(asha, f"f{number}@example.net") for number in range(1, count + 1)]


def reasons(friend: Participant) -> list[str]:
    rows = Decision.objects.filter(event__participant=friend, current=True)
    return list(rows.order_by("event__occurred_at", "event__pk", "pk").values_list("reason", flat=True))


def test_the_amount_follows_the_number_of_friends(alice: Cast) -> None:
    asha = make_participant(make_campaign(alice.tenant, [tier_rule(max_purchases_per_friend=1)]))
    for friend in friends_of(asha, 5):
        buy(friend)
    assert standing() == [("f1", 1000), ("f2", 1000), ("f3", 2000), ("f4", 3000), ("f5", 3000)]
    assert list(differences()) == []


def test_before_the_first_tier_nobody_is_rewarded_and_it_says_how_many_are_missing(alice: Cast) -> None:
    asha = make_participant(make_campaign(alice.tenant, [tier_rule(tier(3, 4, 1000))]))
    people = friends_of(asha, 5)
    for friend in people:
        buy(friend)
    assert standing() == [("f3", 1000), ("f4", 1000)]
    assert [reasons(friend) for friend in people] == [
        ["tier_not_reached"],
        ["tier_not_reached"],
        [""],
        [""],
        ["tier_not_reached"],
    ]
    first, last = (
        next(c for c in Decision.objects.get(event__participant=friend).conditions if c["code"] == "tier_not_reached")
        for friend in (people[0], people[4])
    )
    assert (first["facts"], last["facts"]) == ({"friends": 1, "needed": 3}, {"friends": 5, "needed": 3, "last": 4})


def test_a_share_grows_with_the_friends_for_every_purchase(alice: Cast) -> None:
    shares = Tier(1, 1, Percent(Decimal(10))), Tier(2, None, Percent(Decimal(20)))
    asha = make_participant(
        make_campaign(alice.tenant, [percent_rule(trigger="tier", tiers=shares, amount=shares[0].amount)])
    )
    one, two = friends_of(asha, 2)
    for friend in (one, one, two, one):
        buy(friend, 10_000)
    assert standing() == [("f1", 1000), ("f1", 1000), ("f2", 2000), ("f1", 2000)]


def test_a_refund_moves_everybody_up(alice: Cast) -> None:
    asha = make_participant(make_campaign(alice.tenant, [tier_rule(max_purchases_per_friend=1)]))
    people = friends_of(asha, 4)
    events = [buy(friend).event for friend in people]
    refunds.refund(tenant=alice.tenant, actor=ACTOR, source="manual", external_id="r1", event=events[0])
    assert standing() == [("f2", 1000), ("f3", 1000), ("f4", 2000)]
    assert reasons(people[0]) == ["refunded"]
    assert list(differences()) == []


def test_milestones_are_reached_once_each_and_told(alice: Cast) -> None:
    rules = [
        fixed_rule(5000, trigger="milestone", nth=2, label="Two friends"),
        fixed_rule(700, trigger="milestone", nth=2, recurring=True),
        fixed_rule(trigger="milestone", nth=3, amount=Units(1, "free month"), kind="custom"),
    ]
    asha = make_participant(make_campaign(alice.tenant, rules))
    for friend in friends_of(asha, 5):
        buy(friend)
        buy(friend)  # a second purchase of the same friend moves nothing
    rows = Reward.objects.order_by("event__occurred_at", "pk").select_related("event__participant")
    assert [(row.event.participant.email[:2], str(row.worth)) for row in rows] == [
        ("f2", "$50.00"),
        ("f2", "$7.00"),
        ("f3", "1 free month"),
        ("f4", "$7.00"),
    ]
    told = Event.objects.filter(type="milestone.reached").order_by("pk")
    assert [(event.data["friends"], event.data["label"]) for event in told] == [
        (2, "Two friends"),
        (2, ""),
        (3, ""),
        (4, ""),
    ]
    assert LedgerEntry.objects.filter(reward__units__isnull=False).count() == 0
    assert list(differences()) == []


def test_a_milestone_by_joining_counts_friends_that_join(alice: Cast) -> None:
    asha = make_participant(make_campaign(alice.tenant, [fixed_rule(trigger="milestone", nth=3, event="join")]))
    friends_of(asha, 4)
    assert standing() == [("f3", 1500)]


def limited(**limits: Money) -> RuleTerms:
    return fixed_rule(4000, limits=Limits(**limits))


def facts_of(friend: Participant, code: str) -> tuple[int, int, int, int]:
    conditions = Decision.objects.get(event__participant=friend, current=True).conditions
    facts = next(c["facts"] for c in conditions if c["code"] == code)
    limit, used, wanted, granted = (facts[name]["amount_minor"] for name in ("limit", "used", "wanted", "granted"))
    return limit, used, wanted, granted


def test_the_last_reward_is_what_is_left_of_the_limit(alice: Cast) -> None:
    asha = make_participant(make_campaign(alice.tenant, [limited(per_referrer=usd(10_000))]))
    people = friends_of(asha, 4)
    for friend in people:
        buy(friend)
    assert standing() == [("f1", 4000), ("f2", 4000), ("f3", 2000)]
    assert reasons(people[3]) == ["referrer_limit"]
    assert [facts_of(friend, "referrer_limit") for friend in people] == [
        (10_000, 0, 4000, 4000),
        (10_000, 4000, 4000, 4000),
        (10_000, 8000, 4000, 2000),
        (10_000, 10_000, 4000, 0),
    ]
    assert list(differences()) == []


def test_another_referrer_has_a_limit_of_their_own(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, [limited(per_referrer=usd(4000))])
    for name in ("asha", "ben"):
        buy(make_friend(make_participant(campaign, f"{name}@example.com"), f"friend-of-{name}@example.net"))
    assert standing() == [("friend-of-asha", 4000), ("friend-of-ben", 4000)]


def test_a_calendar_year_is_the_merchant_s_own(alice: Cast) -> None:
    """599 a year (PRODUCT.md): the turn of the year is at midnight where the merchant is."""
    alice.merchant.time_zone = "Asia/Tokyo"
    alice.merchant.save()
    campaign = make_campaign(alice.tenant, [limited(per_referrer_year=usd(5000))], since_days=700)
    with clock.at(datetime(2025, 12, 31, 0, tzinfo=UTC)):
        asha = make_participant(campaign)
        people = friends_of(asha, 4)
    times = [
        datetime(2025, 12, 31, 1, tzinfo=UTC),
        datetime(2025, 12, 31, 14, 59, tzinfo=UTC),  # a minute to midnight in Tokyo
        datetime(2025, 12, 31, 15, 0, tzinfo=UTC),
        datetime(2026, 6, 1, tzinfo=UTC),
    ]
    for friend, at in zip(people, times, strict=True):
        buy(friend, occurred_at=at)
    assert standing() == [("f1", 4000), ("f2", 1000), ("f3", 4000), ("f4", 1000)]


def test_money_that_comes_back_makes_room_again(alice: Cast) -> None:
    asha = make_participant(make_campaign(alice.tenant, [limited(per_referrer=usd(6000))]))
    events = [buy(friend).event for friend in friends_of(asha, 3)]
    assert standing() == [("f1", 4000), ("f2", 2000)]
    refunds.refund(tenant=alice.tenant, actor=ACTOR, source="manual", external_id="r1", event=events[0])
    assert standing() == [("f2", 4000), ("f3", 2000)]
    assert list(differences()) == []


Step = Callable[[list[Participant]], object]

STORIES: dict[str, tuple[list[RuleTerms], list[tuple[str, int]]]] = {
    "tiers": ([tier_rule(max_purchases_per_friend=1)], [("f1", 1000), ("f3", 1000)]),
    "milestone": ([fixed_rule(5000, trigger="milestone", nth=2)], [("f3", 5000)]),
    "limit": ([limited(per_referrer=usd(6000))], [("f1", 4000), ("f3", 2000)]),
}


@pytest.mark.parametrize("name", STORIES)
def test_any_order_of_the_facts_ends_the_same(name: str, alice: Cast) -> None:
    """Three friends buy, the second takes it back: told in every order, each twice."""
    rules, wanted = STORIES[name]
    with clock.at(NOW - timedelta(days=1)):
        campaign = make_campaign(alice.tenant, rules)
    for turn, order in enumerate(permutations(range(4))):
        asha = make_participant(campaign, f"asha{turn}@example.com")
        people = [make_friend(asha, f"f{number}-{turn}@example.net") for number in (1, 2, 3)]
        steps: list[Step] = [
            lambda p, t=turn, n=n: services.qualify(  # type: ignore[misc]
                participant=p[n], actor=ACTOR, source="manual", amount=usd(5000), external_id=f"o{t}-{n}",
                references=[f"o{t}-{n}"], occurred_at=NOW + timedelta(seconds=n - 60),
            )
            for n in range(3)
        ]  # fmt: skip
        steps.append(
            lambda p, t=turn: refunds.refund(  # type: ignore[misc]
                tenant=alice.tenant, actor=ACTOR, source="manual", external_id=f"r{t}", references=[f"o{t}-1"],
                occurred_at=NOW - timedelta(seconds=1),
            )
        )  # fmt: skip
        for index in order:
            steps[index](people)
            steps[index](people)
        rows = Reward.objects.filter(event__participant__in=people).exclude(state__in=["void", "reversed"])
        found = [(r.event.participant.email.split("-")[0], r.amount_minor) for r in rows.order_by("event__occurred_at")]
        assert found == wanted, order
    assert list(differences()) == []


def test_a_rule_that_becomes_a_tier_counts_the_friends_from_before(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, [fixed_rule(900)])
    asha = make_participant(campaign)
    people = friends_of(asha, 4)
    buy(people[0])
    buy(people[1])
    key = Reward.objects.order_by("pk")[0].rule_key
    campaigns.publish_rules(campaign=campaign, rules=[tier_rule(key=key, max_purchases_per_friend=1)], actor=ACTOR)
    campaign.refresh_from_db()
    for friend in people[2:]:
        friend.campaign = campaign
        buy(friend)
    assert standing() == [("f1", 900), ("f2", 900), ("f3", 2000), ("f4", 3000)]
