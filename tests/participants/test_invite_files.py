"""Reading a list of customers to invite: what is taken, and where what is wrong stands."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from participants import invite_files
from participants.invite_files import Columns, Person, WrongCell
from participants.models import InviteList
from referrals.lib.errors import Refused

HEAD = "name,email,consent\n"


def read(text: str | bytes) -> list[Person | WrongCell]:
    data = text if isinstance(text, bytes) else text.encode()
    columns, rows = invite_files.check_file(data)
    return list(invite_files.read(InviteList(data=data, columns=asdict(columns), rows=rows)))


def found(text: str | bytes) -> list[tuple[int, str, str, bool | None]]:
    people = read(text)
    assert all(isinstance(one, Person) for one in people)
    return [(one.line, one.email.key, one.name, one.consent) for one in people if isinstance(one, Person)]


MAYA = (2, "maya@example.net", "Maya Chen", True)


@pytest.mark.parametrize(
    "data",
    [
        f"{HEAD}Maya Chen,maya@example.net,yes\n",
        f"\ufeff{HEAD}Maya Chen,maya@example.net,yes\n",
        f"{HEAD}Maya Chen,maya@example.net,yes\n".encode("utf-16"),
        f"{HEAD}\"Maya Chen\",\"maya@example.net\",\"YES\"\r\n",
        "E-Mail;Einwilligung;Vorname\nmaya@example.net;ja;Maya Chen\n",
        "consent\tcity\temail\tname\n1\tPune\tMaya@Example.NET\tMaya  Chen\n",
        f"{HEAD}\tMaya Chen,\tmaya@example.net,true\n\n\n",
    ],
    ids=["plain", "mark", "UTF-16", "quotes", "German Excel", "tabs", "our own tab prefix and empty lines"],
)  # fmt: skip
def test_a_person_in_every_common_form(data: str | bytes) -> None:
    assert found(data) == [MAYA]


def test_a_file_without_a_head_has_addresses_only() -> None:
    assert found("maya@example.net\nido@example.net\n") == [
        (1, "maya@example.net", "", None),
        (2, "ido@example.net", "", None),
    ]


def test_a_line_is_counted_as_an_editor_does() -> None:
    text = f'{HEAD}"Maya\nChen",maya@example.net,yes\n\nIdo,ido@example.net,no\n,noa@example.net,\n'
    assert found(text) == [
        (2, "maya@example.net", "Maya Chen", True),
        (5, "ido@example.net", "Ido", False),
        (6, "noa@example.net", "", None),
    ]


def test_what_is_wrong_names_line_column_and_value() -> None:
    rows = ["Maya,maya@,yes", "Ido,ido@example.net,perhaps", "=1+1,noa@example.net,yes", "Mr\u202e X,x@example.net,yes",
            f"{'n' * 81},y@example.net,yes", ",,"]  # fmt: skip
    people = read(HEAD + "\n".join(rows))
    wrong = [(one.line, one.column, one.value) for one in people if isinstance(one, WrongCell)]
    assert wrong == [
        (2, "email", "maya@"),
        (3, "consent", "perhaps"),
        (5, "name", "Mr� X"),
        (6, "name", "n" * 81),
    ]
    # A formula is text here; what leaves this house is made harmless by the exports.
    assert [one.name for one in people if isinstance(one, Person)] == ["=1+1"]
    assert [one.reason for one in people if isinstance(one, WrongCell)][1] == "Write yes or no."


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "file_empty"),
        (b"\n \n,,\n", "file_empty"),
        (HEAD.encode(), "file_empty"),
        (b"name,consent\nMaya,yes\n", "column"),
        (b"email,e-mail\na@example.net,b@example.net\n", "column"),
        (b"email\n" + b"a" * 200_000, "file_unreadable"),
        (b"email\na\x00@example.net\n", "file_unreadable"),
        ("email,name\na@example.net,Jürgen\n".encode("cp1252"), "file_unreadable"),
        (b"PK\x03\x04\xff\xfe\x00", "file_unreadable"),
        (b"a," * 60, "file_unreadable"),
        (b"email\n" + b"a@example.net\n" * 100_001, "too_many_rows"),
        (b"x" * (16 * 1024 * 1024 + 1), "file_too_large"),
    ],
    ids=[
        "nothing", "blank", "head only", "no address", "two addresses", "long cell", "NUL", "other encoding", "zip",
        "many columns", "many rows", "large",
    ],
)  # fmt: skip
def test_a_file_that_can_not_be_taken(data: bytes, code: str) -> None:
    with pytest.raises(Refused) as caught:
        invite_files.check_file(data)
    assert caught.value.code == code


def test_the_columns_of_a_shop_s_export() -> None:
    columns, rows = invite_files.check_file(
        b"Customer ID,First Name,Last Name,Email,Accepts Email Marketing\n1,Maya,Chen,maya@example.net,yes\n"
    )
    assert (columns, rows) == (Columns(True, 3, 1, 4), 1)
