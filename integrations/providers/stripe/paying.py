"""Rewards that Stripe delivers: a promotion code of its own for the recipient, or a credit on their customer balance (PROVIDERS.md,
section 2).

What we make carries the payout's key in its metadata, by which it is known again: Stripe forgets an idempotency key after 24 hours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import stripe
from django.utils.translation import gettext as _

from integrations import pace
from integrations.base import Account, Found, Ignored, PayloadError, ProviderError
from integrations.gift_codes import texts_of, with_prefix
from integrations.models import Connection
from integrations.providers.stripe.client import client_of
from integrations.providers.stripe.keeping import MARK, NAME_LENGTH, PAGE, stripe_minor
from integrations.providers.stripe.source import STRIPE_EXPONENTS
from integrations.reading import inner, minor_money, text
from integrations.remote import RemoteError
from integrations.services import secrets_of
from referrals.lib.http import HttpError
from referrals.lib.money import Money
from rewards.orders import Gift, Order, Outcome

CODE_LENGTH = 10
# Payouts begun in a second by one process: Stripe takes 100 requests, and one payout is three at most.
A_SECOND = 15
NO_KEY = "There is no API key on the connection to Stripe any more. Paste one there, and issue again."
NO_CUSTOMER = "They are no customer in Stripe yet, neither by their id nor by their e-mail address. The reward waits until they buy."
MAY_NOT_SEARCH = (
    "No customer in Stripe is known for them yet. The reward waits until they buy; with the right “Customers: write” the key also finds"
    " customers by their e-mail address."
)
# What Stripe's codes come to: (reason of the payout, what to do).
REFUSALS: Mapping[str, tuple[str, str]] = {
    "resource_missing": (
        "waiting_for_recipient",
        "Stripe does not know this customer any more: they were deleted there. The reward waits until they buy again.",
    ),
    "balance_insufficient": (
        "waiting_for_funds",
        "Stripe says that your balance there is not enough. Add to it in Stripe, and issue again.",
    ),
    "account_closed": ("provider_rejected", "Stripe says that the account is closed. Choose another way of paying."),
    "currency_mismatch": (
        "provider_rejected",
        "Stripe keeps this customer in another currency. Choose another way of paying.",
    ),
    "amount_too_large": ("provider_rejected", "This is more than Stripe allows. Issue the rewards in smaller parts."),
    "amount_too_small": ("provider_rejected", "This is less than Stripe allows. Wait until there is more to pay."),
}


def obstacle(connection: Connection, amount: Money, options: Mapping[str, Any]) -> str:
    """Why this amount can't be delivered through the connection; "" when it can."""
    del options
    if not secrets_of(connection).get("api_key"):
        return _("Paying through Stripe needs an API key: paste one on the connection’s page.")
    try:
        stripe_minor(amount)
    except RemoteError as error:
        return str(error)
    return ""


class _Issuer:
    """What both ways have in common: every error of Stripe has its outcome and its sentence."""

    # Which right of the key it needs, in the words of Stripe's form.
    right = ""

    def send(self, order: Order, account: Account) -> Outcome:
        """Make it, once; what Stripe says of a second try with the same key is what it said of the first."""
        if not account.secrets.get("api_key"):
            return Outcome("failed", "", NO_KEY)
        if not order.is_test:
            pace.keep(("stripe", account.secrets["api_key"]), a_second=A_SECOND)
        try:
            found = self._make(order, client_of(account).v1)
        except stripe.StripeError as error:
            found = refused(error, self.right)
        except (PayloadError, Ignored) as error:
            return Outcome("unknown", "", f"Stripe's answer can't be read: {error}")
        if found.reason == "waiting_for_recipient" and not found.reference:
            # Once another customer is known, it is tried again (integrations.waking).
            found = replace(found, reference=order.customer)
        return found

    def check(self, order: Order, account: Account) -> Outcome | None:
        """What is there with this payout's mark; raises ProviderError when Stripe can't be asked."""
        if not account.secrets.get("api_key"):
            raise ProviderError(NO_KEY, retry=False)
        try:
            return self._find(order, client_of(account).v1)
        except stripe.StripeError as error:
            raise ProviderError(refused(error, self.right).message, retry=True) from error
        except (PayloadError, Ignored) as error:
            raise ProviderError(f"Stripe's answer can't be read: {error}", retry=True) from error

    def _make(self, order: Order, v1: Any) -> Outcome:
        raise NotImplementedError

    def _find(self, order: Order, v1: Any) -> Outcome | None:
        raise NotImplementedError


class StripeCoupon(_Issuer):
    """A coupon under the payout's own id, and one promotion code of it that works once. The id and the text are their own keys."""

    key_life: timedelta | None = None
    right = "Coupons and Promotion Codes: write"

    def _make(self, order: Order, v1: Any) -> Outcome:
        try:
            v1.coupons.create(_coupon(order), {"idempotency_key": f"{order.key}-coupon"})
        except stripe.InvalidRequestError as error:
            if error.code != "resource_already_exists":
                raise
        params = _promotion(order)
        try:
            made = v1.promotion_codes.create(params, {"idempotency_key": f"{order.key}-code"})
        except stripe.InvalidRequestError as error:
            if "already exists" not in (error.user_message or "").lower():
                raise
            return self._find(order, v1) or Outcome(
                "ask", "", f"Another promotion code in Stripe has the text {params['code'][:4]}… already."
            )
        return _read_code(order, made.to_dict())

    def _find(self, order: Order, v1: Any) -> Outcome | None:
        asked = {"coupon": _coupon_id(order), "limit": PAGE, "expand": ["data.promotion.coupon"]}
        for row in v1.promotion_codes.list(asked).data:
            found = row.to_dict()
            if inner(found, "metadata").get(MARK) == order.key:
                return _read_code(order, found)
        return None


def _coupon_id(order: Order) -> str:
    return f"passalong-{order.key}"


def _coupon(order: Order) -> dict[str, Any]:
    return {
        "id": _coupon_id(order),
        # The customer reads it on their invoice.
        "name": (str(order.options.get("name") or "") or order.campaign)[:NAME_LENGTH],
        "duration": "once",
        "amount_off": stripe_minor(order.amount),
        "currency": order.amount.currency.lower(),
        "max_redemptions": 1,
        "metadata": _mark(order),
    }


def _promotion(order: Order) -> dict[str, Any]:
    days = str(order.options.get("days") or "")
    found: dict[str, Any] = {
        "promotion": {"type": "coupon", "coupon": _coupon_id(order)},
        "code": with_prefix(order.options.get("prefix"), texts_of(order.key, CODE_LENGTH)[0]),
        "max_redemptions": 1,
        "metadata": _mark(order),
        "expand": ["promotion.coupon"],
    }
    if order.customer.startswith("cus_"):
        found["customer"] = order.customer
    if days.isdigit():
        found["expires_at"] = int((order.called_at + timedelta(days=int(days))).timestamp())
    return found


def _mark(order: Order) -> dict[str, str]:
    return {MARK: order.key, "payout": order.public_id, "rewards": ",".join(order.rewards)[:500]}


def _read_code(order: Order, found: Mapping[str, Any]) -> Outcome:
    code, name = text(found.get("code")), text(found.get("id"))
    worth = _worth(found)
    if not code or not name:
        raise PayloadError("there is no code in it.")
    if worth != order.amount:
        return _other_amount(name, worth, order)
    ends = found.get("expires_at")
    expires = datetime.fromtimestamp(ends, UTC) if type(ends) is int else None
    return Outcome("paid", name, gift=Gift(code=code, expires_at=expires))


def _other_amount(name: str, worth: Money, order: Order) -> Outcome:
    words = f"Stripe says {worth} where {order.amount} was asked for. Look at {name} in Stripe, and say what happened."
    return Outcome("ask", name, words)


def recent(account: Account, since: datetime, until: datetime) -> Iterator[Found]:
    """Promotion codes with our mark that were made in a span; none for a key that may not see them: it has paid nothing this way.

    Raises ProviderError, HttpError.
    """
    if not account.secrets.get("api_key"):
        return
    span = {"gte": int(since.timestamp()), "lt": int(until.timestamp())}
    asked: dict[str, Any] = {"created": span, "limit": PAGE, "expand": ["data.promotion.coupon"]}
    v1 = client_of(account).v1
    while True:
        try:
            page = v1.promotion_codes.list(cast(Any, asked))
        except stripe.PermissionError:
            return
        except stripe.StripeError as error:
            raise ProviderError(refused(error, StripeCoupon.right).message, retry=True) from error
        yield from _paid(row.to_dict() for row in page.data)
        if not page.has_more or not page.data:
            return
        asked["starting_after"] = page.data[-1].id


def _paid(codes: Iterable[Mapping[str, Any]]) -> Iterator[Found]:
    for found in codes:
        key = text(inner(found, "metadata").get(MARK))
        try:
            if key:
                at = datetime.fromtimestamp(int(found["created"]), UTC)
                yield Found(key, text(found.get("id")), _worth(found), "paid", at)
        except PayloadError:
            continue  # a friend's offer, in per cent


def _worth(found: Mapping[str, Any]) -> Money:
    coupon = inner(inner(found, "promotion"), "coupon")
    return minor_money(coupon.get("amount_off"), text(coupon.get("currency")).upper(), STRIPE_EXPONENTS)


class StripeBalance(_Issuer):
    """A credit on the customer's balance: Stripe takes it off their next invoice by itself."""

    key_life: timedelta | None = timedelta(hours=24)
    right = "Customers: write"

    def _make(self, order: Order, v1: Any) -> Outcome:
        customer = self._customer(order, v1)
        if isinstance(customer, Outcome):
            return customer
        currency = text(customer.get("currency")).upper()
        if currency not in {"", order.amount.currency}:
            words = f"Stripe keeps this customer's balance in {currency}, the reward is in {order.amount.currency}."
            return Outcome("failed", "", f"{words} Choose another way of paying.")
        params = {
            "amount": -stripe_minor(order.amount),
            "currency": order.amount.currency.lower(),
            "description": (str(order.options.get("name") or "") or order.campaign)[:350],
            "metadata": _mark(order),
        }
        key = {"idempotency_key": order.key}
        made = v1.customers.balance_transactions.create(customer["id"], cast(Any, params), key)
        return _read_credit(order, made.to_dict())

    def _customer(self, order: Order, v1: Any) -> Mapping[str, Any] | Outcome:
        """Whose balance it is: the one that is known, else by e-mail address, those with the reward's currency and the newest first."""
        known = _known(order, v1)
        if known is not None:
            return known
        try:
            found = _by_email(order, v1)
        except stripe.PermissionError:
            return Outcome("failed", "", MAY_NOT_SEARCH, "waiting_for_recipient")
        if found:
            wanted = order.amount.currency.lower()
            return min(found, key=lambda row: (row.get("currency") != wanted, row.get("currency") is not None))
        words = REFUSALS["resource_missing"][1] if order.customer.startswith("cus_") else NO_CUSTOMER
        return Outcome("failed", "", words, "waiting_for_recipient")

    def _find(self, order: Order, v1: Any) -> Outcome | None:
        known = _known(order, v1)
        people = {row["id"]: row for row in (*((known,) if known else ()), *_by_email(order, v1))}
        for name in people:
            for found in _credits(order, v1, name):
                if inner(found, "metadata").get(MARK) == order.key:
                    return _read_credit(order, found)
        return None


def _known(order: Order, v1: Any) -> Mapping[str, Any] | None:
    """The customer whose id we know, as long as Stripe has them."""
    if not order.customer.startswith("cus_"):
        return None
    try:
        found: dict[str, Any] = v1.customers.retrieve(order.customer).to_dict()
    except stripe.InvalidRequestError as error:
        if error.http_status == 404:
            return None
        raise
    return None if found.get("deleted") else found


def _by_email(order: Order, v1: Any) -> list[Mapping[str, Any]]:
    rows = v1.customers.list({"email": order.email, "limit": PAGE}).data if order.email else ()
    return [row.to_dict() for row in rows]


def _credits(order: Order, v1: Any, customer: str) -> Iterator[Mapping[str, Any]]:
    """A customer's balance transactions, newest first, back to a day before the payout's first call."""
    oldest = int((order.called_at - timedelta(days=1)).timestamp())
    asked: dict[str, Any] = {"limit": PAGE}
    while True:
        page = v1.customers.balance_transactions.list(customer, cast(Any, asked))
        for row in page.data:
            yield row.to_dict()
        if not page.has_more or not page.data or page.data[-1].created < oldest:
            return
        asked["starting_after"] = page.data[-1].id


def _read_credit(order: Order, found: Mapping[str, Any]) -> Outcome:
    amount, name = found.get("amount"), text(found.get("id"))
    if not name or type(amount) is not int:
        raise PayloadError("there is no credit in it.")
    worth = minor_money(-amount, text(found.get("currency")).upper(), STRIPE_EXPONENTS)
    return Outcome("paid", name) if worth == order.amount else _other_amount(name, worth, order)


def refused(error: stripe.StripeError, right: str) -> Outcome:
    """What an error of Stripe comes to. Only what Stripe says before it does anything is a clear no."""
    said = (error.user_message or type(error).__name__)[:300]
    if isinstance(error, stripe.APIConnectionError):
        cause = error.__cause__
        sent = cause.sent if isinstance(cause, HttpError) else True
        return Outcome("unknown" if sent else "unsent", "", said)
    if isinstance(error, stripe.RateLimitError):
        return Outcome("unsent", "", "Stripe has too many requests just now; it is tried again.", wait=_wait(error))
    if isinstance(error, stripe.AuthenticationError):
        words = "Stripe does not accept the key any more. Paste a new one on the connection's page, and issue again."
        return Outcome("failed", "", words)
    if isinstance(error, stripe.PermissionError):
        words = f"The key may not do this. Give it the right “{right}” in Stripe, and issue again."
        return Outcome("failed", "", words)
    if isinstance(error, stripe.IdempotencyError):
        words = "Stripe knows this payout's key from a request with other details. Look in Stripe whether it was paid."
        return Outcome("ask", "", words)
    if isinstance(error, stripe.InvalidRequestError) and error.http_status not in {None, 409}:
        if error.param and error.param.startswith("promotion"):
            return Outcome("unknown", "", said)  # the coupon that was just made: somebody deleted it
        reason, words = REFUSALS.get(error.code or "", ("provider_rejected", f"Stripe refused it: {said}"))
        return Outcome("failed", "", words, reason)
    return Outcome("unknown", "", f"Stripe had a fault: {said}")


def _wait(error: stripe.StripeError) -> int:
    after = str({name.lower(): value for name, value in dict(error.headers or {}).items()}.get("retry-after") or "")
    return int(after) if after.isdigit() else 0


COUPON, BALANCE = StripeCoupon(), StripeBalance()
