"""The stand-ins, judged by the companies' own files: each request that they take and each answer (PROVIDERS.md, section 9)."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from integrations import registry
from integrations.base import Account, SampleKind, Scene
from integrations.providers.giftcards.issuer import ISSUER as CARDS
from integrations.sandbox.giftcards import GiftCards
from integrations.sandbox.paypal import PayPal
from integrations.sandbox.razorpayx import RazorpayX
from integrations.sandbox.tremendous import Tremendous
from integrations.sandbox.wise import PROFILE, Wise
from referrals.lib import clock
from referrals.lib.money import Money
from tests.conformance.spec import SPECS, Spec, is_there
from tests.integrations.issuers.test_giftcards import ORDER as CARD
from tests.integrations.sandbox.talking import NOON, Talk, basic, minor_of
from tests.integrations.sandbox.test_giftcards import order as cards
from tests.integrations.sandbox.test_paypal import PAYOUTS, batch
from tests.integrations.sandbox.test_razorpayx import payout
from tests.integrations.sandbox.test_tremendous import order
from tests.integrations.sandbox.test_wise import funded, opened, put_in

pytestmark = pytest.mark.conformance
REASONS = ("insufficient_funds", "bad_recipient", "account_closed", "wrong_currency", "limit_exceeded", "declined")


def published(path: str) -> Any:
    """A company's own sample; the test is skipped where there is none."""
    if not is_there(path):
        pytest.skip(f"no {path}; SPECS_DIR names the folder")
    return json.loads((SPECS / path).read_text())


def spec_of(path: str) -> Spec:
    """A company's own specification."""
    published(path)
    return Spec(path)


def names_in(value: Any, way: str = "") -> set[str]:
    """The ways to all fields of a JSON object, without the contents of lists."""
    if not isinstance(value, dict):
        return set()
    return {f"{way}.{key}" for key in value} | {
        name for key, inner in value.items() for name in names_in(inner, f"{way}.{key}")
    }


def test_tremendous() -> None:
    spec = spec_of("tremendous/tremendous-derived.openapi.json")
    talk = Talk(Tremendous(), "https://testflight.tremendous.com/api/v2", {"webhook_key": "k"}, watch=spec.check)
    with clock.at(NOON):
        made = talk("POST", "/orders", order("rw_1"))[1]["order"]
        talk("POST", "/orders", order("rw_1"))
        talk("POST", "/orders", order("rw_1", 1600))
        talk("POST", "/orders", order("link", method="LINK"))
        for name in (*REASONS, "slow", "down", "busy", "key_revoked"):
            talk("POST", "/orders", order(name, minor_of(name)))
        talk("GET", f"/orders/{made['id']}")
        talk("GET", "/orders?external_id=rw_1")
        reward = made["rewards"][0]["id"]
        talk("GET", f"/rewards/{reward}")
        talk("POST", f"/rewards/{reward}/generate_link")
        talk("POST", f"/rewards/{reward}/cancel")
        talk("POST", f"/rewards/{reward}/cancel")
        talk("GET", "/rewards/NOBODY")
        talk("GET", "/funding_sources")
        talk("GET", "/products")
        talk.stand_in.advance()
    statuses = {status for method, path, status in spec.seen if (method, path) == ("POST", "/orders")}
    assert statuses == {200, 201, 401, 402, 409, 422, 429, 500}
    envelope = published("tremendous/webhook.CAMPAIGNS.CREATED.json")
    assert {frozenset(names_in(event)) for event, _body, _headers in talk.got} == {frozenset(names_in(envelope))}


def test_paypal() -> None:
    spec = spec_of("paypal/payments_payouts_batch_v1.json")
    talk = Talk(PayPal(), "https://api-m.sandbox.paypal.com", {"webhook_id": "8PT597110X687430L"}, watch=spec.check)
    with clock.at(NOON):
        names = ("unclaimed", "returned", "reversed", "slow", *REASONS[1:])
        made = talk("POST", PAYOUTS, batch("b1", 1500, *map(minor_of, names)))[1]["batch_header"]["payout_batch_id"]
        talk("POST", PAYOUTS, batch("b1", 1500))
        talk("POST", PAYOUTS, batch("b2", minor_of("insufficient_funds")))
        talk("POST", PAYOUTS, batch("b3", minor_of("down")))
        items = talk("GET", f"{PAYOUTS}/{made}")[1]["items"]
        talk("GET", f"{PAYOUTS}/nobody")
        talk("GET", f"/v1/payments/payouts-item/{items[0]['payout_item_id']}")
        for item in items[:2]:
            talk("POST", f"/v1/payments/payouts-item/{item['payout_item_id']}/cancel")
    with clock.at(NOON + timedelta(days=31)):
        talk("GET", f"{PAYOUTS}/{made}")
        talk.stand_in.advance()
    assert {status for _method, _path, status in spec.seen} == {200, 201, 400, 404, 500}
    sample = names_in(published("paypal/webhook.PAYMENT.PAYOUTS-ITEM.SUCCEEDED.json"))
    event = next(row for row, _body, _headers in talk.got if row["event_type"] == "PAYMENT.PAYOUTS-ITEM.SUCCEEDED")
    assert names_in(event) == sample
    hooks = spec_of("paypal/notifications_webhooks_v1.json")
    headers = next(headers for row, _body, headers in talk.got if row is event)
    asked = {
        name.removeprefix("PAYPAL-").lower().replace("-", "_"): value
        for name, value in headers.items()
        if name.startswith("PAYPAL-")
    }
    talk.watch = hooks.check
    answer = talk(
        "POST",
        "/v1/notifications/verify-webhook-signature",
        {**asked, "webhook_id": "8PT597110X687430L", "webhook_event": event},
    )
    assert answer == (200, {"verification_status": "SUCCESS"})


def test_wise() -> None:
    spec = spec_of("wise/wise-platform.trimmed.json")
    talk = Talk(Wise(), "https://api.wise-sandbox.com", {}, watch=spec.check)
    with clock.at(NOON):
        talk("GET", "/v2/profiles")
        group, account = opened(talk)
        for name in (*REASONS, "returned", "slow"):
            put_in(talk, group, account, name, minor_of(name))
        funded(talk, group)
        talk(
            "POST",
            "/v1/simulation/balance/topup",
            {"profileId": PROFILE, "balanceId": 1, "currency": "EUR", "amount": 100.5},
        )
        funded(talk, group)
    with clock.at(NOON + timedelta(days=3)):
        for row in talk("GET", "/v1/transfers?profile=1")[1]:
            talk("GET", f"/v1/transfers/{row['id']}")
        talk("GET", "/v1/transfers/1")
        talk.stand_in.advance()
    assert {method for method, _path, _status in spec.seen} == {"GET", "POST", "PATCH"}
    assert len({path for _method, path, _status in spec.seen}) == 10
    sample = names_in(published("wise/webhook.transfers.state-change.json"))
    assert {frozenset(names_in(event)) for event, _body, _headers in talk.got} == {frozenset(sample)}


def test_razorpayx() -> None:
    talk = Talk(RazorpayX(), "https://api.razorpay.com/v1", {"webhook_secret": "k"}, basic("rzp_test_1", "secret"))
    with clock.at(NOON):
        for name in ("plain", *REASONS, "reversed"):
            minor = 1500 if name == "plain" else minor_of(name)
            talk("POST", "/payouts", payout(name, minor), **{"X-Payout-Idempotency": f"key-{name}"})
    with clock.at(NOON + timedelta(days=3)):
        talk.stand_in.advance()
    told = {event["event"]: event for event, _body, _headers in talk.got}
    assert set(told) == {"payout.initiated", "payout.processed", "payout.failed", "payout.reversed"}
    # The account's own details are what the caller gave; the contact comes along where it was made with the payout.
    free = (".payload.payout.entity.notes.", ".payload.payout.entity.fund_account.")
    for name, event in told.items():
        sample = names_in(published(f"razorpay/webhooks/{name}.json"))
        ours = {field for field in names_in(event) if not field.startswith(free)}
        theirs = {field for field in sample if not field.startswith(free)}
        # What few of the published samples have.
        assert theirs - ours <= {f".payload.payout.entity.{field}" for field in ("debit_account_number", "fee_type")}


def test_giftcards_take_the_published_order() -> None:
    sample = published("giftcardpartners/order.request.json")
    talk = Talk(GiftCards(), "https://cards.example", {})
    token = talk("POST", "/v1/Tokens", None, Email="elin@halden.example", AccessToken="secret")[1]
    assert set(token) == set(published("giftcardpartners/token.response.shape.json"))
    talk.headers = {"Authorization": f"Bearer {token['Value']}"}
    status, made = talk("POST", "/v1/Orders", sample)
    assert (status, made["Total"], talk.paid()) == (201, 15, [(sample["PONumber"], "user@email.com", 1500, False)])
    assert names_in(cards("PROMO-1")) == names_in(sample)


def test_our_order_of_a_gift_card_is_the_published_one() -> None:
    sample = published("giftcardpartners/order.request.json")
    words = {
        "product": "CVS",
        "to": "Customer",
        "from_name": "Marketing Team",
        "message": sample["LineItems"][0]["Personalization"]["Message"],
    }
    ordered = replace(CARD, key=sample["PONumber"], address="user@email.com", options=words)
    assert CARDS.body(ordered) == sample


# Where a test message's published sample lies. Ours may lack fields, and has none that the company's has not.
SAMPLES: dict[tuple[str, SampleKind], str] = {
    ("razorpay", "payment"): "razorpay/webhooks/payment.captured.card.json",
    ("razorpay", "renewal"): "razorpay/webhooks/subscription.charged.json",
    ("razorpay", "refund"): "razorpay/webhooks/refund.processed.normal-refunds.json",
    ("razorpay", "dispute"): "razorpay/webhooks/payment.dispute.created.json",
    ("razorpay", "cancellation"): "razorpay/webhooks/subscription.cancelled.json",
    ("cashfree", "payment"): "cashfree/webhook.PAYMENT_SUCCESS_WEBHOOK.json",
    ("cashfree", "refund"): "cashfree/webhook.REFUND_STATUS_WEBHOOK.json",
    ("scoreapp", "lead"): "scoreapp/webhook.QUIZ_STARTED.json",
}
# Not in the sample, and known to come: what a customer's own id, an order's tags and the end of a quiz look like.
KNOWN = (".payload.payment.entity.customer_id", ".notes.", ".order_tags.", ".data.finished_at")


@pytest.mark.parametrize(("slug", "kind"), list(SAMPLES))
def test_a_test_message_has_no_field_that_the_company_s_has_not(slug: str, kind: SampleKind) -> None:
    sample, samples = published(SAMPLES[slug, kind]), registry.samples(slug)
    assert samples is not None
    scene = Scene(kind, "abc123def456", 0, NOON, "maya@example.net", "Maya L", Money(1234, "INR"), "ASHACODE")
    account = Account({"webhook_secret": "k", "client_secret": "k"})
    ours = names_in(json.loads(samples.delivery(scene, account).body))
    strange = {name for name in ours - names_in(sample) if not any(known in name for known in KNOWN)}
    assert strange == set()


@pytest.mark.parametrize(("kind", "schema"), [("payment", "PaymentWebhook"), ("refund", "RefundWebhook")])
def test_cashfree_s_test_messages_fit_its_schemas(kind: SampleKind, schema: str) -> None:
    spec, samples = spec_of("cashfree/openapi-payment-gateway.trimmed.json"), registry.samples("cashfree")
    assert samples is not None
    scene = Scene(kind, "abc123def456", 0, NOON, "maya@example.net", "Maya L", Money(1234, "INR"), "ASHACODE")
    body = json.loads(samples.delivery(scene, Account({"client_secret": "k"})).body)
    # Every way to pay fits several of the file's ways, and it wants exactly one.
    spec.fits(body, schema, but="$.data.payment.payment_method")


STRIPE_OBJECTS: dict[SampleKind, str] = {
    "payment": "checkout.session",
    "renewal": "invoice",
    "refund": "charge",
    "dispute": "dispute",
    "cancellation": "subscription",
}


@pytest.mark.parametrize("kind", list(STRIPE_OBJECTS))
def test_stripe_s_test_messages_have_its_objects_fields(kind: SampleKind) -> None:
    resources, samples = published("stripe/fixtures3.trimmed.json")["resources"], registry.samples("stripe")
    assert samples is not None
    scene = Scene(kind, "abc123def456", 0, NOON, "maya@example.net", "Maya L", Money(1234, "USD"), "ASHACODE")
    event = json.loads(samples.delivery(scene, Account({"webhook_secret": "k"})).body)
    assert set(event) <= set(resources["event"])
    # An invoice's payments come along only when they are asked for, which webhooks of new versions do.
    assert set(event["data"]["object"]) - {"payments"} <= set(resources[STRIPE_OBJECTS[kind]])
