"""Asking for a file in the background, and making it: lists (written by referrals.web.list_exports), the whole account, and back again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any
from urllib.parse import parse_qsl, urlencode

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils.translation import gettext as _

from referrals.accounts import clocks, limits
from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.services import Actor, Happening, record
from referrals.lib import clock, queue
from referrals.lib.cells import csv_lines
from referrals.lib.errors import Refused
from rewards.account.archive import write_archive
from rewards.account.restore import Restored, look_at, restore
from rewards.models import Transfer

# Every list that can be a file, with the filters of its page; referrals.web.list_exports writes them.
LISTS: dict[str, tuple[str, ...]] = {
    "participants": ("q", "campaign", "role", "banned"),
    "referrals": ("campaign", "status"),
    "purchases": ("outcome", "q", "campaign", "type", "source", "reason", "since", "until"),
    "rewards": ("stage", "status", "campaign", "q", "kind", "side", "currency", "sort"),
    "payouts": ("campaign",),
    "visits": ("campaign",),
    "customers": (),
    "invitations": ("campaign", "state"),
    "fraud_cases": ("status", "campaign"),
    "history": (),
    "ledger": ("since", "until", "kind", "q"),
    "year_totals": ("year",),
}
AN_HOUR = 10
# An archive that is read back: as large as ours become, and no larger.
MOST_BYTES = 512 * 1024 * 1024
_LIST_JOB, _JOB = "referrals.web.list_exports.work", "rewards.transfers.work"
_logger = logging.getLogger(__name__)


def ask_list(*, tenant: Tenant, name: str, query: str, actor: Actor) -> Transfer:
    """Order a list as a file, with the page's filter as a query string. Refused: unknown_list, rate_limited (429)."""
    if name not in LISTS:
        raise _unknown(name)
    _count(tenant)
    return order_list(tenant=tenant, name=name, query=query, actor=actor)


def order_list(*, tenant: Tenant, name: str, query: str, actor: Actor) -> Transfer:
    """As ask_list(), for a schedule: nothing is checked or counted again."""
    with transaction.atomic():
        made = _new(tenant, actor, kind="list", name=name, query=query[:2000])
        _tell(tenant, actor, made, {"what": name, "query": query[:500]})
        queue.enqueue(_LIST_JOB, made.pk)
    return made


def ask_account(*, tenant: Tenant, actor: Actor) -> Transfer:
    """Order the whole account as an archive. Refused: rate_limited (429)."""
    _count(tenant)
    with transaction.atomic():
        made = _new(tenant, actor, kind="account")
        _tell(tenant, actor, made, {"what": "account", "query": ""})
        queue.enqueue(_JOB, made.pk)
    return made


def ask_restore(*, tenant: Tenant, file: IO[bytes], actor: Actor) -> Transfer:
    """Take an archive, and read it in the background into this account, which has to be empty.

    Refused: file_too_large (413), rate_limited (429); archive_damaged, archive_version for what is no archive at first sight.
    """
    _count(tenant)
    made = Transfer(merchant=tenant.merchant, is_test=tenant.is_test, kind="restore", actor=_who(actor))
    size = 0
    with made.path.open("wb") as to:
        made.path.chmod(0o600)
        while piece := file.read(1 << 20):
            size += len(piece)
            if size > MOST_BYTES:
                break
            to.write(piece)
    if size > MOST_BYTES:
        made.path.unlink(missing_ok=True)
        message = _("The archive is larger than 512 MB; read it with manage.py import_account.")
        raise Refused(
            "file_too_large",
            message,
            field="file",
            status=413,
        )
    try:
        look_at(made.path)
    except Refused:
        made.path.unlink(missing_ok=True)
        raise
    made.size = size
    with transaction.atomic():
        made.save(force_insert=True)
        queue.enqueue(_JOB, made.pk)
    return made


def check_filters(name: str, given: Mapping[str, object]) -> str:
    """The filters as a query string. Raises Refused: unknown_list, unknown_filter (400)."""
    if name not in LISTS:
        raise _unknown(name)
    for key, value in given.items():
        if key not in LISTS[name] or not isinstance(value, str):
            message = _("The list %(list)s has no filter %(name)s; it has %(all)s.")
            words = {"list": name, "name": str(key)[:40], "all": ", ".join(LISTS[name]) or _("none")}
            raise Refused("unknown_filter", message % words, field="filter", status=400)
    return urlencode(dict(given))


def read_filters(query: str) -> dict[str, str]:
    """What check_filters() made."""
    return dict(parse_qsl(query))


def _unknown(name: str) -> Refused:
    message = _("There is no list %(name)r; there are %(all)s.")
    return Refused("unknown_list", message % {"name": name[:40], "all": ", ".join(LISTS)}, field="list")


def _count(tenant: Tenant) -> None:
    allowed = limits.take(f"export:{tenant.merchant.pk}:{tenant.is_test}", limit=AN_HOUR, seconds=3600)
    if not allowed.allowed:
        message = _("At most %(n)d files an hour are made. Try again later.")
        raise Refused("rate_limited", message % {"n": AN_HOUR}, status=429, details={"retry_after": allowed.resets_in})


def _new(tenant: Tenant, actor: Actor, **values: Any) -> Transfer:
    return Transfer.objects.create(merchant=tenant.merchant, is_test=tenant.is_test, actor=_who(actor), **values)


def _who(actor: Actor) -> list[str]:
    return [actor.kind, actor.ref, actor.label]


def _tell(tenant: Tenant, actor: Actor, made: Transfer, data: dict[str, Any]) -> None:
    record(tenant, actor, Happening(types.EXPORT_MADE, "export", made.public_id, data=data))


def work(transfer_id: int) -> None:
    """What the worker does with an account's archive."""
    carry_out(transfer_id, _make)


def sweep(make: Callable[[Transfer], dict[str, Any]]) -> int:
    """For the schedule: files whose worker was lost are made again, and those over a week old go. Returns how many were made."""
    lost = Q(state="queued") | Q(state="working", claimed_at__lt=clock.wall() - Transfer.LEASE)
    waiting = Transfer.objects.filter(lost).order_by("pk").values_list("pk", "kind")[:20]
    for pk, kind in list(waiting):
        carry_out(pk, make if kind == "list" else _make)
    old = Transfer.objects.filter(created_at__lt=clock.wall() - Transfer.KEPT, gone_at=None).exclude(
        state__in=Transfer.OPEN
    )
    for row in old.order_by("pk")[:100]:
        row.path.unlink(missing_ok=True)
        row.mapping_path.unlink(missing_ok=True)
        Transfer.objects.filter(pk=row.pk).update(gone_at=clock.wall())
    _remove_strays()
    return len(waiting)


def _remove_strays() -> None:
    """Files whose rows went before them, with a test side that was emptied or a worker that died while it wrote."""
    folder = Path(settings.DATA_DIR) / "exports"
    oldest = (clock.wall() - Transfer.KEPT).timestamp()
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.stat().st_mtime < oldest:
            path.unlink(missing_ok=True)


def carry_out(transfer_id: int, make: Callable[[Transfer], dict[str, Any]]) -> None:
    """Make one file with `make`, which gives the row's values; whoever claims it first does. A refusal is its error."""
    now = clock.wall()
    free = Q(state="queued") | Q(state="working", claimed_at__lt=now - Transfer.LEASE)
    claimed = Transfer.objects.filter(free, pk=transfer_id).update(
        state="working", claimed_at=now, attempts=F("attempts") + 1
    )
    if not claimed:
        return
    row = Transfer.objects.select_related("merchant").get(pk=transfer_id)
    values: dict[str, Any]
    try:
        if row.attempts > Transfer.MOST_ATTEMPTS:
            raise Refused("gave_up", _("It failed %(n)d times.") % {"n": Transfer.MOST_ATTEMPTS})
        with clocks.running(row.tenant):
            values = {"state": "done", "size": row.path.stat().st_size if row.path.exists() else 0, **make(row)}
    except Refused as error:
        values = {"state": "failed", "error": error.message[:300]}
    except Exception:
        # Told to whoever runs the installation; the row waits for its lease to end, and is tried again.
        _logger.exception("the file %s could not be made", row.public_id)
        return
    Transfer.objects.filter(pk=row.pk, claimed_at=row.claimed_at).update(finished_at=clock.wall(), **values)


def _make(row: Transfer) -> dict[str, Any]:
    if row.kind == "account":
        manifest = write_archive(row.tenant, row.path)
        return {"rows": sum(item["rows"] for item in manifest["files"]), "size": row.path.stat().st_size}
    done = restore(tenant=row.tenant, path=row.path, actor=Actor(*row.actor))
    write_mapping(done, row.mapping_path)
    row.path.unlink(missing_ok=True)
    rows = sum(done.rows.values())
    return {"rows": rows, "size": 0, "result": {"rows": rows, "ids": len(done.ids), "codes": len(done.codes)}}


def write_mapping(done: Restored, path: Path) -> None:
    """Which ids and codes of an archive are others here, as CSV."""
    rows = [("id", *pair) for pair in done.ids.items()] + [("code", *pair) for pair in done.codes.items()]
    write_csv(path, ("what", "before", "now"), rows)


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> int:
    """Write a safe CSV file, whole or not at all; returns how many rows. Memory does not grow with them."""
    partial, count = path.with_suffix(".part"), -1
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            partial.chmod(0o600)
            for line in csv_lines(columns, rows):
                file.write(line)
                count += 1
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return count
