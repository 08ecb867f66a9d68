"""Paying through Wise: recipient, quote, transfer, funding from the balance (PROVIDERS.md, section 7).

Money moves in the last step only, and a transfer is funded once. All that came before can be done again: the transfer's name is made of
the payout's key, so that Wise gives the first one back; a quote or a recipient without a transfer costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from integrations.answers import Ended, money_of
from integrations.base import Account, Found, ProviderError
from integrations.providers.wise import groups, transfers
from integrations.providers.wise.client import Client
from integrations.providers.wise.making import made, pay
from rewards.orders import Order, Outcome, Shipment, Shipped


class WiseIssuer:
    """One transfer for each payout, several of them in a batch group. Wise knows a customerTransactionId for ever, as far as it says."""

    key_life: timedelta | None = None

    def send(self, order: Order, account: Account) -> Outcome:
        """Recipient, quote, transfer, funding; on a later try from where the last one got to."""
        client = Client(account, is_test=order.is_test, first_call=order.first_call)
        try:
            found = None if order.first_call else transfers.find(client, order)
            client.reached = found is not None
            return pay(client, order, found or made(client, order))
        except Ended as ended:
            return ended.outcome

    def check(self, order: Order, account: Account) -> Outcome | None:
        """What Wise says of the transfer; None when there is none, or when it was made and nobody has funded it yet."""
        try:
            found = transfers.find(Client(account, is_test=order.is_test), order)
        except Ended as ended:
            raise ProviderError(ended.outcome.message, retry=True) from ended
        if found is None or (found.get("status") == transfers.WAITING and not order.reference):
            return None
        return transfers.read(found, order)

    def send_many(self, orders: Sequence[Order], account: Account, shipment: Shipment) -> Shipped:
        """A group of those that are not settled yet; one payout alone is a transfer by itself."""
        if len(orders) == 1:
            return Shipped({orders[0].public_id: self.send(orders[0], account)})
        client = Client(account, is_test=orders[0].is_test, first_call=shipment.first_call, patience=groups.PATIENCE)
        return groups.Filling(client, orders, shipment).go()

    def check_many(self, orders: Sequence[Order], account: Account, shipment: Shipment) -> Shipped | None:
        """What Wise says of the transfers; None as long as nobody has paid them."""
        if len(orders) == 1:
            outcome = self.check(orders[0], account)
            return Shipped({orders[0].public_id: outcome}) if outcome is not None else None
        try:
            return groups.known(Client(account, is_test=orders[0].is_test), orders, shipment)
        except Ended as ended:
            raise ProviderError(ended.outcome.message, retry=True) from ended


def recent(account: Account, since: datetime, until: datetime) -> Iterable[Found]:
    """The profile's transfers in a span of time, for the reconciler; ProviderError or HttpError when Wise can't be asked.

    One that nobody has funded is no payment.
    """
    client = Client(account, is_test=account.is_test)
    try:
        rows = list(transfers.each(client, since, until))
    except Ended as ended:
        raise ProviderError(ended.outcome.message, retry=True) from ended
    for row in rows:
        found = _found(row)
        if found is not None and row.get("status") != transfers.WAITING and transfers.is_ours(row):
            yield found


def _found(row: Mapping[str, Any]) -> Found | None:
    state = transfers.STATES.get(str(row.get("status")))
    money, at = money_of(row.get("targetValue"), row.get("targetCurrency")), transfers.made_at(row)
    if money is None or at is None or (state != "paid" and state != "sent" and state != "failed"):
        return None
    return Found(str(row.get("customerTransactionId")), transfers.id_of(row), money, state, at)


ISSUER = WiseIssuer()
