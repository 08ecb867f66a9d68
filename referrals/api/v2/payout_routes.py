"""Rewards that go out by themselves: the way of each kind, the calendar, and the money of a batch (docs/payouts.md)."""

from __future__ import annotations

from typing import Any

from campaigns.models import Campaign, RewardRule
from integrations import issuing
from referrals.accounts.models import Scope
from referrals.accounts.tenancy import Tenant
from referrals.api.fields import Choice, Json, Text, Whole
from referrals.api.finding import campaign_of, one
from referrals.api.idempotency import Answer
from referrals.api.operations import Call
from referrals.api.schema import Schema, array, instant, record, ref, text, whole
from referrals.api.v2.base import API, id_text
from referrals.api.v2.shapes import batches_json, moment
from referrals.lib import clock
from rewards import funding, routes
from rewards.models import PayoutBatch, PayoutRoute
from rewards.payout_models import SIDES

TAG = "Payouts"
RT, CAMPAIGN_ID = "rt_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3", "JCu82f30F1"
_SIDES = tuple(name for name, _label in SIDES)
_KINDS = tuple(name for name, _label in RewardRule.KINDS)
_SLOTS = ("immediate", "weekly", "day_15", "month_end")
PAYOUT_ROUTES: Schema = record(
    {
        "weekday": whole("The day of weekly runs; 0 is Monday.", 0),
        "hour": whole("The hour of all runs, in the business's time zone.", 9),
        "time_zone": text("That zone.", "Europe/Oslo"),
        "routes": array(
            record(
                {
                    "id": text("The way.", RT),
                    "side": text("For whom.", "referrer", enum=list(_SIDES)),
                    "kind": text("Which kind of reward.", "cash", enum=list(_KINDS)),
                    "campaign": text(
                        "In this campaign only; null for all that have none of their own.", None, null=True
                    ),
                    "method": text("How it is paid.", "paypal_file"),
                    "options": {
                        "type": "object",
                        "additionalProperties": {"type": "string"},
                        "description": "What the way asks for.",
                        "examples": [{}],
                    },
                    "problem": text("Why its runs can't be made.", None, null=True),
                    "since": instant("Since when it is paid this way."),
                }
            ),
            "What is paid by itself, and how.",
        ),
        "needs": array(
            record(
                {
                    "campaign": text("Whose rules.", CAMPAIGN_ID),
                    "side": text("For whom.", "referrer", enum=list(_SIDES)),
                    "kind": text("Which kind of reward.", "cash", enum=list(_KINDS)),
                    "delivery": text("When it goes out.", "day_15", enum=list(_SLOTS)),
                    "route": text(
                        "The way that it goes; null while none is chosen, and what is due waits.", RT, null=True
                    ),
                    "next_run_at": instant("The next run; null for what goes at once.", null=True),
                }
            ),
            "What rules say goes out by itself.",
        ),
    },
    about="How rewards are paid by themselves.",
)


def routes_json(tenant: Tenant) -> dict[str, Any]:
    """PayoutRoutes. Five queries."""
    calendar = routes.calendar_of(tenant)
    rows = list(PayoutRoute.objects.for_tenant(tenant).select_related("campaign").order_by("pk"))
    needs = routes.needs_of(tenant)
    names = dict(Campaign.objects.for_tenant(tenant).values_list("pk", "public_id")) if needs else {}
    now = clock.now()
    found = [(need, routes.route_for(rows, need)) for need in needs]
    return {
        "weekday": calendar.weekday,
        "hour": calendar.hour,
        "time_zone": tenant.merchant.time_zone,
        "routes": [
            {
                "id": row.public_id,
                "side": row.side,
                "kind": row.kind,
                "campaign": row.campaign.public_id if row.campaign else None,
                "method": row.method,
                "options": row.options,
                "problem": row.problem or None,
                "since": moment(row.since),
            }
            for row in rows
        ],
        "needs": [
            {
                "campaign": names[need.campaign],
                "side": need.side,
                "kind": need.kind,
                "delivery": need.delivery,
                "route": route.public_id if route else None,
                "next_run_at": moment(routes.next_time(calendar, need.delivery, now)),
            }
            for need, route in found
        ],
    }


@API.operation("GET", "payout-routes", tag=TAG, scope=Scope.READ, answer=ref("PayoutRoutes"))
def get_payout_routes(call: Call) -> Answer:
    """Get how rewards are paid by themselves.

    The calendar, the way of each kind of reward, and what rules ask for: where `route` is null, a way is missing.
    """
    return Answer(routes_json(call.tenant))


@API.operation(
    "POST",
    "payout-routes",
    name="setPayoutRoute",
    tag=TAG,
    scope=Scope.PAYOUTS,
    body={
        "side": Choice(about="For whom.", options=_SIDES, required=True, example="referrer"),
        "kind": Choice(about="Which kind of reward.", options=_KINDS, required=True, example="cash"),
        "campaign": id_text("In this campaign only; in all that have no way of their own, when left out.", CAMPAIGN_ID),
        "method": Text(
            about="How: the name of a way, with the connection's id after a colon where it has one.",
            limit=60,
            required=True,
            example="paypal_file",
        ),
        "options": Json(
            about="What the way asks for, as texts.",
            kind=dict,
            shape={"type": "object", "additionalProperties": {"type": "string"}},
            example={},
        ),
    },
    answer=ref("PayoutRoutes"),
    statuses={200: "As it is now."},
    errors=("missing_field", "invalid_choice", "campaign_not_found", "method_unknown", "method_by_hand", "method_unsuitable", "option"),
)  # fmt: skip
def set_payout_route(call: Call) -> Answer:
    """Choose how a kind of reward is paid.

    It counts from the next run on. The same side, kind and campaign again choose another way.
    """
    body = call.body
    issuing.set_route(
        tenant=call.tenant,
        actor=call.actor,
        side=body["side"],
        kind=body["kind"],
        method=body["method"],
        options={str(name): str(value) for name, value in (body.get("options") or {}).items()},
        campaign=campaign_of(call.tenant, body["campaign"]) if body.get("campaign") else None,
    )
    return Answer(routes_json(call.tenant))


@API.operation(
    "DELETE",
    "payout-routes/{id}",
    name="removePayoutRoute",
    tag=TAG,
    scope=Scope.PAYOUTS,
    answer=ref("PayoutRoutes"),
    statuses={200: "As it is now."},
    errors=("payout_route_not_found",),
)
def remove_payout_route(call: Call) -> Answer:
    """Stop paying a kind of reward by itself.

    What is due stays due until another way is chosen, or it is issued by hand.
    """
    rows = PayoutRoute.objects.for_tenant(call.tenant).select_related("merchant")
    routes.remove_route(route=one(rows, "payout_route", call.params["id"]), actor=call.actor)
    return Answer(routes_json(call.tenant))


@API.operation(
    "POST",
    "payout-calendar",
    name="setPayoutCalendar",
    tag=TAG,
    scope=Scope.PAYOUTS,
    body={
        "weekday": Whole(about="The day of weekly runs; 0 is Monday.", low=0, high=6, required=True, example=0),
        "hour": Whole(about="The hour of all runs.", low=0, high=23, required=True, example=9),
    },
    answer=ref("PayoutRoutes"),
    statuses={200: "As it is now."},
    errors=("missing_field", "out_of_range"),
)
def set_payout_calendar(call: Call) -> Answer:
    """Choose when runs are.

    In the business's time zone; moments that have passed by the new calendar are not made up for.
    """
    routes.set_calendar(tenant=call.tenant, actor=call.actor, weekday=call.body["weekday"], hour=call.body["hour"])
    return Answer(routes_json(call.tenant))


@API.operation(
    "POST",
    "payout-batches/{id}/fund",
    name="fundPayoutBatch",
    tag=TAG,
    scope=Scope.PAYOUTS,
    answer=ref("Batch"),
    statuses={200: "The batch leaves, unless it waits for a second person, too."},
    errors=("payout_batch_not_found", "invalid_state"),
)
def fund_payout_batch(call: Call) -> Answer:
    """Say that a batch's money is there.

    For batches of companies that pay from money which you bring first: until then nothing of it leaves.
    """
    batch = one(PayoutBatch.objects.for_tenant(call.tenant), "payout_batch", call.params["id"])
    (funded,) = funding.fund(tenant=call.tenant, public_ids=[batch.public_id], actor=call.actor)
    return Answer(batches_json([funded])[0])
