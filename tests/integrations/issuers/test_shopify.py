"""A shop's three ways of paying: every answer has its state and its sentence, and the worth leaves once (issue 6, parts 2 and 7)."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import pytest

from integrations import pace
from integrations import payouts as carrier
from integrations.base import Account, ProviderError
from integrations.gift_codes import texts_of
from integrations.providers.shopify.paying import (
    DISCOUNT,
    GIFT_CARD,
    recent_cards,
    recent_discounts,
)
from integrations.providers.shopify.store_credit import NO_CUSTOMER, STORE_CREDIT
from integrations.sandbox.base import StandIn, money_of
from integrations.sandbox.sending import stand_in
from integrations.sandbox.shopify import Shopify
from integrations.sandbox.state import Memory
from integrations.waking import wake
from referrals.accounts.tenancy import Tenant
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.http import Answer, HttpError
from referrals.lib.money import Money
from rewards import settling
from rewards.models import PayoutGift
from rewards.orders import Order
from rewards.services import identify
from rewards.verify import differences
from tests.factories import ACTOR, Cast
from tests.integrations.issuers.story import Story
from tests.integrations.sandbox.talking import minor_of

TOKEN = {"X-Shopify-Access-Token": "shpat_" + "a" * 32}
ORDER = Order(
    payout_id=1, public_id="po_1", key="po_key", number=1, method="shopify_discount", account="con_1", amount=Money(1500, "USD"),
    email="asha@example.com", name="Asha Rao", address="asha@example.com", note="Well done", reference="", rewards=("rw_1",),
    is_test=True, called_at=datetime(2026, 11, 21, tzinfo=UTC), first_call=True, campaign="Spring refer-a-friend",
)  # fmt: skip
KINDS = {"shopify_discount": "coupon", "shopify_gift_card": "gift_card", "shopify_store_credit": "store_credit"}
PAID, REFUSED = ("issued", ""), ("attention", "provider_rejected")
GONE = ("waiting", "waiting_for_recipient")
# By way: what comes of an amount, the reward's state, what was paid beside the amount, and words of the sentence.
CODES: list[tuple[str, list[str], tuple[str, str], list[int], str]] = [
    ("plain", ["paid"], PAID, [0], ""),
    ("lost_before", ["unknown", "paid"], PAID, [0], ""),
    ("lost_after", ["unknown", "paid"], PAID, [0], ""),
    ("error_before", ["unknown", "paid"], PAID, [0], ""),
    ("error_after", ["unknown", "paid"], PAID, [0], ""),
    ("busy", ["sending", "paid"], PAID, [0], ""),
    ("garbage", ["unknown", "paid"], PAID, [0], ""),
    ("down", ["unknown", "unknown"], ("sending", ""), [], "Shopify had a fault: Shopify answered 503"),
    ("declined", ["failed"], REFUSED, [], "Shopify refused it: declined"),
    ("key_revoked", ["failed"], REFUSED, [], "Install the app again"),
    ("other_amount", ["needs_attention"], ("sending", ""), [-100], "Shopify says $65.31 where $66.31"),
]
CREDITS: list[tuple[str, list[str], tuple[str, str], list[int], str]] = [
    ("plain", ["paid"], PAID, [0], ""),
    ("lost_before", ["needs_attention"], ("sending", ""), [], "the shop wrote on their store credit: nothing."),
    ("lost_after", ["needs_attention"], ("sending", ""), [0], "store credit: USD 66.21 at "),
    ("error_after", ["needs_attention"], ("sending", ""), [0], "store credit: USD 66.23 at "),
    ("garbage", ["needs_attention"], ("sending", ""), [0], "store credit: USD 66.30 at "),
    ("busy", ["sending", "paid"], PAID, [0], ""),
    ("down", ["needs_attention"], ("sending", ""), [], "Shopify had a fault: Shopify answered 503"),
    ("bad_recipient", ["failed"], GONE, [], "does not know this customer any more"),
    ("wrong_currency", ["failed"], REFUSED, [], "no store credit in this currency"),
    ("limit_exceeded", ["failed"], REFUSED, [], "more than Shopify allows"),
    ("insufficient_funds", ["failed"], REFUSED, [], "Shopify refused it: insufficient funds"),
    ("other_amount", ["needs_attention"], ("sending", ""), [-100], "Shopify says $65.31"),
]
CARDS = [
    ("lost_after", ["unknown", "paid"], PAID, [0], ""),
    ("garbage", ["unknown", "paid"], PAID, [0], ""),
    ("bad_recipient", ["failed"], GONE, [], "does not know this customer any more"),
    ("limit_exceeded", ["failed"], REFUSED, [], "more than a gift card of this shop may have"),
    ("other_amount", ["needs_attention"], ("sending", ""), [-100], "Shopify says $65.31"),
]
ALL = [
    *(("shopify_discount", *row) for row in CODES),
    *(("shopify_gift_card", *row) for row in CARDS),
    *(("shopify_store_credit", *row) for row in CREDITS),
]


@pytest.fixture
def side(alice: Cast) -> Tenant:
    return Tenant(alice.merchant, is_test=True)


def begin(side: Tenant, method: str, minor: int = 1500) -> Story:
    return Story.begin(side, "shopify", method, minor, kind=KINDS[method])


def shopper(story: Story, email: str = "asha@example.com") -> str:
    """Somebody who has bought in the shop: their number."""
    body = json.dumps({"amount_minor": 100, "currency": "USD", "email": email})
    stand_in(story.connection).send("POST", "https://shop/play/order", headers=TOKEN, body=body)
    known = dict(stand_in(story.connection).state.each("customer"))
    return str(known[email]["id"])


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "name", "statuses", "reward", "paid", "words"), ALL, ids=[f"{m}-{n}" for m, n, *_ in ALL]
)
def test_each_fate_has_its_state_and_its_sentence_and_the_worth_leaves_once(
    side: Tenant, method: str, name: str, statuses: list[str], reward: tuple[str, str], paid: list[int], words: str
) -> None:
    minor = 1500 if name == "plain" else minor_of(name)
    story = begin(side, method, minor)
    to = f"gid://shopify/Customer/{shopper(story)}"
    story.issue()
    assert [story.work() for _ in statuses] == statuses
    assert story.reward_now() == reward
    assert words in story.now().message
    who = to if method == "shopify_store_credit" else ""
    assert [(found_to, found - minor) for found_to, found, _back in story.money()] == [(who, part) for part in paid]
    gifts = list(PayoutGift.objects.all())
    assert len(gifts) == (1 if statuses[-1] == "paid" and method != "shopify_store_credit" else 0)
    length = 16 if method == "shopify_gift_card" else 10
    assert [gift.secrets["code"] for gift in gifts] == [texts_of(story.now().key, length)[0]][: len(gifts)]
    assert list(differences()) == []


@pytest.mark.django_db
def test_who_is_no_customer_of_the_shop_waits_and_is_paid_when_they_are(side: Tenant) -> None:
    story = begin(side, "shopify_store_credit")
    story.issue()
    assert (story.work(), story.now().message) == ("failed", NO_CUSTOMER)
    assert (story.reward_now(), wake()) == (GONE, 0)
    number = shopper(story, "asha.at.work@example.org")
    identify(participant=story.asha, source="shopify", customer_id=number, actor=ACTOR)
    assert (wake(), story.reward_now()) == (1, ("due", ""))
    story.issue(key="request-2", days="30", notify="yes")
    assert (story.work(), story.reward_now(), wake()) == ("paid", PAID, 0)
    assert story.money() == [(f"gid://shopify/Customer/{number}", 1500, False)]


@pytest.mark.django_db
def test_who_asks_once_more_about_a_store_credit_reads_what_is_there_now(
    side: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = begin(side, "shopify_store_credit", minor_of("lost_after"))
    shopper(story)
    story.issue()
    with monkeypatch.context() as patch:
        patch.setattr(STORE_CREDIT, "_lines", mock.Mock(side_effect=ProviderError("No.", retry=True)))
        assert story.work() == "needs_attention"
    assert "can't be looked at just now" in story.now().message
    assert carrier.ask_now(story.now().pk) == "needs_attention"
    assert "store credit: USD 66.21 at" in story.now().message
    assert settling.decide(story.now().pk, paid=True, actor=ACTOR, note="It is there.") == "paid"
    assert (story.reward_now(), len(story.money())) == (PAID, 1)


@pytest.mark.django_db
def test_a_shop_without_an_app_can_not_pay_and_it_is_said(side: Tenant) -> None:
    story = begin(side, "shopify_discount")
    story.connection.secrets = {"shop": "halden-roasts.myshopify.com", "client_secret": "s" * 32}
    story.connection.save()
    with pytest.raises(Refused, match="needs an app"):
        story.issue()


# --- answers, without a database ---


class Shop:
    """A shop in memory. `faults` are what the next mutations give instead."""

    def __init__(self) -> None:
        self.door = StandIn(Shopify(), Memory(), {"shop": "halden-roasts.myshopify.com"})
        self.faults: list[Answer | HttpError] = []
        self.asked: list[dict[str, Any]] = []
        self.account = Account(
            {"shop": "halden-roasts.myshopify.com", "access_token": "shpat_" + "a" * 32}, {}, self.send
        )

    def send(self, method: str, url: str, *, headers: Any = None, body: Any = None) -> Answer:
        asked = json.loads(body)
        self.asked.append(asked["variables"])
        if self.faults and "mutation" in asked["query"]:
            fault = self.faults.pop(0)
            if isinstance(fault, HttpError):
                raise fault
            return fault
        return self.door.send(method, url, headers=headers, body=body)

    def customer(self) -> str:
        body = json.dumps({"amount_minor": 100, "currency": "USD", "email": "asha@example.com"})
        self.door.send("POST", "https://shop/play/order", headers=TOKEN, body=body)
        return str(dict(self.door.state.each("customer"))["asha@example.com"]["id"])

    def paid(self) -> list[tuple[str, int]]:
        return [(row.to, row.money.minor) for row in money_of(self.door.state)]


def said(content: Any, status: int = 200, **headers: str) -> Answer:
    return Answer(status, headers, content if isinstance(content, bytes) else json.dumps(content).encode())


def error(code: str) -> Answer:
    return said({"errors": [{"message": "No.", "extensions": {"code": code}}]})


@pytest.mark.parametrize(
    ("fault", "state", "wait", "words"),
    [
        (error("THROTTLED"), "unsent", 0, "too many requests"),
        (said({}, 429, **{"retry-after": "2.0"}), "unsent", 2, "too many requests"),
        (error("INTERNAL_SERVER_ERROR"), "unknown", 0, "Shopify had a fault: No."),
        (said({}, 401), "failed", 0, "Install the app again"),
        (said({}, 403), "failed", 0, "write_"),
        (said({}, 402), "failed", 0, "Shopify refused it: Shopify answered 402."),
        (said(b"<html>"), "unknown", 0, "Shopify had a fault"),
        (said({"data": {}}), "unknown", 0, "Shopify had a fault"),
        (
            said({"data": {"discountCodeBasicCreate": {}, "giftCardCreate": {}, "storeCreditAccountCredit": {}}}),
            "unknown",
            0,
            "be read",
        ),
        (HttpError("No answer.", retry=True, sent=True), "unknown", 0, "No answer."),
        (HttpError("No connection.", retry=True, sent=False), "unsent", 0, "No connection."),
    ],
)
@pytest.mark.parametrize("issuer", [DISCOUNT, GIFT_CARD, STORE_CREDIT])
def test_what_a_shop_answers_is_read(issuer: Any, fault: Any, state: str, wait: int, words: str) -> None:
    shop = Shop()
    shop.customer()
    shop.faults.append(fault)
    found = issuer.send(ORDER, shop.account)
    # Who can't ask by a key has nobody but a person to ask.
    assert (found.state, found.wait) == ("ask" if issuer is STORE_CREDIT and state == "unknown" else state, wait)
    assert words in found.message
    assert shop.paid() == []


def test_gift_cards_that_shopify_has_not_allowed_are_said_to_need_its_support() -> None:
    shop = Shop()

    def send(method: str, url: str, *, headers: Any = None, body: Any = None) -> Answer:
        answer = shop.send(method, url, headers=headers, body=body)
        return replace(answer, body=answer.body.replace(b"write_gift_cards", b"read_gift_cards"))

    found = GIFT_CARD.send(ORDER, replace(shop.account, send=send))
    assert (found.state, found.reason, len(shop.asked)) == ("failed", "provider_rejected", 1)
    assert "Shopify Support" in found.message


@pytest.mark.parametrize("issuer", [DISCOUNT, GIFT_CARD])
def test_another_currency_than_the_shop_s_is_refused_before_anything_is_made(issuer: Any) -> None:
    shop = Shop()
    found = issuer.send(replace(ORDER, amount=Money(1500, "EUR")), shop.account)
    assert (found.state, found.reason) == ("failed", "provider_rejected")
    assert found.message.startswith("The shop counts in USD, the reward is in EUR.")
    assert len(shop.asked) == 1


@pytest.mark.parametrize("issuer", [DISCOUNT, GIFT_CARD])
def test_a_code_is_its_own_key(issuer: Any) -> None:
    """What an earlier try made is found by the code; made twice at once, the shop takes one."""
    shop = Shop()
    order = replace(ORDER, options={"prefix": "thanks", "days": "30"}, customer=shop.customer())
    assert issuer.check(order, shop.account) is None
    first = issuer.send(order, shop.account)
    assert first.gift is not None
    assert first.gift.code.startswith("THANKS-" if issuer is DISCOUNT else texts_of(ORDER.key, 16)[0])
    assert first.gift.expires_at is not None
    assert issuer.send(order, shop.account) == first
    assert issuer.check(order, shop.account) == first
    assert [minor for _to, minor in shop.paid()] == [1500]
    owner = f"gid://shopify/Customer/{order.customer}" if issuer is GIFT_CARD else ""
    assert shop.paid()[0][0] == owner
    assert issuer.key_life is None


def test_a_code_that_was_made_before_the_installation_s_key_changed_is_found(settings: Any) -> None:
    shop = Shop()
    first = DISCOUNT.send(ORDER, shop.account)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "a newer one", [settings.SECRET_KEY]
    assert DISCOUNT.check(ORDER, shop.account) == first
    assert texts_of(ORDER.key, 10)[0] != texts_of(ORDER.key, 10)[1]


def test_somebody_else_s_discount_with_the_code_is_for_a_person() -> None:
    shop = Shop()
    DISCOUNT.send(ORDER, shop.account)
    name, row = shop.door.state.each("discount")[0]
    with shop.door.state.work():
        shop.door.state.put("discount", name, {**row, "tags": ["mine"]})
    found = DISCOUNT.send(ORDER, shop.account)
    assert (found.state, "Another discount of the shop" in found.message) == ("ask", True)


def test_store_credit_is_sent_once_and_never_again_by_itself() -> None:
    shop = Shop()
    shop.customer()
    assert STORE_CREDIT.key_life == timedelta(0)
    now = replace(ORDER, called_at=clock.wall())
    assert STORE_CREDIT.send(now, shop.account).state == "paid"
    asked = STORE_CREDIT.check(now, shop.account)
    assert asked is not None
    assert (asked.state, "USD 15.00 at" in asked.message) == ("ask", True)
    # A line of an hour before has nothing to do with it.
    later = replace(now, called_at=now.called_at + timedelta(hours=1))
    found = STORE_CREDIT.check(later, shop.account)
    assert found is not None
    assert "store credit: nothing." in found.message


def test_a_shop_that_can_not_be_asked_raises_and_store_credit_says_so() -> None:
    def send(*_args: Any, **_more: Any) -> Answer:
        return said({}, 401)

    account = Account({"shop": "a.myshopify.com", "access_token": "shpat_" + "a" * 32}, {}, send)
    for issuer in (DISCOUNT, GIFT_CARD):
        with pytest.raises(ProviderError):
            issuer.check(ORDER, account)
    found = STORE_CREDIT.check(ORDER, account)
    assert found is not None
    assert (found.state, "can't be looked at just now" in found.message) == ("ask", True)


@pytest.mark.parametrize(("issuer", "recent"), [(DISCOUNT, recent_discounts), (GIFT_CARD, recent_cards)])
def test_a_shop_lists_what_it_paid_by_our_mark(issuer: Any, recent: Any) -> None:
    shop = Shop()
    now = clock.wall()
    paid = [issuer.send(replace(ORDER, key=f"po_{n}"), shop.account) for n in range(60)]
    found = list(recent(shop.account, now - timedelta(minutes=1), now + timedelta(minutes=1)))
    assert [(one.key, one.reference, one.money, one.state) for one in found] == [
        (f"po_{n}", outcome.reference, Money(1500, "USD"), "paid") for n, outcome in enumerate(paid)
    ]
    assert list(recent(shop.account, now + timedelta(minutes=1), now + timedelta(hours=1))) == []


def test_payouts_of_the_live_side_keep_below_what_shopify_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[object] = []
    monkeypatch.setattr(pace, "keep", lambda whose, *, a_second: kept.append(whose))
    here = Shop()
    for live in (False, True):
        DISCOUNT.send(replace(ORDER, is_test=not live), here.account)
    assert kept == [("shopify", here.account.secrets["shop"])]


@pytest.mark.parametrize("recent", [recent_cards, recent_discounts])
def test_a_shop_whose_app_may_not_see_them_lists_none_and_one_that_is_away_raises(recent: Any) -> None:
    now = clock.wall()

    def account(answer: Answer) -> Account:
        return Account(
            {"shop": "a.myshopify.com", "access_token": "shpat_" + "a" * 32}, {}, lambda *_args, **_more: answer
        )

    assert list(recent(account(error("ACCESS_DENIED")), now, now)) == []
    assert list(recent(Account({"shop": "a.myshopify.com"}), now, now)) == []
    with pytest.raises(ProviderError):
        list(recent(account(error("THROTTLED")), now, now))
