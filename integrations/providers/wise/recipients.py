"""A payout address in the words of Wise: what POST /v1/accounts wants for each kind of them ("Create a recipient account")."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

from participants import destination_kinds
from participants.destination_kinds import Kind

Details = Mapping[str, str]
# Letters that Unicode does not take apart.
_NO_MARK = {
    "Ł": "L",
    "ł": "l",
    "Đ": "D",
    "đ": "d",
    "Œ": "OE",
    "œ": "oe",
    "ı": "i",
    "Ŧ": "T",
    "ŧ": "t",
    "ẞ": "SS",
    "Ħ": "H",
    "ħ": "h",
}
_PERSON = {"legalType": "PRIVATE"}


def _email(details: Details) -> dict[str, Any]:
    return {"email": details["email"]}


def _iban(details: Details) -> dict[str, Any]:
    return {**_PERSON, "IBAN": details["iban"]}


def _british(details: Details) -> dict[str, Any]:
    return {**_PERSON, "sortCode": details["sort_code"], "accountNumber": details["account_number"]}


def _american(details: Details) -> dict[str, Any]:
    address = {
        "country": "US",
        "firstLine": details["street"],
        "city": details["city"],
        "state": details["state"],
        "postCode": details["zip"],
    }
    account = {"abartn": details["routing_number"], "accountNumber": details["account_number"]}
    return {**_PERSON, **account, "accountType": details["account_type"], "address": address}


def _name(text: str) -> str:
    """A name in the letters that Wise takes, those of Latin-1: others lose their marks (Łukasz Dvořák: Lukasz Dvorák).

    What is no Latin letter stays, and Wise says what it thinks of it.
    """
    return "".join(letter if letter <= "ÿ" else _bare(letter) for letter in text)


def _bare(letter: str) -> str:
    bare = _NO_MARK.get(letter) or unicodedata.normalize("NFKD", letter)[0]
    return bare if bare <= "ÿ" else letter


# By the kind of payout address: Wise's type of recipient, and its details.
TYPES: dict[str, tuple[str, Callable[[Details], dict[str, Any]]]] = {
    "wise_email": ("email", _email),
    "bank": ("iban", _iban),
    "bank_gb": ("sort_code", _british),
    "bank_us": ("aba", _american),
}
DESTINATION = "|".join(TYPES)


def kind_of(details: Details) -> Kind | None:
    """The kind of this payout address; None when it is none that Wise can pay to."""
    kind = destination_kinds.of(details)
    return kind if kind is not None and kind.name in TYPES else None


def recipient(details: Details, *, kind: Kind, currency: str, profile: int) -> dict[str, Any]:
    """The body that makes the recipient. `details` has all fields of `kind`."""
    name, of = TYPES[kind.name]
    return {
        "profile": profile,
        "accountHolderName": _name(details["holder"]),
        "currency": currency,
        "type": name,
        "ownedByCustomer": False,
        "details": of(details),
    }
