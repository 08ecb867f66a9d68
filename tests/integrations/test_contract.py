"""What every provider has to hold, whoever it is: add one to the registry, and this file asks it the same questions."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from integrations import inbox, registry
from integrations.base import Account, Delivery, Ignored, Provider, Signal
from integrations.models import Connection, InboundEvent
from integrations.outcomes import SENTENCES
from referrals.lib.signing import SignatureError
from rewards.models import Reward
from tests.factories import Cast, make_campaign, make_friend, make_participant
from tests.integrations.sending import post, sample, signals_of

FIXTURES = Path(__file__).parent.parent / "fixtures"
pytestmark = pytest.mark.django_db


@dataclass(frozen=True)
class Example:
    """How to speak as this provider: good secrets, a signed request, and a payment by maya@example.net."""

    secrets: Mapping[str, str]
    headers: Callable[[bytes], dict[str, str]]
    payment: Callable[[], dict[str, Any]]
    unknown: Callable[[], dict[str, Any]]
    # Of a first payment; a source of leads earns none.
    rewards: int = 1
    # Headers that say what a fixture is, made from its file's name, where the body does not.
    naming: Callable[[str], dict[str, str]] = lambda _stem: {}


def _stripe_headers(body: bytes) -> dict[str, str]:
    stamp = int(time.time())
    digest = hmac.new(b"whsec_contract0123456789", f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return {"Stripe-Signature": f"t={stamp},v1={digest}"}


def _razorpay_headers(body: bytes) -> dict[str, str]:
    digest = hmac.new(b"halden-roasts-2026", body, hashlib.sha256).hexdigest()
    return {"X-Razorpay-Signature": digest, "X-Razorpay-Event-Id": f"ev_{hashlib.sha256(body).hexdigest()[:14]}"}


def _cashfree_headers(body: bytes) -> dict[str, str]:
    stamp = str(int(time.time() * 1000))
    digest = hmac.new(b"cfsk_halden_0123456789", stamp.encode() + body, hashlib.sha256).digest()
    return {
        "X-Webhook-Signature": base64.b64encode(digest).decode(),
        "X-Webhook-Timestamp": stamp,
        "X-Idempotency-Key": hashlib.sha256(body).hexdigest()[:20],
    }


def _fixture(provider: str, name: str, **changes: Any) -> dict[str, Any]:
    return {**json.loads((FIXTURES / provider / f"{name}.json").read_text()), **changes}


def _shopify_topic(stem: str) -> dict[str, str]:
    return {"X-Shopify-Topic": stem.partition(".")[0].replace("_", "/", 1)}


def _shopify_headers(body: bytes) -> dict[str, str]:
    digest = hmac.new(b"shpss0123456789abcdef", body, hashlib.sha256).digest()
    topic = "orders/paid" if b"line_items" in body else "products/update"
    return {
        "X-Shopify-Hmac-Sha256": base64.b64encode(digest).decode(),
        "X-Shopify-Topic": topic,
        "X-Shopify-Shop-Domain": "halden-roasts.myshopify.com",
        "X-Shopify-Webhook-Id": f"wh-{hashlib.sha256(body).hexdigest()[:12]}",
    }


EXAMPLES = {
    "shopify": Example(
        secrets={"shop": "halden-roasts.myshopify.com", "client_secret": "shpss0123456789abcdef"},
        headers=_shopify_headers,
        payment=lambda: _fixture("shopify", "orders_paid"),
        unknown=lambda: _fixture("shopify", "products_update"),
        naming=_shopify_topic,
    ),
    "razorpay": Example(
        secrets={"webhook_secret": "halden-roasts-2026"},
        headers=_razorpay_headers,
        payment=lambda: _fixture("razorpay", "payment.captured", created_at=int(time.time())),
        unknown=lambda: _fixture("razorpay", "payment.authorized"),
    ),
    "cashfree": Example(
        secrets={"client_secret": "cfsk_halden_0123456789"},
        headers=_cashfree_headers,
        payment=lambda: _fixture("cashfree", "PAYMENT_SUCCESS_WEBHOOK.no_tags"),
        unknown=lambda: _fixture("cashfree", "PAYMENT_SUCCESS_WEBHOOK", type="SETTLEMENT_WEBHOOK"),
    ),
    "scoreapp": Example(
        secrets={"webhook_secret": "halden-quiz-2026"},
        headers=lambda body: {
            "Scoreapp-Signature": hmac.new(b"halden-quiz-2026", body, hashlib.sha256).hexdigest(),
        },
        payment=lambda: _fixture("scoreapp", "LEAD_SIGNED_UP"),
        unknown=lambda: _fixture("scoreapp", "LEAD_SIGNED_UP", event_name="QUIZ_SHARED"),
        rewards=0,
    ),
    "stripe": Example(
        secrets={"webhook_secret": "whsec_contract0123456789"},
        headers=_stripe_headers,
        payment=lambda: sample("checkout.session.completed"),
        unknown=lambda: sample("customer.created"),
    ),
}


@pytest.fixture(params=list(registry.SLUGS))
def provider(request: pytest.FixtureRequest) -> Provider:
    return registry.get(request.param)


@pytest.fixture
def example(provider: Provider) -> Example:
    return EXAMPLES[provider.slug]


@pytest.fixture
def connection(alice: Cast, provider: Provider, example: Example) -> Connection:
    row = Connection(merchant=alice.merchant, provider=provider.slug)
    row.secrets = dict(example.secrets)
    row.save()
    return row


def _body(payload: Mapping[str, Any]) -> bytes:
    return json.dumps(payload).encode()


def test_the_registry_s_names_are_the_providers_own(provider: Provider) -> None:
    assert registry.SLUGS[provider.slug].endswith(".PROVIDER")
    assert provider in registry.every()
    assert provider.events
    assert provider.steps
    assert provider.matching
    assert provider.docs.startswith("https://")


def test_good_secrets_look_right_and_others_do_not(provider: Provider, example: Example) -> None:
    for field in provider.secrets:
        if field.name in example.secrets:
            assert field.matches(example.secrets[field.name])
        assert not field.matches("")
        assert not field.matches("x")
        assert not field.matches("é" * 40)


def test_a_genuine_body_is_let_in_and_a_tampered_byte_is_refused(provider: Provider, example: Example) -> None:
    body = _body(example.payment())
    headers = example.headers(body)
    provider.source.verify(Delivery(body, headers), Account(example.secrets))
    for position in (0, len(body) // 2, len(body) - 1):
        tampered = bytearray(body)
        tampered[position] ^= 1
        with pytest.raises(SignatureError):
            provider.source.verify(Delivery(bytes(tampered), headers), Account(example.secrets))
    for changed in (body + b"\n", b"", body[:-1]):
        with pytest.raises(SignatureError):
            provider.source.verify(Delivery(changed, headers), Account(example.secrets))


def test_a_missing_or_broken_header_is_a_refusal_and_not_a_fault(
    connection: Connection, provider: Provider, example: Example
) -> None:
    body = _body(example.payment())
    good = example.headers(body)
    for broken in ({}, dict.fromkeys(good, ""), dict.fromkeys(good, "\xe9"), dict.fromkeys(good, "a" * 9000)):
        assert post(connection, body, broken).status_code == provider.refusal_status
    assert InboundEvent.objects.count() == 0


def test_secrets_that_are_missing_let_nobody_in(provider: Provider, example: Example) -> None:
    body = _body(example.payment())
    with pytest.raises(SignatureError):
        provider.source.verify(Delivery(body, example.headers(body)), Account())


def test_an_unknown_message_is_kept_and_ignored_with_a_reason(connection: Connection, example: Example) -> None:
    body = _body(example.unknown())
    assert post(connection, body, example.headers(body)).status_code == 200
    row = InboundEvent.objects.get()
    assert inbox.process(row.pk) == "ignored"
    row.refresh_from_db()
    assert bytes(row.body) == body
    assert row.sentence != ""
    assert Reward.objects.count() == 0


def test_redelivery_changes_nothing(alice: Cast, connection: Connection, example: Example) -> None:
    make_friend(make_participant(make_campaign(alice.tenant)), "maya@example.net")
    body = _body(example.payment())
    for _ in range(3):
        assert post(connection, body, example.headers(body)).status_code == 200
        for row in InboundEvent.objects.all():
            inbox.process(row.pk)
    assert InboundEvent.objects.count() == 1
    assert Reward.objects.count() == example.rewards


def test_no_secret_is_kept_with_the_message(connection: Connection, provider: Provider, example: Example) -> None:
    body = _body(example.payment())
    headers = example.headers(body)
    post(connection, body, headers)
    kept = json.dumps(InboundEvent.objects.get().headers)
    assert headers[provider.source.signature_header] not in kept
    secrets = [field.name for field in provider.secrets if field.is_secret]
    assert not any(example.secrets[name] in kept for name in secrets if name in example.secrets)


def test_every_fixture_parses(provider: Provider, example: Example) -> None:
    paths = sorted((FIXTURES / provider.slug).glob("*.json"))
    assert paths
    used, codes = set(), set()
    for path in paths:
        payload = json.loads(path.read_text())
        headers = example.naming(path.stem)
        used.add(provider.source.event_type(payload, Delivery(b"", headers)))
        try:
            signals = signals_of(provider.source, payload, headers)
        except Ignored as reason:
            codes.add(reason.code)
        else:
            assert signals
            assert all(isinstance(signal, Signal) for signal in signals)
    assert codes <= SENTENCES.keys()
    assert {name for name, _why in provider.events} <= used
