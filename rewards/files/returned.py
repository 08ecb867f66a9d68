"""Marking what became of the lines of a frozen batch: by the file that comes back, or in one word for all that are open.

The row PayoutReturn is the job. Each line is a transaction of its own, and its answer is taken once (PayoutLine.answers), so that doing
all of it again changes nothing. A line that is wrong changes nothing either, and is named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from referrals.accounts import clocks
from referrals.events.services import Actor
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.prepared import Prepared, Slot
from referrals.lib.queue import enqueue
from rewards import payout_guards, settling
from rewards.file_models import PayoutLine, PayoutReturn
from rewards.files import reading
from rewards.files.reading import Said
from rewards.models import Payout, PayoutBatch
from rewards.orders import Outcome

JOB = "rewards.files.returned.work"
# As many are marked while somebody waits for the page; more is a worker's.
AT_ONCE = 200
CHUNK = 50
KEPT_WRONG = 1000
# What is marked without a file, as a word of reading.outcome_of().
_ALL = {"paid": "paid", "withdrawn": "not_paid"}
# Asked for each line: their text is made once (ADR 13).
_LOCK = Prepared(lambda: Payout.objects.filter(pk=Slot("pk")).select_for_update(of=("self",)))
_LINE = Prepared(lambda: PayoutLine.objects.filter(pk=Slot("pk")).select_related("payout"))


class _WrongLine(Exception):
    """Why a line is not taken, in words; it changes nothing."""


def take_file(*, batch: PayoutBatch, name: str, data: bytes, actor: Actor) -> PayoutReturn:
    """Take a returned file. Refused 409: invalid_state for a batch without files, batch_waits; and reading.read()'s for what is no such
    file."""
    _need_files(batch)
    _need_approval(batch)
    said = reading.read(data)
    row = _new(batch, actor, kind="file", name=" ".join(name.split())[:120], rows=len(said))
    row.data = data
    return _start(row)


def mark_all(*, batch: PayoutBatch, kind: str, note: str, actor: Actor) -> PayoutReturn:
    """Mark every line that is still open as paid, or withdraw it (`kind`). Refused: invalid_state and batch_waits (409), invalid_choice,
    too_long."""
    _need_files(batch)
    if kind not in _ALL:
        raise Refused("invalid_choice", _("Choose what became of the lines."), field="kind")
    if kind == "paid":
        _need_approval(batch)
    if len(note) > 500:
        raise Refused("too_long", _("A note has at most 500 characters."), field="note")
    count = _open_lines(batch).count()
    if not count:
        raise Refused("invalid_state", _("Nothing of this batch is open any more."), status=409)
    return _start(_new(batch, actor, kind=kind, note=note.strip(), rows=count))


def _need_files(batch: PayoutBatch) -> None:
    if not batch.files.exists():
        raise Refused("invalid_state", _("This batch was not issued by a file."), status=409)


def _need_approval(batch: PayoutBatch) -> None:
    """Nobody has its files, so nobody can have paid it: marking is no way around the second person."""
    if payout_guards.waits(batch):
        message = _("Somebody else of your team has to approve this batch before it can be marked as paid.")
        raise Refused("batch_waits", message, status=409)


def _new(batch: PayoutBatch, actor: Actor, **values: Any) -> PayoutReturn:
    who = [actor.kind, actor.ref, actor.label]
    return PayoutReturn(merchant_id=batch.merchant_id, is_test=batch.is_test, batch=batch, actor=who, **values)


def _start(row: PayoutReturn) -> PayoutReturn:
    with transaction.atomic():
        row.save(force_insert=True)
        if row.rows > AT_ONCE:
            enqueue(JOB, row.pk)
    if row.rows <= AT_ONCE:
        work(row.pk)
        row.refresh_from_db()
    return row


def work_all() -> int:
    """For the schedule: go on with what a lost nudge or a lost worker left behind. Returns how many."""
    keys = list(PayoutReturn.objects.filter(state="working").order_by("pk").values_list("pk", flat=True)[:20])
    for key in keys:
        work(key)
    return len(keys)


def work(return_id: int) -> None:
    """Mark the lines from where it stood; two workers at once do no harm, for each answer is taken once."""
    row = PayoutReturn.objects.select_related("merchant", "batch").filter(pk=return_id, state="working").first()
    if row is None:
        return
    with clocks.running(row.tenant):
        said = _said(row)
        twice = dict(reading.twice(said)) if row.kind == "file" else {}
        for start in range(row.position, len(said), CHUNK):
            if not _chunk(row, said[start : start + CHUNK], start, twice):
                return  # another worker is ahead
        still = PayoutReturn.objects.filter(pk=row.pk, state="working")
        still.update(state="done", sealed="", finished_at=clock.wall(), rows=len(said))


def _said(row: PayoutReturn) -> list[Said]:
    if row.kind == "file":
        return reading.read(row.data)
    # All lines, the closed ones too: which are open is asked as each is marked, so that going on later finds the same list.
    marks = PayoutLine.objects.filter(file__batch=row.batch).order_by("file__number", "number")
    return [Said(0, mark, _ALL[row.kind], "", row.note) for mark in marks.values_list("mark", flat=True)]


def _open_lines(batch: PayoutBatch) -> Any:
    return PayoutLine.objects.filter(file__batch=batch, payout__status__in=Payout.OPEN)


def _chunk(row: PayoutReturn, part: Sequence[Said], start: int, twice: Mapping[Said, Sequence[int]]) -> bool:
    """Mark some lines and count them; False when somebody else has."""
    counts: Counter[str] = Counter()
    wrong: list[list[Any]] = []
    rows = PayoutLine.objects.filter(file__batch=row.batch, mark__in=[one.mark for one in part])
    lines = {line.mark: line for line in rows.select_related("payout")}
    for one in part:
        try:
            if one in twice:
                message = _("It stands in the lines %(lines)s. Keep one of them.")
                raise _WrongLine(message % {"lines": ", ".join(map(str, twice[one]))})
            counts[_mark(row, one, lines.get(one.mark))] += 1
        except _WrongLine as error:
            counts["wrong"] += 1
            wrong.append([one.line, one.mark if _is_name(one.mark) else "", str(error)])
    values = {name: getattr(row, name) + counts[name] for name in PayoutReturn.COUNTS}
    values |= {"position": start + len(part), "wrong_rows": (row.wrong_rows + wrong)[:KEPT_WRONG]}
    done = PayoutReturn.objects.filter(pk=row.pk, state="working", position=start).update(**values)
    for name, value in values.items():
        setattr(row, name, value)
    return bool(done)


def _is_name(mark: str) -> bool:
    """Whether it may be shown: one of ours is letters, digits and a line; anything else may be somebody's address."""
    return mark.replace("_", "").isalnum() and mark.isascii()


def _mark(row: PayoutReturn, said: Said, found: PayoutLine | None) -> str:
    """What came of one line, as a name of PayoutReturn.COUNTS. `found` is ours, as it was some lines ago. Raises _WrongLine, and nothing
    has changed."""
    if found is None:
        raise _WrongLine(_elsewhere(row, said.mark))
    try:
        outcome = reading.outcome_of(said)
    except ValueError:
        message = _("The status %(word)r is none that we know. Write paid, failed or not_paid.")
        raise _WrongLine(message % {"word": said.state[:40]}) from None
    _compare(found, said)
    if outcome is not None and row.kind == "file" and said.answer in found.answers:
        return "same"  # an answer that was taken stays taken, so nothing has to be locked for it
    with transaction.atomic():
        # The payout is the lock, as in settling.learn(): whoever erases a person has the person first, and then the line.
        _LOCK(pk=found.payout_id)
        line = _LINE(pk=found.pk)[0]
        if outcome is None:
            return "still_open" if line.payout.status in Payout.OPEN else "same"
        if row.kind != "file" and line.payout.status not in Payout.OPEN:
            return "same"
        if said.answer in line.answers and row.kind == "file":
            return "same"
        return _learn(line, said, outcome, Actor(*row.actor))


def _learn(line: PayoutLine, said: Said, outcome: Outcome, actor: Actor) -> str:
    before = line.payout.status
    after = settling.learn(line.payout_id, outcome, actor=actor)
    PayoutLine.objects.filter(pk=line.pk).update(answers=[*line.answers, said.answer])
    return after if after != before and after in {"paid", "sent", "failed"} else "same"


def _compare(line: PayoutLine, said: Said) -> None:
    """Nobody is marked as paid who got something else, or elsewhere, than the file said."""
    amount = line.payout.amount
    if said.amount and not reading.is_amount(said.amount, amount):
        message = _("The amount is %(found)s here, and %(amount)s in the file that was issued.")
        raise _WrongLine(message % {"found": said.amount[:40], "amount": amount.plain()})
    if said.currency and said.currency.upper() != amount.currency:
        message = _("The currency is %(found)s here, and %(currency)s in the file that was issued.")
        raise _WrongLine(message % {"found": said.currency[:10], "currency": amount.currency})
    to = line.secrets["to"] if said.to else ""
    if to and said.to.casefold() != to.casefold():
        raise _WrongLine(_("The recipient is another one than in the file that was issued."))


def _elsewhere(row: PayoutReturn, mark: str) -> str:
    if not mark:
        return _("The line names no payout.")
    lines = PayoutLine.objects.filter(file__merchant=row.merchant, file__is_test=row.is_test, mark=mark)
    other = lines.exclude(file__batch=row.batch).values_list("file__batch__public_id", flat=True).first()
    if other:
        return _("This payout belongs to the batch %(batch)s. Bring its file back there.") % {"batch": other}
    return _("No payout of this batch is called that.")
