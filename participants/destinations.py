"""Choosing where money is paid: entered on the page, confirmed from a mail, and held for 72 hours when it replaces another one.

Who has got into somebody's page could lead their money elsewhere. So the change waits, the former address and the person's own hear of
it, and one press in that mail takes it back and ends every log-in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core import signing
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from participants.destination_kinds import BY_NAME, MAILBOXES, Details, Typed, read
from participants.destination_models import PayoutDestination
from participants.mail_models import MailOrder
from participants.models import HubAccess, Participant, PortalSession
from participants.services import lock_person, participant_happening
from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.services import Actor, record
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.queue import enqueue

CONFIRM, CHANGED = "payout_confirm", "payout_changed"
ORDER_TASK = "referrals.hosted.orders.send"
# How long the mailed link to confirm works.
LIFE = timedelta(days=3)
A_DAY = 5
_CONFIRM_SALT, _KEEP_SALT = "participants.destinations.confirm", "participants.destinations.keep"


@dataclass(frozen=True, slots=True)
class Destination:
    """Where to pay: by which method, to which address, and the row that says so."""

    method: str
    address: str
    public_id: str


def payable_destination(participant: Participant, now: datetime) -> Destination | None:
    """Where this person's money may be paid to at `now`; None without a confirmed address, and while a change is held.

    Payouts ask here and nowhere else. While a change is held nothing is paid to the former address either: whoever asked for the
    change may be right. Raises SealError when the row was tampered with.
    """
    row = current(participant)
    if row is None or row.usable_from is None or row.usable_from > now:
        return None
    return Destination(row.method, row.address, row.public_id)


def payable_destinations(participant_ids: Collection[int], now: datetime) -> dict[int, Destination]:
    """payable_destination() of many people, by their primary keys. One query. Raises SealError."""
    rows = PayoutDestination.objects.filter(
        participant__in=participant_ids, ended_at=None, confirmed_at__isnull=False, usable_from__lte=now
    )
    return {row.participant_id: Destination(row.method, row.address, row.public_id) for row in rows}


def current(participant: Participant) -> PayoutDestination | None:
    """The confirmed address, held or not."""
    return PayoutDestination.objects.filter(participant=participant, ended_at=None, confirmed_at__isnull=False).first()


def asked_for(participant: Participant) -> PayoutDestination | None:
    """The address that waits to be confirmed."""
    return PayoutDestination.objects.filter(participant=participant, ended_at=None, confirmed_at=None).first()


def ask(
    *,
    participant: Participant,
    actor: Actor,
    method: str = "paypal",
    values: Details | None = None,
    email: str = "",
    again: bool = False,
) -> PayoutDestination:
    """Enter an address of a kind; the mail to confirm goes there, or to the person's own mailbox where the kind has none.

    `values` are the kind's fields; `email` is short for those of a kind that asks for nothing else. One that waited before is
    withdrawn. `again`: the address that counts may be entered once more, because a payment to it did not work.
    Refused: destination_invalid (its details name every wrong field), destination_known (409), destination_limit (429),
    referrer_banned.
    """
    typed = read(method, values if values is not None else {"email": email})
    if participant.is_banned:
        raise Refused("referrer_banned", _("Your account can't be paid now."))
    field = typed.kind.main
    secrets = {**typed.details, "address": typed.address}
    with transaction.atomic():
        person = lock_person(participant.pk)
        now = clock.now()
        known = current(person)
        fingerprint = fingerprint_of(participant.tenant, typed.identity)
        if known is not None and not again and known.fingerprint == fingerprint and _same_otherwise(known, typed):
            message = _("Payouts go to this address already.")
            raise Refused("destination_known", message, field=field, status=409)
        asked = PayoutDestination.objects.filter(participant=person, asked_at__gt=now - timedelta(days=1)).count()
        if asked >= A_DAY:
            message = _("You have entered five addresses within a day. Try again tomorrow.")
            raise Refused("destination_limit", message, field=field, status=429)
        waiting = PayoutDestination.objects.filter(participant=person, ended_at=None, confirmed_at=None)
        waiting.update(ended_at=now, end="withdrawn")
        row = PayoutDestination(
            merchant_id=person.merchant_id,
            is_test=person.is_test,
            participant=person,
            method=typed.kind.name,
            hint=typed.hint,
            fingerprint=fingerprint,
            asked_at=now,
        )
        row.secrets = secrets
        row.save(force_insert=True)
        _order(row, CONFIRM, mailbox_of(row))
        _tell(person, actor, "asked")
    return row


def _same_otherwise(row: PayoutDestination, typed: Typed) -> bool:
    """Whether an address of the same account is of the same kind, and has the same besides: a name may be mended."""
    secrets = row.secrets
    others = {name: value for name, value in typed.details.items() if name != typed.kind.main}
    return row.method == typed.kind.name and all(secrets.get(name) == value for name, value in others.items())


def enter_again(*, participant: Participant, actor: Actor) -> PayoutDestination | None:
    """Try the address that counts once more, because a payment to it did not work: it is confirmed anew. None without one.

    Refused: destination_limit (429), referrer_banned. Raises SealError.
    """
    row = current(participant)
    if row is None:
        return None
    values = {name: str(value) for name, value in row.secrets.items()}
    values.setdefault(BY_NAME[row.method].main, row.address)
    return ask(participant=participant, actor=actor, method=row.method, values=values, again=True)


def mailbox_of(row: PayoutDestination) -> str:
    """Where a mail about this address goes: to itself, or "" (the person's own) where it is no mailbox. Raises SealError."""
    return row.address if row.method in MAILBOXES else ""


def confirm(*, token: str, actor: Actor) -> PayoutDestination | None:
    """Make the address behind a mailed link count: at once when it is the first, after 72 hours when there was another one before.

    None when the link is too old, used, or its address was withdrawn: exactly one press does it. The former address and the person's
    own are told.
    """
    found = find_asked(token)
    if found is None:
        return None
    with transaction.atomic():
        person = lock_person(found.participant_id)
        now = clock.now()
        had = PayoutDestination.objects.filter(participant=person, confirmed_at__isnull=False).order_by("-pk")
        before = had.filter(ended_at=None).first()
        usable, held = _usable_from(found, before, now, first=not had.exists())
        if before is not None:
            PayoutDestination.objects.filter(pk=before.pk).update(ended_at=now, end="replaced")
        waiting = PayoutDestination.objects.filter(pk=found.pk, confirmed_at=None, ended_at=None)
        try:
            with transaction.atomic():
                done = waiting.update(confirmed_at=now, usable_from=usable, replaces=before)
        except IntegrityError:
            done = 0
        if done != 1:
            transaction.set_rollback(True)
            return None
        row = PayoutDestination.objects.select_related("participant__campaign__merchant", "merchant").get(pk=found.pk)
        _notify(row, before)
        _tell(person, actor, "changed" if held else "confirmed")
    return row


def _usable_from(
    found: PayoutDestination, before: PayoutDestination | None, now: datetime, *, first: bool
) -> tuple[datetime, bool]:
    """From when a newly confirmed address counts, and whether it is a change. The same account, written otherwise, leads nowhere else."""
    if first:
        return now, False
    if before is not None and before.usable_from is not None and before.fingerprint == found.fingerprint:
        return max(now, before.usable_from), False
    return now + PayoutDestination.HOLD, True


def _notify(row: PayoutDestination, before: PayoutDestination | None) -> None:
    """The person's own address hears of it, and the former one; where that is no mailbox, the last one before it that is. Each once."""
    _order(row, CHANGED, "")
    known = mailbox_of(before) if before is not None else ""
    if not known:
        known = next(filter(None, (mailbox_of(one) for one in _earlier(row))), "")
    if known and known.casefold() != row.participant.email.casefold():
        _order(row, CHANGED, known)


def _earlier(row: PayoutDestination) -> QuerySet[PayoutDestination]:
    """The addresses that counted before, the newest first, but for those that were taken back: they were somebody else's."""
    rows = PayoutDestination.objects.filter(participant=row.participant_id, confirmed_at__isnull=False, pk__lt=row.pk)
    return rows.filter(method__in=MAILBOXES).exclude(end="taken_back").order_by("-pk")[:1]


def take_back(*, token: str, actor: Actor) -> PayoutDestination | None:
    """Undo a change from the mail about it, within its 72 hours: the former address counts again, and every log-in ends.

    None when the time is over or it was taken back before. Returns the address that no longer counts.
    """
    found = find_changed(token)
    if found is None:
        return None
    with transaction.atomic():
        person = lock_person(found.participant_id)
        now = clock.now()
        if PayoutDestination.objects.filter(pk=found.pk, end=found.end).update(ended_at=now, end="taken_back") != 1:
            return None
        # What was entered after it comes from the same hands.
        later = PayoutDestination.objects.filter(participant=person, ended_at=None, pk__gt=found.pk)
        later.update(ended_at=now, end="taken_back")
        if found.replaces_id is not None and current(person) is None:
            PayoutDestination.objects.filter(pk=found.replaces_id, end="replaced").update(ended_at=None, end="")
        PortalSession.objects.filter(
            participant__merchant_id=person.merchant_id,
            participant__is_test__in=[person.is_test],
            participant__email_key=person.email_key,
            ended_at=None,
        ).update(ended_at=clock.wall())
        HubAccess.objects.filter(email_key=person.email_key, ended_at=None).update(ended_at=clock.wall())
        _tell(person, actor, "taken_back")
    return found


def remove(*, participant: Participant, actor: Actor) -> int:
    """Take the address out, the one that waits as well; nothing is paid until there is another one. How many that were."""
    with transaction.atomic():
        person = lock_person(participant.pk)
        rows = PayoutDestination.objects.filter(participant=person, ended_at=None)
        gone = rows.update(ended_at=clock.now(), end="removed")
        if gone:
            _tell(person, actor, "removed")
    return gone


def fingerprint_of(tenant: Tenant, identity: str) -> str:
    """The same for one account or mailbox at one side of one merchant."""
    text = f"{tenant.merchant.pk}:{int(tenant.is_test)}:payout:{identity}"
    return hashlib.sha256(text.encode()).hexdigest()


def _tell(person: Participant, actor: Actor, step: str) -> None:
    """History says that it happened, never which address."""
    record(person.tenant, actor, participant_happening(types.PAYOUT_ADDRESS, person, {"step": step}))


def _order(row: PayoutDestination, kind: str, to: str) -> None:
    order = MailOrder.objects.create(participant=row.participant, kind=kind, subject_id=row.public_id, to=to)
    enqueue(ORDER_TASK, order.pk)


# --- the mailed links ---


def confirm_token(row: PayoutDestination) -> str:
    """The signed text in the address that confirms."""
    return signing.dumps(row.public_id, salt=_CONFIRM_SALT)


def keep_token(row: PayoutDestination) -> str:
    """The signed text in the address that takes a change back."""
    return signing.dumps(row.public_id, salt=_KEEP_SALT)


def find_asked(token: str) -> PayoutDestination | None:
    """What a link would confirm, while it works. Looking does nothing."""
    row = _find(token, _CONFIRM_SALT)
    return row if row is not None and row.confirmed_at is None and row.ended_at is None else None


def find_changed(token: str) -> PayoutDestination | None:
    """What a link would take back, while it can: 72 hours from the change, even when yet another address was entered after it."""
    row = _find(token, _KEEP_SALT)
    if row is None or row.confirmed_at is None or row.end not in {"", "replaced"}:
        return None
    return row if clock.now() < row.confirmed_at + PayoutDestination.HOLD else None


def _find(token: str, salt: str) -> PayoutDestination | None:
    try:
        public_id = signing.loads(token, salt=salt, max_age=LIFE)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    rows = PayoutDestination.objects.select_related("participant__campaign__merchant", "merchant")
    return rows.filter(public_id=str(public_id)).first()


# --- for the fraud check (S03) ---


def shared_destinations(friend: Participant, referrer: Participant) -> tuple[bool, int]:
    """(whether the friend is paid where the referrer is, how many people are paid there). One query, two when the friend has an address."""
    mine = PayoutDestination.objects.filter(participant=friend, ended_at=None, confirmed_at__isnull=False)
    fingerprint = mine.values_list("fingerprint", flat=True).first()
    if fingerprint is None:
        return False, 0
    identities = set(_sharing(friend.tenant, fingerprint).values_list("participant__identity_key", flat=True)[:300])
    return referrer.identity_key in identities - {friend.identity_key}, len(identities)


def sharers_of(row: PayoutDestination) -> list[int]:
    """The participants who are paid where `row` leads, at most 50."""
    rows = _sharing(row.tenant, row.fingerprint).order_by("participant_id")
    return list(rows.values_list("participant", flat=True)[:50])


def _sharing(tenant: Tenant, fingerprint: str) -> QuerySet[PayoutDestination]:
    rows = PayoutDestination.objects.for_tenant(tenant).filter(fingerprint=fingerprint)
    return rows.filter(ended_at=None, confirmed_at__isnull=False)
