"""What every payout is made of, and payouts by hand: the merchant has paid outside and marks it here; undo by opposite entries
(PRODUCT.md, "Issuing"). Payouts that leave through a provider are intended in rewards.queueing and carried out with rewards.sending."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, models, transaction
from django.db.models import Max, OuterRef, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _

from participants.models import Participant
from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.services import Actor, Happening, record, record_bulk
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from referrals.lib.prepared import PreparedRows, Slot, insert
from referrals.lib.queries import Among
from rewards import lifecycle
from rewards.locking import lock_rows
from rewards.models import LedgerEntry, Payout, PayoutBatch, PayoutItem, Reward, State

# The methods that are nobody's but ours, and no file's.
MANUAL = "manual"
COUPONS = "coupon_list"


def issue_by_hand(
    *,
    tenant: Tenant,
    reward_ids: Collection[int],
    actor: Actor,
    key: str,
    note: str = "",
    sums: Mapping[str, int] | None = None,
) -> tuple[PayoutBatch, bool]:
    """Mark due rewards as issued outside: one payout for each recipient and side, one batch for all. Returns (batch, made now).

    `key` comes with the request: the same key again gives the same batch and pays nothing. `sums` is what the person was shown,
    minor units by currency. All or nothing; raises Refused: invalid_state (409) for a reward that is not due, reward_not_found
    (404), recipient_banned (409), selection_changed (409) when the sums are others by now, too_long.
    """

    def fill(batch: PayoutBatch) -> None:
        lock_recipients(tenant, reward_ids)
        rewards = lifecycle.lock(tenant, reward_ids)
        lifecycle.refuse_wrong_state(lifecycle.ACTS["issue"], rewards)
        refuse_banned(rewards)
        refuse_other_sums(rewards, sums)
        _pay(batch, rewards, actor)

    return in_one_batch(tenant=tenant, key=key, method=MANUAL, note=note, actor=actor, fill=fill)


def in_one_batch(
    *, tenant: Tenant, key: str, method: str, note: str, actor: Actor, fill: Callable[[PayoutBatch], None]
) -> tuple[PayoutBatch, bool]:
    """Make a batch and `fill` it, in one transaction; the batch that the same `key` made before is the answer, unfilled.

    Returns (batch, made now). Raises Refused: too_long, key, and what `fill` raises.
    """
    if len(note) > 500:
        raise Refused("too_long", _("A note has at most 500 characters."), field="note")
    if not 8 <= len(key) <= 80:
        raise Refused("key", _("The request's key has 8 to 80 characters."), field="key")
    try:
        with transaction.atomic():
            known = PayoutBatch.objects.for_tenant(tenant).filter(key=key).first()
            if known is not None:
                return known, False
            batch = PayoutBatch.objects.create(
                merchant=tenant.merchant,
                is_test=tenant.is_test,
                key=key,
                method=method,
                note=note.strip(),
                created_by=actor.label,
                created_by_id=f"{actor.kind}:{actor.ref}"[:80],
            )
            fill(batch)
            complete(batch, actor)
    except IntegrityError:
        # The twin of a double click was first: its batch is the answer.
        known = PayoutBatch.objects.for_tenant(tenant).filter(key=key).first()
        if known is None:
            raise
        return known, False
    return batch, True


def refuse_banned(rewards: Sequence[Reward]) -> None:
    """Raise Refused `recipient_banned` (409) for the first reward of somebody who is banned."""
    for reward in rewards:
        if reward.participant.is_banned:
            message = _("%(who)s is banned. Lift the ban before issuing, or take the reward out of the selection.")
            raise Refused("recipient_banned", message % {"who": reward.participant}, status=409)


def refuse_other_sums(rewards: Sequence[Reward], shown: Mapping[str, int] | None) -> None:
    """A refund may have shrunk a reward since the question was asked: what was not seen is not paid."""
    now: Counter[str] = Counter()
    for reward in rewards:
        now[reward.currency] += reward.amount_minor
    if shown is not None and dict(now) != dict(shown):
        raise Refused(
            "selection_changed",
            _("The amounts have changed since you looked. Check them and confirm again."),
            status=409,
        )


def refuse_other_payouts(batch: PayoutBatch, shown: Mapping[str, int]) -> None:
    """Raise Refused `selection_changed` (409) when a batch that was just made pays other sums than `shown`, minor units by currency; in the
    transaction that made it, which undoes it."""
    rows = batch.payouts.order_by("currency").values_list("currency").annotate(total=Sum("amount_minor"))
    now = {currency: minor for currency, minor in rows if minor}
    if now != {currency: minor for currency, minor in shown.items() if minor}:
        message = _("Other amounts would leave by now than you named. Look at them and send them again.")
        amounts = [{"amount_minor": minor, "currency": currency} for currency, minor in now.items()]
        raise Refused("selection_changed", message, field="amounts", status=409, details={"now": amounts})


def _pay(batch: PayoutBatch, rewards: Sequence[Reward], actor: Actor) -> None:
    now = clock.now()
    payouts = cut(batch, rewards)
    for payout in payouts:
        payout.status, payout.attempts, payout.paid_at, payout.called_at = "paid", 1, now, clock.wall()
    add(payouts, rewards, actor)
    write_ledger(payouts, "pay", actor, batch.note)
    targets = [lifecycle.Target(reward, State.ISSUED) for reward in rewards]
    lifecycle.move(lifecycle.ACTS["issue"], targets, actor=actor, note=batch.note, extra={"issued_at": now})


# Asked for each payout, and written for each: their text is made once (ADR 13).
_OPEN = PreparedRows(
    lambda: Payout.objects.filter(batch=Slot("batch"), status__in=sorted(Payout.OPEN)).values_list("pk")[:1]
)
_LINES = PreparedRows(
    lambda: LedgerEntry.objects.filter(
        Among("payout_id", Slot("payouts")), kind=Slot("kind", models.CharField())
    ).values_list("payout")
)


def complete(batch: PayoutBatch, actor: Actor) -> None:
    """Tell, once, that nothing of a batch is on its way any more. In the caller's transaction."""
    if _OPEN(batch=batch.pk):
        return
    if PayoutBatch.objects.filter(pk=batch.pk, completed_at=None).update(completed_at=clock.now()):
        told = Happening(types.PAYOUT_BATCH_COMPLETED, "payout_batch", batch.public_id, data={"method": batch.method})
        record(batch.tenant, actor, told)


def portions(
    rewards: Sequence[Reward], apart: Collection[int] = (), *, whole: bool = False
) -> list[tuple[list[Reward], int]]:
    """What each payout would be of, and come to: one for each recipient and side, and one for each reward whose primary key is in `apart`.

    Netted with what was taken back or added before: a debt is taken off the smallest first of those that leave apart. `whole`: each
    reward leaves by itself and can't be cut, as a code can't. Three queries.
    """
    if whole:
        return _whole(rewards)
    groups: dict[tuple[int, str, int], list[Reward]] = {}
    for reward in rewards:
        alone = reward.pk if reward.pk in apart else 0
        groups.setdefault((reward.participant_id, reward.side, alone), []).append(reward)
    left = carried_over({person for person, _side, _alone in groups}) if groups else {}
    found = []
    for person, side, alone in sorted(groups, key=lambda key: groups[key][0].amount_minor if key[2] else 0):
        group = groups[person, side, alone]
        due = sum(reward.amount_minor for reward in group)
        amount = max(0, due + left.get((person, side), 0))
        left[person, side] = left.get((person, side), 0) + due - amount
        found.append((group, amount))
    return found


def _whole(rewards: Sequence[Reward]) -> list[tuple[list[Reward], int]]:
    """What was taken back before is set off against whole rewards only, and the rest of it against a later payout."""
    left = carried_over({reward.participant_id for reward in rewards}) if rewards else {}
    found = []
    for reward in rewards:
        who = (reward.participant_id, reward.side)
        is_settled = left.get(who, 0) <= -reward.amount_minor
        if is_settled:
            left[who] = left.get(who, 0) + reward.amount_minor
        found.append(([reward], 0 if is_settled else reward.amount_minor))
    return found


def cut(batch: PayoutBatch, rewards: Sequence[Reward], apart: Collection[int] = ()) -> list[Payout]:
    """One unsaved payout for each of the portions(); each reward points to its own.

    The caller has locked the recipients, so that nothing is netted twice.
    """
    payouts = []
    for group, amount in portions(rewards, apart):
        due = sum(reward.amount_minor for reward in group)
        person = group[0].participant
        if person.campaign_id == group[0].campaign_id:
            person.campaign = group[0].campaign  # read with the reward: history names it
        payout = Payout(
            merchant_id=batch.merchant_id,
            is_test=batch.is_test,
            batch=batch,
            participant=person,
            side=group[0].side,
            method=batch.method,
            amount_minor=amount,
            netted_minor=amount - due,
            currency=group[0].currency,
        )
        payout.key = payout.public_id
        for reward in group:
            reward.payout = payout
        payouts.append(payout)
    return payouts


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What would leave: the sums of each currency after netting, what is netted, and to how many people."""

    sums: list[Money]
    netted: list[Money]
    debtors: int
    people: int


def amounts_of(rewards: Sequence[Reward]) -> dict[tuple[int, str], Money]:
    """What payouts of these rewards would come to, by (person, side): one for each, netted as cut() does. Three queries."""
    return {
        (group[0].participant_id, group[0].side): Money(amount, group[0].currency)
        for group, amount in portions(rewards)
    }


def outgoing(payable: Sequence[Reward], *, whole: bool = False) -> Outgoing:
    """What a method would send for these: netted for each person and side as the payout will be. `whole` as in portions(). Three
    queries."""
    sums: Counter[str] = Counter()
    netted: Counter[str] = Counter()
    often = Counter(reward.currency for reward in payable)
    debtors = set()
    for group, amount in portions(payable, whole=whole):
        due = sum(reward.amount_minor for reward in group)
        sums[group[0].currency] += amount
        netted[group[0].currency] += amount - due
        if amount < due:
            debtors.add(group[0].participant_id)
    return Outgoing(
        sums=[Money(sums[code], code) for code in sorted(sums, key=lambda code: (-often[code], code))],
        netted=[Money(minor, code) for code, minor in sorted(netted.items()) if minor],
        debtors=len(debtors),
        people=len({reward.participant_id for reward in payable}),
    )


def add(payouts: Sequence[Payout], rewards: Sequence[Reward], actor: Actor) -> None:
    """Save what cut() made: the payouts, their items, what each reward is paid by, and an Event for each payout."""
    Payout.objects.bulk_create(payouts)
    for reward in rewards:
        reward.payout = reward.payout  # now that it has a primary key
        if reward.payout is not None and reward.payout.participant.campaign_id == reward.campaign_id:
            # What is told of a payout names the campaign; asked for each, it was a query for every recipient.
            reward.payout.participant.campaign = reward.campaign
    PayoutItem.objects.bulk_create(
        PayoutItem(payout=reward.payout, reward=reward, amount_minor=reward.amount_minor) for reward in rewards
    )
    # One statement however many there are: naming thousands of pairs takes longer than finding the newest of each.
    newest = PayoutItem.objects.filter(reward=OuterRef("pk")).values("reward").annotate(newest=Max("payout"))
    mine = Reward.objects.filter(Among("pk", [reward.pk for reward in rewards]))
    mine.update(payout=Subquery(newest.values("newest")))
    if payouts:
        record_bulk(payouts[0].tenant, actor, [payout_happening(types.PAYOUT_CREATED, payout) for payout in payouts])


def still_there() -> Coalesce:
    """For a query of payouts on their way: what those of their rewards come to, in minor units, that can leave with them. What was held or
    taken back meanwhile does not."""
    there = Reward.objects.filter(payout=OuterRef("pk"), state__in=[State.QUEUED, State.SENDING]).values("payout")
    return Coalesce(Subquery(there.annotate(total=Sum("amount_minor")).values("total")), 0)


def carried_over(participant_ids: Collection[int], *, besides: Payout | None = None) -> dict[tuple[int, str], int]:
    """What stands on each (person, side) beyond the rewards that are still to be issued, in minor units, when it is not nothing.

    Below zero after a reward was taken back that had been issued; above when an issued one grew. The next payout nets it
    (PRODUCT.md, "A reward's life"). What a payout on its way (but not `besides`) nets already is not netted again, as far as its rewards
    are still there: one whose rewards were held meanwhile sets nothing off, because nothing of it leaves. Three queries.
    """
    left: Counter[tuple[int, str]] = Counter()
    entries = LedgerEntry.objects.filter(participant__in=participant_ids).values_list("participant", "side")
    for person, side, minor in entries.annotate(total=Sum("amount_minor")).order_by():
        left[person, side] += minor
    waiting = Reward.objects.filter(participant__in=participant_ids).exclude(
        state__in=[State.ISSUED, State.VOID, State.REVERSED]
    )
    for person, side, minor in (
        waiting.values_list("participant", "side").annotate(total=Sum("amount_minor")).order_by()
    ):
        left[person, side] -= minor
    on_the_way = Payout.objects.filter(participant__in=participant_ids, status__in=Payout.OPEN).exclude(netted_minor=0)
    if besides is not None:
        on_the_way = on_the_way.exclude(pk=besides.pk)
    nets = on_the_way.annotate(there=still_there()).values_list("participant", "side", "netted_minor", "there")
    for person, side, minor, worth in nets:
        left[person, side] -= max(minor, -worth) if worth else 0
    return {key: minor for key, minor in left.items() if minor}


def lock_recipients(tenant: Tenant, reward_ids: Collection[int]) -> None:
    """One payout of a person at a time, so that nothing is netted twice; people are locked before their rewards."""
    people = Participant.objects.filter(rewards__in=Reward.objects.for_tenant(tenant).filter(pk__in=reward_ids))
    lock_rows(set(people.values_list("pk", flat=True)))


def undo(*, batch: PayoutBatch, actor: Actor, note: str = "") -> PayoutBatch:
    """Undo a batch that was marked by hand: payments are taken out by opposite entries and the rewards are due again.

    A reward that was reversed meanwhile ends void. Raises Refused `invalid_state` (409)
    when it is already undone, and for a batch that was not marked by hand.
    """
    now = clock.now()
    if batch.method != MANUAL:
        message = _(
            "This batch left through a provider. What has not left can be withdrawn; the rest is taken back by a reversal."
        )
        raise Refused("invalid_state", message, status=409)
    with transaction.atomic():
        if PayoutBatch.objects.filter(pk=batch.pk, undone_at=None).update(undone_at=now) != 1:
            raise Refused("invalid_state", _("This batch is already undone."), status=409)
        batch.undone_at = now
        payouts = list(batch.payouts.order_by("pk").select_related("participant__campaign", "merchant"))
        # As whoever issues does: else another payout of theirs nets what is half undone.
        lock_rows({payout.participant_id for payout in payouts})
        rewards = list(
            Reward.objects.filter(payout__batch=batch)
            .order_by("pk")
            .select_for_update(of=("self",))
            .select_related("participant", "campaign", "merchant")
        )
        Payout.objects.filter(batch=batch).update(status="undone")
        write_ledger(payouts, "pay_back", actor, note)
        issued = [row for row in rewards if row.state == State.ISSUED]
        reversed_ = [row for row in rewards if row.state == State.REVERSED]
        back = {"issued_at": None, "payout": None}
        due = [_due_again(row) for row in issued]
        lifecycle.move(lifecycle.ACTS["undo_issue"], due, actor=actor, note=note, extra=back)
        # Of somebody who was erased since nothing is owed, as of whatever had not left by then.
        erased = [lifecycle.Target(row, State.VOID, lifecycle.ERASED) for row in issued if row.participant.erased_at]
        lifecycle.move(lifecycle.ACTS["void"], erased, actor=actor, note=note)
        void = [lifecycle.Target(row, State.VOID, row.reason) for row in reversed_]
        lifecycle.move(lifecycle.ACTS["undo_reversed"], void, actor=actor, note=note, extra=back)
        record(batch.tenant, actor, *[payout_happening(types.PAYOUT_UNDONE, payout) for payout in payouts])
    return batch


def _due_again(reward: Reward) -> lifecycle.Target:
    """Due, or held when the recipient was banned meanwhile: a ban holds all that has not left."""
    if reward.participant.is_banned:
        return lifecycle.Target(reward, State.HELD, lifecycle.BANNED)
    return lifecycle.Target(reward, State.DUE)


def write_ledger(payouts: Sequence[Payout], kind: str, actor: Actor, note: str) -> None:
    """One line for each payout: `pay` below zero, `pay_back` above; the second of a kind for one payout has a number in its key."""
    sign = -1 if kind == "pay" else 1
    before = Counter(pk for (pk,) in _LINES(payouts=[payout.pk for payout in payouts], kind=kind))
    lines = [
        LedgerEntry(
            key=f"payout:{payout.public_id}:{kind}" + (f":{before[payout.pk] + 1}" if before[payout.pk] else ""),
            merchant_id=payout.merchant_id,
            is_test=payout.is_test,
            participant_id=payout.participant_id,
            side=payout.side,
            kind=kind,
            amount_minor=sign * payout.amount_minor,
            currency=payout.currency,
            payout=payout,
            note=note,
            actor=actor.label,
        )
        for payout in payouts
        if payout.amount_minor
    ]
    insert(lines)


def payout_happening(type_: str, payout: Payout, **more: Any) -> Happening:
    """An Event about a payout, shown on its recipient's timeline."""
    return Happening(
        type_,
        "payout",
        payout.public_id,
        campaign=payout.participant.campaign.public_id,
        participant=payout.participant.public_id,
        data={
            "method": payout.method,
            "amount_minor": payout.amount_minor,
            "netted_minor": payout.netted_minor,
            "currency": payout.currency,
            "batch": payout.batch.public_id,
            **more,
        },
    )
