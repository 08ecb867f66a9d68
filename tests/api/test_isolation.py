"""Another merchant's ids, and the other side's, are answered like ids that do not exist (RELIABILITY INV-09; section 6, row 18)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from campaigns.models import Campaign
from integrations import endpoints
from integrations.models import Connection, InboundEvent
from participants.models import Application, Participant
from referrals.api.openapi import in_order, request_example
from referrals.api.operations import Operation
from referrals.api.v2.resources import API as V2
from referrals.events.services import SYSTEM
from rewards.files import freezing, returned
from rewards.models import Payout, PayoutRoute, Reward
from tests.api.conftest import Shop, open_shop
from tests.worlds import taken

WITH_ID = [one for one in in_order(V2) if "{id}" in one.path]
CANARY = "canary-7f3a"


@dataclass
class World:
    """Ids of everything Alice has, by their place in an address; her rows carry a canary. And two who may not see them."""

    shop: Shop
    maya: Participant
    ids: dict[str, str]
    outsiders: dict[str, Shop]


@pytest.fixture(scope="module")
def world(kept: None) -> World:
    """Once for the module."""
    shop = open_shop("Alice's Lamps")
    campaign = shop.campaign()
    maya = shop.participant(campaign, "maya@example.com")
    friend = shop.participant(campaign, "noor@example.com", maya)
    Participant.objects.update(first_name=CANARY, note=CANARY)
    body = {
        "campaign": campaign.public_id,
        "email": friend.email,
        "amount": {"amount_minor": 5000, "currency": "USD"},
        "external_id": CANARY,
    }
    event = shop.api.post("/api/v2/events", body).data
    due = Reward.objects.get(side="invitee")
    shop.api.post(
        "/api/v2/payouts", {"rewards": [due.public_id], "method": "manual", "note": CANARY}, Idempotency_Key="k"
    )
    payout = Payout.objects.select_related("batch").get()
    reward = Reward.objects.get(side="referrer").public_id
    connection = Connection(merchant=shop.merchant, provider="stripe", label=CANARY)
    connection.secrets = {"webhook_secret": "whsec_0123456789abcdefghijklmn"}
    connection.save()
    message = {"event_id": CANARY, "type": "x", "body": b"{}", "state": "failed", "next_attempt_at": None}
    inbound = InboundEvent.objects.create(merchant=shop.merchant, connection=connection, **message)
    endpoint, _secret = endpoints.create(
        tenant=shop.tenant, actor=SYSTEM, url=f"https://{CANARY}.example.com/".lower(), label=CANARY
    )
    delivery = endpoints.send_test(endpoint=endpoint, type_="reward.due")
    asked = {"merchant": shop.merchant, "email": "sven@example.com", "email_key": "sven@example.com", "reason": CANARY}
    application = Application.objects.create(campaign=campaign, status=Application.WAITING, **asked)
    other = shop.participant(campaign, "otto@example.com", maya)
    shop.api.post("/api/v2/events", body | {"email": other.email, "external_id": "order-2"})
    keys = list(Reward.objects.filter(participant=other).values_list("pk", flat=True))
    batch, _made = freezing.freeze("csv_file", tenant=shop.tenant, reward_ids=keys, actor=SYSTEM, key="frozen-file")
    ids = {
        "applications": application.public_id,
        "connections": connection.public_id,
        "inbound-events": inbound.public_id,
        "webhook-endpoints": endpoint.public_id,
        "deliveries": delivery.public_id,
        "campaigns": campaign.public_id,
        "participants": maya.public_id,
        "events": event["id"],
        "what-ifs": shop.api.post(f"/api/v2/campaigns/{campaign.public_id}/what-if", {"rules": []}).data["id"],
        "exports": shop.api.post("/api/v2/exports", {"list": "visits"}).data["id"],
        "rewards": reward,
        "payouts": payout.public_id,
        "payout-batches": payout.batch.public_id,
        "payout-files": batch.files.get().public_id,
        "payout-returns": returned.mark_all(batch=batch, kind="paid", note=CANARY, actor=SYSTEM).public_id,
        "payout-routes": PayoutRoute.objects.create(
            merchant=shop.merchant, side="referrer", kind="cash", method="paypal_file", created_by=CANARY
        ).public_id,
    }

    outsiders = {
        "stranger": open_shop("Charlie's Chairs"),
        "test side": open_shop("", is_test=True, merchant=shop.merchant),
    }
    return World(shop, maya, ids, outsiders)


shop, maya, ids = taken("shop"), taken("maya"), taken("ids")


@pytest.fixture(params=["stranger", "test side"])
def outsider(request: pytest.FixtureRequest, own: World) -> Shop:
    """Another merchant, or the same one's test side."""
    return own.outsiders[request.param]


@pytest.mark.parametrize("operation", WITH_ID, ids=lambda one: one.name)
def test_ids_of_others_do_not_exist(ids: dict[str, str], outsider: Shop, operation: Operation) -> None:
    kind = operation.path.split("/", 1)[0]
    if operation.test_only and not outsider.tenant.is_test:
        outsider = open_shop("", is_test=True, merchant=outsider.merchant)
    real = ids[kind]
    unknown = real[:-6] + "Qq0Qq0"
    body = request_example(operation.body) if operation.body else None
    before = _state()
    answers: list[str] = []
    for public_id in (real, unknown):
        path = f"/api/v2/{operation.path.replace('{id}', public_id)}"
        media = operation.takes or "application/json"
        reply = outsider.api.send(operation.method, path, body, Content_Type=media, Idempotency_Key=f"k{len(answers)}")
        assert reply.status == 404
        shown = json.dumps(reply.data, sort_keys=True).replace(public_id, "ID")
        answers.append(shown.replace(reply.data["request_id"], "REQUEST"))
    assert answers[0] == answers[1]
    assert CANARY not in answers[0]
    assert _state() == before


def _state() -> list[Any]:
    return [
        list(Campaign.objects.order_by("pk").values()),
        list(Participant.objects.order_by("pk").values()),
        list(Reward.objects.order_by("pk").values()),
        list(Payout.objects.order_by("pk").values()),
        list(InboundEvent.objects.order_by("pk").values()),
        list(Application.objects.order_by("pk").values()),
    ]


def test_lists_and_filters_show_nothing_of_others(ids: dict[str, str], outsider: Shop, maya: Participant) -> None:
    queries = [
        "campaigns",
        "participants",
        f"participants?q={CANARY}",
        f"participants?q={maya.email}",
        f"participants?campaign={ids['campaigns']}",
        "events",
        f"events?campaign={ids['campaigns']}",
        f"events?external_id={CANARY}",
        f"events?participant={ids['participants']}",
        "decisions",
        f"decisions?event={ids['events']}",
        "rewards",
        f"rewards?q={CANARY}",
        f"rewards?campaign={ids['campaigns']}&status=review,due,issued",
        f"rewards?participant={ids['participants']}",
        "payouts",
        f"payouts?batch={ids['payout-batches']}",
        "payout-batches",
        "applications",
        "connections",
        "inbound-events",
        f"inbound-events?connection={ids['connections']}",
        "webhook-endpoints",
        f"deliveries?endpoint={ids['webhook-endpoints']}",
    ]
    for query in queries:
        reply = outsider.api.get(f"/api/v2/{query}")
        assert (reply.status, reply.data) == (200, {"data": [], "next_cursor": None, "previous_cursor": None})


@pytest.mark.parametrize(
    "name", ["getCampaign", "getParticipant", "getAllParticipants", "getAllReferrals", "validateCode"]
)
def test_version_1_hides_others_too(ids: dict[str, str], outsider: Shop, maya: Participant, name: str) -> None:
    more = {"getParticipant": "&email=maya@example.com", "getAllReferrals": "&email=maya@example.com"}
    extra = more.get(name, f"&code={maya.referral_code}" if name == "validateCode" else "")
    real, unknown = (
        outsider.api.get(f"/api/v1/{name}?id={public_id}{extra}") for public_id in (ids["campaigns"], "JCu82f30F1")
    )
    assert (real.status, unknown.status) == (404, 404)
    assert json.dumps(real.data).replace(ids["campaigns"], "ID") == json.dumps(unknown.data).replace("JCu82f30F1", "ID")


def test_others_cannot_be_written_to_by_naming_them(ids: dict[str, str], outsider: Shop, maya: Participant) -> None:
    before = _state()
    campaign = ids["campaigns"]
    calls: list[tuple[str, dict[str, Any]]] = [
        ("/api/v1/addParticipant", {"id": campaign, "email": "x@example.com"}),
        ("/api/v1/qualifyParticipant", {"id": campaign, "email": "noor@example.com", "amountPaid": 1}),
        ("/api/v2/participants", {"campaign": campaign, "email": "x@example.com"}),
        ("/api/v2/events", {"campaign": campaign, "email": "noor@example.com"}),
        ("/api/v2/payouts", {"rewards": [ids["rewards"]], "method": "manual"}),
    ]
    for number, (path, body) in enumerate(calls):
        assert outsider.api.post(path, body, Idempotency_Key=f"k{number}").status == 404
    filtered = {"filter": {"campaign": campaign}, "expected": 1, "method": "manual"}
    assert outsider.api.post("/api/v2/payouts", filtered, Idempotency_Key="f").data["now"] == 0
    assert _state() == before


def test_a_code_of_another_campaign_is_unknown(shop: Shop, stranger: Shop, maya: Participant) -> None:
    campaign = stranger.campaign()
    body = {"campaign": campaign.public_id, "email": "x@example.com", "referred_by_code": maya.referral_code}
    reply = stranger.api.post("/api/v2/participants", body)
    assert (reply.status, reply.data["code"], reply.data["field"]) == (404, "code_not_found", "referred_by_code")
    assert Participant.objects.filter(campaign=campaign).count() == 0
