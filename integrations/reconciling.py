"""What a company keeps is compared with what arrived here, each night: a message that got lost is found (RELIABILITY section 3.2, 4).

Shopify gives up after four hours and Stripe after three days, so 72 hours are compared. The row `Reconciliation` is the job; the
nights of the connections are spread over four hours, so that they do not all ask at once.
"""

from __future__ import annotations

import logging
import time
import zlib
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from itertools import islice

from django.db import IntegrityError, transaction
from django.db.models import F, Max, Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations import inbox, registry
from integrations.accounts import account_of
from integrations.base import ProviderError, Pull, Pulled
from integrations.models import Connection, Reconciliation
from integrations.services import is_ready, secrets_of
from referrals.accounts import clocks
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.queue import enqueue

SPAN = timedelta(hours=72)
# What is younger may still be on its way.
MARGIN = timedelta(minutes=10)
# The nights begin at this hour (UTC) and are spread over so many minutes.
FIRST_HOUR, SPREAD_MINUTES = 1, 240
LEASE = timedelta(minutes=5)
BACK_OFF = timedelta(minutes=30)
MAX_ATTEMPTS = 4
# How many messages are asked for at once: a span with more of them is halved, so that no run outlives its worker.
MOST = 2000
SHORTEST = timedelta(minutes=1)
RUN_SECONDS = 45.0
KEPT = timedelta(days=30)
_CHUNK = 500
_JOB = "integrations.reconciling.work"
logger = logging.getLogger(__name__)


class _TooMany(Exception):
    """A span holds more messages than are taken at once; `missing` of them were taken in already."""

    def __init__(self, missing: int) -> None:
        super().__init__(missing)
        self.missing = missing


def next_night(connection: Connection, after: datetime) -> datetime:
    """When this connection is compared next: its own minute of the night, the same each night."""
    minutes = zlib.crc32(connection.public_id.encode()) % SPREAD_MINUTES
    night = after.replace(hour=FIRST_HOUR, minute=0, second=0, microsecond=0) + timedelta(minutes=minutes)
    return night if night > after else night + timedelta(days=1)


def lacks(connection: Connection) -> tuple[str, ...]:
    """The labels of the secrets without which its company can't be asked; empty also where a company can't be asked at all."""
    provider = registry.get(connection.provider)
    secrets = secrets_of(connection)
    needed = provider.pull_needs if provider.pull else ()
    missing = [need.split("|") for need in needed if not any(secrets.get(name) for name in need.split("|"))]
    return tuple(str(field.label) for field in provider.secrets if field.name in {names[0] for names in missing})


def is_possible(connection: Connection) -> bool:
    """Whether there is something to ask, and the means to ask it."""
    if connection.removed_at is not None or connection.provider not in registry.pulling():
        return False
    return is_ready(connection) and not lacks(connection)


def ask(*, connection: Connection, longest: bool = False) -> Reconciliation:
    """Have it compared now; `longest` as far back as its company can be asked (Provider.pull_days).

    Asked again while one is under way, it is that one. Refused 409 invalid_state where it is not possible.
    """
    if not is_possible(connection):
        raise Refused(
            "invalid_state", _("This connection can't be compared. Its page says what is missing."), status=409
        )
    days = registry.get(connection.provider).pull_days
    row = _begin(connection, clock.wall(), timedelta(days=days) if longest else SPAN)
    return row or Reconciliation.objects.filter(connection=connection).latest("pk")


def _begin(connection: Connection, now: datetime, span: timedelta = SPAN) -> Reconciliation | None:
    """A new comparison and its nudge; None while one is under way."""
    since = now - span
    try:
        with transaction.atomic():
            row = Reconciliation.objects.create(
                merchant_id=connection.merchant_id,
                is_test=connection.is_test,
                connection=connection,
                since=since,
                until=now - MARGIN,
                reached_at=since,
                next_attempt_at=now,
                created_at=now,
            )
            enqueue(_JOB, row.pk)
    except IntegrityError:
        return None
    return row


def work_all() -> int:
    """What the schedule does: begin those whose night has come, carry on with those that wait, forget old ones. How many were worked on."""
    now = clock.wall()
    _plan(now)
    waiting = Reconciliation.objects.filter(state="waiting", next_attempt_at__lte=now - inbox.NUDGE_LOST)
    pks = list(waiting.order_by("next_attempt_at", "pk").values_list("pk", flat=True)[:50])
    end = time.monotonic() + RUN_SECONDS
    worked = 0
    for pk in pks:
        if time.monotonic() > end:
            break
        work(pk)
        worked += 1
    Reconciliation.objects.filter(finished_at__lt=now - KEPT).delete()
    return worked


def _plan(now: datetime) -> None:
    due = Connection.objects.filter(Q(reconcile_at=None) | Q(reconcile_at__lte=now), removed_at=None)
    for row in due.filter(provider__in=registry.pulling()).order_by("pk")[:500]:
        taken = Connection.objects.filter(pk=row.pk, reconcile_at=row.reconcile_at)
        with transaction.atomic():
            if taken.update(reconcile_at=next_night(row, now)) and row.reconcile_at and is_possible(row):
                _begin(row, now)


def work(pk: int) -> str:
    """Carry on with a comparison, as far as a run may take; its state afterwards, or "deleted"."""
    row = _claim(pk)
    if row is None:
        return Reconciliation.objects.filter(pk=pk).values_list("state", flat=True).first() or "deleted"
    pull = registry.pull(row.connection.provider)
    if pull is None or not is_possible(row.connection):
        return _end(row, "failed", _("The connection was taken away or lacks a secret."))
    try:
        with clocks.running(row.connection.tenant):
            done = _compare(row, pull)
    except ProviderError as error:
        return _failed(row, str(error), retry=error.retry)
    except Exception:
        logger.exception("reconciling %s failed", row.connection.public_id)
        return _failed(row, _("Something went wrong here; the log of this installation says what."), retry=True)
    if done:
        return _end(row, "done")
    # More than one run may take. It came further, so the tries begin anew.
    with transaction.atomic():
        _mine(row).update(attempts=0, next_attempt_at=clock.wall())
        enqueue(_JOB, row.pk)
    return "waiting"


def _claim(pk: int) -> Reconciliation | None:
    now = clock.wall()
    row = (
        Reconciliation.objects.filter(pk=pk, state="waiting", next_attempt_at__lte=now)
        .select_related("connection__merchant")
        .first()
    )
    if row is None:
        return None
    if (
        not _mine(row)
        .filter(next_attempt_at=row.next_attempt_at)
        .update(attempts=F("attempts") + 1, next_attempt_at=now + LEASE)
    ):
        return None
    row.attempts += 1
    return row


def _mine(row: Reconciliation) -> QuerySet[Reconciliation]:
    return Reconciliation.objects.filter(pk=row.pk, state="waiting", attempts=row.attempts)


def _compare(row: Reconciliation, pull: Pull) -> bool:
    """Compare span by span; True when it is through, False when the time of this run is."""
    account = account_of(row.connection)
    end = time.monotonic() + RUN_SECONDS
    span = row.until - row.reached_at
    while row.reached_at < row.until:
        if time.monotonic() > end:
            return False
        upto = min(row.until, row.reached_at + span)
        try:
            compared, missing = _span(row.connection, pull(account, row.reached_at, upto), endless=span <= SHORTEST)
        except _TooMany as much:
            span = max(SHORTEST, span / 2)
            _mine(row).update(missing=F("missing") + much.missing)
            continue
        row.reached_at = upto
        moved = _mine(row).update(
            reached_at=upto,
            compared=F("compared") + compared,
            missing=F("missing") + missing,
            next_attempt_at=clock.wall() + LEASE,
        )
        if not moved:
            raise ProviderError("Another worker has it.", retry=True)
    return True


def _span(connection: Connection, pulled: Iterable[Pulled], *, endless: bool) -> tuple[int, int]:
    """(compared, missing) of one span; what was missing is taken in even if the span turns out to be too long."""
    compared = missing = 0
    messages = iter(pulled)
    while chunk := list(islice(messages, _CHUNK)):
        compared += len(chunk)
        missing += inbox.take_in(connection, chunk)
        if compared > MOST and not endless:
            raise _TooMany(missing)
    return compared, missing


def _failed(row: Reconciliation, words: str, *, retry: bool) -> str:
    if not retry or row.attempts >= MAX_ATTEMPTS:
        return _end(row, "failed", words)
    _mine(row).update(error=words[:300], next_attempt_at=clock.wall() + BACK_OFF)
    return "waiting"


def _end(row: Reconciliation, state: str, words: str = "") -> str:
    _mine(row).update(state=state, error=words[:300], finished_at=clock.wall(), next_attempt_at=None)
    return state


def latest(connections: Collection[Connection]) -> dict[int, Reconciliation]:
    """The last comparison of each connection, by the connection's key; one that is under way counts."""
    newest = (
        Reconciliation.objects.filter(connection__in=[row.pk for row in connections])
        .values("connection")
        .annotate(newest=Max("pk"))
        .values("newest")
    )
    return {row.connection_id: row for row in Reconciliation.objects.filter(pk__in=newest)}


def words(row: Reconciliation) -> str:
    """What a comparison found, in the reader's language."""
    if row.state == "waiting" and row.error:
        return _("Not compared yet; tried again soon. %(why)s") % {"why": row.error}
    if row.state == "waiting":
        return _("Being compared with what arrived here.")
    if row.state == "failed":
        return _("Could not be compared: %(why)s") % {"why": row.error}
    compared = ngettext("%(n)s compared", "%(n)s compared", row.compared) % {"n": f"{row.compared:,}"}
    if not row.missing:
        return _("%(compared)s, none was missing.") % {"compared": compared}
    found = ngettext("%(n)s was missing and was taken in.", "%(n)s were missing and were taken in.", row.missing) % {
        "n": f"{row.missing:,}"
    }
    return f"{compared}, {found}"
