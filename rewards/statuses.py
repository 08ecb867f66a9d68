"""Multi-step sales: the merchant sets where a referral stands, and what was reached is an event like any other (PRODUCT.md, seed 001)."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from campaigns.terms import STATUS_EVENTS
from participants import services as facts
from participants.models import Participant, QualifyingEvent, Referral
from referrals.events import types
from referrals.events.services import Actor, Happening, record
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from rewards.deciding import redecide
from rewards.locking import lock_people

STATUSES: tuple[str, ...] = ("pending", *STATUS_EVENTS, "denied")


def set_status(
    *,
    participant: Participant,
    status: str,
    actor: Actor,
    note: str = "",
    amount: Money | None = None,
    at: datetime | None = None,
    settled: bool = False,
) -> Referral:
    """Say how far a friend's sale has come: pending, qualified, approved, denied; any may follow any, and the opposite undoes it.

    Approving a sale that was never qualified qualifies it too. `amount` is what the sale is worth, for rules that give a share; `at`
    when it was reached; `settled` is imported history, which earns nothing here.
    Raises Refused: invalid_choice, note_required (to deny), not_referred (409), amount_not_positive, currency, campaign_not_started,
    amount_changed (409: the same step with another amount).
    """
    _check(participant, status, note, amount)
    with transaction.atomic():
        friend, referral = lock_people(participant)
        if referral is None:
            raise Refused("not_referred", _("%(who)s was not referred by anybody.") % {"who": friend}, status=409)
        referral.invitee = friend
        reached = STATUS_EVENTS[: STATUS_EVENTS.index(status) + 1] if status in STATUS_EVENTS else ()
        for name in reached:
            _reach(friend, referral, name, amount if name == status else None, at or clock.now(), settled)
        if referral.status != status:
            before, referral.status = referral.status, status
            referral.save(update_fields=["status"])
            data = {"from": before, "to": status} | ({"note": note.strip()} if note.strip() else {})
            record(friend.tenant, actor, _happening(referral, data))
        redecide(friend, actor, since=_first_event(friend))
    return referral


def _check(participant: Participant, status: str, note: str, amount: Money | None) -> None:
    if status not in STATUSES:
        message = _("%(status)r is not one of %(all)s.") % {"status": status, "all": ", ".join(STATUSES)}
        raise Refused("invalid_choice", message, field="status")
    if status == "denied" and not note.strip():
        raise Refused("note_required", _("Say why, so that it can be explained later."), field="note")
    if len(note) > 300:
        raise Refused("too_long", _("A note has at most 300 characters."), field="note")
    if amount is not None and status not in STATUS_EVENTS:
        raise Refused("invalid_value", _("An amount goes with qualified and approved only."), field="amount")
    if amount is not None and amount.currency != participant.campaign.currency:
        words = {"amount": amount, "wanted": participant.campaign.currency}
        raise Refused(
            "currency", _("%(amount)s is not in the campaign's currency, %(wanted)s.") % words, field="amount"
        )
    if amount is not None and amount.minor <= 0:
        raise Refused("amount_not_positive", _("%(amount)s is not above zero.") % {"amount": amount}, field="amount")


def _reach(
    friend: Participant, referral: Referral, name: str, amount: Money | None, at: datetime, settled: bool
) -> None:
    """The event of one step; the first time stands."""
    event, _created = facts.add_event(
        participant=friend,
        type_=name,
        amount=amount,
        source="passalong",
        external_id=f"status:{referral.pk}:{name}",
        occurred_at=at,
        metadata={},
        settled=settled,
    )
    if amount is not None and event.amount_minor != amount.minor:
        if event.amount_minor is not None:
            message = _("The sale was %(name)s with %(old)s; %(new)s was sent now. Record a refund for the difference.")
            words = {"name": name, "old": event.amount, "new": amount}
            raise Refused("amount_changed", message % words, field="amount", status=409)
        QualifyingEvent.objects.filter(pk=event.pk, amount_minor=None).update(amount_minor=amount.minor)


def _first_event(friend: Participant) -> datetime:
    """The friend's earliest event: a denial takes back all of them."""
    first = QualifyingEvent.objects.filter(participant=friend).order_by("occurred_at", "pk").first()
    return first.occurred_at if first else clock.now()


def _happening(referral: Referral, data: dict[str, str]) -> Happening:
    return Happening(
        types.REFERRAL_STATUS_CHANGED,
        "participant",
        referral.invitee.public_id,
        campaign=referral.invitee.campaign.public_id,
        participant=referral.invitee.public_id,
        referrer=referral.referrer.public_id,
        data=data,
    )
