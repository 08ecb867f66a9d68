"""What we ask Stripe, against the schemas of its own SDK's parameters; and what our stand-in answers, against Stripe's published objects.

Both are read where they lie; SPECS_DIR names the folder.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import jsonschema
import pytest

from integrations.base import Account
from integrations.providers.stripe.keeping import StripeListening, StripePromotions
from integrations.providers.stripe.paying import BALANCE, COUPON, recent
from integrations.registry import get
from integrations.remote import CodeOrder, Discount, EndpointOrder
from integrations.sandbox.base import StandIn
from integrations.sandbox.state import Memory
from integrations.sandbox.stripe import Stripe, nested
from referrals.lib.http import Answer
from referrals.lib.money import Money
from tests.integrations.issuers.test_stripe import ORDER

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = Path(os.environ.get("SPECS_DIR") or ROOT.parent / "shared" / "specs") / "stripe"
SCHEMAS = FOLDER / "stripe-python-16.1.0.request-params.schema.json"
OBJECTS = FOLDER / "fixtures3.trimmed.json"
pytestmark = [
    pytest.mark.conformance,
    pytest.mark.skipif(not SCHEMAS.is_file(), reason=f"no published schemas at {FOLDER}; SPECS_DIR names their folder"),
]
POSTS = {
    "/v1/coupons": "coupons.create",
    "/v1/promotion_codes": "promotion_codes.create",
    "/v1/webhook_endpoints": "webhook_endpoints.create",
    "/v1/customers": "customers.create",
    "/v1/customers/{id}/balance_transactions": "customers.balance_transactions.create",
}
LISTS = {"/v1/promotion_codes": "promotion_codes.list", "/v1/customers": "customers.list"}
KEY = {"Authorization": "Bearer rk_test_0123456789"}


def _typed(value: Any) -> Any:
    """A form's texts as what they stand for: numbers, truths, and lists by their numbers."""
    if isinstance(value, dict):
        if value and all(name.isdigit() for name in value):
            return [_typed(value[name]) for name in sorted(value, key=int)]
        return {name: _typed(item) if name != "metadata" else item for name, item in value.items()}
    if value in {"true", "false"}:
        return value == "true"
    return json.loads(value) if value.removeprefix("-").replace(".", "", 1).isdigit() else value


def _fields_of(sent: Any, published: Any, at: str) -> list[str]:
    """Fields that Stripe's object has not. Where its own is null or a list, nothing can be said."""
    if not isinstance(sent, dict) or not isinstance(published, dict) or at.endswith("metadata"):
        return []
    unknown = [f"{at}.{name}" for name in sent if name not in published]
    return unknown + [
        line for name in sent if name in published for line in _fields_of(sent[name], published[name], f"{at}.{name}")
    ]


class Watched(StandIn):
    """The stand-in behind both gates: requests as the SDK knows them, objects as Stripe publishes them."""

    def __init__(self) -> None:
        super().__init__(Stripe(), Memory(), {"webhook_secret": "whsec_x", "loopback": "1"}, self.taken)
        self.requests = json.loads(SCHEMAS.read_text())["requests"]
        self.objects = json.loads(OBJECTS.read_text())["resources"]
        self.asked: list[str] = []
        self.told: list[dict[str, Any]] = []

    def taken(self, body: bytes, _headers: Any) -> int:
        self.told.append(json.loads(body))
        return 200

    def send(self, method: str, url: str, *, headers: Any = None, body: Any = None) -> Answer:
        path, _, query = url.removeprefix("https://api.stripe.com").partition("?")
        given = body if method == "POST" else query
        name = (POSTS if method == "POST" else LISTS).get(re.sub(r"(?<=customers/)\w+", "{id}", path))
        if name:
            jsonschema.validate(_typed(nested(dict(parse_qsl(given or "")))), self.requests[name])
            self.asked.append(name)
        answer = super().send(method, url, headers=headers, body=body)
        if answer.status == 200:
            self.check(json.loads(answer.body))
        return answer

    def check(self, found: dict[str, Any]) -> None:
        """Every field that is answered is one that Stripe has."""
        for row in found.get("data", [found]):
            published = self.objects.get(row.get("object")) if isinstance(row, dict) else None
            if published and not row.get("deleted"):
                row = {name: value for name, value in row.items() if name != "secret"}
                assert _fields_of(row, published, row["object"]) == []


def test_what_is_asked_is_what_the_sdk_takes_and_what_is_answered_is_what_stripe_has() -> None:
    stripe = Watched()
    account = Account({"api_key": "rk_test_0123456789"}, {}, stripe.send)
    promotions = StripePromotions(account)
    promotions.make_coupon(
        "passalong-x-1", "Spring refer-a-friend, and a name that is far too long", Discount(money=Money(2000, "USD"))
    )
    promotions.make_coupon("passalong-x-2", "Spring", Discount(percent=Decimal("12.5")))
    order = CodeOrder("8Mnu79TD", "passalong-x-1", "rq_1", "key-1", 1, Money(3000, "USD"))
    made = promotions.make_code(order)
    assert promotions.make_code(order) == made  # the same request again
    assert promotions.find_code(order) == made
    promotions.switch(made, on=False)
    promotions.drop_coupon("passalong-x-2")
    listening = StripeListening(account)
    events = ("invoice.paid", "refund.failed", "charge.dispute.funds_withdrawn", "checkout.session.async_payment_failed",
              "charge.dispute.funds_reinstated")  # fmt: skip
    endpoint = EndpointOrder("https://refer.example/in/con_1/", events, "con_1", "key-2")
    kept = listening.make(endpoint)
    assert listening.find(endpoint) == kept.remote_id
    assert listening.update(kept.remote_id, endpoint) is True
    listening.delete(kept.remote_id)
    assert set(stripe.asked) == {
        "coupons.create", "promotion_codes.create", "promotion_codes.list", "webhook_endpoints.create",
    }  # fmt: skip


def test_what_pays_a_reward_is_what_the_sdk_takes_and_stripe_answers() -> None:
    stripe = Watched()
    stripe.send("POST", "https://api.stripe.com/v1/customers", headers=KEY, body="email=asha%40example.com")
    account = Account({"api_key": "rk_test_0123456789"}, {}, stripe.send)
    order = replace(ORDER, options={"prefix": "thanks", "days": "90", "name": "Thank you"})
    for issuer in (COUPON, BALANCE):
        paid = issuer.send(order, account)
        assert (paid.state, issuer.check(order, account)) == ("paid", paid)
    known = json.loads(stripe.send("GET", "https://api.stripe.com/v1/customers", headers=KEY).body)["data"][0]["id"]
    assert COUPON.send(replace(order, key="po_two", customer=known), account).state == "paid"
    now = datetime.now(UTC)
    listed = list(recent(account, now - timedelta(minutes=1), now + timedelta(minutes=1)))
    assert [one.key for one in listed] == ["po_two", ORDER.key]
    assert set(stripe.asked) == {
        "customers.create", "coupons.create", "promotion_codes.create", "promotion_codes.list", "customers.list",
        "customers.balance_transactions.create",
    }  # fmt: skip


def test_each_of_our_events_is_one_that_an_endpoint_can_listen_to() -> None:
    known = json.loads(SCHEMAS.read_text())["requests"]["webhook_endpoints.create"]["properties"]["enabled_events"]
    wanted = [name for name, _why in get("stripe").events]
    jsonschema.validate(wanted, known)
    assert "checkout.session.completed" in json.dumps(known)
    assert [name for name in wanted if f'"{name}"' not in json.dumps(known)] == []


def test_what_the_stand_in_tells_is_what_stripe_tells() -> None:
    stripe = Watched()

    def play(what: str, form: str) -> dict[str, Any]:
        return dict(json.loads(stripe.send("POST", f"/v1/play/{what}", headers=KEY, body=form).body))

    ids = play("checkout", "amount=2400&email=maya@example.net&mode=subscription&client_reference_id=C")["ids"]
    play("renewal", f"subscription={ids['subscription']}&amount=2400")
    play("refund", f"charge={ids['charge']}&amount=400")
    for status in ("needs_response", "won"):
        play("dispute", f"charge={ids['charge']}&status={status}")
    stripe.advance()
    published = stripe.objects
    for event in stripe.told:
        assert (
            _fields_of(
                event, {**published["event"], "data": {"object": published[event["data"]["object"]["object"]]}}, "event"
            )
            == []
        )
    assert sorted({event["type"] for event in stripe.told}) == [
        "charge.dispute.closed", "charge.dispute.created", "charge.dispute.funds_reinstated", "charge.dispute.funds_withdrawn",
        "charge.refunded", "checkout.session.completed", "invoice.paid", "refund.created",
    ]  # fmt: skip


def test_a_key_is_stripes_the_same_answer_for_a_day_and_other_parameters_refused() -> None:
    """Also of a credit on a customer's balance, which is money (PROVIDERS.md, 0.9)."""
    stripe = Watched()

    def post(path: str, form: str, key: str) -> tuple[int, dict[str, Any]]:
        answer = stripe.send("POST", path, headers={**KEY, "Idempotency-Key": key}, body=form)
        return answer.status, json.loads(answer.body)

    _status, customer = post("/v1/customers", "email=asha@example.com", "c1")
    path = f"/v1/customers/{customer['id']}/balance_transactions"
    first = post(path, "amount=-1500&currency=usd&metadata[reward_id]=rw_1", "k1")
    assert (first[0], first[1]["amount"], first[1]["ending_balance"]) == (200, -1500, -1500)
    assert post(path, "amount=-1500&currency=usd&metadata[reward_id]=rw_1", "k1") == first
    refused = post(path, "amount=-1600&currency=usd&metadata[reward_id]=rw_1", "k1")
    assert (refused[0], refused[1]["error"]["type"]) == (400, "idempotency_error")
    listed = json.loads(stripe.send("GET", path, headers=KEY).body)
    assert [row["metadata"]["reward_id"] for row in listed["data"]] == ["rw_1"]
    assert (
        json.loads(stripe.send("GET", "/v1/customers?email=asha@example.com", headers=KEY).body)["data"][0]["balance"]
        == -1500
    )
