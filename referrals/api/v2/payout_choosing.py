"""Which way of paying a call means, which there are, and what one would do."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from integrations import methods
from integrations.methods import Option
from referrals.accounts.models import Scope
from referrals.accounts.tenancy import Tenant
from referrals.api.errors import malformed, refused
from referrals.api.fields import Choice, Field, Flag, Group, Json, Listing, Moment, MoneyField, Text, Whole
from referrals.api.idempotency import Answer
from referrals.api.operations import Call
from referrals.api.schema import ref
from referrals.api.v2.base import API, id_text
from referrals.api.v2.rewards import FILTERS
from referrals.api.v2.shapes import money
from referrals.lib.errors import Refused
from rewards.payouts import outgoing
from rewards.queueing import NO_DESTINATION, Preview
from rewards.selection import MAX_AT_ONCE, RewardFilter, Selection, resolve

TAG = "Payouts"
MOST_REFUSED = 1000
_FILTER: dict[str, Field] = {
    "status": Choice(about="Only due rewards can be issued.", options=("due",)),
    **FILTERS,
}
CHOICE: dict[str, Field] = {
    "rewards": Listing(
        about="The rewards, by id; instead of `filter`.",
        of=id_text("", "rw_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3"),
        most=1000,
        least=1,
    ),
    "filter": Group(about="All due rewards that match; instead of `rewards`.", fields=_FILTER),
    "expected": Whole(about="How many you saw match; with `filter`.", low=1, high=MAX_AT_ONCE),
    "excluded": Listing(about="Matching ones to leave out.", of=id_text("", "rw_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3"), most=1000),
    "as_of": Moment(about="When you looked: nothing that became due later is touched; with `filter`.", example=None),
    "method": Text(
        about="A method of GET payout-methods; manual: you pay outside and mark it here.",
        limit=24,
        required=True,
        example="manual",
    ),
    "connection": Text(
        about="Through which connection it leaves; needed only where several offer the method.", limit=64, example=None
    ),
    "options": Json(
        about="What the method can be told, by name; GET payout-methods lists it.",
        kind=dict,
        shape={"type": "object", "additionalProperties": {"type": "string", "maxLength": 1000}, "maxProperties": 20},
    ),
}
SELECTION_ERRORS = (
    "missing_field",
    "reward_not_found",
    "selection_changed",
    "nothing_selected",
    "too_many",
    "blank",
    "method_unknown",
    "option",
)


def selection_of(body: dict[str, Any]) -> Selection:
    """Which rewards a body names; 400 missing_field unless by exactly one of `rewards` and `filter`."""
    if ("rewards" in body) == ("filter" in body):
        raise malformed("missing_field", "Name the rewards either by 'rewards' or by 'filter'.", "rewards")
    if "rewards" in body:
        for name in ("expected", "excluded", "as_of"):
            if name in body:
                raise refused("invalid_value", f"'{name}' goes with 'filter' only.", name)
        return Selection(ids=body["rewards"])
    if "expected" not in body:
        raise malformed("missing_field", "'expected' is missing: how many rewards you saw match.", "expected")
    narrowed = {name: value for name, value in body["filter"].items() if name != "status"}
    return Selection(
        filter=RewardFilter(stage="due", **narrowed),
        excluded=body.get("excluded", ()),
        expected=body["expected"],
        snapshot=body.get("as_of"),
    )


def option_of(tenant: Tenant, body: dict[str, Any]) -> Option:
    """The way of paying that a body names. Raises Refused `method_unknown`, also when several connections offer it."""
    name, connection = body["method"], body.get("connection")
    if connection:
        return methods.find(tenant, f"{name}:{connection}")
    found = [one for one in methods.options(tenant) if one.method.name == name]
    if len(found) > 1:
        ids = ", ".join(one.method.account for one in found)
        message = _("Several connections pay by %(name)r; say which by 'connection': %(ids)s.")
        raise Refused("method_unknown", message % {"name": name, "ids": ids}, field="connection")
    return found[0] if found else methods.find(tenant, name)


def chosen_of(body: dict[str, Any]) -> dict[str, Any]:
    """What the method is told; 400 invalid_type for what is no text."""
    for name, value in body.get("options", {}).items():
        if not isinstance(value, str):
            raise malformed("invalid_type", f"'options.{name[:40]}' is a text.", "options")
    return dict(body.get("options", {}))


def paid_and_waiting(found: Preview) -> list[int]:
    """What issuing touches when the unsuitable are left out: what is paid, and what waits for its recipient's address."""
    return [row.pk for row in found.payable] + [row.pk for row, code in found.refused if code == NO_DESTINATION]


@API.operation("GET", "payout-methods", tag=TAG, scope=Scope.READ, answer=ref("PayoutMethods"))
def list_payout_methods(call: Call) -> Answer:
    """List the ways of paying.

    Every way of every connected company on this side, and those that need none.
    """
    return Answer({"data": [_method_json(one, call.tenant) for one in methods.options(call.tenant)]})


def _method_json(option: Option, tenant: Tenant) -> dict[str, Any]:
    return {
        "method": option.method.name,
        "connection": option.method.account or None,
        "label": str(option.label),
        "summary": str(option.summary),
        "fee": str(option.fee) or None,
        "kinds": sorted(option.method.kinds),
        "currencies": sorted(option.method.currencies),
        "waits_for_funding": option.method.waits_for_funds,
        "options": [
            {
                "name": one.name,
                "label": str(one.label),
                "hint": str(one.hint),
                "required": one.required,
                "choices": [value for value, _label in option.choices_of(one.name, tenant) if value],
            }
            for one in option.fields
        ],
    }


@API.operation(
    "POST",
    "payouts/preview",
    name="previewPayouts",
    tag=TAG,
    scope=Scope.PAYOUTS,
    body=CHOICE,
    answer=ref("PayoutPreview"),
    statuses={200: "What it would do."},
    errors=(*SELECTION_ERRORS, "invalid_type"),
)
def preview_payouts(call: Call) -> Answer:
    """Preview issuing.

    What a method would pay of these rewards, what it can't pay and why, and what would leave after netting. Nothing is done.
    """
    option = option_of(call.tenant, call.body)
    found = methods.preview(option, call.tenant, resolve(call.tenant, selection_of(call.body)), chosen_of(call.body))
    leaving = outgoing(found.payable, whole=found.whole)
    return Answer(
        {
            "method": option.method.name,
            "payable": len(found.payable),
            "people": leaving.people,
            "amounts": [money(one.minor, one.currency) for one in leaving.sums],
            "netted": [money(one.minor, one.currency) for one in leaving.netted],
            "refused": [{"reward": row.public_id, "reason": code} for row, code in found.refused[:MOST_REFUSED]],
        }
    )


LEAVE = Flag(
    about="Leave out what can't be paid this way, instead of refusing all. What waits for an address still waits."
)
AMOUNTS = Listing(
    about="What you believe leaves after netting, as POST payouts/preview answered it; when it is another sum by now, nothing is made.",
    of=MoneyField(about="", zero=True),
    most=200,
)


def leaving_of(body: dict[str, Any]) -> dict[str, int] | None:
    """`amounts` of a body as minor units by currency; 422 `currency` for a currency that stands twice."""
    if "amounts" not in body:
        return None
    found: dict[str, int] = {}
    for at, one in enumerate(body["amounts"]):
        if one.currency in found:
            where = f"amounts[{at}].currency"
            raise refused("currency", f"'{where}' is {one.currency} a second time; name each currency once.", where)
        found[one.currency] = one.minor
    return found
