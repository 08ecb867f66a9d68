"""Whatever is sent, no 5xx, and every answer fits the documents (RELIABILITY INV-32)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from campaigns.models import Campaign
from participants.models import Participant
from referrals.api.openapi import request_example
from referrals.api.v1.views import API as V1
from referrals.api.v2.resources import API as V2
from rewards.models import Reward
from tests.api.conftest import Shop

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = 3


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_nothing_breaks_it(
    shop: Shop, campaign: Campaign, friend: Participant, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setattr("django.conf.settings.API_REQUESTS_PER_MINUTE", 1_000_000)
    body = {"campaign": campaign.public_id, "email": friend.email, "amount": {"amount_minor": 5000, "currency": "USD"}}
    known = {
        "id": campaign.public_id,
        "campaign": campaign.public_id,
        "campaigns": campaign.public_id,
        "email": friend.email,
        "participants": friend.public_id,
        "events": shop.api.post("/api/v2/events", body).data["id"],
        "rewards": Reward.objects.get(side="referrer").public_id,
    }
    headers = {"x-api-key": shop.secret} if version == "v1" else {"Authorization": f"Bearer {shop.secret}"}
    with _kept_connection():
        schema = schemathesis.openapi.from_wsgi(f"/api/openapi-{version}.json", get_wsgi_application())
        seen = 0
        for found in schema.get_all_operations():
            assert isinstance(found, Ok)
            _attack(found.ok(), headers, known)
            seen += 1
    assert seen == {"v1": 7, "v2": 95}[version]


@contextmanager
def _kept_connection() -> Iterator[None]:
    """Requests from outside Django's test client would close the connection that holds the test's transaction."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


def _attack(operation: Any, headers: dict[str, str], known: dict[str, Any]) -> None:
    @given(case=operation.as_strategy())
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def attack(case: Case[Any]) -> None:
        for real in (False, True):
            if real:
                _use(case, known)
            response = case.call(headers=headers)
            case.validate_response(response, checks=CHECKS)

    attack()


def _use(case: Case[Any], known: dict[str, Any]) -> None:
    """Real ids and addresses in place of made-up ones, so that more than the look-up is reached."""
    for place in (case.query, case.body):
        if isinstance(place, dict):
            place.update({name: value for name, value in known.items() if name in place})
    kind = case.path.removeprefix("/api/v2/").split("/", 1)[0]
    if case.path_parameters and kind in known:
        case.path_parameters["id"] = known[kind]


# One of each kind that breaks careless readers: wrong types, extremes, text that looks like something else.
NASTY: list[Any] = [
    True,
    -1,
    1e308,
    "",
    "\u202e",
    "2026-02-30T00:00:00Z",
    "http://[",
    [{"side": []}],
    {"a": None},
    {"amount_minor": None, "currency": None},
    {"mode": "redirect", "url": "http://["},
    {"language": "zz", "terms": "x", "webhook_secret": 5},
]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_nasty_values_in_every_field(
    shop: Shop, campaign: Campaign, friend: Participant, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setattr("django.conf.settings.API_REQUESTS_PER_MINUTE", 1_000_000)
    real = {"id": campaign.public_id, "campaign": campaign.public_id, "email": friend.email}
    paths = {"campaigns": campaign.public_id, "participants": friend.public_id}
    tried = 0
    for operation in (V1 if version == "v1" else V2).operations:
        base = {**request_example(operation.body), **{name: real[name] for name in operation.body if name in real}}
        path = operation.path.replace("{id}", paths.get(operation.path.split("/", 1)[0], "x"))
        for name in operation.body:
            for value in NASTY:
                tried += 1
                body = {**base, name: value}
                reply = shop.api.send(
                    operation.method, f"/api/{version}/{path}", body, raw=None, Idempotency_Key=f"k{tried}"
                )
                assert reply.status < 500, (operation.name, name, value, reply.data)
    assert tried == sum(len(one.body) for one in (V1 if version == "v1" else V2).operations) * len(NASTY)
