"""Installing an app in a shop (OAuth, authorization code grant), with Shopify's own package for its address and the proof of the way back.

The package keeps its app's id and secret on a class that the whole process shares, and asks for the token without a time-out (PROVIDERS.md,
section 0.3). So each installation gets a class of its own, and the token is asked for by referrals.lib.http.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import shopify
from django.conf import settings

from integrations.base import Account, Delivery, ProviderError
from integrations.providers.shopify.graphql import API_VERSION, exchange
from integrations.providers.shopify.source import SHOP
from referrals.lib.signing import SignatureError

SCOPES = ("read_orders", "read_customers", "write_discounts")
# A shop's own address, and nothing that a browser could take for another host.
_SHOP = re.compile(r"[a-z0-9][a-z0-9-]{0,59}\.myshopify\.com", re.ASCII)
_CODE = re.compile(r"[\x21-\x7e]{1,200}", re.ASCII)


class ShopifyInstalling:
    """The app is the merchant's own, when the connection has its id and secret, else the installation's."""

    def is_possible(self, account: Account) -> bool:
        """Whether there is an app."""
        return all(_app(account))

    def address(self, account: Account, *, back: str, state: str) -> str:
        """The shop's page that asks whether the app may have these rights. Raises ProviderError for what is no shop's address."""
        return str(_session(account).create_permission_url(list(SCOPES), back, state))

    def finish(self, account: Account, query: Mapping[str, str]) -> dict[str, str]:
        """The secrets of the connection. Raises SignatureError for a query that Shopify did not sign, within a day, for this very shop."""
        session = _session(account)
        try:
            genuine = session.validate_params(dict(query))
        except (ValueError, UnicodeError) as error:
            raise SignatureError("The way back from Shopify is malformed.") from error
        if not genuine:
            raise SignatureError("Shopify did not sign the way back, or more than a day ago.")
        if query.get("shop") != session.url:
            raise SignatureError("Another shop than the one that was asked came back.")
        if not _CODE.fullmatch(query.get("code", "")):
            raise SignatureError("The way back has no code.")
        client_id, client_secret = _app(account)
        told = exchange(account, {"client_id": client_id, "client_secret": client_secret, "code": query["code"]})
        return {
            "shop": str(session.url),
            "client_id": client_id,
            "client_secret": client_secret,
            "access_token": str(told["access_token"]),
        }


class ShopifyApp:
    """The installation's app. Shopify sends requests about privacy to the address in the app's configuration, for all shops."""

    def account(self) -> Account | None:
        """The app's secret; None without an app."""
        secret = settings.SHOPIFY_CLIENT_SECRET
        return Account({"client_secret": secret}) if secret else None

    def whose(self, delivery: Delivery) -> str:
        """The shop's address."""
        return delivery.headers.get(SHOP, "").lower()


def _app(account: Account) -> tuple[str, str]:
    """Client id and secret."""
    own = account.secrets.get("client_id", ""), account.secrets.get("client_secret", "")
    return own if all(own) else (settings.SHOPIFY_CLIENT_ID, settings.SHOPIFY_CLIENT_SECRET)


def _session(account: Account) -> shopify.Session:
    shop = account.secrets.get("shop", "").lower()
    if not _SHOP.fullmatch(shop):
        raise ProviderError("This is no shop's address.", retry=False)
    client_id, client_secret = _app(account)
    # Not Session.setup(), which would change the one class that every other request of this process uses, too.
    kind = type("OwnSession", (shopify.Session,), {"api_key": client_id, "secret": client_secret})
    session: shopify.Session = kind(shop, API_VERSION)
    if session.url != shop:
        raise ProviderError("This is no shop's address.", retry=False)
    return session
