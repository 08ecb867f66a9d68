"""One's own system: places in a message, proofs, and a mapping that names field, place and value of whatever it can't read."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from django.utils.datastructures import CaseInsensitiveMapping
from standardwebhooks import Webhook

from integrations import registry
from integrations.base import Account, Code, Delivery, Ignored, Message, PayloadError, Signal
from integrations.providers.webhook.mapping import FieldError
from integrations.providers.webhook.paths import look, steps_of
from integrations.reading import read_json
from integrations.setup import check_settings
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from referrals.lib.signing import SignatureError

WEBHOOK = registry.get("webhook")
OWN = dict(WEBHOOK.made_up_settings)
MESSAGE = {
    "customer": {"email": "maya@example.net", "1.3": "dotted", "tags": ["a", {"deep": 7}]},
    "answers": [{"type": "text", "text": "x"}, {"type": "email", "email": "ivo@example.net"}, "junk"],
    "none": None,
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("customer.email", "maya@example.net"),
        ('customer["1.3"]', "dotted"),
        ("customer.tags.0", "a"),
        ("customer.tags[1].deep", 7),
        ("answers[type=email].email", "ivo@example.net"),
        ("answers[type=phone].phone", None),
        ("answers.9.text", None),
        ("customer.email.more", None),
        ("none", None),
        ("none.of.this", None),
        ("answers[0][type=text]", None),
    ],
)
def test_a_place_leads_to_its_value_or_to_nothing(path: str, found: object) -> None:
    assert look(MESSAGE, path) == found


@pytest.mark.parametrize(
    "path", [".", "a.", ".a", "a..b", "a[", "a[]", "a[=]", "a]b", "a[x=]", 'a["]', "", "a." * 13 + "a"]
)
def test_what_is_no_place_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(path)}$"):
        steps_of(path)


def _read(payload: dict[str, Any], **changes: str) -> Signal:
    chosen = check_settings(WEBHOOK, OWN | changes)
    (signal,) = WEBHOOK.source.parse(Message(payload, "x", Account({}, chosen), datetime(2026, 11, 21, tzinfo=UTC)))
    return signal


def _order(**changes: Any) -> dict[str, Any]:
    return {
        "event": "order.paid",
        "id": "order_1001",
        "customer": {"id": 42, "email": "maya@example.net", "name": "Maya Iyer"},
        "amount": "49.00",
        "currency": "usd",
        "referral_code": "ASHA10",
        "created_at": "2026-11-20T10:00:00+01:00",
    } | changes


def test_an_order_becomes_a_payment_and_two_systems_are_kept_apart() -> None:
    signal = _read(_order(), ids="shop", payment="pi", payment_at="cashfree")
    assert (signal.fact, signal.money, signal.email) == ("purchase", Money(4900, "USD"), "maya@example.net")
    assert (signal.external_id, signal.customer_id, signal.references) == (
        "shop:order_1001",
        "shop:42",
        ("shop:order_1001",),
    )
    assert (signal.codes, signal.occurred_at) == ((Code("ASHA10"),), datetime(2026, 11, 20, 9, tzinfo=UTC))
    assert signal.elsewhere == ()
    known = _read(_order(pi=981), payment="pi", payment_at="cashfree")
    assert known.elsewhere == (("cashfree", "cf_981"), ("cashfree", "order:981"))


@pytest.mark.parametrize(
    ("changes", "settings", "field", "words"),
    [
        ({"amount": "a lot"}, {}, "amount", 'At amount stands "a lot", which is no amount such as 49.00'),
        ({"amount": 49.001}, {}, "amount", "At amount stands 49.001"),
        ({"amount": None}, {}, "amount", "At amount stands nothing."),
        ({"amount": 49.5}, {"amount_in": "minor"}, "amount", "which is no amount such as 4900"),
        ({"currency": None}, {}, "currency", "At currency stands nothing."),
        ({"customer": {"email": "maya"}}, {}, "email", 'At customer.email stands "maya", which is no e-mail address.'),
        ({"customer": {}}, {}, "email", "At customer.email stands nothing."),
        ({"customer": {"id": ["x"]}}, {}, "customer_id", 'At customer.id stands ["x"], which is no id'),
        ({"created_at": "yesterday"}, {}, "occurred_at", 'At created_at stands "yesterday", which is no time such as'),
        ({"event": "order.refunded"}, {}, "order", "At order_id stands nothing."),
    ],
)
def test_nonsense_in_a_message_is_named_with_its_field_its_place_and_its_value(
    changes: dict[str, Any], settings: dict[str, str], field: str, words: str
) -> None:
    with pytest.raises(FieldError) as caught:
        _read(_order(**changes), **settings)
    assert caught.value.field == field
    assert words in str(caught.value)
    assert isinstance(caught.value, PayloadError)


@pytest.mark.parametrize(
    ("given", "at"),
    [
        (1790000000, datetime.fromtimestamp(1790000000, UTC)),
        (1790000000123, datetime.fromtimestamp(1790000000, UTC)),
        ("1790000000", datetime.fromtimestamp(1790000000, UTC)),
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=UTC)),
        (None, datetime(2026, 11, 21, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_in_every_usual_form(given: object, at: datetime) -> None:
    assert _read(_order(created_at=given)).occurred_at == at


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"email": "a..b"}, "email", "'a..b' is no place in a message"),
        ({"facts": "order.paid"}, "facts", "Line 1 is 'order.paid'; write a value, an equals sign"),
        ({"facts": "order.paid = sale"}, "facts", "'sale' is not something that a message can tell"),
        ({"facts": "", "fact_path": ""}, "fact_else", "As it is, every message is left aside."),
        ({"fact_path": ""}, "fact_path", "Say where the value stands"),
        ({"email": "", "customer_id": ""}, "email", "Say where the e-mail address stands, or the customer’s id."),
        ({"amount": ""}, "amount", "Say where the amount stands."),
        ({"currency": ""}, "currency_fixed", "Say where the currency stands"),
        ({"currency_fixed": "XXQ"}, "currency_fixed", "'XXQ' is no currency that we know"),
        ({"order": ""}, "order", "A refund or dispute has to name its payment"),
        ({"payment": "pi"}, "payment_at", "Choose the company"),
        ({"scheme": "hmac"}, "header", "Name the header"),
        ({"scheme": "hmac", "header": "X Sig:"}, "header", "'X Sig:' is no name of a header"),
        ({"scheme": "hmac", "header": "X-S", "signed": "time.body"}, "time_header", "name the header that it comes in"),
        ({"scheme": "rot13"}, "scheme", "Proof is 'rot13'; it has to be one of standard, hmac"),
        ({"metadata": "plan"}, "metadata", "Line 1 is 'plan'"),
        ({"color": "red"}, "color", "has no setting called 'color'"),
        ({"email": "x" * 300}, "email", "has at most 200 characters"),
    ],
)
def test_settings_that_can_not_be_are_refused_at_their_field(changes: dict[str, str], field: str, words: str) -> None:
    with pytest.raises(Refused) as caught:
        check_settings(WEBHOOK, OWN | changes)
    assert (caught.value.field, caught.value.status) == (field, 422)
    assert words in caught.value.message


@pytest.mark.parametrize("preset", WEBHOOK.presets, ids=[preset.slug for preset in WEBHOOK.presets])
def test_every_example_reads_its_own_sample(preset: Any) -> None:
    chosen = check_settings(WEBHOOK, preset.settings)
    (signal,) = WEBHOOK.source.parse(Message(json.loads(preset.sample), "x", Account({}, chosen)))
    assert signal.fact in {"purchase", "signup"}
    assert signal.email == "maya@example.net" or signal.customer_id == "42"
    assert signal.codes == ((Code("ASHA10"),) if signal.email else ())
    assert preset.source_url.startswith("https://")


def test_a_value_without_use_is_left_aside_with_its_name() -> None:
    with pytest.raises(Ignored) as caught:
        _read(_order(event="order.packed"))
    assert (caught.value.code, caught.value.facts) == ("fact_unused", {"value": '"order.packed"', "path": "event"})


def test_standard_webhooks_own_library_is_understood_and_a_rolled_secret_too() -> None:
    secret = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
    body, now = b'{"event":"x"}', datetime.now(UTC)
    good = Webhook(secret).sign("msg_1", now, body.decode())
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(int(now.timestamp()))}
    for value in (good, f"v1,AAAA {good}"):
        delivery = Delivery(body, CaseInsensitiveMapping({**headers, "webhook-signature": value}))
        WEBHOOK.source.verify(delivery, Account({"secret": secret}, OWN))
    with pytest.raises(SignatureError, match="not one of Standard Webhooks"):
        WEBHOOK.source.verify(delivery, Account({"secret": "pasted-but-no-base64"}, OWN))


HMACS = [
    ({}, b"{body}", "hex", "", b"shared-secret"),
    ({"prefix": "sha256=", "encoding": "base64"}, b"{body}", "base64", "sha256=", b"shared-secret"),
    ({"time_header": "X-Time", "signed": "time.body"}, b"{time}.{body}", "hex", "", b"shared-secret"),
    ({"time_header": "X-Time", "signed": "timebody"}, b"{time}{body}", "hex", "", b"shared-secret"),
    (
        {"time_header": "X-Time", "signed": "v0:time:body", "prefix": "v0="},
        b"v0:{time}:{body}",
        "hex",
        "v0=",
        b"shared-secret",
    ),
    ({"key_form": "hex"}, b"{body}", "hex", "", bytes.fromhex("aa" * 16)),
]


@pytest.mark.parametrize(("settings", "form", "encoding", "prefix", "key"), HMACS)
def test_an_hmac_in_each_of_its_forms(
    settings: dict[str, str], form: bytes, encoding: str, prefix: str, key: bytes
) -> None:
    chosen = check_settings(WEBHOOK, OWN | {"scheme": "hmac", "header": "X-Signature"} | settings)
    secret = "aa" * 16 if settings.get("key_form") == "hex" else "shared-secret"
    account, body = Account({"secret": secret}, chosen), b'{"amount": 49.00}'

    def delivery(stamp: int, given: bytes = body) -> Delivery:
        text = form.replace(b"{time}", str(stamp).encode()).replace(b"{body}", given)
        digest = hmac.new(key, text, hashlib.sha256).digest()
        written = digest.hex() if encoding == "hex" else base64.b64encode(digest).decode()
        headers = {"x-signature": prefix + written, "X-Time": str(stamp)}
        return Delivery(body, CaseInsensitiveMapping(headers))

    now = int(time.time())
    WEBHOOK.source.verify(delivery(now), account)
    with pytest.raises(SignatureError):
        WEBHOOK.source.verify(delivery(now, b"{}"), account)
    if "time_header" in settings:
        WEBHOOK.source.verify(delivery(now * 1000), account)
        for off in (-400, 400):
            with pytest.raises(SignatureError):
                WEBHOOK.source.verify(delivery(now + off), account)


def test_a_secret_in_a_header_or_in_the_address() -> None:
    token = check_settings(WEBHOOK, OWN | {"scheme": "token", "header": "Authorization", "prefix": "Bearer"})
    account = Account({"secret": "shared-secret"}, token)
    WEBHOOK.source.verify(Delivery(b"{}", CaseInsensitiveMapping({"authorization": "Bearer shared-secret"})), account)
    address = Account({"secret": "shared-secret"}, OWN | {"scheme": "address"})
    WEBHOOK.source.verify(Delivery(b"{}", CaseInsensitiveMapping({}), {"key": "shared-secret"}), address)
    for known, headers, query in (
        (account, {"authorization": "shared-secret"}, {}),
        (account, {"authorization": "Bearershared-secret"}, {}),
        (account, {}, {"key": "shared-secret"}),
        (address, {"authorization": "Bearer shared-secret"}, {}),
        (address, {}, {"key": ""}),
    ):
        with pytest.raises(SignatureError):
            WEBHOOK.source.verify(Delivery(b"{}", CaseInsensitiveMapping(headers), query), known)


def test_a_body_is_read_as_json_is_written() -> None:
    assert read_json(b'\xef\xbb\xbf{"a": "\\ud83d\\ude00"}') == {"a": "\U0001f600"}
    assert read_json(b'{"a\\u0000": ["\\ud800"]}') == {"a\ufffd": ["\ufffd"]}
    for wrong in (b'{"a": NaN}', b'{"a": -Infinity}', b"\xff{}", b"[" * 100_000, b""):
        with pytest.raises(PayloadError, match=r"The body is not JSON in UTF-8\."):
            read_json(wrong)
