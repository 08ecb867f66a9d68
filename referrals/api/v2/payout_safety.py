"""What keeps money in the house: the switch and the limits (docs/payouts.md)."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from referrals.accounts.models import Scope
from referrals.accounts.tenancy import Tenant
from referrals.api.errors import malformed, refused
from referrals.api.fields import MoneyField, Text
from referrals.api.idempotency import Answer
from referrals.api.operations import Call
from referrals.api.schema import Schema, array, boolean, instant, optional, record, ref, text
from referrals.api.v2.base import API
from referrals.api.v2.shapes import moment, money
from rewards import payout_guards
from rewards.models import PayoutLimit
from rewards.payout_tighten import tighten

TAG = "Payouts"
LIMITS = ("a_day", "a_person_a_day", "second_person_above")
PAYOUT_SAFETY: Schema = record(
    {
        "stopped": boolean("Whether nothing leaves now.", False),
        "stopped_everywhere": boolean("Whether the operator of this installation has stopped every business.", False),
        "stopped_at": instant("Since when, by your own switch.", None, null=True),
        "stopped_by": text("Who threw it.", None, null=True),
        "note": text("Why.", None, null=True),
        "limits": array(
            record(
                {
                    "currency": text("Of these limits.", "USD"),
                    "a_day": optional("Money", "All payouts of a day."),
                    "a_person_a_day": optional("Money", "The payouts of one person in a day."),
                    "second_person_above": optional("Money", "A batch of more than this waits for a second person."),
                }
            ),
            "Where nothing is set, there is no limit.",
        ),
    },
    about="The switch and the limits of payouts.",
)


def safety_json(tenant: Tenant) -> dict[str, Any]:
    """PayoutSafety. Two queries."""
    row = payout_guards.stopped(tenant)
    return {
        "stopped": row is not None or settings.PAYOUTS_STOPPED,
        "stopped_everywhere": settings.PAYOUTS_STOPPED,
        "stopped_at": moment(row.stopped_at) if row else None,
        "stopped_by": row.stopped_by if row else None,
        "note": row.note if row else None,
        "limits": [
            {
                "currency": one.currency,
                **{name: money(getattr(one, f"{name}_minor"), one.currency) for name in LIMITS},
            }
            for one in PayoutLimit.objects.for_tenant(tenant).order_by("currency")
        ],
    }


@API.operation("GET", "payout-safety", tag=TAG, scope=Scope.READ, answer=ref("PayoutSafety"))
def get_payout_safety(call: Call) -> Answer:
    """Get the switch and the limits.

    Whether payouts leave, and how much may leave in a day.
    """
    return Answer(safety_json(call.tenant))


@API.operation(
    "POST",
    "payout-safety/stop",
    name="stopPayouts",
    tag=TAG,
    scope=Scope.PAYOUTS,
    body={"note": Text(about="Why.", limit=500, required=True, example="Sums look odd")},
    answer=ref("PayoutSafety"),
    statuses={200: "Nothing leaves any more."},
    errors=("missing_field", "blank", "note_required"),
)
def stop_payouts(call: Call) -> Answer:
    """Stop all payouts.

    Nothing leaves through a provider, no file is made and no code is given from now on; what is on the wire arrives.
    Only a person can let them go on, on the page.
    """
    payout_guards.stop(tenant=call.tenant, actor=call.actor, note=call.body["note"])
    return Answer(safety_json(call.tenant))


@API.operation(
    "POST",
    "payout-safety/limits",
    name="lowerPayoutLimits",
    tag=TAG,
    scope=Scope.PAYOUTS,
    body={
        "a_day": MoneyField(about="All payouts of a day.", example={"amount_minor": 500000, "currency": "USD"}),
        "a_person_a_day": MoneyField(about="One person's payouts of a day."),
        "second_person_above": MoneyField(about="A batch of more than this waits for a second person."),
    },
    answer=ref("PayoutSafety"),
    statuses={200: "As they are now."},
    errors=("missing_field", "amount_not_positive", "currency", "limit_loosened"),
)
def lower_payout_limits(call: Call) -> Answer:
    """Lower the limits.

    Those of one currency that you name; the others stay. A limit that is there can only be lowered by a key: raising or removing it is
    for a person, on the page.
    """
    if not call.body:
        raise malformed("missing_field", "Name at least one limit, such as 'a_day'.", "a_day")
    currencies = {found.currency for found in call.body.values()}
    if len(currencies) > 1:
        raise refused(
            "currency", f"All limits of one call are in one currency, not in {', '.join(sorted(currencies))}."
        )
    limits = {f"{name}_minor": found.minor for name, found in call.body.items()}
    tighten(tenant=call.tenant, actor=call.actor, currency=currencies.pop(), limits=limits)
    return Answer(safety_json(call.tenant))
