"""One transfer at Wise: made, paid from the balance, or cancelled (PROVIDERS.md, section 7)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from django.utils.translation import gettext as _

from integrations.answers import Ended, fill, money_of
from integrations.providers.wise import transfers
from integrations.providers.wise.client import Client, NotAllowed
from integrations.providers.wise.recipients import kind_of, recipient
from rewards.orders import Order, Outcome

# How much of a text stands on a statement: 10 characters for transfers within the US, 18 in the UK; more elsewhere.
REFERENCE = {"USD": 10}
_SHORT = 18
ALONE = "/v1/transfers"


def made(client: Client, order: Order, path: str = ALONE) -> dict[str, Any]:
    """The payout's transfer, made now or before, by itself or in the group of the path; Ended when it can't be."""
    kind = kind_of(order.details)
    if kind is None or not kind.can_get(order.details, order.amount.currency):
        message = _("Wise can't pay %(currency)s to the recipient's payout address. They have to enter another one.")
        raise Ended(Outcome("failed", "", message % {"currency": order.amount.currency}, "waiting_for_recipient"))
    target = order.amount.currency
    body = recipient(order.details, kind=kind, currency=target, profile=int(client.profile))
    account = _number(client.step("POST", "/v1/accounts", body, refused=_bad_recipient))
    asked = {
        "sourceCurrency": source_of(client, order),
        "targetCurrency": target,
        "targetAmount": order.amount.json_number(),
        "targetAccount": account,
        "preferredPayIn": "BALANCE",
    }
    quote = client.step("POST", f"/v3/profiles/{client.profile}/quotes", asked, refused=_no_quote)
    if money_of(quote.get("targetAmount"), quote.get("targetCurrency")) != order.amount:
        raise Ended(Outcome("ask", "", _("Wise's quote is about another amount. Nothing was paid.")))
    wanted = {
        "targetAccount": account,
        "quoteUuid": str(quote.get("id")),
        "customerTransactionId": transfers.name_of(order.key),
        "details": {"reference": _reference(order)},
    }
    return dict(client.step("POST", path, wanted, refused=_no_transfer))


def source_of(client: Client, order: Order) -> str:
    """The currency of the balance that pays."""
    return str(client.account.settings.get("source_currency") or order.amount.currency)


def pay(client: Client, order: Order, transfer: dict[str, Any]) -> Outcome:
    """Fund the transfer, once. What is not funded is cancelled, so that nobody funds it later by hand while we pay anew."""
    outcome = transfers.read(transfer, order)
    if outcome.state in {"unknown", "ask"} or transfer.get("status") != transfers.WAITING:
        return outcome
    name = outcome.reference
    path = f"/v3/profiles/{client.profile}/transfers/{name}/payments"
    # From here on a lost or refused call leaves something behind.
    client.first_call = False
    try:
        paid = client.step("POST", path, {"type": "BALANCE"}, refused=_not_funded)
    except NotAllowed as no:
        return cancel(client, name, replace(no.outcome, state="failed"))
    if paid.get("status") == "COMPLETED":
        return replace(outcome, message="")
    if paid.get("status") != "REJECTED":
        return Outcome("unknown", "", _("Wise answered something that can't be read."))
    return cancel(client, name, no_funds(str(paid.get("errorCode"))))


def cancel(client: Client, name: str, outcome: Outcome) -> Outcome:
    """The outcome, once the transfer is out of the way; unknown as long as it is not."""
    found = client.step("PUT", f"/v1/transfers/{name}/cancel", None, refused=not_cancelled)
    return outcome if found.get("status") == "cancelled" else not_cancelled("")


def no_funds(code: str) -> Outcome:
    """Wise did not take the money from the balance, for this reason of its own."""
    if "insufficient" in code or "balance" in code:
        message = _("There is not enough money in your balance at Wise. Add money there, then try again.")
        return Outcome("failed", "", message, "waiting_for_funds")
    message = _("Wise did not take the money from your balance: %(code)s. Nothing was paid.")
    return Outcome("failed", "", message % {"code": code[:80]})


def _bad_recipient(words: str) -> Outcome:
    message = _("Wise does not take the recipient's payout address. %(words)s They have to enter another one.")
    return Outcome("failed", "", fill(message, words=words), "waiting_for_recipient")


def _no_quote(words: str) -> Outcome:
    message = _("Wise does not offer this payment from your balance. %(words)s")
    return Outcome("failed", "", fill(message, words=words))


def _no_transfer(words: str) -> Outcome:
    message = _("Wise refused the transfer. %(words)s Nothing was paid.")
    return Outcome(
        "failed", "", fill(message, words=words), "waiting_for_recipient" if _is_theirs(words) else "provider_rejected"
    )


def _is_theirs(words: str) -> bool:
    return "recipient" in words.lower()


def _not_funded(words: str) -> Outcome:
    message = _("Wise did not take the money yet. %(words)s It is tried again.")
    return Outcome("unknown", "", fill(message, words=words))


def not_cancelled(words: str) -> Outcome:
    """Nobody can tell yet whether it is out of the way."""
    message = _("The transfer could be neither paid nor cancelled at Wise. %(words)s It is looked at again.")
    return Outcome("unknown", "", fill(message, words=words))


def _number(account: dict[str, Any]) -> int:
    found = account.get("id")
    if type(found) is not int:
        raise Ended(Outcome("unknown", "", _("Wise answered something that can't be read.")))
    return found


def _reference(order: Order) -> str:
    """What stands on the recipient's statement."""
    text = " ".join(re.sub(r"[^A-Za-z0-9 ]", " ", order.merchant).split())
    return text[: REFERENCE.get(order.amount.currency, _SHORT)].strip() or "Reward"
