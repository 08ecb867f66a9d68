"""Tremendous' API: the way in, what its refusals mean, and what is asked apart from a payout (PROVIDERS.md, section 5)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from django.utils.translation import gettext as _

from integrations import pace
from integrations.base import Account, Found, Ignored, PayloadError, ProviderError, Signal
from integrations.reading import each, ident, inner, iso_moment, major_money, names, read_json, text
from referrals.lib.http import Answer
from referrals.lib.money import Money

LIVE, TEST = "https://api.tremendous.com/api/v2", "https://testflight.tremendous.com/api/v2"
# They allow 10 in a second for all of an account's calls.
A_SECOND = 5.0
# What one listing asks for, and how far it goes back at most.
PAGE, PAGES = 100, 200


@dataclass(frozen=True, slots=True)
class Placed:
    """An order as Tremendous tells of it: its first reward is the only one that we ever ask for."""

    id: str
    key: str
    status: str
    reward_id: str
    money: Money
    method: str
    delivery: str
    link: str
    at: datetime


def call(account: Account, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
    """One try at one request below /api/v2; raises HttpError. The test side has keys of their sandbox."""
    key = account.secrets.get("api_key", "")
    pace.keep(("tremendous", key), a_second=A_SECOND)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    base = TEST if account.is_test else LIVE
    return account.send(method, base + path, headers=headers, body=None if body is None else json.dumps(body))


def placed(found: Any) -> Placed:
    """An order out of an answer; raises PayloadError for what is none, and for one without a reward and its value."""
    if not isinstance(found, Mapping):
        raise PayloadError("There is no order in it.")
    reward = next(each(found.get("rewards")), {})
    value, delivery = inner(reward, "value"), inner(reward, "delivery")
    try:
        money = major_money(value.get("denomination"), value.get("currency_code"))
    except Ignored as error:
        raise PayloadError("The reward's currency is missing or unknown.") from error
    number, status = ident(found.get("id")), text(found.get("status"))
    if not number or not status:
        raise PayloadError("The order's id or status is missing.")
    return Placed(
        id=number,
        key=text(found.get("external_id")),
        status=status.upper(),
        reward_id=ident(reward.get("id")),
        money=money,
        method=text(delivery.get("method")).upper(),
        delivery=text(delivery.get("status")).upper(),
        link=_link(delivery.get("link")),
        at=iso_moment(found.get("created_at")),
    )


def order_in(answer: Answer) -> Placed:
    """The `order` of an answer; raises PayloadError."""
    found = read_json(answer.body)
    return placed(found.get("order") if isinstance(found, Mapping) else None)


def new_link(account: Account, reward_id: str) -> str:
    """A link of a reward whose first one was lost with its answer; "" when there is none (yet). Raises HttpError."""
    answer = call(account, "POST", f"/rewards/{quote(reward_id, safe='')}/generate_link")
    if answer.status != 200:
        return ""
    try:
        found = read_json(answer.body)
    except PayloadError:
        return ""
    return _link(inner(found, "reward").get("link")) if isinstance(found, Mapping) else ""


def _link(value: Any) -> str:
    """A link that may be shown: https, and nothing in it that a browser reads otherwise."""
    link = text(value)
    return link if link.startswith("https://") and link.isascii() and link.isprintable() and " " not in link else ""


def said(answer: Answer) -> str:
    """Tremendous' own words in a refusal; "" where it has none."""
    return text(_errors(answer).get("message"))[:300]


def is_about_recipient(answer: Answer) -> bool:
    """Whether a refusal names the recipient: `payload` has the wrong parts of the request, in its shape."""
    errors = _errors(answer)
    return (
        "recipient" in inner(inner(errors, "payload"), "reward") or "recipient" in text(errors.get("message")).lower()
    )


def _errors(answer: Answer) -> Mapping[str, Any]:
    try:
        found = read_json(answer.body)
    except PayloadError:
        return {}
    return inner(found, "errors") if isinstance(found, Mapping) else {}


def retry_after(answer: Answer) -> int:
    """How many seconds they want us to wait; 0 when they do not say. Their page asks for one."""
    given = answer.headers.get("retry-after", "")
    return min(int(given), 86_400) if given.isascii() and given.isdigit() and len(given) < 9 else 0


def words(answer: Answer) -> str:
    """What a status that brings no order means, and what to do."""
    theirs = said(answer)
    if answer.status == 401:
        return _("Tremendous refuses the API key. Make a new one there, and paste it on the connection’s page.")
    if answer.status == 429:
        return _("Tremendous wants fewer calls. It is asked again later.")
    if theirs:
        return _("Tremendous answered %(status)d: %(words)s") % {"status": answer.status, "words": theirs}
    return _("Tremendous answered %(status)d.") % {"status": answer.status}


def look_up(signals: Sequence[Signal], account: Account) -> list[Signal]:
    """Status messages name a reward or an order by Tremendous' id alone: ask which payout of ours it is. Raises ProviderError."""
    return [_named(signal, account) for signal in signals]


def _named(signal: Signal, account: Account) -> Signal:
    number = signal.references[0]
    if signal.metadata.get("type") == "rewards":
        reward = _thing(account, f"/rewards/{quote(number, safe='')}", "reward")
        number = ident(reward.get("order_id")) or number
    order = _thing(account, f"/orders/{quote(number, safe='')}", "order")
    return replace(signal, references=names(text(order.get("external_id")), number, *signal.references))


def _thing(account: Account, path: str, name: str) -> Mapping[str, Any]:
    """What stands there; nothing for what Tremendous does not know, which can be somebody else's order."""
    answer = call(account, "GET", path)
    if answer.status == 404:
        return {}
    if answer.status != 200:
        raise ProviderError(words(answer), retry=answer.status in {401, 429} or answer.status >= 500)
    try:
        found = read_json(answer.body)
    except PayloadError as error:
        raise ProviderError(str(error), retry=True) from error
    return inner(found, name) if isinstance(found, Mapping) else {}


def recent(account: Account, since: datetime, until: datetime) -> Iterator[Found]:
    """Every order with a key of ours, the newest first. Raises ProviderError, HttpError."""
    for page in range(PAGES):
        query = urlencode({"offset": page * PAGE, "limit": PAGE})
        answer = call(account, "GET", f"/orders?{query}")
        if answer.status != 200:
            raise ProviderError(words(answer), retry=True)
        rows = _rows(answer)
        for row in rows:
            try:
                order = placed(row)
            except PayloadError:
                continue  # made by somebody else there, in a shape that ours never has
            if order.at < since:
                return
            if order.key and order.at < until:
                yield Found(order.key, order.id, order.money, became(order) or "sent", order.at)
        if len(rows) < PAGE:
            return


def _rows(answer: Answer) -> list[Any]:
    try:
        found = read_json(answer.body)
    except PayloadError as error:
        raise ProviderError(str(error), retry=True) from error
    rows = found.get("orders") if isinstance(found, Mapping) else None
    if not isinstance(rows, list):
        raise ProviderError("Tremendous' list of orders can't be read.", retry=True)
    return rows


def became(order: Placed) -> Any:
    """ "paid", "sent" or "failed" for the order's status; "" for one that we do not know."""
    if order.status in {"FAILED", "CANCELED"}:
        return "failed"
    if order.status == "EXECUTED":
        arrived = order.method == "LINK" or order.delivery == "SUCCEEDED"
        return "paid" if arrived else "sent"
    return "sent" if order.status == "OPEN" or order.status.startswith("PENDING") else ""
