"""What we ask of a shop and keep there, against its stand-in: tokens, errors, first orders, discount codes, webhooks, the nightly look."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from integrations.base import Account, Code, Delivery, Message, ProviderError, Signal
from integrations.providers.shopify import PROVIDER, queries
from integrations.providers.shopify.asking import look_up, pull
from integrations.providers.shopify.graphql import Refusal, ask, change, token
from integrations.providers.shopify.keeping import ShopifyListening, ShopifyPromotions
from integrations.remote import CodeOrder, Discount, EndpointOrder, RemoteError
from integrations.sandbox.base import StandIn
from integrations.sandbox.shopify import Shopify
from integrations.sandbox.state import Memory
from referrals.lib import clock
from referrals.lib.http import Answer, HttpError
from referrals.lib.money import Money

SECRETS = {"shop": "halden-roasts.myshopify.com", "client_id": "c" * 32, "client_secret": "s" * 32}
TEN = Discount(percent=Decimal(10))


class Shop:
    """A shop of its own, everything that was asked of it, and the messages that it sent."""

    def __init__(self, **secrets: str) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.asked: list[tuple[str, dict[str, Any]]] = []
        chosen = {**SECRETS, "access_token": "shpat_" + "a" * 32} | secrets
        self._door = StandIn(Shopify(), Memory(), chosen, self._take)
        self.account = Account(chosen, {}, self.send)

    def _take(self, body: bytes, headers: Mapping[str, str]) -> int:
        self.told.append((headers["X-Shopify-Topic"], json.loads(body)))
        return 200

    def send(self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: Any = None) -> Answer:
        """To the shop, written down."""
        if url.endswith("graphql.json"):
            asked = json.loads(body)
            self.asked.append((asked["query"], asked["variables"]))
        return self._door.send(method, url, headers=headers, body=body)

    def play(self, what: str, **facts: Any) -> Any:
        """Something happens in the shop; its messages arrive."""
        headers = {"X-Shopify-Access-Token": "shpat_x"}
        answer = self._door.send("POST", f"https://shop/play/{what}", headers=headers, body=json.dumps(facts))
        self._door.advance()
        return json.loads(answer.body)

    def buy(self, minor: int, **facts: Any) -> int:
        """A paid order by Maya."""
        return int(self.play("order", amount_minor=minor, currency="USD", email="maya@example.net", **facts)["id"])


def answering(status: int, content: Any) -> Account:
    """An account whose shop always gives this."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()

    def send(*_args: Any, **_more: Any) -> Answer:
        return Answer(status, {}, body)

    return Account({**SECRETS, "access_token": "shpat_" + "a" * 32}, {}, send)


@pytest.mark.parametrize(
    ("status", "content", "code", "retry"),
    [
        (401, {"errors": "Invalid API key"}, "UNAUTHORIZED", False),
        (403, {}, "ACCESS_DENIED", False),
        (404, {}, "", False),
        (429, {}, "THROTTLED", True),
        (502, b"<html>", "", True),
        (200, {"errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}]}, "THROTTLED", True),
        (200, {"errors": [{"message": "no", "extensions": {"code": "ACCESS_DENIED"}}]}, "ACCESS_DENIED", False),
        (200, {"errors": ["odd"]}, "", False),
        (200, {"data": {"x": {"userErrors": [{"message": "Taken", "code": "TAKEN"}]}}}, "TAKEN", False),
    ],
)
def test_what_a_shop_refuses(status: int, content: Any, code: str, retry: bool) -> None:
    with pytest.raises(Refusal) as caught:
        change(answering(status, content), "mutation X { x }", {}, "x")
    assert (caught.value.code, caught.value.retry) == (code, retry)


@pytest.mark.parametrize("content", [b"<!doctype html>", b"[]", b'{"data": null}', b'{"data": {"x": null}}', b"{}"])
def test_an_answer_that_can_t_be_read_is_asked_for_again(content: bytes) -> None:
    with pytest.raises(ProviderError) as caught:
        change(answering(200, content), "mutation X { x }", {}, "x")
    assert caught.value.retry is True


def test_a_lost_answer_is_asked_for_again() -> None:
    def send(*_args: Any, **_more: Any) -> Answer:
        raise HttpError("No answer: ReadTimeout.", retry=True, sent=True)

    account = Account({**SECRETS, "access_token": "shpat_" + "a" * 32}, {}, send)
    with pytest.raises(ProviderError) as caught:
        ask(account, queries.SHOP, {})
    assert caught.value.retry is True


def test_an_app_of_the_merchant_s_own_gets_a_token_for_a_day_and_asks_once() -> None:
    shop = Shop(access_token="", shop="token-test.myshopify.com")
    assert token(shop.account).startswith("shpat_")
    assert token(shop.account) == token(shop.account)
    wrong = Shop(access_token="", shop="token-test.myshopify.com")
    wrong.account = Account({**wrong.account.secrets, "client_secret": "x" * 32}, {}, wrong.send)
    with pytest.raises(Refusal):
        token(wrong.account)
    with pytest.raises(Refusal) as caught:
        token(Account({"shop": "a.myshopify.com", "client_secret": "x" * 32}))
    assert caught.value.code == "NO_TOKEN"


def _purchase(order: int) -> Signal:
    at = clock.now()
    return Signal("purchase", str(order), (str(order),), at, money=Money(4200, "USD"))


def test_the_shop_says_whether_it_is_the_first_order_and_how_somebody_came() -> None:
    shop = Shop()
    first = shop.buy(4200, landing="https://shop.halden.example/?ref=8Mnu79TD")
    second = shop.buy(4200)
    (signal,) = look_up([_purchase(first)], shop.account)
    assert (signal.is_first, signal.first_purchase_at, signal.codes) == (True, None, (Code("8Mnu79TD"),))
    (signal,) = look_up([_purchase(second)], shop.account)
    assert (signal.is_first, signal.first_purchase_at is not None) == (False, True)
    # An order that the token may not see, and no token at all.
    unseen = _purchase(1)
    assert look_up([unseen], shop.account) == [unseen]
    lone = Account({"shop": SECRETS["shop"], "client_secret": "x" * 32}, {}, shop.send)
    asked = len(shop.asked)
    assert look_up([signal], lone) == [signal]
    assert len(shop.asked) == asked


def test_a_refund_in_two_currencies_is_asked_for_by_its_number() -> None:
    shop = Shop()
    shop.play("refund", order=str(shop.buy(4200)), amount_minor=1000)
    told = PROVIDER.source.parse(Message(shop.told[-1][1], "refunds/create"))[0]
    # Of one currency nothing has to be asked.
    asked = len(shop.asked)
    assert look_up([told], shop.account) == [told]
    assert len(shop.asked) == asked
    by_lines = replace(told, money=Money(999, "EUR"), also=(Money(1000, "USD"),))
    assert look_up([by_lines], shop.account) == [told]
    number = told.external_id.removeprefix("refund_")
    assert shop.asked[-1] == (queries.REFUND, {"id": f"gid://shopify/Refund/{number}"})


def test_the_nightly_look_gives_what_the_messages_gave_under_the_same_names() -> None:
    shop = Shop()
    orders = [shop.buy(4200, codes=["ASHA10"], attributes={"referral_code": "8Mnu79TD"}) for _number in range(12)]
    shop.play("refund", order=str(orders[0]), amount_minor=1000)
    shop.play("cancel", order=str(orders[1]))
    sent = {}
    for topic, payload in shop.told:
        headers = {"X-Shopify-Topic": topic}
        name = PROVIDER.source.event_id(payload, Delivery(b"", headers))
        sent[name] = PROVIDER.source.parse(Message(payload, topic))[0]
    now = clock.now()
    found = list(pull(shop.account, now - timedelta(hours=72), now + timedelta(seconds=5)))
    assert sorted(item.event_id for item in found) == sorted(sent)
    assert len(found) == 14
    for item in found:
        (signal,) = PROVIDER.source.parse(Message(json.loads(item.body), item.type))
        assert replace(signal, metadata={}) == replace(sent[item.event_id], metadata={})
    assert list(pull(shop.account, now - timedelta(hours=72), now - timedelta(hours=1))) == []


def order(text: str, mark: str, **changes: Any) -> CodeOrder:
    return replace(CodeOrder(text, "unused", mark, f"key-{mark}", 1, discount=TEN), **changes)


def test_a_discount_code_is_made_once_and_known_again() -> None:
    shop = Shop()
    at = ShopifyPromotions(shop.account)
    made = at.make_code(order("8Mnu79TD", "pc_1"))
    assert made.startswith("gid://shopify/DiscountCodeNode/")
    assert at.find_code(order("8Mnu79TD", "pc_1")) == made
    assert at.find_code(order("8Mnu79TD", "pc_1", revision=2)) == ""
    assert at.find_code(order("8Mnu79TD", "pc_1", revision=0)) == made
    # After a lost answer the same is made again: it is the one that is there.
    assert at.make_code(order("8Mnu79TD", "pc_1")) == made
    # Another discount under the same text: the one that is there is changed.
    assert at.make_code(order("8Mnu79TD", "pc_1", revision=2, discount=Discount(money=Money(500, "USD")))) == made
    assert shop.asked[-2][1]["discount"]["customerGets"]["value"] == {
        "discountAmount": {"amount": "5.00", "appliesOnEachItem": False}
    }
    # Letters differ in case only: the shop knows one of them, and it is somebody else's.
    with pytest.raises(RemoteError) as caught:
        at.make_code(order("8mNU79td", "pc_2"))
    assert caught.value.problem == "code_taken"
    at.switch(made, on=False)
    with pytest.raises(RemoteError):
        at.switch("gid://shopify/DiscountCodeNode/9", on=True)


def test_a_discount_as_the_shop_is_asked_for_it() -> None:
    shop = Shop()
    ShopifyPromotions(shop.account).make_code(order("ASHA", "pc_1", minimum=Money(3000, "JPY")))
    asked = shop.asked[-1][1]["discount"]
    assert asked["customerGets"] == {"value": {"percentage": 0.1}, "items": {"all": True}}
    assert asked["minimumRequirement"] == {"subtotal": {"greaterThanOrEqualToSubtotal": "3000"}}
    assert (asked["appliesOncePerCustomer"], asked["context"]) == (True, {"all": "ALL"})
    assert asked["tags"] == ["passalong", "passalong:pc_1:1"]


@pytest.mark.parametrize(
    ("secrets", "problem"),
    [
        ({"access_token": "shpat_revoked00000000"}, "key_refused"),
        ({"access_token": "", "client_id": ""}, "key_missing"),
    ],
)
def test_a_code_without_a_right_to_make_it(secrets: dict[str, str], problem: str) -> None:
    with pytest.raises(RemoteError) as caught:
        ShopifyPromotions(Shop(**secrets).account).make_code(order("ASHA", "pc_1"))
    assert (caught.value.problem, caught.value.retry) == (problem, False)


def test_webhooks_are_subscribed_to_once_and_only_those_that_can_be() -> None:
    shop = Shop()
    at = ShopifyListening(shop.account)
    events = tuple(name for name, _why in PROVIDER.events)
    wanted = EndpointOrder("https://refer.example/in/con_1/", events, "con_1", "key")
    assert at.find(wanted) == ""
    assert at.make(wanted).remote_id == wanted.url
    topics = [variables["topic"] for query, variables in shop.asked if query == queries.SUBSCRIBE]
    assert topics == [
        "APP_UNINSTALLED",
        "CUSTOMERS_CREATE",
        "DISPUTES_CREATE",
        "DISPUTES_UPDATE",
        "ORDERS_CANCELLED",
        "ORDERS_PAID",
        "REFUNDS_CREATE",
    ]
    assert at.find(wanted) == wanted.url
    assert at.update(wanted.url, replace(wanted, events=events[:2])) is True
    at.delete(wanted.url)
    assert at.find(wanted) == ""
