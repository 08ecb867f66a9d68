"""Paying through RazorpayX against its stand-in: each amount's fate, every answer in words, and its messages
(issue 6, parts 2 and 7; RELIABILITY section 4)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from integrations import methods
from integrations.base import Account, Found, ProviderError
from integrations.providers.razorpayx import reasons
from integrations.providers.razorpayx.issuer import ISSUER, name_of, recent
from integrations.providers.razorpayx.modes import LAKH, bank_obstacle, mode_of
from integrations.sandbox.base import StandIn, money_of
from integrations.sandbox.razorpayx import RazorpayX
from integrations.sandbox.state import Memory
from referrals.lib import clock
from referrals.lib.http import Answer
from referrals.lib.money import Money
from rewards.models import LedgerEntry, Reward
from rewards.orders import Order, Outcome
from rewards.verify import differences
from tests.factories import Cast
from tests.integrations.issuers.paying import Story
from tests.integrations.sandbox.talking import NOON, minor_of

SECRETS = {
    "key_id": "rzp_test_1",
    "key_secret": "secret",
    "account_number": "7878780080316316",
    "webhook_secret": "key",
}
UPI = {"vpa": "asha@okbank"}
BANK = {"holder": "Asha Rao", "ifsc": "HDFC0001234", "account_number": "50100123456789"}


def order_of(minor: int = 150_000, **changes: Any) -> Order:
    """A payout of 1,500 rupees to Asha's UPI address."""
    made = Order(
        payout_id=1, public_id="po_1", key="po_1", number=1, method="razorpayx_upi", account="con_1", amount=Money(minor, "INR"),
        email="asha@example.com", name="Āsha Rao", address=UPI["vpa"], note="", reference="", rewards=("rw_1",), is_test=True,
        called_at=NOON, first_call=True, person="pa_1", merchant="Halden & Sons' Coffee Roasters, Delhi", details=UPI,
    )  # fmt: skip
    return replace(made, **changes)


class Wire:
    """The way to a stand-in; what was asked is kept, and an answer may be put in its place."""

    def __init__(self) -> None:
        self.stand_in = StandIn(RazorpayX(), Memory(), SECRETS)
        self.sent: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.answer: Answer | None = None
        self.account = Account(SECRETS, {}, self.send)

    def send(self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: Any = None) -> Answer:
        if method == "POST":
            self.sent.append(json.loads(body))
            self.keys.append((headers or {})["X-Payout-Idempotency"])
        return self.answer or self.stand_in.send(method, url, headers=headers, body=body)

    def say(self, status: int, body: Any, **headers: str) -> None:
        """Whatever is asked is answered like this."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answer = Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, content)


@pytest.fixture
def wire() -> Wire:
    return Wire()


def test_what_is_asked_of_razorpayx(wire: Wire) -> None:
    upi = ISSUER.send(order_of(), wire.account)
    bank = ISSUER.send(order_of(key="po_2", method="razorpayx_bank", details=BANK), wire.account)
    assert (upi.state, bank.state, upi.reference[:5]) == ("sent", "sent", "pout_")
    first, second = wire.sent
    contact = {"email": "asha@example.com", "type": "customer", "reference_id": "pa_1"}
    assert first == {
        "account_number": "7878780080316316",
        "amount": 150_000,
        "currency": "INR",
        "mode": "UPI",
        "purpose": "cashback",
        "fund_account": {
            "account_type": "vpa",
            "vpa": {"address": "asha@okbank"},
            "contact": {"name": "sha Rao", **contact},
        },
        "queue_if_low_balance": False,
        "reference_id": "po_1",
        "narration": "Halden Sons Coffee Roasters De",
        "notes": {"payout": "po_1"},
    }
    assert second["mode"] == "IMPS"
    assert second["fund_account"] == {
        "account_type": "bank_account",
        "bank_account": {"name": "Asha Rao", "ifsc": "HDFC0001234", "account_number": "50100123456789"},
        "contact": {"name": "Asha Rao", **contact},
    }
    assert wire.keys == [name_of("po_1"), name_of("po_2")]
    assert {len(key) for key in wire.keys} == {36}


def test_the_same_payout_is_made_once_and_found_by_our_key(wire: Wire) -> None:
    with clock.at(NOON):
        first = ISSUER.send(order_of(), wire.account)
        assert ISSUER.send(order_of(), wire.account) == replace(first, state="paid")
        assert ISSUER.check(order_of(first_call=False), wire.account) == replace(first, state="paid")
        assert ISSUER.check(order_of(reference=first.reference), wire.account) == replace(first, state="paid")
        assert ISSUER.check(order_of(key="po_9", first_call=False), wire.account) is None
        # Another body under the same key: somebody has to look.
        assert ISSUER.send(order_of(200_000), wire.account).state == "ask"
        found = list(recent(wire.account, NOON - timedelta(hours=1), NOON + timedelta(hours=1)))
    assert [(row.reference, row.money.minor) for row in money_of(wire.stand_in.state)] == [("po_1", 150_000)]
    assert found == [Found("po_1", first.reference, Money(150_000, "INR"), "paid", NOON)]


@pytest.mark.parametrize(
    ("status", "body", "state", "reason", "words"),
    [
        (400, {"description": "Your account does not have enough balance."}, "failed", "waiting_for_funds", "Add money there"),
        (400, {"description": "Invalid VPA.", "field": "fund_account.vpa.address"}, "failed", "waiting_for_recipient", "Invalid VPA."),
        (400, {"description": "The purpose field is required.", "field": "purpose"}, "failed", "provider_rejected", "The purpose field"),
        (400, {"description": "Your IP address is not whitelisted"}, "failed", "provider_rejected", "allow-list"),
        (401, {"description": "Authentication failed"}, "failed", "provider_rejected", "does not take the key"),
        (429, {}, "unknown", "provider_rejected", "asks us to wait"),
        (502, {}, "unknown", "provider_rejected", "answered 502"),
        (409, {}, "unknown", "provider_rejected", "answered 409"),
    ],
)  # fmt: skip
def test_every_refusal_has_its_outcome(
    wire: Wire, status: int, body: dict[str, str], state: str, reason: str, words: str
) -> None:
    wire.say(status, {"error": body}, retry_after="9")
    outcome = ISSUER.send(order_of(), wire.account)
    assert (outcome.state, outcome.reason, outcome.wait) == (state, reason, 9 if status == 429 else 0)
    assert words in outcome.message
    later = ISSUER.send(order_of(first_call=False), wire.account)
    assert later.state == ("unknown" if status == 401 or "IP" in str(body) else state)


@pytest.mark.parametrize("body", [b"", b"<!doctype html>", b"[]", b"{}", b'{"id": 7}', b'{"id": "fa_1"}', b"\xff"])
def test_an_answer_that_can_not_be_read_is_unknown(wire: Wire, body: bytes) -> None:
    wire.say(200, body)
    assert ISSUER.send(order_of(), wire.account).state == "unknown"
    wire.say(404, body)
    with pytest.raises(ProviderError):
        ISSUER.check(order_of(), wire.account)


def test_another_amount_is_for_a_person_to_look_at(wire: Wire) -> None:
    for amount, currency in ((149_999, "INR"), (150_000, "USD"), ("150000", "INR"), (None, None)):
        wire.say(200, {"id": "pout_1", "amount": amount, "currency": currency, "status": "processed"})
        outcome = ISSUER.send(order_of(), wire.account)
        assert (outcome.state, outcome.reference) == ("ask", "pout_1")


@pytest.mark.parametrize(
    ("status", "code", "state", "reason", "words"),
    [
        ("queued", "low_balance", "sent", "provider_rejected", "has queued it"),
        ("pending", "", "sent", "provider_rejected", "somebody's approval"),
        ("scheduled", "", "sent", "provider_rejected", "planned it"),
        ("processing", "", "sent", "provider_rejected", ""),
        ("processed", "payout_processed", "paid", "provider_rejected", ""),
        ("reversed", "payout_reversed", "failed", "provider_rejected", "sent the money back"),
        ("reversed", "bank_account_closed", "failed", "waiting_for_recipient", "another one"),
        ("cancelled", "low_balance", "failed", "provider_rejected", "cancelled"),
        ("rejected", "", "failed", "provider_rejected", "rejected it"),
        ("failed", "insufficient_funds", "failed", "waiting_for_funds", "Add money"),
        ("failed", "beneficiary_vpa_invalid", "failed", "waiting_for_recipient", "another one"),
        ("failed", "gateway_timeout", "failed", "", "try again"),
        ("failed", "something_new", "failed", "provider_rejected", "did not pay. The bank says no."),
        ("dreaming", "", "unknown", "provider_rejected", "dreaming"),
    ],
)
def test_every_status_of_a_payout(status: str, code: str, state: str, reason: str, words: str) -> None:
    outcome = reasons.read(status, {"reason": code, "description": "The bank says no."}, "pout_1")
    assert (outcome.state, outcome.reason, outcome.reference) == (state, reason, "pout_1")
    assert words in outcome.message


@pytest.mark.parametrize(
    ("method", "paise", "bank_mode", "mode"),
    [
        ("razorpayx_upi", 99, "", ""),
        ("razorpayx_upi", 100, "", "UPI"),
        ("razorpayx_upi", LAKH, "", "UPI"),
        ("razorpayx_upi", LAKH + 1, "", ""),
        ("razorpayx_bank", 5 * LAKH, "IMPS", "IMPS"),
        ("razorpayx_bank", 5 * LAKH + 1, "IMPS", "RTGS"),
        ("razorpayx_bank", 2 * LAKH - 1, "NEFT", "NEFT"),
        ("razorpayx_bank", 2 * LAKH, "NEFT", "RTGS"),
    ],
)
def test_the_amount_chooses_how_it_travels(method: str, paise: int, bank_mode: str, mode: str) -> None:
    assert mode_of(method, paise, {"bank_mode": bank_mode}) == mode


def test_what_can_not_be_paid_is_not_asked(wire: Wire) -> None:
    for changes, reason in (
        ({"amount": Money(1500, "USD")}, "provider_rejected"),
        ({"amount": Money(99, "INR")}, "provider_rejected"),
        ({"details": {"address": "asha@example.com"}}, "waiting_for_recipient"),
    ):
        outcome = ISSUER.send(order_of(**changes), wire.account)
        assert (outcome.state, outcome.reason) == ("failed", reason)
    assert wire.sent == []


def test_what_waits_for_money_can_be_queued_there(wire: Wire) -> None:
    short = order_of(minor_of("insufficient_funds"))
    assert ISSUER.send(short, wire.account).reason == "waiting_for_funds"
    queued = ISSUER.send(short, replace(wire.account, settings={"queue_if_low_balance": "yes"}))
    assert (queued.state, queued.reference[:5]) == ("sent", "pout_")
    assert queued == Outcome("sent", queued.reference, reasons.read("queued", {}, "").message)
    assert money_of(wire.stand_in.state) == []


# --- from the page to the ledger ---


@pytest.fixture
def story(alice: Cast) -> Story:
    return Story(alice, "razorpayx")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "tries", "asked", "state", "reason", "paid"),
    [
        ("plain", ["sent"], "paid", "issued", "", [(1500, False)]),
        ("slow", ["sent"], "sent", "issued", "", []),
        ("insufficient_funds", ["failed"], "", "attention", "waiting_for_funds", []),
        ("bad_recipient", ["sent"], "failed", "waiting", "waiting_for_recipient", []),
        ("declined", ["sent"], "failed", "due", "", []),
        ("key_revoked", ["failed"], "", "attention", "provider_rejected", []),
        ("lost_after", ["unknown", "paid"], "", "issued", "", [(6621, False)]),
        ("error_before", ["unknown", "sent"], "paid", "issued", "", [(6622, False)]),
        ("busy", ["unknown", "sent"], "paid", "issued", "", [(6625, False)]),
        ("garbage", ["unknown", "paid"], "", "issued", "", [(6630, False)]),
        ("other_amount", ["needs_attention"], "", "sending", "", []),
    ],
)
def test_each_amount_has_its_fate(
    story: Story, name: str, tries: list[str], asked: str, state: str, reason: str, paid: list[tuple[int, bool]]
) -> None:
    reward = story.due(1500 if name == "plain" else minor_of(name), "upi", UPI, "INR")
    payout = story.issue("razorpayx_upi", reward)
    assert [story.work(payout) for _ in tries] == tries
    if asked:
        assert story.ask(payout) == asked
    assert payout.message or payout.status in {"paid", "sent"}
    reward = Reward.objects.get()
    assert (reward.state, reward.reason) == (state, reason)
    assert story.money() == paid
    assert list(differences()) == []


@pytest.mark.django_db
def test_what_is_reversed_later_is_told_and_taken_back(story: Story) -> None:
    reward = story.due(minor_of("reversed"), "bank_in", BANK, "INR")
    payout = story.issue("razorpayx_bank", reward)
    assert story.work(payout) == "sent"
    now = clock.now()
    with clock.at(now + timedelta(days=2, hours=1)):
        assert set(story.listen()) == {"payout_told"}
        assert story.ask(payout) == "failed"
        assert story.ask(payout) == "failed"
    lines = LedgerEntry.objects.exclude(kind="earn").order_by("pk").values_list("kind", "amount_minor")
    assert list(lines) == [("pay", -6604), ("pay_back", 6604)]
    assert story.money() == [(6604, True)]
    assert list(differences()) == []


@pytest.mark.django_db
def test_what_upi_can_not_carry_is_said_before_anything_is_issued(story: Story) -> None:
    large = story.due(LAKH + 1, "upi", UPI, "INR")
    option = methods.find(story.side, f"razorpayx_upi:{story.connection.public_id}")
    said = [words for _row, words in methods.preview(option, story.side, [large.pk]).refused]
    assert said == ["UPI carries 1 to 100,000 rupees. Choose a bank account for more."]
    assert bank_obstacle(story.connection, Money(99, "INR"), {}) == "RazorpayX pays nothing below 1 rupee."
    assert bank_obstacle(story.connection, Money(10 * LAKH, "INR"), {}) == ""


@pytest.mark.django_db
def test_each_address_has_its_way_and_rupees_only(story: Story) -> None:
    reward = story.due(1500, "upi", UPI, "INR")
    for name, codes in (("razorpayx_upi", []), ("razorpayx_bank", ["waiting_for_recipient"])):
        option = methods.find(story.side, f"{name}:{story.connection.public_id}")
        assert [code for _row, code in methods.preview(option, story.side, [reward.pk]).refused] == codes
        assert option.method.currencies == {"INR"}
