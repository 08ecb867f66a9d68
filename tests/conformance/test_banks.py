"""What the banks' issuers ask, judged by Wise's own file and RazorpayX's own samples (PROVIDERS.md, sections 7 to 9)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from integrations.base import Account
from integrations.providers.wise.issuer import ISSUER, recent
from integrations.providers.wise.source import LIVE_KEY, SANDBOX_KEY
from integrations.sandbox.base import StandIn
from integrations.sandbox.state import Memory
from integrations.sandbox.wise import Wise
from referrals.lib import clock
from referrals.lib.http import Answer
from referrals.lib.money import Money
from rewards.orders import Shipment
from tests.conformance.spec import SPECS, Spec, is_there
from tests.conformance.test_sandbox import names_in, published, spec_of
from tests.integrations.issuers.test_wise import SECRETS, order_of
from tests.integrations.sandbox.talking import NOON, minor_of
from tests.integrations.speaking import FIXTURES

pytestmark = pytest.mark.conformance
US = {
    "holder": "Asha L", "routing_number": "111000025", "account_number": "12345678", "account_type": "CHECKING",
    "street": "1 Main Street", "city": "Gotham", "state": "CA", "zip": "90210",
}  # fmt: skip


def watched(spec: Spec) -> Account:
    """An account at the stand-in; each request and answer is checked."""
    stand_in = StandIn(Wise(), Memory(), SECRETS)

    def send(method: str, url: str, *, headers: Mapping[str, str] | None = None, body: Any = None) -> Answer:
        answer = stand_in.send(method, url, headers=headers, body=body)
        sent = json.loads(body) if body else None
        spec.check(method, urlsplit(url).path, sent, answer.status, json.loads(answer.body))
        return answer

    return Account({"api_token": SECRETS["api_token"]}, {"source_currency": "GBP"}, send, is_test=True)


def test_everything_that_is_asked_of_wise_fits_its_file() -> None:
    spec = spec_of("wise/wise-platform.trimmed.json")
    account = watched(spec)
    with clock.at(NOON):
        ISSUER.send(order_of(), account)
        ISSUER.send(order_of(key="po_2", amount=Money(1550, "USD"), details=US), account)
        ISSUER.send(order_of(key="po_3", details={"holder": "Asha L", "email": "asha@example.com"}), account)
        for name in ("insufficient_funds", "bad_recipient", "other_amount", "returned", "busy", "down", "key_revoked"):
            ISSUER.send(order_of(minor_of(name), key=name), account)
        ISSUER.send(order_of(first_call=False), account)
        ISSUER.check(order_of(first_call=False), account)
        found = list(recent(account, NOON - timedelta(hours=1), NOON + timedelta(hours=1)))
        ISSUER.check(replace(order_of(), reference=found[-1].reference), account)
    asked = {(method, path.rpartition("/")[2]) for method, path, _status in spec.seen}
    assert asked == {
        ("GET", "profiles"), ("POST", "accounts"), ("POST", "quotes"), ("POST", "transfers"), ("POST", "payments"),
        ("PUT", "cancel"), ("GET", "transfers"), ("GET", "{transferId}"),
    }  # fmt: skip
    assert {status for _method, _path, status in spec.seen} == {200, 401, 422, 429, 500}


def test_a_batch_group_fits_wise_s_file() -> None:
    spec = spec_of("wise/wise-platform.trimmed.json")
    account = watched(spec)

    def send(*minors: int) -> set[str]:
        orders = [order_of(minor, key=f"po_{minor}", public_id=f"po_{minor}") for minor in minors]
        left = frozenset(order.public_id for order in orders)
        shipped = ISSUER.send_many(orders, account, Shipment(1, "ps_1", 1, "", NOON, True, left))
        ISSUER.check_many(orders, account, Shipment(1, "ps_1", 2, shipped.reference, NOON, False, left))
        return {outcome.state for outcome in shipped.outcomes.values()}

    with clock.at(NOON):
        assert send(1500, 2500) == {"sent"}
        assert send(1700, minor_of("insufficient_funds")) == {"failed"}
        assert send(minor_of("bad_recipient"), minor_of("wrong_currency")) == {"failed"}
    asked = {(method, path.removeprefix("/v3/profiles/{profileId}/")) for method, path, _status in spec.seen}
    assert asked >= {
        ("POST", "batch-groups"), ("GET", "batch-groups/{batchGroupId}"), ("PATCH", "batch-groups/{batchGroupId}"),
        ("POST", "batch-groups/{batchGroupId}/transfers"), ("POST", "batch-payments/{batchGroupId}/payments"),
    }  # fmt: skip


def test_wise_s_keys_are_those_that_it_publishes() -> None:
    path = "wise/webhook-public-keys.pem"
    if not is_there(path):
        pytest.skip(f"no {path}; SPECS_DIR names the folder")
    text = (SPECS / path).read_text()
    assert LIVE_KEY in text
    assert SANDBOX_KEY in text
    assert text.index(LIVE_KEY) < text.index(SANDBOX_KEY)


@pytest.mark.parametrize("name", ["state-change", "active-cases"])
def test_our_samples_of_wise_s_messages_have_the_fields_of_its_own(name: str) -> None:
    ours = json.loads((FIXTURES / "wise" / f"transfers.{name}.json").read_text())
    assert names_in(ours) == names_in(published(f"wise/webhook.transfers.{name}.json"))


@pytest.mark.parametrize("name", ["processed", "reversed", "failed", "rejected", "queued", "initiated", "updated"])
def test_our_samples_of_razorpayx_s_messages_have_no_field_that_its_own_have_not(name: str) -> None:
    ours = names_in(json.loads((FIXTURES / "razorpayx" / f"payout.{name}.json").read_text()))
    theirs = names_in(published(f"razorpay/webhooks/payout.{name}.json"))
    known = (".notes.", ".failure_reason")
    assert {field for field in ours - theirs if not any(part in field for part in known)} == set()
