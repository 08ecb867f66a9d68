"""Campaign budgets: ever, and by the merchant's day, week and month; the last unit is given once."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections

from campaigns import services as campaigns
from campaigns.terms import Limits, RuleTerms
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from rewards import lifecycle, refunds
from rewards.budgets import span_of
from rewards.models import BudgetUse, Decision, LedgerEntry, Reward
from rewards.verify import differences
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant


def budget(minor: int = 4000, **limits: int) -> RuleTerms:
    return fixed_rule(minor, limits=Limits(**{name: Money(most, "USD") for name, most in limits.items()}))


def standing() -> list[int]:
    rows = Reward.objects.exclude(state__in=["void", "reversed"]).order_by("pk")
    return list(rows.values_list("amount_minor", flat=True))


def used(period: str = "all") -> int:
    return BudgetUse.objects.get(period=period).used_minor


@pytest.mark.django_db
def test_the_last_reward_is_what_is_left_and_says_so(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, [budget(campaign=10_000)])
    for name in ("a", "b", "c", "d"):
        buy(make_friend(make_participant(campaign, f"{name}@example.com"), f"{name}@example.net"))
    assert standing() == [4000, 4000, 2000]
    assert used() == 10_000
    last = Decision.objects.order_by("-pk")[0]
    assert (last.rewardable, last.reason, last.counted) == (False, "budget_spent", True)
    (facts,) = [c["facts"] for c in last.conditions if c["code"] == "budget_spent"]
    assert {name: value if isinstance(value, str) else value["amount_minor"] for name, value in facts.items()} == {
        "limit": 10_000,
        "used": 10_000,
        "wanted": 4000,
        "granted": 0,
        "period": "all",
    }
    assert list(differences()) == []


@pytest.mark.django_db
def test_what_falls_goes_back_and_what_is_declined_too(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, [budget(campaign=8000)])
    asha = make_participant(campaign)
    first, second = (buy(make_friend(asha, f"{n}@example.net")) for n in (1, 2))
    assert used() == 8000
    refunds.refund(tenant=alice.tenant, actor=ACTOR, source="manual", external_id="r", event=first.event)
    assert used() == 4000
    reward = second.rewards[0]
    lifecycle.void(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR, note="A colleague")
    assert used() == 0
    buy(make_friend(asha, "3@example.net"))
    buy(make_friend(asha, "4@example.net"))
    assert (standing(), used()) == ([4000, 4000], 8000)
    with pytest.raises(Refused) as refused:
        lifecycle.restore(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR)
    assert (refused.value.code, refused.value.status) == ("budget_spent", 409)
    reward.refresh_from_db()
    assert (reward.state, used()) == ("void", 8000)
    assert list(differences()) == []


@pytest.mark.django_db
def test_the_tightest_period_decides_by_the_merchant_s_calendar(alice: Cast) -> None:
    alice.merchant.time_zone = "Europe/Oslo"
    alice.merchant.save()
    campaign = make_campaign(
        alice.tenant, [budget(campaign=100_000, campaign_month=10_000, campaign_day=5000)], since_days=60
    )
    at = datetime(2026, 10, 31, 21, 30, tzinfo=UTC)  # half past ten in the evening in Oslo
    with clock.at(at - timedelta(hours=1)):
        asha = make_participant(campaign)
        people = [make_friend(asha, f"{n}@example.net") for n in range(6)]
    hours = (0, 0.5, 2, 2.5, 3, 26)
    for friend, hour in zip(people, hours, strict=True):
        buy(friend, occurred_at=at + timedelta(hours=hour))
    # Two on the 31st, then the 1st of November, whose day is full after two, and the 2nd, when the month is full.
    assert standing() == [4000, 1000, 4000, 1000, 4000]
    reasons = Decision.objects.filter(rewardable=False).values_list("event__participant__email", "reason")
    assert list(reasons) == [("4@example.net", "budget_spent")]
    kept = dict(BudgetUse.objects.values_list("period", "used_minor"))
    assert kept == {
        "all": 14_000,
        "2026-10": 5000,
        "2026-11": 9000,
        "2026-W44": 10_000,
        "2026-W45": 4000,
        "2026-10-31": 5000,
        "2026-11-01": 5000,
        "2026-11-02": 4000,
    }


@pytest.mark.django_db
def test_a_period_begins_and_ends_where_the_merchant_is(alice: Cast) -> None:
    alice.merchant.time_zone = "Europe/Oslo"
    campaign = make_campaign(alice.tenant)
    campaign.merchant = alice.merchant
    spans = {name: span_of(name, campaign) for name in ("all", "2026-10-25", "2026-W44", "2026-12")}
    assert spans.pop("all") is None
    assert {name: (span[1] - span[0], span[0].isoformat()) for name, span in spans.items() if span} == {
        # Wall time, though that night has an hour more.
        "2026-10-25": (timedelta(days=1), "2026-10-25T00:00:00+02:00"),
        "2026-W44": (timedelta(days=7), "2026-10-26T00:00:00+01:00"),
        "2026-12": (timedelta(days=31), "2026-12-01T00:00:00+01:00"),
    }


@pytest.mark.django_db
def test_a_budget_that_comes_later_counts_what_was_given_before(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, [fixed_rule(4000)])
    asha = make_participant(campaign)
    key = buy(make_friend(asha, "1@example.net")).rewards[0].rule_key
    rule = fixed_rule(4000, key=key, limits=Limits(campaign=Money(6000, "USD")))
    campaigns.publish_rules(campaign=campaign, rules=[rule], actor=ACTOR)
    asha.campaign.refresh_from_db()
    buy(make_friend(asha, "2@example.net"))
    buy(make_friend(asha, "3@example.net"))
    assert (standing(), used()) == ([4000, 2000], 6000)
    assert list(differences()) == []


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_fifty_at_once_never_go_over_the_last_unit(alice: Cast) -> None:
    """RELIABILITY INV-16."""
    many = 50
    campaign = make_campaign(alice.tenant, [budget(1000, campaign=5500)])
    people = [make_friend(make_participant(campaign, f"r{n}@example.com"), f"f{n}@example.net") for n in range(many)]
    barrier = threading.Barrier(many)
    failures: list[BaseException] = []

    def go(number: int) -> None:
        try:
            barrier.wait(timeout=60)
            buy(people[number])
        except BaseException as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=go, args=(number,)) for number in range(many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert failures == []
    assert sorted(standing()) == [500, 1000, 1000, 1000, 1000, 1000]
    assert used() == 5500
    assert sum(LedgerEntry.objects.values_list("amount_minor", flat=True)) == 5500
    assert Decision.objects.filter(reason="budget_spent").count() == many - 6
    assert list(differences()) == []
