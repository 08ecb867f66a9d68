"""The migrated SQLite database, kept between runs: a test run begins with a copy of it instead of with every migration.

The copy is only a head start. Django's own `migrate` runs afterwards in any case and applies what the copy lacks; a
migration that was edited gives another fingerprint, and with it a new copy.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import django
import pytest
from django.apps import apps
from django.db import connection
from django.db.backends.sqlite3.creation import DatabaseCreation


def _fingerprint() -> str:
    """Of every migration of every installed app, and of Django, which carries them out."""
    digest = hashlib.sha256(django.__version__.encode())
    for app in sorted(apps.get_app_configs(), key=lambda app: app.name):
        for file in sorted(Path(app.path, "migrations").glob("*.py")):
            digest.update(f"{app.name}/{file.name}\n".encode() + file.read_bytes())
    return digest.hexdigest()[:20]


def copy_in(folder: Path) -> Path:
    """Where the copy for these migrations is, or is to be."""
    return folder / f"{_fingerprint()}.sqlite3"


def begin_with(copy: Path, patch: pytest.MonkeyPatch) -> None:
    """Let test databases on SQLite begin with what `copy` holds."""
    creation: Any = DatabaseCreation  # what is patched is not in the stubs
    plain = creation._create_test_db

    def create(self: Any, verbosity: int, autoclobber: bool, keepdb: bool = False) -> str:
        name: str = plain(self, verbosity, autoclobber, keepdb)
        # A database in memory lives as long as somebody holds it; Django opens it before this one is forgotten.
        self.head_start = sqlite3.connect(name, uri=name.startswith("file:"))
        with closing(sqlite3.connect(copy)) as source:
            source.backup(self.head_start)
        return name

    patch.setattr(creation, "_create_test_db", create)


def keep(copy: Path) -> None:
    """Write what was just migrated to `copy`, whole or not at all, and drop the copies of other days."""
    unfinished = copy.with_suffix(f".{os.getpid()}")
    connection.ensure_connection()
    with closing(sqlite3.connect(unfinished)) as target:
        connection.connection.backup(target)
    unfinished.replace(copy)
    for other in copy.parent.glob("*.sqlite3"):
        if other != copy:
            other.unlink(missing_ok=True)
