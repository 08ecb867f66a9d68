"""How many SQL statements a call costs: fixed, whatever the number of rows (PERFORMANCE.md)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from campaigns.models import Campaign
from participants.models import Participant
from tests.api.conftest import Shop

OF_THE_KEY = ("accounts_ratelimit", "accounts_apikey")
BORDERS = ("SAVEPOINT", "RELEASE", "BEGIN", "COMMIT", "ROLLBACK")


def count(call: Callable[[], Any]) -> int:
    """SQL statements of a call without those of the key, the limiter and the borders of transactions."""
    with CaptureQueriesContext(connection) as captured:
        call()
    sql = [one["sql"].strip() for one in captured.captured_queries]
    return sum(not text.startswith(BORDERS) and not any(name in text for name in OF_THE_KEY) for text in sql)


def test_qualify_takes_thirteen_statements(shop: Shop, campaign: Campaign, friend: Participant) -> None:
    body = {
        "campaign": campaign.public_id,
        "email": friend.email,
        "amount": {"amount_minor": 5000, "currency": "USD"},
        "external_id": "order-1",
    }
    replies = []
    assert count(lambda: replies.append(shop.api.post("/api/v2/events", body))) == 13
    assert (replies[0].status, replies[0].data["rewardable"]) == (201, True)


def test_version_1_adds_its_six_numbers_and_the_count_of_friends(
    shop: Shop, campaign: Campaign, friend: Participant
) -> None:
    body = {"id": campaign.public_id, "email": friend.email, "amountPaid": 50, "externalId": "order-1"}
    replies = []
    assert count(lambda: replies.append(shop.api.post("/api/v1/qualifyParticipant", body))) == 15
    assert replies[0].status == 200


def _fill(shop: Shop, campaign: Campaign, number: int) -> None:
    maya = shop.participant(campaign, f"maya{number}@example.com")
    for friend in range(3):
        email = f"friend{number}-{friend}@example.com"
        shop.participant(campaign, email, maya)
        body = {"campaign": campaign.public_id, "email": email, "amount": {"amount_minor": 5000, "currency": "USD"}}
        event = shop.api.post("/api/v2/events", body).data
        assert event["rewardable"] is True


@pytest.mark.parametrize(
    "path",
    [
        "v1/getAllParticipants?id={id}&size=200",
        "v1/getAllReferrals?id={id}&email=maya0@example.com",
        "v2/campaigns",
        "v2/participants",
        "v2/events",
        "v2/events?expand=participant",
        "v2/decisions",
        "v2/rewards",
        "v2/rewards?expand=participant,event",
        "v2/payouts?expand=participant",
        "v2/payout-batches",
        "v2/connections",
    ],
)
def test_lists_cost_the_same_whatever_their_length(shop: Shop, campaign: Campaign, path: str) -> None:
    address = f"/api/{path}".replace("{id}", campaign.public_id)
    _fill(shop, campaign, 0)
    _issue(shop, "one")
    shop.api.get(address)
    few = count(lambda: shop.api.get(address))
    for number in (1, 2):
        _fill(shop, campaign, number)
        _issue(shop, f"more{number}")
        shop.campaign(f"More {number}", launched=number == 1)
    assert count(lambda: shop.api.get(address)) == few


def _issue(shop: Shop, key: str) -> None:
    due = shop.api.get("/api/v2/rewards?status=due").data["data"]
    body = {"rewards": [one["id"] for one in due], "method": "manual"}
    assert shop.api.post("/api/v2/payouts", body, Idempotency_Key=f"pay-{key}").status == 201
