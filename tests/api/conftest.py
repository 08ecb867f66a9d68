"""Two merchants with keys, and a client that speaks the API."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client

from campaigns import services as campaign_services
from campaigns.models import Campaign
from participants.models import Participant
from referrals.accounts.keys import create_api_key
from referrals.accounts.models import Merchant, Scope
from referrals.accounts.tenancy import Tenant
from referrals.events.services import SYSTEM
from rewards import services

EVERY_SCOPE = tuple(Scope.values)


@dataclass
class Reply:
    """An answer: HTTP status, parsed body, headers."""

    status: int
    data: Any
    headers: Any


class Caller:
    """Calls the API with one key, through the whole stack."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.client = Client(raise_request_exception=False)

    def send(self, method: str, path: str, body: Any = None, *, raw: bytes | None = None, **headers: str) -> Reply:
        """One request; `body` as JSON, or `raw` bytes as they are; `headers` with underscores for dashes."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        names = {name.lower() for name in sent}
        if self.key and not names & {"x-api-key", "authorization"}:
            sent |= {"x-api-key": self.key} if "/v1/" in path else {"Authorization": f"Bearer {self.key}"}
        content_type = sent.pop("Content-Type", "application/json")
        data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        response = self.client.generic(method, path, data, content_type=content_type, headers=sent)
        content = response.content
        is_json = "json" in response.headers.get("Content-Type", "")
        parsed = (json.loads(content) if is_json else content.decode()) if content else None
        return Reply(response.status_code, parsed, response.headers)

    def get(self, path: str, **headers: str) -> Reply:
        """GET."""
        return self.send("GET", path, None, raw=None, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Reply:
        """POST JSON."""
        return self.send("POST", path, body, raw=None, **headers)

    def patch(self, path: str, body: Any, **headers: str) -> Reply:
        """PATCH JSON."""
        return self.send("PATCH", path, body, raw=None, **headers)


@dataclass
class Shop:
    """A merchant's side with a secret key for everything and a publishable one."""

    merchant: Merchant
    tenant: Tenant
    secret: str
    publishable: str
    api: Caller
    page: Caller

    def campaign(self, name: str = "Summer", *, launched: bool = True, **fields: Any) -> Campaign:
        """A campaign of the double-sided template in US dollars, launched unless told otherwise."""
        fields.setdefault("currency", "USD")
        made = campaign_services.create_campaign(tenant=self.tenant, actor=SYSTEM, name=name, **fields)
        if launched:
            made = campaign_services.launch(campaign=made, actor=SYSTEM)
        return made

    def participant(self, campaign: Campaign, email: str, by: Participant | None = None) -> Participant:
        """A participant, referred by another if given."""
        joined = services.join(
            campaign=campaign,
            email=email,
            actor=SYSTEM,
            source="api",
            referred_by_code=by.referral_code if by else "",
        )
        return joined.participant

    def key(self, *scopes: str) -> Caller:
        """A caller with a secret key that has only these scopes."""
        _row, text = create_api_key(tenant=self.tenant, name="Narrow", actor=SYSTEM, scopes=scopes)
        return Caller(text)


def open_shop(name: str, *, is_test: bool = False, merchant: Merchant | None = None) -> Shop:
    """A merchant (or another side of one) with keys."""
    merchant = merchant or Merchant.objects.create(name=name)
    tenant = Tenant(merchant, is_test)
    _row, secret = create_api_key(tenant=tenant, name="Server", actor=SYSTEM, scopes=EVERY_SCOPE)
    _row, publishable = create_api_key(tenant=tenant, name="Page", actor=SYSTEM, kind="publishable")
    return Shop(merchant, tenant, secret, publishable, Caller(secret), Caller(publishable))


@pytest.fixture
def shop(db: None) -> Shop:
    """Alice's side of the API."""
    return open_shop("Alice's Lamps")


@pytest.fixture
def stranger(db: None) -> Shop:
    """Charlie, another merchant."""
    return open_shop("Charlie's Chairs")


@pytest.fixture
def campaign(shop: Shop) -> Campaign:
    """Alice's running campaign."""
    return shop.campaign()


@pytest.fixture
def maya(shop: Shop, campaign: Campaign) -> Participant:
    """A referrer in Alice's campaign."""
    return shop.participant(campaign, "maya@example.com")


@pytest.fixture
def friend(shop: Shop, campaign: Campaign, maya: Participant) -> Participant:
    """A friend who came through Maya."""
    return shop.participant(campaign, "noor@example.com", maya)
