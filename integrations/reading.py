"""Reading what companies send: texts, ids, moments and amounts out of JSON that may hold anything anywhere (RELIABILITY F8).

What has to be there raises PayloadError; what may be missing is empty.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from integrations.base import Code, Ignored, PayloadError
from referrals.lib.money import Money, MoneyError, check_currency, exponent_of

Object = Mapping[str, Any]
# Under which names merchants put a referral code in a payment's metadata.
CODE_KEYS = ("referral_code", "referralCode", "ref")
MAX_AMOUNT = 10**12
_UNPRINTABLE = re.compile("[\x00\ud800-\udfff]")


def read_json(body: bytes) -> Any:
    """What stands in a body. PayloadError for what is no JSON in UTF-8 (a byte order mark before it does no harm), for NaN and the
    like, and for one nested too deeply to be read.

    NUL and halves of surrogate pairs, such as an emoji that somebody cut, can be neither kept nor shown: they become U+FFFD, because
    the message itself is good.
    """
    try:
        value = json.loads(body.decode("utf-8-sig"), parse_constant=_no_constant)
        return _printable(value) if b"\\u" in body else value
    except (ValueError, RecursionError) as error:
        raise PayloadError("The body is not JSON in UTF-8.") from error


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return _UNPRINTABLE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_printable(item) for item in value]
    if isinstance(value, dict):
        return {_printable(name): _printable(item) for name, item in value.items()}
    return value


def text(value: Any) -> str:
    """A text without NUL, which PostgreSQL does not take; "" for everything that is no text."""
    return value.replace("\x00", "").strip()[:500] if isinstance(value, str) else ""


def word(value: Any, name: str, limit: int) -> str:
    """A printable word that has to be there."""
    if not isinstance(value, str) or not 0 < len(value) <= limit or not value.isascii() or not value.isprintable():
        raise PayloadError(f"{name} is missing or malformed.")
    return value


def ident(value: Any) -> str:
    """An id, given as it is, as a number, or as the object it belongs to; "" for everything else."""
    if isinstance(value, Mapping):
        value = value.get("id")
    if type(value) is int and 0 <= value < 10**20:
        value = str(value)
    return value if isinstance(value, str) and 0 < len(value) <= 200 and value.isascii() and value.isprintable() else ""


def need_ident(thing: Any, name: str = "the object's id") -> str:
    """An id that has to be there."""
    found = ident(thing)
    if not found:
        raise PayloadError(f"{name} is missing.")
    return found


def inner(parent: Object, name: str) -> Object:
    """An inner object, empty when it is null, absent or something else, such as the `[]` that PHP makes of an empty one."""
    value = parent.get(name)
    return value if isinstance(value, Mapping) else {}


def each(values: Any) -> Iterator[Object]:
    """The objects in a list, fifty at most."""
    for value in values[:50] if isinstance(values, list) else ():
        if isinstance(value, Mapping):
            yield value


def names(*found: str) -> tuple[str, ...]:
    """The names that there are, each once."""
    return tuple(dict.fromkeys(name for name in found if name))


def moment(value: Any) -> datetime:
    """A Unix time; raises PayloadError for none and for one outside of what a calendar has."""
    if type(value) is not int or not 0 <= value < 2**37:
        raise PayloadError("a time is missing or malformed.")
    return datetime.fromtimestamp(value, UTC)


def iso_moment(value: Any) -> datetime:
    """A time with its zone, such as 2026-11-21T10:00:00+05:30; raises PayloadError."""
    try:
        at = datetime.fromisoformat(text(value))
        if at.tzinfo is None:
            raise ValueError
        return at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise PayloadError("a time is missing or malformed.") from error


def currency_of(value: Any) -> str:
    """A currency that we know; raises Ignored for another."""
    code = text(value).upper()
    try:
        check_currency(code)
    except MoneyError as error:
        raise Ignored("currency_unknown", currency=code[:20]) from error
    return code


def minor_money(minor: Any, currency: Any, exponents: Mapping[str, int] | None = None) -> Money:
    """A company's smallest unit into ours, exactly; raises Ignored for a currency we don't know, PayloadError for no amount.

    `exponents` are the decimals of those currencies in which the company differs from ISO 4217.
    """
    if type(minor) is not int or not 0 < minor <= MAX_AMOUNT:
        raise PayloadError("an amount is missing or malformed.")
    code = currency_of(currency)
    shift = exponent_of(code) - (exponents or {}).get(code, exponent_of(code))
    if shift >= 0:
        return Money(minor * 10**shift, code)
    whole, rest = divmod(minor, 10**-shift)
    if rest or not whole:
        raise PayloadError(f"an amount in {code} has decimals, which {code} has not.")
    return Money(whole, code)


def major_money(amount: Any, currency: Any) -> Money:
    """An amount with decimals, given as a number or a text; raises as minor_money() does, also for decimals too many."""
    code = currency_of(currency)
    try:
        # By its text: the binary number behind 170.10 is not 170.10.
        exact = Decimal(str(amount)) if type(amount) in {int, float, str} else Decimal("NaN")
    except InvalidOperation as error:
        raise PayloadError("an amount is missing or malformed.") from error
    if not exact.is_finite() or abs(exact) >= MAX_AMOUNT:
        raise PayloadError("an amount is missing or malformed.")
    minor = exact.scaleb(exponent_of(code))
    if minor != minor.to_integral_value() or not 0 < minor <= MAX_AMOUNT:
        raise PayloadError("an amount is missing or malformed.")
    return Money(int(minor), code)


def code_texts(value: Any) -> list[Code]:
    """What may be a referral code: short, printable, without spaces. Merchants use these fields for ids of their own as well."""
    found = text(value)
    return (
        [Code(found)]
        if found and len(found) <= 64 and found.isascii() and found.isprintable() and " " not in found
        else []
    )


def codes_in(metadata: Any) -> list[Code]:
    """The codes in a payment's metadata, in the order of CODE_KEYS; none where there is no metadata."""
    if not isinstance(metadata, Mapping):
        return []
    return [code for key in CODE_KEYS for code in code_texts(metadata.get(key))]
