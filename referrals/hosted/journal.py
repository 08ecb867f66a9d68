"""The click journal: the fast path appends one line per click to a file, a loader moves the lines into Visit exactly once.

Why not a row per click: an insert costs five times what the rest of the answer costs (PERFORMANCE.md, section 2). A line that
`os.write` has taken survives the death of the process; the loader's progress is a row (ClickSegment) that moves in the same
transaction as the visits, so a crash at any point neither loses a click nor counts it twice.

Each web process appends to a segment of its own and loads that one about once a second from a thread; `load()` reads all of them, for
the schedule and for segments whose process is gone. A segment is deleted when it is wholly loaded and nobody has it open, which a
shared lock tells.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection, transaction
from django.utils import timezone

from participants.models import Participant, Visit
from referrals.hosted.models import ClickSegment
from referrals.lib.codes import random_text
from referrals.lib.requests import truncate_ip

log = logging.getLogger(__name__)
CHUNK = 2 * 1024 * 1024
SEGMENT_BYTES = 32 * 1024 * 1024
SEGMENT_SECONDS = 600
COLUMNS = (
    "merchant_id", "is_test", "campaign_id", "referrer_id", "visitor", "occurred_at", "hidden_reason", "channel", "network", "agent",
    "referer", "utm",
)  # fmt: skip
_FIELDS = 11
_OLD_FIELDS = 9  # lines of a release before 2, which may still lie there after an update


def folder() -> Path:
    """Where the segments are."""
    return Path(settings.DATA_DIR) / "clicks"


def line(
    *,
    at: float,
    merchant: int,
    is_test: bool,
    campaign: int,
    referrer: int,
    visitor: str,
    hidden: str,
    ip: str,
    agent: str,
    channel: str = "",
    referer: str = "",
) -> bytes:
    """One click as it stands in a segment. No value may hold a tab or a line's end; `agent` is printable text (clicks.agent)."""
    text = f"{at:.6f}\t{merchant}\t{is_test:d}\t{campaign}\t{referrer}\t{visitor}\t{hidden}\t{ip}\t{agent}\t{channel}\t{referer}\n"
    return text.encode("utf-8", "replace")


class Writer:
    """One process's segment. append() may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fd = self._older = -1
        self._pid = 0
        self._bytes = 0
        self._since = 0.0
        self.path: Path | None = None

    def append(self, data: bytes) -> None:
        """Write one line at once; raises OSError when the disk does not take all of it (the segment is left, the next one begun)."""
        if self._pid != os.getpid() or self._bytes > SEGMENT_BYTES or time.monotonic() - self._since > SEGMENT_SECONDS:
            with self._lock:
                self._begin()
        if os.write(self._fd, data) != len(data):
            self._bytes = SEGMENT_BYTES + 1
            raise OSError("the disk took only part of a click")
        self._bytes += len(data)

    def _begin(self) -> None:
        fresh = self._pid == os.getpid() and self._bytes <= SEGMENT_BYTES
        if fresh and time.monotonic() - self._since <= SEGMENT_SECONDS:
            return  # another thread was faster
        folder().mkdir(parents=True, exist_ok=True)
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        path = folder() / f"{stamp}-{os.getpid()}-{random_text(8)}.log"
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(fd, fcntl.LOCK_SH)
        old, mine = self._fd, self._pid == os.getpid()
        self._fd, self._pid, self._bytes, self._since, self.path = fd, os.getpid(), 0, time.monotonic(), path
        # A thread may be about to write to the old one; it is closed at the next change, by which time nobody is.
        if mine and self._older >= 0:
            os.close(self._older)
        self._older = old if mine else -1


class Background:
    """A thread that loads this process's segment about a second after a click, so that counts are never far behind."""

    PAUSE = 1.0

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._wake = threading.Event()
        self._pid = 0

    def nudge(self) -> None:
        """There is something to load."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            threading.Thread(target=self._run, name="click-loader", daemon=True).start()
        self._wake.set()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            time.sleep(self.PAUSE)
            self._wake.clear()
            try:
                close_old_connections()
                load()
                close_old_connections()
            except (DatabaseError, OSError):
                log.exception("Clicks wait in the journal; the next round loads them.")


def load() -> int:
    """Move every complete line of every segment into Visit. Returns how many visits were made by this call."""
    if not folder().is_dir():
        return 0
    return sum(_load_segment(path) for path in sorted(folder().glob("*.log")))


def _load_segment(path: Path) -> int:
    segment, _created = ClickSegment.objects.get_or_create(name=path.name)
    offset, made = segment.loaded_bytes, 0
    try:
        with path.open("rb") as file:
            while True:
                file.seek(offset)
                chunk = file.read(CHUNK)
                chunk = chunk[: chunk.rfind(b"\n") + 1]
                if not chunk:
                    break
                count = _load_chunk(segment, offset, chunk)
                if count is None:
                    return made  # another loader has this segment in hand
                offset += len(chunk)
                made += count
    except FileNotFoundError:
        return made  # wholly loaded and deleted by another loader
    _delete_if_done(path, offset)
    return made


def _load_chunk(segment: ClickSegment, offset: int, chunk: bytes) -> int | None:
    """One transaction: the progress moves on, and the visits are there; None when the progress is not where we thought."""
    rows = [row for row in map(_parse, chunk.splitlines()) if row is not None]
    with transaction.atomic():
        moved = ClickSegment.objects.filter(pk=segment.pk, loaded_bytes=offset).update(loaded_bytes=offset + len(chunk))
        if moved != 1:
            return None
        referrers = {row[3] for row in rows}
        known = set(Participant.objects.filter(pk__in=referrers).values_list("pk", flat=True))
        rows = [row for row in rows if row[3] in known]
        _insert(rows)
    return len(rows)


Row = tuple[int, bool, int, int, str, datetime, str, str, str | None, str, str, str]


def _parse(data: bytes) -> Row | None:
    """One line as the values of COLUMNS; None for a line that was cut off by a full disk."""
    parts = data.decode("utf-8", "replace").split("\t")
    if len(parts) == _OLD_FIELDS:
        parts += ["", ""]
    if len(parts) != _FIELDS:
        return None
    try:
        at, merchant, is_test, campaign, referrer = float(parts[0]), *map(int, parts[1:5])
        network = truncate_ip(parts[7]) if parts[7] else None
        moment = datetime.fromtimestamp(at, UTC)
    except (ValueError, OverflowError):
        return None
    return (
        merchant,
        bool(is_test),
        campaign,
        referrer,
        parts[5][:22],
        moment,
        parts[6][:12],
        parts[9][:40],
        network,
        parts[8][:200],
        parts[10][:100],
        "{}",
    )


def _insert(rows: Iterable[Row]) -> None:
    """COPY on PostgreSQL, executemany on SQLite: both a fraction of what the ORM needs for as many rows."""
    table, columns = Visit._meta.db_table, ", ".join(COLUMNS)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
            return
        marks = ", ".join(["%s"] * len(COLUMNS))
        adapt = connection.ops.adapt_datetimefield_value
        cursor.executemany(
            f"INSERT INTO {table} ({columns}) VALUES ({marks})",  # noqa: S608 - names from the model, no values
            [(*row[:5], adapt(row[5]), *row[6:]) for row in rows],
        )


def _delete_if_done(path: Path, loaded: int) -> None:
    """Remove a segment that nobody writes to any more and that is wholly loaded; its row stays a week, so that it can't come again."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(file.fileno()).st_size == loaded:
                path.unlink()
    except (BlockingIOError, FileNotFoundError):
        return
    old = timezone.now() - timedelta(days=7)
    names = {kept.name for kept in folder().glob("*.log")}
    ClickSegment.objects.filter(started_at__lt=old).exclude(name__in=names).delete()
