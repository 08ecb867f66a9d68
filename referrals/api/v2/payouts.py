"""Payouts: marking rewards as issued outside, in one batch; looking it up; undoing it."""

from __future__ import annotations

import hashlib
from typing import Any

from django.db.models import Prefetch, QuerySet

from referrals.accounts.models import Scope
from referrals.api.errors import malformed, refused
from referrals.api.fields import Choice, Field, Group, Listing, Moment, Text, Whole
from referrals.api.finding import one
from referrals.api.idempotency import Answer
from referrals.api.operations import Call
from referrals.api.schema import ref
from referrals.api.v2.base import API, PAGING, expand_field, id_text, page_json, page_of
from referrals.api.v2.rewards import FILTERS
from referrals.api.v2.shapes import batches_json, payouts_json
from rewards.models import Payout, PayoutBatch, PayoutItem
from rewards.payouts import issue_by_hand, undo
from rewards.selection import MAX_AT_ONCE, RewardFilter, Selection, resolve

TAG = "Payouts"
SHOWN = 100
_EXPAND = expand_field("participant")
_FILTER: dict[str, Field] = {
    "status": Choice(about="Only due rewards can be issued.", options=("due",)),
    **FILTERS,
}


@API.operation(
    "POST",
    "payouts",
    tag=TAG,
    scope=Scope.PAYOUTS,
    key_required=True,
    body={
        "rewards": Listing(
            about="The rewards, by id; instead of `filter`.",
            of=id_text("", "rw_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3"),
            most=1000,
            least=1,
        ),
        "filter": Group(about="All due rewards that match; instead of `rewards`.", fields=_FILTER),
        "expected": Whole(about="How many you saw match; with `filter`.", low=1, high=MAX_AT_ONCE),
        "excluded": Listing(
            about="Matching ones to leave out.", of=id_text("", "rw_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3"), most=1000
        ),
        "as_of": Moment(
            about="When you looked: nothing that became due later is touched; with `filter`.", example=None
        ),
        "method": Choice(
            about="manual: you pay outside and mark it here.", options=("manual",), required=True, example="manual"
        ),
        "note": Text(about="For your records.", limit=500, blank=True, example="Bank transfer of 20 November"),
    },
    answer=ref("BatchMade"),
    statuses={201: "Marked as issued.", 200: "This key made the batch before."},
    headers={"Location": "The address of the batch."},
    errors=(
        "idempotency_key_missing",
        "missing_field",
        "reward_not_found",
        "invalid_state",
        "selection_changed",
        "recipient_banned",
        "nothing_selected",
        "too_many",
        "blank",
    ),
)
def create_payouts(call: Call) -> Answer:
    """Issue rewards.

    Marks due rewards as issued outside: one payout for each recipient, in one batch, all or nothing. Name them by `rewards`, or by
    `filter` with the count you `expected`. The Idempotency-Key is required, and the same key never issues twice, however old.
    """
    keys = resolve(call.tenant, _selection(call.body))
    # The header may be longer than the column; its digest is as good a name.
    key = "api:" + hashlib.sha256(call.idempotency_key.encode()).hexdigest()
    batch, made = issue_by_hand(
        tenant=call.tenant, reward_ids=keys, actor=call.actor, key=key, note=call.body.get("note", "")
    )
    payouts = payouts_json(list(_read(batch.payouts.all()).order_by("pk")[:SHOWN]))
    body = batches_json([batch])[0] | {"payouts": payouts}
    return Answer(body, 201 if made else 200, {"Location": f"/api/v2/payout-batches/{batch.public_id}"})


def _selection(body: dict[str, Any]) -> Selection:
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


@API.operation(
    "GET",
    "payouts",
    tag=TAG,
    scope=Scope.READ,
    query={
        "batch": id_text("Only those of this batch.", "pb_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3"),
        "participant": id_text("Only those to this participant.", "pt_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3"),
        "status": Choice(about="Only those that stand there.", options=tuple(name for name, _ in Payout.STATUSES)),
        "expand": _EXPAND,
        **PAGING,
    },
    answer=ref("PayoutPage"),
    errors=("pagination", "invalid_choice"),
)
def list_payouts(call: Call) -> Answer:
    """List payouts.

    Newest first.
    """
    rows, query = _read(Payout.objects.for_tenant(call.tenant)), call.query
    if "batch" in query:
        rows = rows.filter(batch__public_id=query["batch"])
    if "participant" in query:
        rows = rows.filter(participant__public_id=query["participant"])
    if "status" in query:
        rows = rows.filter(status=query["status"])
    page = page_of(call, rows)
    body, headers = page_json(call, page, payouts_json(page.rows, expand=query.get("expand", ())))
    return Answer(body, headers=headers)


@API.operation(
    "GET",
    "payouts/{id}",
    tag=TAG,
    scope=Scope.READ,
    query={"expand": _EXPAND},
    answer=ref("Payout"),
    errors=("payout_not_found",),
)
def get_payout(call: Call) -> Answer:
    """Get a payout.

    With the rewards that it delivers.
    """
    payout = one(_read(Payout.objects.for_tenant(call.tenant)), "payout", call.params["id"])
    return Answer(payouts_json([payout], expand=call.query.get("expand", ()))[0])


@API.operation(
    "GET", "payout-batches", tag=TAG, scope=Scope.READ, query=PAGING, answer=ref("BatchPage"), errors=("pagination",)
)
def list_payout_batches(call: Call) -> Answer:
    """List batches.

    Newest first, with the sum of each currency.
    """
    page = page_of(call, PayoutBatch.objects.for_tenant(call.tenant))
    body, headers = page_json(call, page, batches_json(page.rows))
    return Answer(body, headers=headers)


@API.operation(
    "GET", "payout-batches/{id}", tag=TAG, scope=Scope.READ, answer=ref("Batch"), errors=("payout_batch_not_found",)
)
def get_payout_batch(call: Call) -> Answer:
    """Get a batch.

    Its payouts are listed by `GET payouts?batch=`.
    """
    return Answer(batches_json([_find_batch(call)])[0])


@API.operation(
    "POST",
    "payout-batches/{id}/undo",
    tag=TAG,
    scope=Scope.PAYOUTS,
    body={"note": Text(about="Why, for your records.", limit=500, blank=True, example="Wrong account")},
    answer=ref("Batch"),
    statuses={200: "The batch, undone."},
    errors=("payout_batch_not_found", "invalid_state"),
)
def undo_payout_batch(call: Call) -> Answer:
    """Undo a batch.

    Takes out what was marked by hand, by opposite entries; its rewards are due again.
    """
    undo(batch=_find_batch(call), actor=call.actor, note=call.body.get("note", ""))
    return Answer(batches_json([_find_batch(call)])[0])


def _find_batch(call: Call) -> PayoutBatch:
    rows = PayoutBatch.objects.for_tenant(call.tenant).select_related("merchant")
    return one(rows, "payout_batch", call.params["id"])


def _read(rows: QuerySet[Payout]) -> QuerySet[Payout]:
    items = PayoutItem.objects.select_related("reward").order_by("pk")
    return rows.select_related("batch", "participant__campaign").prefetch_related(Prefetch("items", queryset=items))
