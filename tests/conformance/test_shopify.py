"""Shopify's own samples and its own schema: the official bodies become what they promise, and every question and answer is valid.

They come from Shopify and are not part of this repository; SPECS_DIR names the folder. The schema is built with `assume_valid`: Shopify's
has six deprecations that the specification of GraphQL does not allow.
"""

from __future__ import annotations

import gzip
import json
import os
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLSchema, build_client_schema, execute_sync, parse, validate

from integrations.base import Code, Delivery, Ignored
from integrations.providers.shopify import PROVIDER, queries
from integrations.providers.shopify.asking import look_up, pull
from integrations.providers.shopify.graphql import API_VERSION, ask
from integrations.providers.shopify.keeping import ShopifyListening, ShopifyPromotions
from integrations.providers.shopify.paying import DISCOUNT, GIFT_CARD, recent_cards, recent_discounts
from integrations.providers.shopify.store_credit import STORE_CREDIT
from integrations.remote import CodeOrder, Discount, EndpointOrder
from referrals.lib import clock
from referrals.lib.http import Answer
from referrals.lib.money import Money
from tests.integrations.issuers.test_shopify import ORDER as ORDER_TO_PAY
from tests.integrations.sending import signals_of
from tests.integrations.test_shopify_api import Shop, _purchase

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = Path(os.environ.get("SPECS_DIR") or ROOT.parent / "shared" / "specs") / "shopify"
SCHEMA = FOLDER / f"admin_{API_VERSION}.json.gz"
pytestmark = [
    pytest.mark.conformance,
    pytest.mark.skipif(not SCHEMA.is_file(), reason=f"no schema at {SCHEMA}; SPECS_DIR names its folder"),
]
ORDER = "orders.webhook-body.order-450789469"


@cache
def schema() -> GraphQLSchema:
    return build_client_schema(json.loads(gzip.decompress(SCHEMA.read_bytes()))["data"], assume_valid=True)


def body(name: str, **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / "rest-samples" / f"{name}.json").read_text())
    return found | changes


@pytest.mark.parametrize("name", sorted(queries.EVERY))
def test_a_question_is_valid_in_shopify_s_schema(name: str) -> None:
    document = parse(queries.EVERY[name])
    assert validate(schema(), document) == []
    used = document.to_dict()
    assert "@idempotent" not in queries.EVERY[name], "none of these documents it (PROVIDERS.md, section 0.1)"
    assert used["definitions"][0]["name"]["value"].startswith("Passalong")


class Checked(Shop):
    """A shop whose questions are run against the schema with its own answers: each variable and each field has to fit."""

    def send(self, method: str, url: str, **more: Any) -> Answer:
        """Ask, and check both sides."""
        answer = super().send(method, url, **more)
        if url.endswith("graphql.json"):
            query, variables = self.asked[-1]
            told = json.loads(answer.body)["data"]
            result = execute_sync(schema(), parse(query), root_value=told, variable_values=variables)
            assert result.errors is None, result.errors
            assert result.data == told
        return answer


def pay(shop: Checked) -> None:
    """A reward by each of the three ways, looked for again, and listed."""
    customer = str(shop.play("order", amount_minor=100, currency="USD", email="asha@example.com")["id"])
    chosen = replace(ORDER_TO_PAY, options={"prefix": "thanks", "days": "30", "notify": "yes"}, called_at=clock.wall())
    for issuer in (DISCOUNT, GIFT_CARD, STORE_CREDIT):
        assert issuer.send(chosen, shop.account).state == "paid"
        assert issuer.check(chosen, shop.account) is not None
        # Once more: the code is taken, and the credit is for a customer who is not there.
        again = issuer.send(replace(chosen, customer=customer if issuer is GIFT_CARD else "1"), shop.account)
        assert again.state == ("failed" if issuer is STORE_CREDIT else "paid")
    GIFT_CARD.send(replace(chosen, key="po_two", customer=customer), shop.account)
    span = clock.now() - timedelta(minutes=5), clock.now() + timedelta(minutes=5)
    assert [len(list(recent(shop.account, *span))) for recent in (recent_discounts, recent_cards)] == [1, 2]


def test_every_question_that_is_asked_and_every_answer_fits_the_schema() -> None:
    shop = Checked()
    order = shop.buy(
        4200, landing="https://shop.halden.example/?ref=8Mnu79TD", codes=["ASHA10"], attributes={"ref": "a"}
    )
    refund = shop.play("refund", order=str(order), amount_minor=1000)["id"]
    shop.play("cancel", order=str(order))
    look_up([_purchase(order)], shop.account)
    ask(shop.account, queries.REFUND, {"id": f"gid://shopify/Refund/{refund}"})
    now = clock.now()
    assert len(list(pull(shop.account, now - timedelta(days=3), now + timedelta(seconds=5)))) == 3
    codes = ShopifyPromotions(shop.account)
    ten = CodeOrder("ASHA10", "", "pc_1", "key", 1, Money(3000, "USD"), discount=Discount(percent=Decimal(10)))
    made = codes.make_code(ten)
    assert (
        codes.make_code(CodeOrder("ASHA10", "", "pc_1", "key", 2, discount=Discount(money=Money(500, "USD")))) == made
    )
    codes.switch(made, on=False)
    hooks = ShopifyListening(shop.account)
    wanted = EndpointOrder("https://refer.example/in/con_1/", tuple(name for name, _ in PROVIDER.events), "con_1", "k")
    hooks.make(wanted)
    hooks.delete(wanted.url)
    pay(shop)
    assert {query for query, _variables in shop.asked} == set(queries.EVERY.values())


def test_shopify_s_own_order() -> None:
    (signal,) = signals_of(PROVIDER.source, body(ORDER), {"X-Shopify-Topic": "orders/paid"})
    assert (signal.fact, signal.external_id, signal.money) == ("purchase", "450789469", Money(59894, "USD"))
    assert (signal.email, signal.name, signal.customer_id) == ("bob.norman@mail.example.com", "Bob Norman", "207119551")
    assert signal.codes == (Code("TENOFF", "promotion"), Code("abc"))
    assert PROVIDER.source.is_test(body(ORDER)) is False


def test_shopify_s_own_order_with_a_code_in_the_cart() -> None:
    attributes = [*body(ORDER)["note_attributes"], {"name": "referral_code", "value": "8Mnu79TD"}]
    changed = body(
        ORDER, note_attributes=attributes, discount_codes=[], discount_applications=[], landing_site_ref=None
    )
    (signal,) = signals_of(PROVIDER.source, changed, {"X-Shopify-Topic": "orders/paid"})
    assert signal.codes == (Code("8Mnu79TD"),)


def test_shopify_s_own_refund_and_dispute() -> None:
    (refund,) = signals_of(PROVIDER.source, body("refund"), {"X-Shopify-Topic": "refunds/create"})
    assert (refund.external_id, refund.money, refund.references[0]) == (
        "refund_929361472",
        Money(4194, "USD"),
        "450789469",
    )
    assert PROVIDER.source.is_test(body("refund")) is True
    (dispute,) = signals_of(PROVIDER.source, body("dispute"), {"X-Shopify-Topic": "disputes/create"})
    assert (dispute.fact, dispute.references[0]) == ("dispute", "625362839")


@pytest.mark.parametrize("name", [ORDER, "refund", "dispute", "gift_card", "price_rule", "discount_code"])
@pytest.mark.parametrize("topic", [*(name for name, _why in PROVIDER.events), "orders/create"])
def test_any_sample_under_any_topic_is_read_or_refused_with_a_reason(topic: str, name: str) -> None:
    headers = {"X-Shopify-Topic": topic}
    assert PROVIDER.source.event_id(body(name), Delivery(b"{}", headers)).startswith(topic)
    try:
        signals = signals_of(PROVIDER.source, body(name), headers)
    except (Ignored, ValueError):
        return
    assert [signal.external_id != "" for signal in signals] == [True]
