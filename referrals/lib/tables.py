"""Reading tables that people upload: which encoding, which delimiter, which columns; row by row, never all at once (RELIABILITY section 6).

UTF-8 with or without a byte order mark, UTF-16 with one (Excel's "Unicode text"), and Windows-1252 where somebody asks for it: what
is in no encoding at all, or in two, is refused by the line where it shows.
"""

from __future__ import annotations

import csv
import io
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from dataclasses import dataclass

from django.utils.translation import gettext as _

from referrals.lib.errors import Refused

UTF8, UTF16, CP1252 = "utf-8", "utf-16", "windows-1252"
DELIMITERS = ",;\t"
# A character of more than one byte in UTF-8: next to bytes that are none, the file has two encodings.
_LONG = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")


@dataclass(frozen=True, slots=True)
class Table:
    """A file as text: `encoding` it was in, and the `delimiter` between its cells."""

    text: str
    encoding: str
    delimiter: str


def read_table(data: bytes, *, western: bool = False) -> Table:
    """The file's text. `western` also takes Windows-1252, as Excel's plain "CSV" is; the caller tells people so.

    Raises Refused `file_unreadable`: another encoding, two in one file, or no text at all.
    """
    text, encoding = _decode(data, western)
    if "\x00" in text or data[:4] == b"PK\x03\x04":
        raise _unreadable(_("This is no text file. Save the list as CSV."))
    head = text.partition("\n")[0]
    return Table(text, encoding, max(DELIMITERS, key=head.count))


def _decode(data: bytes, western: bool) -> tuple[str, str]:
    try:
        if data[:2] in {BOM_UTF16_LE, BOM_UTF16_BE}:
            return data.decode("utf-16"), UTF16
        return data.removeprefix(BOM_UTF8).decode(), UTF8
    except UnicodeDecodeError as error:
        if data[:2] in {BOM_UTF16_LE, BOM_UTF16_BE} or not western:
            raise _unreadable(_("The file is not in UTF-8. Save it as “CSV UTF-8” and choose it again.")) from error
        line = data[: error.start].count(b"\n") + 1
        if _LONG.search(data):
            message = _(
                "The file mixes two encodings, first in line %(line)d. Save it as “CSV UTF-8” and choose it again."
            )
            raise _unreadable(message % {"line": line}) from error
    try:
        return data.decode("cp1252"), CP1252
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        message = _("Line %(line)d is in no encoding that we know. Save the file as “CSV UTF-8” and choose it again.")
        raise _unreadable(message % {"line": line}) from error


def rows_of(table: Table) -> Iterator[tuple[int, list[str]]]:
    """(the line it begins in, the cells) of each row that has anything in it; a tab before a formula is taken off again.

    Raises Refused `file_unreadable` where it is no CSV, at the row.
    """
    reader, line = csv.reader(io.StringIO(table.text, newline=""), delimiter=table.delimiter), 1
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise _unreadable(_("Line %(line)d is no CSV: %(why)s.") % {"line": line, "why": error}) from error


def _unreadable(message: str) -> Refused:
    return Refused("file_unreadable", message, field="file")
