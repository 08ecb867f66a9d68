"""PayPal Payouts: many payouts in one batch, each with a life of its own (PROVIDERS.md, section 6; RELIABILITY section 4).

PayPal can't be asked by our name for a batch. It refuses that name for thirty days, and then points to the batch that was made with it:
sending the same once more is how an unknown outcome becomes known. So a refusal counts as one at the first call only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.utils.translation import gettext as _

from integrations.base import Account
from integrations.models import Connection
from integrations.providers.paypal import words
from integrations.providers.paypal.client import PayPalApi, PayPalError
from integrations.reading import Object, inner, text
from referrals.lib.http import HttpError
from referrals.lib.money import Money, MoneyError
from rewards.orders import Order, Outcome, Shipment, Shipped

PAYOUTS, ITEMS = "/v1/payments/payouts", "/v1/payments/payouts-item"
# What one answer has of a batch: 1 MiB is what we read of any answer.
PAGE = 250
# PayPal takes these in whole units only, whatever ISO 4217 says.
WHOLE = frozenset({"HUF", "JPY", "TWD"})
_ID = re.compile(r"[A-Za-z0-9_-]{1,40}", re.ASCII)
_ITEM_PLACE = re.compile(r"items[\[/.](\d{1,5})")
_OVER = {"DENIED", "CANCELED"}


def obstacle(connection: Connection, amount: Money, options: Mapping[str, Any]) -> str:
    """Why PayPal can't pay this amount; "" when it can."""
    if amount.currency in WHOLE and amount.major != amount.major.to_integral_value():
        return _("PayPal pays %(currency)s in whole units only.") % {"currency": amount.currency}
    return ""


class PayPalIssuer:
    """Sends batches, and reads what became of their items."""

    # PayPal refuses a batch's name for so long (PROVIDERS.md, section 0.9).
    key_life = timedelta(days=30)

    def send_many(self, orders: Sequence[Order], account: Account, shipment: Shipment) -> Shipped:
        """POST the batch; where it was made before, read the one that PayPal points to."""
        api = PayPalApi(account)
        try:
            made = api.post(PAYOUTS, body_of(orders, shipment.key), headers={"PayPal-Request-Id": shipment.key})
        except PayPalError as error:
            made_before = _batch_of(error)
            if made_before:
                return self._read(api, orders, shipment, made_before)
            return Shipped(_refused(error, orders, first_call=shipment.first_call))
        name = text(inner(made, "batch_header").get("payout_batch_id"))
        if not _ID.fullmatch(name):
            return _all(orders, Outcome("unknown", "", "PayPal's answer does not name the batch."))
        try:
            return self._read(api, orders, shipment, name)
        except (PayPalError, HttpError):
            # PayPal has taken it; what became of it is asked later.
            return _all(orders, words.outcome("PENDING", ""), name)

    def check_many(self, orders: Sequence[Order], account: Account, shipment: Shipment) -> Shipped | None:
        """Read the batch by PayPal's name for it; None where that is not known yet. Raises PayPalError, HttpError."""
        if not shipment.reference:
            return None
        try:
            return self._read(PayPalApi(account), orders, shipment, shipment.reference)
        except PayPalError as error:
            if error.status == 404:
                return None
            raise

    def send(self, order: Order, account: Account) -> Outcome:
        """A batch of one."""
        return self.send_many([order], account, _alone(order)).outcomes[order.public_id]

    def check(self, order: Order, account: Account) -> Outcome | None:
        """Read the item by PayPal's name for it; None where that is not known. Raises PayPalError, HttpError."""
        if not _ID.fullmatch(order.reference):
            return None
        try:
            found = PayPalApi(account).get(f"{ITEMS}/{order.reference}")
        except PayPalError as error:
            if error.status == 404:
                return None
            raise
        return read_item(found, order)

    def _read(self, api: PayPalApi, orders: Sequence[Order], shipment: Shipment, name: str) -> Shipped:
        """What became of each item: a batch that is done says nothing about them by itself."""
        status = ""
        items: dict[str, Object] = {}
        for page in _pages(api, name):
            header = inner(page, "batch_header")
            status = text(header.get("batch_status"))
            theirs = text(inner(header, "sender_batch_header").get("sender_batch_id"))
            if theirs != shipment.key:
                raise PayPalError(f"PayPal's batch {name} is another one: {theirs[:40]}.", status=200)
            items |= {text(inner(row, "payout_item").get("sender_item_id")): row for row in _rows(page)}
        outcomes = {}
        for order in orders:
            row = items.get(order.public_id)
            if row is not None:
                outcomes[order.public_id] = read_item(row, order, batch=status)
            elif status in _OVER:
                outcomes[order.public_id] = words.outcome(status, "")
            elif status in {"PENDING", "PROCESSING"}:
                outcomes[order.public_id] = words.outcome("PENDING", "")
        return Shipped(outcomes, name)


def body_of(orders: Sequence[Order], key: str) -> dict[str, Any]:
    """The batch as it is sent, the same for the same orders."""
    first = orders[0]
    subject = text(first.options.get("subject")) or f"{first.merchant} has paid you"
    header = {"sender_batch_id": key, "email_subject": subject[:255]}
    note = text(first.options.get("note"))
    if note:
        header["email_message"] = note[:1000]
    return {"sender_batch_header": header, "items": [_item(order, note) for order in orders]}


def _item(order: Order, note: str) -> dict[str, Any]:
    amount = order.amount
    value = str(int(amount.major)) if amount.currency in WHOLE else amount.plain()
    item = {
        "recipient_type": "EMAIL",
        "amount": {"value": value, "currency": amount.currency},
        # Whole, however long: PayPal refuses what it can't take, and the beginning of an address is somebody else's.
        "receiver": order.address,
        "sender_item_id": order.public_id,
        "recipient_wallet": "PAYPAL",
    }
    return item | ({"note": note} if note else {})


def _pages(api: PayPalApi, name: str) -> Iterator[Object]:
    """The pages of a batch; raises PayPalError, HttpError."""
    number, last = 1, 1
    while number <= last:
        query = f"page={number}&page_size={PAGE}&total_required=true"
        page = api.get(f"{PAYOUTS}/{name}?{query}")
        pages = page.get("total_pages")
        last = pages if type(pages) is int and pages <= 1000 else number
        number += 1
        yield page


def _rows(page: Object) -> list[Object]:
    rows = page.get("items")
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []


def read_item(row: Object, order: Order, *, batch: str = "") -> Outcome:
    """What became of one payout; `ask` when PayPal says that it paid another amount or somebody else's payout."""
    given, reference = inner(row, "payout_item"), text(row.get("payout_item_id"))
    status = text(row.get("transaction_status")) or (batch if batch in _OVER else "")
    if text(given.get("sender_item_id")) != order.public_id:
        return Outcome("ask", reference, "PayPal has another payout under this name.")
    amount = inner(given, "amount")
    try:
        money = Money.parse(text(amount.get("value")), text(amount.get("currency")))
    except MoneyError:
        return Outcome("unknown", reference, "PayPal's answer has no amount that can be read.")
    if money != order.amount:
        return Outcome(
            "ask", reference, f"PayPal says that it pays {money.format()} instead of {order.amount.format()}."
        )
    return words.outcome(status, reference, text(inner(row, "errors").get("name")))


def _batch_of(error: PayPalError) -> str:
    """PayPal's name of the batch that was made with our name before, where its refusal points to one."""
    if error.status != 400:
        return ""
    for link in error.links:
        head, _slash, name = link.rstrip("/").rpartition("/")
        if head.endswith(PAYOUTS) and _ID.fullmatch(name):
            return name
    return ""


def _refused(error: PayPalError, orders: Sequence[Order], *, first_call: bool) -> dict[str, Outcome]:
    """What a call that made no batch says of each payout."""
    if error.retry or not first_call or error.code == "USER_BUSINESS_ERROR":
        outcome = Outcome("unknown", "", f"PayPal answered {error.status}: {error}", wait=error.wait)
        return dict.fromkeys((order.public_id for order in orders), outcome)
    said = {int(found[1]): issue for place, issue in error.details if (found := _ITEM_PLACE.search(place))}
    blamed = {number: issue for number, issue in said.items() if number < len(orders)}
    whole = words.refusal(error.code, str(error))
    others = Outcome("failed", "", "PayPal refused the whole batch because of another payout in it.", words.AGAIN)
    outcomes = {}
    for number, order in enumerate(orders):
        if number in blamed:
            outcomes[order.public_id] = Outcome(
                "failed", "", f"PayPal refused this payout: {blamed[number][:200]}", words.REJECTED
            )
        else:
            outcomes[order.public_id] = others if blamed else whole
    return outcomes


def _all(orders: Sequence[Order], outcome: Outcome, reference: str = "") -> Shipped:
    return Shipped({order.public_id: outcome for order in orders}, reference)


def _alone(order: Order) -> Shipment:
    return Shipment(0, order.key, order.number, "", order.called_at, order.first_call)


ISSUER = PayPalIssuer()
