"""Lines of a CSV file, safe to open in a spreadsheet (UX.md, "CSV formula injection"; RELIABILITY INV-27)."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

# What a spreadsheet may take for a formula, also in full-width forms, and what it skips before.
_DANGEROUS = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n")
_SKIPPED = " \u00a0\u200b\u2060\ufeff"


class _Echo:
    """A file that hands back what is written to it: csv's way of giving lines one by one."""

    def write(self, line: str) -> str:
        return line


def safe(value: object) -> str:
    """One cell as text, with a tab before what a spreadsheet would take for a formula. A number is none, also below zero."""
    text = "" if value is None else str(value)
    if isinstance(value, int | Decimal):
        return text
    return f"\t{text}" if text.lstrip(_SKIPPED).startswith(_DANGEROUS) else text


def csv_lines(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """The head and the rows as lines of CSV, every cell quoted, after a byte order mark."""
    writer = csv.writer(_Echo(), quoting=csv.QUOTE_ALL)
    yield "\ufeff" + writer.writerow(columns)
    for row in rows:
        yield writer.writerow([safe(cell) for cell in row])
