"""A transfer at Wise: its name, what became of it, and which one belongs to a payout (PROVIDERS.md, section 7)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.utils.translation import gettext as _

from integrations.answers import moment_of, money_of
from integrations.base import ProviderError
from integrations.providers.wise.client import Client
from rewards.orders import Order, Outcome, Result

# Of which all names for transfers are made: the same payout has the same one for ever.
_NAMES = uuid.uuid5(uuid.NAMESPACE_URL, "passalong:wise")
PAGE, MOST_PAGES = 100, 50
# Clocks differ, and Wise lists by its own.
AROUND = timedelta(hours=1)
WAITING = "incoming_payment_waiting"
# What Wise calls it -> what it means for the payout. One that is not here is not known.
STATES: dict[str, Result] = {
    WAITING: "sent",
    "incoming_payment_initiated": "sent",
    "processing": "sent",
    "funds_converted": "sent",
    "outgoing_payment_sent": "paid",
    # The bank sent it back: it ends as funds_refunded, or goes on.
    "bounced_back": "sent",
    "funds_refunded": "failed",
    "cancelled": "failed",
    "charged_back": "failed",
}


def name_of(key: str) -> str:
    """A payout's customerTransactionId: a UUIDv5 of its key, so that Wise makes one transfer of it however often it is asked."""
    return str(uuid.uuid5(_NAMES, key))


def is_ours(transfer: Mapping[str, Any]) -> bool:
    """Whether name_of() may have made its name. The merchant's own transfers have random ones, of version 4."""
    try:
        return uuid.UUID(str(transfer.get("customerTransactionId"))).version == _NAMES.version
    except ValueError:
        return False


def id_of(transfer: Mapping[str, Any]) -> str:
    """Wise's own id of a transfer; "" when there is none."""
    found = transfer.get("id")
    return str(found) if type(found) is int and found > 0 else ""


def read(transfer: Mapping[str, Any], order: Order) -> Outcome:
    """What became of a payout's transfer. One about another sum is for a person to look at."""
    name, status = id_of(transfer), str(transfer.get("status"))
    state = STATES.get(status)
    if not name or state is None:
        message = _("Wise says of the transfer what is not known here: %(status)s.")
        return Outcome("unknown", order.reference, message % {"status": status[:60]})
    money = money_of(transfer.get("targetValue"), transfer.get("targetCurrency"))
    if money != order.amount:
        message = _("Wise has %(theirs)s in transfer %(name)s, and not %(ours)s. Look at it there before you decide.")
        words = {"theirs": money or _("another amount"), "name": name, "ours": order.amount}
        return Outcome("ask", name, message % words)
    if state == "failed":
        return Outcome("failed", name, *_why_not(status, name))
    return Outcome(state, name, _on_the_way(status, transfer))


def _why_not(status: str, name: str) -> tuple[str, str]:
    """Words and reason of a transfer that did not arrive, or came back."""
    words = {
        "funds_refunded": _(
            "The money came back to your Wise account (transfer %(name)s): the recipient's bank did not take it, or nobody claimed it. "
            "The recipient has to enter another payout address."
        ),
        "charged_back": _(
            "The money of transfer %(name)s was charged back. Find out why at Wise before you pay again."
        ),
        "cancelled": _("Transfer %(name)s was cancelled at Wise. Nothing was paid."),
    }[status]
    reason = "waiting_for_recipient" if status == "funds_refunded" else "provider_rejected"
    return words % {"name": name}, reason


def _on_the_way(status: str, transfer: Mapping[str, Any]) -> str:
    if transfer.get("hasActiveIssues") is True:
        return _("Wise asks for something before it goes on. Open the transfer at Wise.")
    if status == "bounced_back":
        return _("The recipient's bank sent it back; Wise is finding out what to do.")
    return _("Wise waits for the money.") if status == WAITING else ""


def find(client: Client, order: Order) -> dict[str, Any] | None:
    """The payout's transfer; None when Wise says that it has none. Raises ProviderError or HttpError when it can't be asked."""
    if order.reference.isdigit():
        found = client.look(f"/v1/transfers/{order.reference}")
        return found if isinstance(found, dict) else None
    wanted = name_of(order.key)
    listed = each(client, order.called_at - AROUND, None)
    return next((row for row in listed if row.get("customerTransactionId") == wanted), None)


def each(client: Client, since: datetime, until: datetime | None) -> Iterator[dict[str, Any]]:
    """The profile's transfers that were made in a span of time. Raises ProviderError when there are more than can be looked through."""
    span = {"profile": client.profile, "createdDateStart": _time(since)}
    if until is not None:
        span["createdDateEnd"] = _time(until)
    for page in range(MOST_PAGES):
        rows = client.look(f"/v1/transfers?{urlencode({**span, 'limit': PAGE, 'offset': page * PAGE})}")
        if not isinstance(rows, list):
            raise ProviderError(_("Wise answered something that can't be read."), retry=True)
        yield from (row for row in rows if isinstance(row, dict))
        if len(rows) < PAGE:
            return
    raise ProviderError(_("Wise has too many transfers in this time to look through."), retry=False)


def made_at(transfer: Mapping[str, Any]) -> datetime | None:
    """When Wise made it; Wise writes "2026-11-21 10:00:00" as well as ISO 8601."""
    return moment_of(transfer.get("created"))


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
