"""A message whose signature only its company can check: nothing of it is believed before the company has said that it is its own."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from integrations import inbox, registry
from integrations.base import Account, Delivery, ProviderError
from integrations.messages import MASK
from integrations.models import Connection, InboundEvent
from integrations.providers.paypal import confirming
from referrals.accounts.tenancy import Tenant
from referrals.lib import clock
from referrals.lib.http import Answer, HttpError
from referrals.lib.signing import SignatureError
from tests.factories import Cast
from tests.integrations.speaking import account, connect, first, say, send

PAYPAL = registry.get("paypal")
KNOWN = account(PAYPAL)
SIGNED = "PAYPAL-TRANSMISSION-SIG"


@pytest.fixture
def connection(alice: Cast) -> Connection:
    return connect(PAYPAL, Tenant(alice.merchant, is_test=True), KNOWN)


def arrive(connection: Connection, delivery: Delivery) -> InboundEvent:
    assert send(connection, delivery).status_code == 200
    return InboundEvent.objects.get()


def good() -> Delivery:
    return say(PAYPAL, first(PAYPAL), KNOWN)


@pytest.mark.django_db
def test_what_proves_it_is_kept_until_the_company_was_asked_and_masked_afterwards(connection: Connection) -> None:
    delivery = good()
    row = arrive(connection, delivery)
    assert (row.confirmed, row.headers[SIGNED]) == (False, delivery.headers[SIGNED])
    assert inbox.process(row.pk) == "ignored"
    row.refresh_from_db()
    assert (row.confirmed, row.outcome, row.headers[SIGNED]) == (True, "payout_unknown", MASK)
    assert row.headers["PAYPAL-TRANSMISSION-ID"] == delivery.headers["PAYPAL-TRANSMISSION-ID"]
    # Worked on again, it need not be asked about, and could not be.
    InboundEvent.objects.update(state="received", attempts=0, next_attempt_at=clock.wall())
    assert inbox.process(row.pk) == "ignored"
    assert InboundEvent.objects.get().outcome == "payout_unknown"


@pytest.mark.django_db
def test_what_the_company_did_not_send_changes_nothing_and_stays_refused(connection: Connection) -> None:
    delivery = good()
    told = json.loads(delivery.body)
    told["resource"]["payout_item"]["amount"]["value"] = "99.00"
    row = arrive(connection, replace(delivery, body=json.dumps(told).encode()))
    for _again in range(2):
        assert inbox.process(row.pk) == "ignored"
        row.refresh_from_db()
        assert (row.confirmed, row.outcome, row.headers[SIGNED]) == (False, "not_genuine", MASK)
        assert row.sentence == "PayPal says that it did not send this. Nothing of it was believed."
        InboundEvent.objects.update(state="received", attempts=0, next_attempt_at=clock.wall())


@pytest.mark.django_db
@pytest.mark.parametrize("retry", [True, False])
def test_a_company_that_can_not_be_asked_is_asked_again(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, retry: bool
) -> None:
    def down(delivery: Delivery, known: Account) -> None:
        raise ProviderError("PayPal answered 500.", retry=retry)

    row = arrive(connection, good())
    monkeypatch.setattr(registry, "confirm", lambda slug: down)
    assert inbox.process(row.pk) == ("received" if retry else "failed")
    row.refresh_from_db()
    assert (row.confirmed, row.headers[SIGNED] != MASK) == (False, True)
    assert "PayPal answered 500." in row.error
    monkeypatch.undo()
    InboundEvent.objects.update(state="received", attempts=0, next_attempt_at=clock.wall())
    inbox.process(row.pk)
    assert InboundEvent.objects.get().confirmed is True


def test_the_question_has_the_message_byte_for_byte() -> None:
    asked: list[bytes] = []

    def answer(method: str, url: str, *, headers: Any = None, body: Any = None) -> Answer:
        if url.endswith("/oauth2/token"):
            return Answer(200, {}, b'{"access_token": "A21", "token_type": "Bearer", "expires_in": 32400}')
        assert (method, url) == ("POST", "https://api-m.paypal.com/v1/notifications/verify-webhook-signature")
        asked.append(body)
        return Answer(200, {}, b'{"verification_status": "SUCCESS"}')

    body = b'{ "id":"WH-1",  "amount": 170.00, "name": "\\u00e9" }'
    confirming.confirm(replace(good(), body=body), replace(KNOWN, send=answer, settings={}))
    assert asked[0].endswith(b', "webhook_event": ' + body + b"}")
    assert json.loads(asked[0])["webhook_id"] == KNOWN.secrets["webhook_id"]


@pytest.mark.parametrize(
    ("status", "content", "raised"),
    [
        (200, b'{"verification_status": "FAILURE"}', SignatureError),
        (200, b"{}", SignatureError),
        (400, b'{"name": "VALIDATION_ERROR", "message": "Invalid"}', SignatureError),
        (200, b"<!doctype html>", ProviderError),
        (500, b"", ProviderError),
        (401, b"{}", ProviderError),
        (0, b"", ProviderError),
    ],
)
def test_only_success_is_a_yes(status: int, content: bytes, raised: type[Exception]) -> None:
    def answer(method: str, url: str, *, headers: Any = None, body: Any = None) -> Answer:
        if url.endswith("/oauth2/token"):
            return Answer(200, {}, b'{"access_token": "A21", "token_type": "Bearer", "expires_in": 32400}')
        if not status:
            raise HttpError("No answer: ReadTimeout.", retry=True, sent=True)
        return Answer(status, {}, content)

    with pytest.raises(raised):
        confirming.confirm(good(), replace(KNOWN, send=answer))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (SIGNED, ""),
        (SIGNED, "not base64!"),
        ("PAYPAL-CERT-URL", "https://api.paypal.com.evil.example/cert"),
        ("PAYPAL-CERT-URL", "http://api.paypal.com/cert"),
        ("PAYPAL-AUTH-ALGO", "x" * 701),
        ("PAYPAL-TRANSMISSION-ID", "a\nb"),
    ],
)
def test_what_can_not_be_paypal_s_is_turned_away_at_the_door(name: str, value: str) -> None:
    delivery = good()
    PAYPAL.source.verify(delivery, KNOWN)
    with pytest.raises(SignatureError):
        PAYPAL.source.verify(replace(delivery, headers={**delivery.headers, name: value}), KNOWN)
