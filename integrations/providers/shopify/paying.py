"""Rewards that a shop delivers: a discount code or a gift card (store_credit.py has the third way; PROVIDERS.md, section 3).

Shopify has no keys for these requests. The code's text is its own key: it is made of the payout's, the shop takes it once, and our mark
on what is there already tells that it is this payout's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.utils.translation import gettext as _

from integrations import pace
from integrations.base import Account, Found, Ignored, PayloadError, ProviderError
from integrations.gift_codes import texts_of, with_prefix
from integrations.models import Connection
from integrations.providers.shopify import queries
from integrations.providers.shopify.amounts import decimal_text
from integrations.providers.shopify.graphql import Refusal, ask, change
from integrations.reading import Object, each, inner, iso_moment, major_money, text
from integrations.services import secrets_of
from referrals.lib.http import HttpError
from referrals.lib.money import Money
from rewards.orders import Gift, Order, Outcome

CODE_LENGTH, CARD_LENGTH = 10, 16
# Payouts begun in a second by one process: the smallest plan restores 100 points, and what is asked for one payout costs about fifteen.
A_SECOND = 3
MARK = "passalong-payout"
_KEY = re.compile(r"Passalong payout ([\w-]+)")
NO_ACCESS = "Shopify does not accept the app's access any more. Install the app again on the connection's page, and issue again."
DENIED = (
    "The app may not do this in the shop. Give it the right {scope}, accept the update in the shop, and issue again."
)
# Shopify grants this right to no app by itself (PROVIDERS.md, section 3).
DENIED_CARDS = (
    "The app may not make gift cards. Shopify grants the right write_gift_cards only when you ask Shopify Support for it; until then pay"
    " by discount code or store credit."
)
CUSTOMER_GONE = "The shop does not know this customer any more. The reward waits until they buy again."
# What Shopify's codes come to: (reason of the payout, what to do).
REFUSALS: Mapping[str, tuple[str, str]] = {
    "CUSTOMER_NOT_FOUND": ("waiting_for_recipient", CUSTOMER_GONE),
    "RECIPIENT_NOT_FOUND": ("waiting_for_recipient", CUSTOMER_GONE),
    "OWNER_NOT_FOUND": ("waiting_for_recipient", CUSTOMER_GONE),
    "ACCOUNT_NOT_FOUND": ("waiting_for_recipient", CUSTOMER_GONE),
    "GIFT_CARD_LIMIT_EXCEEDED": (
        "provider_rejected",
        "This is more than a gift card of this shop may have. Issue the rewards in smaller parts, or raise the shop's limit.",
    ),
    "CREDIT_LIMIT_EXCEEDED": (
        "provider_rejected",
        "The customer's store credit would be more than Shopify allows. Choose another way of paying.",
    ),
    "MISMATCHING_CURRENCY": (
        "provider_rejected",
        "The customer's store credit is in another currency. Choose another way of paying.",
    ),
    "UNSUPPORTED_CURRENCY": (
        "provider_rejected",
        "The shop has no store credit in this currency. Choose another way of paying.",
    ),
    "VALUE_OUTSIDE_RANGE": (
        "provider_rejected",
        "The shop takes no discount of this amount. Choose another way of paying.",
    ),
    "EXPIRES_AT_IN_PAST": ("provider_rejected", "The end that was chosen is over. Issue again with a later one."),
}


def obstacle(connection: Connection, amount: Money, options: Mapping[str, Any]) -> str:
    """Why nothing can be delivered through the connection; "" when it can. Shopify itself says which amounts it does not take."""
    del amount, options
    secrets = secrets_of(connection)
    if not (secrets.get("access_token") or secrets.get("client_id")):
        return _("Paying through Shopify needs an app: paste its client ID, or install it, on the connection’s page.")
    return ""


class ShopIssuer:
    """What the three ways have in common: every error of Shopify has its outcome and its sentence."""

    key_life: timedelta | None = None
    # Which right of the app it needs.
    scope = ""
    denied = DENIED

    def send(self, order: Order, account: Account) -> Outcome:
        """Ask the shop what has to be known before, then make it, once."""
        if not order.is_test:
            pace.keep(("shopify", account.secrets.get("shop")), a_second=A_SECOND)
        try:
            ready = self.prepare(order, account)
        except ProviderError as error:
            found = self.refused(error, changed=False)
        else:
            found = ready if isinstance(ready, Outcome) else self._made(order, account, ready)
        if found.reason == "waiting_for_recipient" and not found.reference:
            # Once another customer is known, it is tried again (integrations.waking).
            found = replace(found, reference=order.customer)
        return found

    def _made(self, order: Order, account: Account, ready: Any) -> Outcome:
        try:
            return self.make(order, account, ready)
        except ProviderError as error:
            return self.refused(error, changed=True)
        except (PayloadError, Ignored) as error:
            return Outcome("unknown", "", f"Shopify's answer can't be read: {error}")

    def check(self, order: Order, account: Account) -> Outcome | None:
        """What is there with this payout's mark; raises ProviderError when the shop can't be asked."""
        try:
            return self.find(order, account)
        except (PayloadError, Ignored) as error:
            raise ProviderError(f"Shopify's answer can't be read: {error}", retry=True) from error

    def prepare(self, order: Order, account: Account) -> Any:
        """What has to be known before: something for make(), or the outcome when nothing can be made. Asks only."""
        raise NotImplementedError

    def make(self, order: Order, account: Account, ready: Any) -> Outcome:
        """The one call that has an effect."""
        raise NotImplementedError

    def find(self, order: Order, account: Account) -> Outcome | None:
        """What is there of it; None for nothing."""
        raise NotImplementedError

    def refused(self, error: ProviderError, *, changed: bool) -> Outcome:
        """What an error comes to. `changed`: it came of a call that may have had an effect."""
        cause = error.__cause__
        if isinstance(cause, HttpError):
            return Outcome("unknown" if changed and cause.sent else "unsent", "", str(error))
        code = error.code if isinstance(error, Refusal) else ""
        if code == "THROTTLED":
            wait = error.wait if isinstance(error, Refusal) else 0
            return Outcome("unsent", "", "Shopify has too many requests just now; it is tried again.", wait=wait)
        if code in {"UNAUTHORIZED", "NO_TOKEN"}:
            return Outcome("failed", "", NO_ACCESS)
        if code == "ACCESS_DENIED":
            return Outcome("failed", "", self.denied.format(scope=self.scope))
        if code in REFUSALS:
            reason, words = REFUSALS[code]
            return Outcome("failed", "", words, reason)
        if error.retry or code == "INTERNAL_ERROR":
            return Outcome("unknown" if changed else "unsent", "", f"Shopify had a fault: {error}")
        return Outcome("failed", "", f"Shopify refused it: {error}")


class _Code(ShopIssuer):
    """What is known by its code, whose worth is in the shop's own currency."""

    def prepare(self, order: Order, account: Account) -> Any:
        """The shop's rights, once its currency is the reward's."""
        found = ask(account, queries.SHOP, {})
        currency = text(inner(found, "shop").get("currencyCode"))
        if currency != order.amount.currency:
            words = f"The shop counts in {currency}, the reward is in {order.amount.currency}. Choose another way of paying."
            return Outcome("failed", "", words)
        rights = {text(row.get("handle")) for row in each(inner(found, "currentAppInstallation").get("accessScopes"))}
        if self.scope not in rights:
            return Outcome("failed", "", self.denied.format(scope=self.scope))
        return rights

    def taken(self, order: Order, account: Account, code: str) -> Outcome:
        """Shopify says that it has the code already: an earlier try of ours made it, whose answer got lost."""
        raise NotImplementedError


class ShopifyDiscount(_Code):
    """A discount code off the whole order, which works once."""

    scope = "write_discounts"

    def make(self, order: Order, account: Account, ready: Any) -> Outcome:
        """See ShopIssuer."""
        code = _code(order)
        try:
            made = change(
                account, queries.GIVE_DISCOUNT, {"discount": _discount(order, code)}, "discountCodeBasicCreate"
            )
        except Refusal as error:
            if error.code not in {"TAKEN", "DUPLICATE", "IMPLICIT_DUPLICATE"}:
                raise
            words = f"Another discount of the shop has the code {code[:4]}… already. Look at it in Shopify."
            return self.find(order, account) or Outcome("ask", "", words)
        return _read_discount(order, inner(made, "codeDiscountNode"), code)

    def find(self, order: Order, account: Account) -> Outcome | None:
        """By the code, as it was made by any of our keys."""
        for code in _codes(order):
            found = inner(ask(account, queries.GIVEN_DISCOUNT, {"code": code}), "codeDiscountNodeByCode")
            if _tag(order) in (inner(found, "codeDiscount").get("tags") or ()):
                return _read_discount(order, found, code)
        return None


def _codes(order: Order) -> list[str]:
    return [with_prefix(order.options.get("prefix"), one) for one in texts_of(order.key, CODE_LENGTH)]


def _code(order: Order) -> str:
    return _codes(order)[0]


def _tag(order: Order) -> str:
    return f"{MARK}:{order.key}"


def ends_at(order: Order) -> datetime | None:
    """When what is given ends, by the option `days`; the same at every try, because it counts from the first."""
    days = str(order.options.get("days") or "")
    return order.called_at + timedelta(days=int(days)) if days.isdigit() else None


def _discount(order: Order, code: str) -> dict[str, Any]:
    ends = ends_at(order)
    return {
        # Customers read it at the checkout.
        "title": code,
        "code": code,
        "startsAt": order.called_at.isoformat(),
        "endsAt": ends.isoformat() if ends else None,
        "usageLimit": 1,
        "appliesOncePerCustomer": True,
        "context": {"all": "ALL"},
        "customerGets": {
            "value": {"discountAmount": {"amount": decimal_text(order.amount), "appliesOnEachItem": False}},
            "items": {"all": True},
        },
        "tags": [MARK, _tag(order)],
    }


def _read_discount(order: Order, node: Object, code: str) -> Outcome:
    discount, name = inner(node, "codeDiscount"), text(node.get("id"))
    worth = money_of(inner(inner(inner(discount, "customerGets"), "value"), "amount"))
    if not name:
        raise PayloadError("there is no discount in it.")
    if worth != order.amount:
        return other_amount(name, worth, order)
    ends = discount.get("endsAt")
    return Outcome("paid", name, gift=Gift(code=code, expires_at=iso_moment(ends) if ends else None))


def money_of(amount: Object) -> Money:
    """Shopify's MoneyV2."""
    return major_money(amount.get("amount"), amount.get("currencyCode"))


def other_amount(name: str, worth: Money, order: Order) -> Outcome:
    """The shop says another sum than was asked for: a person looks."""
    words = (
        f"Shopify says {worth} where {order.amount} was asked for. Look at {name} in the shop, and say what happened."
    )
    return Outcome("ask", name, words)


class ShopifyGiftCard(_Code):
    """A gift card under a code of ours."""

    scope = "write_gift_cards"
    denied = DENIED_CARDS

    def make(self, order: Order, account: Account, ready: Any) -> Outcome:
        """See ShopIssuer. `ready` are the app's rights: only with write_customers a card can have an owner."""
        code = texts_of(order.key, CARD_LENGTH)[0]
        card = _card(order, code, with_customer="write_customers" in ready)
        try:
            made = change(account, queries.GIVE_CARD, {"card": card}, "giftCardCreate")
        except Refusal as error:
            if error.code != "TAKEN":
                raise
            # Nobody else can have this code.
            words = "The shop says that this gift card has been made already."
            return self.find(order, account) or Outcome("paid", "", words, gift=Gift(code=code))
        return _read_card(order, inner(made, "giftCard"), code)

    def find(self, order: Order, account: Account) -> Outcome | None:
        """By the whole code, which Shopify searches but does not show."""
        for code in texts_of(order.key, CARD_LENGTH):
            found = inner(ask(account, queries.GIVEN_CARDS, {"query": code, "after": None}), "giftCards")
            for card in each(found.get("nodes")):
                if _note_key(card) == order.key or text(card.get("lastCharacters")).upper() == code[-4:]:
                    return _read_card(order, card, code)
        return None


def _card(order: Order, code: str, *, with_customer: bool) -> dict[str, Any]:
    ends = ends_at(order)
    note = f"Passalong payout {order.key} ({', '.join(order.rewards)})"
    if order.note:
        note += f": {order.note}"
    card = {
        "initialAmount": {"amount": decimal_text(order.amount), "currencyCode": order.amount.currency},
        "code": code,
        "note": note[:500],
        "expiresOn": ends.date().isoformat() if ends else None,
    }
    if with_customer and order.customer.isdigit():
        card["customerId"] = customer_gid(order.customer)
    return card


def customer_gid(number: str) -> str:
    """A customer's number, as messages have it, as Shopify's API names them."""
    return f"gid://shopify/Customer/{number}"


def _note_key(card: Object) -> str:
    found = _KEY.match(text(card.get("note")))
    return found.group(1) if found else ""


def _read_card(order: Order, card: Object, code: str) -> Outcome:
    name, worth = text(card.get("id")), money_of(inner(card, "initialValue"))
    if not name:
        raise PayloadError("there is no gift card in it.")
    if worth != order.amount:
        return other_amount(name, worth, order)
    ends = card.get("expiresOn")
    expires = datetime.combine(date.fromisoformat(ends), time(23, 59, 59), UTC) if isinstance(ends, str) else None
    return Outcome("paid", name, gift=Gift(code=code, expires_at=expires))


# --- what was paid, for the reconciler ---


def recent_discounts(account: Account, since: datetime, until: datetime) -> Iterator[Found]:
    """Discount codes with our mark that were made in a span. Raises ProviderError."""
    for node in _pages(account, queries.GIVEN_DISCOUNTS, "codeDiscountNodes", f"tag:{MARK} AND {_span(since, until)}"):
        discount = inner(node, "codeDiscount")
        keys = [one.partition(":")[2] for one in discount.get("tags") or () if str(one).startswith(f"{MARK}:")]
        if keys:
            amount = money_of(inner(inner(inner(discount, "customerGets"), "value"), "amount"))
            yield Found(keys[0], text(node.get("id")), amount, "paid", iso_moment(discount.get("createdAt")))


def recent_cards(account: Account, since: datetime, until: datetime) -> Iterator[Found]:
    """Gift cards with our mark in their note that were made in a span. Raises ProviderError."""
    for card in _pages(account, queries.GIVEN_CARDS, "giftCards", f"source:api_client AND {_span(since, until)}"):
        if key := _note_key(card):
            at = iso_moment(card.get("createdAt"))
            yield Found(key, text(card.get("id")), money_of(inner(card, "initialValue")), "paid", at)


def _span(since: datetime, until: datetime) -> str:
    stamps = [moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for moment in (since, until)]
    return f"created_at:>='{stamps[0]}' AND created_at:<'{stamps[1]}'"


def _pages(account: Account, query: str, name: str, search: str) -> Iterator[Object]:
    """Nothing for an app without the right: it has paid nothing this way. Most shops' apps may not see gift cards."""
    after: str | None = None
    while True:
        try:
            found = inner(ask(account, query, {"query": search, "after": after}), name)
        except Refusal as error:
            if error.code in {"ACCESS_DENIED", "NO_TOKEN"}:
                return
            raise
        yield from each(found.get("nodes"))
        page = inner(found, "pageInfo")
        after = text(page.get("endCursor"))
        if page.get("hasNextPage") is not True or not after:
            return


DISCOUNT, GIFT_CARD = ShopifyDiscount(), ShopifyGiftCard()
