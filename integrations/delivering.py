"""Sending what outbox.dispatch() has laid out: deliver() for one message, Drainer for thousands (RELIABILITY sections 3.1 and 5, INV-11).

The row is the job. A try is counted before it is made, under a lease, so that a message which kills its sender is given up as well; a
sender that dies in between sends a message a second time, with the same id. Any number of processes may send at once.

Nobody waits for a slow endpoint: each has its own share of what is on the way, and nothing of one endpoint's stands before another's. Of
one object (a reward, a person) only one message is on its way to an endpoint at a time, and while the first tries of it are made the
next ones wait, so that news does not overtake news; `sequence` in the body tells the order for certain.
"""

from __future__ import annotations

import logging
import queue
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from integrations import endpoints, outbox
from integrations.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from integrations.webhook_models import ANSWER_KEPT, KEPT
from referrals.events.services import SYSTEM
from referrals.lib import clock
from referrals.lib.posting import TOTAL_SECONDS, Gate, Post, Reply, Sender
from referrals.lib.sealed import SealError
from referrals.lib.signing import sign_standard

log = logging.getLogger(__name__)
# Seconds from each try to the next, +-20 %: ten tries over 75 hours.
PAUSES = (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
TRIES = len(PAUSES) + 1
# After "too many requests" and after silence, no sooner than this.
CALM_SECONDS = 60
# Messages on their way to one endpoint at once, and how many of its next ones are taken along.
AT_ONCE, AHEAD = 4, 8
# Two rounds of messages that each take all their time, and a little.
LEASE = timedelta(seconds=TOTAL_SECONDS * AHEAD / AT_ONCE + 60)
MOST_TAKEN = 1000
GATHER_SECONDS = 0.02
# A later message of an object waits for an earlier one while that has had fewer tries than this.
FIRST_TRIES = 2
# A success is noted on its endpoint no more often than this.
NOTED_EVERY = timedelta(minutes=1)
DISABLE_AFTER, DISABLE_TRIES = timedelta(hours=120), 20


@dataclass(frozen=True, slots=True)
class Taken:
    """A claimed message, ready to be sent; `lease` says whose it is. `endpoint_well`: it has just taken one, and nothing is wrong."""

    pk: int
    endpoint: int
    attempts: int
    lease: datetime
    post: Post | None
    endpoint_well: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a claimed message."""

    taken: Taken
    reply: Reply


def due(now: datetime) -> QuerySet[WebhookDelivery]:
    """What may be sent at this time. Never two of one object to one endpoint, as far as the database knows."""
    same = WebhookDelivery.objects.filter(
        endpoint=OuterRef("endpoint"), subject_id=OuterRef("subject_id"), next_attempt_at__isnull=False
    ).exclude(pk=OuterRef("pk"))
    ahead = same.filter(Q(state="sending") | Q(pk__lt=OuterRef("pk"), attempts__lt=FIRST_TRIES))
    return WebhookDelivery.objects.filter(next_attempt_at__lte=now).filter(~Exists(ahead))


# The next messages of each endpoint, in one statement (PostgreSQL); due() in words that Django has none for.
_NEXT = """
SELECT found.id FROM unnest(%s::bigint[], %s::int[]) AS wanted (endpoint_id, room)
CROSS JOIN LATERAL (
    SELECT d.id FROM {table} d
    WHERE d.endpoint_id = wanted.endpoint_id AND d.next_attempt_at <= %s AND NOT EXISTS (
        SELECT 1 FROM {table} o
        WHERE o.endpoint_id = d.endpoint_id AND o.subject_id = d.subject_id AND o.next_attempt_at IS NOT NULL AND o.id <> d.id
          AND (o.state = 'sending' OR (o.id < d.id AND o.attempts < {tries}))
    )
    ORDER BY d.next_attempt_at, d.id LIMIT wanted.room FOR UPDATE SKIP LOCKED
) found
"""


def take(room: Callable[[int], int], *, most: int = MOST_TAKEN, late: timedelta = timedelta()) -> list[Taken]:
    """Claim messages for this sender: for each endpoint as many as it has `room` for, oldest first. Five queries on PostgreSQL."""
    now = clock.wall()
    until = now - late
    waiting = WebhookDelivery.objects.filter(endpoint=OuterRef("pk"), next_attempt_at__lte=until)
    ready = WebhookEndpoint.objects.filter(Exists(waiting), removed_at=None, disabled_at=None)
    wanted: dict[int, tuple[WebhookEndpoint, int]] = {}
    for endpoint in ready.select_related("merchant").order_by("pk"):
        count = min(room(endpoint.pk), most)
        if count > 0:
            wanted[endpoint.pk] = (endpoint, count)
            most -= count
    if not wanted:
        return []
    lease = now + LEASE
    with transaction.atomic():
        keys = _next_keys({pk: count for pk, (_endpoint, count) in wanted.items()}, until)
        chosen: dict[tuple[int, str], WebhookDelivery] = {}
        for row in WebhookDelivery.objects.filter(pk__in=keys).order_by("next_attempt_at", "pk"):
            chosen.setdefault((row.endpoint_id, row.subject_id), row)
        # The rows are locked, on SQLite with everything else, so that nobody else has them.
        WebhookDelivery.objects.filter(pk__in=[row.pk for row in chosen.values()]).update(
            state="sending", attempts=F("attempts") + 1, next_attempt_at=lease
        )
    return [_ready(row, wanted[row.endpoint_id][0], lease) for row in chosen.values()]


def _next_keys(wanted: dict[int, int], until: datetime) -> list[int]:
    """The primary keys of each endpoint's next messages, so many of each, locked."""
    if connection.vendor == "postgresql":
        sql = _NEXT.format(table=WebhookDelivery._meta.db_table, tries=FIRST_TRIES)
        with connection.cursor() as cursor:
            cursor.execute(sql, [list(wanted), list(wanted.values()), until])
            return [pk for (pk,) in cursor.fetchall()]
    found: list[int] = []
    for endpoint, count in wanted.items():
        rows = due(until).filter(endpoint=endpoint).order_by("next_attempt_at", "pk")
        found += rows.values_list("pk", flat=True)[:count]
    return found


def _claimed(row: WebhookDelivery, lease: datetime) -> bool:
    """The try is counted as it is begun. False when somebody else was faster (SQLite, which knows no SKIP LOCKED)."""
    return bool(
        WebhookDelivery.objects.filter(pk=row.pk, attempts=row.attempts, next_attempt_at=row.next_attempt_at).update(
            state="sending", attempts=F("attempts") + 1, next_attempt_at=lease
        )
    )


def _ready(row: WebhookDelivery, endpoint: WebhookEndpoint, lease: datetime) -> Taken:
    """The message with its signatures; without one when its secrets can't be opened or its body was erased."""
    now = clock.wall()
    post = None
    try:
        secrets = endpoint.live_secrets(now)
    except SealError:
        log.exception("the secrets of %s can't be opened", endpoint.public_id)
        secrets = []
    if secrets and row.body and row.attempts < TRIES:
        body, stamp = row.body.encode(), int(now.timestamp())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Passalong-Webhooks/1",
            "webhook-id": row.message_id,
            "webhook-timestamp": str(stamp),
            "webhook-signature": " ".join(sign_standard(one, row.message_id, stamp, body) for one in secrets),
        }
        at = urlsplit(endpoint.url)
        private = endpoints.is_local(at.hostname or "", at.port, endpoint.tenant)
        post = Post(endpoint.url, headers, body, private)
    last = endpoint.last_success_at
    well = endpoint.failing_since is None and last is not None and now - last < NOTED_EVERY
    return Taken(row.pk, endpoint.pk, row.attempts + 1, lease, post, well)


def settle(done: Sequence[Done]) -> None:
    """Write what came of messages that were claimed: each one's try, its state, and how its endpoint is doing.

    A lease that was lost meanwhile leaves the row to who has it now; the try is noted all the same.
    """
    if not done:
        return
    now = clock.wall()
    good = [one for one in done if _is_good(one.reply)]
    with transaction.atomic():
        for lease in sorted({one.taken.lease for one in good}):
            for status in sorted({one.reply.status or 0 for one in good if one.taken.lease == lease}):
                keys = [one.taken.pk for one in good if one.taken.lease == lease and one.reply.status == status]
                WebhookDelivery.objects.filter(pk__in=keys, state="sending", next_attempt_at=lease).update(
                    state="delivered", next_attempt_at=None, delivered_at=now, last_status=status, last_error=""
                )
        for one in done:
            if not _is_good(one.reply):
                _failed(one, now)
        _note_tries(done, now)
        for pk in sorted({one.taken.endpoint for one in done}):
            _note_health(pk, [one for one in done if one.taken.endpoint == pk], now)


def _is_good(reply: Reply) -> bool:
    return reply.status is not None and 200 <= reply.status < 300


def _failed(one: Done, now: datetime) -> None:
    """The next try, or the end of them. What names a person who was erased is not tried again."""
    taken, reply = one.taken, one.reply
    row = WebhookDelivery.objects.filter(pk=taken.pk, state="sending", next_attempt_at=taken.lease)
    facts: dict[str, Any] = {"last_status": reply.status, "last_error": reply.error}
    if taken.post is None and row.filter(body="").update(state="stopped", next_attempt_at=None, **facts):
        return
    if taken.attempts >= TRIES:
        row.update(state="failed", next_attempt_at=None, **facts)
    else:
        pause = timedelta(seconds=pause_after(taken.attempts, reply, now))
        row.update(state="pending", next_attempt_at=now + pause, **facts)


def pause_after(attempts: int, reply: Reply, now: datetime, *, rolled: float | None = None) -> float:
    """Seconds to the next try after so many: the schedule, +-20 %; what Retry-After asks for within once and twice of that.

    At least a minute after 429 and after a time-out. `rolled` is the jitter, 0.8 to 1.2.
    """
    base = float(PAUSES[min(attempts, len(PAUSES)) - 1])
    if reply.status == 429 or reply.error == "timeout":
        base = max(base, CALM_SECONDS)
    asked = _retry_after(reply.retry_after, now)
    if asked is not None:
        return min(max(asked, base), 2 * base)
    jitter = random.uniform(0.8, 1.2) if rolled is None else rolled  # noqa: S311 - nothing here has to be secret
    pause = base * jitter
    return max(pause, CALM_SECONDS) if reply.status == 429 or reply.error == "timeout" else pause


def _retry_after(text: str, now: datetime) -> float | None:
    """Seconds, from a number or from an HTTP date; None for what is neither."""
    text = text.strip()
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=now.tzinfo)
    return max((at - now).total_seconds(), 0.0)


def _note_tries(done: Sequence[Done], now: datetime) -> None:
    there = set(WebhookDelivery.objects.filter(pk__in=[one.taken.pk for one in done]).values_list("pk", flat=True))
    WebhookAttempt.objects.bulk_create(
        WebhookAttempt(
            delivery_id=one.taken.pk,
            at=now - timedelta(milliseconds=one.reply.ms),
            ms=one.reply.ms,
            status=one.reply.status,
            error=one.reply.error,
            retry_after=one.reply.retry_after.replace("\x00", ""),
            answer=one.reply.body[:ANSWER_KEPT].decode("utf-8", "replace").replace("\x00", ""),
        )
        for one in done
        if one.taken.pk in there and one.taken.post is not None
    )


def _note_health(pk: int, done: Sequence[Done], now: datetime) -> None:
    """One good answer ends a series of failures; 410 and five days of nothing but failures disable the endpoint."""
    tried = [one for one in done if one.taken.post is not None]
    if tried and all(_is_good(one.reply) and one.taken.endpoint_well for one in tried):
        return
    if any(_is_good(one.reply) for one in tried):
        row = WebhookEndpoint.objects.filter(pk=pk)
        row.filter(Q(failing_since__isnull=False) | Q(failures__gt=0)).update(failing_since=None, failures=0, warned=0)
        row.filter(Q(last_success_at=None) | Q(last_success_at__lt=now - NOTED_EVERY)).update(last_success_at=now)
    elif tried:
        rows = WebhookEndpoint.objects.filter(pk=pk)
        rows.filter(failing_since=None).update(failing_since=now)
        rows.update(failures=F("failures") + len(tried))
        _disable_if_dead(pk, now)
    if any(one.reply.status == 410 for one in tried):
        _disable(pk, "gone")


def _disable_if_dead(pk: int, now: datetime) -> None:
    long_ago = now - DISABLE_AFTER
    if WebhookEndpoint.objects.filter(pk=pk, failing_since__lte=long_ago, failures__gte=DISABLE_TRIES).exists():
        _disable(pk, "failing")


def _disable(pk: int, reason: str) -> None:
    row = WebhookEndpoint.objects.select_for_update(no_key=True).select_related("merchant").get(pk=pk)
    if row.is_enabled:
        endpoints.stop(row, reason, SYSTEM)


def deliver(delivery_id: int, sender: Sender) -> str:
    """One try at one message, now, if it is due; its state afterwards. The Drainer does the same for many."""
    now = clock.wall()
    row = due(now).filter(pk=delivery_id, endpoint__disabled_at=None, endpoint__removed_at=None)
    found = row.select_related("endpoint__merchant").first()
    if found is not None and _claimed(found, now + LEASE):
        taken = _ready(found, found.endpoint, now + LEASE)
        reply = sender.send(taken.post) if taken.post is not None else Reply(None, "broken")
        settle([Done(taken, reply)])
    return WebhookDelivery.objects.values_list("state", flat=True).filter(pk=delivery_id).first() or "deleted"


class Drainer:
    """Dispatches and sends until it is told to stop: claims in batches, sends concurrently, writes results in batches."""

    def __init__(self, sender: Sender, *, late: timedelta = timedelta()) -> None:
        self._sender = sender
        self._late = late
        self._finished: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self._gates: dict[int, Gate] = {}
        self._on_the_way: dict[int, int] = {}
        self.sent = 0

    @property
    def is_idle(self) -> bool:
        """Whether nothing is on its way."""
        return not self._on_the_way

    def turn(self, *, wait: float, taking: bool = True) -> int:
        """One round: write what came back, dispatch, and claim and send what there is room for; how much was done.

        Waits at most so many seconds for an answer when there is nothing else to do.
        """
        done = self._collect(wait if self._on_the_way else 0)
        settle(done)
        self.sent += len(done)
        if not taking:
            return len(done)
        looked = outbox.dispatch()
        taken = take(self._room, most=MOST_TAKEN - sum(self._on_the_way.values()), late=self._late)
        for one in taken:
            self._send(one)
        return len(done) + looked + len(taken)

    def finish(self, seconds: float = TOTAL_SECONDS + 5) -> None:
        """Wait for what is on its way and write it down."""
        end = time.monotonic() + seconds
        while self._on_the_way and time.monotonic() < end:
            self.turn(wait=0.2, taking=False)

    def _room(self, endpoint: int) -> int:
        return AHEAD - self._on_the_way.get(endpoint, 0)

    def _send(self, taken: Taken) -> None:
        self._on_the_way[taken.endpoint] = self._on_the_way.get(taken.endpoint, 0) + 1
        if taken.post is None:
            self._finished.put(Done(taken, Reply(None, "broken")))
            return
        gate = self._gates.setdefault(taken.endpoint, Gate(AT_ONCE))
        self._sender.submit(taken.post, gate, lambda reply: self._finished.put(Done(taken, reply)))

    def _collect(self, wait: float) -> list[Done]:
        found: list[Done] = []
        try:
            if wait:
                found.append(self._finished.get(timeout=wait))
                time.sleep(GATHER_SECONDS)  # others are coming back as well; one transaction is enough for them
            while True:
                found.append(self._finished.get_nowait())
        except queue.Empty:
            pass
        for one in found:
            left = self._on_the_way[one.taken.endpoint] - 1
            if left:
                self._on_the_way[one.taken.endpoint] = left
            else:
                del self._on_the_way[one.taken.endpoint]
                self._gates.pop(one.taken.endpoint, None)
        return found


def run(stopped: Callable[[], bool], *, tick: float = 0.1, idle: float = 0.5) -> None:
    """Dispatch and deliver until `stopped`; what `manage.py worker` does in a process that has nothing else to do."""
    with Sender() as sender:
        drainer = Drainer(sender)
        while not stopped():
            try:
                if not drainer.turn(wait=tick) and drainer.is_idle:
                    time.sleep(idle)
            except Exception:
                log.exception("sending webhooks was interrupted; it goes on")
                connection.close()
                time.sleep(5)
        drainer.finish(8)  # the supervisor waits 15 seconds; what is not back by then is sent again after its lease


def sweep(seconds: float = 40.0, late: timedelta = timedelta(seconds=30)) -> int:
    """For the schedule, where no drainer runs: dispatch, and send what has been due for a while. Returns how many were sent."""
    end = time.monotonic() + seconds
    if not WebhookEndpoint.objects.filter(removed_at=None, disabled_at=None).exists():
        while outbox.dispatch():
            pass
        return 0
    with Sender() as sender:
        drainer = Drainer(sender, late=late)
        while time.monotonic() < end and (drainer.turn(wait=0.2) or not drainer.is_idle):
            pass
        drainer.finish()
        return drainer.sent


def forget() -> int:
    """Deliveries are deleted 30 days after they were made, with their tries (RELIABILITY section 3.1). Returns how many."""
    old = WebhookDelivery.objects.filter(created_at__lt=timezone.now() - KEPT, next_attempt_at=None)
    count = 0
    while keys := list(old.order_by("created_at").values_list("pk", flat=True)[:1000]):
        WebhookAttempt.objects.filter(delivery__in=keys).delete()
        count += WebhookDelivery.objects.filter(pk__in=keys).delete()[0]
    return count
