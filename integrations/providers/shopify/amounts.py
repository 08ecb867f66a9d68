"""Shopify's amounts: decimal texts in the shop's currency, beside what the customer saw in theirs ("presentment money")."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from integrations.base import PayloadError
from integrations.reading import Object, currency_of, each, ident, inner, major_money
from referrals.lib.money import Money, exponent_of

Sums = dict[str, Decimal]
_KINDS = ("shop_money", "presentment_money")


def total(order: Object) -> tuple[Money, ...]:
    """What was paid: in the shop's currency first, then as the customer saw it, where that is another. Empty for a free order.

    `total_price` is the sum at the checkout, with shipping and tax, before anything went back. Raises PayloadError, Ignored.
    """
    bag = inner(order, "total_price_set")
    found = [_of(inner(bag, kind)) for kind in _KINDS if inner(bag, kind)]
    if not found:
        found = [(_decimal(order.get("total_price")), currency_of(order.get("currency")))]
    return tuple(dict.fromkeys(major_money(f"{amount}", code) for amount, code in found if amount > 0))


def successful(refund: Object) -> Iterator[Object]:
    """The transactions through which money really went back."""
    for item in each(refund.get("transactions")):
        if item.get("kind") == "refund" and item.get("status") == "success":
            yield item


def refunded(refund: Object) -> tuple[Money, ...]:
    """What went back in one refund: in the shop's currency first, then as the customer got it, where that is another.

    Transactions are in the customer's currency. What they are in the shop's comes from `amount_set`, where it is there, else by the
    refund's own lines, which have both, at the rate of the order. Empty when nothing has gone through.
    """
    paid: Sums = {}
    in_shop: Sums = {}
    for item in successful(refund):
        amount, code = _decimal(item.get("amount")), currency_of(item.get("currency"))
        paid[code] = paid.get(code, Decimal(0)) + amount
        shop = inner(inner(item, "amount_set"), "shop_money")
        if shop:
            amount, code = _of(shop)
            in_shop[code] = in_shop.get(code, Decimal(0)) + amount
    if not in_shop:
        in_shop = _by_lines(refund, paid)
    if len(paid) > 1 or len(in_shop) > 1:
        raise PayloadError("a refund is in more than one currency.")
    sums = [*in_shop.items(), *paid.items()]
    return tuple(dict.fromkeys(major_money(f"{amount}", code) for code, amount in sums if amount > 0))


def _by_lines(refund: Object, paid: Sums) -> Sums:
    """The shop's side of a refund by its lines; empty when they say nothing, or the currencies are the same."""
    shop, seen = Decimal(0), Decimal(0)
    currency, shown = "", ""
    for bag in _bags(refund):
        if not inner(bag, "shop_money") or not inner(bag, "presentment_money"):
            continue
        (one, currency), (other, shown) = (_of(inner(bag, kind)) for kind in _KINDS)
        shop, seen = shop + abs(one), seen + abs(other)
    if not currency or currency == shown or shown not in paid or not seen:
        return {}
    exact = shop if paid[shown] == seen else paid[shown] * shop / seen
    return {currency: exact.quantize(Decimal(1).scaleb(-exponent_of(currency)), ROUND_HALF_UP)}


def _bags(refund: Object) -> Iterator[Object]:
    for line in each(refund.get("refund_line_items")):
        yield from (inner(line, "subtotal_set"), inner(line, "total_tax_set"))
    for line in each(refund.get("refund_shipping_lines")):
        yield inner(line, "subtotal_amount_set")
    for adjustment in each(refund.get("order_adjustments")):
        if ident(adjustment):
            yield inner(adjustment, "amount_set")


def decimal_text(money: Money) -> str:
    """An amount as Shopify writes it: `12.50`, `1250` in yen, `12.500` in dinars."""
    digits = exponent_of(money.currency)
    whole, rest = divmod(money.minor, 10**digits)
    return f"{whole}.{rest:0{digits}d}" if digits else str(whole)


def _of(money: Object) -> tuple[Decimal, str]:
    return _decimal(money.get("amount")), currency_of(money.get("currency_code"))


def _decimal(amount: object) -> Decimal:
    try:
        found = Decimal(str(amount)) if type(amount) in {int, float, str} else Decimal("NaN")
    except InvalidOperation as error:
        raise PayloadError("an amount is missing or malformed.") from error
    if not found.is_finite() or abs(found) >= 10**12:
        raise PayloadError("an amount is missing or malformed.")
    return found
