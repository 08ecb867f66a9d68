"""Everything on a merchant's test side is deleted, and nothing else (PRODUCT.md, "Test mode"; ADR 8).

The tables are not listed here: every model of ours is either somebody else's (EVERYBODYS), or set-up that stays (KEPT), or it is emptied,
found by its own `is_test` or by the way to a row that has one. A model that is none of these makes plan() fail, and a test with it.
The order is worked out from the foreign keys. The row `Wipe` is the job: the worker deletes in chunks, and says how far it is.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from graphlib import TopologicalSorter
from typing import Any

from django.apps import apps
from django.db import IntegrityError, connection, models, transaction
from django.db.models import F
from django.utils.translation import gettext as _

from referrals.accounts.models import MerchantClock, Wipe
from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.services import Actor, Happening, record
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.queue import enqueue

PACKAGES = frozenset({"referrals", "campaigns", "participants", "rewards", "integrations"})
# Nobody's side: people and businesses, and what the installation keeps for itself. The clock goes when the wipe ends.
EVERYBODYS = frozenset({
    "accounts.User", "accounts.User_groups", "accounts.User_user_permissions", "accounts.Merchant", "accounts.Membership",
    "accounts.Invitation", "accounts.RateLimit", "accounts.MerchantClock", "accounts.Wipe", "hosted.Bookmark", "hosted.ClickSegment",
    "participants.HubAccess", "integrations.OutboxPosition",
})  # fmt: skip
# Set-up and not data: without them the next test would begin with new keys and new addresses at the providers.
KEPT = frozenset(
    {
        "accounts.ApiKey",
        "accounts.SigningSecret",
        "integrations.Connection",
        "integrations.InboundEndpoint",
        "integrations.WebhookEndpoint",
        "rewards.VetoEndpoint",
    }
)
# What a connection remembers of messages that are gone.
FORGOTTEN: dict[str, dict[str, Any]] = {
    "integrations.Connection": {
        "last_event_at": None,
        "failing_since": None,
        "refused": 0,
        "last_refused_at": None,
        "reconcile_at": None,
        "warned_of": "",
        "warned_at": None,
        "quiet_after": None,
    },
    "integrations.WebhookEndpoint": {"last_success_at": None, "failing_since": None, "failures": 0, "warned": 0},
}
# Where two tables point at each other, the way back is emptied first. A campaign without rules is a draft: nobody joins meanwhile.
LOOSENED: dict[str, dict[str, Any]] = {"campaigns.Campaign": {"version": None, "status": "draft"}}
# The answer to the very request that asked for it: said again, it must not delete what was made since (RELIABILITY section 2).
SPARED: dict[str, dict[str, Any]] = {"api.IdempotencyRecord": {"path": "/api/v2/test-data"}}
SETTING = "passalong.wipes_test_side_of"
TASK = "rewards.wiping.carry_on"
CHUNK = 1000
WORKER_SECONDS = 45.0


@dataclass(frozen=True, slots=True)
class Emptied:
    """A table that is emptied; `way` leads from it to the row that has merchant and is_test ("campaign__", or "" for its own)."""

    model: type[models.Model]
    way: str

    def rows(self, tenant: Tenant) -> models.QuerySet[Any]:
        """The side's rows, read past the managers that refuse to delete history."""
        found: models.QuerySet[Any] = models.QuerySet(self.model).filter(
            **{f"{self.way}merchant": tenant.merchant, f"{self.way}is_test__in": [tenant.is_test]}
        )
        spared = SPARED.get(self.model._meta.label)
        return found.exclude(**spared) if spared else found


@lru_cache(maxsize=1)
def plan() -> tuple[Emptied, ...]:
    """Every table that is emptied, those that point at others first. LookupError for a model that nobody has thought of."""
    found = {model: _way(model) for model in _ours() if model._meta.label not in EVERYBODYS | KEPT}
    unknown = sorted(model._meta.label for model, way in found.items() if way is None)
    if unknown:
        raise LookupError(f"Is this a side's data? Say so in rewards/wiping.py: {', '.join(unknown)}")
    before = {model: {other for other in found if _points(other, model)} for model in found}
    order = TopologicalSorter(before).static_order()
    return tuple(Emptied(model, found[model] or "") for model in order)


def _ours() -> list[type[models.Model]]:
    return [
        model
        for config in apps.get_app_configs()
        if config.name.partition(".")[0] in PACKAGES
        for model in config.get_models(include_auto_created=True)
    ]


def _keys(model: type[models.Model]) -> Iterable[models.ForeignKey[Any, Any]]:
    return (field for field in model._meta.concrete_fields if isinstance(field, models.ForeignKey))


def _points(one: type[models.Model], other: type[models.Model]) -> bool:
    """Whether `one` has a key to another table `other` that must go before it."""
    loose = LOOSENED.get(one._meta.label, {})
    return one is not other and any(key.related_model is other and key.name not in loose for key in _keys(one))


def _way(model: type[models.Model], depth: int = 3) -> str | None:
    """The shortest way along required keys to merchant and is_test; None when there is none."""
    names = {field.name for field in model._meta.concrete_fields}
    if {"merchant", "is_test"} <= names:
        return ""
    if not depth:
        return None
    ways = []
    for key in _keys(model):
        other = key.related_model
        if key.null or not isinstance(other, type) or other._meta.label in EVERYBODYS:
            continue
        further = _way(other, depth - 1)
        if further is not None:
            ways.append(f"{key.name}__{further}")
    return min(ways, key=len, default=None)


def ask(*, tenant: Tenant, actor: Actor) -> Wipe:
    """Order that all test data be deleted; the worker does it. Asked again while one runs, it is that one. Refused `live_side` (403)."""
    if not tenant.is_test:
        message = _("Live data can't be deleted like this. Switch to test mode, or use a test key.")
        raise Refused("live_side", message, status=403)
    who = {"kind": actor.kind, "ref": actor.ref, "label": actor.label}
    total = sum(table.rows(tenant).count() for table in plan())
    with transaction.atomic():
        try:
            with transaction.atomic():
                wipe = Wipe.objects.create(merchant=tenant.merchant, asked_by=who, total=total)
        except IntegrityError:
            wipe = Wipe.objects.get(merchant=tenant.merchant, finished_at=None)
        MerchantClock.objects.filter(merchant=tenant.merchant).delete()
        enqueue(TASK, wipe.pk)
    return wipe


def latest(tenant: Tenant) -> Wipe | None:
    """The last order of this business, finished or not."""
    return Wipe.objects.filter(merchant=tenant.merchant).order_by("-pk").first()


def carry_on(wipe_id: int) -> bool:
    """For the worker: delete for a while, and ask for more time when it needs more. True when it is over."""
    wipe = Wipe.objects.select_related("merchant").filter(pk=wipe_id, finished_at=None).first()
    if wipe is None:
        return True
    if go_on(wipe, WORKER_SECONDS):
        return True
    with transaction.atomic():
        enqueue(TASK, wipe_id)
    return False


def sweep() -> int:
    """For the schedule: orders whose worker was lost go on. Returns how many there were."""
    waiting = list(Wipe.objects.filter(finished_at=None).select_related("merchant").order_by("pk")[:20])
    for wipe in waiting:
        go_on(wipe, WORKER_SECONDS)
    return len(waiting)


def go_on(wipe: Wipe, seconds: float) -> bool:
    """Delete chunks for so many seconds. It is over when a round through all tables finds nothing: then what was written meanwhile
    is gone too. True when it is over."""
    tenant = Tenant(wipe.merchant, True)
    end = time.monotonic() + seconds
    while True:
        _loosen(tenant)
        gone = failed = 0
        for table in plan():
            while True:
                try:
                    count = _delete_chunk(wipe, tenant, table)
                except IntegrityError:
                    # Somebody has just written a row that points here; the next round takes it first.
                    failed += 1
                    break
                gone += count
                if count and time.monotonic() > end:
                    return False
                if count < CHUNK:
                    break
        if failed and not gone:
            raise RuntimeError(
                f"The test data of {wipe.merchant.public_id} can't be deleted: rows point at each other."
            )
        if not gone:
            _finish(wipe, tenant)
            return True


def _loosen(tenant: Tenant) -> None:
    for table in plan():
        values = LOOSENED.get(table.model._meta.label)
        if values:
            table.rows(tenant).update(**values)


def _delete_chunk(wipe: Wipe, tenant: Tenant, table: Emptied) -> int:
    """One short transaction. The append-only tables' trigger lets a test side's rows of this merchant go, while it lasts."""
    with transaction.atomic():
        keys = list(table.rows(tenant).order_by("-pk").values_list("pk", flat=True)[:CHUNK])
        if not keys:
            return 0
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config(%s, %s, true)", [SETTING, str(tenant.merchant.pk)])
        rows = table.rows(tenant).filter(pk__in=keys).order_by()
        models.QuerySet(table.model).filter(pk__in=rows.values("pk"))._raw_delete(using=rows.db)
        Wipe.objects.filter(pk=wipe.pk).update(deleted=F("deleted") + len(keys))
    return len(keys)


def _finish(wipe: Wipe, tenant: Tenant) -> None:
    """The side is as new, at the real time; its history begins with who emptied it."""
    with transaction.atomic():
        if not Wipe.objects.filter(pk=wipe.pk, finished_at=None).update(finished_at=clock.wall()):
            return
        MerchantClock.objects.filter(merchant=tenant.merchant).delete()
        for label, values in FORGOTTEN.items():
            model = apps.get_model(label)
            Emptied(model, "").rows(tenant).update(**values)
        wipe.refresh_from_db()
        data = {"rows": wipe.deleted}
        told = Happening(types.TEST_DATA_DELETED, "test_data", wipe.public_id, data=data)
        record(tenant, Actor(**wipe.asked_by), told)
