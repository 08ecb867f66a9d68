"""Payouts: issuing rewards in one batch; looking it up; undoing what was marked by hand."""

from __future__ import annotations

import hashlib

from django.db.models import Prefetch, QuerySet

from integrations import methods
from referrals.accounts.models import Scope
from referrals.api.fields import Choice, Text
from referrals.api.finding import one
from referrals.api.idempotency import Answer
from referrals.api.operations import Call
from referrals.api.schema import ref
from referrals.api.v2.base import API, PAGING, expand_field, id_text, page_json, page_of
from referrals.api.v2.payout_choosing import (
    AMOUNTS,
    CHOICE,
    LEAVE,
    SELECTION_ERRORS,
    chosen_of,
    leaving_of,
    option_of,
    paid_and_waiting,
    selection_of,
)
from referrals.api.v2.shapes import batches_json, payout_json, payouts_json
from rewards.models import Payout, PayoutBatch, PayoutItem
from rewards.payouts import undo
from rewards.selection import resolve

TAG = "Payouts"
SHOWN = 100
_EXPAND = expand_field("participant")


@API.operation(
    "POST",
    "payouts",
    tag=TAG,
    scope=Scope.PAYOUTS,
    key_required=True,
    body={
        **CHOICE,
        "leave_unsuitable": LEAVE,
        "amounts": AMOUNTS,
        "note": Text(about="For your records.", limit=500, blank=True, example="Bank transfer of 20 November"),
    },
    answer=ref("BatchMade"),
    statuses={
        201: "Made. By hand it is issued now; through a company it leaves by itself.",
        200: "This key made the batch before.",
    },
    headers={"Location": "The address of the batch."},
    errors=(
        "idempotency_key_missing",
        *SELECTION_ERRORS,
        "invalid_type",
        "amount_not_positive",
        "amount_format",
        "currency",
        "invalid_state",
        "recipient_banned",
        "method_unsuitable",
        "nothing_payable",
        "limit_reached",
        "payouts_stopped",
    ),
)
def create_payouts(call: Call) -> Answer:
    """Issue rewards.

    By any method of GET payout-methods: one payout for each recipient and side, in one batch, all or nothing; by hand they are marked as
    issued. Name them by `rewards`, or by `filter` with the count you `expected`; with `amounts` nothing
    is made when other sums would leave than `POST payouts/preview` answered. Those of recipients who have yet to give a payout
    address wait for it. The Idempotency-Key is required, and the same key never issues twice, however old.
    """
    tenant, body = call.tenant, call.body
    # The header may be longer than the column; its digest is as good a name.
    key = "api:" + hashlib.sha256(call.idempotency_key.encode()).hexdigest()
    batch = PayoutBatch.objects.for_tenant(tenant).filter(key=key).first()
    made = False
    if batch is None:
        option, chosen = option_of(tenant, body), chosen_of(body)
        keys = resolve(tenant, selection_of(body))
        if body.get("leave_unsuitable"):
            keys = paid_and_waiting(methods.preview(option, tenant, keys, chosen)) or keys
        batch, made = methods.issue(
            option,
            tenant=tenant,
            reward_ids=keys,
            actor=call.actor,
            key=key,
            note=body.get("note", ""),
            chosen=chosen,
            leaving=leaving_of(body),
        )
    batch.refresh_from_db(fields=["completed_at"])
    payouts = payouts_json(list(_read(batch.payouts.all()).order_by("pk")[:SHOWN]))
    answer = batches_json([batch])[0] | {"payouts": payouts}
    return Answer(answer, 201 if made else 200, {"Location": f"/api/v2/payout-batches/{batch.public_id}"})


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
    answer=ref("PayoutDetail"),
    errors=("payout_not_found",),
)
def get_payout(call: Call) -> Answer:
    """Get a payout.

    With the rewards that it delivers, and every try at sending it.
    """
    payout = one(_read(Payout.objects.for_tenant(call.tenant)), "payout", call.params["id"])
    return Answer(payout_json(payout, expand=call.query.get("expand", ())))


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
