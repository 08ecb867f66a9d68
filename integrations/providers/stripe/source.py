"""What Stripe tells us: its signature, and its events of every API version we met, old and new (PROVIDERS.md, sections 0.5 and 2)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from integrations.base import Account, Code, Delivery, Ignored, Message, PayloadError, Signal
from integrations.reading import (
    Object,
    code_texts,
    codes_in,
    each,
    ident,
    inner,
    minor_money,
    moment,
    names,
    need_ident,
    text,
    word,
)
from referrals.lib.money import Money
from referrals.lib.signing import SignatureError, check_timestamp, equal, hmac_hex

# Where Stripe counts in other units than ISO 4217: its API keeps two decimals for ISK and UGX, and none for MGA.
STRIPE_EXPONENTS = {"ISK": 2, "UGX": 2, "MGA": 0}
_SIGNATURES = 16


class StripeSource:
    """Stripe's webhooks."""

    signature_header = "Stripe-Signature"

    def verify(self, delivery: Delivery, account: Account) -> None:
        """`t=<seconds>,v1=<hex>[,v1=...]`: HMAC-SHA256 over `<t>.<body>` with the endpoint's secret.

        While a secret is rolled Stripe sends one v1 for each; any that fits will do. Raises SignatureError for everything else,
        also when the time is more than 300 s away in either direction (RELIABILITY F8).
        """
        secret = account.secrets.get("webhook_secret", "")
        header = delivery.headers.get(self.signature_header, "")
        if not secret:
            raise SignatureError("This connection has no signing secret yet.")
        if not header or len(header) > 4096:
            raise SignatureError("The Stripe-Signature header is missing or too long.")
        stamps, signatures = [], []
        for item in header.split(","):
            name, _, value = item.strip(" ").partition("=")
            if name == "t":
                stamps.append(value)
            elif name == "v1":
                signatures.append(value)
        if len(stamps) != 1 or not 0 < len(signatures) <= _SIGNATURES:
            raise SignatureError("The Stripe-Signature header has not one time and at least one v1 signature.")
        check_timestamp(stamps[0])
        expected = hmac_hex(secret.encode(), stamps[0].encode() + b"." + delivery.body)
        if not any(equal(expected, given) for given in signatures):
            raise SignatureError("The signature does not fit the body and this connection's signing secret.")

    def event_id(self, payload: Object, delivery: Delivery) -> str:
        """`evt_...`."""
        return word(payload.get("id"), "id", 255)

    def event_type(self, payload: Object, delivery: Delivery) -> str:
        """Such as `invoice.paid`."""
        return word(payload.get("type"), "type", 80)

    def is_test(self, payload: Object) -> bool | None:
        """Stripe marks every event with its mode."""
        live = payload.get("livemode")
        return None if type(live) is not bool else not live

    def parse(self, message: Message) -> list[Signal]:
        """One signal for each event that is used; raises Ignored with the reason for all others."""
        kind, payload = message.kind, message.payload
        reader = READERS.get(kind)
        if reader is None:
            raise Ignored("type_unused", type=kind)
        found = inner(payload, "data").get("object")
        if not isinstance(found, Mapping):
            raise PayloadError("data.object is missing.")
        return [reader(found, moment(payload.get("created")))]


def _checkout(session: Object, at: datetime) -> Signal:
    """A checkout session; of a subscription, too, whose first invoice is then the same payment."""
    status = session.get("payment_status")
    if status == "unpaid":
        raise Ignored("not_paid_yet")
    codes = [*code_texts(session.get("client_reference_id")), *codes_in(session.get("metadata")), *_promotions(session)]
    subscription = ident(session.get("subscription"))
    common: dict[str, Any] = {
        "external_id": need_ident(session),
        "references": names(
            need_ident(session),
            ident(session.get("invoice")),
            ident(session.get("payment_intent")),
            f"{subscription}/first" if subscription else "",
        ),
        "occurred_at": at,
        "email": text(inner(session, "customer_details").get("email")) or text(session.get("customer_email")),
        "name": text(inner(session, "customer_details").get("name"))[:160],
        "codes": tuple(dict.fromkeys(codes)),
        "customer_id": ident(session.get("customer")),
        "metadata": {"checkout": need_ident(session), **_of_subscription(subscription), **_consent(session)},
    }
    minor = session.get("amount_total")
    if status == "no_payment_required" or minor == 0:
        # A trial: the money comes with a later invoice that knows no code, so the person joins through it now.
        if not codes:
            raise Ignored("nothing_paid")
        return Signal(fact="signup", **common)
    if status != "paid":
        raise PayloadError("payment_status is not one we know.")
    return Signal(fact="purchase", money=_money_of(minor, session.get("currency")), **common)


def _of_subscription(subscription: str) -> dict[str, str]:
    """So that the end of one subscription stops no other."""
    return {"subscription": subscription} if subscription else {}


def _consent(session: Object) -> dict[str, str]:
    """Whether the payer agreed to get mail: Stripe's own box, or what the shop put into the metadata."""
    said = text(inner(session, "metadata").get("marketing_consent"))
    if inner(session, "consent").get("promotions") == "opt_in":
        said = "yes"
    return {"marketing_consent": said[:20]} if said else {}


def _invoice(invoice: Object, at: datetime) -> Signal:
    """A paid invoice. `subscription_create` is a subscription's first; `subscription_cycle` a later one."""
    minor = invoice.get("amount_paid")
    if minor == 0:
        raise Ignored("nothing_paid")
    details = inner(inner(invoice, "parent"), "subscription_details")
    old_details = inner(invoice, "subscription_details")
    lines = inner(invoice, "lines").get("data")
    subscription = ident(invoice.get("subscription")) or ident(details.get("subscription"))
    reason = text(invoice.get("billing_reason"))
    paid_at = inner(invoice, "status_transitions").get("paid_at")
    metadata = [invoice.get("metadata"), details.get("metadata"), old_details.get("metadata")]
    metadata += [line.get("metadata") for line in each(lines)]
    codes = [code for item in metadata for code in codes_in(item)]
    return Signal(
        fact="purchase",
        external_id=need_ident(invoice),
        references=names(
            need_ident(invoice),
            ident(invoice.get("payment_intent")),
            ident(invoice.get("charge")),
            *_payments(invoice),
            f"{subscription}/first" if subscription and reason == "subscription_create" else "",
        ),
        occurred_at=moment(paid_at) if type(paid_at) is int else at,
        money=_money_of(minor, invoice.get("currency")),
        email=text(invoice.get("customer_email")),
        name=text(invoice.get("customer_name"))[:160],
        codes=tuple(dict.fromkeys([*codes, *_promotions(invoice), *_discounts(invoice)])),
        customer_id=ident(invoice.get("customer")),
        is_first={"subscription_create": True, "subscription_cycle": False}.get(reason),
        metadata={"invoice": need_ident(invoice), "billing_reason": reason, **_of_subscription(subscription)},
    )


def _refunded(charge: Object, at: datetime) -> Signal:
    """`amount_refunded` is all that was refunded so far, in every API version; the list of refunds is absent in new ones."""
    total = charge.get("amount_refunded")
    if total == 0:
        raise Ignored("nothing_refunded")
    return Signal(
        fact="refund",
        external_id=need_ident(charge),
        references=names(need_ident(charge), ident(charge.get("payment_intent")), ident(charge.get("invoice"))),
        occurred_at=at,
        money=_money_of(total, charge.get("currency")),
    )


def _dispute(dispute: Object, at: datetime) -> Signal:
    return Signal(
        fact="dispute",
        external_id=need_ident(dispute),
        references=names(ident(dispute.get("charge")), ident(dispute.get("payment_intent"))),
        occurred_at=at,
        money=_money_of(dispute.get("amount"), dispute.get("currency")),
    )


def _dispute_closed(dispute: Object, at: datetime) -> Signal:
    """`won`, or an inquiry that ended without becoming a dispute; `lost` changes nothing."""
    if text(dispute.get("status")) not in {"won", "warning_closed"}:
        raise Ignored("dispute_lost")
    return Signal(
        fact="dispute_won",
        external_id=f"{need_ident(dispute)}/won",
        references=names(ident(dispute.get("charge")), ident(dispute.get("payment_intent"))),
        occurred_at=at,
    )


def _dispute_changed(dispute: Object, at: datetime) -> Signal:
    """A dispute's own news: the one that is told when the first message got lost, or that it is over."""
    if text(dispute.get("status")) in {"won", "warning_closed", "lost"}:
        return _dispute_closed(dispute, at)
    return _dispute(dispute, at)


def _reinstated(dispute: Object, at: datetime) -> Signal:
    """The money of a dispute came back: it was won, whatever the status says at that moment."""
    return _dispute_closed({**dispute, "status": "won"}, at)


def _refund_changed(refund: Object, at: datetime) -> Signal:
    """A refund that failed or was cancelled: the money stayed with the shop. Others are counted from the charge's own message."""
    if text(refund.get("status")) not in {"failed", "canceled"}:
        raise Ignored("refund_by_charge")
    charge = need_ident(refund.get("charge"), "the refund's charge")
    return Signal(
        fact="refund_back",
        external_id=f"{charge}#failed/{need_ident(refund)}",
        references=names(charge, ident(refund.get("payment_intent"))),
        occurred_at=at,
        money=_money_of(refund.get("amount"), refund.get("currency")),
        is_part=True,
    )


def _ended(subscription: Object, at: datetime) -> Signal:
    """A subscription that is over, at its end and not when its end was announced."""
    ended = subscription.get("ended_at")
    return Signal(
        fact="stopped",
        external_id=f"{need_ident(subscription)}/stopped",
        references=(),
        occurred_at=moment(ended) if type(ended) is int else at,
        codes=tuple(codes_in(subscription.get("metadata"))),
        customer_id=ident(subscription.get("customer")),
        metadata={"subscription": need_ident(subscription)},
    )


def _failed(_session: Object, _at: datetime) -> Signal:
    raise Ignored("payment_failed")


# invoice.payment_succeeded is the older name of invoice.paid; both name the same invoice, so both together count once.
READERS = {
    "checkout.session.completed": _checkout,
    "checkout.session.async_payment_succeeded": _checkout,
    "checkout.session.async_payment_failed": _failed,
    "invoice.payment_failed": _failed,
    "invoice.paid": _invoice,
    "invoice.payment_succeeded": _invoice,
    "charge.refunded": _refunded,
    "refund.failed": _refund_changed,
    "refund.updated": _refund_changed,
    "refund.created": _refund_changed,
    "charge.refund.updated": _refund_changed,
    "charge.dispute.created": _dispute,
    "charge.dispute.updated": _dispute_changed,
    "charge.dispute.funds_withdrawn": _dispute,
    "charge.dispute.closed": _dispute_closed,
    "charge.dispute.funds_reinstated": _reinstated,
    "customer.subscription.deleted": _ended,
}


def _money_of(minor: Any, currency: Any) -> Money:
    return minor_money(minor, currency, STRIPE_EXPONENTS)


def _promotions(thing: Object) -> list[Code]:
    """Promotion codes that were used, by their ids; a discount that is not expanded is only an id of itself."""
    discounts = list(each(thing.get("discounts")))
    if isinstance(thing.get("discount"), Mapping):
        discounts.append(thing["discount"])
    found = []
    for discount in discounts:
        promotion = discount.get("promotion_code")
        written = code_texts(promotion.get("code")) if isinstance(promotion, Mapping) else []
        if written:
            found += [Code(code.text, "promotion") for code in written]
        elif ident(promotion):
            found.append(Code(ident(promotion), "promotion_id"))
    return found


def _discounts(invoice: Object) -> list[Code]:
    """Discounts that an invoice only names: which code gave them, Stripe says when it is asked. Of renewals nobody has to know."""
    named = invoice.get("discounts")
    if not isinstance(named, list) or invoice.get("billing_reason") == "subscription_cycle":
        return []
    return [Code(ident(one), "promotion_id") for one in named[:5] if isinstance(one, str) and ident(one)]


def _payments(invoice: Object) -> list[str]:
    """New API versions list an invoice's payments, when they were asked to, instead of naming one."""
    found = []
    for item in each(inner(invoice, "payments").get("data")):
        payment = inner(item, "payment")
        found += [ident(payment.get("payment_intent")), ident(payment.get("charge"))]
    return found
