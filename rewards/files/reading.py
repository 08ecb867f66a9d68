"""What a file that comes back says of each line: our own sheet, the frozen file with columns added, or a company's list of payments.

Nothing here touches the database. Columns are found by their names, whatever is between the words ("Sender Item ID", sender_item_id);
the states are PayPal's and Wise's as PROVIDERS.md, sections 6 and 7, knows them, and plain words. Not confirmed: the exact columns of
the lists that PayPal's and Wise's pages export; the docs say so.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from referrals.lib.errors import Refused
from referrals.lib.money import Money, MoneyError, exponent_of
from referrals.lib.tables import read_table, rows_of
from rewards.orders import Outcome

MOST_BYTES = 4 * 1024 * 1024
MOST_ROWS = 20_000
# The names of columns, without what is between the words, to what they hold.
_NAMES: dict[str, tuple[str, ...]] = {
    "mark": ("payoutid", "senderitemid", "customerid", "uniqueid", "paymentreference", "customertransactionid"),
    "state": ("status", "transactionstatus", "state", "transferstatus"),
    "reference": ("reference", "transactionid", "payoutitemid", "transferid", "paypaltransactionid"),
    "message": ("message", "error", "errorsname", "errorname", "errormessage", "reason", "details"),
    "amount": ("amount", "targetamount", "amountvalue"),
    "currency": ("currency", "targetcurrency", "amountcurrencycode"),
    "to": ("recipient", "recipientemail", "receiver"),
}
# Where the head is missing: PayPal's seven columns, and ours after them.
_PAYPAL = ("to", "amount", "currency", "mark", "", "", "", "state", "reference", "message")
_PAID = frozenset(
    {"paid", "success", "successful", "succeeded", "completed", "complete", "outgoing_payment_sent", "done", "yes"}
)
_SENT = frozenset({"sent", "unclaimed", "taken"})
_OPEN = frozenset({
    "", "open", "pending", "processing", "new", "onhold", "on_hold", "held", "incoming_payment_waiting", "incoming_payment_initiated",
    "funds_converted", "sending", "queued",
})  # fmt: skip
_FAILED = frozenset({
    "failed", "denied", "blocked", "cancelled", "canceled", "returned", "refunded", "reversed", "bounced_back", "funds_refunded",
    "charged_back", "rejected", "error",
})  # fmt: skip
_WITHDRAWN = frozenset({"not_paid", "unpaid", "withdrawn", "no", "skipped"})
# The recipient can't be paid yet, and may be later: the states and the errors that say so.
_RECIPIENT = ("receiver_", "pending_recipient", "returned", "bounced_back", "unregistered")
_FUNDS = ("insufficient_funds",)


@dataclass(frozen=True, slots=True)
class Said:
    """What a line of the file says: where it stands, which payout it names, and the words for what became of it; "" for what it lacks."""

    line: int
    mark: str
    state: str = ""
    reference: str = ""
    message: str = ""
    amount: str = ""
    currency: str = ""
    to: str = ""

    @property
    def answer(self) -> str:
        """What is remembered of it, so that the same is taken once."""
        return f"{_word(self.state)}:{self.reference}"[:200]


def read(data: bytes) -> list[Said]:
    """The lines of a file. Refused: file_missing, file_too_large, file_unreadable, file_empty, file_columns, too_many_rows."""
    if not data:
        raise Refused("file_empty", _("The file has no rows."), field="file")
    if len(data) > MOST_BYTES:
        raise Refused(
            "file_too_large", _("The file is larger than 4 MB. Bring back the file of one batch."), field="file"
        )
    rows = rows_of(read_table(data, western=True))
    first = next(rows, None)
    if first is None:
        raise Refused("file_empty", _("The file has no rows."), field="file")
    columns = _columns(first[1])
    found = [] if columns else [_said(first[0], first[1], _PAYPAL)]
    if not columns and not _is_paypal(first[1]):
        message = _("No column names the payouts, or none says what became of them. It needs payout_id and status.")
        raise Refused("file_columns", message, field="file")
    for line, cells in rows:
        if len(found) >= MOST_ROWS:
            raise Refused("too_many_rows", _("The file has more than 20,000 rows."), field="file")
        found.append(_said(line, cells, columns or _PAYPAL))
    if not found:
        raise Refused("file_empty", _("The file has no rows."), field="file")
    return found


def _columns(cells: Sequence[str]) -> tuple[str, ...]:
    """What each column holds, by the head; () when it is no head of ours. The first of two columns of one meaning counts."""
    found: list[str] = []
    for cell in cells:
        name = re.sub(r"[\W_]", "", cell).casefold()
        meaning = next((key for key, names in _NAMES.items() if name in names), "")
        found.append("" if meaning in found else meaning)
    return tuple(found) if {"mark", "state"} <= set(found) else ()


def _is_paypal(cells: Sequence[str]) -> bool:
    return len(cells) >= _PAYPAL.index("state") + 1 and cells[3].startswith("po_")


def _said(line: int, cells: Sequence[str], columns: Sequence[str]) -> Said:
    values = {name: cell[:500] for name, cell in zip(columns, cells, strict=False) if name}
    return Said(line, values.pop("mark", "")[:64], **values)


def twice(found: Sequence[Said]) -> Iterator[tuple[Said, list[int]]]:
    """The lines whose payout stands in several of them, and in which: nobody can say which one counts."""
    often = {mark for mark, count in Counter(one.mark for one in found if one.mark).items() if count > 1}
    lines: dict[str, list[int]] = {mark: [] for mark in often}
    for one in found:
        if one.mark in often:
            lines[one.mark].append(one.line)
    for one in found:
        if one.mark in often:
            yield one, lines[one.mark]


def outcome_of(said: Said) -> Outcome | None:
    """What became of it; None when it is still open. ValueError for a word that we don't know."""
    word, reference = _word(said.state), said.reference[:255]
    words = said.message or said.state
    if word in _OPEN:
        return None
    if word in _PAID:
        return Outcome("paid", reference, said.message[:500])
    if word in _SENT:
        return Outcome("sent", reference, words[:500])
    if word in _WITHDRAWN:
        return Outcome("failed", reference, words[:500], "")
    if word in _FAILED:
        return Outcome("failed", reference, words[:500], _reason(f"{word} {_word(said.message)}"))
    raise ValueError(said.state)


def _word(text: str) -> str:
    return re.sub(r"[\s-]+", "_", text.strip().casefold())


def _reason(words: str) -> str:
    if any(part in words for part in _RECIPIENT):
        return "waiting_for_recipient"
    return "waiting_for_funds" if any(part in words for part in _FUNDS) else "provider_rejected"


def is_amount(text: str, money: Money) -> bool:
    """Whether a cell says this amount, as spreadsheets of several countries write it: 1250.00, 1250, 1,250.00, 1.250,00."""
    text = text.replace("\u00a0", "").replace(" ", "")
    point = max(text.rfind("."), text.rfind(","))
    if point >= 0:
        whole, rest = re.sub(r"[.,]", "", text[:point]), text[point + 1 :]
        is_group = len(rest) == 3 and exponent_of(money.currency) < 3
        text = whole + rest if is_group else f"{whole}.{rest}"
    try:
        return Money.parse(text, money.currency) == money
    except MoneyError:
        return False
