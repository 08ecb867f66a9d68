"""The kinds of payout addresses as data: what is asked for, how it is checked, what is shown of it, and when two are the same one.

Whoever asks for an address, stores it or pays to it reads it here, and branches on no kind's name. Pure: no database, no network.
What Wise asks for by currency: its "Create a recipient account". The checks themselves are participants.destination_checks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from participants import destination_checks as checks
from participants.destination_checks import IBAN_LENGTHS, WrongValue
from referrals.lib.emails import mask_email, parse_email
from referrals.lib.errors import Refused

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

Text: TypeAlias = "str | _StrPromise"
Details = Mapping[str, str]
INVALID = "destination_invalid"

_NO_EUROS = frozenset({"GE", "PK"})
# The currency of its own that an IBAN of the country can get besides euros.
_OWN_CURRENCY = {
    "CH": "CHF", "DK": "DKK", "GB": "GBP", "GE": "GEL", "LI": "CHF", "NO": "NOK", "PK": "PKR", "PL": "PLN", "RO": "RON", "SE": "SEK",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that is asked for. `check` gives it as it is stored, or raises WrongValue; `choices` are (value, label)."""

    name: str
    label: Text
    check: Callable[[str], str]
    hint: Text = ""
    choices: tuple[tuple[str, Text], ...] = ()
    # For the form: the HTML attributes that help to fill it in, and how much may be typed.
    autocomplete: str = ""
    input_type: str = "text"
    input_mode: str = ""
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of payout address. `main` names the field that is the address itself; `mailbox` says that a mail can go to it.

    `currencies` are those that can be paid to any address of the kind at best (empty: any); can_get() knows about a single one.
    """

    name: str
    label: Text
    summary: Text
    fields: tuple[Field, ...]
    main: str
    # What is shown of it, enough for its owner to recognise, and the same text for the same account however it was typed.
    mask: Callable[[Details], str]
    identity: Callable[[Details], str]
    mailbox: bool = False
    currencies: frozenset[str] = frozenset()
    # Where its accounts are, by ISO 3166 codes; empty: anywhere.
    countries: frozenset[str] = frozenset()
    by_details: Callable[[Details], frozenset[str]] | None = field(default=None, repr=False)

    def can_get(self, details: Details, currency: str) -> bool:
        """Whether this very address can be paid in the currency."""
        some = self.by_details(details) if self.by_details else self.currencies
        return not some or currency in some


@dataclass(frozen=True, slots=True)
class Typed:
    """What was typed, checked: `details` is what is sealed, `address` its main part, `hint` what may be shown."""

    kind: Kind
    details: dict[str, str]
    address: str
    hint: str
    identity: str


def get(name: str) -> Kind:
    """The kind; Refused `destination_invalid` for a name that is none."""
    kind = BY_NAME.get(name)
    if kind is None:
        raise Refused(INVALID, _("Choose how you want to be paid."), field="method")
    return kind


def choices() -> tuple[tuple[str, Text], ...]:
    """(name, label) of every kind."""
    return tuple((kind.name, kind.label) for kind in KINDS)


def names(wanted: str) -> tuple[str, ...]:
    """The kinds that a way of paying takes: it names one, or several as "one|other"."""
    return tuple(part for part in wanted.split("|") if part)


def suits(name: str, wanted: str) -> bool:
    """Whether an address of this kind is one of those that a way of paying takes."""
    return name in names(wanted)


def can_get(name: str, address: str, currency: str) -> bool:
    """Whether an address of this kind can be paid in the currency, as far as its main part tells."""
    kind = BY_NAME.get(name)
    return kind is not None and kind.can_get({kind.main: address}, currency)


def of(details: Details) -> Kind | None:
    """The kind that has all of these fields; None for a payout address of none."""
    fitting = [kind for kind in KINDS if {field.name for field in kind.fields} <= details.keys()]
    return max(fitting, key=lambda kind: len(kind.fields), default=None)


def problems(kind: Kind, data: Details) -> dict[str, str]:
    """What is wrong with what was typed, by field; empty when all of it is right."""
    return _read(kind, data)[1]


def read(name: str, data: Details) -> Typed:
    """What was typed, checked and in one form.

    Refused `destination_invalid`: `field` is the first one that is wrong, `details` has the words for each of them.
    """
    kind = get(name)
    details, wrong = _read(kind, data)
    if wrong:
        first = next(iter(wrong))
        raise Refused(INVALID, wrong[first], field=first, details={"fields": wrong})
    return Typed(kind, details, details[kind.main], kind.mask(details), kind.identity(details))


def _read(kind: Kind, data: Details) -> tuple[dict[str, str], dict[str, str]]:
    details, wrong = {}, {}
    for item in kind.fields:
        text = str(data.get(item.name, "")).strip()
        try:
            if len(text) > item.limit:
                raise WrongValue(_("That is too long."))
            if item.choices and text not in dict(item.choices):
                raise WrongValue(_("Choose one of these."))
            details[item.name] = item.check(text)
        except WrongValue as error:
            wrong[item.name] = str(error)
    return details, wrong


# --- what is shown, and when two are the same ---


def _end_of(number: str) -> str:
    """The last four characters, of what is long enough that they do not give it away."""
    return f"•••• {number[-4:] if len(number) > 6 else number[-2:]}"


def _mask_email(details: Details) -> str:
    return mask_email(details["email"])


def _mailbox(details: Details) -> str:
    """Of one mailbox, whoever pays to it: the same person."""
    return parse_email(details["email"]).identity


def _mask_upi(details: Details) -> str:
    name, _at, bank = details["vpa"].partition("@")
    return f"{name[:1]}•••@{bank}"


def _same_iban(details: Details) -> str:
    """A British IBAN holds the sort code and the account's number: both ways to write it are one account."""
    iban = details["iban"]
    return f"gb:{iban[8:14]}:{iban[14:]}" if iban.startswith("GB") else f"iban:{iban}"


def _iban_currencies(details: Details) -> frozenset[str]:
    country = details["iban"][:2]
    own = {_OWN_CURRENCY[country]} if country in _OWN_CURRENCY else set()
    return frozenset(own if country in _NO_EUROS else own | {"EUR"})


_HOLDER = Field(
    "holder",
    gettext_lazy("Name of the account's owner"),
    checks.holder,
    gettext_lazy("First and last name, as the bank has them."),
    autocomplete="name",
)
_EMAIL = Field(
    "email", gettext_lazy("E-mail address"), checks.email, autocomplete="email", input_type="email", limit=254
)
_STREET = Field("street", gettext_lazy("Street and number"), checks.some, autocomplete="address-line1")
_CITY = Field("city", gettext_lazy("City"), checks.some, autocomplete="address-level2")
_DIGITS = "numeric"

KINDS: tuple[Kind, ...] = (
    Kind(
        name="paypal",
        label=gettext_lazy("PayPal"),
        summary=gettext_lazy("The e-mail address of your PayPal account."),
        fields=(_EMAIL,),
        main="email",
        mask=_mask_email,
        identity=_mailbox,
        mailbox=True,
    ),
    Kind(
        name="wise_email",
        label=gettext_lazy("Wise, by e-mail"),
        summary=gettext_lazy("Wise writes to you, and asks where the money is to go. There is a week to answer."),
        fields=(_HOLDER, _EMAIL),
        main="email",
        mask=_mask_email,
        identity=_mailbox,
        mailbox=True,
    ),
    Kind(
        name="bank",
        label=gettext_lazy("Bank account with an IBAN"),
        summary=gettext_lazy("For accounts in Europe, and some others that have an IBAN."),
        fields=(
            _HOLDER,
            Field("iban", "IBAN", checks.iban, gettext_lazy("You find it on a statement of your account."), limit=50),
        ),
        main="iban",
        mask=lambda details: f"{details['iban'][:2]} {_end_of(details['iban'])}",
        identity=_same_iban,
        currencies=frozenset({"EUR", *_OWN_CURRENCY.values()}),
        countries=frozenset(IBAN_LENGTHS),
        by_details=_iban_currencies,
    ),
    Kind(
        name="bank_gb",
        label=gettext_lazy("Bank account in the United Kingdom"),
        summary=gettext_lazy("By sort code and account number."),
        fields=(
            _HOLDER,
            Field(
                "sort_code",
                gettext_lazy("Sort code"),
                checks.digits(6, 6),
                gettext_lazy("Six digits."),
                (),
                "",
                "text",
                _DIGITS,
            ),
            Field(
                "account_number",
                gettext_lazy("Account number"),
                checks.digits(8, 8),
                gettext_lazy("Eight digits."),
                input_mode=_DIGITS,
            ),
        ),
        main="account_number",
        mask=lambda details: f"GB {_end_of(details['account_number'])}",
        identity=lambda details: f"gb:{details['sort_code']}:{details['account_number']}",
        currencies=frozenset({"GBP"}),
        countries=frozenset({"GB"}),
    ),
    Kind(
        name="bank_us",
        label=gettext_lazy("Bank account in the United States"),
        summary=gettext_lazy("By routing number and account number."),
        fields=(
            _HOLDER,
            Field(
                "routing_number",
                gettext_lazy("Routing number"),
                checks.routing,
                gettext_lazy("Nine digits (ACH)."),
                input_mode=_DIGITS,
            ),
            Field("account_number", gettext_lazy("Account number"), checks.digits(4, 17), input_mode=_DIGITS),
            Field(
                "account_type",
                gettext_lazy("Kind of account"),
                checks.as_it_is,
                choices=(("CHECKING", gettext_lazy("Checking")), ("SAVINGS", gettext_lazy("Savings"))),
            ),
            _STREET,
            _CITY,
            Field(
                "state",
                gettext_lazy("State"),
                checks.state,
                gettext_lazy("Two letters."),
                autocomplete="address-level1",
            ),
            Field("zip", gettext_lazy("ZIP code"), checks.zip_code, autocomplete="postal-code"),
        ),
        main="account_number",
        mask=lambda details: f"US {_end_of(details['account_number'])}",
        identity=lambda details: f"us:{details['routing_number']}:{details['account_number']}",
        currencies=frozenset({"USD"}),
        countries=frozenset({"US"}),
    ),
    Kind(
        name="upi",
        label="UPI",
        summary=gettext_lazy("A UPI address in India."),
        fields=(Field("vpa", gettext_lazy("UPI address"), checks.upi, gettext_lazy("Such as name@bank."), limit=260),),
        main="vpa",
        mask=_mask_upi,
        identity=lambda details: f"upi:{details['vpa']}",
        currencies=frozenset({"INR"}),
        countries=frozenset({"IN"}),
    ),
    Kind(
        name="bank_in",
        label=gettext_lazy("Bank account in India"),
        summary=gettext_lazy("By IFSC code and account number."),
        fields=(
            Field(
                "holder",
                gettext_lazy("Name of the account's owner"),
                checks.indian_holder,
                gettext_lazy("First and last name, as the bank has them."),
                autocomplete="name",
            ),
            Field(
                "ifsc", gettext_lazy("IFSC code"), checks.ifsc, gettext_lazy("Eleven characters, such as HDFC0001234.")
            ),
            Field("account_number", gettext_lazy("Account number"), checks.indian_account),
        ),
        main="account_number",
        mask=lambda details: f"IN {_end_of(details['account_number'])}",
        identity=lambda details: f"in:{details['ifsc'][:4]}:{details['account_number']}",
        currencies=frozenset({"INR"}),
        countries=frozenset({"IN"}),
    ),
    Kind(
        name="postal",
        label=gettext_lazy("By post"),
        summary=gettext_lazy("Where a printed gift card is sent to."),
        fields=(
            Field("name", gettext_lazy("Name on the letter"), checks.some, autocomplete="name"),
            _STREET,
            Field("more", gettext_lazy("Flat, floor or company, if any"), checks.maybe, autocomplete="address-line2"),
            _CITY,
            Field("region", gettext_lazy("State or region, if any"), checks.maybe, autocomplete="address-level1"),
            Field("postcode", gettext_lazy("Postcode"), checks.postcode, autocomplete="postal-code", limit=12),
            Field(
                "country",
                gettext_lazy("Country"),
                checks.country,
                gettext_lazy("Its name, or two letters such as US or DE."),
                autocomplete="country-name",
            ),
        ),
        main="street",
        mask=lambda details: f"{details['city'][:1]}•••, {details['country']}",
        identity=lambda details: ":".join(
            (
                "postal",
                details["country"],
                details["postcode"],
                details["street"].casefold(),
                details["more"].casefold(),
            )
        ),
    ),
)
BY_NAME = {kind.name: kind for kind in KINDS}
# Those to whose addresses a mail can go.
MAILBOXES = frozenset(kind.name for kind in KINDS if kind.mailbox)
