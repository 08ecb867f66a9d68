"""The stand-in for Wise: quote, recipient, batch group, transfer, funding, states that roll back, and RSA-signed webhooks."""

from __future__ import annotations

import base64
import uuid
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from integrations.sandbox.wise import PROFILE, Wise
from integrations.sandbox.wise_key import public_pem
from referrals.lib import clock
from tests.integrations.sandbox.talking import NOON, Talk, minor_of

GROUPS = f"/v3/profiles/{PROFILE}/batch-groups"


@pytest.fixture
def talk() -> Talk:
    return Talk(Wise(), "https://api.wise-sandbox.com", {})


def key_of(name: str) -> str:
    """As an issuer would make it."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


def quoted(talk: Talk, minor: int = 1500) -> str:
    """A fresh quote for an amount in dollars."""
    body = {"sourceCurrency": "EUR", "targetCurrency": "USD", "targetAmount": minor / 100}
    return str(talk("POST", f"/v3/profiles/{PROFILE}/quotes", body)[1]["id"])


def opened(talk: Talk) -> tuple[str, int]:
    """A group, and a recipient."""
    person = {"currency": "USD", "type": "email", "profile": PROFILE, "accountHolderName": "Asha L"}
    account = talk("POST", "/v1/accounts", {**person, "details": {"email": "asha@example.com"}})[1]["id"]
    status, group = talk("POST", GROUPS, {"sourceCurrency": "EUR", "name": "November"})
    assert (status, group["status"], group["version"]) == (201, "NEW", 1)
    return group["id"], account


def put_in(talk: Talk, group: str, account: int, name: str, minor: int = 1500) -> tuple[int, Any]:
    """A transfer in the group."""
    body = {
        "targetAccount": account,
        "quoteUuid": quoted(talk, minor),
        "customerTransactionId": key_of(name),
        "details": {"reference": "Halden"},
    }
    return talk("POST", f"{GROUPS}/{group}/transfers", body)


def funded(talk: Talk, group: str) -> tuple[int, Any]:
    """Close the group and pay for it."""
    version = talk("GET", f"{GROUPS}/{group}")[1]["version"]
    talk("PATCH", f"{GROUPS}/{group}", {"status": "COMPLETED", "version": version})
    return talk("POST", f"/v3/profiles/{PROFILE}/batch-payments/{group}/payments", {"type": "BALANCE"})


def test_a_group_is_filled_closed_and_paid_once(talk: Talk) -> None:
    with clock.at(NOON):
        group, account = opened(talk)
        first = put_in(talk, group, account, "rw_1")[1]
        same = put_in(talk, group, account, "rw_1")[1]
        assert (same["id"], first["status"], first["targetValue"]) == (first["id"], "incoming_payment_waiting", 15)
        assert talk("PATCH", f"{GROUPS}/{group}", {"status": "COMPLETED", "version": 9})[0] == 409
        assert talk.paid() == []
        assert funded(talk, group)[1]["alreadyPaid"] is False
        assert funded(talk, group)[1]["alreadyPaid"] is True
        assert put_in(talk, group, account, "rw_2")[0] == 422  # it is closed
        assert talk("GET", f"/v1/transfers/{first['id']}")[1]["status"] == "outgoing_payment_sent"
    assert talk.paid() == [(key_of("rw_1"), "asha@example.com", 1500, False)]


def test_a_quote_is_good_for_one_transfer(talk: Talk) -> None:
    group, account = opened(talk)
    quote = quoted(talk)
    bodies = [
        {"targetAccount": account, "quoteUuid": quote, "customerTransactionId": key_of(name)} for name in ("a", "b")
    ]
    answers = [talk("POST", f"{GROUPS}/{group}/transfers", body) for body in bodies]
    assert [status for status, _body in answers] == [200, 422]
    assert answers[1][1]["errors"][0]["path"] == "quoteUuid"
    assert talk("POST", f"{GROUPS}/{group}/transfers", {**bodies[0], "customerTransactionId": "1"})[0] == 422


def test_without_money_in_the_balance_nothing_is_paid_until_there_is(talk: Talk) -> None:
    group, account = opened(talk)
    for number, minor in enumerate((1500, minor_of("insufficient_funds"))):
        put_in(talk, group, account, str(number), minor)
    status, error = funded(talk, group)
    assert (status, error["errors"][0]["code"]) == (422, "BALANCE_INSUFFICIENT_FUNDS")
    assert talk.paid() == []
    talk("POST", "/v1/simulation/balance/topup", {"profileId": PROFILE, "currency": "EUR", "amount": 100})
    assert funded(talk, group)[0] == 200
    assert [row[2] for row in talk.paid()] == [1500, 6610]


@pytest.mark.parametrize(
    ("name", "status", "is_back"),
    [
        ("slow", "outgoing_payment_sent", False),
        ("account_closed", "funds_refunded", True),
        ("returned", "funds_refunded", True),
        ("declined", "cancelled", True),
    ],
)
def test_transfers_can_roll_back(talk: Talk, name: str, status: str, is_back: bool) -> None:
    with clock.at(NOON):
        group, account = opened(talk)
        made = put_in(talk, group, account, name, minor_of(name))[1]
        funded(talk, group)
    with clock.at(NOON + timedelta(days=3)):
        assert talk("GET", f"/v1/transfers/{made['id']}")[1]["status"] == status
    assert [row[3] for row in talk.paid()] == [is_back]


def test_state_changes_are_told_in_order_and_signed(talk: Talk) -> None:
    with clock.at(NOON):
        group, account = opened(talk)
        put_in(talk, group, account, "rw_1")
        funded(talk, group)
        talk.stand_in.advance()
    states = [(row["data"]["previous_state"], row["data"]["current_state"]) for row, _body, _headers in talk.got]
    assert states == [
        ("incoming_payment_waiting", "processing"),
        ("processing", "funds_converted"),
        ("funds_converted", "outgoing_payment_sent"),
    ]
    key = serialization.load_pem_public_key(public_pem().encode())
    assert isinstance(key, rsa.RSAPublicKey)
    _event, body, headers = talk.got[0]
    key.verify(base64.b64decode(headers["X-Signature-SHA256"]), body, padding.PKCS1v15(), hashes.SHA256())


@pytest.mark.parametrize("name", ["bad_recipient", "wrong_currency", "limit_exceeded"])
def test_a_transfer_that_is_refused_is_not_in_the_group(talk: Talk, name: str) -> None:
    group, account = opened(talk)
    assert put_in(talk, group, account, name, minor_of(name))[0] == 422
    assert talk("GET", f"{GROUPS}/{group}")[1]["transferIds"] == []


def test_a_single_transfer_is_funded_once_and_cancelled_only_before(talk: Talk) -> None:
    _group, account = opened(talk)
    body = {"targetAccount": account, "quoteUuid": quoted(talk), "customerTransactionId": key_of("one")}
    made = talk("POST", "/v1/transfers", body)[1]
    pay = f"/v3/profiles/{PROFILE}/transfers/{made['id']}/payments"
    assert talk.paid() == []
    for _ in range(2):
        assert talk("POST", pay, {"type": "BALANCE"})[1]["status"] == "COMPLETED"
    assert talk.paid() == [(key_of("one"), "asha@example.com", 1500, False)]
    assert talk("PUT", f"/v1/transfers/{made['id']}/cancel")[0] == 409
    other = body | {"quoteUuid": quoted(talk, minor_of("insufficient_funds")), "customerTransactionId": key_of("two")}
    poor = talk("POST", "/v1/transfers", other)[1]
    pay = f"/v3/profiles/{PROFILE}/transfers/{poor['id']}/payments"
    assert talk("POST", pay, {"type": "BALANCE"})[1]["errorCode"] == "transfer.insufficient_funds"
    assert talk("PUT", f"/v1/transfers/{poor['id']}/cancel")[1]["status"] == "cancelled"
    assert talk("POST", pay, {"type": "BALANCE"})[1]["errorCode"] == "transfer.cancelled"
    assert [row["status"] for row in talk("GET", "/v1/transfers?limit=1&offset=0")[1]] == ["cancelled"]
    assert len(talk.paid()) == 1
