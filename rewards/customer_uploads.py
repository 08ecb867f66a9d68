"""Uploading a list of customers: a dry run first, then applied in chunks that can be interrupted anywhere (RELIABILITY F1)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from participants import customer_files, customers
from participants.customer_files import Wrong
from participants.customers import Customer
from participants.models import CustomerUpload
from referrals.accounts import clocks
from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.services import Actor, Happening, record
from referrals.lib import clock, queue
from referrals.lib.errors import Refused
from rewards.customers import recheck

# Files up to this size are worked through at once; larger ones by the worker, with progress.
AT_ONCE = 2000
KEPT_WRONG = 10_000
KEPT = timedelta(days=1)
_JOB = "rewards.customer_uploads.work"


def start(*, tenant: Tenant, name: str, data: bytes, actor: Actor) -> CustomerUpload:
    """Take a file and begin the dry run. Refused: file_empty, file_too_large, file_unreadable, too_many_rows; nothing is kept then."""
    layout = customer_files.check_file(data)
    with transaction.atomic():
        upload = CustomerUpload(
            merchant=tenant.merchant,
            is_test=tenant.is_test,
            name=" ".join(name.split())[:120] or "customers.csv",
            data=data,
            columns=[cell[:80] for cell in layout.columns],
            has_header=layout.has_header,
            column=layout.column,
            kind=layout.kind,
            since_column=layout.since_column,
            actor=[actor.kind, actor.ref, actor.label],
        )
        upload.rows = customer_files.count_rows(upload)
        upload.save(force_insert=True)
        _hand_over(upload)
    return _done_at_once(upload)


def remap(
    *, upload: CustomerUpload, has_header: bool, column: int, kind: str, since_column: int | None
) -> CustomerUpload:
    """Read the file another way, and look at it again. Refused: column, invalid_choice, invalid_state."""
    columns = range(len(upload.columns))
    if column not in columns or (since_column is not None and since_column not in columns):
        raise Refused("column", _("The file has no such column."), field="column")
    if since_column == column:
        raise Refused("column", _("The dates stand in another column than the customers."), field="since_column")
    if kind not in dict(CustomerUpload.KINDS):
        raise Refused("invalid_choice", _("Choose what the column has in it."), field="kind")
    upload.has_header, upload.column, upload.kind, upload.since_column = has_header, column, kind, since_column
    with transaction.atomic():
        changed = CustomerUpload.objects.filter(pk=upload.pk, state="checked").update(
            state="checking",
            has_header=has_header,
            column=column,
            kind=kind,
            since_column=since_column,
            rows=customer_files.count_rows(upload),
            **_NOTHING_DONE,
        )
        if not changed:
            raise _elsewhere()
        _hand_over(upload)
    return _done_at_once(upload)


_NOTHING_DONE: dict[str, Any] = {
    "position": 0,
    "added": 0,
    "known": 0,
    "wrong": 0,
    "decided": 0,
    "decided_to": 0,
    "wrong_rows": [],
}


def apply(*, upload: CustomerUpload) -> CustomerUpload:
    """Put the file's customers on the list and decide their friends again; Refused `invalid_state` unless it was looked at."""
    with transaction.atomic():
        changed = CustomerUpload.objects.filter(pk=upload.pk, state="checked").update(state="applying", **_NOTHING_DONE)
        if not changed:
            raise _elsewhere()
        _hand_over(upload)
    return _done_at_once(upload)


def drop(*, upload: CustomerUpload) -> None:
    """Throw a file away that was not applied."""
    changed = CustomerUpload.objects.filter(pk=upload.pk, state__in=["checking", "checked"]).update(
        state="dropped", data=None, wrong_rows=[], finished_at=clock.wall()
    )
    if not changed:
        raise _elsewhere()


def work(upload_id: int) -> None:
    """What the worker does with a file; again from where it stood when it was interrupted. Nothing for one that is done."""
    upload = CustomerUpload.objects.select_related("merchant").filter(pk=upload_id).first()
    if upload is None or not upload.is_running:
        return
    with clocks.running(upload.tenant):
        if upload.state == "checking":
            _check(upload)
        else:
            _apply(upload)


def work_all() -> int:
    """What the schedule does: files that a lost nudge left behind, and those that nobody applied. Returns how many."""
    running = CustomerUpload.objects.filter(state__in=["checking", "applying"]).exclude(data=None)
    waiting = list(running.order_by("pk").values_list("pk", flat=True)[:20])
    for pk in waiting:
        work(pk)
    forgotten = CustomerUpload.objects.filter(created_at__lt=clock.wall() - KEPT, state="checked").exclude(data=None)
    return len(waiting) + forgotten.update(state="dropped", data=None, wrong_rows=[], finished_at=clock.wall())


def _hand_over(upload: CustomerUpload) -> None:
    if upload.rows > AT_ONCE:
        queue.enqueue(_JOB, upload.pk)


def _done_at_once(upload: CustomerUpload) -> CustomerUpload:
    if upload.rows <= AT_ONCE:
        work(upload.pk)
    return CustomerUpload.objects.select_related("merchant").get(pk=upload.pk)


def _elsewhere() -> Refused:
    return Refused("invalid_state", _("This file is being worked on, or done. Reload the page."), status=409)


def _chunks(upload: CustomerUpload, skip: int) -> Iterator[tuple[list[Customer], list[list[Any]], int]]:
    """(customers, wrong rows, how many rows were read then) for a thousand rows at a time, after the first `skip`."""
    rows = customer_files.read(upload, skip=skip)
    while chunk := list(islice(rows, customers.CHUNK)):
        skip += len(chunk)
        found = [item for _line, item in chunk if isinstance(item, Customer)]
        wrong = [[line, item.text, item.reason] for line, item in chunk if isinstance(item, Wrong)]
        yield found, wrong, skip


def _check(upload: CustomerUpload) -> None:
    """Count what applying would do, from the beginning: whoever stands twice in a file is new once."""
    seen: set[str] = set()
    rows = CustomerUpload.objects.filter(pk=upload.pk, state="checking")
    rows.update(**_NOTHING_DONE)
    position = 0
    wrong_rows: list[list[Any]] = []
    for found, wrong, end in _chunks(upload, 0):
        keys = {item.key for item in found} - seen
        seen |= keys
        wrong_rows = (wrong_rows + wrong)[:KEPT_WRONG]
        added = len(keys - customers.known_keys(upload.tenant, keys))
        changes = _counted(end, added, len(found), len(wrong), wrong_rows)
        if not rows.filter(position=position).update(**changes):
            return  # dropped, or another worker is at it
        position = end
    rows.update(state="checked")


def _apply(upload: CustomerUpload) -> None:
    """Put them on the list and decide their friends again, a chunk a transaction; what was on the list before is not counted twice."""
    rows = CustomerUpload.objects.filter(pk=upload.pk, state="applying")
    position, wrong_rows, before = upload.position, list(upload.wrong_rows), upload.decided_to
    for found, wrong, end in _chunks(upload, before):
        if end > position:
            wrong_rows = (wrong_rows + wrong)[:KEPT_WRONG]
            with transaction.atomic():
                added = customers.put_on_list(upload.tenant, found).added
                changes = _counted(end, added, len(found), len(wrong), wrong_rows)
                if not rows.filter(position=position).update(**changes):
                    transaction.set_rollback(True)
                    return
            position = end
        decided = recheck(customers.participants_of(upload.tenant, found), Actor(*upload.actor))
        if not rows.filter(decided_to=before).update(decided_to=end, decided=F("decided") + decided):
            return
        before = end
    with transaction.atomic():
        if rows.update(state="done", data=None, finished_at=clock.wall()):
            _tell(CustomerUpload.objects.select_related("merchant").get(pk=upload.pk))


def _counted(end: int, added: int, found: int, wrong: int, wrong_rows: list[list[Any]]) -> dict[str, Any]:
    return {
        "position": end,
        "added": F("added") + added,
        "known": F("known") + found - added,
        "wrong": F("wrong") + wrong,
        "wrong_rows": wrong_rows,
    }


def _tell(upload: CustomerUpload) -> None:
    if upload.added:
        subject, data = upload.merchant.public_id, {"count": upload.added, "file": upload.name}
        record(upload.tenant, Actor(*upload.actor), Happening(types.CUSTOMERS_ADDED, "merchant", subject, data=data))
