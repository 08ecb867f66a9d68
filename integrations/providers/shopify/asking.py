"""The few questions that we ask a shop: what the message of an order or a refund leaves out, and what was lost in the night."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from integrations.base import Account, Code, Delivery, Pulled, Signal
from integrations.providers.shopify import queries
from integrations.providers.shopify.amounts import refunded
from integrations.providers.shopify.graphql import ask
from integrations.providers.shopify.source import REFUND, TOPIC, ShopifySource, address_codes
from integrations.reading import Object, each, ident, inner, iso_moment, text

_ORDER, _REFUND = "gid://shopify/Order/", "gid://shopify/Refund/"


def can_ask(account: Account) -> bool:
    """Whether there is a token, or the means to get one."""
    return bool(account.secrets.get("access_token") or account.secrets.get("client_id"))


def look_up(signals: Sequence[Signal], account: Account) -> list[Signal]:
    """Fill in what only the shop knows: since when the customer buys there, how they came, and a refund's sum in the shop's currency.

    Without a token everything stays as it is. Raises ProviderError.
    """
    if not can_ask(account):
        return list(signals)
    return [_filled(signal, account) for signal in signals]


def _filled(signal: Signal, account: Account) -> Signal:
    if signal.fact == "purchase":
        order = inner(ask(account, queries.ORDER, {"id": _ORDER + signal.external_id}), "order")
        return with_order(signal, order)
    if signal.fact == "refund" and signal.also:
        name = _REFUND + signal.external_id.removeprefix(REFUND)
        found = inner(ask(account, queries.REFUND, {"id": name}), "refund")
        sums = refunded(_refund(found, "")) if found else ()
        return replace(signal, money=sums[0], also=sums[1:]) if sums else signal
    return signal


def with_order(signal: Signal, order: Object) -> Signal:
    """The signal with what the shop says of its order; the same when it says nothing, as for orders that the token may not see."""
    journey = inner(order, "customerJourneySummary")
    codes = [
        *signal.codes,
        *(code for visit in ("firstVisit", "lastVisit") for code in _visit_codes(inner(journey, visit))),
    ]
    customer = inner(order, "customer")
    count = text(customer.get("numberOfOrders")) or str(customer.get("numberOfOrders") or "")
    if not count.isdigit():
        return replace(signal, codes=tuple(dict.fromkeys(codes)))
    since = bought_since(customer, int(count), _ORDER + signal.external_id)
    return replace(signal, codes=tuple(dict.fromkeys(codes)), is_first=since is None, first_purchase_at=since)


def bought_since(customer: Object, count: int, order: str) -> datetime | None:
    """When the customer first bought, None when it was with this order.

    `count` has all orders up to now, later ones too; a token may see those of 60 days only. Where there are more than it sees, the day
    on which somebody became a customer stands for the first purchase, which is the best that can be known.
    """
    seen = list(each(inner(customer, "orders").get("nodes")))
    earliest = text(seen[0].get("id")) if seen else ""
    if count <= 1 or (earliest == order and count <= len(seen)):
        return None
    return iso_moment(seen[0].get("createdAt") if earliest not in {"", order} else customer.get("createdAt"))


def _visit_codes(visit: Object) -> Iterator[Code]:
    for place in ("landingPage", "referrerUrl"):
        yield from address_codes(visit.get(place))


def pull(account: Account, since: datetime, until: datetime) -> Iterator[Pulled]:
    """The orders that changed in a span, as the messages that should have told of them: paid, refunded, cancelled. Raises ProviderError."""
    span = f"updated_at:>='{_stamp(since)}' AND updated_at:<'{_stamp(until)}'"
    after: str | None = None
    while True:
        found = inner(ask(account, queries.ORDERS, {"query": span, "after": after}), "orders")
        for order in each(found.get("nodes")):
            yield from _messages(order)
        page = inner(found, "pageInfo")
        after = text(page.get("endCursor"))
        if page.get("hasNextPage") is not True or not after:
            return


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_PAID = {"PAID", "PARTIALLY_REFUNDED", "REFUNDED"}


def _messages(order: Object) -> Iterator[Pulled]:
    told = as_order(order)
    if order.get("displayFinancialStatus") in _PAID:
        yield _pulled("orders/paid", told)
    for refund in each(order.get("refunds")):
        yield _pulled("refunds/create", _refund(refund, told["id"]))
    if order.get("cancelledAt"):
        yield _pulled("orders/cancelled", told)


def _pulled(topic: str, payload: dict[str, Any]) -> Pulled:
    body = json.dumps(payload).encode()
    name = ShopifySource().event_id(payload, Delivery(body, {TOPIC: topic}))
    return Pulled(name, topic, body)


def as_order(order: Object) -> dict[str, Any]:
    """An order as GraphQL gives it, in the shape of a message."""
    customer, journey = inner(order, "customer"), inner(inner(order, "customerJourneySummary"), "firstVisit")
    address = inner(customer, "defaultEmailAddress")
    return {
        "id": ident(order.get("legacyResourceId")),
        "name": order.get("name"),
        "test": order.get("test"),
        "email": order.get("email"),
        "created_at": order.get("createdAt"),
        "processed_at": order.get("processedAt"),
        "cancelled_at": order.get("cancelledAt"),
        "financial_status": text(order.get("displayFinancialStatus")).lower(),
        "total_price_set": _bag(inner(order, "totalPriceSet")),
        "discount_codes": [{"code": code} for code in order.get("discountCodes") or ()],
        "note_attributes": [
            {"name": item.get("key"), "value": item.get("value")} for item in each(order.get("customAttributes"))
        ],
        "landing_site": journey.get("landingPage"),
        "referring_site": journey.get("referrerUrl"),
        "buyer_accepts_marketing": order.get("customerAcceptsMarketing"),
        "billing_address": {"name": inner(order, "billingAddress").get("name")},
        "customer": {
            "id": ident(customer.get("legacyResourceId")),
            "email": address.get("emailAddress"),
            "first_name": customer.get("firstName"),
            "last_name": customer.get("lastName"),
            "email_marketing_consent": {"state": text(address.get("marketingState")).lower()},
        },
    }


def _refund(refund: Object, order: str) -> dict[str, Any]:
    nodes = list(each(inner(refund, "transactions").get("nodes")))
    parts = [(item, _bag(inner(item, "amountSet"))) for item in nodes]
    return {
        "id": ident(refund.get("legacyResourceId")),
        "order_id": order,
        "created_at": refund.get("createdAt"),
        "transactions": [
            {
                "id": text(item.get("id")).rpartition("/")[2],
                "kind": text(item.get("kind")).lower(),
                "status": text(item.get("status")).lower(),
                "test": item.get("test"),
                "amount": bag["presentment_money"]["amount"],
                "currency": bag["presentment_money"]["currency_code"],
                "amount_set": bag,
            }
            for item, bag in parts
        ],
    }


def _bag(bag: Object) -> dict[str, dict[str, Any]]:
    def side(name: str) -> dict[str, Any]:
        money = inner(bag, name)
        return {"amount": money.get("amount"), "currency_code": money.get("currencyCode")}

    return {"shop_money": side("shopMoney"), "presentment_money": side("presentmentMoney")}
