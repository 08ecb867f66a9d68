"""Webhook endpoints and deliveries by API; participants found by the merchant's own facts."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from campaigns.models import Campaign
from integrations import outbox
from integrations.models import WebhookDelivery, WebhookEndpoint
from participants.models import Participant
from referrals.api.models import IdempotencyRecord
from referrals.lib import clock
from tests.api.conftest import Shop, open_shop

HOOK = {"url": "https://hooks.example.com/in", "types": ["participant.created"], "label": "CRM"}


def test_an_endpoint_from_its_making_to_its_removal(shop: Shop, campaign: Campaign) -> None:
    made = shop.api.post("/api/v2/webhook-endpoints", HOOK, Idempotency_Key="once")
    again = shop.api.post("/api/v2/webhook-endpoints", HOOK, Idempotency_Key="once")
    assert (made.status, again.data) == (201, made.data)
    secret = made.data["secret"]
    assert secret.startswith("whsec_")
    assert secret not in IdempotencyRecord.objects.get().body  # kept sealed for the repetition
    address = f"/api/v2/webhook-endpoints/{made.data['id']}"
    assert "secret" not in shop.api.get(address).data
    shop.participant(campaign, "noor@example.com")
    while outbox.dispatch():
        pass
    (found,) = shop.api.get(f"/api/v2/deliveries?endpoint={made.data['id']}&state=pending").data["data"]
    assert (found["type"], found["sample"], found["attempts"]) == ("participant.created", False, 0)
    full = shop.api.get(f"/api/v2/deliveries/{found['id']}").data
    assert json.loads(full["body"])["data"]["participant"]["email"] == "noor@example.com"
    assert full["tries"] == []
    assert shop.api.post(f"{address}/disable").data["disabled_reason"] == "by_hand"
    assert shop.api.get(f"/api/v2/deliveries/{found['id']}").data["state"] == "stopped"
    since = (clock.now() - timedelta(hours=1)).isoformat()
    assert shop.api.post(f"{address}/enable", {"since": since}).data["enabled"] is True
    assert shop.api.get(f"/api/v2/deliveries/{found['id']}").data["state"] == "pending"
    assert shop.api.post(f"{address}/rotate").data["secret"] != secret
    assert shop.api.send("DELETE", address).data["removed_at"] is not None
    assert shop.api.get("/api/v2/webhook-endpoints").data["data"] == []
    assert shop.api.post(f"{address}/rotate").data["code"] == "invalid_state"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"url": "http://hooks.example.com/"}, 422, "url_not_allowed"),
        ({"url": "https://10.0.0.1/"}, 422, "url_not_allowed"),
        ({**HOOK, "types": ["reward.imagined"]}, 422, "invalid_choice"),
        ({}, 400, "missing_field"),
    ],
)
def test_what_is_refused_makes_nothing(shop: Shop, body: dict[str, object], status: int, code: str) -> None:
    reply = shop.api.post("/api/v2/webhook-endpoints", body)
    assert (reply.status, reply.data["code"]) == (status, code)
    assert WebhookEndpoint.objects.count() == WebhookDelivery.objects.count() == 0


def test_sixteen_endpoints_are_enough(shop: Shop) -> None:
    for number in range(16):
        assert shop.api.post("/api/v2/webhook-endpoints", {"url": f"https://h{number}.example.com/"}).status == 201
    reply = shop.api.post("/api/v2/webhook-endpoints", HOOK)
    assert (reply.status, reply.data["code"]) == (409, "too_many_endpoints")


def test_people_are_found_by_the_merchants_own_facts_and_by_what_is_new(shop: Shop, campaign: Campaign) -> None:
    asha = shop.participant(campaign, "asha@example.com")
    shop.participant(campaign, "noor@example.com")
    other = open_shop("Another")
    stranger = other.participant(other.campaign(), "asha@example.com")
    Participant.objects.filter(pk=stranger.pk).update(metadata={"crm id": "A-17"})
    before = clock.now().isoformat().replace("+", "%2B")
    facts = {"crm id": "A-17", "orders": 3, "vip": True, "o'key x": "y"}
    assert shop.api.send("PATCH", f"/api/v2/participants/{asha.public_id}", {"metadata": facts}).status == 200
    assert shop.api.get(f"/api/v2/participants/{asha.public_id}").data["metadata"] == facts

    def found(**query: str) -> list[str]:
        text = "&".join(f"{name}={value}" for name, value in query.items())
        return [one["email"] for one in shop.api.get(f"/api/v2/participants?{text}").data["data"]]

    assert found(metadata_key="crm%20id", metadata_value="A-17") == ["asha@example.com"]
    assert found(metadata_key="crm%20id", metadata_value="A-18") == []
    assert found(metadata_key="orders", metadata_value="3") == ["asha@example.com"]
    assert found(metadata_key="vip", metadata_value="true") == ["asha@example.com"]
    assert found(metadata_key="vip", metadata_value="false") == []
    assert found(metadata_key="o'key%20x") == ["asha@example.com"]
    assert found(metadata_key="nothing") == []
    assert found(updated_since=before) == ["asha@example.com"]
    hour_ago = (clock.now() - timedelta(hours=1)).isoformat().replace("+", "%2B")
    assert found(updated_since=hour_ago) == ["noor@example.com", "asha@example.com"]
    assert found(updated_since="2099-01-01T00:00:00%2B00:00") == []
    assert shop.api.get("/api/v2/participants?metadata_value=x").data["code"] == "missing_field"
