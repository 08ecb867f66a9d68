"""Money: integer minor units and an ISO 4217 currency. The only place that rounds (ARCHITECTURE.md, "Money")."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from decimal import Decimal

from babel import Locale
from babel.numbers import format_currency

# Decimals where they are not two, and every currency we accept: a closed list, because a typing error must not become a currency.
EXPONENTS = dict.fromkeys(
    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0
) | dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3)
CURRENCIES = frozenset(
    """
        AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY
        COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS
        INR IRR JMD KES KGS KHR KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN
        NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP
        STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VES WST XCD YER ZAR ZMW
        """.split()
) | frozenset(EXPONENTS)

_PLAIN = re.compile(r"(0|[1-9][0-9]{0,11})(?:\.([0-9]{1,18}))?", re.ASCII)


class MoneyError(ValueError):
    """Text or number that is no amount; `code` is the API's (`amount_format`, `amount_precision`, ...: RELIABILITY section 6)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """An amount: `minor` units (cents, yen, fils) of `currency`. Adding two currencies raises MoneyError."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.minor) is not int:
            raise TypeError(f"minor units are an int, not {type(self.minor).__name__}")
        if self.currency not in CURRENCIES:
            check_currency(self.currency)

    @classmethod
    def zero(cls, currency: str) -> Money:
        return cls(0, currency)

    @classmethod
    def parse(cls, text: str, currency: str) -> Money:
        """Read major units written plainly ("12.50"); raises MoneyError naming the value (RELIABILITY section 6, rows 8 to 10).

        Only ASCII digits and one point: no sign, spaces, exponent, underscore or group separator.
        """
        check_currency(currency)
        match = _PLAIN.fullmatch(text)
        if match is None:
            if re.fullmatch(r"-[0-9]{1,12}(\.[0-9]{1,18})?", text, re.ASCII):
                raise MoneyError("amount_not_positive", f"{text} is not above zero.")
            raise MoneyError("amount_format", f"{text[:40]!r} is not an amount; write it like 12.50.")
        exponent = exponent_of(currency)
        fraction = (match[2] or "").rstrip("0")
        if len(fraction) > exponent:
            raise MoneyError("amount_precision", f"{text} has more decimals than {currency} has ({exponent}).")
        return cls(int(match[1]) * 10**exponent + int(fraction.ljust(exponent, "0") or "0"), currency)

    @property
    def major(self) -> Decimal:
        """The amount in major units, exactly."""
        return Decimal(self.minor).scaleb(-exponent_of(self.currency))

    def percent(self, rate: Decimal) -> Money:
        """`rate` per cent of this amount, rounded half-even to a minor unit: the only rounding there is."""
        return Money(round(rate * self.minor / 100), self.currency)

    def format(self, locale: str = "en") -> str:
        """The amount as people of `locale` (a language tag) write it: $1,234.50, ¥2,000, 1.234,50 €."""
        return format_currency(self.major, self.currency, locale=locale.replace("-", "_"))

    def short(self, locale: str = "en") -> str:
        """As format(), without the decimals of a whole amount: $15, 15 €. For headlines."""
        tag = locale.replace("-", "_")
        if self.major != self.major.to_integral_value():
            return self.format(locale)
        pattern = copy.copy(Locale.parse(tag).currency_formats["standard"])
        pattern.frac_prec = (0, 0)
        return str(pattern.apply(self.major, tag, currency=self.currency, currency_digits=False))

    def plain(self) -> str:
        """Major units with all decimals and no symbol ("12.50"), for CSV and form fields."""
        return f"{self.major:.{exponent_of(self.currency)}f}"

    def json_number(self) -> int | float:
        """A plain JSON number in major units as API v1 has it: 20, 12.5. For output only; never read back as money."""
        major = self.major
        return int(major) if major == major.to_integral_value() else float(major)

    def _same(self, other: Money) -> None:
        if self.currency != other.currency:
            raise MoneyError("currency", f"{self.currency} and {other.currency} can't be added or compared.")

    def __add__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.minor + other.minor, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.minor - other.minor, self.currency)

    def __neg__(self) -> Money:
        return Money(-self.minor, self.currency)

    def __lt__(self, other: Money) -> bool:
        self._same(other)
        return self.minor < other.minor

    def __le__(self, other: Money) -> bool:
        self._same(other)
        return self.minor <= other.minor

    def __str__(self) -> str:
        return self.format()


def check_currency(code: str) -> str:
    """The code itself when it is a currency we know; else MoneyError `currency` naming it."""
    if code not in CURRENCIES:
        raise MoneyError("currency", f"{str(code)[:20]!r} is not a currency code; use three capitals such as USD.")
    return code


def exponent_of(currency: str) -> int:
    """How many decimals the currency has: JPY 0, USD 2, KWD 3."""
    return EXPONENTS.get(currency, 2)
