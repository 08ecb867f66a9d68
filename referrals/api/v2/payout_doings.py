"""One payout: what nobody but a person knows, trying again what failed, and taking back what has not left."""

from __future__ import annotations

from django.utils.translation import gettext as _

from referrals.accounts.models import Scope
from referrals.api.fields import Field, Flag, Text
from referrals.api.finding import one
from referrals.api.idempotency import Answer
from referrals.api.operations import Call
from referrals.api.schema import ref
from referrals.api.v2.base import API
from referrals.api.v2.shapes import payout_json
from referrals.lib.errors import Refused
from rewards import queueing, settling
from rewards.models import Payout, Reward, State

TAG = "Payouts"
MISSING = ("payout_not_found",)
_NOTE: dict[str, Field] = {
    "note": Text(about="Why, for your records.", limit=500, blank=True, example="Agreed by phone")
}


def _find(call: Call) -> Payout:
    return one(Payout.objects.for_tenant(call.tenant), "payout", call.params["id"])


def _answer(call: Call) -> Answer:
    rows = Payout.objects.for_tenant(call.tenant).select_related("batch", "participant__campaign")
    return Answer(payout_json(one(rows, "payout", call.params["id"])))


@API.operation(
    "POST",
    "payouts/{id}/resolve",
    tag=TAG,
    scope=Scope.PAYOUTS,
    body={
        "paid": Flag(about="Whether it was paid.", required=True, example=True),
        "note": Text(about="How you know.", limit=500, required=True, example="It stands in their list"),
    },
    answer=ref("PayoutDetail"),
    statuses={200: "The payout, decided."},
    errors=(*MISSING, "missing_field", "blank", "invalid_state"),
)
def resolve_payout(call: Call) -> Answer:
    """Resolve a payout.

    Says what happened to one that needs attention. Paid: its ledger line is written and its rewards are issued. Not paid: its
    rewards are due again; if it was paid after all, the person gets it twice.
    """
    row = _find(call)
    if row.status == "needs_attention":
        status = settling.decide(row.pk, paid=call.body["paid"], actor=call.actor, note=call.body["note"])
        if status == ("paid" if call.body["paid"] else "failed"):
            return _answer(call)
        row.refresh_from_db()
    message = _("This payout does not need anybody's word; it is %(status)s.")
    raise Refused("invalid_state", message % {"status": row.status}, status=409, details={"state": row.status})


@API.operation(
    "POST",
    "payouts/{id}/retry",
    tag=TAG,
    scope=Scope.PAYOUTS,
    body=_NOTE,
    answer=ref("PayoutDetail"),
    statuses={200: "The payout; what it did not deliver is due again."},
    errors=(*MISSING, "invalid_state"),
)
def retry_payout(call: Call) -> Answer:
    """Try again what a payout did not deliver.

    The cause is mended: those of its rewards that wait for their recipient or need attention are due again, to be issued anew.
    """
    row = _find(call)
    stuck = Reward.objects.filter(
        payout_items__payout=row, state__in=[State.WAITING, State.ATTENTION], payout__isnull=True
    )
    keys = list(stuck.order_by("pk").values_list("pk", flat=True))
    if not keys:
        message = _("None of its rewards waits or needs attention; it is %(status)s.")
        raise Refused("invalid_state", message % {"status": row.status}, status=409, details={"state": row.status})
    queueing.try_again(tenant=call.tenant, reward_ids=keys, actor=call.actor, note=call.body.get("note", ""))
    return _answer(call)


@API.operation(
    "POST",
    "payouts/{id}/withdraw",
    tag=TAG,
    scope=Scope.PAYOUTS,
    body=_NOTE,
    answer=ref("PayoutDetail"),
    statuses={200: "The payout, withdrawn."},
    errors=(*MISSING, "invalid_state"),
)
def withdraw_payout(call: Call) -> Answer:
    """Withdraw a payout.

    Takes back one that has not left; its rewards are due again.
    """
    row = _find(call)
    note = call.body.get("note", "")
    if not queueing.withdraw(payouts=[row.pk], tenant=call.tenant, actor=call.actor, note=note):
        row.refresh_from_db()
        message = _("It has left, or it is over; it is %(status)s.")
        raise Refused("invalid_state", message % {"status": row.status}, status=409, details={"state": row.status})
    return _answer(call)
