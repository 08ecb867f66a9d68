"""Money taken back: a refund, a cancellation, a dispute. The payment's figures follow, and what it earned is decided again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from participants import services as facts
from participants.models import QualifyingEvent, Refund
from participants.names import Reference
from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.services import Actor, Happening, record
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from rewards.deciding import redecide
from rewards.locking import lock_people


@dataclass(frozen=True, slots=True)
class Refunded:
    """What was taken back, of which event (None while it waits for it), and whether just now."""

    refund: Refund
    event: QualifyingEvent | None
    created: bool


def refund(
    *,
    tenant: Tenant,
    actor: Actor,
    source: str,
    external_id: str,
    event: QualifyingEvent | None = None,
    references: Sequence[Reference] = (),
    amount: Money | None = None,
    kind: str = "refund",
    occurred_at: datetime | None = None,
    rivals: Collection[str] = (),
) -> Refunded:
    """Record money taken back (all of it without `amount`) and decide again. Idempotent by (tenant, source, external id).

    `rivals` are sources that may tell of the same money: what one of them took back of the payment is not taken back again.
    One that comes before its purchase waits for it. Raises Refused: currency, amount_not_positive, refund_too_large, occurred_at.
    """
    facts.check_moment(occurred_at)
    with transaction.atomic():
        by_hand = event is not None
        event = event or facts.find_event(tenant, source, references)
        if event is not None:
            # The friend's row is the lock under which everything about them is decided.
            lock_people(event.participant)
            event = QualifyingEvent.objects.select_related("participant__campaign__merchant").get(pk=event.pk)
            _check_refund(event, amount)
            if by_hand:
                _refuse_too_much(event, amount, external_id, source)
            told = event.refunds.filter(kind=kind, source__in=rivals).order_by("pk").first() if rivals else None
            if told is not None:
                return Refunded(told, event, False)
        row, created = facts.add_refund(
            tenant=tenant,
            source=source,
            external_id=external_id,
            event=event,
            references=references,
            amount=amount,
            kind=kind,
            occurred_at=occurred_at or clock.now(),
        )
        if not created or event is None:
            return Refunded(row, event or row.event, created)
        take_back(event)
        tell(event, actor, [row])
        redecide(event.participant, actor, since=event.occurred_at)
    return Refunded(row, event, True)


def _check_refund(event: QualifyingEvent, amount: Money | None) -> None:
    if amount is None:
        return
    if amount.currency != event.currency:
        message = _("%(amount)s is not in the event's currency, %(wanted)s.")
        raise Refused("currency", message % {"amount": amount, "wanted": event.currency}, field="amount")
    if amount.minor <= 0:
        raise Refused("amount_not_positive", _("%(amount)s is not above zero.") % {"amount": amount}, field="amount")


def _refuse_too_much(event: QualifyingEvent, amount: Money | None, external_id: str, source: str) -> None:
    """A person or a program can't take back more than was paid. A provider's facts come in any order and are taken as they are."""
    if amount is None:
        return
    known = Refund.objects.for_tenant(event.tenant).filter(source=source, external_id=external_id[:255]).exists()
    kept = event.kept
    if not known and kept is not None and kept < amount:
        message = _("%(amount)s is more than the %(kept)s that are left of this payment.")
        raise Refused("refund_too_large", message % {"amount": amount, "kept": kept}, field="amount")


def take_back(event: QualifyingEvent) -> None:
    """Bring the event's own figures in line with its refunds."""
    changed = {name: value for name, value in facts.taken_back(event).items() if getattr(event, name) != value}
    for name, value in changed.items():
        setattr(event, name, value)
    if changed:
        event.save(update_fields=list(changed))


def tell(event: QualifyingEvent, actor: Actor, rows: Iterable[Refund]) -> None:
    """Write into the history what was taken back of an event: as it comes, or when the payment that it waited for is there."""
    happenings = []
    for row in rows:
        type_ = types.EVENT_REFUNDED if row.kind in {"refund", "refund_back", "cancelled"} else types.EVENT_DISPUTED
        data = {
            "kind": row.kind,
            "amount_minor": row.amount_minor,
            "currency": event.currency,
            "refund": row.public_id,
        }
        happenings.append(_about(type_, event, data))
    record(event.tenant, actor, *happenings)


def _about(type_: str, event: QualifyingEvent, data: dict[str, Any]) -> Happening:
    """An Event about a qualifying event, shown on the friend's timeline."""
    return Happening(
        type_,
        "event",
        event.public_id,
        campaign=event.participant.campaign.public_id,
        participant=event.participant.public_id,
        data=data,
    )
