"""Store credit on a customer's account in the shop (PROVIDERS.md, section 3).

Such a credit has no key, no note and no reference at all: whether one of them is ours can only be told by a person. So it is sent once,
and every unclear answer goes to a person, with what the shop wrote on the account around that time.
"""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import Any

from integrations.base import Account, Ignored, PayloadError, ProviderError
from integrations.providers.shopify import queries
from integrations.providers.shopify.amounts import decimal_text
from integrations.providers.shopify.graphql import ask, change
from integrations.providers.shopify.paying import ShopIssuer, customer_gid, ends_at, money_of, other_amount
from integrations.reading import each, inner, iso_moment, text
from rewards.orders import Order, Outcome

NO_CUSTOMER = "They are no customer of the shop yet, neither by their number nor by their e-mail address. The reward waits until they buy."
# How far before the first call a line of the account is still shown: clocks differ.
_BEFORE = timedelta(minutes=15)
_LINES = 8


class ShopifyStoreCredit(ShopIssuer):
    """See the module."""

    key_life: timedelta | None = timedelta(0)
    scope = "write_store_credit_account_transactions"

    def send(self, order: Order, account: Account) -> Outcome:
        """As ever; an unclear answer comes with the account's last lines."""
        found = super().send(order, account)
        return self._facts(order, account, found.message) if found.state == "unknown" else found

    def prepare(self, order: Order, account: Account) -> Any:
        """Whose account it is, by number or by e-mail address."""
        found = self._customer(order, account)
        return found or Outcome("failed", "", NO_CUSTOMER, "waiting_for_recipient")

    def _customer(self, order: Order, account: Account) -> str:
        if order.customer.isdigit():
            return customer_gid(order.customer)
        found = ask(account, queries.CUSTOMER, {"email": order.email}) if order.email else {}
        return text(inner(found, "customerByIdentifier").get("id"))

    def make(self, order: Order, account: Account, ready: Any) -> Outcome:
        """See ShopIssuer."""
        ends = ends_at(order)
        credit = {
            "creditAmount": {"amount": decimal_text(order.amount), "currencyCode": order.amount.currency},
            "expiresAt": ends.isoformat() if ends else None,
            "notify": order.options.get("notify") == "yes",
        }
        made = change(account, queries.GIVE_CREDIT, {"customer": ready, "credit": credit}, "storeCreditAccountCredit")
        line = inner(made, "storeCreditAccountTransaction")
        name, worth = text(line.get("id")), money_of(inner(line, "amount"))
        if not name:
            raise PayloadError("there is no credit in it.")
        return Outcome("paid", name) if worth == order.amount else other_amount(name, worth, order)

    def find(self, order: Order, account: Account) -> Outcome | None:
        """Nobody can say by machine whether a line is this payout's: what there is, for a person."""
        return self._facts(order, account, "Shopify gave no clear answer.")

    def _facts(self, order: Order, account: Account, said: str) -> Outcome:
        try:
            lines = self._lines(order, account)
        except (ProviderError, PayloadError, Ignored):
            return Outcome(
                "ask", "", f"{said} The customer's store credit can't be looked at just now: look in Shopify."
            )
        there = "; ".join(lines) if lines else "nothing"
        words = f"{said} Around that time the shop wrote on their store credit: {there}. Is {order.amount} of this payout among it?"
        return Outcome("ask", "", words)

    def _lines(self, order: Order, account: Account) -> list[str]:
        customer = self._customer(order, account)
        found = inner(ask(account, queries.CREDITS, {"customer": customer}), "customer") if customer else {}
        lines = []
        for owned in each(inner(found, "storeCreditAccounts").get("nodes")):
            for row in each(inner(owned, "transactions").get("nodes")):
                at = iso_moment(row.get("createdAt"))
                if at >= order.called_at - _BEFORE:
                    amount = inner(row, "amount")
                    sum_ = f"{text(amount.get('currencyCode'))} {text(amount.get('amount'))}"
                    lines.append(f"{sum_} at {at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC")
        return lines[:_LINES]


STORE_CREDIT = ShopifyStoreCredit()
