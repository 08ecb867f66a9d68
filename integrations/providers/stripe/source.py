"""What Stripe tells us: its signature, and its events of every API version we met, old and new (PROVIDERS.md, sections 0.5 and 2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from integrations.base import Code, Ignored, PayloadError, Secrets, Signal
from referrals.lib.money import Money, MoneyError, check_currency, exponent_of
from referrals.lib.signing import SignatureError, check_timestamp, equal, hmac_hex

CODE_KEYS = ("referral_code", "referralCode", "ref")
# Where Stripe counts in other units than ISO 4217: its API keeps two decimals for ISK and UGX, and none for MGA.
STRIPE_EXPONENTS = {"ISK": 2, "UGX": 2, "MGA": 0}
MAX_AMOUNT = 10**12
_SIGNATURES = 16
Object = Mapping[str, Any]


class StripeSource:
    """Stripe's webhooks."""

    signature_header = "Stripe-Signature"

    def verify(self, body: bytes, headers: Mapping[str, str], secrets: Secrets) -> None:
        """`t=<seconds>,v1=<hex>[,v1=...]`: HMAC-SHA256 over `<t>.<body>` with the endpoint's secret.

        While a secret is rolled Stripe sends one v1 for each; any that fits will do. Raises SignatureError for everything else,
        also when the time is more than 300 s away in either direction (RELIABILITY F8).
        """
        secret = secrets.get("webhook_secret", "")
        header = headers.get(self.signature_header, "")
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
        expected = hmac_hex(secret.encode(), stamps[0].encode() + b"." + body)
        if not any(equal(expected, given) for given in signatures):
            raise SignatureError("The signature does not fit the body and this connection's signing secret.")

    def event_id(self, payload: Object, headers: Mapping[str, str]) -> str:
        """`evt_...`."""
        return _word(payload.get("id"), "id", 255)

    def event_type(self, payload: Object, headers: Mapping[str, str]) -> str:
        """Such as `invoice.paid`."""
        return _word(payload.get("type"), "type", 80)

    def is_test(self, payload: Object) -> bool | None:
        """Stripe marks every event with its mode."""
        live = payload.get("livemode")
        return None if type(live) is not bool else not live

    def parse(self, payload: Object) -> list[Signal]:
        """One signal for each event that is used; raises Ignored with the reason for all others."""
        kind = self.event_type(payload, {})
        reader = READERS.get(kind)
        if reader is None:
            raise Ignored("type_unused", type=kind)
        found = _object(payload, "data").get("object")
        if not isinstance(found, Mapping):
            raise PayloadError("data.object is missing.")
        return [reader(found, _moment(payload.get("created")))]


def _checkout(session: Object, at: datetime) -> Signal:
    """A checkout session; of a subscription, too, whose first invoice is then the same payment."""
    status = session.get("payment_status")
    if status == "unpaid":
        raise Ignored("not_paid_yet")
    codes = [*_texts(session.get("client_reference_id")), *_codes(session.get("metadata")), *_promotions(session)]
    subscription = _id(session.get("subscription"))
    common: dict[str, Any] = {
        "external_id": _need_id(session),
        "references": _names(
            _need_id(session),
            _id(session.get("invoice")),
            _id(session.get("payment_intent")),
            f"{subscription}/first" if subscription else "",
        ),
        "occurred_at": at,
        "email": _text(_object(session, "customer_details").get("email")) or _text(session.get("customer_email")),
        "name": _text(_object(session, "customer_details").get("name"))[:160],
        "codes": tuple(dict.fromkeys(codes)),
        "customer_id": _id(session.get("customer")),
        "metadata": {"checkout": _need_id(session)} | _consent(session),
    }
    minor = session.get("amount_total")
    if status == "no_payment_required" or minor == 0:
        # A trial: the money comes with a later invoice that knows no code, so the person joins through it now.
        if not codes:
            raise Ignored("nothing_paid")
        return Signal(fact="signup", **common)
    if status != "paid":
        raise PayloadError("payment_status is not one we know.")
    return Signal(fact="purchase", money=_money(minor, session.get("currency")), **common)


def _consent(session: Object) -> dict[str, str]:
    """Whether the payer agreed to get mail: Stripe's own box, or what the shop put into the metadata."""
    metadata = session.get("metadata")
    said = _text(metadata.get("marketing_consent")) if isinstance(metadata, Mapping) else ""
    if _object(session, "consent").get("promotions") == "opt_in":
        said = "yes"
    return {"marketing_consent": said[:20]} if said else {}


def _invoice(invoice: Object, at: datetime) -> Signal:
    """A paid invoice. `subscription_create` is a subscription's first; `subscription_cycle` a later one."""
    minor = invoice.get("amount_paid")
    if minor == 0:
        raise Ignored("nothing_paid")
    details = _object(_object(invoice, "parent"), "subscription_details")
    old_details = _object(invoice, "subscription_details")
    lines = _object(invoice, "lines").get("data")
    subscription = _id(invoice.get("subscription")) or _id(details.get("subscription"))
    reason = _text(invoice.get("billing_reason"))
    paid_at = _object(invoice, "status_transitions").get("paid_at")
    metadata = [invoice.get("metadata"), details.get("metadata"), old_details.get("metadata")]
    metadata += [line.get("metadata") for line in _each(lines)]
    codes = [code for item in metadata for code in _codes(item)]
    return Signal(
        fact="purchase",
        external_id=_need_id(invoice),
        references=_names(
            _need_id(invoice),
            _id(invoice.get("payment_intent")),
            _id(invoice.get("charge")),
            *_payments(invoice),
            f"{subscription}/first" if subscription and reason == "subscription_create" else "",
        ),
        occurred_at=_moment(paid_at) if type(paid_at) is int else at,
        money=_money(minor, invoice.get("currency")),
        email=_text(invoice.get("customer_email")),
        name=_text(invoice.get("customer_name"))[:160],
        codes=tuple(dict.fromkeys([*codes, *_promotions(invoice)])),
        customer_id=_id(invoice.get("customer")),
        is_first={"subscription_create": True, "subscription_cycle": False}.get(reason),
        metadata={"invoice": _need_id(invoice), "billing_reason": reason},
    )


def _refunded(charge: Object, at: datetime) -> Signal:
    """`amount_refunded` is all that was refunded so far, in every API version; the list of refunds is absent in new ones."""
    total = charge.get("amount_refunded")
    if total == 0:
        raise Ignored("nothing_refunded")
    return Signal(
        fact="refund",
        external_id=_need_id(charge),
        references=_names(_need_id(charge), _id(charge.get("payment_intent")), _id(charge.get("invoice"))),
        occurred_at=at,
        money=_money(total, charge.get("currency")),
    )


def _dispute(dispute: Object, at: datetime) -> Signal:
    return Signal(
        fact="dispute",
        external_id=_need_id(dispute),
        references=_names(_id(dispute.get("charge")), _id(dispute.get("payment_intent"))),
        occurred_at=at,
        money=_money(dispute.get("amount"), dispute.get("currency")),
    )


def _dispute_closed(dispute: Object, at: datetime) -> Signal:
    """`won`, or an inquiry that ended without becoming a dispute; `lost` changes nothing."""
    if dispute.get("status") not in {"won", "warning_closed"}:
        raise Ignored("dispute_lost")
    return Signal(
        fact="dispute_won",
        external_id=f"{_need_id(dispute)}/won",
        references=_names(_id(dispute.get("charge")), _id(dispute.get("payment_intent"))),
        occurred_at=at,
    )


def _failed(_session: Object, _at: datetime) -> Signal:
    raise Ignored("payment_failed")


# invoice.payment_succeeded is the older name of invoice.paid; both name the same invoice, so both together count once.
READERS = {
    "checkout.session.completed": _checkout,
    "checkout.session.async_payment_succeeded": _checkout,
    "checkout.session.async_payment_failed": _failed,
    "invoice.paid": _invoice,
    "invoice.payment_succeeded": _invoice,
    "charge.refunded": _refunded,
    "charge.dispute.created": _dispute,
    "charge.dispute.closed": _dispute_closed,
}


def _text(value: Any) -> str:
    """A text without NUL, which PostgreSQL does not take; "" for everything that is no text."""
    return value.replace("\x00", "").strip()[:500] if isinstance(value, str) else ""


def _word(value: Any, name: str, limit: int) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= limit or not value.isascii() or not value.isprintable():
        raise PayloadError(f"{name} is missing or malformed.")
    return value


def _id(value: Any) -> str:
    """An id, given as it is or as the object it belongs to (an expanded field)."""
    if isinstance(value, Mapping):
        value = value.get("id")
    return value if isinstance(value, str) and 0 < len(value) <= 200 and value.isascii() and value.isprintable() else ""


def _need_id(thing: Object) -> str:
    found = _id(thing)
    if not found:
        raise PayloadError("the object's id is missing.")
    return found


def _object(parent: Object, name: str) -> Object:
    """An inner object, empty when it is null or absent."""
    value = parent.get(name)
    return value if isinstance(value, Mapping) else {}


def _each(values: Any) -> Iterator[Object]:
    for value in values[:50] if isinstance(values, list) else ():
        if isinstance(value, Mapping):
            yield value


def _names(*names: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name))


def _moment(value: Any) -> datetime:
    """A Unix time; raises PayloadError for none and for one outside of what a calendar has."""
    if type(value) is not int or not 0 <= value < 2**37:
        raise PayloadError("a time is missing or malformed.")
    return datetime.fromtimestamp(value, UTC)


def _money(minor: Any, currency: Any) -> Money:
    """Stripe's smallest unit into ours, exactly; raises Ignored for a currency we don't know, PayloadError for no amount."""
    if type(minor) is not int or not 0 < minor <= MAX_AMOUNT:
        raise PayloadError("an amount is missing or malformed.")
    code = _text(currency).upper()
    try:
        check_currency(code)
    except MoneyError as error:
        raise Ignored("currency_unknown", currency=code[:20]) from error
    shift = exponent_of(code) - STRIPE_EXPONENTS.get(code, exponent_of(code))
    if shift >= 0:
        return Money(minor * 10**shift, code)
    whole, rest = divmod(minor, 10**-shift)
    if rest or not whole:
        raise PayloadError(f"an amount in {code} has decimals, which {code} has not.")
    return Money(whole, code)


def _texts(value: Any) -> list[Code]:
    """What may be a referral code: short, printable, without spaces. Merchants use these fields for ids of their own as well."""
    text = _text(value)
    return (
        [Code(text)] if text and len(text) <= 64 and text.isascii() and text.isprintable() and " " not in text else []
    )


def _codes(metadata: Any) -> list[Code]:
    if not isinstance(metadata, Mapping):
        return []
    return [code for key in CODE_KEYS for code in _texts(metadata.get(key))]


def _promotions(thing: Object) -> list[Code]:
    """Promotion codes that were used, by their ids; a discount that is not expanded is only an id of itself."""
    discounts = list(_each(thing.get("discounts")))
    if isinstance(thing.get("discount"), Mapping):
        discounts.append(thing["discount"])
    found = []
    for discount in discounts:
        promotion = discount.get("promotion_code")
        written = _texts(promotion.get("code")) if isinstance(promotion, Mapping) else []
        if written:
            found += [Code(code.text, "promotion") for code in written]
        elif _id(promotion):
            found.append(Code(_id(promotion), "promotion_id"))
    return found


def _payments(invoice: Object) -> list[str]:
    """New API versions list an invoice's payments, when they were asked to, instead of naming one."""
    found = []
    for item in _each(_object(invoice, "payments").get("data")):
        payment = _object(item, "payment")
        found += [_id(payment.get("payment_intent")), _id(payment.get("charge"))]
    return found
