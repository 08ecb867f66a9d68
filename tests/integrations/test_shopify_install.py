"""Installing the app in a shop: there with a state, back with a proof, once, for this browser and this shop only."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from functools import partial
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import shopify
from pytest_django import Settings

from integrations.base import Account, ProviderError
from integrations.models import Connection, InboundEvent
from integrations.providers.shopify.installing import ShopifyInstalling
from integrations.sandbox.sending import SETTING
from integrations.services import secrets_of
from referrals.lib.signing import SignatureError
from tests.factories import Cast
from tests.integrations.test_shopify import headers, sample

SHOP, ID, SECRET = "halden-roasts.myshopify.com", "c" * 32, "shpss0123456789abcdef"
APP = {"shop": SHOP, "client_id": ID, "client_secret": SECRET}


def signed(secret: str = SECRET, **query: str) -> dict[str, str]:
    """The way back, signed by Shopify's recipe: the pairs in order of their names."""
    found = {"code": "0907a61c", "shop": SHOP, "timestamp": str(int(time.time())), "host": "YWRtaW4", **query}
    text = "&".join(f"{name}={value}" for name, value in sorted(found.items()))
    return found | {"hmac": hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()}


@pytest.mark.parametrize(
    "query",
    [
        {},
        signed() | {"shop": "other.myshopify.com"},
        signed(shop="other.myshopify.com"),
        signed("another secret"),
        signed(timestamp=str(int(time.time()) - 90_000)),
        signed(timestamp="soon"),
        signed(code=""),
        signed(code="two words"),
        signed() | {"hmac": "é"},
    ],
)
def test_a_way_back_that_is_not_genuine_is_refused(query: dict[str, str]) -> None:
    def send(*_args: Any, **_more: Any) -> Any:
        raise AssertionError("nothing may be asked")

    with pytest.raises(SignatureError):
        ShopifyInstalling().finish(Account(APP, {}, send), query)


@pytest.mark.parametrize(
    "shop",
    [
        "",
        "halden-roasts",
        "halden.example",
        "halden-roasts.myshopify.com.evil.example",
        "evil.example/halden-roasts.myshopify.com",
        "evil.example#.myshopify.com",
        "a@evil.example:443/.myshopify.com",
        "-x.myshopify.com",
        "halden_roasts.myshopify.com",
        "x.y.myshopify.com",
        "halden-roasts.myshopify.com\n",
    ],
)
def test_only_a_shop_s_own_address_is_gone_to(shop: str) -> None:
    with pytest.raises(ProviderError):
        ShopifyInstalling().address(Account(APP | {"shop": shop}), back="https://refer.example/", state="s")


def test_nothing_is_set_on_the_package_s_shared_class() -> None:
    other = Account({"shop": "other.myshopify.com", "client_id": "d" * 32, "client_secret": "e" * 32})
    one, two = (
        ShopifyInstalling().address(account, back="https://refer.example/", state="s")
        for account in (Account(APP), other)
    )
    assert (urlsplit(one).netloc, urlsplit(two).netloc) == (SHOP, "other.myshopify.com")
    assert (parse_qs(urlsplit(one).query)["client_id"], parse_qs(urlsplit(two).query)["client_id"]) == (
        [ID],
        ["d" * 32],
    )
    assert (shopify.Session.api_key, shopify.Session.secret) == (None, None)


@pytest.fixture
def begun(alice: Cast, settings: Settings) -> Connection:
    """An unfinished connection of the test side, whose shop is played."""
    settings.SHOPIFY_CLIENT_ID, settings.SHOPIFY_CLIENT_SECRET = ID, SECRET
    session = alice.client.session
    session["is_test"] = True
    session.save()
    row = Connection.objects.create(
        merchant=alice.merchant, is_test=True, provider="shopify", settings={SETTING: True}, sealed=""
    )
    row.secrets = {}
    row.save()
    return row


def _address(alice: Cast, row: Connection, whose: str = f" HTTPS://{SHOP}/ ") -> str:
    page = alice.client.post(f"/app/connections/{row.public_id}/install/", {"whose": whose}).content.decode()
    found = re.search(r'href="(https://[^"]+/admin/oauth/authorize[^"]*)"', page)
    assert found, page
    return unescape(found.group(1))


@pytest.mark.django_db
def test_a_merchant_installs_the_installation_s_app(alice: Cast, begun: Connection) -> None:
    assert "Connect with a click" in alice.client.get(f"/app/connections/{begun.public_id}/").content.decode()
    asked = urlsplit(_address(alice, begun))
    query = {name: values[0] for name, values in parse_qs(asked.query).items()}
    assert (asked.netloc, asked.path) == (SHOP, "/admin/oauth/authorize")
    assert query["client_id"] == ID
    assert query["scope"] == "read_orders,read_customers,write_discounts"
    assert query["redirect_uri"] == "http://testserver/app/connections/installed/"
    # Somebody else's way back changes nothing, and uses the state up.
    back = "/app/connections/installed/"
    forged = alice.client.get(back, signed(state="forged"), follow=True).content.decode()
    assert "not the way back of an installation that you began here" in forged
    begun.refresh_from_db()
    assert secrets_of(begun) == {}
    assert alice.client.get(back, signed(state=query["state"])).status_code == 404
    state = parse_qs(urlsplit(_address(alice, begun)).query)["state"][0]
    assert state != query["state"]
    assert alice.client.get(back, signed(state=state)).status_code in {302, 303}
    begun.refresh_from_db()
    kept = secrets_of(begun)
    assert kept.pop("access_token").startswith("shpat_")
    assert kept == APP
    assert alice.client.get(back, signed(state=state)).status_code == 404


@pytest.mark.django_db
def test_what_is_no_shop_is_said_and_without_an_app_there_is_no_such_way(
    alice: Cast, begun: Connection, settings: Settings
) -> None:
    path = f"/app/connections/{begun.public_id}/install/"
    for whose in ("evil.example", "halden.myshopify.com.evil.example"):
        page = alice.client.post(path, {"whose": whose}, follow=True).content.decode()
        assert "Write the shop’s own address" in page
    settings.SHOPIFY_CLIENT_SECRET = ""
    page = alice.client.post(path, {"whose": SHOP}, follow=True).content.decode()
    assert "made this way" in page
    assert "Connect with a click" not in alice.client.get(f"/app/connections/{begun.public_id}/").content.decode()
    assert "connection_install" not in alice.client.session


@pytest.mark.django_db
def test_a_message_to_the_app_s_own_address_finds_its_shop(alice: Cast, begun: Connection, settings: Settings) -> None:
    begun.secrets, begun.settings = {**APP, "access_token": "shpat_" + "a" * 32}, {"installed_for": SHOP}
    begun.save()
    body = json.dumps(sample("customers_data_request")).encode()
    good = headers(body, "customers/data_request")
    post = partial(alice.client.post, "/in/app/shopify/", data=body, content_type="application/json")
    assert post(headers=good | {"X-Shopify-Hmac-Sha256": "A" * 44}).status_code == 401
    assert post(headers={**good, "X-Shopify-Shop-Domain": "other.myshopify.com"}).status_code == 200
    assert InboundEvent.objects.count() == 0
    assert post(headers=good).status_code == 200
    assert InboundEvent.objects.get().connection == begun
    settings.SHOPIFY_CLIENT_SECRET = ""
    assert post(headers=good).status_code == 404
    assert alice.client.post("/in/app/acme/", data=body, content_type="application/json").status_code == 404
