"""The list of existing customers by API: in bulk, all or nothing, one's own only."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from participants.models import KnownCustomer
from referrals.lib import clock
from rewards.models import Reward
from tests.api.conftest import Shop
from tests.factories import Cast, buy, fixed_rule, make_campaign, make_friend, make_participant


def test_customers_are_added_and_removed_in_bulk_and_their_friends_decided_again(shop: Shop) -> None:
    campaign = make_campaign(shop.tenant, [fixed_rule(new_customers_only=True)])
    maya = make_friend(make_participant(campaign))
    buy(maya)
    before = (maya.joined_at - timedelta(days=1)).isoformat()
    body = {"customers": [{"email": "Maya+x@example.net", "customer_since": before}, {"customer_id": "cus_12345678"}]}
    for counts in ((2, 0, 1), (0, 2, 0)):
        reply = shop.api.post("/api/v2/customers", body)
        names = ("changed", "unchanged", "decided_again", "on_list")
        assert (reply.status, reply.data) == (200, dict(zip(names, (*counts, 2), strict=True)))
    assert Reward.objects.get().state == "void"
    removed = shop.api.post("/api/v2/customers/remove", {"customers": [{"email": "maya@example.net"}]})
    assert removed.data == {"changed": 1, "unchanged": 0, "decided_again": 1, "on_list": 1}
    assert Reward.objects.get().state == "due"


def test_a_persons_word_decides_again(shop: Shop) -> None:
    maya = make_friend(make_participant(make_campaign(shop.tenant, [fixed_rule(new_customers_only=True)])))
    buy(maya)
    for said, after in ((True, ("void", "existing_customer")), (False, ("due", ""))):
        reply = shop.api.patch(f"/api/v2/participants/{maya.public_id}", {"existing_customer": said})
        assert (reply.status, reply.data["existing_customer"]) == (200, said)
        assert list(Reward.objects.values_list("state", "reason")) == [after]


@pytest.mark.parametrize(
    ("one", "status", "code", "field"),
    [
        ({}, 400, "missing_field", "customers[1]"),
        ({"email": "a@example.com", "customer_id": "x"}, 400, "missing_field", "customers[1]"),
        ({"email": "nobody"}, 422, "email_invalid", "customers[1].email"),
        ({"customer_id": " "}, 422, "blank", "customers[1].customer_id"),
        ({"email": "a@example.com", "since": "2020-01-01"}, 400, "unknown_field", "customers[1].since"),
        (
            {"email": "a@example.com", "customer_since": (clock.now() + timedelta(days=9)).isoformat()},
            422, "occurred_at", "customers[1].customer_since",
        ),
    ],
)  # fmt: skip
def test_one_wrong_entry_is_named_and_nothing_is_added(
    shop: Shop, one: dict[str, Any], status: int, code: str, field: str
) -> None:
    reply = shop.api.post("/api/v2/customers", {"customers": [{"email": "good@example.com"}, one]})
    assert (reply.status, reply.data["code"], reply.data["field"]) == (status, code, field)
    assert KnownCustomer.objects.count() == 0


def test_the_list_is_each_merchants_own(shop: Shop, charlie: Cast) -> None:
    shop.api.post("/api/v2/customers", {"customers": [{"email": "maya@example.net"}]})
    campaign = make_campaign(charlie.tenant, [fixed_rule(new_customers_only=True)])
    assert buy(make_friend(make_participant(campaign))).decisions[0].rewardable


def test_an_event_may_say_when_its_person_first_bought(shop: Shop) -> None:
    campaign = make_campaign(shop.tenant, [fixed_rule(new_customers_only=True)])
    maya = make_friend(make_participant(campaign))
    body = {
        "campaign": campaign.public_id,
        "email": maya.email,
        "amount": {"amount_minor": 5000, "currency": "USD"},
        "first_purchase_at": "2020-01-31T00:00:00Z",
    }
    assert shop.api.post("/api/v2/events", body).data["decisions"][0]["reason"] == "existing_customer"
