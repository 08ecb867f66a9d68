"""record(): write history. Always inside the transaction of the change itself, so that neither exists without the other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from referrals.accounts.tenancy import Tenant
from referrals.events.models import Event
from referrals.events.types import ALL_TYPES
from referrals.lib.requests import request_id


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it: a user of the merchant, an API key, a participant, a provider's webhook, or the system itself."""

    kind: str
    ref: str = ""
    label: str = ""


SYSTEM = Actor("system")


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
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("History is written inside the transaction of the change it tells of.")
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
    return Event.objects.bulk_create(rows)


def _known(name: str) -> str:
    if name not in ALL_TYPES:
        raise ValueError(f"{name!r} is not in referrals/events/types.py")
    return name
