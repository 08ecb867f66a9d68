"""scripts.run explains what is in the way, and keeps its secrets to the owner."""

from __future__ import annotations

import base64
import socket
import stat
from pathlib import Path

import pytest

from scripts import run


def test_secrets_are_made_once_and_readable_by_the_owner_only(tmp_path: Path) -> None:
    first = run.development_secrets(tmp_path)
    second = run.development_secrets(tmp_path)

    assert first == second
    assert set(first) == {"SECRET_KEY", "SECRETS_KEYS"}
    assert len(first["SECRET_KEY"]) == 67
    name, _, key = first["SECRETS_KEYS"].partition(":")
    assert (name, len(base64.b64decode(key))) == ("dev", 32)
    assert stat.S_IMODE((tmp_path / "development.env").stat().st_mode) == 0o600


def test_a_taken_port_is_named_with_a_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        problem = run.port_problem("127.0.0.1", str(port))

    assert problem == f"Port {port} is in use by another program. Choose another: make run PORT={port + 1}"
    assert run.port_problem("127.0.0.1", str(port)) == ""


@pytest.mark.parametrize("port", ["", "http", "0", "65536", "-1", "80 80"])
def test_what_is_no_port_is_refused(port: str) -> None:
    assert run.port_problem("127.0.0.1", port) == (
        f"PORT={port} is not a port number. Choose one from 1024 to 65535: make run PORT=8080"
    )


def test_only_a_database_of_this_code_counts_as_prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "")
    assert not run.looks_prepared(tmp_path)

    (tmp_path / "passalong.sqlite3").touch()
    assert not run.looks_prepared(tmp_path)

    (tmp_path / "prepared").write_text("another version's")
    assert not run.looks_prepared(tmp_path)

    (tmp_path / "prepared").write_text(run.fingerprint())
    assert run.looks_prepared(tmp_path)

    monkeypatch.setenv("DATABASE_URL", "postgres://user@db.example.com/passalong")
    assert not run.looks_prepared(tmp_path)
