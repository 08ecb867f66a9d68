"""scripts.check_locks notices lock files that do not belong to what was asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import check_locks

ASKED = "# What we run on\ndjango~=5.2.0\npsycopg[binary]\n"
LOCKED = """\
django==5.2.19 \\
    --hash=sha256:aa
    # via -r requirements.in
psycopg==3.3.9 \\
    --hash=sha256:bb
    # via -r requirements.in
sqlparse==0.5.3 \\
    --hash=sha256:cc
    # via django
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a pair of files that fit."""
    monkeypatch.setattr(check_locks, "ROOT", tmp_path)
    (tmp_path / "requirements.in").write_text(ASKED)
    (tmp_path / "requirements.txt").write_text(LOCKED)
    return tmp_path


def test_files_that_fit_are_fine(root: Path) -> None:
    assert check_locks.problems("requirements") == []


@pytest.mark.parametrize(
    ("asked", "locked", "problem"),
    [
        pytest.param(ASKED + "segno\n", LOCKED, "requirements.txt lacks segno", id="added"),
        pytest.param(
            ASKED.replace("psycopg[binary]\n", ""),
            LOCKED,
            "requirements.txt has psycopg, which requirements.in no longer asks for",
            id="removed",
        ),
        pytest.param(
            ASKED.replace("~=5.2.0", "~=6.0.0"),
            LOCKED,
            "requirements.txt pins django 5.2.19, but requirements.in wants ~=6.0.0",
            id="other version",
        ),
        pytest.param(
            ASKED,
            LOCKED.replace("    --hash=sha256:cc\n", ""),
            "requirements.txt has no hash for sqlparse",
            id="no hash",
        ),
    ],
)
def test_what_does_not_fit_is_named(root: Path, asked: str, locked: str, problem: str) -> None:
    (root / "requirements.in").write_text(asked)
    (root / "requirements.txt").write_text(locked)

    assert check_locks.problems("requirements") == [problem]
