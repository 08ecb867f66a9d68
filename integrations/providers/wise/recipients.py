"""A payout address in the words of Wise: what POST /v1/accounts wants for each kind of them ("Create a recipient account")."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from participants import destination_kinds
from participants.destination_kinds import Kind

Details = Mapping[str, str]
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
        "accountHolderName": details["holder"],
        "currency": currency,
        "type": name,
        "ownedByCustomer": False,
        "details": of(details),
    }
