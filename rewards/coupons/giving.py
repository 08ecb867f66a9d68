"""Issuing rewards with codes of a list: one code for each reward, in the transaction that issues it, never the same one twice."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from referrals.accounts.tenancy import Tenant
from referrals.events.services import Actor
from referrals.lib import clock, transactions
from referrals.lib.errors import Refused
from rewards import ceilings, lifecycle, payout_guards, vetoes
from rewards.coupon_models import CouponCode, CouponList
from rewards.coupons.lists import open_lists, stock_of
from rewards.models import Payout, PayoutBatch, PayoutGift, Reward, State
from rewards.payouts import (
    COUPONS,
    add,
    in_one_batch,
    lock_recipients,
    portions,
    refuse_banned,
    refuse_other_sums,
    write_ledger,
)
from rewards.queueing import Method, Preview, sort_out

KINDS = frozenset({"coupon", "gift_card", "store_credit", "custom"})
METHOD = Method(COUPONS, KINDS)


def choices(tenant: Tenant, field: str) -> tuple[tuple[str, str], ...]:
    """The lists to choose from, with what a code is worth and how many are left."""
    del field
    rows = _useful(tenant)
    stock = stock_of(rows)
    left = {row.pk: _left_words(stock[row.pk].left) for row in rows}
    return tuple((row.public_id, f"{row.name}: {row.worth}, {left[row.pk]}") for row in rows)


def _useful(tenant: Tenant) -> list[CouponList]:
    return [row for row in open_lists(tenant).select_related("merchant") if not row.is_expired]


def _left_words(count: int) -> str:
    return ngettext("%(n)s code left", "%(n)s codes left", count) % {"n": f"{count:,}"}


def is_there(tenant: Tenant) -> bool:
    """Whether there is a list to give codes from."""
    return bool(_useful(tenant))


def preview(tenant: Tenant, reward_ids: Collection[int], chosen: Mapping[str, Any]) -> Preview:
    """What issue() would pay of these rewards, and which not: of another worth, or because no code is left. Four queries.

    As long as nobody has chosen a list it is the first of choices(), which is what a form shows as chosen.
    """
    rows = Reward.objects.for_tenant(tenant).filter(pk__in=reward_ids).order_by("pk").select_related("participant")
    name = str(chosen.get("list", ""))
    lists = open_lists(tenant).filter(public_id=name) if name else _useful(tenant)
    coupons = next(iter(lists), None)
    found = _sorted_out(list(rows), coupons)
    if coupons is None:
        return found
    left = stock_of([coupons])[coupons.pk].left
    without = found.payable[left:]
    message = _("No code is left in “%(list)s”. Add codes to it; then it can be issued.") % {"list": coupons.name}
    payable, above = ceilings.within(tenant, found.payable[:left], each=True)
    late = [(row, ceilings.LIMIT) for row in above]
    return Preview(payable, found.refused + late + [(row, message) for row in without], whole=True)


def _sorted_out(rewards: Sequence[Reward], coupons: CouponList | None) -> Preview:
    """Which of these rewards the codes of a list are worth, whether there are any or not."""
    found = sort_out(rewards, METHOD)
    payable = []
    for row in found.payable:
        why = _("Choose a list of codes.") if coupons is None else _unlike(row, coupons)
        if why:
            found.refused.append((row, why))
        else:
            payable.append(row)
    return Preview(payable, found.refused)


def _unlike(reward: Reward, coupons: CouponList) -> str:
    if reward.amount != coupons.worth:
        message = _("A code of “%(list)s” is worth %(worth)s, this reward %(amount)s.")
        return message % {"list": coupons.name, "worth": coupons.worth, "amount": reward.amount}
    return _("The codes of “%(list)s” have expired.") % {"list": coupons.name} if coupons.is_expired else ""


def issue(
    *,
    tenant: Tenant,
    reward_ids: Collection[int],
    actor: Actor,
    key: str,
    note: str = "",
    sums: Mapping[str, int] | None = None,
    options: Mapping[str, Any] | None = None,
) -> tuple[PayoutBatch, bool]:
    """Give one code for each reward: a payout each, with the code as its gift. Returns (batch, made now); all or nothing.

    A reward that is wholly set off against what was taken back from the person before needs no code. Raises Refused: no_codes,
    payouts_stopped and limit_reached (409), method_unsuitable, coupon_list_unknown, and payouts.issue_by_hand()'s.
    """

    def fill(batch: PayoutBatch) -> None:
        payout_guards.refuse_stopped(tenant)
        coupons = open_lists(tenant).filter(public_id=str((options or {}).get("list", ""))).first()
        if coupons is None:
            raise Refused("coupon_list_unknown", _("There is no such list of codes, or it is closed."), field="list")
        ceilings.lock(tenant)
        lock_recipients(tenant, reward_ids)
        rewards = lifecycle.lock(tenant, reward_ids)
        lifecycle.refuse_wrong_state(lifecycle.ACTS["issue"], rewards)
        refuse_banned(rewards)
        found = _sorted_out(rewards, coupons)
        if found.refused:
            reward, why = found.refused[0]
            message = _("%(amount)s to %(who)s can't be paid this way. %(why)s")
            words = {"amount": reward.worth, "who": reward.participant, "why": why if " " in why else ""}
            details = {"reward": reward.public_id, "reason": why}
            raise Refused("method_unsuitable", (message % words).strip(), field="method", details=details)
        refuse_other_sums(rewards, sums)
        batch.options = dict(options or {})
        payouts = _cut(batch, rewards)
        batch.needs_approval = payout_guards.needs_second_person(tenant, payouts)
        batch.save(update_fields=["options", "needs_approval"])
        if payout_guards.waits(batch) or vetoes.endpoint_of(tenant) is not None:
            _let_wait(batch, coupons, payouts, rewards, actor)
        else:
            _give(batch, coupons, payouts, rewards, actor)

    return in_one_batch(tenant=tenant, key=key, method=COUPONS, note=note, actor=actor, fill=fill)


def _let_wait(
    batch: PayoutBatch, coupons: CouponList, payouts: Sequence[Payout], rewards: Sequence[Reward], actor: Actor
) -> None:
    """Somebody's word comes first: rewards.coupons.waiting gives the codes then. What needs no code is settled at once."""
    waiting = [row for row in payouts if row.amount_minor]
    left = stock_of([coupons])[coupons.pk].left
    if left < len(waiting):
        raise _too_few(coupons, left)
    for row in waiting:
        row.status, row.attempts, row.called_at, row.paid_at = "queued", 0, None, None
    add(payouts, rewards, actor)
    settled = [lifecycle.Target(row, State.ISSUED) for row in rewards if row.payout and not row.payout.amount_minor]
    lifecycle.move(lifecycle.ACTS["issue"], settled, actor=actor, note=batch.note, extra={"issued_at": clock.now()})
    queued = [lifecycle.Target(row, State.QUEUED) for row in rewards if row.payout and row.payout.amount_minor]
    lifecycle.move(lifecycle.ACTS["queue"], queued, actor=actor, note=batch.note)
    if not payout_guards.waits(batch):
        vetoes.let_leave(batch.tenant, Payout.objects.filter(batch=batch, status="queued"))


def _give(
    batch: PayoutBatch, coupons: CouponList, payouts: Sequence[Payout], rewards: Sequence[Reward], actor: Actor
) -> None:
    now = clock.now()
    ceilings.refuse_above(payouts)
    paid = [row for row in payouts if row.amount_minor]
    add(payouts, rewards, actor)
    codes = take(coupons, paid)
    for code, payout in zip(codes, paid, strict=True):
        gift = PayoutGift(
            merchant_id=batch.merchant_id,
            is_test=batch.is_test,
            payout=payout,
            hint=code.hint,
            expires_at=coupons.expires_at,
        )
        gift.secrets = code.secrets
        gift.save(force_insert=True)
    write_ledger(payouts, "pay", actor, batch.note)
    targets = [lifecycle.Target(row, State.ISSUED) for row in rewards]
    lifecycle.move(lifecycle.ACTS["issue"], targets, actor=actor, note=batch.note, extra={"issued_at": now})


def _cut(batch: PayoutBatch, rewards: Sequence[Reward]) -> list[Payout]:
    """One unsaved payout for each reward: a code can't be cut."""
    payouts = []
    for (reward,), amount in portions(rewards, whole=True):
        payout = Payout(
            merchant_id=batch.merchant_id,
            is_test=batch.is_test,
            batch=batch,
            participant=reward.participant,
            side=reward.side,
            method=batch.method,
            amount_minor=amount,
            netted_minor=amount - reward.amount_minor,
            currency=reward.currency,
            status="paid",
            attempts=1,
            called_at=clock.wall(),
            paid_at=clock.now(),
        )
        payout.key = payout.public_id
        reward.payout = payout
        payouts.append(payout)
    return payouts


def take(coupons: CouponList, payouts: Sequence[Payout]) -> list[CouponCode]:
    """A free code for each of these payouts, the oldest first, as it was: its secrets are in no row but this one any more. Those that
    another one is taking are passed over. Refused 409 `no_codes`."""
    count = len(payouts)
    transactions.demand("Codes are taken in the transaction that gives them.")
    free = CouponCode.objects.filter(list=coupons, payout=None).order_by("pk")
    codes = list(free.select_for_update(skip_locked=True)[:count])
    if len(codes) < count:
        raise _too_few(coupons, len(codes))
    for code, payout in zip(codes, payouts, strict=True):
        # The unique key on the payout, and this condition, are what "once" rests on; the lock only keeps others from waiting.
        mine = CouponCode.objects.filter(pk=code.pk, payout=None)
        if not mine.update(payout=payout, taken_at=clock.now(), sealed=""):
            raise RuntimeError("A code that was locked is somebody else's.")
    return codes


def _too_few(coupons: CouponList, left: int) -> Refused:
    message = ngettext(
        "“%(list)s” has only %(n)s code left. Add codes to it, or issue fewer rewards.",
        "“%(list)s” has only %(n)s codes left. Add codes to it, or issue fewer rewards.",
        left,
    )
    return Refused("no_codes", message % {"list": coupons.name, "n": left}, field="list", status=409)
