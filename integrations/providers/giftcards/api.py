"""GiftCard Partners' API: a token for a while, the products, and what the answers mean (seed 003; PROVIDERS.md, section 8).

Their full specification is published nowhere: names that their pages do not confirm are read under every likely spelling, and what can't
be known is a setting of the connection.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

from django.utils.translation import gettext as _

from integrations.base import Account, Ignored, PayloadError, Product, ProviderError
from integrations.reading import currency_of, each, ident, major_money, read_json, text
from referrals.lib.http import Answer
from referrals.lib.money import Money

# Seconds that a token is not used any more before it ends, and how many accounts' tokens a process remembers.
MARGIN, MANY = 60.0, 500
PRODUCTS = 2000
_TOKENS: dict[str, tuple[str, float]] = {}
_LOCK = threading.Lock()


def call(account: Account, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
    """One request with a token; a token that is refused is replaced once, because nothing was done with it.

    The answer to the request for a token is the answer where that is refused. Raises HttpError.
    """
    for is_last in (False, True):
        token, refusal = _token(account)
        if refusal is not None:
            return refusal
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        sent = None if body is None else json.dumps(body)
        answer = account.send(method, _base(account) + path, headers=headers, body=sent)
        if answer.status != 401 or is_last:
            break
        _forget(account)
    return answer


def _base(account: Account) -> str:
    return str(account.secrets.get("base_url", "")).rstrip("/")


def _whose(account: Account) -> str:
    """Whose token it is, without keeping what it was got with."""
    names = ("base_url", "email", "access_token")
    return hashlib.sha256("\n".join(account.secrets.get(name, "") for name in names).encode()).hexdigest()


def _token(account: Account) -> tuple[str, Answer | None]:
    """A token that is good, the kept one as long as it lasts; or the answer that refused one. In this process' memory only."""
    whose = _whose(account)
    kept, until = _TOKENS.get(whose, ("", 0.0))
    if kept and time.monotonic() < until:
        return kept, None
    headers = {"Email": account.secrets.get("email", ""), "AccessToken": account.secrets.get("access_token", "")}
    answer = account.send("POST", f"{_base(account)}/v1/Tokens", headers={**headers, "Content-Length": "0"})
    if answer.status not in {200, 201}:
        return "", answer
    try:
        found = read_json(answer.body)
        value, seconds = found["Value"], found["ExpiresIn"]
        if not isinstance(value, str) or not value.isascii() or not value.isprintable() or type(seconds) is not int:
            raise PayloadError("a token is missing or malformed.")
    except (PayloadError, KeyError, TypeError) as error:
        raise ProviderError(_("GiftCard Partners gave no token that can be read."), retry=True) from error
    with _LOCK:
        if len(_TOKENS) >= MANY:
            _TOKENS.clear()
        _TOKENS[whose] = (value, time.monotonic() + seconds - MARGIN)
    return value, None


def _forget(account: Account) -> None:
    with _LOCK:
        _TOKENS.pop(_whose(account), None)


def said(answer: Answer) -> str:
    """Their own words in a refusal; "" where there are none."""
    try:
        found = read_json(answer.body)
    except PayloadError:
        return ""
    return first_text(found, "Message", "message", "Error", "error")[:300] if isinstance(found, Mapping) else ""


def first_text(thing: Mapping[str, Any], *names: str) -> str:
    """The first of these fields that has a text or a number."""
    return next((found for name in names if (found := text(thing.get(name)) or ident(thing.get(name)))), "")


def words(answer: Answer) -> str:
    """What an answer without an order means, and what to do."""
    theirs = said(answer)
    if answer.status == 401:
        return _(
            "GiftCard Partners refuse the e-mail address and the access token. Paste them anew on the connection’s page."
        )
    if answer.status == 429:
        return _("GiftCard Partners want fewer calls. They are asked again later.")
    if theirs:
        return _("GiftCard Partners answered %(status)d: %(words)s") % {"status": answer.status, "words": theirs}
    return _("GiftCard Partners answered %(status)d.") % {"status": answer.status}


def retry_after(answer: Answer) -> int:
    """How many seconds they want us to wait; 0 when they do not say."""
    given = answer.headers.get("retry-after", "")
    return min(int(given), 86_400) if given.isascii() and given.isdigit() and len(given) < 9 else 0


def products(account: Account) -> Iterator[Product]:
    """GET /v1/Products: everything that the account may order. Raises ProviderError, HttpError."""
    answer = call(account, "GET", "/v1/Products")
    if answer.status != 200:
        raise ProviderError(words(answer), retry=answer.status == 429 or answer.status >= 500)
    try:
        found = read_json(answer.body)
    except PayloadError as error:
        raise ProviderError(str(error), retry=True) from error
    if isinstance(found, Mapping):
        found = found.get("Products") or found.get("Items") or found.get("Data")
    if not isinstance(found, list):
        raise ProviderError(_("The list of products can’t be read."), retry=True)
    for start in range(0, min(len(found), PRODUCTS), 50):
        for row in each(found[start : start + 50]):
            product = product_of(row)
            if product is not None:
                yield product


def product_of(row: Mapping[str, Any]) -> Product | None:
    """A product; None for one without an id or in a currency that we don't know."""
    name = first_text(row, "Id", "ProductId", "Sku")
    try:
        currency = currency_of(row.get("CurrencyCode") or row.get("Currency") or "USD")
    except Ignored:
        return None
    if not name or len(name) > 100:
        return None
    amounts = sorted({money.minor for value in _list(row.get("Denominations")) if (money := _sum(value, currency))})
    is_fixed = first_text(row, "DenominationType").lower().startswith("fixed")
    ways = tuple(way for way in (text(value) for value in _list(row.get("AvailableDeliveryTypes"))) if way)
    return Product(
        id=name,
        name=first_text(row, "Name", "ProductName", "Title")[:200] or name,
        currency=currency,
        amounts=tuple(amounts),
        is_fixed=is_fixed,
        ways=ways,
        picture=first_text(row, "ImageUrl", "Image", "LogoUrl", "ImageURL"),
    )


def _list(value: Any) -> list[Any]:
    return value[:500] if isinstance(value, list) else []


def _sum(value: Any, currency: str) -> Money | None:
    try:
        return major_money(value, currency)
    except (Ignored, PayloadError):
        return None
