"""What the pages about one person cost: a fixed number of queries, whatever they did."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from campaigns.models import Campaign
from referrals.events.services import Actor
from referrals.lib.money import Money
from rewards.refunds import refund
from tests.factories import Cast, buy, make_friend, make_participant

ACTOR = Actor("user", "1", "alice@example.com")
COSTS = {"complete/": 6, "ban/": 6, "unban/": 6}


@pytest.mark.parametrize(("rest", "most"), COSTS.items(), ids=["complete", "ban", "unban"])
def test_a_page_costs_the_same_whatever_they_did(alice: Cast, campaign: Campaign, rest: str, most: int) -> None:
    maya = make_friend(make_participant(campaign))
    event = buy(maya).event
    url = f"/app/participants/{maya.public_id}/{rest}"
    with CaptureQueriesContext(connection) as quiet:
        assert alice.client.get(url).status_code == 200
    for n in range(3):
        make_friend(maya, f"f{n}@example.net")
        money = Money(100, "USD")
        refund(tenant=alice.tenant, actor=ACTOR, source="manual", external_id=f"R-{n}", event=event, amount=money)
    with CaptureQueriesContext(connection) as busy:
        assert alice.client.get(url).status_code == 200

    assert len(busy) == len(quiet)
    assert len(busy) <= most
