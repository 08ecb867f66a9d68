"""The stand-in for Tremendous: orders, the external_id that brings the first one back, deliveries, refusals, webhooks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from integrations.sandbox.tremendous import Tremendous
from referrals.lib import clock
from referrals.lib.http import HttpError
from referrals.lib.signing import hmac_hex
from tests.integrations.sandbox.talking import NOON, Talk, minor_of


@pytest.fixture
def talk() -> Talk:
    return Talk(Tremendous(), "https://testflight.tremendous.com/api/v2", {"webhook_key": "key"})


def order(external_id: str, minor: int = 1550, method: str = "EMAIL", **changes: Any) -> dict[str, Any]:
    """The body of POST /orders."""
    reward = {
        "value": {"denomination": minor / 100, "currency_code": "USD"},
        "recipient": {"name": "Asha", "email": "asha@example.com"},
        "products": ["OKMHM2X2OHYV"],
        "delivery": {"method": method},
    } | changes
    return {"external_id": external_id, "payment": {"funding_source_id": "balance"}, "reward": reward}


def test_an_order_is_paid_once_and_comes_back_by_its_external_id(talk: Talk) -> None:
    with clock.at(NOON):
        status, first = talk("POST", "/orders", order("rw_1"))
        again, same = talk("POST", "/orders", order("rw_1"))
        other, error = talk("POST", "/orders", order("rw_1", 1600))
        assert (status, again, other) == (200, 201, 409)
        assert first["order"]["id"] == same["order"]["id"]
        assert first["order"]["status"] == "EXECUTED"
        assert first["order"]["payment"]["total"] == 15.5
        assert error["errors"]["message"] == "external_id was used for another order"
        assert talk("GET", "/orders/rw_1")[1]["order"]["id"] == first["order"]["id"]
        assert talk("GET", "/orders/nobody")[0] == 404
        reward = first["order"]["rewards"][0]["id"]
        assert talk("GET", f"/rewards/{reward}")[1]["reward"]["delivery"]["status"] == "SUCCEEDED"
        assert talk.paid() == [("rw_1", "asha@example.com", 1550, False)]
        talk.stand_in.advance()
        events = [event["event"] for event, _body, _headers in talk.got]
        assert sorted(events) == ["ORDERS.CREATED", "REWARDS.DELIVERY.SUCCEEDED"]
        _event, body, headers = talk.got[0]
        assert headers["Tremendous-Webhook-Signature"] == "sha256=" + hmac_hex(b"key", body)
        assert talk("POST", f"/rewards/{reward}/cancel")[0] == 200
        assert talk("POST", f"/rewards/{reward}/cancel")[0] == 422
    assert talk.paid() == [("rw_1", "asha@example.com", 1550, True)]


def test_a_link_is_given_once_and_made_again_on_demand(talk: Talk) -> None:
    _status, made = talk("POST", "/orders", order("rw_1", method="LINK"))
    reward = made["order"]["rewards"][0]
    assert reward["delivery"]["link"].startswith("https://testflight.tremendous.com/")
    assert "link" not in talk("GET", f"/rewards/{reward['id']}")[1]["reward"]["delivery"]
    assert talk("POST", f"/rewards/{reward['id']}/generate_link")[1]["reward"]["link"] == reward["delivery"]["link"]
    talk.stand_in.advance()
    assert [event["event"] for event, _body, _headers in talk.got] == ["ORDERS.CREATED"]


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("insufficient_funds", 402, "The funding source has not enough funds"),
        ("bad_recipient", 422, "recipient email is invalid"),
        ("wrong_currency", 422, "currency_code is not supported by the products"),
        ("key_revoked", 401, "Unauthorized"),
        ("down", 500, "Internal server error"),
        ("busy", 429, "Too many requests"),
    ],
)
def test_refusals_pay_nothing(talk: Talk, name: str, status: int, words: str) -> None:
    found, answer = talk("POST", "/orders", order("rw_1", minor_of(name)))
    assert (found, answer["errors"]["message"]) == (status, words)
    assert talk.paid() == []
    assert talk("GET", "/orders/rw_1")[0] == 404


def test_what_is_unknown_is_found_by_looking_it_up(talk: Talk) -> None:
    with pytest.raises(HttpError):
        talk("POST", "/orders", order("before", minor_of("lost_before")))
    with pytest.raises(HttpError):
        talk("POST", "/orders", order("after", minor_of("lost_after")))
    assert [talk("GET", f"/orders/{name}")[0] for name in ("before", "after")] == [404, 200]
    assert [talk("POST", "/orders", order(name, minor_of(f"lost_{name}")))[0] for name in ("before", "after")] == [
        200,
        201,
    ]
    assert [row[0] for row in talk.paid()] == ["after", "before"]


def test_a_slow_order_is_approved_after_three_days_and_a_declined_one_fails(talk: Talk) -> None:
    with clock.at(NOON):
        assert talk("POST", "/orders", order("slow", 6601))[1]["order"]["status"] == "PENDING APPROVAL"
        assert talk("POST", "/orders", order("no", minor_of("declined")))[1]["order"]["status"] == "FAILED"
        assert talk.paid() == []
    with clock.at(NOON + timedelta(days=3)):
        assert talk("GET", "/orders/slow")[1]["order"]["status"] == "EXECUTED"
        assert talk("GET", "/orders/no")[1]["order"]["status"] == "FAILED"
    assert talk.paid() == [("slow", "asha@example.com", 6601, False)]
