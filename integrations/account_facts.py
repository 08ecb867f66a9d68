"""What a company tells about the account itself: we were uninstalled there, somebody asks for their data, or wants it gone.

Shops have to be obeyed in this: what is asked for is carried out by the same code as the merchant's own buttons (participants.privacy).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.db.models import Q
from django.utils import timezone

from integrations.base import Signal
from integrations.models import Connection, InboundEvent
from integrations.outcomes import Effect
from participants.erasing import erase_rows
from participants.models import Capture, CustomerReference, Participant
from participants.privacy import Person
from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.services import Actor, Happening, record
from referrals.lib import clock
from referrals.lib.emails import EmailError, parse_email
from referrals.lib.errors import Refused
from referrals.lib.queue import enqueue
from rewards import personal

FACTS = frozenset({"uninstalled", "data_asked_for", "erase_person", "erase_account"})
# Names in a message of what leads to a person; they go from one that asked to have somebody's data erased.
_PERSONAL = ("email", "phone", "first_name", "last_name", "name")


def account_did(row: InboundEvent, signal: Signal, actor: Actor) -> Effect:
    """Carry it out, in the caller's transaction; doing it again changes nothing more."""
    match signal.fact:
        case "uninstalled":
            return _uninstalled(row, actor)
        case "data_asked_for":
            return _asked_for(row, signal, actor)
        case "erase_person":
            return _erased(row, signal, actor)
        case _:
            return _account_erased(row, actor)


def _uninstalled(row: InboundEvent, actor: Actor) -> Effect:
    """The connection has ended: its key is void and goes. What proves a message stays, because requests about privacy still come."""
    connection = Connection.objects.select_for_update(no_key=True).get(pk=row.connection_id)
    if connection.ended_at is None:
        connection.ended_at = clock.now()
        connection.secrets = {name: value for name, value in connection.secrets.items() if name != "access_token"}
        connection.save(update_fields=["ended_at", "sealed"])
        record(row.connection.tenant, actor, _about(types.CONNECTION_ENDED, connection, {}))
        enqueue("integrations.account_mails.send", row.pk)
    return Effect("uninstalled", {"company": row.connection.label or row.connection.provider})


def _asked_for(row: InboundEvent, signal: Signal, actor: Actor) -> Effect:
    """Tell the merchant, and lead them to the export."""
    people = _people(row, signal)
    data = {"asked": "export", "found": len(people)}
    record(row.connection.tenant, actor, _about(types.PRIVACY_ASKED, row.connection, data, people))
    enqueue("integrations.account_mails.send", row.pk)
    if not people:
        return Effect("data_asked_for_nobody", {"email": signal.email, "customer": signal.customer_id})
    return Effect("data_asked_for", {"email": people[0].email, "participant": people[0].public_id})


def _erased(row: InboundEvent, signal: Signal, actor: Actor) -> Effect:
    """Erase the person, whether they take part or are only named in messages; the message itself then names nobody either."""
    people = _people(row, signal)
    for person in people:
        if person.erased_at is None:
            personal.erase(participant=person, actor=actor)
            # The same person in several campaigns is erased at once.
            for other in people:
                other.refresh_from_db()
    for stranger in _strangers(row.connection.tenant, signal):
        erase_rows(stranger)
    data = {"asked": "erase", "found": len(people)}
    record(row.connection.tenant, actor, _about(types.PRIVACY_ASKED, row.connection, data, people))
    InboundEvent.objects.filter(pk=row.pk).update(body=_nameless(bytes(row.body)))
    return Effect("person_erased" if people else "nobody_erased", {"customer": signal.customer_id})


def _people(row: InboundEvent, signal: Signal) -> list[Participant]:
    """The person as participants of this side, by the company's id and by address."""
    tenant = row.connection.tenant
    keys = {one.email_key for one in _strangers(tenant, signal)}
    if signal.customer_id:
        known = CustomerReference.objects.for_tenant(tenant)
        known = known.filter(source=row.connection.provider, customer_id=signal.customer_id)
        keys |= set(known.values_list("participant__email_key", flat=True))
    people = Participant.objects.for_tenant(tenant).filter(email_key__in=keys, erased_at=None)
    return list(people.select_related("campaign", "merchant").order_by("pk"))


def _strangers(tenant: Tenant, signal: Signal) -> Iterator[Person]:
    """The address as somebody who takes part nowhere: messages, invitations and what a shop told may name them all the same."""
    try:
        email = parse_email(signal.email)
    except EmailError:
        return
    ids = (signal.customer_id,) if signal.customer_id else ()
    yield Person(tenant, signal.email, email.key, email.identity, (), (), customer_ids=ids)


def _nameless(body: bytes) -> bytes:
    payload = json.loads(body)
    customer = payload.get("customer") if isinstance(payload, dict) else None
    if isinstance(customer, dict):
        payload["customer"] = {name: value for name, value in customer.items() if name not in _PERSONAL}
    return json.dumps(payload).encode()


def _account_erased(row: InboundEvent, actor: Actor) -> Effect:
    """The shop is gone for good. There may be many people, so a job does it, piece by piece."""
    Connection.objects.filter(pk=row.connection_id, erase_from=None).update(erase_from=0, ended_at=clock.now())
    enqueue("integrations.account_facts.erase_account", row.connection_id)
    record(row.connection.tenant, actor, _about(types.PRIVACY_ASKED, row.connection, {"asked": "erase_account"}))
    return Effect("account_erased", {"company": row.connection.label or row.connection.provider})


def sweep() -> int:
    """For the schedule: carry on with shops that are being erased; how many people went."""
    rows = Connection.objects.filter(erase_from__isnull=False).order_by("pk").values_list("pk", flat=True)
    return sum(erase_account(pk) for pk in list(rows[:20]))


def erase_account(connection_id: int, most: int = 50) -> int:
    """Erase whom the shop sent or knows, up to `most` of them, each in a transaction of their own; then its messages, and the connection.

    Who takes part without the shop having told of them stays: they are the merchant's, not the shop's. Returns how many people went.
    """
    row = Connection.objects.select_related("merchant").filter(pk=connection_id, erase_from__isnull=False).first()
    if row is None:
        return 0
    actor = Actor("provider", row.public_id, row.provider)
    people = list(_of_shop(row)[:most])
    gone = 0
    for person in people:
        try:
            personal.erase(participant=person, actor=actor)
            gone += 1
        except Refused:
            pass  # the same person in another campaign, or another worker was quicker
        Connection.objects.filter(pk=row.pk).update(erase_from=person.pk)
    if len(people) == most:
        enqueue("integrations.account_facts.erase_account", row.pk)
        return gone
    if not _others(row):
        Capture.objects.for_tenant(row.tenant).filter(source=row.provider).delete()
    messages = InboundEvent.objects.filter(connection=row)
    messages.update(body=b"{}", headers={}, facts={}, error="")
    row.removed_at, row.erase_from, row.secrets = timezone.now(), None, {}
    row.save(update_fields=["removed_at", "erase_from", "sealed"])
    return gone


def _others(row: Connection) -> bool:
    """Whether the merchant has another shop there: whom only that one knows must stay."""
    same = Connection.objects.for_tenant(row.tenant).filter(provider=row.provider, removed_at=None, ended_at=None)
    return same.exclude(pk=row.pk).exists()


def _of_shop(row: Connection) -> Any:
    people = Participant.objects.for_tenant(row.tenant).filter(pk__gt=row.erase_from or 0, erased_at=None)
    if _others(row):
        told = InboundEvent.objects.filter(connection=row).exclude(event_ref="").values("event_ref")
        people = people.filter(qualifying_events__public_id__in=told)
    else:
        known = CustomerReference.objects.for_tenant(row.tenant).filter(source=row.provider).values("participant")
        people = people.filter(Q(source=row.provider) | Q(pk__in=known))
    return people.select_related("campaign", "merchant").order_by("pk").distinct()


def _about(type_: str, row: Connection, data: dict[str, Any], people: list[Participant] | None = None) -> Happening:
    """History never holds a name or an address; a participant is named by their id."""
    participant = people[0].public_id if people else ""
    told = {"provider": row.provider, **data}
    return Happening(type_, "connection", row.public_id, participant=participant, data=told)
