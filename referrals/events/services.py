"""record(): write history. Always inside the transaction of the change itself, so that neither exists without the other."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from referrals.accounts.tenancy import Tenant
from referrals.events.models import Event
from referrals.events.types import ALL_TYPES
from referrals.lib import clock, transactions
from referrals.lib.codes import public_id
from referrals.lib.prepared import FEW, insert
from referrals.lib.requests import request_id


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it: a user of the merchant, an API key, a participant, a provider's webhook, or the system itself."""

    kind: str
    ref: str = ""
    label: str = ""


SYSTEM = Actor("system")
NOT_ALONE = "History is written inside the transaction of the change it tells of."


@dataclass(frozen=True, slots=True)
class Happening:
    """One event to be written; the fields are those of Event."""

    type: str
    subject_type: str
    subject_id: str
    campaign: str = ""
    participant: str = ""
    referrer: str = ""
    data: dict[str, Any] = field(default_factory=dict)


def record(tenant: Tenant, actor: Actor, *happenings: Happening) -> list[Event]:
    """Write events for what one transaction changed; raises ValueError for a type that events/types.py does not name."""
    return record_many(tenant, actor, happenings)


def record_many(tenant: Tenant, actor: Actor, happenings: Iterable[Happening]) -> list[Event]:
    """As record(), for any number in one statement."""
    transactions.demand(NOT_ALONE)
    rows = [
        Event(
            merchant_id=tenant.merchant.pk,
            is_test=tenant.is_test,
            type=_known(item.type),
            subject_type=item.subject_type,
            subject_id=item.subject_id,
            campaign_ref=item.campaign,
            participant_ref=item.participant,
            referrer_ref=item.referrer,
            actor_kind=actor.kind,
            actor_ref=actor.ref,
            actor_label=actor.label,
            data=item.data,
            request_id=request_id.get(),
        )
        for item in happenings
    ]
    return list(insert(rows))


# What record_bulk() writes, in this order.
_COLUMNS = (
    "public_id", "merchant_id", "is_test", "type", "subject_type", "subject_id", "campaign_ref", "participant_ref", "referrer_ref",
    "actor_kind", "actor_ref", "actor_label", "data", "request_id", "created_at",
)  # fmt: skip


def record_bulk(tenant: Tenant, actor: Actor, happenings: Sequence[Happening]) -> int:
    """As record_many() when nobody needs the rows back: thousands go by COPY on PostgreSQL, in a third of the time. Returns how many."""
    if connection.vendor != "postgresql" or len(happenings) <= FEW:
        return len(record_many(tenant, actor, happenings))
    transactions.demand(NOT_ALONE)
    merchant, is_test, now, asked = tenant.merchant.pk, tenant.is_test, clock.now(), request_id.get()
    who = (actor.kind, actor.ref, actor.label)
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY {Event._meta.db_table} ({', '.join(_COLUMNS)}) FROM STDIN") as copy,
    ):
        for item in happenings:
            about = (item.subject_type, item.subject_id, item.campaign, item.participant, item.referrer)
            head = (public_id("evt"), merchant, is_test, _known(item.type))
            copy.write_row((*head, *about, *who, json.dumps(item.data), asked, now))
    return len(happenings)


def _known(name: str) -> str:
    if name not in ALL_TYPES:
        raise ValueError(f"{name!r} is not in referrals/events/types.py")
    return name
