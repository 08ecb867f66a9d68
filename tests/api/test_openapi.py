"""The OpenAPI documents: valid, complete, true to what runs, and each of their samples carried out (API.md)."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from django.test import Client
from openapi_spec_validator import validate

from campaigns.models import Campaign
from integrations import endpoints
from integrations.models import Connection, InboundEvent
from participants.models import Application, Participant
from referrals.api.catalogue import CODES
from referrals.api.openapi import document, in_order, request_example
from referrals.api.operations import Api, Operation
from referrals.api.v1.views import API as V1
from referrals.api.v2.resources import API as V2
from rewards import sending, settling
from rewards.files import freezing, returned
from rewards.models import Payout, PayoutBatch, PayoutFile, PayoutReturn, PayoutRoute, Reward, Transfer, WhatIf
from rewards.orders import Outcome
from rewards.queueing import Method, queue
from tests.api.conftest import Reply, Shop, open_shop
from tests.api.v2.test_applications import wish
from tests.factories import ACTOR, make_participant

ROOT = Path(__file__).resolve().parents[2]
OPERATIONS = [(api.version, one) for api in (V1, V2) for one in in_order(api)]
NAMES = [f"{version}-{one.name}" for version, one in OPERATIONS]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_document_is_valid_and_served(client: Client, version: str) -> None:
    response = client.get(f"/api/openapi-{version}.json")
    assert (response.status_code, response["Content-Type"]) == (200, "application/json")
    found = response.json()
    assert found["openapi"] == "3.1.0"
    validate(found)
    assert found == document(version)


@pytest.mark.parametrize(("api", "count"), [(V1, 7), (V2, 95)], ids=["v1", "v2"])
def test_every_operation_is_documented(api: Api, count: int) -> None:
    paths = document(api.version)["paths"]
    operations = [one for item in paths.values() for one in item.values()]
    assert len(operations) == len(api.operations) == count
    assert len({one["operationId"] for one in operations}) == count
    for one in operations:
        assert one["summary"]
        assert {"401", "403", "429", "default"} <= set(one["responses"])


def test_every_sample_in_a_document_fits_its_own_schema() -> None:
    for version in ("v1", "v2"):
        found = document(version)
        for item in found["paths"].values():
            for operation in item.values():
                contents = [response["content"] for response in operation["responses"].values()]
                if "requestBody" in operation:
                    contents.append(operation["requestBody"]["content"])
                for content in contents:
                    for media in content.values():
                        for sample in media["examples"].values():
                            check(sample["value"], media["schema"], version)


def check(value: Any, schema: dict[str, Any], version: str) -> None:
    """Raise unless `value` fits `schema` of that version's document."""
    jsonschema.validate(value, {**schema, "components": document(version)["components"]})


def test_every_code_is_in_the_catalogue() -> None:
    pattern = re.compile(
        r'(?:(?:Refused|refused|malformed|MoneyError)\(\s*|ApiError\(\s*\d+,\s*|TermsError\(\s*[^,]+,\s*)"([a-z_]+)"'
    )
    used: set[str] = set()
    for folder in ("campaigns", "participants", "rewards", "referrals/api", "referrals/lib"):
        for file in (ROOT / folder).rglob("*.py"):
            used |= set(pattern.findall(file.read_text()))
    # What only the pages can be answered with.
    assert used - set(CODES) <= {"image"}
    assert {code for one in (*V1.operations, *V2.operations) for code in one.errors} <= set(CODES)


class World:
    """Real values for the samples' made-up ones."""

    def __init__(self, shop: Shop, campaign: Campaign, maya: Participant, friend: Participant) -> None:
        self.shop = shop
        self.test = open_shop("", is_test=True, merchant=shop.merchant)
        self.campaign, self.maya, self.friend = campaign, maya, friend
        self.wish: Application | None = None
        body = {
            "campaign": campaign.public_id,
            "email": friend.email,
            "amount": {"amount_minor": 5000, "currency": "USD"},
            "external_id": "order-9",
        }
        self.event = shop.api.post("/api/v2/events", body).data["id"]
        self.connection = Connection(merchant=shop.merchant, provider="stripe")
        self.connection.secrets = {"webhook_secret": "whsec_0123456789abcdefghijklmn"}
        self.connection.save()
        self.inbound = InboundEvent.objects.create(
            merchant=shop.merchant,
            connection=self.connection,
            event_id="evt_1",
            type="charge.refunded",
            body=b"{}",
            state="failed",
            next_attempt_at=None,
        )
        self.endpoint, _secret = endpoints.create(tenant=shop.tenant, actor=ACTOR, url="https://hooks.example.com/in")
        self.delivery = endpoints.send_test(endpoint=self.endpoint, type_="reward.due")
        self.review = Reward.objects.get(side="referrer").public_id
        self.due = Reward.objects.get(side="invitee").public_id

    def prepare(self, operation: Operation) -> None:
        """Bring things where the operation can start from."""
        send = self.shop.api.post
        if operation.test_only:
            self.shop, self.campaign = self.test, self.test.campaign("Played")
        match operation.name:
            case "launchCampaign" | "updateCampaign":  # the start of a running one can no longer move
                self.campaign = self.shop.campaign("Draft", launched=False)
            case "resumeCampaign":
                send(f"/api/v2/campaigns/{self.campaign.public_id}/pause")
            case "unbanParticipant":
                send(f"/api/v2/participants/{self.maya.public_id}/ban", {"reason": "x"})
            case "attachParticipant":
                self.maya = make_participant(self.campaign, "late@example.net")
            case "detachParticipant" | "setParticipantStatus":
                self.maya = self.friend
            case "approveApplication" | "declineApplication" | "getApplication":
                self.wish = wish(self.campaign, "nora")
            case "reconsiderApplication":
                self.wish = wish(self.campaign, "nora", "declined")
            case "releaseReward":
                send(f"/api/v2/rewards/{self.review}/hold")
            case "reverseReward" | "getPayout" | "getPayoutBatch" | "undoPayoutBatch":
                send("/api/v2/payouts", {"rewards": [self.due], "method": "manual"}, Idempotency_Key="made-before")
            case "listPayoutFiles" | "downloadPayoutFile" | "returnPayoutFile" | "settlePayoutBatch":
                self._frozen()
            case "listPayoutReturns" | "getPayoutReturn":
                self._frozen()
                returned.mark_all(batch=PayoutBatch.objects.get(), kind="paid", note="", actor=ACTOR)
            case "fundPayoutBatch":
                send("/api/v2/payouts", {"rewards": [self.due], "method": "manual"}, Idempotency_Key="made-before")
                PayoutBatch.objects.update(needs_funding=True)
            case "removePayoutRoute":
                send("/api/v2/payout-routes", {"side": "referrer", "kind": "cash", "method": "paypal_file"})
            case "resolvePayout":
                self._on_its_way(Outcome("ask", "", "It paid another amount."))
            case "retryPayout":
                self._on_its_way(Outcome("failed", "", "The account is closed."))
            case "withdrawPayout":
                self._on_its_way(None)
            case "enableWebhookEndpoint":
                endpoints.disable(endpoint=self.endpoint, actor=ACTOR)
            case "getExport":
                send("/api/v2/exports", {"list": "visits"})
            case "getWhatIf":
                send(f"/api/v2/campaigns/{self.campaign.public_id}/what-if", {"rules": []})
        if operation.name == "reverseReward":
            self.review = self.due

    def _frozen(self) -> None:
        """A batch that is paid by a file."""
        keys = [Reward.objects.get(public_id=self.due).pk]
        freezing.freeze("csv_file", tenant=self.shop.tenant, reward_ids=keys, actor=ACTOR, key="made-before")

    def _on_its_way(self, outcome: Outcome | None) -> None:
        """A payout through a company; one try that came to this."""
        reward = Reward.objects.get(public_id=self.due)
        method = Method("somewhere", frozenset({reward.kind}))
        queue(tenant=self.shop.tenant, reward_ids=[reward.pk], method=method, actor=ACTOR, key="made-before")
        if outcome is not None and (order := sending.claim(Payout.objects.get().pk)):
            settling.settle(order, outcome, key_life=timedelta(0))

    def values(self) -> dict[str, Any]:
        """Sample value to real one."""
        payout = Payout.objects.select_related("batch").first()
        what_if, export = WhatIf.objects.first(), Transfer.objects.first()
        return {
            "JCu82f30F1": self.campaign.public_id,
            "johndoe@example.com": self.friend.email,
            "noor@example.com": self.friend.email,
            "maya@example.com": self.maya.email,
            "jane@example.com": self.maya.email,
            "7ZZp9eBG": self.maya.referral_code,
            "8Mnu79TD": self.maya.referral_code,
            "pt_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3": self.maya.public_id,
            "apl_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3": self.wish.public_id if self.wish else "",
            "ev_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3": self.event,
            "rw_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3": self.review,
            "con_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3": self.connection.public_id,
            "in_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3": self.inbound.public_id,
            "whe_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3": self.endpoint.public_id,
            "whd_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3": self.delivery.public_id,
            "wi_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3": what_if.public_id if what_if else "",
            "xp_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3": export.public_id if export else "",
            "po_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3": payout.public_id if payout else "",
            "rt_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3": getattr(PayoutRoute.objects.first(), "public_id", ""),
            "pf_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3": getattr(PayoutFile.objects.first(), "public_id", ""),
            "pr_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3": getattr(PayoutReturn.objects.first(), "public_id", ""),
            "pb_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3": payout.batch.public_id if payout else "",
        }

    def real(self, value: Any) -> Any:
        """`value` with every sample replaced."""
        if isinstance(value, dict):
            return {name: self.real(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.real(item) for item in value]
        return self.values().get(value, value) if isinstance(value, str) else value


@pytest.fixture
def world(shop: Shop, campaign: Campaign, maya: Participant, friend: Participant) -> World:
    """A campaign with a referrer, a friend, and a purchase."""
    return World(shop, campaign, maya, friend)


@pytest.mark.parametrize(("version", "operation"), OPERATIONS, ids=NAMES)
def test_the_sample_request_is_carried_out(world: World, version: str, operation: Operation) -> None:
    world.prepare(operation)
    described = document(version)["paths"][f"/api/{version}/{operation.path}"][operation.method.lower()]
    path = operation.path
    query: list[str] = []
    headers: dict[str, str] = {}
    for parameter in described["parameters"]:
        value = world.real(parameter.get("example"))
        if parameter["in"] == "path":
            path = path.replace("{id}", value)
        elif parameter["in"] == "header":
            headers[parameter["name"].replace("-", "_")] = value
        elif value is not None and parameter["name"] != "campaign":
            text = ",".join(value) if isinstance(value, list) else str(value)
            query.append(f"{parameter['name']}={text}".replace("+", "%2B"))
    body = world.real(request_example(operation.body)) if operation.body else None
    if operation.name == "createPayouts":
        body = {**(body or {}), "rewards": [world.due]}
    raw = None
    if operation.takes:
        headers["Content_Type"] = operation.takes
        raw = ",".join(world.real(cell) for cell in operation.file_example.split(",")).encode()
    address = f"/api/{version}/{path}" + (f"?{'&'.join(query)}" if query else "")
    reply = world.shop.api.send(operation.method, address, body, raw=raw, **headers)
    assert reply.status in operation.statuses, reply.data
    check(reply.data, dict(operation.answer), version)
    if operation.writes:
        again = world.shop.api.send(operation.method, address, body, raw=raw, **headers)
        assert (again.status, again.data) == (reply.status, reply.data)
        assert again.headers["Idempotency-Replayed"] == "true"


def test_errors_fit_their_schema(shop: Shop) -> None:
    def errors() -> list[tuple[str, Reply]]:
        return [
            ("v1", shop.api.get("/api/v1/getCampaign?id=nothing")),
            ("v1", shop.api.post("/api/v1/addParticipant", {"id": "x", "email": "nobody"})),
            ("v2", shop.api.get("/api/v2/campaigns/nothing")),
            ("v2", shop.api.get("/api/v2/nothing")),
            ("v2", shop.api.post("/api/v2/events", {})),
        ]

    for version, reply in errors():
        assert reply.status >= 400
        check(reply.data, {"$ref": f"#/components/schemas/{'Error' if version == 'v1' else 'Problem'}"}, version)
        media = "application/json" if version == "v1" else "application/problem+json"
        assert reply.headers["Content-Type"] == media


@pytest.mark.parametrize("path", ["/docs/", "/docs/v1/", "/docs/v2/", "/docs/errors/"])
def test_the_reference_is_plain_html_under_the_strict_policy(client: Client, db: None, path: str) -> None:
    response = client.get(path)
    text = response.content.decode()
    assert response.status_code == 200
    assert "style=" not in text
    assert "<script>" not in text
    assert "onclick" not in text
    for anchor in re.findall(r'href="#([^"]+)"', text):
        assert text.count(f'id="{anchor}"') == 1


def test_the_reference_shows_every_operation_and_code(client: Client, db: None) -> None:
    for api in (V1, V2):
        text = client.get(f"/docs/{api.version}/").content.decode()
        for one in api.operations:
            assert f'id="{one.name}"' in text
            assert f"/api/{api.version}/{one.path}" in text
    errors = client.get("/docs/errors/").content.decode()
    assert all(f'id="{code}"' in errors for code in CODES)
    assert client.get("/docs/v3/").status_code == 404
