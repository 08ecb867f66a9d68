"""What people did, as facts: they joined, they came through a link, they bought, it was taken back. Worth is decided in `rewards`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import BooleanField, CharField
from django.utils.translation import gettext as _

from campaigns.models import Campaign
from participants.models import (
    CustomerReference,
    EventReference,
    Participant,
    QualifyingEvent,
    Refund,
    RefundReference,
)
from participants.names import Reference, by_source
from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.services import Actor, Happening, record
from referrals.lib import clock
from referrals.lib.emails import Email, EmailError, parse_email
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from referrals.lib.prepared import Prepared, PreparedRows, Slot, insert, insert_missing
from referrals.lib.queries import Among

# What every payment asks, with its text made once (ADR 13).
_REFERENCES = Prepared(
    lambda: (
        EventReference.objects.filter(
            Among("reference", Slot("references")),
            merchant=Slot("merchant"),
            is_test=Slot("is_test", BooleanField()),
            source=Slot("source", CharField()),
        )
        .order_by("event_id")
        .select_related("event__participant__campaign__merchant")[:1]
    )
)
_WAITING_REFUNDS = PreparedRows(
    lambda: RefundReference.objects.filter(
        Among("reference", Slot("references")),
        merchant=Slot("merchant"),
        is_test=Slot("is_test", BooleanField()),
        source=Slot("source", CharField()),
    ).values_list("refund")
)
CHANGEABLE = frozenset({"first_name", "last_name", "language", "note", "existing_customer", "metadata"})


def check_email(text: str, *, field: str = "email") -> Email:
    """The address, checked and folded; Refused `email_invalid` names it (RELIABILITY section 6, row 12)."""
    try:
        return parse_email(text)
    except EmailError as error:
        raise Refused("email_invalid", str(error), field=field) from error


def find_by_email(campaign: Campaign, email: str) -> Participant | None:
    """The campaign's participant with this address, folded as for joining; None also for text that is no address."""
    try:
        key = parse_email(email).key
    except EmailError:
        return None
    return Participant.objects.filter(campaign=campaign, email_key=key).first()


def closed_message(campaign: Campaign, reason: str) -> str:
    """Why nobody can join, in words that name the campaign."""
    return {
        "campaign_not_started": _("The campaign %(name)s has not started yet."),
        "campaign_paused": _("The campaign %(name)s is paused."),
        "campaign_ended": _("The campaign %(name)s has ended."),
    }[reason] % {"name": campaign.name}


def lock_person(participant_id: int) -> Participant:
    """The person's row, locked against changes but not against rows that refer to it: those are written under locks on rewards."""
    return (
        Participant.objects.select_for_update(of=("self",), no_key=True)
        .select_related("campaign", "merchant")
        .get(pk=participant_id)
    )


def update_participant(*, participant: Participant, actor: Actor, **fields: Any) -> Participant:
    """Change names, language, note or the customer flag; raises Refused for another field or one that is too long."""
    with transaction.atomic():
        row = lock_person(participant.pk)
        changed = []
        for name, value in fields.items():
            if name not in CHANGEABLE:
                raise Refused(
                    "unknown_field",
                    _("A participant has no field %(n)r that can be changed.") % {"n": name},
                    field=name,
                    status=400,
                )
            limit = getattr(Participant._meta.get_field(name), "max_length", None)
            if limit is not None and len(value) > limit:
                raise Refused("too_long", _("At most %(limit)d characters fit.") % {"limit": limit}, field=name)
            if getattr(row, name) != value:
                setattr(row, name, value)
                changed.append(name)
                if name == "existing_customer":
                    row.customer_by = "hand"
        if changed:
            row.save(update_fields=[*changed, "customer_by"])
            record(
                row.tenant, actor, participant_happening(types.PARTICIPANT_CHANGED, row, {"fields": sorted(changed)})
            )
    return row


def participant_happening(type_: str, participant: Participant, data: dict[str, Any]) -> Happening:
    """An Event about a person, shown on their time line."""
    return Happening(
        type_,
        "participant",
        participant.public_id,
        campaign=participant.campaign.public_id,
        participant=participant.public_id,
        data=data,
    )


def check_moment(occurred_at: datetime | None) -> None:
    """Facts are decided by their times: one of the future would outweigh all that comes before it. Refused `occurred_at`."""
    if occurred_at is not None and occurred_at > clock.now() + timedelta(minutes=5):
        raise Refused(
            "occurred_at", _("%(time)s is in the future.") % {"time": occurred_at.isoformat()}, field="occurred_at"
        )


def find_event(tenant: Tenant, source: str, references: Sequence[Reference]) -> QualifyingEvent | None:
    """The event that a source, or another one which it names, knows under any of these names."""
    named = by_source(source, references)
    if not named:
        return None
    side = {"merchant": tenant.merchant.pk, "is_test": tenant.is_test}
    rows = [_REFERENCES.first(**side, source=owner, references=list(names)) for owner, names in named.items()]
    row = min((row for row in rows if row), key=lambda row: row.event_id, default=None)
    return row.event if row else None


def add_event(
    *,
    participant: Participant,
    type_: str,
    amount: Money | None,
    source: str,
    external_id: str,
    occurred_at: datetime,
    metadata: Mapping[str, Any],
    settled: bool = False,
) -> tuple[QualifyingEvent, bool]:
    """Insert the fact, or find it: one row for (campaign, source, external id). Runs in the caller's transaction.

    `settled` is imported history, whose rewards were settled elsewhere.
    """
    campaign = participant.campaign
    if campaign.version_id is None:
        raise Refused("campaign_not_started", closed_message(campaign, "campaign_not_started"))
    event = QualifyingEvent(
        merchant_id=participant.merchant_id,
        is_test=participant.is_test,
        campaign=campaign,
        version_id=campaign.version_id,
        participant=participant,
        type=type_,
        amount_minor=amount.minor if amount else None,
        currency=campaign.currency,
        source=source,
        external_id=external_id,
        occurred_at=occurred_at,
        metadata=dict(metadata),
        settled=settled,
    )
    if insert([event], unless_taken=True):
        return event, True
    known = QualifyingEvent.objects.select_related("participant__campaign__merchant")
    return known.get(campaign=campaign, source=source, external_id=external_id), False


def name_event(event: QualifyingEvent, references: Sequence[Reference], source: str = "") -> None:
    """Remember further names of the same payment, those of `source` or of the event's own. A name that is taken stays where it is."""
    rows = [
        EventReference(merchant_id=event.merchant_id, is_test=event.is_test, source=owner, reference=name, event=event)
        for owner, names in by_source(source or event.source, references).items()
        for name in names
    ]
    insert_missing(rows)


def name_customer(participant: Participant, source: str, customer_id: str) -> None:
    """Remember a source's own id for this person."""
    insert_missing([
        CustomerReference(
            merchant_id=participant.merchant_id,
            is_test=participant.is_test,
            source=source,
            customer_id=customer_id[:255],
            participant=participant,
        )
    ])  # fmt: skip


def add_refund(
    *,
    tenant: Tenant,
    source: str,
    external_id: str,
    event: QualifyingEvent | None,
    references: Sequence[Reference],
    amount: Money | None,
    kind: str,
    occurred_at: datetime,
) -> tuple[Refund, bool]:
    """Insert what was taken back, or find it: one row for (tenant, source, external id). Without an event it waits for one."""
    refund = Refund(
        merchant=tenant.merchant,
        is_test=tenant.is_test,
        event=event,
        kind=kind,
        amount_minor=amount.minor if amount else None,
        currency=amount.currency if amount else "",
        source=source,
        external_id=external_id[:255],
        occurred_at=occurred_at,
    )
    try:
        with transaction.atomic():
            refund.save(force_insert=True)
            if event is None:
                RefundReference.objects.bulk_create(_names_waited_for(refund, references))
    except IntegrityError:
        twin = Refund.objects.for_tenant(tenant).filter(source=source, external_id=external_id[:255]).first()
        if twin is None:
            raise
        return twin, False
    return refund, True


def _names_waited_for(refund: Refund, references: Sequence[Reference]) -> list[RefundReference]:
    return [
        RefundReference(
            merchant_id=refund.merchant_id, is_test=refund.is_test, refund=refund, source=owner, reference=name
        )
        for owner, names in by_source(refund.source, references).items()
        for name in names
    ]


def claim_waiting_refunds(event: QualifyingEvent, references: Sequence[Reference], source: str = "") -> int:
    """Give an event the refunds that came before it under one of these names. Returns how many."""
    side = {"merchant": event.merchant_id, "is_test": event.is_test}
    named = by_source(source or event.source, references)
    mine = {
        pk
        for owner, names in named.items()
        for (pk,) in _WAITING_REFUNDS(**side, source=owner, references=list(set(names)))
    }
    if not mine:
        return 0
    RefundReference.objects.filter(refund__in=mine).delete()
    return Refund.objects.filter(pk__in=mine, event=None).update(event=event)


def taken_back(event: QualifyingEvent) -> dict[str, Any]:
    """The event's own figures as its rows have them: minor units refunded so far, since when disputed, since when cancelled."""
    total, disputed, cancelled = 0, None, None
    for row in event.refunds.order_by("occurred_at", "pk"):
        if row.kind == "refund":
            total += event.amount_minor or 0 if row.amount_minor is None else row.amount_minor
        elif row.kind == "refund_back":
            total -= row.amount_minor or 0
        elif row.kind == "cancelled":
            cancelled = cancelled or row.occurred_at
        else:
            disputed = row.occurred_at if row.kind == "dispute" else None
    return {
        "refunded_minor": max(0, min(total, event.amount_minor or total)),
        "disputed_at": disputed,
        "cancelled_at": cancelled,
    }
