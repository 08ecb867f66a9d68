"""The list of existing customers, who can't be referred: add and remove in bulk (docs/attribution.md)."""

from __future__ import annotations

from typing import Any

from participants import customers
from participants.customers import Customer
from participants.models import KnownCustomer
from referrals.accounts.models import Scope
from referrals.accounts.tenancy import Tenant
from referrals.api.errors import malformed
from referrals.api.fields import EmailField, Field, Group, Listing, Moment, Text
from referrals.api.idempotency import Answer
from referrals.api.operations import Call
from referrals.api.schema import record, whole
from referrals.api.v2.base import API
from referrals.lib.errors import Refused
from rewards import customers as listing

TAG = "Customers"
MOST = 1000
_WHO: dict[str, Field] = {
    "email": EmailField(about="Their address; every spelling of it is the same person."),
    "customer_id": Text(about="Or their id at a source, such as Stripe's.", limit=255, example="cus_4Zq8Ld0Xw2Rk7T"),
}
_SAMPLE = [{"email": "old@example.com", "customer_since": "2024-05-01T00:00:00Z"}]
_ANSWER = record(
    {
        "changed": whole("How many were added, or removed.", 1),
        "unchanged": whole("How many were there before, or were not there.", 0),
        "decided_again": whole("How many participants are judged another way now.", 0),
        "on_list": whole("How many are on the list now.", 1),
    },
    about="What a change of the list came to.",
)


def _listed(fields: dict[str, Field]) -> Listing:
    one = Group(about="A customer, by address or by id.", fields=fields)
    return Listing(about=f"Up to {MOST} customers.", of=one, most=MOST, least=1, required=True, example=_sample(fields))


def _sample(fields: dict[str, Field]) -> list[dict[str, Any]]:
    return [{name: value for name, value in one.items() if name in fields} for one in _SAMPLE]


@API.operation(
    "POST",
    "customers",
    tag=TAG,
    scope=Scope.PARTICIPANTS,
    body={
        "customers": _listed(
            {**_WHO, "customer_since": Moment(about="Since when they are one; from now on if not given.")}
        )
    },
    answer=_ANSWER,
    statuses={200: "They are on the list."},
    errors=("missing_field", "email_invalid", "occurred_at", "date", "blank", "too_long"),
)
def add_customers(call: Call) -> Answer:
    """Add existing customers.

    Who was a customer before they joined earns no reward that is for new customers only. Participants who joined after
    `customer_since` are decided again. All or nothing, and idempotent: who is on the list already keeps the earlier date.
    """
    done = listing.add(tenant=call.tenant, listed=_read(call), actor=call.actor)
    return _answer(call.tenant, done)


@API.operation(
    "POST",
    "customers/remove",
    tag=TAG,
    scope=Scope.PARTICIPANTS,
    body={"customers": _listed(_WHO)},
    answer=_ANSWER,
    statuses={200: "They are not on the list."},
    errors=("missing_field", "email_invalid", "blank", "too_long"),
)
def remove_customers(call: Call) -> Answer:
    """Remove existing customers.

    Participants who counted as customers only because of the list are decided again.
    """
    done = listing.remove(tenant=call.tenant, listed=_read(call), actor=call.actor)
    return _answer(call.tenant, done)


def _read(call: Call) -> list[Customer]:
    return [_customer(call.tenant, one, f"customers[{n}]") for n, one in enumerate(call.body["customers"])]


def _customer(tenant: Tenant, given: dict[str, Any], at: str) -> Customer:
    if ("email" in given) == ("customer_id" in given):
        raise malformed("missing_field", f"'{at}' needs an 'email' or a 'customer_id', and not both.", at)
    since = given.get("customer_since")
    try:
        if "email" in given:
            return customers.by_email(tenant, given["email"], since)
        return customers.by_id(tenant, given["customer_id"], since)
    except Refused as error:
        error.field = f"{at}.{error.field}"
        raise


def _answer(tenant: Tenant, done: listing.Listed) -> Answer:
    return Answer(
        {
            "changed": done.changed,
            "unchanged": done.unchanged,
            "decided_again": done.decided,
            "on_list": KnownCustomer.objects.for_tenant(tenant).count(),
        }
    )
