"""The operations for test keys: the clock, a simulated referral, deleting everything; a live key can do none of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from campaigns.models import Campaign
from participants.models import Participant
from referrals.accounts.models import MerchantClock, Wipe
from referrals.events.models import Event
from referrals.lib import clock
from rewards import wiping
from rewards.models import Reward
from tests.api.conftest import Shop, open_shop
from tests.api.test_fuzz import NASTY
from tests.factories import fixed_rule


@pytest.fixture
def test_shop(shop: Shop) -> Shop:
    """The test side of Alice's business, with keys."""
    return open_shop("", is_test=True, merchant=shop.merchant)


CALLS: list[tuple[str, str, Any]] = [
    ("GET", "test-clock", None),
    ("POST", "test-clock/advance", {"days": 1}),
    ("POST", "campaigns/{campaign}/simulate", {}),
    ("GET", "test-data", None),
    ("DELETE", "test-data", None),
]


@pytest.mark.parametrize(("method", "path", "body"), CALLS, ids=[f"{method} {path}" for method, path, _body in CALLS])
def test_a_live_key_is_told_to_use_a_test_key(
    shop: Shop, campaign: Campaign, method: str, path: str, body: Any
) -> None:
    before = [model.objects.count() for model in (MerchantClock, Wipe, Participant, Event)]
    reply = shop.api.send(method, f"/api/v2/{path.format(campaign=campaign.public_id)}", body)
    assert (reply.status, reply.data["code"]) == (403, "test_key_required")
    assert "sk_test_" in reply.data["detail"]
    assert [model.objects.count() for model in (MerchantClock, Wipe, Participant, Event)] == before


def test_the_story_through_the_api(shop: Shop, test_shop: Shop) -> None:
    """Simulate, move to the next thing that happens, and the reward is due, to the cent and to the moment."""
    campaign = test_shop.campaign(rules=[fixed_rule(1500, review_days=14)])
    made = test_shop.api.post(
        f"/api/v2/campaigns/{campaign.public_id}/simulate", {"amount": {"amount_minor": 8000, "currency": "USD"}}
    )
    assert made.status == 201
    (reward,) = made.data["rewards"]
    assert (reward["status"], reward["amount"]) == ("review", {"amount_minor": 1500, "currency": "USD"})
    assert made.data["event"]["amount"] == {"amount_minor": 8000, "currency": "USD"}
    assert (made.data["visit"], made.data["refund"], made.data["steps"]) == (True, None, ["visit", "join", "purchase"])
    assert made.data["friend"]["referred_by"] == made.data["referrer"]["id"]
    now = test_shop.api.get("/api/v2/test-clock").data
    assert (now["moved"], now["target"], now["happened"]) == (False, None, [])
    assert now["coming"] == [
        {
            "at": reward["review_ends_at"],
            "kind": "review_ends",
            "subject": {"type": "reward", "id": reward["id"]},
            "about": "Test Referrer",
            "amount": {"amount_minor": 1500, "currency": "USD"},
        }
    ]
    moved = test_shop.api.post("/api/v2/test-clock/advance", {"to_next": True})
    assert (moved.status, moved.data["target"], moved.data["coming"]) == (200, None, [])
    assert moved.data["happened"] == [
        {"at": reward["review_ends_at"], "type": "reward.due", "subject": {"type": "reward", "id": reward["id"]}}
    ]
    assert test_shop.api.get(f"/api/v2/rewards/{reward['id']}").data["status"] == "due"
    assert Reward.objects.get().state == "due"
    assert shop.api.get("/api/v2/rewards").data["data"] == []


def test_by_days_and_to_a_moment(test_shop: Shop) -> None:
    before = datetime.fromisoformat(test_shop.api.get("/api/v2/test-clock").data["now"])
    moved = test_shop.api.post("/api/v2/test-clock/advance", {"days": 14})
    after = datetime.fromisoformat(moved.data["now"])
    assert timedelta(days=14) <= after - before < timedelta(days=14, seconds=20)
    to = (clock.wall() + timedelta(days=30)).isoformat()
    moved = test_shop.api.post("/api/v2/test-clock/advance", {"to": to})
    assert moved.status == 200
    assert datetime.fromisoformat(moved.data["now"]) - datetime.fromisoformat(to) < timedelta(seconds=20)


@pytest.mark.parametrize(
    ("body", "status", "code", "named"),
    [
        ({}, 422, "one_of", "to_next"),
        ({"days": 1, "to_next": True}, 422, "one_of", "to_next"),
        ({"to_next": False}, 422, "one_of", "to_next"),
        ({"days": 0}, 422, "test_clock_backward", "0 days"),
        ({"days": -3}, 422, "test_clock_backward", "-3 days"),
        ({"days": 2000}, 422, "test_clock_too_far", "2000 days"),
        ({"to": "2020-01-01T00:00:00Z"}, 422, "test_clock_backward", "2020-01-01 00:00:00"),
        ({"to": "2099-01-01T00:00:00Z"}, 422, "test_clock_too_far", "2099-01-01"),
        ({"to": "tomorrow"}, 422, "date", "to"),
        ({"to_next": True}, 409, "nothing_coming", "Nothing"),
        ({"weeks": 1}, 400, "unknown_field", "weeks"),
    ],
)
def test_what_can_not_be_is_refused_by_its_value(
    test_shop: Shop, body: dict[str, Any], status: int, code: str, named: str
) -> None:
    reply = test_shop.api.post("/api/v2/test-clock/advance", body)
    assert (reply.status, reply.data["code"]) == (status, code)
    assert named in reply.data["detail"]
    assert MerchantClock.objects.filter(target__isnull=False).count() == 0
    assert test_shop.api.get("/api/v2/test-clock").data["moved"] is False


def test_all_test_data_is_deleted_by_a_test_key_which_stays(shop: Shop, test_shop: Shop) -> None:
    live = shop.campaign()
    shop.participant(live, "maya@example.com")
    campaign = test_shop.campaign()
    test_shop.api.post(f"/api/v2/campaigns/{campaign.public_id}/simulate", {})
    assert test_shop.api.get("/api/v2/test-data").data["status"] == "kept"
    asked = test_shop.api.send("DELETE", "/api/v2/test-data", Idempotency_Key="wipe-1")
    assert (asked.status, asked.data["status"], asked.data["deleted"]) == (202, "deleting", 0)
    assert asked.data["total"] > 10
    wiping.carry_on(Wipe.objects.get().pk)
    done = test_shop.api.get("/api/v2/test-data").data
    assert (done["status"], done["finished_at"] is not None) == ("deleted", True)
    assert test_shop.api.get("/api/v2/campaigns").data["data"] == []
    assert [one["id"] for one in shop.api.get("/api/v2/campaigns").data["data"]] == [live.public_id]
    assert shop.api.get("/api/v2/participants").data["data"][0]["email"] == "maya@example.com"
    # The same request said again is answered, not done again.
    test_shop.campaign("New")
    again = test_shop.api.send("DELETE", "/api/v2/test-data", Idempotency_Key="wipe-1")
    assert (again.status, again.data) == (202, asked.data)
    assert Wipe.objects.count() == 1


def test_simulations_of_others_campaigns_and_people(test_shop: Shop, stranger: Shop) -> None:
    campaign, other = test_shop.campaign(), test_shop.campaign("Other")
    theirs = open_shop("", is_test=True, merchant=stranger.merchant)
    path = f"/api/v2/campaigns/{campaign.public_id}/simulate"
    assert theirs.api.post(path, {}).data["code"] == "campaign_not_found"
    asha = test_shop.participant(other, "asha@example.com")
    reply = test_shop.api.post(path, {"referrer": asha.public_id})
    assert (reply.status, reply.data["code"]) == (404, "participant_not_found")
    asha = test_shop.participant(campaign, "asha@example.com")
    reply = test_shop.api.post(path, {"referrer": asha.public_id, "steps": ["join"]})
    assert (reply.status, reply.data["referrer"]["id"], reply.data["event"]) == (201, asha.public_id, None)
    reply = test_shop.api.post(path, {"amount": {"amount_minor": 5, "currency": "EUR"}})
    assert (reply.status, reply.data["code"]) == (422, "currency")


def test_nasty_values(test_shop: Shop) -> None:
    path = f"/api/v2/campaigns/{test_shop.campaign().public_id}/simulate"
    tries = [
        ("/api/v2/test-clock/advance", ("to", "days", "to_next")),
        (path, ("steps", "amount", "refund", "referrer")),
    ]
    for address, fields in tries:
        for name in fields:
            for value in NASTY:
                assert test_shop.api.post(address, {name: value}).status < 500, (name, value)
