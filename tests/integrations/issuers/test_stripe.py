"""Stripe's two ways of paying: every answer has its state and its sentence, and the worth leaves once (issue 6, parts 2 and 7)."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from integrations import pace
from integrations.base import Account, ProviderError
from integrations.gift_codes import texts_of
from integrations.providers.stripe.keeping import StripePromotions
from integrations.providers.stripe.paying import BALANCE, COUPON, NO_CUSTOMER, recent
from integrations.remote import CodeOrder, Discount
from integrations.sandbox.base import StandIn, money_of
from integrations.sandbox.sending import stand_in
from integrations.sandbox.state import Memory
from integrations.sandbox.stripe import Stripe
from integrations.waking import wake
from participants.services import name_customer
from referrals.accounts.tenancy import Tenant
from referrals.lib.errors import Refused
from referrals.lib.http import Answer, HttpError
from referrals.lib.money import Money
from rewards.models import PayoutGift
from rewards.orders import Order
from rewards.services import identify
from rewards.verify import differences
from tests.factories import ACTOR, Cast
from tests.integrations.issuers.story import Story
from tests.integrations.sandbox.talking import minor_of

ORDER = Order(
    payout_id=1, public_id="po_1", key="po_key", number=1, method="stripe_coupon", account="con_1", amount=Money(1500, "USD"),
    email="asha@example.com", name="Asha Rao", address="asha@example.com", note="", reference="", rewards=("rw_1",), is_test=True,
    called_at=datetime(2026, 11, 21, tzinfo=UTC), first_call=True, campaign="Spring refer-a-friend",
)  # fmt: skip
API = "https://api.stripe.com/v1"
FATES: list[tuple[str, list[str], tuple[str, str], list[int], str]] = [
    ("plain", ["paid"], ("issued", ""), [0], ""),
    ("lost_before", ["unknown", "paid"], ("issued", ""), [0], ""),
    ("lost_after", ["unknown", "paid"], ("issued", ""), [0], ""),
    ("error_before", ["unknown", "paid"], ("issued", ""), [0], ""),
    ("error_after", ["unknown", "paid"], ("issued", ""), [0], ""),
    ("busy", ["sending", "paid"], ("issued", ""), [0], ""),
    ("garbage", ["unknown", "paid"], ("issued", ""), [0], ""),
    ("down", ["unknown", "unknown"], ("sending", ""), [], "Stripe had a fault: Something went wrong"),
    ("insufficient_funds", ["failed"], ("attention", "waiting_for_funds"), [], "your balance there is not enough"),
    ("bad_recipient", ["failed"], ("waiting", "waiting_for_recipient"), [], "they were deleted there"),
    ("account_closed", ["failed"], ("attention", "provider_rejected"), [], "the account is closed"),
    ("wrong_currency", ["failed"], ("attention", "provider_rejected"), [], "in another currency"),
    ("limit_exceeded", ["failed"], ("attention", "provider_rejected"), [], "more than Stripe allows"),
    ("declined", ["failed"], ("attention", "provider_rejected"), [], "Stripe refused it: declined"),
    ("key_revoked", ["failed"], ("attention", "provider_rejected"), [], "Paste a new one on the connection"),
    ("other_amount", ["needs_attention"], ("sending", ""), [-100], "Stripe says $65.31 where $66.31"),
]


@pytest.fixture
def side(alice: Cast) -> Tenant:
    return Tenant(alice.merchant, is_test=True)


def begin(side: Tenant, method: str, minor: int) -> Story:
    kind = "coupon" if method == "stripe_coupon" else "store_credit"
    return Story.begin(side, "stripe", method, minor, kind=kind)


def customer(story: Story, **fields: str) -> str:
    """A customer in the stand-in, who is Asha unless something else is said."""
    form = "&".join(f"{name}={value}" for name, value in ({"email": "asha@example.com"} | fields).items())
    made = stand_in(story.connection).send(
        "POST", f"{API}/customers", headers={"Authorization": "Bearer sk_test_x"}, body=form
    )
    return str(json.loads(made.body)["id"])


# What differs between a code and a credit in the machine is whether there is a gift: a code need not live through all of it.
OF_CODES = {"plain", "lost_after", "error_after", "garbage", "bad_recipient", "other_amount"}
BOTH = [("stripe_balance", *row) for row in FATES] + [("stripe_coupon", *row) for row in FATES if row[0] in OF_CODES]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "name", "statuses", "reward", "paid", "words"), BOTH, ids=lambda part: str(part)[:14]
)
def test_each_fate_has_its_state_and_its_sentence_and_the_worth_leaves_once(
    side: Tenant, method: str, name: str, statuses: list[str], reward: tuple[str, str], paid: list[int], words: str
) -> None:
    minor = 1500 if name == "plain" else minor_of(name)
    story = begin(side, method, minor)
    to = customer(story)
    story.issue()
    assert [story.work() for _ in statuses] == statuses
    assert story.reward_now() == reward
    assert words in story.now().message
    who = to if method == "stripe_balance" else ""
    assert [(found_to, found - minor) for found_to, found, _back in story.money()] == [(who, part) for part in paid]
    gifts = PayoutGift.objects.count()
    assert gifts == (1 if method == "stripe_coupon" and statuses[-1] == "paid" else 0)
    assert list(differences()) == []


@pytest.mark.django_db
def test_a_code_works_once_for_the_customer_that_is_known_and_ends_when_it_was_said(side: Tenant) -> None:
    story = begin(side, "stripe_coupon", 1500)
    name_customer(story.asha, "stripe", customer(story))
    payout = story.issue(prefix="thanks!", days="90", name="Thank you")
    assert story.work() == "paid"
    gift = PayoutGift.objects.get()
    assert gift.secrets["code"] == f"THANKS-{texts_of(payout.key, 10)[0]}"
    ends = gift.expires_at - story.now().called_at  # type: ignore[operator]  # both are there
    assert timedelta(days=90) - ends < timedelta(seconds=1)
    key = {"Authorization": "Bearer sk_test_x"}
    (made,) = json.loads(stand_in(story.connection).send("GET", f"{API}/promotion_codes", headers=key).body)["data"]
    coupon = json.loads(
        stand_in(story.connection).send("GET", f"{API}/coupons/passalong-{payout.key}", headers=key).body
    )
    assert (made["customer"], made["max_redemptions"], made["metadata"]) == (
        story.money()[0][0],
        1,
        {"passalong": payout.key, "payout": payout.public_id, "rewards": story.reward.public_id},
    )
    assert (coupon["amount_off"], coupon["currency"], coupon["name"]) == (1500, "usd", "Thank you")
    assert (made["id"], story.now().reference) == (story.now().reference, made["id"])


@pytest.mark.django_db
def test_who_is_no_customer_yet_waits_and_is_paid_when_they_are(side: Tenant) -> None:
    story = begin(side, "stripe_balance", 1500)
    story.issue()
    assert (story.work(), story.now().message) == ("failed", NO_CUSTOMER)
    assert (story.reward_now(), story.money(), wake()) == (("waiting", "waiting_for_recipient"), [], 0)
    # They buy as somebody whom Stripe does not have any more: that is tried once, and not again and again.
    for number, (name, fate) in enumerate(
        (("cus_gone", "failed"), (customer(story, email="else@example.com"), "paid"))
    ):
        identify(participant=story.asha, source="stripe", customer_id=name, actor=ACTOR)
        assert (wake(), story.reward_now()) == (1, ("due", ""))
        story.issue(key=f"request-{number + 2}")
        assert (story.work(), wake()) == (fate, 0)
    assert (story.reward_now(), story.money()) == (("issued", ""), [(name, 1500, False)])


@pytest.mark.django_db
def test_without_a_key_nothing_can_be_issued_and_it_is_said(side: Tenant) -> None:
    story = begin(side, "stripe_coupon", 1500)
    story.connection.secrets = {"webhook_secret": "whsec_" + "x" * 20}
    story.connection.save()
    with pytest.raises(Refused, match="needs an API key"):
        story.issue()
    assert story.reward_now() == ("due", "")


# --- answers, without a database ---


class Desk:
    """A Stripe account in memory; `fault` is what the next POST answers."""

    def __init__(self) -> None:
        self.door = StandIn(Stripe(), Memory(), {"webhook_secret": "whsec_x"})
        self.fault: Answer | HttpError | None = None
        self.asked: list[tuple[str, str]] = []
        self.account = Account({"api_key": "sk_test_0123456789"}, {}, self.send)

    def send(self, method: str, url: str, *, headers: Any = None, body: Any = None) -> Answer:
        self.asked.append((method, url.removeprefix(API)))
        if self.fault is not None and method == "POST":
            if isinstance(self.fault, HttpError):
                raise self.fault
            return self.fault
        return self.door.send(method, url, headers=headers, body=body)

    def customer(self, **fields: str) -> str:
        form = "&".join(f"{name}={value}" for name, value in ({"email": "asha@example.com"} | fields).items())
        made = self.door.send("POST", f"{API}/customers", headers={"Authorization": "Bearer sk_test_x"}, body=form)
        return str(json.loads(made.body)["id"])

    def paid(self) -> list[tuple[str, int]]:
        return [(row.to, row.money.minor) for row in money_of(self.door.state)]


def said(status: int, kind: str, code: str = "", **headers: str) -> Answer:
    body = {"error": {"type": kind, "message": "No.", "code": code}}
    return Answer(status, headers, json.dumps(body).encode())


@pytest.mark.parametrize("issuer", [COUPON, BALANCE])
@pytest.mark.parametrize(
    ("fault", "state", "reason", "wait", "words"),
    [
        (said(401, "invalid_request_error"), "failed", "provider_rejected", 0, "does not accept the key any more"),
        (said(403, "invalid_request_error"), "failed", "provider_rejected", 0, "Give it the right “C"),
        (
            said(429, "rate_limit_error", **{"retry-after": "17"}),
            "unsent",
            "provider_rejected",
            17,
            "too many requests",
        ),
        (said(400, "idempotency_error"), "ask", "provider_rejected", 0, "from a request with other details"),
        (said(409, "invalid_request_error"), "unknown", "provider_rejected", 0, "No."),
        (said(400, "invalid_request_error", "odd"), "failed", "provider_rejected", 0, "Stripe refused it: No."),
        (said(500, "api_error"), "unknown", "provider_rejected", 0, "Stripe had a fault"),
        (Answer(200, {}, b"<html>"), "unknown", "provider_rejected", 0, "Stripe had a fault"),
        (Answer(200, {}, b'{"object": "coupon"}'), "unknown", "provider_rejected", 0, "can't be read"),
        (HttpError("No answer.", retry=True, sent=True), "unknown", "provider_rejected", 0, "No answer."),
        (HttpError("No connection.", retry=True, sent=False), "unsent", "provider_rejected", 0, "No connection."),
    ],
)
def test_what_stripe_answers_is_read(issuer: Any, fault: Any, state: str, reason: str, wait: int, words: str) -> None:
    desk = Desk()
    desk.customer()
    desk.fault = fault
    found = issuer.send(ORDER, desk.account)
    assert (found.state, found.reason, found.wait) == (state, reason, wait)
    assert words in found.message
    assert desk.paid() == []


def test_the_balance_is_the_one_that_is_known_else_by_address_and_currency() -> None:
    desk = Desk()
    desk.customer()  # has no currency yet
    euros, dollars = desk.customer(), desk.customer()
    for name, currency in ((euros, "eur"), (dollars, "usd")):
        desk.door.send(
            "POST",
            f"{API}/customers/{name}/balance_transactions",
            headers={"Authorization": "Bearer sk_test_x"},
            body=f"amount=1&currency={currency}",
        )
    assert BALANCE.send(ORDER, desk.account).state == "paid"
    assert desk.paid() == [(dollars, 1500)]
    found = BALANCE.send(replace(ORDER, key="po_two", customer=euros), desk.account)
    assert (found.state, found.message.startswith("Stripe keeps this customer's balance in EUR")) == ("failed", True)
    assert desk.paid() == [(dollars, 1500)]


def test_a_customer_who_was_deleted_is_looked_for_by_address() -> None:
    desk = Desk()
    gone = desk.customer()
    state = desk.door.state
    with state.work():
        state.put("customer", gone, {**(state.get("customer", gone) or {}), "deleted": True})
    order = replace(ORDER, customer=gone)
    found = BALANCE.send(order, desk.account)
    assert (found.state, found.reason) == ("failed", "waiting_for_recipient")
    assert "were deleted there" in found.message
    other = desk.customer()
    assert (BALANCE.send(order, desk.account).state, desk.paid()) == ("paid", [(other, 1500)])


def test_a_credit_is_found_again_by_its_mark_after_stripe_has_forgotten_the_key() -> None:
    desk = Desk()
    one, two = desk.customer(), desk.customer()
    assert BALANCE.check(ORDER, desk.account) is None
    first = BALANCE.send(ORDER, desk.account)
    other = one if desk.paid()[0][0] == two else two
    # Meanwhile another of their customers became the one that we know.
    found = BALANCE.check(replace(ORDER, customer=other), desk.account)
    assert found is not None
    assert (found.state, found.reference) == ("paid", first.reference)
    assert BALANCE.check(replace(ORDER, key="po_two"), desk.account) is None
    assert BALANCE.key_life == timedelta(hours=24)


def test_a_code_is_found_again_by_its_mark_and_is_the_same() -> None:
    desk = Desk()
    assert COUPON.check(ORDER, desk.account) is None
    first = COUPON.send(ORDER, desk.account)
    assert first.gift is not None
    again = COUPON.check(ORDER, desk.account)
    assert (again, COUPON.key_life) == (first, None)
    # The same once more, when Stripe has forgotten the key: nothing is made twice.
    with desk.door.state.work():
        for name, row in desk.door.state.each("_key"):
            desk.door.state.put("_key", name, {**row, "at": "1970-01-01T00:00:00+00:00"})
    assert COUPON.send(ORDER, desk.account) == first
    assert len(desk.paid()) == 1


def test_stripe_lists_the_codes_that_it_gave_by_our_mark() -> None:
    desk, now = Desk(), datetime.now(UTC)
    made = [COUPON.send(replace(ORDER, key=f"po_{number}"), desk.account).reference for number in range(3)]
    promotions = StripePromotions(desk.account)
    for name, offer in (("half", Discount(percent=Decimal(50))), ("five", Discount(money=Money(500, "USD")))):
        promotions.make_coupon(f"passalong-{name}", name, offer)
        promotions.make_code(CodeOrder(f"FRIEND{name}", f"passalong-{name}", f"rq_{name}", f"key-{name}"))
    found = list(recent(desk.account, now - timedelta(minutes=1), now + timedelta(minutes=1)))
    assert [(one.key, one.reference, one.money, one.state) for one in found] == [
        ("rq_five", found[0].reference, Money(500, "USD"), "paid"),
        *((f"po_{number}", made[number], ORDER.amount, "paid") for number in (2, 1, 0)),
    ]
    # To the second, as Stripe keeps times; what lies before and after is not in it.
    assert list(recent(desk.account, now + timedelta(minutes=1), now + timedelta(hours=1))) == []
    assert list(recent(desk.account, now - timedelta(hours=1), now - timedelta(seconds=1))) == []
    assert list(recent(Account({}, {}, desk.send), now - timedelta(minutes=1), now)) == []


@pytest.mark.parametrize(("status", "kind"), [(403, "invalid_request_error"), (503, "api_error")])
def test_a_key_that_may_not_list_codes_has_given_none_and_a_fault_raises(status: int, kind: str) -> None:
    def send(method: str, url: str, *, headers: Any = None, body: Any = None) -> Answer:
        return said(status, kind)

    account, now = Account({"api_key": "sk_test_0123456789"}, {}, send), datetime.now(UTC)
    if status == 403:
        assert list(recent(account, now, now)) == []
    else:
        with pytest.raises(ProviderError, match="Stripe had a fault"):
            list(recent(account, now, now))


@pytest.mark.parametrize("issuer", [COUPON, BALANCE])
def test_who_can_not_be_asked_raises(issuer: Any) -> None:
    desk = Desk()

    def send(method: str, url: str, *, headers: Any = None, body: Any = None) -> Answer:
        return said(401, "invalid_request_error")

    for account in (Account({}, {}, desk.send), Account({"api_key": "sk_test_0123456789"}, {}, send)):
        with pytest.raises(ProviderError):
            issuer.check(ORDER, account)
    assert issuer.send(ORDER, Account({}, {}, desk.send)).message.startswith("There is no API key")
    assert desk.asked == []


def test_a_key_that_may_not_look_for_addresses_lets_the_reward_wait() -> None:
    desk = Desk()

    def send(method: str, url: str, *, headers: Any = None, body: Any = None) -> Answer:
        return (
            said(403, "invalid_request_error")
            if "customers?" in url
            else desk.send(method, url, headers=headers, body=body)
        )

    found = BALANCE.send(ORDER, Account({"api_key": "sk_test_0123456789"}, {}, send))
    assert (found.state, found.reason) == ("failed", "waiting_for_recipient")
    assert "Customers: write" in found.message


def test_payouts_of_the_live_side_keep_below_what_stripe_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[object] = []
    monkeypatch.setattr(pace, "keep", lambda whose, *, a_second: kept.append(whose))
    here = Desk()
    for live in (False, True):
        COUPON.send(replace(ORDER, is_test=not live), here.account)
    assert kept == [("stripe", here.account.secrets["api_key"])]
