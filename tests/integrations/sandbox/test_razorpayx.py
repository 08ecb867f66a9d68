"""The stand-in for RazorpayX: a mandatory key that holds, the states of a payout, and its webhooks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from integrations.sandbox.razorpayx import RazorpayX
from referrals.lib import clock
from referrals.lib.signing import hmac_hex
from tests.integrations.sandbox.talking import NOON, Talk, basic, minor_of


@pytest.fixture
def talk() -> Talk:
    return Talk(RazorpayX(), "https://api.razorpay.com/v1", {"webhook_secret": "key"}, basic("rzp_test_1", "secret"))


def payout(reference: str, minor: int = 150_000, **changes: Any) -> dict[str, Any]:
    """The body of the composite call."""
    contact = {"name": "Asha", "email": "asha@example.com", "type": "customer", "reference_id": "p_asha"}
    return {
        "account_number": "7878780080316316",
        "amount": minor,
        "currency": "INR",
        "mode": "UPI",
        "purpose": "cashback",
        "fund_account": {"account_type": "vpa", "vpa": {"address": "asha@exampleupi"}, "contact": contact},
        "queue_if_low_balance": False,
        "reference_id": reference,
        "narration": "Halden Coffee",
        "notes": {"reward": reference},
    } | changes


def _post(talk: Talk, key: str, body: dict[str, Any]) -> tuple[int, Any]:
    return talk("POST", "/payouts", body, **{"X-Payout-Idempotency": key})


def test_a_payout_is_made_once_for_its_key(talk: Talk) -> None:
    status, first = _post(talk, "key-0001", payout("rw_1"))
    assert (status, first["status"], first["fund_account"]["vpa"]) == (
        200,
        "processing",
        {"address": "asha@exampleupi"},
    )
    again, same = _post(talk, "key-0001", payout("rw_1"))
    assert (again, same["id"], same["status"]) == (200, first["id"], "processed")
    status, error = _post(talk, "key-0001", payout("rw_1", 200))
    assert (status, error["error"]["description"]) == (
        400,
        "Different request body sent for the same Idempotency Header",
    )
    assert talk("GET", f"/payouts/{first['id']}")[1]["status_details"]["reason"] == "payout_processed"
    found = talk("GET", "/payouts?account_number=7878780080316316&reference_id=rw_1")[1]
    assert (found["count"], found["items"][0]["id"]) == (1, first["id"])
    assert talk("GET", "/payouts?reference_id=rw")[1]["count"] == 0
    assert talk.paid() == [("rw_1", "asha@exampleupi", 150_000, False)]
    talk.stand_in.advance()
    assert sorted(event["event"] for event, _body, _headers in talk.got) == ["payout.initiated", "payout.processed"]
    _event, body, headers = talk.got[0]
    assert headers["X-Razorpay-Signature"] == hmac_hex(b"key", body)


@pytest.mark.parametrize(
    ("key", "changes", "field"),
    [
        ("", {}, "x-payout-idempotency"),
        ("abc", {}, "x-payout-idempotency"),
        ("key-1", {"account_number": None}, "account_number"),
        ("key-1", {"amount": 99}, "amount"),
        ("key-1", {"currency": "USD"}, "currency"),
        ("key-1", {"mode": "upi"}, "mode"),
        ("key-1", {"narration": "Thank you!"}, "narration"),
        ("key-1", {"reference_id": "x" * 41}, "reference_id"),
        ("key-1", {"fund_account": {}}, "fund_account"),
        ("key-1", {"amount": minor_of("insufficient_funds")}, "amount"),
    ],
)
def test_what_is_wrong_is_refused_and_pays_nothing(talk: Talk, key: str, changes: dict[str, Any], field: str) -> None:
    status, error = _post(talk, key, payout("rw_1", **changes))
    assert (status, error["error"]["field"]) == (400, field)
    assert talk("GET", "/payouts")[1]["count"] == 0
    assert talk.paid() == []


@pytest.mark.parametrize(
    ("name", "status", "reason", "is_back"),
    [
        ("bad_recipient", "failed", "beneficiary_vpa_invalid", None),
        ("account_closed", "failed", "bank_account_invalid", None),
        ("declined", "failed", "beneficiary_bank_offline", None),
        ("reversed", "reversed", "payout_reversed", True),
        ("slow", "processed", "payout_processed", False),
    ],
)
def test_how_a_payout_ends(talk: Talk, name: str, status: str, reason: str, is_back: bool | None) -> None:
    with clock.at(NOON):
        made = _post(talk, "key-0001", payout("rw_1", minor_of(name)))[1]
        assert made["status"] == "processing"
    with clock.at(NOON + timedelta(days=3)):
        found = talk("GET", f"/payouts/{made['id']}")[1]
        talk.stand_in.advance()
    assert (found["status"], found["status_details"]["reason"]) == (status, reason)
    assert [row[3] for row in talk.paid()] == ([] if is_back is None else [is_back])
    assert f"payout.{status}" in [event["event"] for event, _body, _headers in talk.got]


def test_what_is_queued_for_lack_of_money_can_be_cancelled(talk: Talk) -> None:
    body = payout("rw_1", minor_of("insufficient_funds"), queue_if_low_balance=True)
    made = _post(talk, "key-0001", body)[1]
    assert (made["status"], made["status_details"]["reason"]) == ("queued", "low_balance")
    assert talk("POST", f"/payouts/{made['id']}/cancel")[1]["status"] == "cancelled"
    assert talk("POST", f"/payouts/{made['id']}/cancel")[0] == 400
    assert talk.paid() == []
