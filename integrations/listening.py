"""The address for messages at the company, made and kept for the merchant where their key may (PROVIDERS.md section 2).

ask() wants it; work() makes it, or finds the one it made before, and seals the secret that the company tells only once. When the list of
messages that we use grows, what was made is updated. The network is never called in a transaction.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from django.db import transaction

from integrations import registry
from integrations.accounts import account_of
from integrations.models import Connection, InboundEndpoint
from integrations.remote import (
    EndpointOrder,
    Listening,
    RemoteError,
    claim,
    listening_of,
    put_off,
    settle,
)
from integrations.remote_models import request_key
from referrals.events import types
from referrals.events.services import SYSTEM, Happening, record
from referrals.lib import clock
from referrals.lib.queue import enqueue

logger = logging.getLogger(__name__)
_JOB = "integrations.listening.work"


def events_of(slug: str) -> list[str]:
    """The messages that the provider's module uses, as its address asks for them."""
    return [name for name, _why in registry.get(slug).events]


def ask(connection: Connection) -> InboundEndpoint:
    """Want the address, or have it looked at again. Runs in the caller's transaction."""
    now = clock.wall()
    row, created = InboundEndpoint.objects.get_or_create(
        connection=connection,
        defaults={"merchant_id": connection.merchant_id, "is_test": connection.is_test, "next_attempt_at": now},
    )
    if not created:
        InboundEndpoint.objects.filter(pk=row.pk).update(
            state="wanted", attempts=0, next_attempt_at=now, problem="", said=""
        )
    enqueue(_JOB, row.pk)
    return row


def sweep() -> int:
    """For the schedule: addresses that wait for a try, and those whose list has grown. Returns how many were worked on."""
    for kind in registry.every():
        if kind.listening:
            rows = InboundEndpoint.objects.filter(connection__provider=kind.slug, connection__removed_at=None)
            grown = rows.filter(state="active").exclude(events=events_of(kind.slug))
            grown.update(state="wanted", attempts=0, next_attempt_at=clock.wall())
    due = InboundEndpoint.objects.filter(next_attempt_at__lte=clock.wall(), connection__removed_at=None)
    pks = list(due.order_by("next_attempt_at", "pk").values_list("pk", flat=True)[:100])
    for pk in pks:
        work(pk)
    return len(pks)


def work(pk: int) -> str:
    """Make the address true at the company; the state afterwards."""
    row = claim(InboundEndpoint, pk)
    if row is None:
        return InboundEndpoint.objects.filter(pk=pk).values_list("state", flat=True).first() or "deleted"
    connection = Connection.objects.select_related("merchant").get(pk=row.connection_id)
    if connection.removed_at is not None:
        settle(row)
        return row.state
    try:
        account = account_of(connection)
        at = listening_of(connection.provider, account)
        needed = [field.name for field in registry.get(connection.provider).secrets if field.required]
        return _make(row, connection, at, all(account.secrets.get(name) for name in needed))
    except RemoteError as error:
        logger.info("address for messages of %s: %s", connection.public_id, error.problem)
        if error.retry:
            put_off(row, error)
            return row.state
        settle(row, state="failed", problem=error.problem, said=str(error)[:300])
        return "failed"


def _make(row: InboundEndpoint, connection: Connection, at: Listening, knows_secret: bool) -> str:
    order = _order(row, connection)
    found = row.remote_id or at.find(order)
    if found and knows_secret and at.update(found, order):
        settle(row, state="active", remote_id=found, events=list(order.events))
        return "active"
    if found and not knows_secret:
        # Its secret was told once, and not to us or to a try that died: it is of no use. The address in it is this connection's alone.
        at.delete(found)
        row.request_key = request_key()
        InboundEndpoint.objects.filter(pk=row.pk).update(request_key=row.request_key, remote_id="")
        order = _order(row, connection)
    made = at.make(order)
    if _keep(connection, made.secrets):
        settle(row, state="active", remote_id=made.remote_id, events=list(order.events))
        return "active"
    at.delete(made.remote_id)
    settle(row, remote_id="")
    return row.state


def _order(row: InboundEndpoint, connection: Connection) -> EndpointOrder:
    events = tuple(events_of(connection.provider))
    return EndpointOrder(connection.webhook_url, events, connection.public_id, row.request_key)


def _keep(connection: Connection, secrets: Mapping[str, str]) -> bool:
    """Seal what the company told next to what is there; False when the connection was removed meanwhile."""
    with transaction.atomic():
        row = Connection.objects.select_for_update(no_key=True).select_related("merchant").get(pk=connection.pk)
        if row.removed_at is not None:
            return False
        if not secrets:
            return True  # what signs its messages was known before
        row.secrets = {**account_of(row).secrets, **secrets}
        row.refused, row.last_refused_at = 0, None
        row.save(update_fields=["sealed", "refused", "last_refused_at"])
        data = {"provider": row.provider, "changed": sorted(secrets)}
        record(row.tenant, SYSTEM, Happening(types.CONNECTION_CHANGED, "connection", row.public_id, data=data))
    return True


def remove(connection: Connection) -> bool:
    """Delete the address at the company, before the key is forgotten. False when it is still there, for a person to delete."""
    row = InboundEndpoint.objects.filter(connection=connection).first()
    if row is None:
        return True
    try:
        at = listening_of(connection.provider, account_of(connection))
        found = row.remote_id or at.find(_order(row, connection))
        if found:
            at.delete(found)
    except RemoteError as error:
        logger.info("address for messages of %s stays: %s", connection.public_id, error.problem)
        return False
    InboundEndpoint.objects.filter(pk=row.pk).update(remote_id="", state="wanted", next_attempt_at=None)
    return True


def waits(connection: Connection) -> InboundEndpoint | None:
    """The address that is on its way or could not be made; None when there is none, or it is there."""
    row: InboundEndpoint | None = getattr(connection, "inbound_endpoint", None)
    return row if row is not None and (row.state != "active" or row.problem) else None
