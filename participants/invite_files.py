"""Files with customers to invite: an address, perhaps a name, and whether they agreed to get mail; read row by row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.utils.translation import gettext as _

from participants.customer_files import EMAIL_NAMES, MOST_BYTES, MOST_COLUMNS, MOST_ROWS, numbered_rows
from participants.invite_models import InviteList
from referrals.lib.emails import Email, EmailError, parse_email
from referrals.lib.errors import Refused

NAME_NAMES = frozenset({"name", "first name", "first_name", "firstname", "vorname", "full name", "full_name"})
CONSENT_NAMES = frozenset(
    {
        "consent", "agreed", "opt-in", "opt_in", "optin", "marketing_consent", "marketing consent", "accepts_marketing",
        "accepts marketing", "accepts email marketing", "einwilligung",
    }
)  # fmt: skip
YES = frozenset("yes y true 1 x ja j oui si sí granted subscribed opt-in".split())
NO = frozenset({"no", "n", "false", "0", "nein", "non", "denied", "unsubscribed", "opt-out", "-"})
LONGEST_NAME = 80
LONGEST_VALUE = 200


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column has what, counted from 0; None for one that the file lacks. `header`: the first row has names."""

    header: bool
    email: int
    name: int | None = None
    consent: int | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """A readable line. `consent` is None where nothing is said."""

    line: int
    email: Email
    name: str
    consent: bool | None


@dataclass(frozen=True, slots=True)
class WrongCell:
    """A line that can't be taken: where, in which column, what stands there, and why."""

    line: int
    column: str
    value: str
    reason: str


def check_file(data: bytes) -> tuple[Columns, int]:
    """How a file is read, and how many people it has. Refused: file_empty, file_too_large, file_unreadable, too_many_rows, column."""
    if len(data) > MOST_BYTES:
        raise Refused("file_too_large", _("The file is larger than 16 MB. Split it."), field="file")
    rows = numbered_rows(data)
    first = next(rows, None)
    if first is None:
        raise Refused("file_empty", _("The file has no rows."), field="file")
    if len(first[1]) > MOST_COLUMNS:
        raise Refused("file_unreadable", _("The file has more than 50 columns; is it a CSV file?"), field="file")
    columns = _columns(first[1])
    count = sum(1 for _row in rows) + (not columns.header)
    if count > MOST_ROWS:
        words = {"count": count, "most": MOST_ROWS}
        raise Refused(
            "too_many_rows", _("The file has %(count)d rows; at most %(most)d go at once.") % words, field="file"
        )
    if not count:
        raise Refused("file_empty", _("The file has no rows."), field="file")
    return columns, count


def _columns(first: list[str]) -> Columns:
    for number, cell in enumerate(first):
        if "@" in cell:
            return Columns(False, number)
    names = [cell.lower() for cell in first]
    email = _one(names, EMAIL_NAMES)
    if email is None:
        message = _("No column is called “email”. The first row has: %(names)s.")
        raise Refused("column", message % {"names": ", ".join(first)[:LONGEST_VALUE]}, field="file")
    name = next((number for number, text in enumerate(names) if text in NAME_NAMES), None)
    return Columns(True, email, name, _one(names, CONSENT_NAMES))


def _one(names: list[str], known: frozenset[str]) -> int | None:
    """The column with such a name. Refused `column` when there are two."""
    found = [number for number, name in enumerate(names) if name in known]
    if len(found) > 1:
        message = _("Two columns mean the same: %(one)s and %(other)s. Keep one of them.")
        words = {"one": names[found[0]], "other": names[found[1]]}
        raise Refused("column", message % words, field="file")
    return found[0] if found else None


def columns_of(row: InviteList) -> Columns:
    """How this list's file is read."""
    return Columns(**row.columns)


def read(row: InviteList, *, skip: int = 0) -> Iterator[Person | WrongCell]:
    """What stands in each row after the first `skip` below the header."""
    columns = columns_of(row)
    for number, (line, cells) in enumerate(numbered_rows(bytes(row.data or b"")), start=0 if columns.header else 1):
        if number > skip:
            yield _read_row(columns, line, cells)


def _read_row(columns: Columns, line: int, cells: list[str]) -> Person | WrongCell:
    def cell(column: int | None) -> str:
        return cells[column] if column is not None and column < len(cells) else ""

    email, name, consent = cell(columns.email), " ".join(cell(columns.name).split()), cell(columns.consent).lower()
    try:
        address = parse_email(email)
    except EmailError as error:
        return WrongCell(line, "email", email[:LONGEST_VALUE], str(error))
    if len(name) > LONGEST_NAME:
        return WrongCell(line, "name", name[:LONGEST_VALUE], _("A name has at most 80 characters."))
    if not name.isprintable():
        visible = "".join(c if c.isprintable() else "�" for c in name)[:LONGEST_VALUE]
        return WrongCell(line, "name", visible, _("The name has invisible characters."))
    if consent and consent not in YES | NO:
        message = _("Write yes or no.")
        return WrongCell(line, "consent", cell(columns.consent)[:LONGEST_VALUE], message)
    return Person(line, address, name, consent in YES if consent else None)
