"""What Razorpay tells us: its signature, and its payments, subscriptions, refunds and disputes (PROVIDERS.md, section 4)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from integrations.base import Account, Delivery, Ignored, Message, Signal
from integrations.reading import Object, codes_in, ident, inner, minor_money, moment, names, need_ident, text, word
from referrals.lib.signing import SignatureError, equal, hmac_hex

# What Razorpay writes where the shop asked for no address.
_NO_EMAIL = {"void@razorpay.com"}
_EVENT_ID = "X-Razorpay-Event-Id"


class RazorpaySource:
    """Razorpay's webhooks. Live and test mode have a webhook each, with a secret each; the body does not tell the mode."""

    signature_header = "X-Razorpay-Signature"

    def verify(self, delivery: Delivery, account: Account) -> None:
        """HMAC-SHA256 of the raw body in hex, by the secret that the merchant chose. There is no time in it. Raises SignatureError."""
        secret = account.secrets.get("webhook_secret", "")
        given = delivery.headers.get(self.signature_header, "")
        if not secret:
            raise SignatureError("This connection has no webhook secret yet.")
        if len(given) != 64:
            raise SignatureError("The X-Razorpay-Signature header is missing or malformed.")
        if not equal(hmac_hex(secret.encode(), delivery.body), given):
            raise SignatureError("The signature does not fit the body and this connection's webhook secret.")

    def event_id(self, payload: Object, delivery: Delivery) -> str:
        """The id stands in a header only; without one, what the message tells makes it, so that it is still counted once."""
        given = delivery.headers.get(_EVENT_ID, "")
        if given:
            return word(given, _EVENT_ID, 255)
        told = [self.event_type(payload, delivery), repr(payload.get("created_at"))]
        told += [f"{kind}:{ident(inner(inner(payload, 'payload'), kind).get('entity'))}" for kind in _KINDS]
        return "body_" + hashlib.sha256("\n".join(told).encode()).hexdigest()

    def event_type(self, payload: Object, delivery: Delivery) -> str:
        """Such as `payment.captured`."""
        return word(payload.get("event"), "event", 80)

    def is_test(self, payload: Object) -> bool | None:
        """Razorpay does not say."""
        return None

    def parse(self, message: Message) -> list[Signal]:
        """One signal for each message that is used; raises Ignored with the reason for all others."""
        kind, payload = message.kind, message.payload
        reader = READERS.get(kind)
        if reader is None:
            raise Ignored("type_unused", type=kind)
        things = {name: inner(inner(inner(payload, "payload"), name), "entity") for name in _KINDS}
        return [reader(things, moment(payload.get("created_at")))]


_KINDS = ("payment", "order", "payment_link", "subscription", "invoice", "refund", "dispute")
Things = Mapping[str, Object]


def _paid(things: Things, at: datetime) -> Signal:
    """A payment, told by the payment, its order, its link, its invoice or its subscription: all name it, so it counts once.

    The code travels in the notes of whichever the shop made; those of the order come with `order.paid` only.
    """
    payment, subscription = things["payment"], things["subscription"]
    name = need_ident(payment, "the payment's id")
    if payment.get("amount") == 0:
        raise Ignored("nothing_paid")
    if text(payment.get("status")) not in {"captured", "refunded"}:
        raise Ignored("not_paid_yet")
    codes = [code for kind in _KINDS for code in codes_in(things[kind].get("notes"))]
    customer = inner(things["payment_link"], "customer") or inner(things["invoice"], "customer_details")
    paid_count = subscription.get("paid_count")
    plan = ident(subscription)
    metadata = {"payment": name} | ({"subscription": plan} if plan else {})
    created = payment.get("created_at")
    return Signal(
        fact="purchase",
        external_id=name,
        references=names(
            name, ident(payment.get("order_id")), ident(payment.get("invoice_id")), ident(things["payment_link"])
        ),
        occurred_at=moment(created) if type(created) is int else at,
        money=minor_money(payment.get("amount"), payment.get("currency")),
        email=_address(payment.get("email")) or _address(customer.get("email")),
        name=text(customer.get("name"))[:160],
        codes=tuple(dict.fromkeys(codes)),
        customer_id=ident(payment.get("customer_id")) or ident(subscription.get("customer_id")),
        is_first=paid_count == 1 if type(paid_count) is int else None,
        metadata=metadata,
    )


def _refunded(things: Things, at: datetime) -> Signal:
    """`amount_refunded` of the payment is all that went back so far."""
    payment = things["payment"]
    name = need_ident(payment, "the payment's id")
    if payment.get("captured") is False:
        raise Ignored("never_captured")
    if not payment.get("amount_refunded"):
        raise Ignored("nothing_refunded")
    return Signal(
        fact="refund",
        external_id=name,
        references=names(name, ident(payment.get("order_id")), ident(payment.get("invoice_id"))),
        occurred_at=at,
        money=minor_money(payment.get("amount_refunded"), payment.get("currency")),
    )


def _disputed(things: Things, at: datetime) -> Signal:
    return _dispute(things, at, "dispute", need_ident(things["dispute"], "the dispute's id"))


def _dispute_won(things: Things, at: datetime) -> Signal:
    return _dispute(things, at, "dispute_won", f"{need_ident(things['dispute'], 'the dispute’s id')}/won")


def _dispute_closed(things: Things, at: datetime) -> Signal:
    """A question or warning that came to an end; only what was taken from the merchant stays taken back."""
    if things["dispute"].get("amount_deducted"):
        raise Ignored("dispute_lost")
    return _dispute_won(things, at)


def _dispute(things: Things, at: datetime, fact: Any, external_id: str) -> Signal:
    dispute, payment = things["dispute"], things["payment"]
    return Signal(
        fact=fact,
        external_id=external_id,
        references=names(ident(dispute.get("payment_id")) or ident(payment), ident(payment.get("order_id"))),
        occurred_at=at,
        money=minor_money(dispute.get("amount"), dispute.get("currency")),
    )


def _lost(_things: Things, _at: datetime) -> Signal:
    raise Ignored("dispute_lost")


def _failed(_things: Things, _at: datetime) -> Signal:
    raise Ignored("payment_failed")


def _stopped(things: Things, at: datetime) -> Signal:
    return _subscription(things, at, "stopped")


def _resumed(things: Things, at: datetime) -> Signal:
    return _subscription(things, at, "resumed")


def _subscription(things: Things, at: datetime, fact: Any) -> Signal:
    subscription = things["subscription"]
    name = need_ident(subscription, "the subscription's id")
    return Signal(
        fact=fact,
        external_id=f"{name}/{fact}/{int(at.timestamp())}",
        references=(),
        occurred_at=at,
        codes=tuple(codes_in(subscription.get("notes"))),
        customer_id=ident(subscription.get("customer_id")),
        metadata={"subscription": name},
    )


def _address(value: Any) -> str:
    found = text(value)
    return "" if found.lower() in _NO_EMAIL else found


READERS = {
    "payment.captured": _paid,
    "order.paid": _paid,
    "payment_link.paid": _paid,
    "invoice.paid": _paid,
    "subscription.charged": _paid,
    "payment.failed": _failed,
    "refund.processed": _refunded,
    "payment.dispute.created": _disputed,
    "payment.dispute.won": _dispute_won,
    "payment.dispute.closed": _dispute_closed,
    "payment.dispute.lost": _lost,
    "subscription.cancelled": _stopped,
    "subscription.halted": _stopped,
    "subscription.resumed": _resumed,
}
