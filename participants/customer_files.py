"""Files with customers: one column of addresses or of a source's ids, perhaps one with dates; read row by row, never all at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from django.utils.dateparse import parse_date, parse_datetime
from django.utils.translation import gettext as _

from participants import customers
from participants.customers import Customer
from participants.models import CustomerUpload
from referrals.accounts.tenancy import Tenant
from referrals.lib.emails import EmailError, parse_email
from referrals.lib.errors import Refused
from referrals.lib.tables import read_table, rows_of

MOST_ROWS = 100_000
MOST_BYTES = 16 * 1024 * 1024
MOST_COLUMNS = 50
# The names that columns commonly have; the rest is chosen on the page.
EMAIL_NAMES = frozenset(
    {"email", "e-mail", "mail", "email address", "e-mail address", "email_address", "customer_email"}
)
ID_NAMES = frozenset({"customer_id", "customer id", "customer", "id", "stripe_customer", "shopify_customer_id"})
SINCE_NAMES = frozenset(
    {"customer_since", "customer since", "since", "first_purchase_at", "first purchase", "first_order_at", "created", "created_at"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wrong:
    """A row that can't be taken: what stands there, and why."""

    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is read, as guessed from its first row."""

    columns: list[str]
    has_header: bool
    column: int
    kind: str
    since_column: int | None


def check_file(data: bytes) -> Layout:
    """What a file seems to hold. Refused: file_empty, file_too_large, file_unreadable, too_many_rows; nothing is kept then."""
    if len(data) > MOST_BYTES:
        raise Refused("file_too_large", _("The file is larger than 16 MB. Split it."), field="file")
    rows = _rows(data)
    try:
        first = next(rows)
    except StopIteration:
        raise Refused("file_empty", _("The file has no rows."), field="file") from None
    if len(first) > MOST_COLUMNS:
        raise Refused("file_unreadable", _("The file has more than 50 columns; is it a CSV file?"), field="file")
    count = 1 + sum(1 for _row in rows)
    if count > MOST_ROWS + 1:
        words = {"count": count, "most": MOST_ROWS}
        raise Refused(
            "too_many_rows", _("The file has %(count)d rows; at most %(most)d go at once.") % words, field="file"
        )
    return _guess(first)


def count_rows(upload: CustomerUpload) -> int:
    """How many rows there are below the header."""
    return max(0, sum(1 for _row in _rows(_data(upload))) - upload.has_header)


def read(upload: CustomerUpload, *, skip: int = 0) -> Iterator[tuple[int, Customer | Wrong]]:
    """(number of the line, what stands there) for each row after the first `skip` below the header."""
    tenant = upload.tenant
    for number, row in enumerate(_rows(_data(upload)), start=1):
        if number <= skip + upload.has_header:
            continue
        yield number, _read_row(tenant, upload, row)


def _data(upload: CustomerUpload) -> bytes:
    return bytes(upload.data or b"")


def _rows(data: bytes) -> Iterator[list[str]]:
    """The rows that have anything in them; a spreadsheet's tab before a formula is taken off again."""
    return (row for _line, row in numbered_rows(data))


def numbered_rows(data: bytes) -> Iterator[tuple[int, list[str]]]:
    """(the line it begins in, the cells) of each row that has anything in it. Refused `file_unreadable`.

    UTF-8 with or without a byte order mark, or UTF-16 with one, as Excel saves "Unicode text".
    """
    return rows_of(read_table(data))


def _guess(first: list[str]) -> Layout:
    names = [cell.strip().lower() for cell in first]
    if any(_is_email(cell) for cell in first):
        return Layout(first, False, next(n for n, cell in enumerate(first) if _is_email(cell)), "email", None)
    since = next((n for n, name in enumerate(names) if name in SINCE_NAMES), None)
    for kind, known in (("email", EMAIL_NAMES), ("id", ID_NAMES)):
        column = next((n for n, name in enumerate(names) if name in known), None)
        if column is not None:
            return Layout(first, True, column, kind, since)
    return Layout(first, True, 0, "email", since)


def _is_email(text: str) -> bool:
    try:
        parse_email(text)
    except EmailError:
        return False
    return True


def _read_row(tenant: Tenant, upload: CustomerUpload, row: list[str]) -> Customer | Wrong:
    text = row[upload.column] if upload.column < len(row) else ""
    if not text:
        return Wrong("", _("The column is empty here."))
    try:
        since = _since(upload, row)
        make = customers.by_email if upload.kind == "email" else customers.by_id
        return make(tenant, text, since)
    except Refused as error:
        return Wrong(text[:200], error.message[:200])


def _since(upload: CustomerUpload, row: list[str]) -> datetime | None:
    column = upload.since_column
    text = row[column] if column is not None and column < len(row) else ""
    if not text:
        return None
    try:
        moment = parse_datetime(text)
        day = parse_date(text) if moment is None else None
    except ValueError:
        moment = day = None
    if moment is None and day is None:
        message = _("%(text)s is no date; write it as 2026-01-31.") % {"text": text[:40]}
        raise Refused("date", message, field="customer_since")
    zone = upload.merchant.zone
    if moment is None and day is not None:
        moment = datetime(day.year, day.month, day.day, tzinfo=zone)
    assert moment is not None  # noqa: S101 - one of the two was read
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
