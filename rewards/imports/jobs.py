"""Importing a file: a dry run first, then applied in batches that can be interrupted anywhere (RELIABILITY F1; ADR 3).

Each batch is one transaction: it claims its place on the import's row, writes, and tells the history. Whoever comes second finds the
place taken. Reading starts anew at that place, so a killed worker loses nothing and does nothing twice.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import islice
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from campaigns.models import Campaign
from referrals.accounts import clocks
from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.services import Actor, Happening
from referrals.events.services import record as tell
from referrals.lib import clock, queue
from referrals.lib.errors import Refused
from referrals.lib.tables import read_table, rows_of
from rewards.import_models import Import, ImportFile
from rewards.imports import apply_people, doings
from rewards.imports.fields import BY_NAME, guess, missing
from rewards.imports.people import BOND, Finder, PeopleReader, Person, Seen, plan
from rewards.imports.rows import Row, Wrong, file_data, numbered, rows_in

MOST_BYTES = 10 * 1024 * 1024
MOST_ROWS = 1_000_000
MOST_COLUMNS = 100
# More wrong rows than this are no slips: the file is read in the wrong way.
MOST_WRONG = 10_000
# Files up to this size are worked through at once; larger ones by the worker, with progress.
AT_ONCE = 1000
PEOPLE_BATCH, EVENTS_BATCH = 5000, 200
WORKER_SECONDS = 45.0
KEPT = timedelta(days=7)
PREVIEW = 5
_JOB = "rewards.imports.jobs.work"
_NOTHING_DONE: dict[str, Any] = {"position": 0, "bound_to": 0, "added": 0, "updated": 0, "known": 0, "wrong": 0}


def start(*, tenant: Tenant, kind: str, campaign: Campaign, name: str, data: bytes, actor: Actor) -> Import:
    """Take a file and begin the dry run, or wait for its columns to be chosen. Nothing is kept of one that is refused:
    file_empty, file_too_large (413), file_unreadable, too_many_rows, duplicate_column, invalid_choice."""
    if kind not in dict(Import.KINDS):
        raise Refused("invalid_choice", _("Choose what is in the file."), field="kind")
    if len(data) > MOST_BYTES:
        raise Refused("file_too_large", _("The file is larger than 10 MB. Split it."), field="file", status=413)
    table = read_table(data, western=True)
    rows = rows_of(table)
    found = next(rows, None)
    if found is None:
        raise Refused("file_empty", _("The file has no rows."), field="file")
    first = found[1]
    if len(first) > MOST_COLUMNS:
        raise Refused("file_unreadable", _("The file has more than 100 columns; is it a CSV file?"), field="file")
    guessed = guess(kind, first)
    count = sum(1 for _row in rows) + (not guessed.has_header)
    if count > MOST_ROWS:
        words = {"count": count, "most": MOST_ROWS}
        raise Refused(
            "too_many_rows", _("The file has %(count)d rows; at most %(most)d go at once.") % words, field="file"
        )
    if not count:
        raise Refused("file_empty", _("The file has no rows."), field="file")
    with transaction.atomic():
        upload = Import.objects.create(
            merchant=tenant.merchant,
            is_test=tenant.is_test,
            campaign=campaign,
            kind=kind,
            name=" ".join(name.split())[:120] or "import.csv",
            preset=guessed.preset,
            encoding=table.encoding,
            columns=[cell[:80] for cell in first],
            has_header=guessed.has_header,
            mapping=guessed.mapping,
            rows=count,
            state="mapping" if missing(kind, guessed.mapping) else "checking",
            actor=[actor.kind, actor.ref, actor.label],
        )
        ImportFile.objects.create(upload=upload, data=data)
        if upload.is_running:
            _hand_over(upload)
    return _done_at_once(upload)


def remap(
    *, upload: Import, mapping: Mapping[str, int], has_header: bool, date_order: str, decimal_mark: str, campaign: Campaign, decide: bool
) -> Import:  # fmt: skip
    """Read the file another way, and look at it again. Refused: column, invalid_choice, invalid_state."""
    for name, column in mapping.items():
        if name not in BY_NAME or upload.kind not in BY_NAME[name].kinds or column not in range(len(upload.columns)):
            raise Refused("column", _("The file has no such column."), field=name)
    if problem := missing(upload.kind, mapping):
        raise Refused("column", problem, field="mapping")
    columns = list(mapping.values())
    twice = next((column for column in columns if columns.count(column) > 1), None)
    if twice is not None:
        words = {"name": upload.columns[twice] or str(twice + 1)}
        raise Refused("column", _("The column %(name)s is chosen twice.") % words, field="mapping")
    for value, choices, name in (
        (date_order, Import.DATES, "date_order"),
        (decimal_mark, Import.MARKS, "decimal_mark"),
    ):
        if value not in dict(choices):
            raise Refused("invalid_choice", _("Choose one of the answers."), field=name)
    rows = upload.rows + upload.has_header - has_header
    with transaction.atomic():
        changed = Import.objects.filter(pk=upload.pk, state__in=["mapping", "checked"]).update(
            state="checking", mapping=dict(mapping), has_header=has_header, date_order=date_order, decimal_mark=decimal_mark,
            campaign=campaign, decide=decide, rows=rows, **_NOTHING_DONE,
        )  # fmt: skip
        if not changed:
            raise _elsewhere()
        upload.refresh_from_db()
        _hand_over(upload)
    return _done_at_once(upload)


def apply(*, upload: Import) -> Import:
    """Do what the dry run said, without the wrong rows. Refused: invalid_state unless it was looked at, too_many_wrong_rows."""
    if upload.wrong > MOST_WRONG:
        message = _("More than %(most)d rows are wrong. Look at the columns: the file is read in the wrong way.")
        raise Refused("too_many_wrong_rows", message % {"most": MOST_WRONG})
    with transaction.atomic():
        values = {**_NOTHING_DONE, "wrong": F("wrong")}
        if not Import.objects.filter(pk=upload.pk, state="checked").update(state="applying", **values):
            raise _elsewhere()
        _hand_over(upload)
    return _done_at_once(upload)


def drop(*, upload: Import) -> None:
    """Throw a file away that was not applied."""
    with transaction.atomic():
        open_ = Import.objects.filter(pk=upload.pk, state__in=["mapping", "checking", "checked"])
        if not open_.update(state="dropped", finished_at=clock.wall()):
            raise _elsewhere()
        ImportFile.objects.filter(upload=upload).delete()


def preview(upload: Import) -> list[list[str]]:
    """The first rows below the header, as wide as the header."""
    width = len(upload.columns)
    rows = islice(rows_in(upload), PREVIEW)
    return [[*row.cells[:width], *[""] * (width - len(row.cells))] for row in rows]


def wrong_rows(upload: Import) -> Iterator[list[str]]:
    """The rows that can't be taken, as they stand in the file, each with its reason behind it."""
    file = ImportFile.objects.get(upload=upload)
    reasons = {line: (name, reason) for line, name, reason in file.wrong}
    width = len(upload.columns)
    for row in numbered(bytes(file.data), has_header=upload.has_header):
        if row.line in reasons:
            name, reason = reasons[row.line]
            label = f"{BY_NAME[name].label}: " if name in BY_NAME else ""
            yield [*row.cells[:width], *[""] * (width - len(row.cells)), f"{label}{reason}"]


def work(upload_id: int) -> bool:
    """What the worker does with a file for a while; it asks for more time when it needs more. True when it is over."""
    end = time.monotonic() + WORKER_SECONDS
    if _go_on(upload_id, end):
        return True
    with transaction.atomic():
        queue.enqueue(_JOB, upload_id)
    return False


def sweep() -> int:
    """For the schedule: files whose worker was lost go on, and what is over a week old goes. Returns how many were going on."""
    running = list(Import.objects.filter(state__in=Import.RUNNING).order_by("pk").values_list("pk", flat=True)[:20])
    for pk in running:
        _go_on(pk, time.monotonic() + WORKER_SECONDS)
    old = Import.objects.filter(created_at__lt=clock.wall() - KEPT).exclude(file=None)
    for upload in old.exclude(state__in=Import.RUNNING).order_by("pk")[:100]:
        with transaction.atomic():
            Import.objects.filter(pk=upload.pk, state__in=["mapping", "checked"]).update(
                state="dropped", finished_at=clock.wall()
            )
            ImportFile.objects.filter(upload=upload).delete()
    return len(running)


def forget_files(tenant: Tenant) -> None:
    """Throw away all uploaded files of a side: somebody's data is erased, and a file may name them. In the caller's transaction."""
    open_ = Import.objects.for_tenant(tenant).exclude(state__in=["done", "dropped"])
    open_.update(state="dropped", finished_at=clock.wall())
    ImportFile.objects.filter(upload__merchant=tenant.merchant, upload__is_test=tenant.is_test).delete()


def _hand_over(upload: Import) -> None:
    if upload.rows > AT_ONCE:
        queue.enqueue(_JOB, upload.pk)


def _done_at_once(upload: Import) -> Import:
    if upload.rows <= AT_ONCE:
        _go_on(upload.pk, time.monotonic() + WORKER_SECONDS)
    return Import.objects.select_related("merchant", "campaign__merchant").get(pk=upload.pk)


def _elsewhere() -> Refused:
    return Refused("invalid_state", _("This file is being worked on, or done. Reload the page."), status=409)


def _go_on(upload_id: int, end: float) -> bool:
    upload = Import.objects.select_related("merchant", "campaign__merchant").filter(pk=upload_id).first()
    if upload is None or not upload.is_running:
        return True
    with clocks.running(upload.tenant):
        try:
            if upload.state == "checking":
                _check(upload)
                return True
            return _apply(upload, end)
        except ImportFile.DoesNotExist:
            return True  # thrown away meanwhile


def _check(upload: Import) -> None:
    """Count what applying would do, from the beginning."""
    rows = Import.objects.filter(pk=upload.pk, state="checking")
    rows.update(**_NOTHING_DONE)
    counts, wrong = _check_people(upload) if upload.reads_people else _check_events(upload)
    wrong.sort(key=lambda item: item.line)
    with transaction.atomic():
        done = rows.update(state="checked", position=upload.rows, wrong=len(wrong), **counts)
        if done:
            ImportFile.objects.filter(upload=upload).update(wrong=[item.kept() for item in wrong[:MOST_WRONG]])


def _check_people(upload: Import) -> tuple[dict[str, int], list[Wrong]]:
    reader, seen = PeopleReader(upload), Seen()
    wrong: list[Wrong] = []
    waiting: list[tuple[Person, bool]] = []
    added = updated = known = 0
    for batch in _batches(rows_in(upload), PEOPLE_BATCH):
        people, bad = _read_people(reader, batch)
        made = plan(people, seen)
        wrong += bad + made.wrong
        added, updated, known = added + len(made.new), updated + len(made.changes), known + made.known
        candidates = [(person, True) for person in made.new] + [
            (person, False) for _there, person, fields in made.changes if "referrer" in fields
        ]
        named = [pair for pair in candidates if pair[0].has_referrer]
        finder = Finder.for_people([person for person, _new in named])
        waiting += [pair for pair in named if finder.referrer_of(pair[0]) is None]
        statusless = [person for person in made.new if person.status and not person.has_referrer]
        wrong += [
            Wrong(person.line, "status", _("They were not invited by anybody, so there is no referral with a status."))
            for person in statusless
        ]
        added -= len(statusless)
        Import.objects.filter(pk=upload.pk, state="checking").update(position=batch[-1].number)
    lost = _without_referrer([person for person, _new in waiting], seen)
    for person, is_new in waiting:
        if person.line in lost:
            added, updated = added - is_new, updated - (not is_new)
            wrong.append(apply_people.unknown_referrer(person))
    return {"added": added, "updated": updated, "known": known}, wrong


def _without_referrer(waiting: list[Person], seen: Seen) -> set[int]:
    """The lines of those whose referrer stands nowhere in the file either, or only in a row that falls for the same reason."""
    lost: set[int] = set()
    while True:
        more = {person.line for person in waiting if person.line not in lost and not seen.has_referrer_of(person, lost)}
        if not more:
            return lost
        lost |= more


def _read_people(reader: PeopleReader, batch: list[Row]) -> tuple[list[Person], list[Wrong]]:
    read = [reader.read(row.line, row.cells) for row in batch]
    return [item for item in read if isinstance(item, Person)], [item for item in read if isinstance(item, Wrong)]


def _check_events(upload: Import) -> tuple[dict[str, int], list[Wrong]]:
    reader = doings.DoingReader(upload)
    counts = {"new": 0, "updated": 0, "known": 0}
    wrong: list[Wrong] = []
    seen: set[doings.Fact] = set()
    for batch in _batches(rows_in(upload), 1000):
        read = [reader.read(row.line, row.cells) for row in batch]
        found = doings.find(upload.tenant, [item for item in read if isinstance(item, doings.Doing)])
        for item in read:
            result = doings.outcome(item, found, seen) if isinstance(item, doings.Doing) else item
            if isinstance(result, Wrong):
                wrong.append(result)
            else:
                counts[result] += 1
        Import.objects.filter(pk=upload.pk, state="checking").update(position=batch[-1].number)
    return {"added": counts["new"], "updated": counts["updated"], "known": counts["known"]}, wrong


def _batches(rows: Iterator[Row], size: int) -> Iterator[list[Row]]:
    while batch := list(islice(rows, size)):
        yield batch


def _apply(upload: Import, end: float) -> bool:
    """Batches until the time is over. True when there is nothing left."""
    skipped = {line for line, _name, _reason in ImportFile.objects.values_list("wrong", flat=True).get(upload=upload)}
    data = file_data(upload)
    size = PEOPLE_BATCH if upload.reads_people else EVENTS_BATCH
    for batch in _batches(numbered(data, has_header=upload.has_header, skip=upload.position), size):
        if not _apply_batch(upload, batch, skipped) or time.monotonic() > end:
            return False
    if upload.reads_people:
        for batch in _batches(numbered(data, has_header=upload.has_header, skip=upload.bound_to), size):
            if not _bind_batch(upload, batch, skipped) or time.monotonic() > end:
                return False
    Import.objects.filter(pk=upload.pk, state="applying").update(state="done", finished_at=clock.wall())
    return True


def _claim(upload: Import, place: str, batch: list[Row]) -> bool:
    """Take the next place on the import's row; False when another worker has it, or it was thrown away."""
    rows = Import.objects.filter(pk=upload.pk, state="applying", **{place: batch[0].number - 1})
    taken = rows.update(**{place: batch[-1].number})
    setattr(upload, place, batch[-1].number)
    return bool(taken)


def _apply_batch(upload: Import, batch: list[Row], skipped: set[int]) -> bool:
    actor = Actor(*upload.actor)
    wanted = [row for row in batch if row.line not in skipped]
    with transaction.atomic():
        if not _claim(upload, "position", batch):
            return False
        if upload.reads_people:
            people, wrong = _read_people(PeopleReader(upload), wanted)
            made = plan(people, Seen())
            wrong += made.wrong + apply_people.add_people(upload, made, actor)
            added, updated, known = len(made.new), len(made.changes), made.known
        else:
            added, updated, known, wrong = _record_events(upload, wanted, actor)
        _note_wrong(upload, wrong, skipped)
        Import.objects.filter(pk=upload.pk).update(
            added=F("added") + added, updated=F("updated") + updated, known=F("known") + known
        )
        if added or updated:
            data = {
                "file": upload.name, "kind": upload.kind, "first": batch[0].number, "last": batch[-1].number, "added": added,
                "updated": updated, "wrong": len(wrong), "decided": upload.decide,
            }  # fmt: skip
            about = Happening(
                types.IMPORT_APPLIED, "import", upload.public_id, campaign=upload.campaign.public_id, data=data
            )
            tell(upload.tenant, actor, about)
    return True


def _bind_batch(upload: Import, batch: list[Row], skipped: set[int]) -> bool:
    actor = Actor(*upload.actor)
    with transaction.atomic():
        if not _claim(upload, "bound_to", batch):
            return False
        reader = PeopleReader(upload, only=BOND)
        people, _wrong = _read_people(reader, [row for row in batch if row.line not in skipped])
        _note_wrong(upload, apply_people.bind_people(upload, people, actor), skipped)
    return True


def _record_events(upload: Import, batch: list[Row], actor: Actor) -> tuple[int, int, int, list[Wrong]]:
    reader = doings.DoingReader(upload)
    read = [reader.read(row.line, row.cells) for row in batch]
    rows = [item for item in read if isinstance(item, doings.Doing)]
    wrong = [item for item in read if isinstance(item, Wrong)]
    found = doings.find(upload.tenant, rows)
    seen: set[doings.Fact] = set()
    counts = {"new": 0, "updated": 0, "known": 0}
    for row in rows:
        result = doings.outcome(row, found, seen)
        if isinstance(result, Wrong):
            wrong.append(result)
            continue
        try:
            if result != "known":
                with transaction.atomic():
                    doings.record(row, found, upload=upload, actor=actor)
            counts[result] += 1
        except Refused as error:
            wrong.append(Wrong(row.line, error.field, error.message))
    return counts["new"], counts["updated"], counts["known"], wrong


def _note_wrong(upload: Import, wrong: list[Wrong], skipped: set[int]) -> None:
    """Rows that were right when they were looked at, and can't be taken now."""
    fresh = [item for item in wrong if item.line not in skipped]
    if not fresh:
        return
    skipped.update(item.line for item in fresh)
    file = ImportFile.objects.select_for_update().get(upload=upload)
    kept = sorted([*file.wrong, *(item.kept() for item in fresh)], key=lambda item: int(item[0]))
    ImportFile.objects.filter(upload=upload).update(wrong=kept[: 2 * MOST_WRONG])
    Import.objects.filter(pk=upload.pk).update(wrong=F("wrong") + len(fresh))
