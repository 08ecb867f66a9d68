"""The intent to pay: which rewards go by which method, who can't be paid by it and why, and taking back what has not left yet
(RELIABILITY section 4, step 1). Nothing here calls a network; what is queued is carried out with rewards.sending."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F, OuterRef, Q, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _

from participants import destination_kinds
from participants.destinations import Destination, payable_destinations
from participants.models import PayoutDestination
from referrals.accounts import clocks
from referrals.accounts.models import MerchantClock
from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.models import Event
from referrals.events.services import SYSTEM, Actor, record_many
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.queue import enqueue
from rewards import lifecycle, meanwhile, payout_guards, settling, vetoes
from rewards.models import Payout, PayoutBatch, PayoutItem, Reward, RewardQuerySet, State
from rewards.orders import Outcome
from rewards.payouts import (
    add,
    complete,
    cut,
    in_one_batch,
    lock_recipients,
    payout_happening,
    refuse_banned,
    refuse_other_sums,
)

NUDGE = "integrations.payouts.sweep"
NO_DESTINATION = "waiting_for_recipient"
# Tried, and no call has got as far as the company; no worker is at it now, because a claim says when its call began.
NEVER_REACHED = Q(status="sending", called_at=None, shipment=None, next_attempt_at__isnull=False)
_IN_LINE = Q(status="queued", attempts=0)
# Nothing of it can have left: withdraw() takes it back, and every page offers that for these and for no others.
WITHDRAWABLE = _IN_LINE | NEVER_REACHED


@dataclass(frozen=True, slots=True)
class Method:
    """A way to pay: which rewards it can deliver, and what it has to know of the recipient.

    `account` is the public id of the connection. `destination` names the kind of payout address that it needs, or several as
    "one|other"; where it is empty, the recipient's own e-mail address is enough.
    """

    name: str
    kinds: frozenset[str]
    account: str = ""
    currencies: frozenset[str] = frozenset()
    destination: str = ""
    # Whether it delivers what is no money ("1 free month"), too.
    units: bool = False
    # The batch waits until the merchant says that the money is at the company.
    waits_for_funds: bool = False


@dataclass(frozen=True, slots=True)
class Preview:
    """What a method would do with rewards: those it pays, with the sums by currency, and those it can't, each with a reason's code."""

    payable: list[Reward] = field(default_factory=list)
    refused: list[tuple[Reward, str]] = field(default_factory=list)
    # By primary key, those that leave each by itself, because the company does not have what they come to together.
    apart: frozenset[int] = frozenset()
    # Each leaves by itself and can't be cut: only debts that cover one whole are set off (rewards.payouts.portions).
    whole: bool = False

    @property
    def sums(self) -> dict[str, int]:
        """Minor units by currency of what would be paid."""
        found: Counter[str] = Counter()
        for reward in self.payable:
            found[reward.currency] += reward.amount_minor
        return dict(found)


def preview(tenant: Tenant, reward_ids: Collection[int], method: Method) -> Preview:
    """What queue() would pay, without doing anything. Two queries."""
    rows = Reward.objects.for_tenant(tenant).filter(pk__in=reward_ids).order_by("pk")
    return sort_out(list(rows.select_related("participant")), method)


def sort_out(rewards: Sequence[Reward], method: Method) -> Preview:
    """Which of these rewards, read with their participants, the method can deliver now. At most one query."""
    where = payable_destinations([row.participant_id for row in rewards], clock.now()) if method.destination else {}
    found = Preview()
    for reward in rewards:
        code = _obstacle(reward, method, where)
        if code:
            found.refused.append((reward, code))
        else:
            found.payable.append(reward)
    return found


def _obstacle(reward: Reward, method: Method, where: Mapping[int, Destination]) -> str:
    """Why the method can't deliver this reward to its recipient now; empty when it can."""
    if reward.state != State.DUE:
        return "not_due"
    if reward.participant.is_banned:
        return lifecycle.BANNED
    if reward.kind not in method.kinds or (reward.units is not None and not method.units):
        return "kind_not_payable"
    if method.currencies and reward.currency not in method.currencies:
        return "currency_not_payable"
    if method.destination:
        found = where.get(reward.participant_id)
        if found is None or not destination_kinds.suits(found.method, method.destination):
            return NO_DESTINATION
        if not destination_kinds.can_get(found.method, found.address, reward.currency):
            return NO_DESTINATION
    return ""


def queue(
    *,
    tenant: Tenant,
    reward_ids: Collection[int],
    method: Method,
    actor: Actor,
    key: str,
    note: str = "",
    sums: Mapping[str, int] | None = None,
    options: Mapping[str, Any] | None = None,
    apart: Collection[int] = (),
) -> tuple[PayoutBatch, bool]:
    """Intend to pay due rewards by a method: one payout for each recipient and side, and for each reward whose primary key is in `apart`;
    one batch for all. Returns (batch, made now).

    A reward whose recipient has no payout address that may be used waits for them, and is not in the batch. `key` comes with the
    request; `sums` is what the person was shown of what is payable, minor units by currency; `options` are the method's own. All or
    nothing; raises Refused:
    invalid_state, recipient_banned and selection_changed (409), reward_not_found (404), method_unsuitable, nothing_payable, too_long, key.
    """

    def fill(batch: PayoutBatch) -> None:
        lock_recipients(tenant, reward_ids)
        rewards = lifecycle.lock(tenant, reward_ids)
        lifecycle.refuse_wrong_state(lifecycle.ACTS["queue"], rewards)
        refuse_banned(rewards)
        sorted_out = sort_out(rewards, method)
        waiting = [row for row, code in sorted_out.refused if code == NO_DESTINATION]
        _refuse_unsuitable([(row, code) for row, code in sorted_out.refused if code != NO_DESTINATION])
        refuse_other_sums(sorted_out.payable, sums)
        if not sorted_out.payable:
            raise Refused("nothing_payable", _("None of these recipients can be paid this way yet."), field="method")
        targets = [lifecycle.Target(row, State.WAITING, NO_DESTINATION) for row in waiting]
        lifecycle.move(lifecycle.ACTS["wait"], targets, actor=actor)
        batch.options, batch.needs_funding = dict(options or {}), method.waits_for_funds
        _intend(batch, sorted_out.payable, method, actor, apart)

    return in_one_batch(tenant=tenant, key=key, method=method.name, note=note, actor=actor, fill=fill)


def _refuse_unsuitable(refused: Sequence[tuple[Reward, str]]) -> None:
    if refused:
        reward, code = refused[0]
        message = _(
            "%(amount)s to %(who)s can't be paid this way. Take it out of the selection, or choose another method."
        )
        words = {"amount": reward.worth, "who": reward.participant}
        raise Refused(
            "method_unsuitable", message % words, field="method", details={"reward": reward.public_id, "reason": code}
        )


def _intend(
    batch: PayoutBatch, rewards: Sequence[Reward], method: Method, actor: Actor, apart: Collection[int]
) -> None:
    now = clock.now()
    where = payable_destinations([row.participant_id for row in rewards], now) if method.destination else {}
    payouts = cut(batch, rewards, apart)
    for payout in payouts:
        payout.account = method.account
        found = where.get(payout.participant_id)
        payout.destination = found.public_id if found else ""
        if not payout.amount_minor:
            # All of it is set off against what was taken back before: there is nothing to send.
            payout.status, payout.paid_at = "paid", now
    add(payouts, rewards, actor)
    to_send = [payout.pk for payout in payouts if payout.amount_minor]
    batch.needs_approval = payout_guards.needs_second_person(batch.tenant, payouts)
    batch.needs_funding = batch.needs_funding and bool(to_send)
    batch.save(update_fields=["options", "needs_approval", "needs_funding"])
    if not payout_guards.waits(batch):
        vetoes.let_leave(batch.tenant, Payout.objects.filter(pk__in=to_send))
    gone = [row for row in rewards if row.payout is not None and not row.payout.amount_minor]
    leaving = [row for row in rewards if row.payout is not None and row.payout.amount_minor]
    issued = [lifecycle.Target(row, State.ISSUED) for row in gone]
    lifecycle.move(lifecycle.ACTS["issue"], issued, actor=actor, note=batch.note, extra={"issued_at": now})
    queued = [lifecycle.Target(row, State.QUEUED) for row in leaving]
    lifecycle.move(lifecycle.ACTS["queue"], queued, actor=actor, note=batch.note)
    enqueue(NUDGE)


def withdraw(*, payouts: Iterable[int], tenant: Tenant, actor: Actor, note: str = "") -> int:
    """Take back payouts that have not left: their rewards are due again. Returns how many; those on their way are left alone.

    Those whose company was never reached are among them: they have failed, each in a transaction of its own.
    """
    keys = list(payouts)
    done = _withdraw_queued(keys, tenant, actor, note)
    waiting = Payout.objects.for_tenant(tenant).filter(NEVER_REACHED, pk__in=keys).order_by("pk")
    return done + sum(_take_back(pk, actor, note) for pk in list(waiting.values_list("pk", flat=True)))


def _take_back(payout_id: int, actor: Actor, note: str) -> bool:
    with transaction.atomic():
        row = settling.locked(payout_id)
        if not Payout.objects.filter(NEVER_REACHED, pk=row.pk).exists():
            return False  # a worker has it just now
        words = note or _("Withdrawn: nothing had been sent.")
        settling.fail(row, Outcome("failed", "", words, ""), actor)
    return True


def _withdraw_queued(payouts: Collection[int], tenant: Tenant, actor: Actor, note: str) -> int:
    with transaction.atomic():
        rows = list(
            Payout.objects.for_tenant(tenant)
            .filter(pk__in=payouts, status="queued")
            .order_by("pk")
            .select_for_update(of=("self",))
            .select_related("participant__campaign", "merchant", "batch")
        )
        done = [row for row in rows if _give_up(row)]
        rewards = Reward.objects.filter(payout__in=done).order_by("pk").select_for_update(of=("self",))
        queued = rewards.filter(state=State.QUEUED).select_related("participant", "campaign", "merchant")
        targets = [lifecycle.Target(row, State.DUE) for row in queued]
        lifecycle.move(lifecycle.ACTS["unqueue"], targets, actor=actor, note=note, extra={"payout": None})
        # What was held or taken back meanwhile stays so, and is in no payout any more.
        rewards.update(payout=None)
        if done:
            record_many(tenant, actor, [payout_happening(types.PAYOUT_UNDONE, row) for row in done])
            for _pk, batch in sorted({row.batch_id: row.batch for row in done}.items()):
                complete(batch, actor)
    return len(done)


def let_nothing_leave(*, tenant: Tenant, actor: Actor, note: str) -> int:
    """An account that was read from an archive sends nothing by itself: it may have been sent where it comes from, with other keys.

    What no company was asked for is taken back, so that its rewards are due; the rest waits for a person's word. Returns how many.
    """
    rows = Payout.objects.for_tenant(tenant)
    with transaction.atomic():
        done = withdraw(
            payouts=rows.filter(status="queued").values_list("pk", flat=True), tenant=tenant, actor=actor, note=note
        )
        for pk in rows.filter(status__in=settling.CLAIMABLE).order_by("pk").values_list("pk", flat=True):
            settling.ask_a_person(pk, actor=actor, message=note)
            done += 1
    return done


def _give_up(row: Payout) -> bool:
    return bool(Payout.objects.filter(_IN_LINE, pk=row.pk).update(status="undone", next_attempt_at=None))


def try_again(*, tenant: Tenant, reward_ids: Collection[int], actor: Actor, note: str = "") -> int:
    """The cause is mended: rewards that waited for their recipient or needed attention are due again. Refused 409 for any other."""
    with transaction.atomic():
        rows = lifecycle.lock(tenant, reward_ids)
        targets = [lifecycle.Target(row, State.DUE) for row in rows]
        return len(lifecycle.move(lifecycle.ACTS["retry"], targets, actor=actor, note=note))


def wake(limit: int = 500) -> int:
    """Rewards that waited for their recipient are due again once there is a payout address that may be used. Returns how many.

    For the schedule, on every side whose time is the real one; those with a clock of their own are looked after in rewards.advancing.
    """
    own_time = Q(is_test=True, merchant__in=MerchantClock.objects.values("merchant"))
    return _wake(Reward.objects.exclude(own_time), clock.now(), limit)


def wake_side(tenant: Tenant, moment: datetime, limit: int = 500) -> int:
    """wake() of one side, with its own time."""
    return _wake(Reward.objects.for_tenant(tenant), moment, limit)


def _wake(rewards: RewardQuerySet, moment: datetime, limit: int) -> int:
    usable = PayoutDestination.objects.filter(ended_at=None, confirmed_at__isnull=False, usable_from__lte=moment)
    waiting = waits_for_address(rewards).filter(
        Q(participant__destinations__usable_from__gt=F("stage_at")), participant__destinations__in=usable
    )
    return due_again(set(waiting.values_list("pk", flat=True)[:limit]))


def waits_for_address(rewards: RewardQuerySet) -> RewardQuerySet:
    """Those that a payout address can help: not those whose company knows no account of their recipient (integrations.waking). A file is
    no company's, and takes an address where there is one."""
    waiting = rewards.filter(state=State.WAITING, reason=NO_DESTINATION)
    item = PayoutItem.objects.filter(reward=OuterRef("pk")).order_by("-pk")
    went_to = Coalesce(Subquery(item.values("payout__destination")[:1]), Value("-"))
    through = Coalesce(Subquery(item.values("payout__account")[:1]), Value(""))
    known = waiting.annotate(last_word=last_word(), went_to=went_to, through=through)
    return known.exclude(Q(last_word=types.REWARD_FAILED, went_to="") & ~Q(through=""))


def last_word() -> Coalesce:
    """How a reward came to wait, for a query: reward.failed when a company could not pay, reward.waiting for want of a payout address."""
    told = Event.objects.filter(
        subject_id=OuterRef("public_id"), type__in=[types.REWARD_FAILED, types.REWARD_WAITING]
    ).order_by("-pk")
    return Coalesce(Subquery(told.values("type")[:1]), Value(""))


def due_again(keys: Collection[int]) -> int:
    """Rewards that wait for their recipient are due again, because what they waited for is there. Returns how many still waited."""
    with transaction.atomic():
        rows = list(
            Reward.objects.filter(pk__in=keys, state=State.WAITING)
            .order_by("pk")
            .select_for_update(of=("self",))
            .select_related("participant", "campaign", "merchant", "event__participant")
        )
        sides: dict[Tenant, list[Reward]] = {}
        for row in rows:
            sides.setdefault(row.tenant, []).append(row)
        for tenant, own in sides.items():  # each change is told to its own side, at the time of that side
            with clocks.running(tenant):
                lifecycle.move(lifecycle.ACTS["retry"], [lifecycle.Target(row, State.DUE) for row in own], actor=SYSTEM)
                meanwhile.hold_again(own, SYSTEM)
    return len(rows)
