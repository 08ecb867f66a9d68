"""What we ask of PayPal, judged by its own files: every request of the issuer, and the question whether a message is genuine."""

from __future__ import annotations

import json
from typing import Any

import pytest

from integrations.base import Account, Delivery
from integrations.providers.paypal import client
from integrations.providers.paypal.confirming import confirm
from integrations.providers.paypal.issuer import ISSUER
from integrations.sandbox.base import StandIn
from integrations.sandbox.paypal import PayPal
from integrations.sandbox.state import Memory
from referrals.lib import clock
from referrals.lib.http import Answer
from tests.conformance.test_sandbox import REASONS, published, spec_of
from tests.integrations.issuers.test_paypal import AGAIN, SECRETS, SHIPMENT, order_of
from tests.integrations.sandbox.talking import NOON, minor_of

pytestmark = pytest.mark.conformance
BASE = "https://api-m.sandbox.paypal.com"


def test_every_request_is_one_that_paypal_takes() -> None:
    payouts, hooks = spec_of("paypal/payments_payouts_batch_v1.json"), spec_of("paypal/notifications_webhooks_v1.json")
    told: list[tuple[bytes, Any]] = []

    def take(body: bytes, headers: Any) -> int:
        told.append((body, headers))
        return 200

    stand_in = StandIn(PayPal(), Memory(), SECRETS, take)
    client._TOKENS.clear()

    def send(method: str, url: str, *, headers: Any = None, body: Any = None) -> Answer:
        answer = stand_in.send(method, url, headers=headers, body=body)
        path = url.removeprefix(BASE)
        assert path.startswith("/v1/")
        assert (method == "GET") is (body is None)
        spec = hooks if path.startswith("/v1/notifications") else payouts
        if not path.startswith("/v1/oauth2"):
            assert headers["Content-Type"] == "application/json"
            spec.check(method, path, body and json.loads(body), answer.status, json.loads(answer.body))
        return answer

    account = Account(SECRETS, {}, send, True)
    with clock.at(NOON):
        names = ("unclaimed", "returned", "reversed", "slow", *REASONS[1:])
        chosen = {"subject": "Thanks!", "note": "For Maya."}
        orders = [order_of(number, minor_of(name), options=chosen) for number, name in enumerate(names)]
        made = ISSUER.send_many(orders, account, SHIPMENT)
        assert len(made.outcomes) == len(orders)
        assert ISSUER.send_many(orders, account, AGAIN) == made
        for name in ("insufficient_funds", "down", "busy", "key_revoked"):
            ISSUER.send(order_of(minor=minor_of(name), key=name, public_id=name), account)
        for order in orders:
            reference = made.outcomes[order.public_id].reference
            assert ISSUER.check(order_of(reference=reference), account) is not None
        ISSUER.check(order_of(reference="NOBODY"), account)
        stand_in.advance()
        for body, headers in told:
            confirm(Delivery(body, headers), account)
    assert {(method, path) for method, path, _status in payouts.seen | hooks.seen} == {
        ("POST", "/v1/payments/payouts"), ("GET", "/v1/payments/payouts/{id}"),
        ("GET", "/v1/payments/payouts-item/{payout_item_id}"), ("POST", "/v1/notifications/verify-webhook-signature"),
    }  # fmt: skip
    assert len(told) > len(orders)


def test_the_published_item_is_read() -> None:
    found = published("paypal/payouts-item.get.sample.json")
    item = found["payout_item"]
    order = order_of(minor=987, public_id=item["sender_item_id"], reference=found["payout_item_id"])
    answer = Answer(200, {}, json.dumps(found).encode())
    token = Answer(200, {}, b'{"access_token": "A21", "token_type": "Bearer", "expires_in": 32400}')
    client._TOKENS.clear()
    account = Account(SECRETS, {}, lambda method, url, **_sent: token if url.endswith("token") else answer, True)
    known = ISSUER.check(order, account)
    assert known is not None
    assert (known.state, known.reference) == ("paid", found["payout_item_id"])
