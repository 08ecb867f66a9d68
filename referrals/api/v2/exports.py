"""Exports: every list of the pages as a CSV file, made in the background (docs/exports.md)."""

from __future__ import annotations

from typing import Any

from django.core.signing import BadSignature, TimestampSigner
from django.http import FileResponse, Http404, HttpRequest, HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_safe

from referrals.accounts.models import Scope
from referrals.api.errors import error_answer
from referrals.api.fields import Choice, Json
from referrals.api.finding import one
from referrals.api.idempotency import Answer
from referrals.api.operations import Call
from referrals.api.schema import ref
from referrals.api.v2.base import API, PAGING, page_json, page_of
from referrals.api.v2.shapes import moment
from rewards import transfers
from rewards.models import Transfer

TAG = "Exports"
# How long an address of a file can be fetched; asking for the export again makes another one.
SECONDS = 3600
_SIGNER = TimestampSigner(salt="referrals.api.exports")


@API.operation(
    "POST",
    "exports",
    tag=TAG,
    scope=Scope.READ,
    body={
        "list": Choice(about="Which list.", options=tuple(transfers.LISTS), required=True, example="participants"),
        "filter": Json(
            about="The filter of the list's page, as texts: such as `campaign`, `q`; of rewards `status`, as in their list, or `stage`.",
            kind=dict,
            shape={"type": "object", "additionalProperties": {"type": "string"}},
            example={"banned": "no"},
        ),
    },
    answer=ref("Export"),
    statuses={202: "It is being made: ask for the address in `Location`."},
    headers={"Location": "The address of the export."},
    errors=("missing_field", "invalid_choice", "unknown_list", "unknown_filter", "invalid_type"),
)
def make_export(call: Call) -> Answer:
    """Make an export.

    The list is written to a CSV file in the background: UTF-8, every cell quoted, safe to open in a spreadsheet. At most ten an hour
    are made; the file is kept for a week. A filter that a list does not understand is refused, one that names nothing fails.
    """
    name = call.body["list"]
    query = transfers.check_filters(name, call.body.get("filter") or {})
    row = transfers.ask_list(tenant=call.tenant, name=name, query=query, actor=call.actor)
    return Answer(export_json(call, row), 202, {"Location": f"/api/v2/exports/{row.public_id}"})


@API.operation(
    "GET", "exports", tag=TAG, scope=Scope.READ, query=PAGING, answer=ref("ExportPage"), errors=("pagination",)
)
def list_exports(call: Call) -> Answer:
    """List exports.

    Newest first. Archives of the whole account are for owners, on their page, and not here.
    """
    page = page_of(call, Transfer.objects.for_tenant(call.tenant).filter(kind="list"))
    body, headers = page_json(call, page, [export_json(call, row) for row in page.rows])
    return Answer(body, 200, headers)


@API.operation(
    "GET", "exports/{id}", tag=TAG, scope=Scope.READ, answer=ref("Export"), errors=("export_not_found",)
)  # fmt: skip
def get_export(call: Call) -> Answer:
    """Get an export.

    How far it is, and the address of the file once it is there.
    """
    rows = Transfer.objects.for_tenant(call.tenant).filter(kind="list")
    return Answer(export_json(call, one(rows, "export", call.params["id"])))


def export_json(call: Call, row: Transfer) -> dict[str, Any]:
    """Export."""
    url = None
    if row.state == "done" and row.gone_at is None:
        address = reverse("api:export-file", args=[row.public_id])
        url = call.request.build_absolute_uri(f"{address}?token={_SIGNER.sign(row.public_id).partition(':')[2]}")
    return {
        "id": row.public_id,
        "list": row.name,
        "filter": transfers.read_filters(row.query),
        "status": row.state,
        "rows": row.rows,
        "size": row.size,
        "error": row.error or None,
        "url": url,
        "created_at": moment(row.created_at),
        "finished_at": moment(row.finished_at),
        "expires_at": moment(row.created_at + Transfer.KEPT),
    }


@require_safe
def export_file(request: HttpRequest, public_id: str) -> HttpResponseBase:
    """The file itself, for whoever has a signed address of the last hour. 404 for everything else, whatever is wrong with it."""
    try:
        _SIGNER.unsign(f"{public_id}:{request.GET.get('token', '')[:200]}", max_age=SECONDS)
        row = Transfer.objects.get(public_id=public_id, kind="list", state="done", gone_at=None)
        file = row.path.open("rb")
    except (BadSignature, Transfer.DoesNotExist, OSError):
        return error_answer(Http404(), request.path)
    answer = FileResponse(file, as_attachment=True, filename=f"{row.name}.csv", content_type="text/csv; charset=utf-8")
    answer["Cache-Control"] = "private, no-store"
    return answer
