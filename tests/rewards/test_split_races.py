"""Many at once about a friend whom several share, on PostgreSQL: each part once, and a ban before or after, never between."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from campaigns import services as campaigns
from campaigns.models import Campaign
from campaigns.terms import TermsError
from participants.models import Referral, ReferralShare
from referrals.events.models import Event
from referrals.lib.money import Money
from rewards import bans, services
from rewards.models import LedgerEntry, Reward
from rewards.verify import differences
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign
from tests.rewards.splits import has, make_referrers, make_shared_friend, open_links
from tests.rewards.test_races import at_once

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]
THREADS = 20
TEN = fixed_rule(1000, trigger="every_event")


def test_twenty_threads_one_event_each_share_once(alice: Cast) -> None:
    people = make_referrers(make_campaign(alice.tenant, [TEN], attribution_model="linear"))
    friend = make_shared_friend(people)

    def qualify() -> services.Qualified:
        return services.qualify(
            participant=friend, actor=ACTOR, source="api", amount=Money(5000, "USD"), external_id="order-1"
        )

    done = at_once(*[qualify] * THREADS)
    assert Counter(item.created for item in done) == {True: 1, False: THREADS - 1}
    assert {tuple(sorted(reward.amount_minor for reward in item.rewards)) for item in done} == {(333, 333, 334)}
    assert has(friend) == {"a": 334, "b": 333, "c": 333}
    assert (Reward.objects.count(), LedgerEntry.objects.count()) == (3, 3)
    assert Event.objects.filter(type="reward.created").count() == 3
    assert list(differences()) == []


def test_twenty_joins_of_one_person_share_them_once(alice: Cast) -> None:
    campaign = make_campaign(
        alice.tenant, [fixed_rule(1000, trigger="join", event="join")], attribution_model="position"
    )
    people = make_referrers(campaign)
    open_links(people, "abc", "v" * 22)

    def join() -> Any:
        return services.join(
            campaign=campaign, email="maya@example.net", actor=ACTOR, source="hosted", visitor="v" * 22
        )

    done = at_once(*[join] * THREADS)
    assert Counter(item.created for item in done) == {True: 1, False: THREADS - 1}
    assert (Referral.objects.count(), ReferralShare.objects.count()) == (1, 3)
    assert has(done[0].participant) == {"a": 400, "b": 200, "c": 400}
    assert list(differences()) == []


def test_bans_and_purchases_at_once_hold_all_that_is_the_banned_ones(alice: Cast) -> None:
    people = make_referrers(make_campaign(alice.tenant, [TEN], attribution_model="linear"))
    friends = [make_shared_friend(people, "cab"[n % 3 :] + "ab", f"f{n}@example.net") for n in range(6)]
    acts: list[Any] = [lambda friend=friend: buy(friend) for friend in friends for _ in range(2)]
    acts += [lambda who=people[name]: bans.ban(participant=who, actor=ACTOR, reason="Bots") for name in "ab"]
    done = at_once(*acts)
    assert not [one for one in done if isinstance(one, str)]
    assert {person.email[0] for person in (r.participant for r in Reward.objects.filter(state="due"))} <= {"c"}
    assert list(differences()) == []


def test_a_rule_that_counts_friends_and_the_first_shared_friend_exclude_each_other(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, [TEN], attribution_model="linear")
    people = make_referrers(campaign)
    open_links(people, "ab", "v" * 22)
    stale = Campaign.objects.select_related("merchant", "version").get(pk=campaign.pk)

    def change() -> Any:
        fresh = campaigns.update_campaign(campaign=campaign, actor=ACTOR, attribution_model="first_click")
        milestone = fixed_rule(5000, trigger="milestone", nth=2)
        try:
            return campaigns.publish_rules(campaign=fresh, rules=[TEN, milestone], actor=ACTOR)
        except TermsError as error:
            return error.code

    def join() -> Any:
        return services.join(campaign=stale, email="maya@example.net", actor=ACTOR, source="hosted", visitor="v" * 22)

    published, joined = at_once(change, join)
    assert (published == "split_not_possible") is bool(ReferralShare.objects.count())
    assert joined.referral is not None
