"""What keeps money in the house: the kill switch, ceilings for a day, and a second person's word (RELIABILITY section 4, "Also").

The switch and the ceilings are asked in the transaction that claims a payout, the second person in the one that makes the batch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Sum
from django.utils.translation import gettext as _

from referrals.accounts.models import ApiKey
from referrals.accounts.tenancy import Tenant, TenantModel, TenantQuerySet
from referrals.events import types
from referrals.events.services import Actor, Happening, record
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from referrals.lib.prepared import Prepared, Slot
from referrals.lib.queue import enqueue
from rewards import vetoes
from rewards.models import Payout, PayoutBatch, PayoutLimit, PayoutStop

M = TypeVar("M", bound=TenantModel)
NUDGE = "integrations.payouts.sweep"
# Asked for each payout: their text is made once (ADR 13).
_STOP = Prepared(lambda: PayoutStop.objects.filter(merchant=Slot("merchant"), is_test=Slot("is_test")))
_LIMIT = Prepared(
    lambda: PayoutLimit.objects.filter(
        merchant=Slot("merchant"), is_test=Slot("is_test"), currency=Slot("currency")
    ).select_for_update()
)
FIELDS = ("a_day_minor", "a_person_a_day_minor", "second_person_above_minor")


@dataclass(frozen=True, slots=True)
class Postponed:
    """Why a payout does not leave now, in words, and when it may."""

    message: str
    until: datetime


# --- the kill switch ---


def stop(*, tenant: Tenant, actor: Actor, note: str) -> PayoutStop:
    """Nothing leaves any more, from the next claim on; what is on the wire arrives. `note` says why. Stopping twice is stopping once."""
    if not note.strip():
        raise Refused("note_required", _("Say why, so that it can be explained later."), field="note")
    with transaction.atomic():
        row, made = PayoutStop.objects.get_or_create(
            merchant=tenant.merchant,
            is_test=tenant.is_test,
            defaults={"stopped_at": clock.now(), "stopped_by": actor.label, "note": note.strip()[:500]},
        )
        if made:
            record(tenant, actor, _told(types.PAYOUTS_STOPPED, tenant, note=row.note))
    return row


def go_on(*, tenant: Tenant, actor: Actor) -> bool:
    """Payouts leave again; what waited is looked at at once. False when nothing was stopped."""
    with transaction.atomic():
        gone, _each = PayoutStop.objects.for_tenant(tenant).delete()
        if gone:
            record(tenant, actor, _told(types.PAYOUTS_RESUMED, tenant))
            enqueue(NUDGE)
    return bool(gone)


def stopped(tenant: Tenant) -> PayoutStop | None:
    """The switch of this side, when it is thrown; the installation's own (PAYOUTS_STOPPED) is asked by is_stopped()."""
    return _STOP.first(merchant=tenant.merchant.pk, is_test=tenant.is_test)


def is_stopped(tenant: Tenant) -> bool:
    """Whether nothing may leave: this side's switch, or the whole installation's."""
    return bool(settings.PAYOUTS_STOPPED) or stopped(tenant) is not None


def refuse_stopped(tenant: Tenant) -> None:
    """Raise Refused `payouts_stopped` (409) while nothing may leave: for what leaves in the moment it is made."""
    if is_stopped(tenant):
        raise Refused("payouts_stopped", _("All payouts are stopped. Let them go on first."), status=409)


def not_stopped(rows: TenantQuerySet[M]) -> TenantQuerySet[M]:
    """Those payouts or shipments whose side may pay; none at all while the installation is stopped."""
    if settings.PAYOUTS_STOPPED:
        return rows.none()
    return rows.exclude(Exists(PayoutStop.objects.filter(merchant=OuterRef("merchant"), is_test=OuterRef("is_test"))))


# --- ceilings ---


def set_limits(*, tenant: Tenant, actor: Actor, currency: str, limits: Mapping[str, int | None]) -> PayoutLimit:
    """Set a currency's limits, in minor units; None takes one away. Raises Refused: amount_not_positive, with the field."""
    values = {name: limits.get(name) for name in FIELDS}
    for name, minor in values.items():
        if minor is not None and (minor < 0 or (minor == 0 and name != "second_person_above_minor")):
            message = _("%(amount)s is not above zero. Leave the field empty for no limit.")
            raise Refused("amount_not_positive", message % {"amount": Money(minor, currency)}, field=name)
    with transaction.atomic():
        row, _made = PayoutLimit.objects.select_for_update().get_or_create(
            merchant=tenant.merchant, is_test=tenant.is_test, currency=currency
        )
        if {name: getattr(row, name) for name in FIELDS} != values:
            for name, minor in values.items():
                setattr(row, name, minor)
            row.save(update_fields=list(FIELDS))
            record(tenant, actor, _told(types.PAYOUT_LIMITS_CHANGED, tenant, currency=currency, **values))
    return row


def postponed(payout: Payout) -> Postponed | None:
    """Why a payout that is being claimed has to wait for another day; None when it may leave."""
    return postponed_of([payout]).get(payout.pk)


def lock_limit(tenant: Tenant, currency: str) -> PayoutLimit | None:
    """The limits of a currency, locked for this transaction; None when there are none."""
    return _LIMIT.first(merchant=tenant.merchant.pk, is_test=tenant.is_test, currency=currency)


def postponed_of(payouts: Sequence[Payout]) -> dict[int, Postponed]:
    """Which of several payouts of one side and currency that are being claimed have to wait for another day, and why, by primary key.

    Each that may leave counts for those after it. Runs in the claim's transaction. A day is the merchant's. What left today is what was
    first called for today and has not come to nothing; the limit's row is locked, so that two claims never use the same rest.
    """
    first = payouts[0]
    limit = lock_limit(first.tenant, first.currency)
    if limit is None or (limit.a_day_minor is None and limit.a_person_a_day_minor is None):
        return {}
    zone = first.merchant.zone
    midnight = clock.wall().astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    today = (
        Payout.objects.for_tenant(first.tenant)
        .filter(currency=first.currency, called_at__gte=midnight, status__in=Payout.GONE | Payout.OPEN - {"queued"})
        .exclude(pk__in=[payout.pk for payout in payouts])
    )
    used = today.aggregate(total=Sum("amount_minor"))["total"] or 0
    # One person is one address, whatever campaigns they are in, as in the yearly totals.
    people = [payout.participant.email_key for payout in payouts]
    mine = today.filter(participant__email_key__in=people).order_by().values_list("participant__email_key")
    by_person: Counter[str] = Counter(dict(mine.annotate(Sum("amount_minor"))))
    found = {}
    for payout in payouts:
        words = ""
        if _over(limit.a_day_minor, used, payout):
            words = _never(limit.a_day_minor, payout) or _("Today's limit for all payouts is used up.")
        elif _over(limit.a_person_a_day_minor, by_person[payout.participant.email_key], payout):
            words = _never(limit.a_person_a_day_minor, payout) or _("Today's limit for this person is used up.")
        if words:
            found[payout.pk] = Postponed(words, clock.in_days(midnight, 1, zone))
        else:
            used += payout.amount_minor
            by_person[payout.participant.email_key] += payout.amount_minor
    return found


def _never(limit: int | None, payout: Payout) -> str:
    """What to do about a payout that no day has room for; "" when another day has."""
    if not _over(limit, 0, payout):
        return ""
    whole = Money(limit or 0, payout.currency)
    message = _(
        "%(amount)s is more than the limit of a whole day, %(limit)s. Raise the limit, or pay it in smaller parts."
    )
    return message % {"amount": payout.amount, "limit": whole}


def _over(limit: int | None, used: int, payout: Payout) -> bool:
    return limit is not None and used + payout.amount_minor > limit


# --- a second person ---


def needs_second_person(tenant: Tenant, payouts: Sequence[Payout]) -> bool:
    """Whether a batch is above the threshold in one of its currencies."""
    sums: Counter[str] = Counter()
    for payout in payouts:
        sums[payout.currency] += payout.amount_minor
    limits = PayoutLimit.objects.for_tenant(tenant).filter(currency__in=sums, second_person_above_minor__isnull=False)
    return any(sums[row.currency] > (row.second_person_above_minor or 0) for row in limits)


def approve_batch(*, batch: PayoutBatch, actor: Actor) -> PayoutBatch:
    """The second person agrees: the batch leaves. Refused 409: invalid_state, same_person, also for who made the key that made it."""
    with transaction.atomic():
        row = _locked(batch)
        if not row.needs_approval or row.approved_at is not None:
            raise Refused("invalid_state", _("This batch does not wait for anybody's approval."), status=409)
        if row.created_by_id in identities(row.tenant, actor):
            message = _("You made this batch, or a key of yours did. Somebody else of your team has to approve it.")
            raise Refused("same_person", message, status=409)
        row.approved_at, row.approved_by = clock.now(), actor.label
        row.save(update_fields=["approved_at", "approved_by"])
        _may_leave(row, actor, types.PAYOUT_BATCH_APPROVED)
    return row


# --- money that has to be there first ---


def fund_batch(*, batch: PayoutBatch, actor: Actor) -> PayoutBatch:
    """The merchant says that the money for a batch is at the company: it leaves, unless it waits for a second person. Refused 409:
    invalid_state."""
    with transaction.atomic():
        row = _locked(batch)
        if not row.needs_funding or row.funded_at is not None:
            raise Refused("invalid_state", _("This batch does not wait for money."), status=409)
        row.funded_at, row.funded_by = clock.now(), actor.label
        row.save(update_fields=["funded_at", "funded_by"])
        _may_leave(row, actor, types.PAYOUT_BATCH_FUNDED)
    return row


def lock_queued(batches: Collection[int]) -> None:
    """Lock what is in line of these batches, in the order of the primary keys: before the batches, as whoever withdraws a payout or works
    on it does, because the last one of a batch ends it."""
    rows = Payout.objects.filter(batch__in=batches, status="queued").order_by("pk")
    list(rows.select_for_update(of=("self",), no_key=True).values_list("pk"))


def _locked(batch: PayoutBatch) -> PayoutBatch:
    lock_queued([batch.pk])
    return PayoutBatch.objects.select_for_update(of=("self",)).select_related("merchant").get(pk=batch.pk)


def waits(batch: PayoutBatch) -> bool:
    """Whether a batch waits for a second person or for money."""
    unapproved = batch.needs_approval and batch.approved_at is None
    return unapproved or (batch.needs_funding and batch.funded_at is None)


def _may_leave(batch: PayoutBatch, actor: Actor, told: str) -> None:
    """One obstacle less: a locked batch leaves when it was the last one."""
    if not waits(batch):
        vetoes.let_leave(batch.tenant, Payout.objects.filter(batch=batch, status="queued"))
    record(batch.tenant, actor, Happening(told, "payout_batch", batch.public_id, data={"by": actor.label}))


def identity(actor: Actor) -> str:
    """One person or key, whatever they are called."""
    return f"{actor.kind}:{actor.ref}"[:80]


def identities(tenant: Tenant, actor: Actor) -> frozenset[str]:
    """Under which names a person acts at this side: their own, and every key that they made; what a key does is done by who made it.

    A second person is one with other names. At most two queries.
    """
    maker: int | None = int(actor.ref) if actor.kind == "user" and actor.ref.isdecimal() else None
    if actor.kind == "api_key":
        maker = (
            ApiKey.objects.for_tenant(tenant).filter(public_id=actor.ref).values_list("created_by", flat=True).first()
        )
    if maker is None:
        return frozenset({identity(actor)})
    keys = ApiKey.objects.for_tenant(tenant).filter(created_by=maker).values_list("public_id", flat=True)
    return frozenset({identity(actor), f"user:{maker}", *(f"api_key:{key}" for key in keys)})


def _told(type_: str, tenant: Tenant, **data: object) -> Happening:
    return Happening(type_, "merchant", tenant.merchant.public_id, data=data)
