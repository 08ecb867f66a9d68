"""Facts come once, under every name they have, and late facts are judged by what held at their time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from campaigns import services as campaigns
from campaigns.models import Campaign
from participants.models import QualifyingEvent, Refund
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from rewards import refunds, services
from rewards.models import Reward
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant

pytestmark = pytest.mark.django_db


def test_a_checkout_and_its_invoice_count_once(campaign: Campaign) -> None:
    friend = make_friend(make_participant(campaign))
    first = buy(friend, 5000, "in_1", references=["cs_1", "in_1", "pi_1"])
    twin = buy(friend, 5000, "pi_1", references=["pi_1", "ch_1"])
    assert (first.created, twin.created, twin.event.pk) == (True, False, first.event.pk)
    assert (QualifyingEvent.objects.count(), Reward.objects.count()) == (1, 1)


def test_the_same_id_with_another_amount_is_refused(campaign: Campaign) -> None:
    friend = make_friend(make_participant(campaign))
    buy(friend, 5000, "order-1")
    with pytest.raises(Refused) as refused:
        buy(friend, 6000, "order-1")
    assert (refused.value.code, refused.value.status) == ("amount_changed", 409)
    assert "$50.00" in refused.value.message
    assert QualifyingEvent.objects.get().amount_minor == 5000


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"amount": Money(5000, "EUR")}, "currency"),
        ({"amount": Money(-1, "USD")}, "amount_not_positive"),
        ({"occurred_at": "future"}, "occurred_at"),
        ({"external_id": "x" * 256}, "too_long"),
        ({"type": "join"}, "event_type"),
        ({"type": ""}, "event_type"),
    ],
    ids=["currency", "negative", "future", "long id", "join", "no type"],
)
def test_a_fact_that_can_not_be_is_refused_and_not_recorded(
    campaign: Campaign, change: dict[str, Any], code: str
) -> None:
    friend = make_friend(make_participant(campaign))
    if change.get("occurred_at"):
        change = {"occurred_at": clock.now() + timedelta(days=1)}
    asked: dict[str, Any] = {
        "participant": friend,
        "actor": ACTOR,
        "source": "api",
        "amount": Money(5000, "USD"),
    } | change
    with pytest.raises(Refused) as refused:
        services.qualify(**asked)
    assert (refused.value.code, QualifyingEvent.objects.count(), Reward.objects.count()) == (code, 0, 0)


def test_a_late_fact_is_judged_by_what_the_campaign_was_at_its_time(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, [fixed_rule(trigger="every_event")], since_days=30)
    friend = make_friend(make_participant(campaign))
    now = clock.now()
    for days, act in ((20, campaigns.pause), (10, campaigns.resume)):
        with clock.at(now - timedelta(days=days)):
            campaign = act(campaign=campaign, actor=ACTOR)
    friend.refresh_from_db()
    reasons = {}
    for days in (40, 25, 15, 5):
        done = buy(friend, 5000, f"order-{days}", occurred_at=now - timedelta(days=days))
        reasons[days] = done.decisions[0].reason
    assert reasons == {40: "campaign_not_started", 25: "", 15: "campaign_paused", 5: ""}


def test_a_refund_before_its_purchase_waits_for_it(alice: Cast, campaign: Campaign) -> None:
    friend = make_friend(make_participant(campaign))
    early = refunds.refund(
        tenant=alice.tenant, actor=ACTOR, source="stripe", external_id="re_1", references=["pi_1", "ch_1"]
    )
    assert (early.event, early.created) == (None, True)
    done = services.qualify(
        participant=friend,
        actor=ACTOR,
        source="stripe",
        external_id="in_1",
        references=["in_1", "pi_1"],
        amount=Money(5000, "USD"),
    )
    assert (done.decisions[0].reason, done.rewards) == ("refunded", [])
    assert Refund.objects.get().event == done.event


def test_new_rules_judge_new_events_and_old_events_keep_theirs(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, [fixed_rule(1500, trigger="every_event")])
    friend = make_friend(make_participant(campaign))
    old = buy(friend, 5000, "old")
    assert campaign.version is not None
    (rule,) = [row.terms("USD") for row in campaign.version.rules.all()]
    version = campaigns.publish_rules(
        campaign=campaign, actor=ACTOR, rules=[fixed_rule(2500, key=rule.key, trigger="every_event")]
    )
    friend = type(friend).objects.get(pk=friend.pk)
    new = buy(friend, 5000, "new")
    assert version.number == 2
    assert [old.rewards[0].amount_minor, new.rewards[0].amount_minor] == [1500, 2500]
    refunds.refund(
        tenant=alice.tenant, actor=ACTOR, source="manual", external_id="re-1", event=old.event, amount=Money(100, "USD")
    )
    assert sorted(Reward.objects.values_list("amount_minor", "state")) == [(1500, "due"), (2500, "due")]


def test_recording_and_deciding_takes_few_statements(
    campaign: Campaign, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    """PERFORMANCE.md: at most 12 statements, apart from the savepoints that a test adds round the transaction."""
    friend = make_friend(make_participant(campaign))
    make_friend(make_participant(campaign, "warm@example.com"), "up@example.com")
    with django_assert_max_num_queries(17) as seen:
        buy(friend, 5000, "order-1")
    statements = [q["sql"] for q in seen.captured_queries if "SAVEPOINT" not in q["sql"]]
    assert len(statements) <= 12, statements
