"""A friend whom several share, as version 2 tells it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from campaigns.models import Campaign
from participants.models import Referral
from participants.visits import visit_row
from referrals.events.services import SYSTEM
from referrals.lib import clock
from rewards import services
from tests.api.conftest import Shop

pytestmark = pytest.mark.django_db
TEN = {"amount_minor": 1000, "currency": "USD"}
RULE = {"side": "referrer", "trigger": "every_event", "amount": {"type": "fixed", "money": TEN}, "kind": "cash"}
MILESTONE = RULE | {"trigger": "milestone", "nth": 3}


def test_the_setting_and_the_rules_are_refused_by_field_and_go_together(shop: Shop) -> None:
    campaign = shop.campaign()
    url = f"/api/v2/campaigns/{campaign.public_id}"
    shop.api.patch(url, {"rules": [MILESTONE]})
    reply = shop.api.patch(url, {"attribution": {"model": "linear"}, "name": "Other"})
    assert (reply.status, reply.data["code"], reply.data["field"]) == (
        422, "split_not_possible", "attribution.model",
    )  # fmt: skip
    assert Campaign.objects.get().name == "Summer"
    reply = shop.api.patch(url, {"attribution": {"model": "linear"}, "rules": [RULE]})
    assert (reply.status, reply.data["attribution"]["model"], reply.data["rules"][0]["trigger"]) == (
        200, "linear", "every_event",
    )  # fmt: skip
    reply = shop.api.patch(url, {"rules": [RULE, MILESTONE]})
    assert (reply.status, reply.data["field"]) == (422, "rules[1].trigger")
    reply = shop.api.post(f"{url}/what-if", {"rules": [RULE, MILESTONE]})
    assert (reply.status, reply.data["code"]) == (422, "split_not_possible")
    reply = shop.api.post(
        "/api/v2/campaigns",
        {
            "name": "Club",
            "rules": [MILESTONE],
            "currency": "USD",
            "attribution": {"model": "position", "window_days": 9},
        },
    )
    assert (reply.status, reply.data["code"], Campaign.objects.count()) == (422, "split_not_possible", 1)


def test_who_shares_a_friend_and_what_each_event_led_to(shop: Shop) -> None:
    campaign = shop.campaign(attribution_model="position")
    campaign_url = f"/api/v2/campaigns/{campaign.public_id}"
    assert shop.api.patch(campaign_url, {"rules": [RULE]}).status == 200
    campaign = Campaign.objects.select_related("merchant", "version").get()
    people = [shop.participant(campaign, f"{name}@example.com") for name in "abc"]
    for n, person in enumerate(people):
        visit_row(referrer=person, visitor="v" * 22, at=clock.now() - timedelta(hours=9 - n)).save()
    friend = services.join(
        campaign=campaign, email="maya@example.net", actor=SYSTEM, source="hosted", visitor="v" * 22
    ).participant
    body = {"campaign": campaign.public_id, "email": friend.email, "amount": TEN, "external_id": "o1"}
    event = shop.api.post("/api/v2/events", body).data
    (decision,) = event["decisions"]
    rewards: list[Any] = [shop.api.get(f"/api/v2/rewards/{public_id}").data for public_id in decision["rewards"]]
    assert [(row["participant"], row["amount"]["amount_minor"]) for row in rewards] == [
        (people[0].public_id, 400), (people[2].public_id, 400), (people[1].public_id, 200),
    ]  # fmt: skip
    assert (decision["reward"], decision["amount"]) == (decision["rewards"][0], TEN)
    shared = next(row for row in decision["conditions"] if row["code"] == "shared")
    assert shared["sentence"] == "Shared between 3 referrers, by the links that were opened"
    assert [row["share"] for row in shared["facts"]["shares"]] == ["2/5", "1/5", "2/5"]
    listed = shop.api.get(f"/api/v2/decisions?event={event['id']}").data["data"]
    assert listed[0]["rewards"] == decision["rewards"]
    shown = shop.api.get(f"/api/v2/participants/{friend.public_id}").data
    assert (shown["referred_by"], [row["share"] for row in shown["shared_by"]]) == (
        people[0].public_id, ["2/5", "1/5", "2/5"],
    )  # fmt: skip
    assert [shop.api.get(f"/api/v2/participants/{row.public_id}").data["referrals"] for row in people] == [1, 1, 1]
    referrers = shop.api.get("/api/v2/participants?role=referrer").data["data"]
    assert {row["id"] for row in referrers} == {row.public_id for row in people}
    detached = shop.api.post(f"/api/v2/participants/{friend.public_id}/detach", {"reason": "Wrong"})
    assert (detached.status, detached.data["shared_by"]) == (200, [])
    assert Referral.objects.filter(standing_for=friend).count() == 0
