"""Fields of requests: one declaration reads a value strictly and describes it in the OpenAPI documents.

A required field that is missing is 400 `missing_field`, a value of another JSON type 400 `invalid_type`, an unknown name 400
`unknown_field` (in a query `unknown_filter`); a value that can be read but not accepted is 422 (RELIABILITY section 6).
Null for an optional field is the same as leaving it out, except where `clears` says that null empties it.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.http import QueryDict
from django.utils.dateparse import parse_datetime

from referrals.api.errors import malformed, refused
from referrals.api.parsers import Number
from referrals.lib.emails import EmailError, parse_email
from referrals.lib.money import CURRENCIES, Money, MoneyError, check_currency

MAX_MINOR = 10**14
_YEARS = range(1970, 2101)


class _Absent:
    """The value of a field that was left out."""


ABSENT = _Absent()


@dataclass(frozen=True, kw_only=True)
class Field:
    """One named value of a body or a query."""

    about: str
    example: Any = None
    required: bool = False
    clears: bool = False

    def read(self, value: Any, at: str) -> Any:
        """The value as Python has it; raises ApiError naming `at`."""
        raise NotImplementedError

    def read_text(self, text: str, at: str) -> Any:
        """The value from a query's text."""
        return self.read(text, at)

    def describe(self) -> dict[str, Any]:
        """The value's JSON Schema, without text about it."""
        raise NotImplementedError

    def schema(self, *, nullable: bool = True) -> dict[str, Any]:
        """The JSON Schema with description and example; optional fields of a body may be null."""
        found = self.describe()
        if nullable and not self.required and "type" in found:
            kinds = found["type"] if isinstance(found["type"], list) else [found["type"]]
            found = {**found, "type": [*kinds, "null"]}
            if "enum" in found:
                found["enum"] = [*found["enum"], None]
        elif nullable and not self.required:
            found = {"anyOf": [found, {"type": "null"}]}
        found["description"] = self.about
        if self.example is not None:
            found["examples"] = [self.example]
        return found


@dataclass(frozen=True, kw_only=True)
class Text(Field):
    """A text of at most `limit` characters, trimmed; `blank` says whether it may be empty, `lines` whether it may have several."""

    limit: int = 200
    blank: bool = False
    lines: bool = False

    def read(self, value: Any, at: str) -> str:
        if not isinstance(value, str) or isinstance(value, Number):
            raise malformed("invalid_type", f"'{at}' is a text.", at)
        text = value.strip()
        if len(text) > self.limit:
            raise refused("too_long", f"'{at}' has {len(text)} characters; at most {self.limit} are kept.", at)
        if "\x00" in text:
            raise malformed("nul_byte", f"'{at}' has a NUL character; remove it.", at)
        allowed = "\n\r\t" if self.lines else ""
        if any(unicodedata.category(c) in {"Cc", "Cs"} and c not in allowed for c in text):
            raise refused("invalid_characters", f"'{at}' has control characters; remove them.", at)
        if not self.blank and not any(_is_visible(c) for c in text):
            raise refused("blank", f"'{at}' is empty; give it a value or leave it out.", at)
        return text

    def describe(self) -> dict[str, Any]:
        found: dict[str, Any] = {"type": "string", "maxLength": self.limit}
        if not self.blank:
            found["minLength"] = 1
        return found


def _is_visible(char: str) -> bool:
    return unicodedata.category(char) not in {"Cf", "Zs", "Zl", "Zp", "Cc", "Mn", "Me"}


@dataclass(frozen=True, kw_only=True)
class IpField(Field):
    """An IPv4 or IPv6 address."""

    example: Any = "203.0.113.7"

    def read(self, value: Any, at: str) -> str:
        if not isinstance(value, str) or isinstance(value, Number):
            raise malformed("invalid_type", f"'{at}' is a text.", at)
        try:
            return str(ipaddress.ip_address(value.strip()))
        except ValueError as error:
            raise refused("ip_invalid", f"'{at}' is not an IPv4 or IPv6 address.", at) from error

    def describe(self) -> dict[str, Any]:
        return {"type": "string", "maxLength": 45}


@dataclass(frozen=True, kw_only=True)
class EmailField(Field):
    """An e-mail address as referrals.lib.emails accepts it (RELIABILITY section 6, rows 12 and 13)."""

    example: Any = "maya@example.com"

    def read(self, value: Any, at: str) -> str:
        if not isinstance(value, str) or isinstance(value, Number):
            raise malformed("invalid_type", f"'{at}' is a text.", at)
        try:
            return parse_email(value).address
        except EmailError as error:
            raise refused("email_invalid", str(error), at) from error

    def describe(self) -> dict[str, Any]:
        return {"type": "string", "format": "email", "maxLength": 254}


@dataclass(frozen=True, kw_only=True)
class Choice(Field):
    """One of a closed list."""

    options: tuple[str, ...]

    def read(self, value: Any, at: str) -> str:
        if value not in self.options or not isinstance(value, str):
            shown = str(value)[:40]
            raise refused("invalid_choice", f"'{at}' is one of {', '.join(self.options)}, not {shown!r}.", at)
        return value

    def describe(self) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.options)}


@dataclass(frozen=True, kw_only=True)
class Currency(Field):
    """An ISO 4217 code in capitals (RELIABILITY section 6, row 11)."""

    example: Any = "USD"

    def read(self, value: Any, at: str) -> str:
        if not isinstance(value, str) or isinstance(value, Number):
            raise malformed("invalid_type", f"'{at}' is a text.", at)
        try:
            return check_currency(value)
        except MoneyError as error:
            raise refused(error.code, error.message, at) from error

    def describe(self) -> dict[str, Any]:
        return {"type": "string", "enum": sorted(CURRENCIES)}


@dataclass(frozen=True, kw_only=True)
class Flag(Field):
    """True or false."""

    def read(self, value: Any, at: str) -> bool:
        if not isinstance(value, bool):
            raise malformed("invalid_type", f"'{at}' is true or false.", at)
        return value

    def read_text(self, text: str, at: str) -> bool:
        if text not in {"true", "false"}:
            raise malformed("invalid_type", f"'{at}' is true or false.", at)
        return text == "true"

    def describe(self) -> dict[str, Any]:
        return {"type": "boolean"}


@dataclass(frozen=True, kw_only=True)
class Whole(Field):
    """A whole number from `low` to `high`; in a query it is about paging, and its errors say so (RELIABILITY section 6, row 19)."""

    low: int = 0
    high: int = 10**12

    def read(self, value: Any, at: str) -> int:
        if type(value) is not int and not isinstance(value, Number):
            raise malformed("invalid_type", f"'{at}' is a whole number.", at)
        if type(value) is not int or not self.low <= value <= self.high:
            raise refused("out_of_range", f"'{at}' is a whole number from {self.low} to {self.high}.", at)
        return value

    def read_text(self, text: str, at: str) -> int:
        plain = text.isascii() and text.isdigit() and len(text) <= 15
        if not plain or not self.low <= int(text) <= self.high:
            raise malformed("pagination", f"'{at}' is a whole number from {self.low} to {self.high}.", at)
        return int(text)

    def describe(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True, kw_only=True)
class Moment(Field):
    """A date and time with its zone (RELIABILITY section 6, row 21)."""

    example: Any = "2026-11-20T10:00:00.000+00:00"

    def read(self, value: Any, at: str) -> datetime:
        if not isinstance(value, str) or isinstance(value, Number):
            raise malformed("invalid_type", f"'{at}' is a text.", at)
        try:
            found = parse_datetime(value) if len(value) <= 40 and value.isascii() else None
            if found is not None and found.tzinfo is not None and found.year in _YEARS:
                return found.astimezone(UTC)
        except (ValueError, OverflowError):
            found = None
        raise refused("date", f"'{at}' is a time with its zone, such as 2026-11-20T10:00:00Z.", at)

    def read_text(self, text: str, at: str) -> datetime:
        # In a query a plus that was not escaped arrives as a space.
        return self.read(re.sub(r" (?=[0-9]{2}:[0-9]{2}\Z)", "+", text), at)

    def describe(self) -> dict[str, Any]:
        return {"type": "string", "format": "date-time"}


@dataclass(frozen=True, kw_only=True)
class MoneyField(Field):
    """{"amount_minor": 1250, "currency": "USD"}, above zero unless `zero` (API.md v2; RELIABILITY section 6, rows 8 to 11)."""

    zero: bool = False
    example: Any = field(default_factory=lambda: {"amount_minor": 5000, "currency": "USD"})

    def read(self, value: Any, at: str) -> Money:
        if not isinstance(value, dict):
            raise malformed("invalid_type", f"'{at}' is " + '{"amount_minor": 1250, "currency": "USD"}.', at)
        for name in value:
            if name not in {"amount_minor", "currency"}:
                raise malformed("unknown_field", f"'{at}' has no field {name[:64]!r}.", f"{at}.{name[:64]}")
        for name in ("amount_minor", "currency"):
            if name not in value:
                raise malformed("missing_field", f"'{at}.{name}' is missing.", f"{at}.{name}")
        minor = value["amount_minor"]
        where = f"{at}.amount_minor"
        if isinstance(minor, Number) and re.fullmatch(r"-[0-9.]+", minor):
            raise refused("amount_not_positive", f"{minor[:40]} is not above zero.", where)
        if type(minor) is not int:
            shown = str(minor)[:40]
            raise refused("amount_format", f"{shown} is not a whole number of minor units, such as 1250.", where)
        if minor < 0 or (minor == 0 and not self.zero):
            raise refused("amount_not_positive", f"{minor} is not above zero.", where)
        if minor >= MAX_MINOR:
            raise refused("amount_format", f"{minor} is more than any payment; write minor units.", where)
        return Money(minor, Currency(about="").read(value["currency"], f"{at}.currency"))

    def describe(self) -> dict[str, Any]:
        return _MONEY_OR_NOTHING if self.zero else {"$ref": "#/components/schemas/MoneyInput"}


MONEY_INPUT: dict[str, Any] = {
    "type": "object",
    "description": "An amount in minor units (cents, yen, fils) and its currency.",
    "required": ["amount_minor", "currency"],
    "additionalProperties": False,
    "properties": {
        "amount_minor": {"type": "integer", "minimum": 1, "maximum": MAX_MINOR - 1},
        "currency": {"type": "string", "enum": sorted(CURRENCIES)},
    },
}


_MONEY_OR_NOTHING: dict[str, Any] = {
    **MONEY_INPUT,
    "properties": {
        **MONEY_INPUT["properties"],
        "amount_minor": {"type": "integer", "minimum": 0, "maximum": MAX_MINOR - 1},
    },
}


@dataclass(frozen=True, kw_only=True)
class PlainAmount(Field):
    """v1's amount in major units, a number or a text; read as text, never as a float. The currency is known only to the campaign."""

    def read(self, value: Any, at: str) -> str:
        if isinstance(value, str) and len(value) <= 40:
            return str(value)
        if type(value) is int:
            return str(value)
        if isinstance(value, str):
            raise refused("amount_format", f"'{at}' has {len(value)} digits; write it like 12.50.", at)
        raise refused("amount_format", f"'{at}' is a number or a text such as 12.50.", at)

    def describe(self) -> dict[str, Any]:
        return {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0},
                {"type": "string", "pattern": r"^(0|[1-9][0-9]{0,11})(\.[0-9]{1,3})?$"},
            ]
        }


@dataclass(frozen=True, kw_only=True)
class Metadata(Field):
    """Up to 20 facts of the caller's own: texts, whole numbers, true or false."""

    example: Any = field(default_factory=lambda: {"plan": "pro"})

    def read(self, value: Any, at: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise malformed("invalid_type", f"'{at}' is an object.", at)
        if len(value) > 20:
            raise refused("too_long", f"'{at}' has {len(value)} entries; at most 20 are kept.", at)
        for name, item in value.items():
            if len(name) > 40:
                raise refused("too_long", f"A name in '{at}' has {len(name)} characters; at most 40 are kept.", at)
            if isinstance(item, Number) or not isinstance(item, str | int | None):
                raise malformed("invalid_type", f"'{at}.{name}' is a text, a whole number, true or false.", at)
            if isinstance(item, str) and len(item) > 500:
                raise refused("too_long", f"'{at}.{name}' has {len(item)} characters; at most 500 are kept.", at)
        return value

    def describe(self) -> dict[str, Any]:
        return {
            "type": "object",
            "maxProperties": 20,
            "propertyNames": {"maxLength": 40},
            "additionalProperties": {
                "anyOf": [
                    {"type": "string", "maxLength": 500},
                    {"type": "integer", "minimum": -(10**17), "maximum": 10**17},
                    {"type": "boolean"},
                    {"type": "null"},
                ]
            },
        }


@dataclass(frozen=True, kw_only=True)
class Listing(Field):
    """A list of at most `most` values of one kind; in a query they are parted by commas."""

    of: Field
    most: int = 100
    least: int = 0

    def read(self, value: Any, at: str) -> list[Any]:
        if not isinstance(value, list):
            raise malformed("invalid_type", f"'{at}' is a list.", at)
        if len(value) > self.most:
            raise refused("too_long", f"'{at}' has {len(value)} entries; send at most {self.most} at a time.", at)
        if len(value) < self.least:
            raise refused("blank", f"'{at}' is empty; name at least {self.least}.", at)
        return [self.of.read(item, f"{at}[{number}]") for number, item in enumerate(value)]

    def read_text(self, text: str, at: str) -> list[Any]:
        return self.read([item for item in text.split(",") if item], at)

    def describe(self) -> dict[str, Any]:
        found: dict[str, Any] = {"type": "array", "items": self.of.describe(), "maxItems": self.most}
        if self.least:
            found["minItems"] = self.least
        return found


@dataclass(frozen=True, kw_only=True)
class Json(Field):
    """A value that a service reads itself; only its JSON type is checked here."""

    kind: type
    shape: dict[str, Any]

    def read(self, value: Any, at: str) -> Any:
        if not isinstance(value, self.kind):
            raise malformed("invalid_type", f"'{at}' is {'a list' if self.kind is list else 'an object'}.", at)
        return value

    def describe(self) -> dict[str, Any]:
        return dict(self.shape)


@dataclass(frozen=True, kw_only=True)
class Group(Field):
    """An object of further fields."""

    fields: Mapping[str, Field]

    def read(self, value: Any, at: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise malformed("invalid_type", f"'{at}' is an object.", at)
        return read_body(self.fields, value, at)

    def describe(self) -> dict[str, Any]:
        return object_schema(self.fields)


def read_body(fields: Mapping[str, Field], data: Mapping[str, Any], at: str = "") -> dict[str, Any]:
    """The values of a body by name, those left out not among them; raises ApiError at the first that does not fit."""
    prefix = f"{at}." if at else ""
    for name in data:
        if name not in fields:
            known = ", ".join(fields) or "none"
            said = f"There is no field {name[:64]!r} here; known are: {known}."
            raise malformed("unknown_field", said, f"{prefix}{name[:64]}")
    found: dict[str, Any] = {}
    for name, one in fields.items():
        value = data.get(name, ABSENT)
        if value is None and name in data and one.clears:
            found[name] = None
        elif value is ABSENT or value is None:
            if one.required:
                raise malformed("missing_field", f"'{prefix}{name}' is missing.", f"{prefix}{name}")
        else:
            found[name] = one.read(value, f"{prefix}{name}")
    return found


def read_query(fields: Mapping[str, Field], query: QueryDict) -> dict[str, Any]:
    """The values of a query by name; unknown and repeated names are refused (RELIABILITY section 6, row 20)."""
    found: dict[str, Any] = {}
    for name, values in query.lists():
        if name not in fields:
            known = ", ".join(fields) or "none"
            raise malformed(
                "unknown_filter", f"There is no parameter {name[:64]!r} here; known are: {known}.", name[:64]
            )
        if len(values) > 1:
            raise malformed("duplicate_key", f"The parameter {name!r} stands twice in the address.", name)
        if values[0] != "":
            found[name] = fields[name].read_text(values[0], name)
    for name, one in fields.items():
        if one.required and name not in found:
            raise malformed("missing_field", f"The parameter '{name}' is missing.", name)
    return found


def object_schema(fields: Mapping[str, Field]) -> dict[str, Any]:
    """The JSON Schema of a body with these fields and no others."""
    found: dict[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: one.schema() for name, one in fields.items()},
    }
    if needed := [name for name, one in fields.items() if one.required]:
        found["required"] = needed
    return found
