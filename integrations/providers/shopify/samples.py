"""Shopify's messages for "send a test payment": the REST resources of its published samples, paid with its test gateway."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

from integrations.base import Account, Delivery, SampleKind, Scene
from integrations.providers.shopify.amounts import decimal_text
from integrations.providers.shopify.source import EVENT_ID, SHOP, TOPIC, ShopifySource
from referrals.lib.money import Money


def sign(body: bytes, topic: str, name: str, account: Account) -> dict[str, str]:
    """The headers of a webhook; `name` is the event's id."""
    digest = hmac.new(account.secrets.get("client_secret", "").encode(), body, hashlib.sha256).digest()
    return {
        ShopifySource.signature_header: base64.b64encode(digest).decode(),
        TOPIC: topic,
        SHOP: account.secrets.get("shop", ""),
        EVENT_ID: name,
    }


class Samples:
    """One made-up customer: orders, and what takes them back. An account that is opened is a lead."""

    kinds: tuple[SampleKind, ...] = ("payment", "renewal", "refund", "dispute", "lead")

    def delivery(self, scene: Scene, account: Account) -> Delivery:
        """The message; its topic and its id stand in headers only."""
        topic, payload = _MAKERS[scene.kind](scene)
        body = json.dumps(payload, separators=(",", ":")).encode()
        return Delivery(body, sign(body, topic, f"{scene.series}-{scene.payment}-{scene.kind}", account))


def _number(*parts: object) -> int:
    """Shopify's ids are numbers."""
    return int(hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()[:12], 16)


def _bag(money: Money) -> dict[str, Any]:
    side = {"amount": decimal_text(money), "currency_code": money.currency}
    return {"shop_money": side, "presentment_money": side}


def _customer(scene: Scene) -> dict[str, Any]:
    first, _, last = scene.name.partition(" ")
    number = _number(scene.series)
    return {
        "id": number,
        "admin_graphql_api_id": f"gid://shopify/Customer/{number}",
        "email": scene.email,
        "first_name": first,
        "last_name": last,
        "created_at": scene.at.isoformat(),
        "note": None,
        "tags": "",
        "email_marketing_consent": {"state": "not_subscribed", "opt_in_level": None},
    }


def _order(scene: Scene) -> tuple[str, dict[str, Any]]:
    number = _number(scene.series, scene.payment)
    return "orders/paid", {
        "id": number,
        "admin_graphql_api_id": f"gid://shopify/Order/{number}",
        "name": f"#{1001 + scene.payment}",
        "test": True,
        "email": scene.email,
        "contact_email": scene.email,
        "created_at": scene.at.isoformat(),
        "processed_at": scene.at.isoformat(),
        "cancelled_at": None,
        "currency": scene.money.currency,
        "presentment_currency": scene.money.currency,
        "financial_status": "paid",
        "total_price": decimal_text(scene.money),
        "total_price_set": _bag(scene.money),
        "buyer_accepts_marketing": False,
        "discount_codes": [],
        "discount_applications": [],
        "note_attributes": [{"name": "referral_code", "value": scene.code}] if scene.code else [],
        "landing_site": "/",
        "landing_site_ref": None,
        "referring_site": "",
        "customer": _customer(scene),
        "billing_address": {"name": scene.name},
        "line_items": [],
        "refunds": [],
    }


def _refund(scene: Scene) -> tuple[str, dict[str, Any]]:
    order = _number(scene.series, scene.payment)
    part = {
        "id": _number(scene.series, scene.payment, "transaction"),
        "order_id": order,
        "kind": "refund",
        "status": "success",
        "test": True,
        "amount": decimal_text(scene.money),
        "currency": scene.money.currency,
    }
    return "refunds/create", {
        "id": _number(scene.series, scene.payment, "refund"),
        "order_id": order,
        "created_at": scene.at.isoformat(),
        "processed_at": scene.at.isoformat(),
        "note": None,
        "refund_line_items": [],
        "order_adjustments": [],
        "transactions": [part],
    }


def _dispute(scene: Scene) -> tuple[str, dict[str, Any]]:
    return "disputes/create", {
        "id": _number(scene.series, scene.payment, "dispute"),
        "order_id": _number(scene.series, scene.payment),
        "type": "chargeback",
        "amount": decimal_text(scene.money),
        "currency": scene.money.currency,
        "reason": "fraudulent",
        "status": "needs_response",
        "initiated_at": scene.at.isoformat(),
        "finalized_on": None,
    }


def _lead(scene: Scene) -> tuple[str, dict[str, Any]]:
    return "customers/create", _customer(scene) | {"note": f"referral_code: {scene.code}" if scene.code else None}


_MAKERS = {"payment": _order, "renewal": _order, "refund": _refund, "dispute": _dispute, "lead": _lead}
