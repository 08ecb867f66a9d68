"""What Cashfree tells us: its signature, its payments and its refunds (PROVIDERS.md, section 4)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from integrations.base import Account, Delivery, Ignored, Message, PayloadError, Signal
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
            ident(inner(data, "subscription_details").get("subscription_id")),
            text(inner(data, "subscription_details").get("subscription_status")),
            ident(inner(data, "dispute").get("dispute_id")),
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
        chosen = message.account.settings
        kind = message.kind
        for name, own in _DISPUTES.items():
            # What Cashfree calls its disputes may be set: its documents and its messages did not always agree.
            if kind == (chosen.get(name) or own):
                kind = own
        reader = READERS.get(kind)
        if reader is None:
            raise Ignored("type_unused", type=message.kind)
        data = inner(message.payload, "data")
        return [reader(data, iso_moment(message.payload.get("event_time")), chosen)]


_DISPUTES = {"dispute_created": "DISPUTE_CREATED", "dispute_closed": "DISPUTE_CLOSED"}
_WON = "MERCHANT_WON"
_LOST = ("MERCHANT_LOST", "MERCHANT_ACCEPTED")
_ENDED = {"CUSTOMER_CANCELLED", "CANCELLED", "COMPLETED", "EXPIRED"}
Chosen = Mapping[str, Any]


def _paid(data: Object, at: datetime, _chosen: Chosen) -> Signal:
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


def _refunded(data: Object, at: datetime, chosen: Chosen) -> Signal:
    """A refund tells its own sum, and not what went back in all; its own id keeps each from counting twice."""
    refund = inner(data, "refund") or data
    name = need_ident(refund.get("cf_refund_id"), "cf_refund_id")
    if refund.get("refund_status") != "SUCCESS":
        raise Ignored("nothing_refunded")
    payment, order_id = ident(refund.get("cf_payment_id")), ident(refund.get("order_id"))
    return Signal(
        fact="refund",
        external_id=f"cf_refund_{name}",
        references=names(f"cf_{payment}" if payment else "", f"order:{order_id}" if order_id else ""),
        occurred_at=at,
        money=major_money(refund.get("refund_amount"), refund.get("refund_currency") or _currency(chosen)),
        is_part=True,
    )


def _subscription_paid(data: Object, at: datetime, chosen: Chosen) -> Signal:
    """A subscription's payment names the subscription and nobody else: it counts for whom the subscription is known to belong to.

    That is told when the subscription is authorised; a payment that comes before it waits.
    """
    name = need_ident(data.get("cf_payment_id"), "cf_payment_id")
    subscription = need_ident(data.get("subscription_id") or data.get("cf_subscription_id"), "subscription_id")
    if text(data.get("payment_status")) not in {"SUCCESS", ""}:
        raise Ignored("not_paid_yet")
    amount = data.get("payment_amount")
    if amount == 0:
        raise Ignored("nothing_paid")
    return Signal(
        fact="purchase",
        external_id=f"cf_{name}",
        references=names(f"cf_{name}"),
        occurred_at=at,
        money=major_money(amount, data.get("payment_currency") or _currency(chosen)),
        customer_id=f"sub:{subscription}",
        metadata={"subscription": subscription},
    )


def _subscription_changed(data: Object, at: datetime, _chosen: Chosen) -> Signal:
    """Active: whose subscription it is, and by whose code. Ended: nothing more is expected of it."""
    subscription, customer = inner(data, "subscription_details"), inner(data, "customer_details")
    name = need_ident(subscription.get("subscription_id") or subscription.get("cf_subscription_id"), "subscription_id")
    status = text(subscription.get("subscription_status"))
    if status != "ACTIVE" and status not in _ENDED:
        raise Ignored("type_unused", type=f"{status[:40]}")
    places = (
        subscription.get("subscription_tags"),
        data.get("subscription_tags"),
        subscription.get("subscription_meta"),
    )
    return Signal(
        fact="signup" if status == "ACTIVE" else "stopped",
        external_id=f"sub:{name}" + ("" if status == "ACTIVE" else "/stopped"),
        references=(),
        occurred_at=at,
        email=text(customer.get("customer_email")),
        name=text(customer.get("customer_name"))[:160],
        codes=tuple(dict.fromkeys(code for place in places for code in codes_in(place))),
        customer_id=f"sub:{name}",
        metadata={"subscription": name},
    )


def _disputed(data: Object, at: datetime, chosen: Chosen) -> Signal:
    return _dispute(data, at, chosen, "dispute")


def _dispute_closed(data: Object, at: datetime, chosen: Chosen) -> Signal:
    """What the merchant won is given back; what was lost or accepted stays taken back."""
    status = text(inner(data, "dispute").get("dispute_status"))
    if status.endswith(text(chosen.get("dispute_won")) or _WON):
        return _dispute(data, at, chosen, "dispute_won")
    if status.endswith(_LOST):
        raise Ignored("dispute_lost")
    raise PayloadError(f"dispute_status is {status[:60]!r}, which is neither won nor lost.")


def _dispute(data: Object, at: datetime, chosen: Chosen, fact: Literal["dispute", "dispute_won"]) -> Signal:
    dispute, order = inner(data, "dispute"), inner(data, "order_details")
    name = need_ident(dispute.get("dispute_id"), "dispute_id")
    payment, order_id = ident(order.get("cf_payment_id")), ident(order.get("order_id"))
    currency = dispute.get("dispute_amount_currency") or order.get("order_currency") or _currency(chosen)
    return Signal(
        fact=fact,
        external_id=f"cf_dispute_{name}" + ("/won" if fact == "dispute_won" else ""),
        references=names(f"cf_{payment}" if payment else "", f"order:{order_id}" if order_id else ""),
        occurred_at=at,
        money=major_money(dispute.get("dispute_amount"), currency),
    )


def _failed(_data: Object, _at: datetime, _chosen: Chosen) -> Signal:
    raise Ignored("payment_failed")


def _currency(chosen: Chosen) -> str:
    """Messages about subscriptions and older ones name no currency."""
    return text(chosen.get("currency")) or "INR"


READERS = {
    "PAYMENT_SUCCESS_WEBHOOK": _paid,
    "PAYMENT_FAILED_WEBHOOK": _failed,
    "PAYMENT_USER_DROPPED_WEBHOOK": _failed,
    "SUBSCRIPTION_PAYMENT_SUCCESS": _subscription_paid,
    "SUBSCRIPTION_PAYMENT_FAILED": _failed,
    # The name differs between versions of the webhook.
    "SUBSCRIPTION_STATUS_CHANGED": _subscription_changed,
    "SUBSCRIPTION_STATUS_CHANGE": _subscription_changed,
    "REFUND_STATUS_WEBHOOK": _refunded,
    "SUBSCRIPTION_REFUND_STATUS": _refunded,
    "DISPUTE_CREATED": _disputed,
    "DISPUTE_CLOSED": _dispute_closed,
}
