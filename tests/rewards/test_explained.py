"""What the history and the webhooks carry: enough to say why, or why not, without asking for it."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from referrals.events.models import Event
from referrals.lib.money import Money
from rewards import refunds
from rewards.models import Decision, Reward
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant

pytestmark = pytest.mark.django_db


def told(type_: str) -> dict[str, Any]:
    """The data of the only event of a type."""
    data: dict[str, Any] = Event.objects.get(type=type_).data
    return data


def test_a_recorded_event_tells_each_decision(alice: Cast) -> None:
    rules = [
        fixed_rule(minimum_purchase=Money(3000, "USD")),
        fixed_rule(500, side="invitee", kind="coupon"),
    ]
    friend = make_friend(make_participant(make_campaign(alice.tenant, rules)))
    buy(friend, 2000)
    data = told("event.recorded")
    decisions = list(Decision.objects.order_by("pk"))
    assert data["decisions"] == [
        {
            "rule": decision.rule_key,
            "side": decision.side,
            "rewardable": decision.rewardable,
            "reason": decision.reason or None,
            "amount_minor": decision.amount_minor,
            "conditions": decision.conditions,
        }
        for decision in decisions
    ]
    assert [one["reason"] for one in data["decisions"]] == ["below_minimum_purchase", None]
    created = told("reward.created")
    assert created["conditions"] == decisions[1].conditions


def test_a_reward_that_falls_by_facts_tells_them_and_one_that_a_person_declines_does_not(alice: Cast) -> None:
    friend = make_friend(make_participant(make_campaign(alice.tenant)))
    event = buy(friend).event
    refunds.refund(tenant=alice.tenant, actor=ACTOR, source="manual", external_id="R-1", event=event)
    data = told("reward.voided")
    current = Decision.objects.get(event=event, current=True)
    assert (data["reason"], data["conditions"]) == ("refunded", current.conditions)
    assert Reward.objects.get().reason == "refunded"


def test_telling_it_costs_no_statement(alice: Cast) -> None:
    friend = make_friend(make_participant(make_campaign(alice.tenant)))
    with CaptureQueriesContext(connection) as queries:
        buy(friend)
    inserts = [query["sql"].split('"')[1] for query in queries if query["sql"].startswith("INSERT")]
    assert inserts.count("events_event") == 1
    assert inserts.count("rewards_decision") == 1
