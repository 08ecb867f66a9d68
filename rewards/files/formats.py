"""What the files look like: columns, limits, and what can't stand in them. No database here.

PayPal: docs.paypal.ai, "Send payouts with the web UI" (PROVIDERS.md, section 6). Wise: its batch template for recipients by e-mail
(section 7); the official file is not confirmed beyond its columns' names.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from referrals.lib.cells import safe
from referrals.lib.money import Money

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

Text: TypeAlias = "str | _StrPromise"
# What a spreadsheet may take for a formula; such a file can't have a tab before it, because a company reads it (UX.md, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")
PAYPAL_CURRENCIES = frozenset({
    "AUD", "BRL", "CAD", "CZK", "DKK", "EUR", "HKD", "HUF", "ILS", "JPY", "MYR", "MXN", "TWD", "NZD", "NOK", "PHP", "PLN", "GBP",
    "SGD", "SEK", "CHF", "THB", "USD",
})  # fmt: skip
# PayPal takes no decimals in these (JPY has none anyway).
_WHOLE = frozenset({"HUF", "TWD"})


@dataclass(frozen=True, slots=True)
class Payee:
    """Who is paid: their name, the address it goes to, and which kind of payout address that is ("" for their own e-mail address)."""

    name: str
    address: str
    kind: str = ""
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: whom, how much, what the file calls the payout (`mark`), and the words for the recipient."""

    payee: Payee
    money: Money
    mark: str
    note: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file. `kinds` are the payout addresses that it takes instead of the person's own e-mail address."""

    name: str
    label: Text
    limit: int
    columns: tuple[str, ...]
    cells: Callable[[Entry], Sequence[str]]
    # Why this payee can't stand in it, in words that say what to do; "" when they can.
    obstacle: Callable[[Payee, Money], str]
    kinds: frozenset[str] = frozenset()
    any_kind: bool = False
    has_header: bool = True
    currencies: frozenset[str] = frozenset()
    # For people: a byte order mark, and a tab before what a spreadsheet would run. For a company's program: neither.
    for_people: bool = False
    # How the payout is called there: all of its public id, or its last characters.
    mark_length: int = 0
    what_to_do: Text = ""

    def head(self) -> str:
        """The line of columns, with its line break; "" where the file has none."""
        return ("\ufeff" if self.for_people else "") + self._line(self.columns) if self.has_header else ""

    def line(self, entry: Entry) -> str:
        """One line, with its line break."""
        return self._line([safe(cell) if self.for_people else cell for cell in self.cells(entry)])

    def mark(self, public_id: str) -> str:
        """What the file calls a payout."""
        return public_id[-self.mark_length :] if self.mark_length else public_id

    def _line(self, cells: Sequence[str]) -> str:
        buffer = io.StringIO(newline="")
        csv.writer(buffer, quoting=csv.QUOTE_ALL if self.for_people else csv.QUOTE_MINIMAL).writerow(cells)
        return buffer.getvalue()

    @property
    def takes_results(self) -> bool:
        """Whether the file itself has columns for what became of each line; the others are brought back with a list of ours."""
        return "status" in self.columns


def inert(text: str, limit: int) -> str:
    """Words for a company's file: one line, and nothing at its beginning that a spreadsheet would run."""
    return _CONTROL.sub(" ", text).strip().lstrip("".join(_FORMULA) + " ")[:limit].strip()


def _unfit(payee: Payee, longest: int) -> str:
    if payee.address.startswith(_FORMULA):
        return _("An address that begins with %(sign)s can't stand in this file.") % {"sign": payee.address[0]}
    if len(payee.address) > longest:
        return _("The address has more than %(n)d characters.") % {"n": longest}
    return ""


def _paypal_obstacle(payee: Payee, money: Money) -> str:
    if money.currency in _WHOLE and money.minor % 100:
        return _("PayPal takes whole amounts only in %(currency)s.") % {"currency": money.currency}
    return _unfit(payee, 127)


def _paypal_cells(entry: Entry) -> Sequence[str]:
    money = entry.money
    amount = str(money.minor // 100) if money.currency in _WHOLE else money.plain()
    return [entry.payee.address, amount, money.currency, entry.mark, inert(entry.note, 400), "PAYPAL", ""]


def _wise_name(payee: Payee) -> str:
    return " ".join(payee.details.get("holder", payee.name).split())


def _wise_obstacle(payee: Payee, money: Money) -> str:
    del money
    name = _wise_name(payee)
    if len(name.split()) < 2 or any(letter.isdigit() for letter in name) or name.startswith(_FORMULA):
        return _("Wise needs a first and a last name.")
    return _unfit(payee, 254)


def _wise_cells(entry: Entry) -> Sequence[str]:
    currency = entry.money.currency
    source = str(entry.options.get("source_currency") or currency)
    amount = entry.money.plain()
    name = _wise_name(entry.payee)
    return [name, entry.payee.address, entry.mark, "PERSON", "target", amount, source, currency]


def _plain_cells(entry: Entry) -> Sequence[str]:
    rest = [f"{key}: {value}" for key, value in entry.payee.details.items() if value != entry.payee.address]
    to = "; ".join([entry.payee.address, *rest])
    amount, currency = entry.money.plain(), entry.money.currency
    return [entry.mark, entry.payee.name, to, entry.payee.kind or "email", amount, currency, entry.note, "", "", ""]


FORMATS: dict[str, Format] = {
    one.name: one
    for one in (
        Format(
            name="paypal_file",
            label=gettext_lazy("PayPal mass payment file"),
            limit=5000,
            columns=("recipient", "amount", "currency", "customer_id", "note", "wallet", "privacy"),
            cells=_paypal_cells,
            obstacle=_paypal_obstacle,
            kinds=frozenset({"paypal"}),
            has_header=False,
            currencies=PAYPAL_CURRENCIES,
            what_to_do=gettext_lazy("Upload it at PayPal under Payouts, and bring the result back here."),
        ),
        Format(
            name="wise_file",
            label=gettext_lazy("Wise batch file"),
            limit=1000,
            columns=("name", "recipientEmail", "paymentReference", "receiverType", "amountCurrency", "amount", "sourceCurrency",
                     "targetCurrency"),
            cells=_wise_cells,
            obstacle=_wise_obstacle,
            kinds=frozenset({"wise_email"}),
            mark_length=10,
            what_to_do=gettext_lazy("Upload it at Wise as a batch payment by e-mail, and bring the result back here."),
        ),
        Format(
            name="csv_file",
            label=gettext_lazy("Plain CSV file"),
            limit=20_000,
            columns=("payout_id", "name", "pay_to", "kind", "amount", "currency", "note", "status", "reference", "message"),
            cells=_plain_cells,
            obstacle=lambda _payee, _money: "",
            any_kind=True,
            for_people=True,
            what_to_do=gettext_lazy("Pay, fill in its columns status, reference and message, and bring it back here."),
        ),
    )
}  # fmt: skip
