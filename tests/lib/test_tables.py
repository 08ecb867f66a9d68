"""Files that people upload: their encodings and delimiters, and what is no table (RELIABILITY section 6, row 27)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referrals.lib.cells import csv_lines
from referrals.lib.emails import EmailError, _parse, parse_email
from referrals.lib.errors import Refused
from referrals.lib.tables import read_table, rows_of


@pytest.mark.parametrize(
    ("data", "encoding", "cells"),
    [
        (b"a,b\n1,2\n", "utf-8", ["1", "2"]),
        ("\ufeffa;b\n1,5;Zoë\n".encode(), "utf-8", ["1,5", "Zoë"]),
        ("a\tb\n1\tZoë\n".encode("utf-16"), "utf-16", ["1", "Zoë"]),
        ("a,b\n1,Zoë\n".encode("cp1252"), "windows-1252", ["1", "Zoë"]),
        (b'a,b\n"one\ntwo","\t=1+1"\n', "utf-8", ["one\ntwo", "=1+1"]),
        (b"a,b\r\n\r\n1,2\r\n,\r\n", "utf-8", ["1", "2"]),
    ],
)
def test_a_table_is_read_in_its_encoding_and_with_its_delimiter(data: bytes, encoding: str, cells: list[str]) -> None:
    table = read_table(data, western=True)
    _head, *rows = rows_of(table)
    assert (table.encoding, [row for _line, row in rows]) == (encoding, [cells])


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("a\nZoë\n".encode() + "Zoë\n".encode("cp1252"), "mixes two encodings, first in line 3"),
        (b"a\n\x81\n", "Line 2 is in no encoding"),
        (b"a\n\x00\n", "no text file"),
        (b"PK\x03\x04\x14\x00", "no text file"),
        (b"\xff\xfea\x00\xd8", "not in UTF-8"),
    ],
)
def test_what_is_no_table_is_refused_by_the_line(data: bytes, why: str) -> None:
    with pytest.raises(Refused, match=why) as caught:
        read_table(data, western=True)
    assert (caught.value.code, caught.value.field) == ("file_unreadable", "file")


def test_a_row_that_is_no_csv_is_named_and_one_encoding_is_asked_for() -> None:
    with pytest.raises(Refused, match="not in UTF-8"):
        read_table("Zoë".encode("cp1252"))
    with pytest.raises(Refused, match="Line 2 is no CSV"):
        list(rows_of(read_table(b"a\n" + b"x" * 200_000 + b"\n")))


_CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\r"), max_size=12).map(str.strip)


@given(st.lists(st.lists(_CELLS.filter(bool), min_size=2, max_size=2), max_size=4))
def test_what_an_export_writes_an_import_reads_back(rows: list[list[str]]) -> None:
    text = "".join(csv_lines(["one", "two"], rows))
    _head, *found = rows_of(read_table(text.encode()))
    assert [[cell.lstrip("\t") for cell in row] for _line, row in found] == [
        [cell.lstrip("\t") for cell in row] for row in rows
    ]


_DANGER = tuple("=+-@＝＋－＠\t\r\n")
_SPREADSHEET_SKIPS = " \u00a0\u200b\u2060\ufeff"


@given(st.text(max_size=20) | st.tuples(st.sampled_from(_DANGER), st.text(max_size=9)).map("".join))
def test_no_cell_of_an_export_is_a_formula(text: str) -> None:
    """INV-27, for every text: the tab before it is all that a spreadsheet sees of the beginning."""
    from csv import reader

    (line,) = list(csv_lines(["x"], [[text]]))[1:]
    (cell,) = next(reader([line.removesuffix("\r\n")])) if "\n" not in text and "\r" not in text else [line[1:-3]]
    assert not cell.lstrip(_SPREADSHEET_SKIPS).startswith(_DANGER[:8]) or cell.startswith("\t")


@given(
    st.from_regex(r"\A[A-Za-z0-9._+-]{1,66}@[A-Za-z0-9.-]{1,12}\.(com|de|test|invalid|c)\Z")
    | st.sampled_from(["Maya.Lin+x@Gmail.com", "a@xn--80ak6aa92e.com", "a..b@example.com", "a@-x.com", "a@b@c.de"])
)
def test_the_short_way_for_plain_addresses_says_what_the_long_one_says(text: str) -> None:
    try:
        long: object = _parse(text)
    except EmailError:
        long = None
    try:
        short: object = parse_email(text)
    except EmailError:
        short = None
    assert short == long
