"""Whether the process lives, and whether it can do its work; for supervisors and load balancers."""

from __future__ import annotations

import time

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.cache import add_never_cache_headers
from django.views.decorators.http import require_safe

from integrations.models import Connection
from referrals.lib.sealed import SealError, seal, unseal

MIGRATIONS_REMEMBERED = 60  # seconds; reading every migration takes longer than all else
_migrated_until = 0.0


@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    """The process answers; nothing else is asked."""
    return _answer({"status": "ok"}, 200)


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when the database answers, every migration is applied, and the key ring opens what was sealed; else 503 with what is not."""
    checks = {"database": _database()}
    if checks["database"] == "ok":
        checks["migrations"] = _migrations()
    if checks.get("migrations") == "ok":
        checks["key_ring"] = _key_ring()
    ready = set(checks.values()) == {"ok"}
    return _answer({"status": "ok" if ready else "unavailable", "checks": checks}, 200 if ready else 503)


def _answer(body: dict[str, object], status: int) -> HttpResponse:
    response = JsonResponse(body, status=status)
    add_never_cache_headers(response)
    return response


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
    except DatabaseError:
        return "unreachable"
    return "ok"


def _migrations() -> str:
    global _migrated_until
    if time.monotonic() < _migrated_until:
        return "ok"
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        return "not applied"
    _migrated_until = time.monotonic() + MIGRATIONS_REMEMBERED
    return "ok"


def _key_ring() -> str:
    """Seal and open a probe, and open the newest sealed row: a ring from another installation opens the one and not the other."""
    try:
        unseal(seal({"probe": True}, bound_to="readyz"), bound_to="readyz")
        newest = Connection.objects.order_by("-pk").first()
        if newest is not None:
            _ = newest.secrets
    except (ImproperlyConfigured, SealError):
        return "wrong"
    return "ok"
