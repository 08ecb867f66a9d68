"""Cells as people and programs write them: moments, amounts, yes and no. What can be read in two ways is refused with the question which.

Every function raises Refused with a sentence that names the cell and says what to do. Pure: no database.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, tzinfo

from django.utils.translation import gettext as _

from referrals.lib.errors import Refused
from referrals.lib.money import CURRENCIES, Money, MoneyError, exponent_of

YES = frozenset("yes y true t 1 x ja j oui si sí banned disabled blocked".split())
NO = frozenset({"no", "n", "false", "f", "0", "nein", "non", "active", "enabled", "-"})
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan january januar", "feb february februar", "mar march mär märz", "apr april", "may mai", "jun june juni",
            "jul july juli", "aug august", "sep sept september", "oct october okt oktober", "nov november", "dec december dez dezember",
        ),
        start=1,
    )
    for name in names.split()
}  # fmt: skip
_TIME = r"(?:[T ,]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?\s*([AaPp][Mm])?)?\s*(?:UTC|GMT|Z)?"
_YEAR_FIRST = re.compile(rf"(\d{{4}})[-/.](\d{{1,2}})[-/.](\d{{1,2}}){_TIME}", re.ASCII)
_NUMBERS = re.compile(rf"(\d{{1,2}})([-/.])(\d{{1,2}})\2(\d{{4}}){_TIME}", re.ASCII)
_DAY_NAMED = re.compile(rf"(\d{{1,2}})(?:st|nd|rd|th|\.)?[ -]([^\W\d]+)\.?,?[ -](\d{{4}}){_TIME}")
_MONTH_NAMED = re.compile(rf"([^\W\d]+)\.? (\d{{1,2}})(?:st|nd|rd|th)?,? (\d{{4}}){_TIME}")
_AMOUNT = re.compile(r"(\d[\d.,' \u00a0\u202f]*)", re.ASCII)


def read_day_or_moment(text: str, zone: tzinfo, order: str = "auto") -> datetime:
    """A moment in UTC; a day without a time begins at midnight of `zone`. Refused `date`, and `date_ambiguous` for 03/04/2026.

    `order` is what the merchant said of dates such as 03/04/2026: "dmy", "mdy", or "auto" when nothing was said.
    """
    moment = _iso(text, zone) or _spelled(" ".join(text.split()), zone, order)
    if moment is None or moment.year < 1990:
        message = _("%(text)s is no date; write it as 2026-01-31.")
        raise Refused("date", message % {"text": text[:40]})
    return moment.astimezone(UTC)


def _iso(text: str, zone: tzinfo) -> datetime | None:
    if text.isdigit():
        # Programs count seconds, or thousandths of them, since 1970. 20260131 is more likely an order's number.
        length = len(text)
        return datetime.fromtimestamp(int(text[:10]), UTC) if length in {10, 13} and text.isascii() else None
    try:
        found = datetime.fromisoformat(text.removesuffix(" UTC") + ("+00:00" if text.endswith(" UTC") else ""))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=zone)


def _spelled(text: str, zone: tzinfo, order: str) -> datetime | None:
    if found := _YEAR_FIRST.fullmatch(text):
        year, month, day, *time = found.groups()
        return _moment(int(year), int(month), int(day), time, _zone(text, zone))
    if found := _NUMBERS.fullmatch(text):
        one, mark, two, year, *time = found.groups()
        day_first = _day_first(text, int(one), int(two), mark, order)
        day, month = (one, two) if day_first else (two, one)
        return _moment(int(year), int(month), int(day), time, _zone(text, zone))
    if found := _DAY_NAMED.fullmatch(text):
        day, name, year, *time = found.groups()
        return _moment(int(year), _MONTHS.get(name.lower(), 0), int(day), time, _zone(text, zone))
    if found := _MONTH_NAMED.fullmatch(text):
        name, day, year, *time = found.groups()
        return _moment(int(year), _MONTHS.get(name.lower(), 0), int(day), time, _zone(text, zone))
    return None


def _day_first(text: str, one: int, two: int, mark: str, order: str) -> bool:
    if one > 12 or two > 12 or one == two:
        return one > 12 or one == two
    if order in {"dmy", "mdy"}:
        return order == "dmy"
    # Nobody writes the month first with points.
    if mark == ".":
        return True
    message = _("Is %(text)s day first or month first? Say it under “Dates”, or write it as 2026-01-31.")
    raise Refused("date_ambiguous", message % {"text": text[:40]})


def _zone(text: str, zone: tzinfo) -> tzinfo:
    return UTC if text.endswith(("UTC", "GMT", "Z")) else zone


def _moment(year: int, month: int, day: int, time: list[str], zone: tzinfo) -> datetime | None:
    hour, minute, second, half = time
    hours = int(hour or 0)
    if half:
        if not 1 <= hours <= 12:
            return None
        hours = hours % 12 + (12 if half.lower() == "pm" else 0)
    try:
        date(year, month, day)
        return datetime(year, month, day, hours, int(minute or 0), int(second or 0), tzinfo=zone)
    except ValueError:
        return None


def read_amount(text: str, currency: str, mark: str = "auto") -> Money:
    """An amount in major units, with or without a symbol, in either spelling ("1,234.50", "1.234,50", "$12", "12,50 EUR").

    `mark` is what the merchant said of decimals: "point", "comma", or "auto". Refused: amount_format, amount_not_positive,
    amount_precision, amount_ambiguous (is 1,234 a thousand or a little more than one?), currency (the cell names another one).
    """
    named = next((word for word in re.findall(r"[A-Z]{3}", text.upper()) if word in CURRENCIES), "")
    if named and named != currency:
        message = _("%(text)s is not in %(wanted)s, the currency here.")
        raise Refused("currency", message % {"text": text[:40], "wanted": currency})
    bare = text.strip()
    if bare.startswith(("-", "(", "−")) or bare.rstrip().endswith("-"):
        raise Refused("amount_not_positive", _("%(text)s is below zero.") % {"text": text[:40]})
    found = _AMOUNT.findall(bare)
    rest = _AMOUNT.sub("", bare)
    if len(found) != 1 or any(c.isdigit() for c in rest) or len(rest.strip()) > 4:
        raise _no_amount(text)
    plain = _decimal(found[0].rstrip(" \u00a0\u202f"), text, currency, mark)
    try:
        return Money.parse(plain.lstrip("0") or "0" if "." not in plain else _trim(plain), currency)
    except MoneyError as error:
        raise Refused(error.code, error.message) from error


def _trim(plain: str) -> str:
    whole, _point, fraction = plain.partition(".")
    return f"{whole.lstrip('0') or '0'}.{fraction}"


def _decimal(number: str, text: str, currency: str, mark: str) -> str:
    """The number with a point before its decimals and nothing between its thousands."""
    number = re.sub(r"[' \u00a0\u202f](?=\d{3})", "", number)
    points, commas = number.count("."), number.count(",")
    if points and commas:
        decimal = "." if number.rfind(".") > number.rfind(",") else ","
    elif points + commas == 0:
        return number if number.isdigit() else _fail(text)
    elif points + commas > 1:
        decimal = "," if points else "."  # the one that comes more than once parts thousands
    else:
        decimal = _lonely(number, "." if points else ",", text, currency, mark)
    thousands = "," if decimal == "." else "."
    whole, _mark, fraction = number.partition(decimal)
    groups = whole.split(thousands)
    if (len(groups) > 1 and any(len(group) != 3 for group in groups[1:])) or thousands in fraction:
        return _fail(text)
    plain = "".join(groups)
    if not plain.isdigit() or (fraction and not fraction.isdigit()):
        return _fail(text)
    return f"{plain}.{fraction}" if fraction else plain


def _lonely(number: str, found: str, text: str, currency: str, mark: str) -> str:
    """What parts the decimals where there is one mark only."""
    if mark != "auto":
        return "." if mark == "point" else ","
    after = len(number) - number.index(found) - 1
    if after != 3 or number.startswith("0") or (found == "." and exponent_of(currency) == 3):
        return found
    message = _("Is %(text)s more than a thousand, or a little more than one? Say it under “Decimals”.")
    raise Refused("amount_ambiguous", message % {"text": text[:40]})


def _fail(text: str) -> str:
    raise _no_amount(text)


def _no_amount(text: str) -> Refused:
    return Refused("amount_format", _("%(text)s is not an amount; write it like 12.50.") % {"text": text[:40]})


def read_yes_no(text: str) -> bool:
    """Yes or no in the words of tables. Refused `invalid_choice`."""
    word = text.strip().lower()
    if word not in YES | NO:
        raise Refused("invalid_choice", _("%(text)s is neither yes nor no.") % {"text": text[:40]})
    return word in YES
