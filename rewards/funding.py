"""Batches that wait for the merchant's money: what each needs, and "the money is there", for several together (docs/payouts.md)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from django.db import transaction
from django.db.models import Case, Exists, F, OuterRef, Q, Sum, When
from django.db.models.functions import Greatest, Least
from django.utils.translation import gettext as _

from referrals.accounts.tenancy import Tenant, TenantQuerySet
from referrals.events.services import Actor
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from rewards.models import Payout, PayoutBatch
from rewards.payout_guards import fund_batch, lock_queued
from rewards.payouts import still_there

# At most so many are funded at once.
MOST = 100
# What still waits of a batch that waits: queued, or in a file that nobody may download yet.
NOT_LEFT = Q(status="queued") | Q(status="sending", line__isnull=False)


def waiting_for_money(tenant: Tenant | None = None) -> TenantQuerySet[PayoutBatch]:
    """Batches of which nothing leaves until somebody says that the money is there; of one side, or of all."""
    rows: TenantQuerySet[PayoutBatch] = PayoutBatch.objects.filter(
        needs_funding=True, funded_at=None, undone_at=None, completed_at=None
    )
    left = Payout.objects.filter(batch=OuterRef("pk"), status="queued")
    rows = rows.filter(Exists(left))
    return rows if tenant is None else rows.for_tenant(tenant)


def waiting_for_somebody(tenant: Tenant) -> TenantQuerySet[PayoutBatch]:
    """Batches above the threshold that nobody has approved."""
    left = Payout.objects.filter(NOT_LEFT, batch=OuterRef("pk"))
    rows = PayoutBatch.objects.for_tenant(tenant).filter(needs_approval=True, approved_at=None, undone_at=None)
    return rows.filter(Exists(left), completed_at=None)


def waiting(tenant: Tenant) -> TenantQuerySet[PayoutBatch]:
    """Both."""
    left = Payout.objects.filter(NOT_LEFT, batch=OuterRef("pk"))
    why = Q(needs_funding=True, funded_at=None) | Q(needs_approval=True, approved_at=None)
    return PayoutBatch.objects.for_tenant(tenant).filter(why, Exists(left), undone_at=None, completed_at=None)


def needed(batches: Collection[PayoutBatch]) -> dict[int, list[Money]]:
    """What each batch, by primary key, still needs, by currency. Payouts that were withdrawn need nothing, nor does what was held or taken
    back while it waited (rewards.sending.leave does not send it). One query."""
    found: dict[int, list[Money]] = {batch.pk: [] for batch in batches}
    leaves = Least(F("amount_minor"), Greatest(0, F("there") + F("netted_minor")))
    whole = Q(status="sending")  # frozen in a file, as it is
    minor = Sum(Case(When(whole, then=F("amount_minor")), When(there=0, then=0), default=leaves))
    rows = Payout.objects.filter(NOT_LEFT, batch__in=found).annotate(there=still_there()).values("batch_id", "currency")
    for row in rows.annotate(minor=minor).order_by("batch_id", "currency"):
        found[row["batch_id"]].append(Money(row["minor"], row["currency"]))
    return found


def total(parts: Collection[Collection[Money]]) -> dict[str, int]:
    """Minor units by currency."""
    sums: Counter[str] = Counter()
    for part in parts:
        for money in part:
            sums[money.currency] += money.minor
    return dict(sorted(sums.items()))


def fund(
    *, tenant: Tenant, public_ids: Collection[str], actor: Actor, sums: Mapping[str, int] | None = None
) -> list[PayoutBatch]:
    """The money for these batches is there: they leave, unless they wait for a second person, too. All or nothing.

    `sums` is what the person was shown, minor units by currency. Raises Refused: nothing_selected, too_many,
    payout_batch_not_found (404), invalid_state (409), selection_changed (409).
    """
    if not public_ids:
        raise Refused("nothing_selected", _("Tick at least one batch."), field="batch")
    if len(public_ids) > MOST:
        raise Refused("too_many", _("At most %(most)d batches at once.") % {"most": MOST}, field="batch")
    with transaction.atomic():
        rows = PayoutBatch.objects.for_tenant(tenant).filter(public_id__in=public_ids).order_by("pk")
        lock_queued(rows.values_list("pk", flat=True))
        batches = list(rows.select_for_update(of=("self",)).select_related("merchant"))
        if len(batches) != len(set(public_ids)):
            raise Refused(
                "payout_batch_not_found", _("One of these batches does not exist. Reload the list."), status=404
            )
        if sums is not None and total(needed(batches).values()) != dict(sums):
            message = _("The amounts have changed since you looked. Check them and confirm again.")
            raise Refused("selection_changed", message, status=409)
        return [fund_batch(batch=batch, actor=actor) for batch in batches]
