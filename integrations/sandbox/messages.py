"""What stand-ins do by themselves: webhooks leave, slow payments arrive, unclaimed ones go back. Jobs of the worker."""

from __future__ import annotations

from integrations.models import Connection, SandboxRow
from integrations.sandbox.sending import COMPANIES, stand_in
from referrals.accounts import clocks


def advance(connection_id: int) -> int:
    """Everything of one connection whose time has come, by its side's clock; returns how many things moved."""
    connection = Connection.objects.select_related("merchant").filter(pk=connection_id, is_test=True).first()
    if connection is None or connection.provider not in COMPANIES:
        return 0
    with clocks.running(connection.tenant):
        return stand_in(connection).advance()


def sweep() -> int:
    """For the schedule: every connection that has something waiting; a test clock may be ahead, so each side says itself what is due."""
    waiting = SandboxRow.objects.filter(due_at__isnull=False, connection__removed_at=None)
    return sum(advance(pk) for pk in waiting.order_by().values_list("connection_id", flat=True).distinct()[:200])
