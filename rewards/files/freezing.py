"""Issuing by a file: the batch is frozen, its payouts are on their way, and no company is called (RELIABILITY section 4, "Also").

A frozen payout is `sending` and nobody's turn: no worker ever claims it. What became of it, a person says (rewards.files.returned).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from django.utils.translation import gettext as _

from participants import destination_kinds
from participants.models import Participant, PayoutDestination
from referrals.accounts.tenancy import Tenant
from referrals.events.services import Actor
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.money import CURRENCIES
from rewards import ceilings, lifecycle, payout_guards, vetoes
from rewards.file_models import PayoutFile, PayoutLine
from rewards.files.formats import FORMATS, Entry, Format, Payee
from rewards.models import Payout, PayoutBatch, Reward, State
from rewards.payouts import add, amounts_of, cut, in_one_batch, lock_recipients, refuse_banned, refuse_other_sums
from rewards.queueing import NO_DESTINATION, Method, Preview, sort_out

# Why somebody is not paid: a reason's code, or words that say what to do.
Refusals = list[tuple[Reward, str]]
_EVERY_KIND = frozenset({"cash", "coupon", "store_credit", "gift_card", "custom"})


def method_of(format_: Format) -> Method:
    """The file as a way to pay."""
    return Method(format_.name, kinds_of(format_), currencies=format_.currencies)


def kinds_of(format_: Format) -> frozenset[str]:
    """The kinds of rewards that a file can pay: money, and by the plain file whatever has an amount."""
    return _EVERY_KIND if format_.any_kind else frozenset({"cash"})


def preview(name: str, tenant: Tenant, reward_ids: Collection[int]) -> Preview:
    """What freeze() would pay of these rewards, and which not, without doing anything. Two queries, and two for each currency."""
    rows = Reward.objects.for_tenant(tenant).filter(pk__in=reward_ids).order_by("pk").select_related("participant")
    found = _sorted_out(list(rows), FORMATS[name])[0]
    payable, above = ceilings.within(tenant, found.payable)
    return Preview(payable, found.refused + [(row, ceilings.LIMIT) for row in above])


def _sorted_out(rewards: Sequence[Reward], format_: Format) -> tuple[Preview, dict[int, Payee]]:
    found = sort_out(rewards, method_of(format_))
    payees, obstacles = payees_of([row.participant for row in found.payable], format_)
    payable = []
    # What stands in the line: all of one person and side together, netted.
    sums = amounts_of(found.payable)
    for reward in found.payable:
        money = sums[reward.participant_id, reward.side]
        why = obstacles.get(reward.participant_id) or format_.obstacle(payees[reward.participant_id], money)
        if why:
            found.refused.append((reward, why))
        else:
            payable.append(reward)
    return Preview(payable, found.refused), payees


def payees_of(participants: Sequence[Participant], format_: Format) -> tuple[dict[int, Payee], dict[int, str]]:
    """(whom to pay where, why not) by the people's primary keys: their payout address if it is one for this file, else their own address.

    While a change of the address is held nothing goes to either. One query.
    """
    people = {person.pk: person for person in participants}
    chosen = PayoutDestination.objects.filter(participant__in=people, ended_at=None, confirmed_at__isnull=False)
    payees = {pk: Payee(person.name, person.email) for pk, person in people.items()}
    obstacles, now = {}, clock.now()
    for row in chosen.order_by("pk"):
        person = people[row.participant_id]
        if row.usable_from is None or row.usable_from > now:
            obstacles[person.pk] = NO_DESTINATION
        elif format_.any_kind or row.method in format_.kinds:
            details = {name: str(value) for name, value in row.secrets.items() if name != "address" and value}
            payees[person.pk] = Payee(person.name, row.address, row.method, details)
        else:
            message = _("They want to be paid otherwise: %(kind)s.")
            obstacles[person.pk] = message % {"kind": destination_kinds.get(row.method).label}
    return payees, obstacles


def freeze(
    name: str,
    *,
    tenant: Tenant,
    reward_ids: Collection[int],
    actor: Actor,
    key: str,
    note: str = "",
    sums: Mapping[str, int] | None = None,
    options: Mapping[str, Any] | None = None,
) -> tuple[PayoutBatch, bool]:
    """Make a batch that is paid by the file `name` of formats.FORMATS. Returns (batch, made now); all or nothing.

    As queueing.queue(): one payout for each recipient and side, whose rewards wait when a change of their address is held. Several
    files where currencies differ or one has too many lines. Raises Refused as queue() does, payouts_stopped and limit_reached (409).
    """
    format_ = FORMATS[name]

    def fill(batch: PayoutBatch) -> None:
        payout_guards.refuse_stopped(tenant)
        ceilings.lock(tenant)
        lock_recipients(tenant, reward_ids)
        rewards = lifecycle.lock(tenant, reward_ids)
        lifecycle.refuse_wrong_state(lifecycle.ACTS["queue"], rewards)
        refuse_banned(rewards)
        found, payees = _sorted_out(rewards, format_)
        _refuse_unfit([(row, why) for row, why in found.refused if why != NO_DESTINATION])
        refuse_other_sums(found.payable, sums)
        if not found.payable:
            raise Refused("nothing_payable", _("None of these recipients can be paid this way yet."), field="method")
        waiting = [lifecycle.Target(row, State.WAITING, NO_DESTINATION) for row, _why in found.refused]
        lifecycle.move(lifecycle.ACTS["wait"], waiting, actor=actor)
        batch.options = _checked(options or {})
        if vetoes.endpoint_of(tenant) is None:
            write(batch, format_, _intend(batch, found.payable, actor), payees)
        else:
            _let_wait(batch, found.payable, actor)

    return in_one_batch(tenant=tenant, key=key, method=name, note=note, actor=actor, fill=fill)


def _checked(options: Mapping[str, Any]) -> dict[str, Any]:
    currency = str(options.get("source_currency") or "").upper()
    if currency and currency not in CURRENCIES:
        message = _("%(code)s is no currency code; write three capitals such as USD.")
        raise Refused("option", message % {"code": currency}, field="source_currency")
    return {**options, "source_currency": currency} if currency else dict(options)


def _refuse_unfit(refused: Refusals) -> None:
    if refused:
        reward, why = refused[0]
        message = _(
            "%(amount)s to %(who)s can't stand in this file. Take it out of the selection, or choose another method."
        )
        details = {"reward": reward.public_id, "reason": why}
        words = message % {"amount": reward.worth, "who": reward.participant}
        raise Refused("method_unsuitable", f"{words} {why}" if " " in why else words, field="method", details=details)


def _intend(batch: PayoutBatch, rewards: Sequence[Reward], actor: Actor) -> list[Payout]:
    """The payouts that stand in the files, in the order of their saving."""
    payouts = cut(batch, rewards)
    ceilings.refuse_above(payouts)
    for payout in payouts:
        if payout.amount_minor:
            payout.status, payout.attempts, payout.called_at = "sending", 1, clock.wall()
    leaving = _save(batch, payouts, rewards, actor)
    targets = [lifecycle.Target(row, State.SENDING) for row in leaving]
    lifecycle.move(lifecycle.ACTS["send"], targets, actor=actor, note=batch.note)
    return [payout for payout in payouts if payout.amount_minor]


def _let_wait(batch: PayoutBatch, rewards: Sequence[Reward], actor: Actor) -> None:
    """The merchant's own system is asked first: rewards.files.waiting makes the files then."""
    _save(batch, cut(batch, rewards), rewards, actor)
    if not payout_guards.waits(batch):
        vetoes.let_leave(batch.tenant, Payout.objects.filter(batch=batch, status="queued"))


def _save(batch: PayoutBatch, payouts: Sequence[Payout], rewards: Sequence[Reward], actor: Actor) -> list[Reward]:
    """Save the payouts, and queue their rewards; what is all set off against an earlier reversal is paid at once. Returns the rewards that
    are queued."""
    now = clock.now()
    for payout in payouts:
        if not payout.amount_minor:
            payout.status, payout.paid_at = "paid", now
    add(payouts, rewards, actor)
    batch.needs_approval = payout_guards.needs_second_person(batch.tenant, payouts)
    batch.save(update_fields=["options", "needs_approval"])
    gone = [lifecycle.Target(row, State.ISSUED) for row in rewards if row.payout and not row.payout.amount_minor]
    lifecycle.move(lifecycle.ACTS["issue"], gone, actor=actor, note=batch.note, extra={"issued_at": now})
    leaving = [row for row in rewards if row.payout and row.payout.amount_minor]
    targets = [lifecycle.Target(row, State.QUEUED) for row in leaving]
    lifecycle.move(lifecycle.ACTS["queue"], targets, actor=actor, note=batch.note)
    return leaving


def write(batch: PayoutBatch, format_: Format, payouts: Sequence[Payout], payees: Mapping[int, Payee]) -> None:
    """The files and their lines, by currency, in the payouts' order. `payees` are by the people's primary keys."""
    by_currency = sorted(payouts, key=lambda row: (row.currency, row.pk))
    number = batch.files.count()
    for currency, group in groupby(by_currency, key=lambda row: row.currency):
        rows = list(group)
        for start in range(0, len(rows), format_.limit):
            part = rows[start : start + format_.limit]
            number += 1
            entries = [
                Entry(
                    payees[row.participant_id], row.amount, format_.mark(row.public_id),
                    f"{batch.merchant.name}: {row.participant.campaign.name}", batch.options,
                )
                for row in part
            ]  # fmt: skip
            lines = [format_.line(entry) for entry in entries]
            body = (format_.head() + "".join(lines)).encode()
            file = PayoutFile.objects.create(
                merchant_id=batch.merchant_id,
                is_test=batch.is_test,
                batch=batch,
                number=number,
                name=f"{format_.name.replace('_file', '')}-{batch.public_id[-8:]}-{number}-{currency}.csv",
                currency=currency,
                amount_minor=sum(row.amount_minor for row in part),
                rows=len(part),
                head=format_.head(),
                size=len(body),
                sha256=hashlib.sha256(body).hexdigest(),
            )
            PayoutLine.objects.bulk_create(_lines(file, part, entries, lines), batch_size=1000)


def _lines(
    file: PayoutFile, payouts: Sequence[Payout], entries: Sequence[Entry], lines: Sequence[str]
) -> Iterator[PayoutLine]:
    for number, (payout, entry, line) in enumerate(zip(payouts, entries, lines, strict=True), 1):
        row = PayoutLine(file=file, payout=payout, number=number, mark=entry.mark)
        row.secrets = {"line": line, "to": entry.payee.address}
        yield row


def content(file: PayoutFile) -> bytes:
    """The file's bytes: the same on every download, without the lines of people whose data was erased since.

    Refused 409 `batch_waits` while a second person has not agreed. Raises SealError.
    """
    if payout_guards.waits(file.batch):
        message = _("Somebody else of your team has to approve this batch before its files can be downloaded.")
        raise Refused("batch_waits", message, status=409)
    lines = (row.secrets["line"] for row in file.lines.order_by("number"))
    return (file.head + "".join(lines)).encode()


def forget_erased() -> int:
    """Empty the lines of people who were erased while they were being paid, now that they are. Returns how many."""
    over = PayoutLine.objects.filter(payout__participant__erased_at__isnull=False).exclude(sealed="")
    return over.exclude(payout__status__in=Payout.OPEN).update(sealed="")
