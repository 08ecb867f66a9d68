"""Paying through RazorpayX: one composite call for each payout, to a UPI address or a bank account (PROVIDERS.md, section 8)."""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.utils.translation import gettext as _

from integrations.answers import fill, json_of, plain, wait_of
from integrations.base import Account, Found, ProviderError
from integrations.providers.razorpayx import reasons
from integrations.providers.razorpayx.modes import mode_of
from referrals.lib.http import Answer
from referrals.lib.money import Money
from rewards.orders import Order, Outcome, Result

API = "https://api.razorpay.com/v1/payouts"
PAGE, MOST_PAGES = 100, 50
_NAMES = uuid.uuid5(uuid.NAMESPACE_URL, "passalong:razorpayx")
# Where RazorpayX names what is wrong: these are the recipient's to mend.
_THEIRS = ("fund_account", "vpa", "ifsc", "bank_account", "contact")


class RazorpayXIssuer:
    """RazorpayX knows a payout by our key as its `reference_id`, and keeps the idempotency key until the payout has ended."""

    key_life: timedelta | None = None

    def send(self, order: Order, account: Account) -> Outcome:
        """POST, with a key made of the payout's: the same payout is made once."""
        mode = mode_of(order.method, order.amount.minor, account.settings)
        if order.amount.currency != "INR" or not mode:
            words = _("RazorpayX can't pay %(amount)s this way: rupees only, from 1 on, and by UPI up to 100,000.")
            return Outcome("failed", "", words % {"amount": order.amount})
        to = _fund_account(order)
        if to is None:
            message = _(
                "The recipient has no payout address that RazorpayX can pay to. They have to enter another one."
            )
            return Outcome("failed", "", message, "waiting_for_recipient")
        body = {
            "account_number": account.secrets.get("account_number", ""),
            "amount": order.amount.minor,
            "currency": "INR",
            "mode": mode,
            "purpose": "cashback",
            "fund_account": to,
            "queue_if_low_balance": account.settings.get("queue_if_low_balance") == "yes",
            "reference_id": order.key,
            "narration": _narration(order.merchant),
            "notes": {"payout": order.public_id},
        }
        headers = {"X-Payout-Idempotency": name_of(order.key), "Content-Type": "application/json"}
        answer = account.send("POST", API, headers=_headers(account) | headers, body=json.dumps(body))
        if 200 <= answer.status < 300:
            return _read(json_of(answer), order)
        return _refusal(answer, order)

    def check(self, order: Order, account: Account) -> Outcome | None:
        """By RazorpayX's id, else by our key among its payouts."""
        if order.reference.startswith("pout_"):
            return _read(_look(account, f"{API}/{order.reference}"), order)
        query = {"account_number": account.secrets.get("account_number", ""), "reference_id": order.key}
        found = [row for row in _items(account, query) if row.get("reference_id") == order.key]
        return _read(found[0], order) if found else None


def name_of(key: str) -> str:
    """The idempotency key of a payout: a UUIDv5 of its own."""
    return str(uuid.uuid5(_NAMES, key))


def _fund_account(order: Order) -> dict[str, Any] | None:
    """Where it goes, and to whom; None when the payout address is of another kind."""
    details = order.details
    contact = {"name": _name(order), "email": order.email, "type": "customer", "reference_id": order.person[:40]}
    if details.get("vpa"):
        return {"account_type": "vpa", "vpa": {"address": details["vpa"]}, "contact": contact}
    if details.get("ifsc") and details.get("account_number") and details.get("holder"):
        account = {"name": details["holder"], "ifsc": details["ifsc"], "account_number": details["account_number"]}
        return {"account_type": "bank_account", "bank_account": account, "contact": contact}
    return None


def _name(order: Order) -> str:
    """The contact's name: 3 to 50 of the letters that RazorpayX takes."""
    text = order.details.get("holder") or order.name
    name = " ".join(re.sub(r"[^A-Za-z0-9 '\-_/().]", " ", text).split())[:50].strip()
    return name if len(name) >= 3 else "Recipient"


def _narration(merchant: str) -> str:
    """At most 30 letters, digits and spaces on the statement."""
    return " ".join(re.sub(r"[^A-Za-z0-9 ]", " ", merchant).split())[:30].strip() or "Reward"


def _headers(account: Account) -> dict[str, str]:
    pair = f"{account.secrets.get('key_id', '')}:{account.secrets.get('key_secret', '')}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def _read(found: Any, order: Order) -> Outcome:
    """A payout as RazorpayX shows it. One about another sum is for a person to look at."""
    name = found.get("id") if isinstance(found, dict) else None
    if not isinstance(found, dict) or not isinstance(name, str) or not name.startswith("pout_"):
        return Outcome("unknown", order.reference, _("RazorpayX answered something that can't be read."))
    if found.get("amount") != order.amount.minor or found.get("currency") != order.amount.currency:
        message = _(
            "RazorpayX has another amount in payout %(name)s than %(ours)s. Look at it there before you decide."
        )
        return Outcome("ask", name, message % {"name": name, "ours": order.amount})
    details = found.get("status_details")
    return reasons.read(str(found.get("status")), details if isinstance(details, Mapping) else {}, name)


def _refusal(answer: Answer, order: Order) -> Outcome:
    error = json_of(answer)
    error = error.get("error") if isinstance(error, dict) else None
    error = error if isinstance(error, dict) else {}
    said, field = plain(error.get("description")), str(error.get("field"))
    if answer.status == 429:
        return Outcome("unknown", "", _("RazorpayX asks us to wait: too many requests."), wait=wait_of(answer))
    if answer.status in {401, 403} or _is_about_server(said):
        # Once a call may have got through, "not allowed" does not say that nothing was done.
        state: Result = "failed" if order.first_call else "unknown"
        return Outcome(state, "", _denied(said))
    if answer.status != 400:
        message = _("RazorpayX has a fault: it answered %(status)s.")
        return Outcome("unknown", "", message % {"status": answer.status})
    return _bad_request(said, field, str(error.get("reason")))


def _bad_request(said: str, field: str, reason: str) -> Outcome:
    low = said.lower()
    if "idempotency" in low and "different" in low:
        message = _("RazorpayX has another payout under this one's key. Look at it there before you decide.")
        return Outcome("ask", "", message)
    if "enough balance" in low or reason == "insufficient_funds":
        message = _("There is not enough money in your RazorpayX account. Add money there, then try again.")
        return Outcome("failed", "", message, "waiting_for_funds")
    if any(part in field for part in _THEIRS):
        message = _("RazorpayX does not take the recipient's payout address. %(said)s They have to enter another one.")
        return Outcome("failed", "", fill(message, said=said), "waiting_for_recipient")
    return Outcome("failed", "", fill(_("RazorpayX refused it. %(said)s"), said=said))


def _is_about_server(said: str) -> bool:
    low = said.lower()
    return "whitelist" in low or "allowlist" in low or "ip address" in low


def _denied(said: str) -> str:
    if _is_about_server(said):
        return _(
            "RazorpayX takes payouts from known IP addresses only. Add the address of this server to the allow-list in RazorpayX, "
            "then try again."
        )
    return _("RazorpayX does not take the key: it is wrong, revoked, or may not pay. Make a new one and enter it.")


def _look(account: Account, address: str) -> Any:
    """One question. Raises ProviderError when it is not answered, HttpError when it is lost."""
    answer = account.send("GET", address, headers=_headers(account))
    found = json_of(answer)
    if answer.status == 200 and isinstance(found, dict):
        return found
    message = _("RazorpayX can't be asked: it answered %(status)s.")
    raise ProviderError(message % {"status": answer.status}, retry=answer.status not in {401, 403})


def _items(account: Account, query: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The payouts that a question finds, page by page."""
    for page in range(MOST_PAGES):
        asked = urlencode({**query, "count": PAGE, "skip": page * PAGE})
        rows = _look(account, f"{API}?{asked}").get("items")
        if not isinstance(rows, list):
            raise ProviderError(_("RazorpayX answered something that can't be read."), retry=True)
        yield from (row for row in rows if isinstance(row, dict))
        if len(rows) < PAGE:
            return
    raise ProviderError(_("RazorpayX has too many payouts in this time to look through."), retry=False)


def recent(account: Account, since: datetime, until: datetime) -> Iterable[Found]:
    """The account's payouts in a span of time that have our mark; ProviderError or HttpError when RazorpayX can't be asked."""
    span = {"from": int(since.timestamp()), "to": int(until.timestamp())}
    for row in _items(account, {"account_number": account.secrets.get("account_number", ""), **span}):
        key, name, amount, made = (row.get(field) for field in ("reference_id", "id", "amount", "created_at"))
        state = reasons.STATES.get(str(row.get("status")))
        if not isinstance(key, str) or not key.startswith("po_") or not isinstance(name, str):
            continue  # not ours
        if type(amount) is int and type(made) is int and (state == "paid" or state == "sent" or state == "failed"):
            at = datetime.fromtimestamp(made, UTC)
            yield Found(key, name, Money(amount, str(row.get("currency"))), state, at)


ISSUER = RazorpayXIssuer()
