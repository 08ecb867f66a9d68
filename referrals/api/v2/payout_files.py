"""Payouts by a file: the frozen files of a batch, and what became of each line (docs/payout-files.md)."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from django.db import transaction

from referrals.accounts.models import Scope
from referrals.api.fields import Choice, Text
from referrals.api.finding import one
from referrals.api.idempotency import Answer
from referrals.api.operations import Call
from referrals.api.schema import ref
from referrals.api.v2.base import API, PAGING, page_json, page_of
from referrals.api.v2.payout_schemas import FILE_LINE
from referrals.api.v2.shapes import moment, money
from referrals.events import types
from referrals.events.services import Happening, record
from rewards.files import freezing, returned
from rewards.files.reading import MOST_BYTES
from rewards.models import PayoutBatch, PayoutFile, PayoutReturn

TAG = "Payouts"
CSV = "text/csv"
# What the API calls the counts of a PayoutReturn.
_COUNTS = {
    "paid": "paid",
    "sent": "sent",
    "failed": "failed",
    "same": "unchanged",
    "still_open": "open",
    "wrong": "wrong",
}


def _batch(call: Call) -> PayoutBatch:
    rows = PayoutBatch.objects.for_tenant(call.tenant).select_related("merchant")
    return one(rows, "payout_batch", call.params["id"])


@API.operation(
    "GET",
    "payout-batches/{id}/files",
    name="listPayoutFiles",
    tag=TAG,
    scope=Scope.READ,
    answer=ref("PayoutFiles"),
    errors=("payout_batch_not_found",),
)
def list_payout_files(call: Call) -> Answer:
    """List a batch's files.

    What `POST payouts` with one of the methods `paypal_file`, `wise_file` and `csv_file` froze: several where currencies differ or one
    would have too many lines. Empty for a batch that was issued another way.
    """
    return Answer({"data": [_file_json(row) for row in _batch(call).files.order_by("number")]})


@API.operation(
    "GET",
    "payout-files/{id}",
    name="downloadPayoutFile",
    tag=TAG,
    scope=Scope.PAYOUTS,
    answer=FILE_LINE,
    media=CSV,
    statuses={200: "The file itself."},
    headers={
        "Content-Disposition": "Its name.",
        "Repr-Digest": "The SHA-256 of these bytes (RFC 9530).",
    },
    errors=("payout_file_not_found", "batch_waits"),
)
def download_payout_file(call: Call) -> Answer:
    """Download a payout file.

    The same bytes each time, whatever happened to the people since; only the lines of people whose data was erased are left out. It
    holds payout addresses, so it needs the right to pay, and the history says which key took it.
    """
    row = one(PayoutFile.objects.for_tenant(call.tenant).select_related("batch"), "payout_file", call.params["id"])
    body = freezing.content(row)
    with transaction.atomic():
        data = {"what": "payout_file", "query": ""}
        record(call.tenant, call.actor, Happening(types.EXPORT_MADE, "export", row.public_id, data=data))
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    headers = {
        "Content-Type": f"{CSV}; charset=utf-8",
        "Content-Disposition": f'attachment; filename="{row.name}"',
        "Repr-Digest": f"sha-256=:{digest}:",
    }
    return Answer(body.decode(), 200, headers)


@API.operation(
    "POST",
    "payout-batches/{id}/returns",
    name="returnPayoutFile",
    tag=TAG,
    scope=Scope.PAYOUTS,
    takes=CSV,
    most_bytes=MOST_BYTES,
    file_example="payout_id,status,reference\r\npo_4Zq8Ld0Xw2Rk7Tn5Yc1Vh3,paid,TXN-88213\r\n",
    in_steps=True,
    query={"name": Text(about="What the pages call the file.", limit=120, example="results.csv")},
    answer=ref("PayoutReturn"),
    statuses={
        201: "Every line was looked at.",
        202: "More than 200 lines: they are being marked. Ask for the address in `Location` until `status` is `done`.",
    },
    headers={"Location": "The address of the returned file."},
    errors=(
        "payout_batch_not_found",
        "invalid_state",
        "batch_waits",
        "file_empty",
        "file_too_large",
        "file_unreadable",
        "file_columns",
        "too_many_rows",
    ),
)
def return_payout_file(call: Call) -> Answer:
    """Bring back a file with results.

    The body is the CSV file itself, up to 4 MB and 20,000 lines, with the columns `payout_id` and `status` or those of the company
    (docs/payout-files.md). Each line is marked by itself: a wrong one changes nothing and is named in `wrong_lines`, and a line that
    was taken before changes nothing either, so that the same file can be brought back any number of times.
    """
    name = call.query.get("name", "")
    row = returned.take_file(batch=_batch(call), name=name, data=call.file, actor=call.actor)
    return _returned(row)


@API.operation(
    "POST",
    "payout-batches/{id}/settle",
    name="settlePayoutBatch",
    tag=TAG,
    scope=Scope.PAYOUTS,
    key_required=True,
    in_steps=True,
    body={
        "outcome": Choice(
            about="What became of all lines that are open: `paid`, or `withdrawn`, so that their rewards are due again.",
            options=("paid", "withdrawn"),
            required=True,
            example="paid",
        ),
        "note": Text(about="Stands in the history of each payout.", limit=500, blank=True, example="Transfer 4711"),
    },
    answer=ref("PayoutReturn"),
    statuses={201: "They are marked.", 202: "More than 200 lines: they are being marked."},
    headers={"Location": "The address of what it came to."},
    errors=(
        "idempotency_key_missing",
        "payout_batch_not_found",
        "missing_field",
        "invalid_choice",
        "invalid_state",
        "batch_waits",
    ),
)
def settle_payout_batch(call: Call) -> Answer:
    """Settle what is open of a batch of files.

    Says in one word what became of every line that is still open. What a returned file has settled stays as it is.
    """
    note = call.body.get("note", "")
    return _returned(returned.mark_all(batch=_batch(call), kind=call.body["outcome"], note=note, actor=call.actor))


@API.operation(
    "GET",
    "payout-batches/{id}/returns",
    name="listPayoutReturns",
    tag=TAG,
    scope=Scope.READ,
    query=PAGING,
    answer=ref("PayoutReturnPage"),
    errors=("payout_batch_not_found", "pagination"),
)
def list_payout_returns(call: Call) -> Answer:
    """List what was brought back to a batch.

    Newest first: the files, and what was settled in one word.
    """
    page = page_of(call, _readable(call).filter(batch=_batch(call)))
    body, headers = page_json(call, page, [_return_json(row) for row in page.rows])
    return Answer(body, headers=headers)


@API.operation(
    "GET",
    "payout-returns/{id}",
    name="getPayoutReturn",
    tag=TAG,
    scope=Scope.READ,
    answer=ref("PayoutReturn"),
    errors=("payout_return_not_found",),
)
def get_payout_return(call: Call) -> Answer:
    """Get a returned file.

    How far it is, how many lines came to what, and the wrong ones.
    """
    return Answer(_return_json(one(_readable(call), "payout_return", call.params["id"])))


def _readable(call: Call) -> Any:
    return PayoutReturn.objects.for_tenant(call.tenant).select_related("batch").defer("sealed")


def _returned(row: PayoutReturn) -> Answer:
    headers = {"Location": f"/api/v2/payout-returns/{row.public_id}"}
    return Answer(_return_json(row), 202 if row.is_running else 201, headers)


def _file_json(row: PayoutFile) -> dict[str, Any]:
    return {
        "id": row.public_id,
        "name": row.name,
        "amount": money(row.amount_minor, row.currency),
        "lines": row.rows,
        "size": row.size,
        "sha256": row.sha256,
        "created_at": moment(row.made_at),
    }


def _return_json(row: PayoutReturn) -> dict[str, Any]:
    return {
        "id": row.public_id,
        "batch": row.batch.public_id,
        "kind": row.kind,
        "name": row.name,
        "note": row.note,
        "status": row.state,
        "lines": row.rows,
        "counts": {shown: getattr(row, name) for name, shown in _COUNTS.items()},
        "wrong_lines": [
            {"line": line, "payout": mark or None, "reason": reason} for line, mark, reason in row.wrong_rows
        ],
        "created_at": moment(row.created_at),
        "finished_at": moment(row.finished_at),
    }
