"""Several payouts in one call: packed, frozen and claimed together, settled one by one (RELIABILITY section 4, "PayPal batches"; ADR 17).

The twin of rewards.sending for companies that take many at once. The shipment has the lease, the tries and the life of the key; each of
its payouts keeps its own tries and its own outcome. A crash between two steps leaves a shipment from which the next worker goes on.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Now

from referrals.accounts.tenancy import TenantQuerySet
from referrals.lib import clock
from referrals.lib.sealed import SealError
from rewards import ordering, payout_guards, sending, settling
from rewards.models import Payout, PayoutAttempt, PayoutBatch, PayoutShipment, Reward
from rewards.orders import Order, Outcome, Shipment, kept

# How long a worker may take for one shipment before another may believe it dead: asking, sending, asking again, and settling hundreds.
LEASE = timedelta(minutes=3)
ON_THE_WAY = ("sending", "unknown")
logger = logging.getLogger(__name__)
NOT_LISTED = Outcome("unknown", "", "The company has the whole, but does not name this payout in it.")


@dataclass(frozen=True, slots=True)
class Load:
    """A claimed shipment, and the orders of all its payouts as they were frozen. `left` are the public ids of those not settled yet."""

    shipment: Shipment
    orders: tuple[Order, ...]
    left: frozenset[str]


def pack(payout_id: int, most: int, *, lease: timedelta = LEASE) -> Load | None:
    """Freeze a queued payout and others of its batch, connection and currency that are due, as a shipment that has been claimed.

    Who was held, banned or taken back, whose address has changed or cannot be opened, or who is above a ceiling, is not in it.
    None when nothing of it may leave now, or somebody else packs it.
    """
    with transaction.atomic():
        due = Payout.objects.filter(status="queued", shipment=None, next_attempt_at__lte=Now())
        first = due.filter(pk=payout_id).select_related("merchant").first()
        if first is None or payout_guards.is_stopped(first.tenant):
            return None
        # One worker at a time packs a batch; else sixteen would share out what one call can carry.
        PayoutBatch.objects.select_for_update(no_key=True).get(pk=first.batch_id)
        alike = due.filter(batch=first.batch_id, method=first.method, account=first.account, currency=first.currency)
        rows = alike.select_for_update(of=("self",), skip_locked=True).order_by("pk")
        rows = rows.select_related("participant__campaign__merchant", "merchant", "batch")
        found = _openable(list(rows[:most]))
        # The ceilings' lock comes before people's, as everywhere; who is stopped uses up nothing of them.
        payout_guards.lock_limit(first.tenant, first.currency)
        going = sending.leave(found, _without_postponed)
        return _frozen(going, lease) if going else None


def _openable(rows: list[Payout]) -> list[Payout]:
    """Without those whose payout address can't be opened: they wait by themselves, and keep nobody waiting."""
    found, fine = ordering.addresses(rows), []
    for row in rows:
        try:
            address = found.get((row.participant_id, row.destination))
            _opened = address.secrets if address is not None else None
            fine.append(row)
        except SealError:
            settling.put_aside(row.pk, "Its payout address can't be opened; it will be tried again.")
    return fine


def _without_postponed(rows: list[Payout]) -> list[Payout]:
    later = payout_guards.postponed_of(rows) if rows else {}
    for pk, why in later.items():
        Payout.objects.filter(pk=pk).update(next_attempt_at=why.until, message=why.message)
    return [row for row in rows if row.pk not in later]


def _frozen(rows: Sequence[Payout], lease: timedelta) -> Load:
    """The shipment of these payouts, written with its first claim."""
    first = rows[0]
    row = PayoutShipment(
        merchant_id=first.merchant_id,
        is_test=first.is_test,
        batch_id=first.batch_id,
        method=first.method,
        account=first.account,
        attempts=1,
    )
    row.key = row.public_id
    for payout in rows:
        payout.status, payout.attempts, payout.shipment = "sending", payout.attempts + 1, row
    orders = _orders(rows, first_call=True)
    row.digest = _digest(orders)
    row.save(force_insert=True)
    PayoutShipment.objects.filter(pk=row.pk).update(next_attempt_at=Now() + lease, called_at=Now())
    Payout.objects.filter(pk__in=[payout.pk for payout in rows]).update(
        status="sending", attempts=F("attempts") + 1, called_at=Now(), next_attempt_at=None, message="", shipment=row
    )
    _begin(rows)
    left = frozenset(order.public_id for order in orders)
    return Load(_told(row, left, first_call=True), orders, left)


def drop_changed(shipment_id: int) -> int:
    """Take out of a shipment that can't have reached its company, one by one, what is not to leave any more (sending.given_up). Returns how
    many. Only then it may be cut: nobody knows its list yet."""
    left = Payout.objects.filter(shipment=shipment_id, shipment__called_at=None, status="sending").order_by("pk")
    dropped = 0
    for pk in list(left.values_list("pk", flat=True)):
        with transaction.atomic():
            # As in claim(): the shipment is locked before its payouts.
            fresh = PayoutShipment.objects.filter(pk=shipment_id, called_at=None)
            row = fresh.select_for_update(no_key=True).first()
            if row is None:
                break
            payout = settling.locked(pk)
            if payout.status == "sending" and sending.given_up(payout):
                Payout.objects.filter(pk=pk).update(shipment=None)
                PayoutShipment.objects.filter(pk=row.pk).update(digest=_digest(_loaded(row, first_call=True).orders))
                dropped += 1
    return dropped


def claim(shipment_id: int, *, lease: timedelta = LEASE) -> Load | None:
    """Take a shipment that is due once more; None when it is somebody else's, or when all of its payouts are settled."""
    with transaction.atomic():
        due = PayoutShipment.objects.filter(pk=shipment_id, next_attempt_at__lte=Now())
        row = due.select_related("merchant").first()
        if row is None or payout_guards.is_stopped(row.tenant):
            return None
        taken = due.filter(attempts=row.attempts).update(
            attempts=F("attempts") + 1, next_attempt_at=Now() + lease, called_at=Coalesce(F("called_at"), Now())
        )
        if not taken:
            return None
        row.attempts += 1
        left = Payout.objects.filter(shipment=row, status__in=ON_THE_WAY)
        left.update(status="sending", attempts=F("attempts") + 1)
        load = _loaded(row, first_call=row.called_at is None)
        if not load.left:
            PayoutShipment.objects.filter(pk=row.pk).update(next_attempt_at=None)
            return None
        _begin(list(left.order_by("pk")))
        return load


def look(shipment_id: int) -> Load:
    """A shipment and its orders, to ask the company about it; nothing is claimed."""
    return _loaded(PayoutShipment.objects.get(pk=shipment_id), first_call=False)


def may_send_again(load: Load, key_life: timedelta | None) -> bool:
    """Whether a call that may have been made before can be made once more: the list is still the one that was frozen, no person was
    asked about any of it, and the key is young, by the database's clock. `key_life` None: for ever; zero: never blindly."""
    if load.shipment.first_call:
        return True
    same = PayoutShipment.objects.filter(pk=load.shipment.shipment_id, is_over=False, digest=_digest(load.orders))
    if key_life is not None:
        same = same.filter(called_at__gt=Now() - key_life * sending.SAFE_PART) if key_life else same.none()
    return same.exists()


def settle(
    load: Load,
    outcomes: Mapping[str, Outcome],
    *,
    reference: str = "",
    key_life: timedelta | None,
    ask_in: Mapping[str, timedelta] | None = None,
) -> None:
    """Write down what came of a try, each payout in a transaction of its own: `outcomes` by public id, one that is missing is unknown.

    An answer that comes after the lease is lost changes nothing. Payouts that were settled meanwhile, by a status message, stay so.
    """
    mine = PayoutShipment.objects.filter(pk=load.shipment.shipment_id, attempts=load.shipment.number)
    if reference:
        mine.update(reference=kept(reference)[:255])
    for order in load.orders:
        if order.public_id in load.left:
            try:
                _settle_one(load, order, outcomes.get(order.public_id, NOT_LISTED), key_life, ask_in)
            except Exception:
                # It keeps the others not waiting, and is settled by the next try, which asks.
                logger.exception("payout %s could not be settled", order.public_id)
    answers = [outcomes.get(name, NOT_LISTED) for name in load.left]
    wait = settling.pause(load.shipment.number, max((answer.wait for answer in answers), default=0))
    still = Payout.objects.filter(shipment=load.shipment.shipment_id, status__in=ON_THE_WAY).exists()
    mine.update(next_attempt_at=Now() + wait if still else None)
    if load.shipment.first_call and all(answer.state == "unsent" for answer in answers):
        # The key's life has not begun when nothing has reached the company yet.
        mine.update(called_at=None)


def _settle_one(
    load: Load, order: Order, outcome: Outcome, key_life: timedelta | None, ask_in: Mapping[str, timedelta] | None
) -> None:
    with transaction.atomic():
        # The shipment is locked before its payouts, as claim() does.
        row = PayoutShipment.objects.select_for_update(no_key=True).get(pk=load.shipment.shipment_id)
        if row.attempts == load.shipment.number:
            settling.settle(order, outcome, key_life=key_life, ask_in=ask_in)


def due_checks(shipment_id: int) -> int:
    """How many of its payouts the company is due to be asked about."""
    return _due_checks(shipment_id).count()


def take_checks(shipment_id: int) -> list[Payout]:
    """settling.take_check() of all payouts of a shipment that are due for it."""
    with transaction.atomic():
        rows = list(_due_checks(shipment_id).order_by("pk").select_for_update(of=("self",), skip_locked=True))
        mine = Payout.objects.filter(pk__in=[row.pk for row in rows])
        mine.update(check_at=Now() + settling.ASIDE, checks=F("checks") + 1)
        for row in rows:
            row.checks += 1
    return rows


def _due_checks(shipment_id: int) -> TenantQuerySet[Payout]:
    due = Payout.objects.filter(shipment=shipment_id, check_at__lte=Now()).exclude(status__in=settling.CLAIMABLE)
    return due.select_related("merchant", "batch")


def put_aside(shipment_id: int) -> None:
    """An error of ours on the way: the shipment stays what it is, and is looked at again later."""
    open_still = PayoutShipment.objects.filter(pk=shipment_id, next_attempt_at__isnull=False)
    open_still.update(next_attempt_at=Now() + settling.ASIDE)


def _loaded(row: PayoutShipment, *, first_call: bool) -> Load:
    payouts = Payout.objects.filter(shipment=row).order_by("pk")
    rows = list(payouts.select_related("participant__campaign__merchant", "merchant", "batch"))
    left = frozenset(payout.public_id for payout in rows if payout.status in ON_THE_WAY)
    return Load(_told(row, left, first_call=first_call), _orders(rows, first_call=first_call), left)


def _told(row: PayoutShipment, left: frozenset[str], *, first_call: bool) -> Shipment:
    return Shipment(row.pk, row.key, row.attempts, row.reference, row.called_at or clock.wall(), first_call, left)


def _orders(rows: Sequence[Payout], *, first_call: bool) -> tuple[Order, ...]:
    """Of payouts in the order of their primary keys. An address that can't be opened any more is empty, which changes the digest."""
    names: dict[int, list[str]] = {}
    for pk, name in Reward.objects.filter(payout__in=rows).order_by("pk").values_list("payout", "public_id"):
        if pk is not None:
            names.setdefault(pk, []).append(name)
    found = ordering.addresses(rows)
    orders = []
    for row in rows:
        address = found.get((row.participant_id, row.destination))
        try:
            opened = address.secrets if address is not None else {}
        except SealError:
            opened = {}
        orders.append(ordering.order_with(row, opened, tuple(names.get(row.pk, ())), first_call=first_call))
    return tuple(orders)


def _digest(orders: Sequence[Order]) -> str:
    listed = [[order.key, order.amount.minor, order.amount.currency, order.address] for order in orders]
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()


def _begin(rows: Sequence[Payout]) -> None:
    PayoutAttempt.objects.bulk_create([PayoutAttempt(payout=row, number=row.attempts) for row in rows])
