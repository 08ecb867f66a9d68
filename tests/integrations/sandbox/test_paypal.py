"""The stand-in for PayPal Payouts: batches, items with lives of their own, ids that are refused for 30 days, signed webhooks."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from integrations.sandbox.paypal import PayPal
from referrals.lib import clock
from referrals.lib.http import HttpError
from tests.integrations.sandbox.talking import NOON, Talk, basic, minor_of

PAYOUTS = "/v1/payments/payouts"


@pytest.fixture
def talk() -> Talk:
    return Talk(
        PayPal(),
        "https://api-m.sandbox.paypal.com",
        {"webhook_id": "8PT597110X687430L"},
        {"Authorization": "Bearer A21AA"},
    )


def batch(name: str, *minors: int) -> dict[str, Any]:
    """The body of POST payouts, one item for each amount."""
    items = [
        {
            "recipient_type": "EMAIL",
            "amount": {"value": f"{minor // 100}.{minor % 100:02}", "currency": "USD"},
            "receiver": f"p{number}@example.com",
            "sender_item_id": f"{name}-{number}",
            "note": "Thank you",
        }
        for number, minor in enumerate(minors)
    ]
    return {"sender_batch_header": {"sender_batch_id": name, "email_subject": "You earned it"}, "items": items}


def _items(talk: Talk, batch_id: str) -> list[tuple[str, str]]:
    found = talk("GET", f"{PAYOUTS}/{batch_id}")[1]["items"]
    return [(row["transaction_status"], row.get("errors", {}).get("name", "")) for row in found]


def test_a_token_comes_for_the_client_s_id_and_secret(talk: Talk) -> None:
    status, token = talk("POST", "/v1/oauth2/token", None, **basic("id", "secret"))
    assert (status, token["token_type"], token["expires_in"]) == (200, "Bearer", 32400)
    assert talk("POST", "/v1/oauth2/token", None, **basic("revoked", "secret"))[0] == 401
    assert talk("POST", "/v1/oauth2/token", None, Authorization="Basic ***")[0] == 401


def test_a_batch_is_processed_and_each_item_says_what_became_of_it(talk: Talk) -> None:
    names = ("bad_recipient", "account_closed", "limit_exceeded", "unclaimed", "returned", "reversed", "slow")
    with clock.at(NOON):
        status, made = talk("POST", PAYOUTS, batch("b1", 1500, *map(minor_of, names)))
        assert (status, made["batch_header"]["batch_status"]) == (201, "PENDING")
        batch_id = made["batch_header"]["payout_batch_id"]
        found = talk("GET", f"{PAYOUTS}/{batch_id}?page_size=3&page=1")[1]
        assert (found["batch_header"]["batch_status"], found["total_items"], found["total_pages"]) == ("SUCCESS", 8, 3)
        assert len(found["items"]) == 3
        assert _items(talk, batch_id) == [
            ("SUCCESS", ""),
            ("UNCLAIMED", "RECEIVER_UNREGISTERED"),
            ("FAILED", "RECEIVER_ACCOUNT_LOCKED"),
            ("FAILED", "RECEIVING_LIMIT_EXCEEDED"),
            ("UNCLAIMED", "RECEIVER_UNREGISTERED"),
            ("SUCCESS", ""),
            ("SUCCESS", ""),
            ("PENDING", ""),
        ]
    with clock.at(NOON + timedelta(days=31)):
        statuses = [status for status, _name in _items(talk, batch_id)]
    assert statuses == ["SUCCESS", "RETURNED", "FAILED", "FAILED", "RETURNED", "REFUNDED", "REVERSED", "SUCCESS"]
    assert [(row[0], row[2], row[3]) for row in talk.paid()] == [
        ("b1-0", 1500, False),
        ("b1-1", 6611, True),
        ("b1-4", 6602, True),
        ("b1-5", 6603, True),
        ("b1-6", 6604, True),
        ("b1-7", 6601, False),
    ]


def test_a_batch_s_id_is_refused_for_thirty_days_and_then_pays_again(talk: Talk) -> None:
    with clock.at(NOON):
        _status, made = talk("POST", PAYOUTS, batch("b1", 1500))
        status, error = talk("POST", PAYOUTS, batch("b1", 1500))
        talk.stand_in.advance()
    assert (status, error["name"]) == (400, "USER_BUSINESS_ERROR")
    assert error["links"][0]["href"].endswith(f"{PAYOUTS}/{made['batch_header']['payout_batch_id']}")
    with clock.at(NOON + timedelta(days=30)):
        assert talk("POST", PAYOUTS, batch("b1", 1500))[0] == 201
        talk.stand_in.advance()
    assert [row[0] for row in talk.paid()] == ["b1-0", "b1-0"]


def test_without_funds_the_whole_batch_is_denied(talk: Talk) -> None:
    _status, made = talk("POST", PAYOUTS, batch("b1", 1500, minor_of("insufficient_funds")))
    found = talk("GET", f"{PAYOUTS}/{made['batch_header']['payout_batch_id']}")[1]
    assert found["batch_header"]["batch_status"] == "DENIED"
    assert [row["errors"]["name"] for row in found["items"]] == ["INSUFFICIENT_FUNDS", "INSUFFICIENT_FUNDS"]
    assert talk.paid() == []


def test_an_unknown_outcome_is_known_by_sending_the_same_again(talk: Talk) -> None:
    for name in ("lost_before", "lost_after"):
        with pytest.raises(HttpError):
            talk("POST", PAYOUTS, batch(name, 1500, minor_of(name)))
    assert [talk("POST", PAYOUTS, batch(name, 1500, minor_of(name)))[0] for name in ("lost_before", "lost_after")] == [
        201,
        400,
    ]
    talk.stand_in.advance()
    assert sorted(row[0] for row in talk.paid()) == ["lost_after-0", "lost_after-1", "lost_before-0", "lost_before-1"]


def test_webhooks_name_the_item_and_only_their_own_signature_verifies(talk: Talk) -> None:
    talk("POST", PAYOUTS, batch("b1", 1500))
    talk.stand_in.advance()
    assert sorted(event["event_type"] for event, _body, _headers in talk.got) == [
        "PAYMENT.PAYOUTS-ITEM.SUCCEEDED",
        "PAYMENT.PAYOUTSBATCH.SUCCESS",
    ]
    event, _body, headers = next(row for row in talk.got if row[0]["resource_type"] == "payouts_item")
    assert event["resource"]["payout_item"]["sender_item_id"] == "b1-0"
    asked = {
        "transmission_id": headers["PAYPAL-TRANSMISSION-ID"],
        "transmission_time": headers["PAYPAL-TRANSMISSION-TIME"],
        "transmission_sig": headers["PAYPAL-TRANSMISSION-SIG"],
        "cert_url": headers["PAYPAL-CERT-URL"],
        "auth_algo": headers["PAYPAL-AUTH-ALGO"],
        "webhook_id": "8PT597110X687430L",
        "webhook_event": event,
    }
    tampered = json.loads(json.dumps(event).replace('"15.00"', '"99.00"'))
    outcomes = [
        talk("POST", "/v1/notifications/verify-webhook-signature", {**asked, **changes})[1]["verification_status"]
        for changes in ({}, {"webhook_event": tampered}, {"webhook_id": "8PT597110X687430M"}, {"transmission_sig": "x"})
    ]
    assert outcomes == ["SUCCESS", "FAILURE", "FAILURE", "FAILURE"]


def test_only_what_is_unclaimed_can_be_cancelled(talk: Talk) -> None:
    _status, made = talk("POST", PAYOUTS, batch("b1", 1500, minor_of("unclaimed")))
    good, unclaimed = talk("GET", f"{PAYOUTS}/{made['batch_header']['payout_batch_id']}")[1]["items"]
    path = "/v1/payments/payouts-item"
    assert talk("POST", f"{path}/{good['payout_item_id']}/cancel")[0] == 400
    assert talk("POST", f"{path}/{unclaimed['payout_item_id']}/cancel")[1]["transaction_status"] == "RETURNED"
    assert talk("POST", f"{path}/nobody/cancel")[0] == 404
    assert [row[3] for row in talk.paid()] == [False, True]


@pytest.mark.parametrize(
    "wrong", [{}, {"items": []}, batch("b", 0), {"items": [{"amount": {"value": "1e3", "currency": "USD"}}]}]
)
def test_a_batch_that_is_wrong_is_refused_whole(talk: Talk, wrong: dict[str, Any]) -> None:
    assert talk("POST", PAYOUTS, wrong)[1]["name"] == "VALIDATION_ERROR"
    assert talk("GET", f"{PAYOUTS}/x?page=junk")[0] == 404
