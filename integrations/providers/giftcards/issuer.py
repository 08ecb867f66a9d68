"""Paying with gift cards: an order of one card, whose PONumber is the payout's key (seed 003; PROVIDERS.md, section 8).

A PONumber is taken once, for ever: the same one again is 409 with the first order's Id, which is success. An order can't be looked up by
its PONumber, so what is not known is found out by sending the same order again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from django.utils.translation import gettext as _

from integrations.base import Account, Ignored, PayloadError
from integrations.providers.giftcards import api
from integrations.reading import each, ident, major_money, read_json, text
from referrals.lib.http import Answer
from referrals.lib.money import Money
from rewards.orders import Gift, Order, Outcome

MAIL, LINKS, POST = "DigitalDelivery", "Links", "PhysicalShipment"
# What of a postal address (participants.destination_kinds, "postal") they call what.
_ADDRESS = {
    "name": "Name", "street": "Address1", "more": "Address2", "city": "City", "region": "State", "postcode": "PostalCode",
    "country": "Country",
}  # fmt: skip
# What a refusal is about, by a word in it. Nobody documents codes.
_RECIPIENT = ("recipient", "e-mail", "email", "address", "phone")


@dataclass(frozen=True, slots=True)
class GiftCardsIssuer:
    """`post`: the card goes to a postal address; else by e-mail, or as a link that we hand over, as the options say."""

    post: bool = False
    key_life = None

    def send(self, order: Order, account: Account) -> Outcome:
        """POST /v1/Orders; after a 409 the order that there is."""
        if self.post and not order.details.get("street"):
            message = _("A card by post needs a postal address. The recipient can give one on their page.")
            return Outcome("failed", "", message, "waiting_for_recipient")
        answer = api.call(account, "POST", "/v1/Orders", self.body(order))
        if answer.status in {200, 201}:
            return read(order, account, answer)
        if answer.status == 409:
            return self._taken(order, account, answer)
        return refused(answer)

    def check(self, order: Order, account: Account) -> Outcome | None:
        """GET /v1/Orders/{id}, once its number is known; before that only sending it again can tell."""
        return _fetched(order, account, order.reference) if order.reference else None

    def body(self, order: Order) -> dict[str, Any]:
        """The order as seed 003 shows it."""
        chosen = order.options
        kind = POST if self.post else str(chosen.get("delivery") or MAIL)
        line: dict[str, Any] = {
            "ProductId": str(chosen.get("product", "")),
            "Value": order.amount.json_number(),
            "Quantity": 1,
        }
        if kind == MAIL:
            line["DigitalDeliveryAddress"] = {"Email": order.address or order.email}
        if kind == POST:
            line["ShippingAddress"] = {
                theirs: order.details[ours] for ours, theirs in _ADDRESS.items() if order.details.get(ours)
            }
        line["Personalization"] = {
            "To": str(chosen.get("to") or order.name or order.email),
            "FromName": str(chosen.get("from_name") or order.merchant),
            "Message": str(chosen.get("message") or order.campaign),
        }
        return {"Type": kind, "LineItems": [line], "PONumber": order.key}

    def _taken(self, order: Order, account: Account, answer: Answer) -> Outcome:
        """The number is taken: by our own earlier try, whose order is read now."""
        try:
            found = read_json(answer.body)
        except PayloadError:
            found = None
        number = api.first_text(found, "Id", "OrderId", "id") if isinstance(found, Mapping) else ""
        if not number:
            message = _(
                "GiftCard Partners have an order with the number %(number)s, and do not say which. Look for it there."
            )
            return Outcome("ask", "", message % {"number": order.key})
        return _fetched(order, account, number) or Outcome(
            "unknown", number, _("The order is not to be found there yet.")
        )


def _fetched(order: Order, account: Account, number: str) -> Outcome | None:
    answer = api.call(account, "GET", f"/v1/Orders/{quote(number, safe='')}")
    if answer.status == 404:
        return None
    if answer.status != 200:
        return Outcome("unknown", number, api.words(answer), wait=api.retry_after(answer))
    return read(order, account, answer)


def read(order: Order, account: Account, answer: Answer) -> Outcome:
    """What became of the order. An answer that can't be read is unknown, one about another order or another sum asks a person."""
    try:
        found = read_json(answer.body)
        if not isinstance(found, Mapping):
            raise PayloadError("There is no order in it.")
        number = ident(found.get("Id")) or ident(found.get("OrderId"))
        if not number:
            raise PayloadError("The order's Id is missing.")
        paid = _total(found, order.amount.currency)
    except PayloadError as error:
        return Outcome("unknown", "", _("The answer of GiftCard Partners can’t be read: %(why)s") % {"why": error})
    if text(found.get("PONumber")) not in {"", order.key}:
        return Outcome(
            "ask", number, _("GiftCard Partners answered with another order than the one that was asked for.")
        )
    if paid is not None and paid != order.amount:
        facts = {"ours": order.amount.format(), "theirs": paid.format()}
        message = _("We ordered a card of %(ours)s, and GiftCard Partners say %(theirs)s. Look at the order there.")
        return Outcome("ask", number, message % facts)
    return _became(order, account, found, number)


def _total(found: Mapping[str, Any], currency: str) -> Money | None:
    """What was ordered for how much, as far as they say: the order's total, else its lines'. Raises PayloadError for what is no sum."""
    given = found.get("CurrencyCode") or found.get("Currency") or currency
    try:
        if found.get("Total") is not None:
            return major_money(found["Total"], given)
        lines = [
            (major_money(line["Value"], given), line.get("Quantity", 1))
            for line in each(found.get("LineItems"))
            if "Value" in line
        ]
    except Ignored as error:
        raise PayloadError("The order's currency is unknown.") from error
    if not lines or any(type(count) is not int for _money, count in lines):
        return None
    return Money(sum(money.minor * count for money, count in lines), lines[0][0].currency)


def _became(order: Order, account: Account, found: Mapping[str, Any], number: str) -> Outcome:
    status = text(found.get("Status"))
    if status.lower() in said_words(account, "failed_words"):
        message = _("GiftCard Partners say that the order is %(status)s. Issue the reward again if it is still owed.")
        return Outcome("failed", number, message % {"status": status})
    if status.lower() not in said_words(account, "done_words"):
        message = _("GiftCard Partners have the order, and say: %(status)s. It is asked again.")
        return Outcome("sent", number, message % {"status": status[:60] or "–"})
    if text(found.get("Type")) != LINKS and order.options.get("delivery") != LINKS:
        return Outcome("paid", number)
    gift = gift_in(found)
    if gift is None and not order.has_gift:
        return Outcome("sent", number, _("The order is done, but its link is not there yet. It is asked again."))
    return Outcome("paid", number, gift=gift)


def said_words(account: Account, name: str) -> frozenset[str]:
    """Their words for a state, which their pages do not list: as the connection's settings say."""
    given = account.settings.get(name) or DEFAULT_WORDS[name]
    return frozenset(part.strip().lower() for part in str(given).split(",") if part.strip())


DEFAULT_WORDS = {
    "done_words": "Complete, Completed, Fulfilled, Shipped, Delivered",
    "failed_words": "Cancelled, Canceled, Failed, Rejected, Declined",
}


def gift_in(found: Mapping[str, Any]) -> Gift | None:
    """The claim link of the only card: in its line, or beside the lines."""
    for part in (*each(found.get("LineItems")), found):
        rows = part.get("Links") or part.get("links") or []
        for row in rows if isinstance(rows, list) else [rows]:
            url = api.first_text(row, "Url", "URL", "Link", "url") if isinstance(row, Mapping) else text(row)
            if url.startswith("https://") and url.isascii() and url.isprintable() and " " not in url:
                pin = api.first_text(row, "Pin", "PIN", "Code") if isinstance(row, Mapping) else ""
                return Gift(url=url, pin=pin[:100])
    return None


def refused(answer: Answer) -> Outcome:
    """Every answer without an order. A clear no has an end; what is no clear no stays unknown, and is sent again with the same number."""
    message, theirs = api.words(answer), api.said(answer).lower()
    if answer.status == 422:
        message = _("There is not enough money at GiftCard Partners. Add funds there, then issue the reward again.")
        return Outcome("failed", "", message, "waiting_for_funds")
    if answer.status == 400 and any(word in theirs for word in _RECIPIENT):
        return Outcome("failed", "", message, "waiting_for_recipient")
    if answer.status in {400, 401, 403, 404}:
        return Outcome("failed", "", message)
    return Outcome("unknown", "", message, wait=api.retry_after(answer))


ISSUER, POST_ISSUER = GiftCardsIssuer(), GiftCardsIssuer(post=True)
