"""Codes that wait for somebody's word: a second person's, above the merchant's threshold, or that of the merchant's own system.

Such payouts are queued as any other, so that they can be withdrawn, and what is held, banned or taken back meanwhile is not given. No
code is set apart for them: each gets its code when nothing stands in its way any more, in one transaction.
"""

from __future__ import annotations

import logging
import time

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext as _

from referrals.accounts import clocks
from referrals.events.services import SYSTEM
from referrals.lib import clock
from referrals.lib.errors import Refused
from rewards import payout_guards, sending, settling, vetoes
from rewards.coupon_models import CouponList
from rewards.coupons.giving import take
from rewards.coupons.lists import open_lists
from rewards.models import Payout, PayoutVeto
from rewards.orders import Gift, Outcome
from rewards.payouts import COUPONS

SWEEP_SECONDS = 45.0
logger = logging.getLogger(__name__)


def give() -> int:
    """For the schedule: give the codes of payouts that wait for nobody any more, the oldest first. Returns how many were given."""
    rows = payout_guards.not_stopped(Payout.objects.filter(method=COUPONS, status="queued", next_attempt_at=None))
    agreed = Q(batch__needs_approval=False) | Q(batch__approved_at__isnull=False)
    rows = rows.filter(agreed).exclude(Exists(PayoutVeto.objects.filter(payout=OuterRef("pk"), answer="")))
    done, end = 0, time.monotonic() + SWEEP_SECONDS
    for row in rows.order_by("pk").select_related("merchant"):
        if time.monotonic() > end:
            break
        try:
            with clocks.running(row.tenant):
                done += _give(row.pk)
        except Refused as refusal:
            Payout.objects.filter(pk=row.pk, status="queued").update(message=refusal.message[:500])
        except Exception:
            # One that can't be given keeps no other one waiting.
            logger.exception("the code of payout %s could not be given", row.public_id)
    return done


def _give(payout_id: int) -> bool:
    """One code for one payout, once; False when it still waits or nothing is left to give. Raises Refused no_codes, and nothing has
    changed."""
    with transaction.atomic():
        row = settling.locked(payout_id)
        if row.status != "queued" or payout_guards.waits(row.batch) or vetoes.is_asked(row):
            return False
        why = payout_guards.postponed(row)
        if why is not None:
            Payout.objects.filter(pk=row.pk).update(message=why.message)
            return False
        Payout.objects.filter(pk=row.pk).update(status="sending", attempts=1, called_at=clock.wall())
        if not sending.leave([row]):
            return False
        row.refresh_from_db(fields=["status", "attempts", "called_at", "amount_minor", "netted_minor"])
        name = str(row.batch.options.get("list", ""))
        coupons = open_lists(row.tenant).filter(public_id=name).first()
        words = _unfit(row, coupons)
        if coupons is None or words:
            settling.fail(row, Outcome("failed", "", words, ""), SYSTEM)
            return False
        (code,) = take(coupons, [row])
        kept = code.secrets
        gift = Gift(kept["code"], kept["url"], kept["pin"], coupons.expires_at)
        settling.learn(row.pk, Outcome("paid", gift=gift))
        return True


def _unfit(row: Payout, coupons: CouponList | None) -> str:
    if coupons is None or coupons.is_expired:
        return _("The list of codes was closed, or its codes have expired.")
    if row.amount != coupons.worth:
        return _("A code of “%(list)s” is worth another amount than is left of it.") % {"list": coupons.name}
    return ""
