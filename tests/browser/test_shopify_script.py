"""shopify.js on a page of a shop: what the cart is told, and when it is not (docs/connections/shopify.md)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Route

from scripts.browser import Watch

SCRIPT = Path(__file__).parent.parent.parent / "referrals" / "hosted" / "browser" / "shopify.js"
SHOP = "https://shop.example"
PAGE = """<!doctype html><html lang="en"><head><title>Shop</title><link rel="icon" href="data:,">
<script>window.Referrals = {{ ready: Promise.resolve(), getReferralCode: () => "{code}" }}; window.Shopify = {shopify};</script>
</head><body><form><input data-referral-code aria-label="Code"></form><script src="/shopify.js" {attributes}></script></body></html>"""
CART = ["/cart/update.js", {"attributes": {"referral_code": "8Mnu79TD"}}]


class Visit:
    """One opening of the shop's page: what it was made of, and what the script asked of the shop."""

    def __init__(self, context: BrowserContext) -> None:
        self.page: Page = context.new_page()
        self.asked: list[list[Any]] = []
        self.warned: list[str] = []
        self.said: dict[str, str] = {}
        self.status = 200
        self.page.on("console", lambda told: self.warned.append(told.text) if told.type == "warning" else None)
        self.page.route(f"{SHOP}/**", self._answer)

    def _answer(self, route: Route) -> None:
        path = route.request.url.removeprefix(SHOP)
        if path == "/":
            route.fulfill(body=PAGE.format(**self.said), content_type="text/html")
        elif path == "/shopify.js":
            route.fulfill(path=SCRIPT, content_type="text/javascript")
        else:
            body = route.request.post_data
            self.asked.append([path, json.loads(body) if body else None])
            route.fulfill(status=self.status, body="{}", content_type="application/json")

    def open(
        self, *, cart: str = "c1", code: str = "8Mnu79TD", shopify: str = "null", attributes: str = ""
    ) -> list[Any]:
        """Open the page, and give what was asked of the shop."""
        self.asked = []
        self.said = {"code": code, "shopify": shopify, "attributes": attributes}
        self.page.context.add_cookies([{"name": "cart", "value": cart, "url": SHOP}])
        self.page.goto(f"{SHOP}/", wait_until="networkidle")
        return self.asked

    def kept(self) -> str | None:
        """What the page remembers of the cart that it told."""
        found: str | None = self.page.evaluate("sessionStorage.getItem('referral_cart')")
        return found


@pytest.fixture
def visit(context: BrowserContext) -> Visit:
    return Visit(context)


def test_the_cart_takes_the_code_along_once(visit: Visit) -> None:
    assert (visit.open(), visit.kept(), visit.warned) == ([CART], "8Mnu79TD c1", [])
    assert visit.page.locator("input").input_value() == "8Mnu79TD"
    assert visit.open() == []
    # A cart that was paid for makes room for a new one.
    assert visit.open(cart="c2") == [CART]
    assert visit.open(cart="c3", code="") == []


def test_the_checkout_has_the_discount_already_in_a_shop_of_several_languages(visit: Visit) -> None:
    own = visit.open(attributes='data-discount="{code}"', shopify='{"routes": {"root": "/fr/"}}')
    assert own == [["/fr/cart/update.js", CART[1]], ["/fr/discount/8Mnu79TD", None]]
    assert visit.open(cart="c2", attributes='data-discount="WELCOME 15"')[1] == ["/discount/WELCOME%2015", None]


def test_a_cart_that_fails_stops_nothing_and_is_told_again(visit: Visit, watch: Watch) -> None:
    visit.status = 500
    assert (visit.open(), visit.kept(), visit.warned) == ([CART], None, ["Referrals: The cart answered 500."])
    watch.problems.clear()  # the browser tells of the 500 as well
    visit.status = 200
    assert (visit.open(), visit.kept()) == ([CART], "8Mnu79TD c1")
