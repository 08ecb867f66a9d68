"""From the history to deliveries: dispatch() turns each new Event into one message for each endpoint that wants it (INV-11).

The history is the outbox: an Event commits with the change that it tells of. dispatch() walks it in the order of primary keys and writes
the deliveries and its own position in one transaction, so that a crash loses nothing and repeats nothing; the unique key of (endpoint,
event) is the second net. What has to be looked out for is PostgreSQL, where a transaction that began earlier may commit later: an Event
can appear below others that were seen already. Each gap in the primary keys is therefore remembered until nobody is left who could fill
it: all transactions that were writing history when it was seen are over. SQLite has one writer at a time and so no such gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from django.db import connection, transaction
from django.db.models import Max

from integrations import bodies
from integrations.models import OutboxPosition, WebhookDelivery, WebhookEndpoint
from referrals.events import types
from referrals.events.models import Event
from referrals.lib import clock

Gap = list[Any]  # [first, last, [transactions]]
NAME = "webhooks"
BATCH = 500
# Writers of history hold this lock from before they are given a primary key until they commit.
_WRITERS = """
    SELECT DISTINCT virtualtransaction FROM pg_locks
    WHERE locktype = 'relation' AND relation = %s::regclass AND mode = 'RowExclusiveLock' AND granted
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND pid <> pg_backend_pid()
"""
_SEQUENCES = """
    SELECT e.id, (SELECT COUNT(*) FROM {table} o WHERE o.subject_id = e.subject_id AND o.id <= e.id)
    FROM {table} e WHERE e.id IN ({marks})
"""


def begin() -> int:
    """Have the history walked from here on, if it is not yet; the last event there is. Called before the first endpoint is made."""
    newest = _newest()
    OutboxPosition.objects.get_or_create(name=NAME, defaults={"position": newest})
    return newest


def dispatch() -> int:
    """Make the deliveries of the next events; how many events were looked at. Safe to run anywhere at the same time."""
    with transaction.atomic():
        mark = OutboxPosition.objects.select_for_update().filter(name=NAME).first()
        if mark is None:
            return 0
        late, kept = _late(mark.gaps)
        rows = list(Event.objects.filter(pk__gt=mark.position).order_by("pk").values_list("pk", "type")[:BATCH])
        if not rows and not late and kept == mark.gaps:
            return 0
        last = rows[-1][0] if rows else mark.position
        new = _gaps_between(mark.position, [pk for pk, _type in rows])
        if new:
            writers = _writers()  # after the events were read: who is not among them has committed or given up
            kept += [[first, final, writers] for first, final in new]
        _deliver_to_all(_told([*late, *rows]))
        OutboxPosition.objects.filter(pk=mark.pk).update(position=last, gaps=kept)
    return len(rows) + len(late)


def is_behind() -> bool:
    """Whether there are events that dispatch() has not looked at."""
    position = OutboxPosition.objects.filter(name=NAME).values_list("position", flat=True).first()
    return position is not None and _newest() > position


def _newest() -> int:
    return Event.objects.aggregate(pk=Max("pk"))["pk"] or 0


def _late(gaps: Sequence[Gap]) -> tuple[list[tuple[int, str]], list[Gap]]:
    """What has appeared in the gaps, and what of them is still open: where one of its writers still writes."""
    if not gaps:
        return [], []
    writing = set(_writers())  # before the events are read: who is not among them has shown what there is to show
    found: list[tuple[int, str]] = []
    kept: list[Gap] = []
    for first, final, writers in gaps:
        rows = list(Event.objects.filter(pk__range=(first, final)).order_by("pk").values_list("pk", "type"))
        found += rows
        still = [name for name in writers if name in writing]
        if still:
            open_ = _gaps_between(first - 1, [*(pk for pk, _type in rows), final + 1])
            kept += [[low, high, still] for low, high in open_]
    return found, kept


def _gaps_between(position: int, keys: Sequence[int]) -> list[tuple[int, int]]:
    """The ranges that are missing behind `position` among ascending keys; none on SQLite."""
    if connection.vendor != "postgresql":
        return []
    return [(low + 1, high - 1) for low, high in pairwise([position, *keys]) if high > low + 1]


def _writers() -> list[str]:
    """The other transactions that are writing history now (PostgreSQL)."""
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute(_WRITERS, [Event._meta.db_table])
        return [name for (name,) in cursor.fetchall()]


def _told(rows: Sequence[tuple[int, str]]) -> list[Event]:
    wanted = [pk for pk, type_ in rows if type_ in types.WEBHOOK_TYPES]
    return list(Event.objects.filter(pk__in=wanted).order_by("pk")) if wanted else []


def _deliver_to_all(events: Sequence[Event]) -> int:
    """One delivery for each of the events and each endpoint of its side that wants it; how many are new."""
    if not events:
        return 0
    sides = {(event.merchant_id, event.is_test) for event in events}
    endpoints: dict[tuple[int, bool], list[WebhookEndpoint]] = {}
    rows = WebhookEndpoint.objects.filter(
        merchant__in={merchant for merchant, _ in sides}, disabled_at=None, removed_at=None
    )
    for endpoint in rows.order_by("pk"):
        endpoints.setdefault((endpoint.merchant_id, endpoint.is_test), []).append(endpoint)
    pairs = [
        (event, endpoint)
        for event in events
        for endpoint in endpoints.get((event.merchant_id, event.is_test), ())
        if endpoint.wants(event.type) and event.pk > endpoint.starts_after
    ]
    return deliver_pairs(pairs, clock.wall())


def deliver_pairs(pairs: Sequence[tuple[Event, WebhookEndpoint]], now: datetime) -> int:
    """Deliveries for pairs of event and endpoint, where there are none yet; how many. In the caller's transaction."""
    known = set(
        WebhookDelivery.objects.filter(event__in={event.pk for event, _ in pairs}).values_list(
            "endpoint_id", "event_id"
        )
    )
    fresh = [(event, endpoint) for event, endpoint in pairs if (endpoint.pk, event.pk) not in known]
    if not fresh:
        return 0
    events = list({event.pk: event for event, _endpoint in fresh}.values())
    made = bodies.make(events, _sequences(events))
    WebhookDelivery.objects.bulk_create(
        [
            WebhookDelivery(
                merchant_id=event.merchant_id,
                is_test=event.is_test,
                endpoint=endpoint,
                event=event,
                message_id=event.public_id,
                type=event.type,
                subject_id=event.subject_id,
                person_ref=made[event.pk].person,
                body=made[event.pk].text,
                next_attempt_at=now,
                created_at=now,
            )
            for event, endpoint in fresh
        ],
        ignore_conflicts=True,
    )
    return len(fresh)


def _sequences(events: Sequence[Event]) -> dict[int, int]:
    """Each event's number in its object's own history: the same whenever it is asked, as history only grows behind it."""
    keys = [event.pk for event in events]
    sql = _SEQUENCES.format(table=Event._meta.db_table, marks=", ".join(["%s"] * len(keys)))
    with connection.cursor() as cursor:
        cursor.execute(sql, keys)
        return dict(cursor.fetchall())
