"""What we ask of Tremendous, judged by its own file: every request of the issuer, the look-ups and the list of orders."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from integrations.base import Account, Signal
from integrations.providers.tremendous import api
from integrations.providers.tremendous.issuer import ISSUER
from integrations.sandbox.base import StandIn
from integrations.sandbox.state import Memory
from integrations.sandbox.tremendous import Tremendous
from referrals.lib import clock
from referrals.lib.http import Answer
from referrals.lib.money import Money
from tests.conformance.test_sandbox import REASONS, spec_of
from tests.integrations.issuers.test_tremendous import ORDER, SETTINGS
from tests.integrations.sandbox.talking import NOON, minor_of

pytestmark = pytest.mark.conformance
BASE = "https://testflight.tremendous.com/api/v2"


def test_every_request_is_one_that_tremendous_takes() -> None:
    spec = spec_of("tremendous/tremendous-derived.openapi.json")
    stand_in = StandIn(Tremendous(), Memory(), {"webhook_key": "k"})

    def send(method: str, url: str, *, headers: Any = None, body: Any = None) -> Answer:
        assert url.startswith(BASE)
        answer = stand_in.send(method, url, headers=headers, body=body)
        spec.check(method, url.removeprefix(BASE), body and json.loads(body), answer.status, json.loads(answer.body))
        return answer

    account = Account({"api_key": "TEST_key"}, SETTINGS, send, True)
    with clock.at(NOON):
        for number, method in enumerate(("EMAIL", "LINK")):
            order = replace(ORDER, key=f"po_{number}", options={"delivery": method, "message": "Thank you!"})
            made = ISSUER.send(order, account)
            assert (made.state, ISSUER.check(order, account) is not None) == ("paid", True)
            signal = Signal("payout", "m", (made.reference,), NOON, metadata={"type": "orders"})
            assert api.look_up([signal], account)[0].references[0] == order.key
        for name in (*REASONS, "slow", "down", "busy", "key_revoked"):
            ISSUER.send(replace(ORDER, key=name, amount=Money(minor_of(name), "USD")), account)
        assert len(list(api.recent(account, NOON - timedelta(days=1), NOON + timedelta(days=1)))) == 4
    assert {(method, path) for method, path, _status in spec.seen} == {
        ("POST", "/orders"), ("GET", "/orders/{id}"), ("GET", "/orders"), ("POST", "/rewards/{id}/generate_link"),
    }  # fmt: skip
