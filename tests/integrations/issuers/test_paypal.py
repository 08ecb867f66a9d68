"""Paying through PayPal against its stand-in: each amount's fate, batches with items of several fates, every answer in words, and messages
in any order (issue 6, parts 2 and 7; RELIABILITY section 4)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from integrations import methods
from integrations import payouts as carrier
from integrations.base import Account
from integrations.models import InboundEvent
from integrations.providers.paypal import client, words
from integrations.providers.paypal.client import PayPalError
from integrations.providers.paypal.issuer import ISSUER, body_of, obstacle, read_item
from integrations.sandbox.base import StandIn, money_of
from integrations.sandbox.paypal import PayPal
from integrations.sandbox.state import Memory
from referrals.lib import clock
from referrals.lib.http import Answer, HttpError
from referrals.lib.money import Money
from rewards.models import LedgerEntry, Payout, PayoutBatch, PayoutShipment, Reward
from rewards.orders import Order, Outcome, Shipment
from rewards.payout_guards import fund_batch
from rewards.verify import differences
from tests.factories import ACTOR, Cast
from tests.integrations.issuers.paying import Story
from tests.integrations.issuers.story import PAID_ONCE
from tests.integrations.sandbox.talking import NOON, minor_of

SECRETS = {"client_id": "A" * 24, "client_secret": "E" * 24, "webhook_id": "8PT597110X687430LKGECATA"}
SHIPMENT = Shipment(1, "ps_1", 1, "", NOON, first_call=True)
AGAIN = replace(SHIPMENT, number=2, first_call=False)


def order_of(number: int = 1, minor: int = 1500, currency: str = "USD", **changes: Any) -> Order:
    """A payout to one of several people."""
    made = Order(
        payout_id=number, public_id=f"po_{number}", key=f"po_{number}", number=1, method="paypal", account="con_1",
        amount=Money(minor, currency), email="asha@example.com", name="Asha Rao", address=f"p{number}@example.com", note="Internal.",
        reference="", rewards=("rw_1",), is_test=True, called_at=NOON, first_call=True, merchant="Halden Coffee",
    )  # fmt: skip
    return replace(made, **changes)


class Wire:
    """The way to a stand-in; what was asked is kept, and an answer may be put in its place."""

    def __init__(self, **secrets: str) -> None:
        client._TOKENS.clear()
        self.stand_in = StandIn(PayPal(), Memory(), SECRETS)
        self.asked: list[tuple[str, str, Any, Mapping[str, str]]] = []
        self.answers: list[Answer | HttpError] = []
        self.account = Account({**SECRETS, **secrets}, {}, self.send, True)

    def send(self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: Any = None) -> Answer:
        self.asked.append((method, url, body, headers or {}))
        if self.answers and not url.endswith("token"):
            answer = self.answers.pop(0)
            if isinstance(answer, HttpError):
                raise answer
            return answer
        return self.stand_in.send(method, url, headers=headers, body=body)

    def say(self, status: int, body: Any, **headers: str) -> None:
        """The next question is answered like this."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answers.append(Answer(status, {name.replace("_", "-"): text for name, text in headers.items()}, content))

    def calls(self) -> list[tuple[str, str]]:
        """Method and path of each request."""
        return [(method, url.removeprefix("https://api-m.sandbox.paypal.com")) for method, url, *_rest in self.asked]


@pytest.fixture
def wire() -> Wire:
    return Wire()


# --- through the whole machine ---


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "statuses", "reward", "paid", "says"),
    [
        ("plain", ["paid"], ("issued", ""), [0], ""),
        ("slow", ["sent"], ("issued", ""), [], "working on it"),
        ("unclaimed", ["sent"], ("issued", ""), [0], "comes back after 30 days"),
        ("bad_recipient", ["sent"], ("issued", ""), [0], "no PayPal account with this address"),
        ("account_closed", ["failed"], ("waiting", "waiting_for_recipient"), [], "locked or closed"),
        ("wrong_currency", ["failed"], ("waiting", "waiting_for_recipient"), [], "RECEIVER_COUNTRY_NOT_ALLOWED"),
        ("limit_exceeded", ["failed"], ("waiting", "waiting_for_recipient"), [], "can't receive more"),
        ("declined", ["failed"], ("attention", "provider_rejected"), [], "because of a risk"),
        ("insufficient_funds", ["failed"], ("attention", "waiting_for_funds"), [], "too little money"),
        ("key_revoked", ["failed"], ("attention", "provider_rejected"), [], "client ID and secret"),
        *PAID_ONCE,
        ("down", ["unknown", "unknown"], ("sending", ""), [], "PayPal answered 500"),
        ("other_amount", ["needs_attention"], ("sending", ""), [-100], "instead of $66.31"),
    ],
)
def test_each_fate_has_its_state_and_its_sentence_and_money_leaves_once(
    alice: Cast, name: str, statuses: list[str], reward: tuple[str, str], paid: list[int], says: str
) -> None:
    minor = 1500 if name == "plain" else minor_of(name)
    story = Story(alice, "paypal")
    owed = due(story, minor)
    payout = story.issue("paypal", owed)
    assert (payout.batch.needs_funding, carrier.sweep()) == (True, 0)
    fund_batch(batch=payout.batch, actor=ACTOR)
    assert [again(payout) for _ in statuses] == statuses
    payout.refresh_from_db()
    owed.refresh_from_db()
    assert ((owed.state, owed.reason), says in payout.message) == (reward, True)
    assert [found - minor for found, _back in story.money()] == paid
    assert list(differences()) == []


def due(story: Story, minor: int, currency: str = "USD") -> Reward:
    return story.due(minor, "paypal", {"email": "asha.rao@example.com"}, currency)


def again(payout: Payout) -> str:
    """One more try, now."""
    PayoutShipment.objects.filter(next_attempt_at__isnull=False).update(next_attempt_at=Now() - timedelta(seconds=1))
    carrier.work(payout.pk)
    payout.refresh_from_db()
    return payout.status


def funded(story: Story, *minors: int) -> PayoutBatch:
    """A batch of these amounts to several people, whose money is at PayPal."""
    batch = story.issue("paypal", *(due(story, minor) for minor in minors)).batch
    return fund_batch(batch=batch, actor=ACTOR)


def states(batch: PayoutBatch) -> list[str]:
    return list(batch.payouts.order_by("pk").values_list("status", flat=True))


@pytest.mark.django_db
def test_one_call_pays_many_and_each_item_has_its_own_outcome(alice: Cast) -> None:
    names = ("lost_after", "declined", "unclaimed", "account_closed", "slow")
    with clock.at(NOON):
        story = Story(alice, "paypal")
        batch = funded(story, 1500, *map(minor_of, names))
        assert (carrier.sweep(), states(batch)) == (1, ["unknown"] * 6)
        assert again(batch.payouts.order_by("pk")[0]) == "paid"
    assert states(batch) == ["paid", "paid", "failed", "sent", "failed", "sent"]
    shipment = PayoutShipment.objects.get()
    assert (shipment.attempts, len(shipment.reference)) == (2, 13)
    assert [row.shipment for row in batch.payouts.all()] == [shipment] * 6
    assert sorted(minor for minor, _back in story.money()) == [1500, 6602, 6621]
    with clock.at(NOON + timedelta(days=31)):
        assert set(story.listen()) == {"payout_told"}
        assert carrier.ask() == 1
    assert states(batch) == ["paid", "paid", "failed", "failed", "failed", "paid"]
    assert [back for _minor, back in story.money()] == [False, False, True, False]
    assert Reward.objects.filter(state="waiting", reason="waiting_for_recipient").count() == 2
    assert sorted(LedgerEntry.objects.filter(kind="pay_back").values_list("amount_minor", flat=True)) == [6602]
    assert list(differences()) == []


@pytest.mark.django_db
def test_too_little_money_denies_all_of_it_and_nothing_is_paid(alice: Cast) -> None:
    story = Story(alice, "paypal")
    batch = funded(story, 1500, minor_of("insufficient_funds"))
    carrier.sweep()
    assert (states(batch), story.money()) == (["failed"] * 2, [])
    assert {(row.state, row.reason) for row in Reward.objects.all()} == {("attention", "waiting_for_funds")}


@pytest.mark.django_db
@pytest.mark.parametrize("ending", ["returned", "reversed"])
def test_money_that_comes_back_is_learnt_from_a_message_also_twice(alice: Cast, ending: str) -> None:
    with clock.at(NOON):
        story = Story(alice, "paypal")
        batch = funded(story, minor_of(ending))
        carrier.sweep()
        assert (states(batch), set(story.listen())) == (["paid"], {"payout_told"})
    with clock.at(NOON + timedelta(days=2)):
        assert story.listen() == ["payout_told"]
        assert carrier.ask() == 1
        InboundEvent.objects.update(state="received", attempts=0, next_attempt_at=clock.wall())
        story.listen()
        carrier.ask()
    assert (states(batch), story.money()) == (["failed"], [(minor_of(ending), True)])
    assert Reward.objects.get().reason == "provider_rejected"
    assert LedgerEntry.objects.filter(kind="pay_back").count() == 1
    assert list(differences()) == []


@pytest.mark.django_db
def test_a_message_before_the_answer_and_one_about_nobody(alice: Cast) -> None:
    story = Story(alice, "paypal")
    batch = funded(story, minor_of("lost_after"))
    carrier.sweep()
    assert states(batch) == ["unknown"]
    assert set(story.listen()) == {"payout_told"}  # it makes the next try come now
    assert PayoutShipment.objects.filter(next_attempt_at__lte=Now()).exists()
    assert (carrier.sweep(), states(batch), len(story.money())) == (1, ["paid"], 1)
    assert list(differences()) == []


@pytest.mark.django_db
def test_who_has_no_paypal_address_waits_and_other_currencies_are_not_offered(alice: Cast) -> None:
    story = Story(alice, "paypal")
    rewards = [due(story, 1500), story.due(150_000, "upi", {"vpa": "asha@okbank"}, "INR")]
    option = methods.find(story.side, f"paypal:{story.connection.public_id}")
    found = methods.preview(option, story.side, [row.pk for row in rewards])
    assert [row.pk for row in found.payable] == [rewards[0].pk]
    assert [why for _row, why in found.refused] == ["currency_not_payable"]


# --- what is sent, and what is made of answers ---


def test_what_is_asked_of_paypal(wire: Wire) -> None:
    orders = [order_of(1, options={"subject": "Thanks!", "note": "For Maya."}), order_of(2, 150_000)]
    sent = ISSUER.send_many(orders, wire.account, SHIPMENT)
    assert {name: found.state for name, found in sent.outcomes.items()} == {"po_1": "paid", "po_2": "paid"}
    assert wire.calls() == [
        ("POST", "/v1/oauth2/token"),
        ("POST", "/v1/payments/payouts"),
        ("GET", f"/v1/payments/payouts/{sent.reference}?page=1&page_size=250&total_required=true"),
    ]
    _method, _url, body, headers = wire.asked[1]
    item = {"recipient_type": "EMAIL", "note": "For Maya.", "recipient_wallet": "PAYPAL"}
    assert json.loads(body) == {
        "sender_batch_header": {"sender_batch_id": "ps_1", "email_subject": "Thanks!", "email_message": "For Maya."},
        "items": [
            {**item, "amount": {"value": "15.00", "currency": "USD"}, "receiver": "p1@example.com", "sender_item_id": "po_1"},
            {**item, "amount": {"value": "1500.00", "currency": "USD"}, "receiver": "p2@example.com", "sender_item_id": "po_2"},
        ],
    }  # fmt: skip
    assert (headers["PayPal-Request-Id"], headers["Authorization"][:12]) == ("ps_1", "Bearer A21AA")
    assert wire.asked[2][2] is None  # a question has no body
    # The same again: refused, and read where PayPal points to; nothing is paid twice. The token is kept.
    assert ISSUER.send_many(orders, wire.account, AGAIN) == sent
    assert [method for method, _path in wire.calls()[3:]] == ["POST", "GET"]
    assert len(money_of(wire.stand_in.state)) == 2


def test_without_options_the_business_is_named_and_whole_currencies_have_no_decimals() -> None:
    body = body_of([order_of(1, 250_000, "HUF"), order_of(2, 1200, "JPY")], "ps_1")
    assert body["sender_batch_header"] == {"sender_batch_id": "ps_1", "email_subject": "Halden Coffee has paid you"}
    assert [row["amount"]["value"] for row in body["items"]] == ["2500", "1200"]
    assert "note" not in body["items"][0]
    none: Any = None
    assert obstacle(none, Money(250_050, "HUF"), {}) == "PayPal pays HUF in whole units only."
    assert [obstacle(none, money, {}) for money in (Money(250_000, "HUF"), Money(1, "JPY"), Money(1, "USD"))] == [
        "",
        "",
        "",
    ]


def test_a_batch_of_many_pages_is_read_to_its_end(wire: Wire) -> None:
    orders = [order_of(number) for number in range(1, 302)]
    sent = ISSUER.send_many(orders, wire.account, SHIPMENT)
    assert [method for method, _path in wire.calls()] == ["POST", "POST", "GET", "GET"]
    assert {found.state for found in sent.outcomes.values()} == {"paid"}
    assert len(sent.outcomes) == 301
    known = ISSUER.check_many(orders, wire.account, replace(AGAIN, reference=sent.reference))
    assert known == sent
    assert ISSUER.check_many(orders, wire.account, AGAIN) is None  # it can't be asked by our name
    assert ISSUER.check_many(orders, wire.account, replace(AGAIN, reference="NOBODY")) is None
    alone = order_of(7, reference=sent.outcomes["po_7"].reference)
    assert ISSUER.check(alone, wire.account) == sent.outcomes["po_7"]
    assert ISSUER.check(order_of(7), wire.account) is None
    assert ISSUER.check(order_of(7, reference="NOBODY"), wire.account) is None
    with pytest.raises(PayPalError, match="another one"):
        ISSUER.check_many(orders, wire.account, replace(AGAIN, key="ps_2", reference=sent.reference))


def test_one_payout_can_leave_alone(wire: Wire) -> None:
    assert ISSUER.send(order_of(), wire.account).state == "paid"
    assert ISSUER.send(replace(order_of(), first_call=False), wire.account).state == "paid"
    assert len(money_of(wire.stand_in.state)) == 1


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (201, b"<!doctype html>", ("unknown", "can't be read", "")),
        (201, b"[]", ("unknown", "not a JSON object", "")),
        (201, {}, ("unknown", "does not name the batch", "")),
        (201, {"batch_header": {"payout_batch_id": "../../x"}}, ("unknown", "does not name the batch", "")),
        (500, b"", ("unknown", "PayPal answered 500", "")),
        (504, {"name": "REQUEST_TIMEOUT_EXCEEDED", "message": "m"}, ("unknown", "PayPal answered 504", "")),
        (429, {"name": "RATE_LIMIT_REACHED", "message": "m"}, ("unknown", "PayPal answered 429", "")),
        (409, {"name": "RESOURCE_CONFLICT", "message": "m"}, ("unknown", "PayPal answered 409", "")),
        (400, {"name": "USER_BUSINESS_ERROR", "message": "Again?"}, ("unknown", "Again?", "")),
        (400, {"name": "VALIDATION_ERROR", "message": "Bad."}, ("failed", "refused the payout: Bad.", "provider_rejected")),
        (403, {"name": "NOT_AUTHORIZED", "message": "m"}, ("failed", "Switch on “Payouts”", "provider_rejected")),
        (403, {"name": "SENDER_ACCOUNT_UNVERIFIED", "message": "m"}, ("failed", "Verify it", "provider_rejected")),
        (422, {"name": "INSUFFICIENT_FUNDS", "message": "m"}, ("failed", "too little money", "waiting_for_funds")),
        (401, {"name": "AUTHENTICATION_FAILURE", "message": "m"}, ("failed", "Paste them anew", "provider_rejected")),
    ],
)  # fmt: skip
def test_an_answer_without_a_batch_has_its_meaning_at_the_first_call(
    wire: Wire, status: int, body: Any, outcome: tuple[str, str, str]
) -> None:
    wire.say(status, body)
    wire.say(status, body)
    found = ISSUER.send_many([order_of()], wire.account, SHIPMENT).outcomes["po_1"]
    state, says, reason = outcome
    assert (found.state, says in found.message) == (state, True)
    assert state == "unknown" or found.reason == reason
    # At a repeat it says nothing about the first call, which may have paid.
    wire.answers.clear()
    wire.say(status, body)
    wire.say(status, body)
    assert ISSUER.send_many([order_of()], wire.account, AGAIN).outcomes["po_1"].state == "unknown"


def test_what_is_wrong_with_one_payout_is_said_of_that_one_and_the_others_are_due_again(wire: Wire) -> None:
    details = [{"field": "/items/1/receiver", "issue": "Receiver is invalid"}, {"field": "items[9]", "issue": "?"}]
    wire.say(400, {"name": "VALIDATION_ERROR", "message": "Invalid", "details": details})
    found = ISSUER.send_many([order_of(1), order_of(2)], wire.account, SHIPMENT).outcomes
    assert [(found[name].state, found[name].reason) for name in ("po_1", "po_2")] == [
        ("failed", ""),
        ("failed", "provider_rejected"),
    ]
    assert found["po_2"].message == "PayPal refused this payout: Receiver is invalid"


def test_how_long_paypal_wants_to_be_left_alone(wire: Wire) -> None:
    wire.say(429, {"name": "RATE_LIMIT_REACHED", "message": "m"}, retry_after="90")
    assert ISSUER.send_many([order_of()], wire.account, SHIPMENT).outcomes["po_1"].wait == 90


def test_a_batch_that_was_taken_and_can_not_be_read_now_is_on_its_way(wire: Wire) -> None:
    wire.say(201, {"batch_header": {"payout_batch_id": "HALDEN1", "batch_status": "PENDING"}})
    wire.say(503, b"")
    found = ISSUER.send_many([order_of()], wire.account, SHIPMENT)
    assert (found.reference, found.outcomes["po_1"].state) == ("HALDEN1", "sent")


@pytest.mark.parametrize(
    ("batch", "state", "reason"),
    [("PENDING", "sent", ""), ("PROCESSING", "sent", ""), ("DENIED", "failed", ""), ("CANCELED", "failed", ""), ("SUCCESS", "", "")],
)  # fmt: skip
def test_an_item_that_is_not_listed_has_what_its_batch_says_but_success_says_nothing(
    wire: Wire, batch: str, state: str, reason: str
) -> None:
    header = {"payout_batch_id": "B1", "batch_status": batch, "sender_batch_header": {"sender_batch_id": "ps_1"}}
    wire.say(200, {"batch_header": header, "items": [None, {"payout_item": None}], "total_pages": 1})
    known = ISSUER.check_many([order_of()], wire.account, replace(AGAIN, reference="B1"))
    assert known is not None
    assert getattr(known.outcomes.get("po_1"), "state", "") == state


def _row(status: str = "SUCCESS", value: str = "15.00", error: str = "", **changes: Any) -> dict[str, Any]:
    item = {"sender_item_id": "po_1", "amount": {"value": value, "currency": "USD"}, **changes}
    return {"payout_item_id": "I1", "transaction_status": status, "payout_item": item, "errors": {"name": error}}


@pytest.mark.parametrize(
    ("row", "state", "reason"),
    [
        (_row(), "paid", ""),
        (_row(value="15.0"), "paid", ""),
        (_row(value="15"), "paid", ""),
        (_row("PENDING"), "sent", ""),
        (_row("ONHOLD"), "sent", ""),
        (_row("UNCLAIMED", error="RECEIVER_UNREGISTERED"), "sent", "waiting_for_recipient"),
        (_row("FAILED", error="INSUFFICIENT_FUNDS"), "failed", "waiting_for_funds"),
        (_row("FAILED", error="SELF_PAY_NOT_ALLOWED"), "failed", "provider_rejected"),
        (_row("FAILED", error="SOMETHING_NEW"), "failed", "provider_rejected"),
        (_row("FAILED"), "failed", "provider_rejected"),
        (_row("RETURNED", error="RECEIVER_UNREGISTERED"), "failed", "waiting_for_recipient"),
        (_row("BLOCKED"), "failed", "provider_rejected"),
        (_row("REFUNDED"), "failed", "provider_rejected"),
        (_row("REVERSED"), "failed", "provider_rejected"),
        (_row("SOMETHING_NEW"), "unknown", ""),
        (_row(""), "unknown", ""),
        (_row(value="14.00"), "ask", ""),
        (_row(value="x"), "unknown", ""),
        (_row(amount=None), "unknown", ""),
        (_row(sender_item_id="po_2"), "ask", ""),
        ({}, "ask", ""),
    ],
)
def test_each_item_is_read_with_its_sum_and_its_name(row: dict[str, Any], state: str, reason: str) -> None:
    found = read_item(row, order_of())
    assert found.state == state
    assert state not in {"failed", "sent"} or found.reason == (reason or "provider_rejected")
    assert state == "paid" or found.message != ""


def test_every_word_of_paypal_has_its_sentence() -> None:
    assert words.outcome("FAILED", "I1", "RISK_DECLINE") == Outcome(
        "failed",
        "I1",
        "PayPal declined it because of a risk that it sees. Ask PayPal before you pay it again. (PayPal: RISK_DECLINE)",
        "provider_rejected",
    )
    assert {reason for reason, _text in words.REASONS.values()} == {words.RECIPIENT, words.FUNDS, words.REJECTED}


# --- what the package must not do ---


def test_a_refused_key_is_asked_once_and_never_in_a_circle(wire: Wire) -> None:
    bad = Wire(client_secret="revoked" + "E" * 20)
    found = ISSUER.send_many([order_of()], bad.account, SHIPMENT).outcomes["po_1"]
    assert (found.state, bad.calls()) == ("failed", [("POST", "/v1/oauth2/token")])
    # A token that was kept and is not taken any more is fetched anew, once.
    ISSUER.send_many([order_of()], wire.account, SHIPMENT)
    wire.asked.clear()
    wire.say(401, {})
    assert ISSUER.send_many([order_of()], wire.account, AGAIN).outcomes["po_1"].state == "paid"
    assert [path for _method, path in wire.calls()][:3] == [
        "/v1/payments/payouts", "/v1/oauth2/token", "/v1/payments/payouts",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, {}, b"<!doctype html>"),
        Answer(200, {}, b"{}"),
        Answer(200, {}, b'{"access_token": "A", "expires_in": "soon"}'),
        Answer(503, {}, b""),
        Answer(429, {}, b"{}"),
        HttpError("No answer: ReadTimeout.", retry=True, sent=True),
    ],
)
def test_without_a_token_nothing_was_sent(answer: Answer | HttpError) -> None:
    client._TOKENS.clear()

    def send(method: str, url: str, *, headers: Any = None, body: Any = None) -> Answer:
        if isinstance(answer, HttpError):
            raise answer
        return answer

    with pytest.raises(HttpError) as raised:
        ISSUER.send_many([order_of()], Account(SECRETS, {}, send, True), SHIPMENT)
    assert raised.value.sent is False


def test_a_live_connection_asks_paypal_s_present_host(wire: Wire) -> None:
    wire.say(200, {})
    with pytest.raises(PayPalError):
        ISSUER.check_many([order_of()], replace(wire.account, is_test=False), replace(AGAIN, reference="B1"))
    assert {url.partition("/v1")[0] for _method, url, *_rest in wire.asked} == {"https://api-m.paypal.com"}
