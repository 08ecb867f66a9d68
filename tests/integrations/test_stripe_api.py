"""Asking Stripe, over HTTP to a stand-in on loopback: promotion codes, the invoice behind a refund, and every way it can fail."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from integrations import accounts
from integrations.base import Account, ProviderError
from integrations.models import Connection
from integrations.providers.stripe import api, client
from participants.models import Participant, Referral
from referrals.lib.http import request
from rewards.models import Reward
from tests.factories import Cast, make_campaign, make_participant
from tests.integrations.sending import connect, deliver, sample

pytestmark = pytest.mark.django_db
KEY = "sk_live_0123456789abcdef"


@dataclass
class StandIn:
    """Answers by path; keeps what it was asked."""

    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, list[str]], str]] = field(default_factory=list)


@pytest.fixture
def stripe_api(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    stand_in = StandIn()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            stand_in.asked.append((url.path, parse_qs(url.query), self.headers.get("Authorization", "")))
            status, answer = stand_in.answers.get(url.path, (404, {"error": {"message": "No such thing"}}))
            body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setattr(client, "API_BASE", f"http://127.0.0.1:{server.server_address[1]}")
    monkeypatch.setattr(accounts, "send_for", lambda _connection: partial(request, private=True))
    yield stand_in
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def connection(alice: Cast) -> Connection:
    return connect(alice.tenant, api_key=KEY)


@pytest.fixture
def asha(alice: Cast) -> Participant:
    return make_participant(make_campaign(alice.tenant))


def test_a_promotion_code_names_the_referrer(connection: Connection, asha: Participant, stripe_api: StandIn) -> None:
    stripe_api.answers["/v1/promotion_codes/promo_Halden0001"] = (
        200,
        {"id": "promo_Halden0001", "object": "promotion_code", "code": asha.referral_code},
    )
    row = deliver(connection, sample("checkout.session.completed.promotion"))
    assert row.outcome == "rewarded"
    assert Referral.objects.get().how == "promotion_code"
    assert stripe_api.asked == [("/v1/promotion_codes/promo_Halden0001", {}, f"Bearer {KEY}")]


def test_a_payment_without_promotion_code_asks_nothing(
    connection: Connection, asha: Participant, stripe_api: StandIn
) -> None:
    deliver(connection, sample("checkout.session.completed", client_reference_id=asha.referral_code))
    assert stripe_api.asked == []


def test_a_refund_finds_its_invoice_which_new_charges_do_not_name(
    connection: Connection, asha: Participant, stripe_api: StandIn
) -> None:
    stripe_api.answers["/v1/invoice_payments"] = (
        200,
        {
            "object": "list",
            "data": [{"id": "inpay_1", "object": "invoice_payment", "invoice": "in_Halden0001"}],
            "has_more": False,
            "url": "/v1/invoice_payments",
        },
    )
    code = asha.referral_code
    deliver(connection, sample("checkout.session.completed.subscription", client_reference_id=code))
    assert deliver(connection, sample("charge.refunded.invoice")).outcome == "refunded"
    assert Reward.objects.get().state == "void"
    ((path, query, _key),) = stripe_api.asked
    assert path == "/v1/invoice_payments"
    assert query["payment[payment_intent]"] == ["pi_Halden0002"]


def test_a_subscription_made_with_a_promotion_code_is_known_by_its_first_invoice(
    connection: Connection, asha: Participant, stripe_api: StandIn
) -> None:
    """No checkout tells of it, and the invoice names a discount only. Renewals are not asked about."""
    discount = {"id": "di_1", "object": "discount", "promotion_code": "promo_1"}
    stripe_api.answers["/v1/invoices/in_Halden0001"] = (
        200,
        {"id": "in_Halden0001", "object": "invoice", "discounts": [discount]},
    )
    stripe_api.answers["/v1/promotion_codes/promo_1"] = (
        200,
        {"id": "promo_1", "object": "promotion_code", "code": asha.referral_code},
    )
    assert deliver(connection, sample("invoice.paid", discounts=["di_1"])).outcome == "rewarded"
    assert Referral.objects.get().how == "promotion_code"
    assert [path for path, _query, _key in stripe_api.asked] == [
        "/v1/invoices/in_Halden0001", "/v1/promotion_codes/promo_1",
    ]  # fmt: skip
    deliver(connection, sample("invoice.paid.renewal", discounts=["di_1"]))
    assert len(stripe_api.asked) == 2


def test_a_promotion_code_that_stripe_does_not_know_is_no_fault(
    connection: Connection, asha: Participant, stripe_api: StandIn
) -> None:
    row = deliver(connection, sample("checkout.session.completed.promotion"))
    assert (row.state, row.outcome) == ("ignored", "no_participant")


@pytest.mark.parametrize(
    ("status", "answer"),
    [(500, {"error": {"message": "oops"}}), (429, {"error": {"message": "slow down"}}), (200, b"<html>")],
    ids=["server error", "rate limit", "rubbish"],
)
def test_a_passing_fault_is_tried_again_and_then_works(
    connection: Connection, asha: Participant, stripe_api: StandIn, status: int, answer: Any
) -> None:
    path = "/v1/promotion_codes/promo_Halden0001"
    stripe_api.answers[path] = (status, answer)
    message = sample("checkout.session.completed.promotion")
    row = deliver(connection, message)
    assert (row.state, row.attempts) == ("received", 1)
    assert "ProviderError" in row.error
    assert KEY not in row.error
    assert len(stripe_api.asked) == 1
    assert Participant.objects.count() == 1
    stripe_api.answers[path] = (200, {"id": "promo_1", "object": "promotion_code", "code": asha.referral_code})
    row.next_attempt_at = row.received_at
    row.save()
    row = deliver(connection, message)
    assert (row.state, row.outcome, row.attempts, row.error) == ("processed", "rewarded", 2, "")


def test_a_key_that_is_refused_stops_only_what_needs_it(
    connection: Connection, asha: Participant, stripe_api: StandIn
) -> None:
    refusal = (
        401,
        {"error": {"message": "Invalid API Key provided: sk_live_****cdef", "type": "invalid_request_error"}},
    )
    stripe_api.answers["/v1/promotion_codes/promo_Halden0001"] = refusal
    message = sample("checkout.session.completed.promotion", client_reference_id=asha.referral_code)
    assert deliver(connection, message).outcome == "rewarded"
    details = {"email": "nobody@example.net"}
    row = deliver(
        connection,
        sample("checkout.session.completed.promotion", customer_details=details, customer=None, event_id="evt_2"),
    )
    assert (row.state, row.outcome) == ("ignored", "provider_refused")
    assert "Invalid API Key" in row.sentence


def test_no_answer_is_a_passing_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "API_BASE", "https://127.0.0.1:9")
    with pytest.raises(ProviderError) as caught:
        api.StripeApi(Account({"api_key": KEY})).promotion_code("promo_1")
    assert caught.value.retry is True
