"""What Shopify tells us: its signature, and its orders, refunds, customers, disputes and privacy requests (PROVIDERS.md, section 3).

A message's topic stands in a header only, and so does its id. Orders come in the shape of Shopify's REST resources, whatever asks for them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from integrations.base import Account, Code, Delivery, Fact, Ignored, Message, PayloadError, Signal
from integrations.providers.shopify.amounts import refunded, successful, total
from integrations.reading import (
    CODE_KEYS,
    Object,
    code_texts,
    codes_in,
    each,
    ident,
    inner,
    iso_moment,
    names,
    need_ident,
    text,
    word,
)
from referrals.lib import clock
from referrals.lib.signing import SignatureError, equal

TOPIC, SHOP = "X-Shopify-Topic", "X-Shopify-Shop-Domain"
# Before a refund's number in its name here.
REFUND = "refund_"
EVENT_ID, DELIVERY_ID = "X-Shopify-Event-Id", "X-Shopify-Webhook-Id"
IS_SAMPLE = "X-Shopify-Test"
# Of an order that nobody paid for, so that its cancellation takes nothing back.
UNPAID = {"pending", "authorized", "voided", "expired"}


class ShopifySource:
    """Shopify's webhooks."""

    signature_header = "X-Shopify-Hmac-Sha256"

    def verify(self, delivery: Delivery, account: Account) -> None:
        """HMAC-SHA256 of the raw body in base64, by the app's client secret. There is no time in it. Raises SignatureError.

        One app has one secret for all shops, so the shop that the message names has to be this connection's.
        """
        secret = account.secrets.get("client_secret", "")
        given = delivery.headers.get(self.signature_header, "")
        if not secret:
            raise SignatureError("This connection has no client secret yet.")
        if len(given) != 44:
            raise SignatureError("The X-Shopify-Hmac-Sha256 header is missing or malformed.")
        expected = base64.b64encode(hmac.new(secret.encode(), delivery.body, hashlib.sha256).digest())
        if not equal(expected, given):
            raise SignatureError("The signature does not fit the body and this connection's client secret.")
        shop = delivery.headers.get(SHOP, "").lower()
        mine = account.secrets.get("shop", "").lower()
        # A message to the app's own address is about any of its shops.
        if shop and mine and shop != mine:
            raise SignatureError("The message comes from another shop than this connection's.")

    def event_id(self, payload: Object, delivery: Delivery) -> str:
        """The topic and what it is about, where that happens once: so a message that comes again, by another subscription, or
        by the nightly look, is the same. For the rest what the headers say, which a repeated delivery repeats.
        """
        topic = self.event_type(payload, delivery)
        about = "" if delivery.headers.get(IS_SAMPLE) else _once(topic, payload)
        if not about:
            given = delivery.headers.get(EVENT_ID, "") or delivery.headers.get(DELIVERY_ID, "")
            about = word(given, EVENT_ID, 120) if given else "body_" + hashlib.sha256(delivery.body).hexdigest()
            about = "/".join(names(ident(payload), about))
        return f"{topic}/{about}"

    def event_type(self, payload: Object, delivery: Delivery) -> str:
        """The topic, such as `orders/paid`; it stands in a header only."""
        return word(delivery.headers.get(TOPIC), TOPIC, 80)

    def is_test(self, payload: Object) -> bool | None:
        """An order says whether it was paid in test mode, and so do the transactions of a refund."""
        found = payload.get("test")
        if type(found) is bool:
            return found
        marks = [item["test"] for item in each(payload.get("transactions")) if type(item.get("test")) is bool]
        return any(marks) if marks else None

    def parse(self, message: Message) -> list[Signal]:
        """One signal for each topic that is used; raises Ignored with the reason for all others."""
        reader = READERS.get(message.kind)
        if reader is None:
            raise Ignored("type_unused", type=message.kind)
        return [reader(message.payload)]


def _once(topic: str, payload: Object) -> str:
    """What names a message whose thing happens once; "" for topics that may come again about the same thing."""
    match topic:
        case "orders/paid" | "orders/cancelled" | "customers/create" | "disputes/create":
            return ident(payload)
        case "disputes/update":
            return "/".join(names(ident(payload), text(payload.get("type"))[:20], text(payload.get("status"))[:40]))
        case "refunds/create":
            # With how much has gone through: a part that was pending is told again by the nightly look.
            done = sum(1 for _part in successful(payload))
            return f"{ident(payload)}/{done}" if ident(payload) else ""
        case _:
            return ""


def order_names(order_id: str) -> tuple[str, ...]:
    """An order's number as REST and as GraphQL write it. Numbers like #1001 are a shop's own, and two shops may be connected."""
    return (order_id, f"gid://shopify/Order/{order_id}")


def _paid(order: Object) -> Signal:
    """A paid order, in the money of the shop; what the customer saw in another currency stands beside it."""
    name, customer = need_ident(order, "the order's id"), inner(order, "customer")
    sums = total(order)
    if not sums:
        raise Ignored("nothing_paid")
    return Signal(
        fact="purchase",
        external_id=name,
        references=order_names(name),
        occurred_at=_moment(order, "processed_at", "created_at"),
        money=sums[0],
        also=sums[1:],
        email=next(_texts(order.get("email"), order.get("contact_email"), customer.get("email")), ""),
        name=_name(customer) or text(inner(order, "billing_address").get("name"))[:160],
        codes=tuple(dict.fromkeys(_codes(order))),
        customer_id=ident(customer),
        metadata=_kept(order, name),
    )


def _kept(order: Object, name: str) -> dict[str, str]:
    consents = order.get("buyer_accepts_marketing") is True or _wants_mail(inner(order, "customer"))
    told = {"order": name, "order_name": text(order.get("name"))[:40], "marketing_consent": "yes" if consents else ""}
    return {key: value for key, value in told.items() if value}


def _wants_mail(customer: Object) -> bool:
    return inner(customer, "email_marketing_consent").get("state") == "subscribed"


def _cancelled(order: Object) -> Signal:
    """A cancelled order takes all back that it earned, whether money went back already, goes back later or not at all."""
    name = need_ident(order, "the order's id")
    if text(order.get("financial_status")) in UNPAID:
        raise Ignored("never_captured")
    return Signal(
        fact="cancelled",
        external_id=f"{name}/cancelled",
        references=order_names(name),
        occurred_at=_moment(order, "cancelled_at", "updated_at", "created_at"),
    )


def _refunded(refund: Object) -> Signal:
    """What of one refund went through so far. Shopify tells each refund by itself; the refunds of an order are added up."""
    name, order = need_ident(refund, "the refund's id"), need_ident(refund.get("order_id"), "the order's id")
    sums = refunded(refund)
    if not sums:
        raise Ignored("nothing_refunded")
    return Signal(
        fact="refund",
        # All of this one refund so far: what was pending and goes through later makes the sum larger.
        external_id=REFUND + name,
        references=order_names(order),
        occurred_at=_moment(refund, "processed_at", "created_at"),
        money=sums[0],
        also=sums[1:],
    )


def _customer(customer: Object) -> Signal:
    """Somebody opened an account. A sign-up form can leave the code in the note or a tag (docs/connections/shopify.md)."""
    if not text(customer.get("email")):
        raise Ignored("no_email")
    consent = {"marketing_consent": "yes"} if _wants_mail(customer) else {}
    return Signal(
        fact="signup",
        external_id=f"customer_{need_ident(customer, 'the customer’s id')}",
        references=(),
        occurred_at=_moment(customer, "created_at"),
        email=text(customer.get("email")),
        name=_name(customer),
        codes=tuple(dict.fromkeys(_written(customer))),
        customer_id=ident(customer),
        metadata=consent,
    )


def _written(customer: Object) -> Iterator[Code]:
    lines = [*text(customer.get("note")).splitlines(), *text(customer.get("tags")).split(",")]
    pairs = {key.strip(): value.strip() for key, mark, value in (line.partition(":") for line in lines) if mark}
    yield from codes_in(pairs)


def _dispute(dispute: Object) -> Signal:
    """A chargeback, from its beginning to its end. An inquiry takes no money, and may become a chargeback."""
    name, order = need_ident(dispute, "the dispute's id"), need_ident(dispute.get("order_id"), "the order's id")
    status = text(dispute.get("status"))
    if text(dispute.get("type")) == "inquiry":
        raise Ignored("dispute_inquiry")
    if status in {"lost", "accepted", "charge_refunded"}:
        raise Ignored("dispute_lost")
    won = status == "won"
    return Signal(
        fact="dispute_won" if won else "dispute",
        external_id=f"dispute_{name}/won" if won else f"dispute_{name}",
        references=order_names(order),
        occurred_at=_moment(dispute, *(("finalized_on",) if won else ()), "initiated_at"),
    )


def _uninstalled(shop: Object) -> Signal:
    return Signal("uninstalled", f"uninstalled_{ident(shop)}", (), clock.now())


def _asked_for(request: Object) -> Signal:
    return _about_person("data_asked_for", request)


def _erase_person(request: Object) -> Signal:
    return _about_person("erase_person", request)


def _about_person(fact: Fact, request: Object) -> Signal:
    """Somebody's request under a privacy law, passed on by Shopify: it names them by their address and by its own id."""
    customer = inner(request, "customer")
    if not ident(customer) and not text(customer.get("email")):
        raise PayloadError("the customer is missing.")
    return Signal(
        fact=fact,
        external_id=f"{fact}_{ident(inner(request, 'data_request')) or ident(customer)}",
        references=(),
        occurred_at=clock.now(),
        email=text(customer.get("email")),
        customer_id=ident(customer),
    )


def _erase_account(request: Object) -> Signal:
    """48 hours after the app was uninstalled."""
    return Signal("erase_account", f"erase_account_{ident(request.get('shop_id'))}", (), clock.now())


READERS = {
    "orders/paid": _paid,
    "orders/cancelled": _cancelled,
    "refunds/create": _refunded,
    "customers/create": _customer,
    "disputes/create": _dispute,
    "disputes/update": _dispute,
    "app/uninstalled": _uninstalled,
    "customers/data_request": _asked_for,
    "customers/redact": _erase_person,
    "shop/redact": _erase_account,
}


def _codes(order: Object) -> Iterator[Code]:
    """A discount code that was used, then the cart's attributes, then the address through which the shop was entered."""
    applied = [item for item in each(order.get("discount_applications")) if item.get("type") == "discount_code"]
    for item in (*each(order.get("discount_codes")), *applied):
        yield from (Code(code.text, "promotion") for code in code_texts(item.get("code")))
    yield from codes_in({text(item.get("name")): item.get("value") for item in each(order.get("note_attributes"))})
    yield from code_texts(order.get("landing_site_ref"))
    for place in ("landing_site", "referring_site"):
        yield from address_codes(order.get(place))


def address_codes(address: Any) -> Iterator[Code]:
    """The codes in an address's query, whole or without its host."""
    try:
        query = dict(parse_qsl(urlsplit(text(address)).query, max_num_fields=50))
    except ValueError:
        return
    yield from codes_in({key: query[key] for key in CODE_KEYS if key in query})


def _name(customer: Object) -> str:
    return f"{text(customer.get('first_name'))} {text(customer.get('last_name'))}".strip()[:160]


def _texts(*values: Any) -> Iterator[str]:
    yield from filter(None, map(text, values))


def _moment(thing: Object, *fields: str) -> datetime:
    """The first of these times that there is; raises PayloadError for none."""
    for name in fields:
        if thing.get(name):
            return iso_moment(thing[name])
    raise PayloadError(f"{fields[0]} is missing.")
