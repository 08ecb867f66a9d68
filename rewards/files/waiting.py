"""Files whose payouts the merchant's own system is asked about first: they are queued as any other, and frozen when nothing of their batch
waits for an answer any more. What was refused, withdrawn, held or taken back by then stands in no file.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from referrals.accounts import clocks
from referrals.events.services import SYSTEM
from referrals.lib import clock
from rewards import payout_guards, sending, settling
from rewards.files.formats import FORMATS
from rewards.files.freezing import payees_of, write
from rewards.models import Payout, PayoutBatch, PayoutVeto
from rewards.orders import Outcome
from rewards.payout_guards import Postponed

AT_ONCE = 50
logger = logging.getLogger(__name__)


def freeze_all() -> int:
    """For the schedule: make the files of batches that wait for nobody any more, the oldest first. How many payouts stand in them."""
    rows = payout_guards.not_stopped(Payout.objects.filter(method__in=FORMATS, status="queued", next_attempt_at=None))
    agreed = Q(batch__needs_approval=False) | Q(batch__approved_at__isnull=False)
    rows = rows.filter(agreed).exclude(Exists(_questions(OuterRef("batch"))))
    keys = sorted(set(rows.order_by("batch").values_list("batch", flat=True).distinct()[:AT_ONCE]))
    done = 0
    for batch in PayoutBatch.objects.filter(pk__in=keys).order_by("pk").select_related("merchant"):
        try:
            with clocks.running(batch.tenant):
                done += _freeze(batch)
        except Exception:
            # One that can't be made keeps no other one waiting.
            logger.exception("the files of batch %s could not be made", batch.public_id)
    return done


def _questions(batch: OuterRef) -> QuerySet[PayoutVeto]:
    return PayoutVeto.objects.filter(payout__batch=batch, payout__status="queued", answer="")


def _freeze(batch: PayoutBatch) -> int:
    """Put what is queued of a batch into files, within today's limits; the rest in other files on another day."""
    with transaction.atomic():
        rows = list(
            Payout.objects.filter(batch=batch, status="queued")
            .order_by("pk")
            .select_for_update(of=("self",))
            .select_related(*settling.WIDE)
        )
        rows = _within(rows)
        Payout.objects.filter(pk__in=[row.pk for row in rows]).update(
            status="sending", attempts=1, called_at=clock.wall(), message=""
        )
        going = _fit(sending.leave(rows), batch) if rows else []
        write(
            batch, FORMATS[batch.method], going, payees_of([row.participant for row in going], FORMATS[batch.method])[0]
        )
    return len(going)


def _within(rows: Sequence[Payout]) -> list[Payout]:
    by_currency: dict[str, list[Payout]] = defaultdict(list)
    for row in rows:
        by_currency[row.currency].append(row)
    late: dict[int, Postponed] = {}
    for currency in sorted(by_currency):
        late |= payout_guards.postponed_of(by_currency[currency])
    for pk, why in late.items():
        Payout.objects.filter(pk=pk).update(message=why.message)
    return [row for row in rows if row.pk not in late]


def _fit(rows: Sequence[Payout], batch: PayoutBatch) -> list[Payout]:
    """Those whose people can still be paid so; the others wait for them, or are due again."""
    format_ = FORMATS[batch.method]
    payees, obstacles = payees_of([row.participant for row in rows], format_)
    fit = []
    for row in rows:
        why = obstacles.get(row.participant_id) or format_.obstacle(payees[row.participant_id], row.amount)
        if why:
            reason, words = ("", why) if " " in why else (why, "")
            settling.fail(row, Outcome("failed", "", words, reason), SYSTEM)
        else:
            fit.append(row)
    return fit
