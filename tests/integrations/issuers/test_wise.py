"""Paying through Wise, step by step against its stand-in: a lost answer at each step, every refusal, every state of a transfer
(RELIABILITY section 4)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integrations import registry
from integrations.answers import json_of, moment_of, money_of, wait_of
from integrations.base import Account, Found, ProviderError
from integrations.providers.wise import transfers
from integrations.providers.wise.issuer import ISSUER, recent
from integrations.providers.wise.recipients import kind_of, recipient
from integrations.sandbox.base import StandIn
from integrations.sandbox.base import money_of as money_at
from integrations.sandbox.state import Memory
from integrations.sandbox.wise import Wise
from referrals.lib import clock
from referrals.lib.http import Answer, HttpError
from referrals.lib.money import Money
from rewards.orders import Order, Outcome
from tests.integrations.sandbox.talking import NOON, minor_of

IBAN = {"holder": "Asha Lindqvist", "iban": "DE89370400440532013000"}
SECRETS = {"api_token": "stand-in-token-of-halden", "profile_id": "16556786"}


def order_of(minor: int = 1500, **changes: Any) -> Order:
    """A payout of 15 euros to Asha's account."""
    made = Order(
        payout_id=1, public_id="po_1", key="po_1", number=1, method="wise", account="con_1", amount=Money(minor, "EUR"),
        email="asha@example.com", name="Asha", address=IBAN["iban"], note="", reference="", rewards=("rw_1",), is_test=True,
        called_at=NOON, first_call=True, merchant="Halden Coffee Roasters", details=IBAN,
    )  # fmt: skip
    return replace(made, **changes)


class Wire:
    """The way to a stand-in, on which one answer may be lost or changed; what was asked is kept."""

    def __init__(self) -> None:
        self.stand_in = StandIn(Wise(), Memory(), SECRETS)
        self.asked: list[tuple[str, str]] = []
        self.change: Callable[[str, str], Answer | Exception | None] = lambda method, path: None
        self.account = Account(SECRETS, {}, self.send)

    def send(self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: Any = None) -> Answer:
        path = url.removeprefix("https://api.wise-sandbox.com").partition("?")[0]
        self.asked.append((method, path))
        changed = self.change(method, path)
        if isinstance(changed, Exception):
            if isinstance(changed, HttpError) and changed.sent:
                self.stand_in.send(method, url, headers=headers, body=body)
            raise changed
        return changed or self.stand_in.send(method, url, headers=headers, body=body)

    def paid(self) -> list[tuple[str, int, bool]]:
        """Recipient, minor units and whether it is back, of all that left."""
        return [(row.to, row.money.minor, row.is_back) for row in money_at(self.stand_in.state)]

    def lose(self, end: str, *, sent: bool = True) -> None:
        """The answer to the first call whose path ends so is lost."""
        left = [HttpError("No answer: ReadTimeout.", retry=True, sent=sent)]

        def change(method: str, path: str) -> Exception | None:
            return left.pop() if left and method != "GET" and path.endswith(end) else None

        self.change = change

    def say(self, end: str, status: int, body: Any = None, **headers: str) -> None:
        """The call whose path ends so is answered like this."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, content)
        self.change = lambda method, path: answer if path.endswith(end) else None


@pytest.fixture
def wire() -> Wire:
    return Wire()


# --- one payout, step by step ---


@pytest.mark.parametrize("end", ["/accounts", "/quotes", "/transfers", "/payments"])
def test_a_lost_answer_at_any_step_pays_once(wire: Wire, end: str) -> None:
    wire.lose(end)
    with clock.at(NOON), pytest.raises(HttpError):
        ISSUER.send(order_of(), wire.account)
    with clock.at(NOON):
        again = order_of(first_call=False, number=2)
        found = ISSUER.check(again, wire.account)
        if end == "/payments":
            assert found is not None
            assert (found.state, found.reference[:1]) == ("paid", "5")
        else:
            assert found is None
            outcome = ISSUER.send(again, wire.account)
            assert (outcome.state, outcome.reference[:1]) == ("sent", "5")
            assert ISSUER.check(replace(again, reference=outcome.reference), wire.account) == replace(
                outcome, state="paid"
            )
    assert wire.paid() == [("DE89370400440532013000", 1500, False)]


def test_a_broken_connection_in_the_middle_leaves_an_unknown_outcome(wire: Wire) -> None:
    wire.lose("/accounts", sent=False)
    with pytest.raises(HttpError) as first:
        ISSUER.send(order_of(), wire.account)
    assert not first.value.sent  # nothing was there before: it is as if it had not been tried
    wire.lose("/quotes", sent=False)
    assert ISSUER.send(order_of(), wire.account).state == "unknown"
    assert wire.paid() == []


def test_what_is_asked_of_wise(wire: Wire) -> None:
    with clock.at(NOON):
        assert ISSUER.send(order_of(), wire.account) == Outcome("sent", wire.stand_in.state.each("transfer")[0][0])
    assert [path.rpartition("/")[2] for _method, path in wire.asked] == ["accounts", "quotes", "transfers", "payments"]
    made = wire.stand_in.state.each("transfer")[0][1]
    assert made["customerTransactionId"] == transfers.name_of("po_1")
    assert uuid.UUID(made["customerTransactionId"]).version == 5
    assert (made["reference"], made["source"], made["target"]) == ("Halden Coffee Roas", "EUR", "EUR")


def test_it_is_paid_from_the_balance_that_was_chosen(wire: Wire) -> None:
    ISSUER.send(order_of(), replace(wire.account, settings={"source_currency": "GBP"}))
    assert wire.stand_in.state.each("transfer")[0][1]["source"] == "GBP"


def test_a_balance_without_enough_money_leaves_nothing_behind(wire: Wire) -> None:
    short = order_of(minor_of("insufficient_funds"))
    outcome = ISSUER.send(short, wire.account)
    assert (outcome.state, outcome.reason) == ("failed", "waiting_for_funds")
    assert outcome.message == "There is not enough money in your balance at Wise. Add money there, then try again."
    assert [row["status"] for _name, row in wire.stand_in.state.each("transfer")] == ["cancelled"]
    wire.lose("/cancel")
    with clock.at(NOON):
        with pytest.raises(HttpError):
            ISSUER.send(replace(short, key="po_2"), wire.account)
        later = ISSUER.check(replace(short, key="po_2", first_call=False), wire.account)
    assert later is not None
    assert later.state == "failed"
    assert wire.paid() == []


def test_where_a_person_has_to_approve_it_is_said_and_cancelled(wire: Wire) -> None:
    wire.say("/payments", 403, {"message": "You are forbidden to send this request"}, x_2fa_approval="one-time-token")
    outcome = ISSUER.send(order_of(), wire.account)
    assert (outcome.state, outcome.reason) == ("failed", "provider_rejected")
    assert outcome.message.startswith("Wise wants a person to approve each payment (strong customer authentication")
    assert [row["status"] for _name, row in wire.stand_in.state.each("transfer")] == ["cancelled"]


@pytest.mark.parametrize(
    ("end", "status", "body", "state", "reason", "words"),
    [
        ("/accounts", 400, {"errors": [{"message": "Invalid IBAN"}]}, "failed", "waiting_for_recipient", "Invalid IBAN."),
        ("/accounts", 401, {}, "failed", "provider_rejected", "Make a new one at Wise"),
        ("/accounts", 403, {}, "failed", "provider_rejected", "needs full access"),
        ("/accounts", 200, b"<!doctype html>", "unknown", "provider_rejected", "can't be read"),
        ("/accounts", 200, {"id": "x"}, "unknown", "provider_rejected", "can't be read"),
        ("/quotes", 422, {"errors": [{"message": "No such route"}]}, "failed", "provider_rejected", "No such route."),
        ("/quotes", 200, {"id": "q", "targetAmount": 14.99, "targetCurrency": "EUR"}, "ask", "provider_rejected", "another amount"),
        ("/quotes", 500, {}, "unknown", "provider_rejected", "it answered 500"),
        ("/transfers", 409, {}, "unknown", "provider_rejected", "it answered 409"),
        ("/transfers", 200, [], "unknown", "provider_rejected", "can't be read"),
        ("/transfers", 200, {"id": 5, "status": "new_state"}, "unknown", "provider_rejected", "new_state"),
        ("/payments", 200, {"status": "MAYBE"}, "unknown", "provider_rejected", "can't be read"),
        ("/payments", 401, {}, "unknown", "provider_rejected", "Make a new one at Wise"),
        ("/payments", 404, {}, "unknown", "provider_rejected", "tried again"),
        ("/payments", 200, {"status": "REJECTED", "errorCode": "closed"}, "failed", "provider_rejected", "balance: closed."),
    ],
)  # fmt: skip
def test_every_answer_has_its_outcome(
    wire: Wire, end: str, status: int, body: Any, state: str, reason: str, words: str
) -> None:
    wire.say(end, status, body)
    outcome = ISSUER.send(order_of(), wire.account)
    assert (outcome.state, outcome.reason) == (state, reason)
    assert words in outcome.message
    assert "  " not in outcome.message
    assert wire.paid() == []


def test_what_is_refused_later_is_not_taken_for_nothing(wire: Wire) -> None:
    wire.say("/accounts", 401, {})
    assert ISSUER.send(order_of(first_call=False), wire.account).state == "unknown"
    wire.say("/transfers", 401, {})
    with pytest.raises(ProviderError, match="can't be asked: it answered 401"):
        ISSUER.check(order_of(first_call=False), wire.account)


def test_wise_says_how_long_to_wait(wire: Wire) -> None:
    wire.say("/quotes", 429, {}, retry_after="17")
    assert ISSUER.send(order_of(), wire.account) == Outcome(
        "unknown", "", "Wise asks us to wait: too many requests.", wait=17
    )


def test_an_address_that_can_not_get_the_currency_waits_for_the_recipient(wire: Wire) -> None:
    wrong: list[dict[str, Any]] = [
        {"amount": Money(1500, "USD")},
        {"details": {"address": "asha@example.com"}},
        {"details": {}},
    ]
    for changes in wrong:
        outcome = ISSUER.send(order_of(**changes), wire.account)
        assert (outcome.state, outcome.reason) == ("failed", "waiting_for_recipient")
    assert wire.asked == []


@pytest.mark.parametrize(
    ("details", "currency", "type_", "of"),
    [
        ({"holder": "Asha L", "email": "asha@example.com"}, "EUR", "email", {"email": "asha@example.com"}),
        (
            {"holder": "Asha L", "sort_code": "601613", "account_number": "31926819"},
            "GBP",
            "sort_code",
            {"legalType": "PRIVATE", "sortCode": "601613", "accountNumber": "31926819"},
        ),
        (
            {
                "holder": "Asha L", "routing_number": "111000025", "account_number": "12345678", "account_type": "CHECKING",
                "street": "1 Main Street", "city": "Gotham", "state": "CA", "zip": "90210",
            },
            "USD",
            "aba",
            {
                "legalType": "PRIVATE", "abartn": "111000025", "accountNumber": "12345678", "accountType": "CHECKING",
                "address": {"country": "US", "firstLine": "1 Main Street", "city": "Gotham", "state": "CA", "postCode": "90210"},
            },
        ),
    ],
)  # fmt: skip
def test_each_kind_of_payout_address_in_wise_s_words(
    details: dict[str, str], currency: str, type_: str, of: dict[str, Any]
) -> None:
    sent: list[Any] = []

    def send(method: str, url: str, *, headers: Mapping[str, str] | None = None, body: Any = None) -> Answer:
        sent.append(json.loads(body))
        return Answer(500, {}, b"")

    ISSUER.send(order_of(amount=Money(1500, currency), details=details), Account(SECRETS, {}, send))
    assert sent == [
        {
            "profile": 16556786,
            "accountHolderName": "Asha L",
            "currency": currency,
            "type": type_,
            "ownedByCustomer": False,
            "details": of,
        }
    ]


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("Łukasz Dvořák", "Lukasz Dvorák"),
        ("Zoë Müller-Ørsted", "Zoë Müller-Ørsted"),
        ("Ştefan Çelik", "Stefan Çelik"),
        ("Đorđe Œuvrard", "Dorde OEuvrard"),
        ("Анна Иванова", "Анна Иванова"),
    ],
)
def test_names_are_written_in_the_letters_that_wise_takes(typed: str, name: str) -> None:
    details = {**IBAN, "holder": typed}
    kind = kind_of(details)
    assert kind is not None
    assert recipient(details, kind=kind, currency="EUR", profile=1)["accountHolderName"] == name


def test_the_only_business_of_the_token_pays_when_no_profile_was_entered(wire: Wire) -> None:
    token = {"api_token": SECRETS["api_token"]}
    assert ISSUER.send(order_of(), replace(wire.account, secrets=token)).state == "sent"
    two = [{"type": "BUSINESS", "id": 1}, {"type": "BUSINESS", "id": 2}, {"type": "PERSONAL", "id": 3}]
    wire.say("/v2/profiles", 200, two)
    outcome = ISSUER.send(order_of(key="po_2"), replace(wire.account, secrets=token))
    assert (outcome.state, "belongs to 2 businesses" in outcome.message) == ("failed", True)
    wire.say("/v2/profiles", 503, {})
    with pytest.raises(ProviderError):
        ISSUER.check(order_of(key="po_2"), replace(wire.account, secrets=token))


@pytest.mark.parametrize(
    ("status", "state", "reason"),
    [
        ("incoming_payment_waiting", "sent", "provider_rejected"),
        ("processing", "sent", "provider_rejected"),
        ("funds_converted", "sent", "provider_rejected"),
        ("outgoing_payment_sent", "paid", "provider_rejected"),
        ("bounced_back", "sent", "provider_rejected"),
        ("funds_refunded", "failed", "waiting_for_recipient"),
        ("cancelled", "failed", "provider_rejected"),
        ("charged_back", "failed", "provider_rejected"),
        ("unknown", "unknown", "provider_rejected"),
        (None, "unknown", "provider_rejected"),
    ],
)
def test_every_state_of_a_transfer(status: str | None, state: str, reason: str) -> None:
    transfer = {"id": 50, "status": status, "targetValue": 15, "targetCurrency": "EUR"}
    outcome = transfers.read(transfer, order_of())
    assert (outcome.state, outcome.reason) == (state, reason)


def test_another_amount_is_for_a_person_to_look_at() -> None:
    for value, currency in ((14.99, "EUR"), (15, "GBP"), (None, "EUR"), (True, "EUR"), ("x", "EUR")):
        outcome = transfers.read(
            {"id": 50, "status": "processing", "targetValue": value, "targetCurrency": currency}, order_of()
        )
        assert (outcome.state, outcome.reference) == ("ask", "50")


def test_numbers_times_and_waits_are_read_exactly() -> None:
    assert money_of(json_of(Answer(200, {}, b"[15.10]"))[0], "eur") == Money(1510, "EUR")
    assert money_of(15.10, "EUR") is None
    assert [money_of(value, "JPY") for value in (100, "1.5", None, -1)] == [Money(100, "JPY"), None, None, None]
    assert moment_of("2026-11-21 10:00:00") == datetime(2026, 11, 21, 10, tzinfo=UTC)
    assert moment_of("2026-11-21T10:00:00+01:00") == datetime(2026, 11, 21, 9, tzinfo=UTC)
    assert [moment_of(value) for value in (None, "soon", 7)] == [None, None, None]
    assert [wait_of(Answer(429, {"retry-after": text}, b"")) for text in ("7", "99999999", "", "soon", "-1")] == [
        7,
        86400,
        0,
        0,
        0,
    ]
    assert json_of(Answer(200, {}, b"\xff")) is None


def test_what_wise_paid_lately(wire: Wire) -> None:
    with clock.at(NOON):
        sent = ISSUER.send(order_of(), wire.account)
        ISSUER.send(order_of(minor_of("insufficient_funds"), key="po_2"), wire.account)
    with clock.at(NOON + timedelta(hours=2)):
        ISSUER.send(order_of(key="po_3"), wire.account)
        test = replace(wire.account, is_test=True)
        found = list(recent(test, NOON - timedelta(hours=1), NOON + timedelta(hours=1)))
    assert found[-1] == Found(transfers.name_of("po_1"), sent.reference, Money(1500, "EUR"), "paid", NOON)
    assert [row.state for row in found] == ["failed", "paid"]
    assert registry.key_name("wise", "po_1") == transfers.name_of("po_1")
    assert registry.key_name("razorpayx_upi", "po_1") == "po_1"
    # The merchant's own transfers are none of ours.
    assert not transfers.is_ours({"customerTransactionId": "54a6bc09-cef9-49a8-9041-f1f0c654cd88"})
    assert not transfers.is_ours({})
