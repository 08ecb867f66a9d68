"""Who turns out to have been a customer before: the friend's events are decided again (docs/attribution.md, "Existing customers")."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from participants import customers
from participants.customers import Customer
from participants.models import CustomerReference, KnownCustomer, Participant
from participants.services import update_participant
from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.services import Actor, Happening, record
from rewards.deciding import redecide
from rewards.locking import lock_people


@dataclass(frozen=True, slots=True)
class Listed:
    """What a change of the list came to: new or removed entries, those that made no difference, participants decided again."""

    changed: int
    unchanged: int
    decided: int


def add(*, tenant: Tenant, listed: Collection[Customer], actor: Actor) -> Listed:
    """Put customers on the list; friends who joined after the day they became one are decided again. Idempotent."""
    with transaction.atomic():
        done = customers.put_on_list(tenant, listed)
        _tell(tenant, actor, types.CUSTOMERS_ADDED, done.added)
    decided = recheck(customers.participants_of(tenant, listed), actor)
    return Listed(done.added, done.known, decided)


def remove(*, tenant: Tenant, listed: Collection[Customer], actor: Actor) -> Listed:
    """Take customers off the list; who counted as one only because of it is decided again."""
    with transaction.atomic():
        removed = customers.take_off_list(tenant, {item.key for item in listed})
        _tell(tenant, actor, types.CUSTOMERS_REMOVED, removed)
    decided = recheck(customers.participants_of(tenant, listed), actor)
    return Listed(removed, len(listed) - removed, decided)


def remove_all(*, tenant: Tenant, actor: Actor) -> Listed:
    """Empty the list."""
    with transaction.atomic():
        removed = KnownCustomer.objects.for_tenant(tenant).delete()[0]
        _tell(tenant, actor, types.CUSTOMERS_REMOVED, removed)
    people = Participant.objects.for_tenant(tenant).filter(customer_by="list")
    return Listed(removed, 0, recheck(people.order_by("pk").values_list("pk", flat=True), actor))


def recheck(participants: Iterable[int], actor: Actor) -> int:
    """Ask again of each whether they were a customer before joining; one transaction each. Returns how many answers changed.

    A person's word ("hand") and a source's stay.
    """
    return sum(_recheck(pk, actor) for pk in participants)


def _recheck(pk: int, actor: Actor) -> bool:
    with transaction.atomic():
        row, _referral = lock_people(Participant.objects.select_related("campaign__merchant").get(pk=pk))
        if row.customer_by in {"hand", "source"}:
            return False
        ids = CustomerReference.objects.filter(participant=row).values_list("customer_id", flat=True)
        why = customers.why_customer(
            row.tenant, row.identity_key, before=row.joined_at, customer_ids=list(ids), participant=row
        )
        if (row.existing_customer, row.customer_by) == (bool(why), why):
            return False
        changed = row.existing_customer != bool(why)
        row.existing_customer, row.customer_by = bool(why), why
        row.save(update_fields=["existing_customer", "customer_by"])
        if changed:
            record(row.tenant, actor, _changed(row))
            redecide(row, actor)
        return changed


def note(participant: Participant, actor: Actor, *, customer_id: str, first_purchase_at: datetime | None) -> None:
    """Before an event is decided whose rules ask for it: whether its person was a customer before they joined, by all that is known
    now. One query.

    `first_purchase_at` is what the event's source says of their first purchase. Runs in the caller's transaction.
    """
    if participant.existing_customer or participant.customer_by == "hand":
        return
    if first_purchase_at is not None and first_purchase_at < participant.joined_at:
        why = "source"
    else:
        ids = (customer_id,) if customer_id else ()
        why = customers.why_customer(
            participant.tenant,
            participant.identity_key,
            before=participant.joined_at,
            customer_ids=ids,
            participant=participant,
        )
    if not why:
        return
    # Before the row is written: whoever else deciding locks comes in the order of their keys.
    lock_people(participant)
    rows = Participant.objects.filter(pk=participant.pk, existing_customer=False).exclude(customer_by="hand")
    if rows.update(existing_customer=True, customer_by=why):
        participant.existing_customer, participant.customer_by = True, why
        record(participant.tenant, actor, _changed(participant))


def change_participant(*, participant: Participant, actor: Actor, **fields: Any) -> Participant:
    """As participants.services.update_participant; a person's word about being a customer decides their events again."""
    with transaction.atomic():
        lock_people(participant)
        # Not from `participant`, which a form may have written into.
        before = Participant.objects.values_list("existing_customer", flat=True).get(pk=participant.pk)
        row = update_participant(participant=participant, actor=actor, **fields)
        if row.existing_customer != before:
            redecide(row, actor)
    return row


def _changed(row: Participant) -> Happening:
    return Happening(
        types.PARTICIPANT_CHANGED,
        "participant",
        row.public_id,
        campaign=row.campaign.public_id,
        participant=row.public_id,
        data={"fields": ["existing_customer"], "by": row.customer_by},
    )


def _tell(tenant: Tenant, actor: Actor, type_: str, count: int) -> None:
    if count:
        record(tenant, actor, Happening(type_, "merchant", tenant.merchant.public_id, data={"count": count}))
