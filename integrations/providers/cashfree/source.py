"""What Cashfree tells us: its signature, its payments and its refunds (PROVIDERS.md, section 4)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime

from integrations.base import Account, Delivery, Ignored, Message, Signal
from integrations.reading import (
    Object,
    codes_in,
    ident,
    inner,
    iso_moment,
    major_money,
    names,
    need_ident,
    text,
    word,
)
from referrals.lib.signing import SignatureError, check_timestamp, equal

_KEY = "X-Idempotency-Key"
_TIME = "X-Webhook-Timestamp"


class CashfreeSource:
    """Cashfree's webhooks. Its test mode is another account with another secret; the body does not tell the mode."""

    signature_header = "X-Webhook-Signature"

    def verify(self, delivery: Delivery, account: Account) -> None:
        """HMAC-SHA256 in base64 over the time and the raw body with nothing between them, by the client secret.

        The time is in milliseconds and has to be within 300 s of ours (RELIABILITY F8). The raw body, because 170.00 read and
        written again is 170.0. Raises SignatureError.
        """
        secret = account.secrets.get("client_secret", "")
        stamp = delivery.headers.get(_TIME, "")
        if not secret:
            raise SignatureError("This connection has no client secret yet.")
        if not (stamp.isascii() and stamp.isdigit() and 13 <= len(stamp) <= 15):
            raise SignatureError("The x-webhook-timestamp header is missing or no time in milliseconds.")
        check_timestamp(stamp[:-3])
        expected = base64.b64encode(hmac.new(secret.encode(), stamp.encode() + delivery.body, hashlib.sha256).digest())
        if not equal(expected, delivery.headers.get(self.signature_header, "")):
            raise SignatureError("The signature does not fit the time, the body and this connection's client secret.")

    def event_id(self, payload: Object, delivery: Delivery) -> str:
        """The idempotency key in a header; without one, what the message tells makes it."""
        given = delivery.headers.get(_KEY, "")
        if given:
            return word(given, _KEY, 255)
        data = inner(payload, "data")
        told = [
            self.event_type(payload, delivery),
            ident(inner(data, "payment").get("cf_payment_id")) or ident(data.get("cf_payment_id")),
            ident(inner(data, "refund").get("cf_refund_id")),
            text(inner(data, "refund").get("refund_status")),
            text(payload.get("event_time")),
        ]
        return "body_" + hashlib.sha256("\n".join(told).encode()).hexdigest()

    def event_type(self, payload: Object, delivery: Delivery) -> str:
        """Such as `PAYMENT_SUCCESS_WEBHOOK`."""
        return word(payload.get("type"), "type", 80)

    def is_test(self, payload: Object) -> bool | None:
        """Cashfree does not say."""
        return None

    def parse(self, message: Message) -> list[Signal]:
        """One signal for each message that is used; raises Ignored with the reason for all others."""
        kind, payload = message.kind, message.payload
        reader = READERS.get(kind)
        if reader is None:
            raise Ignored("type_unused", type=kind)
        return [reader(inner(payload, "data"), iso_moment(payload.get("event_time")))]


def _paid(data: Object, at: datetime) -> Signal:
    """A payment of an order; the code travels in the order's tags, which may be null."""
    order, payment, customer = inner(data, "order"), inner(data, "payment"), inner(data, "customer_details")
    name = need_ident(payment.get("cf_payment_id"), "cf_payment_id")
    if payment.get("payment_status") != "SUCCESS":
        raise Ignored("not_paid_yet")
    amount = payment.get("payment_amount")
    if amount == 0:
        raise Ignored("nothing_paid")
    order_id = ident(order.get("order_id"))
    return Signal(
        fact="purchase",
        external_id=f"cf_{name}",
        references=names(f"cf_{name}", f"order:{order_id}" if order_id else ""),
        occurred_at=at,
        money=major_money(amount, payment.get("payment_currency") or order.get("order_currency")),
        email=text(customer.get("customer_email")),
        name=text(customer.get("customer_name"))[:160],
        codes=tuple(dict.fromkeys(codes_in(order.get("order_tags")))),
        customer_id=ident(customer.get("customer_id")),
        metadata={"order": order_id},
    )


def _refunded(data: Object, at: datetime) -> Signal:
    """A refund tells its own sum, and not what went back in all; its own id keeps each from counting twice."""
    refund = inner(data, "refund")
    name = need_ident(refund.get("cf_refund_id"), "cf_refund_id")
    if refund.get("refund_status") != "SUCCESS":
        raise Ignored("nothing_refunded")
    payment, order_id = ident(refund.get("cf_payment_id")), ident(refund.get("order_id"))
    return Signal(
        fact="refund",
        external_id=f"cf_refund_{name}",
        references=names(f"cf_{payment}" if payment else "", f"order:{order_id}" if order_id else ""),
        occurred_at=at,
        money=major_money(refund.get("refund_amount"), refund.get("refund_currency")),
        is_part=True,
    )


def _subscription_paid(_data: Object, _at: datetime) -> Signal:
    """It names the subscription and nothing else: neither an address, nor a customer, nor the tags of an order."""
    raise Ignored("no_email")


def _failed(_data: Object, _at: datetime) -> Signal:
    raise Ignored("payment_failed")


READERS = {
    "PAYMENT_SUCCESS_WEBHOOK": _paid,
    "PAYMENT_FAILED_WEBHOOK": _failed,
    "PAYMENT_USER_DROPPED_WEBHOOK": _failed,
    "SUBSCRIPTION_PAYMENT_SUCCESS": _subscription_paid,
    "REFUND_STATUS_WEBHOOK": _refunded,
}
