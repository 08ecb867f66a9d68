"""What a stand-in remembers: rows of the database, which several processes see, or a dictionary for a test or a server of its own.

Everything has a kind and a name, and a name exists once in its kind. Kinds that begin with "_" belong to the frame.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Any, Protocol

from django.db import IntegrityError, transaction

from integrations.models import Connection, SandboxRow
from referrals.lib import clock, transactions

Data = dict[str, Any]


class State(Protocol):
    """One account at one company."""

    def work(self) -> AbstractContextManager[None]:
        """All or nothing: what is done within is kept together, or undone when an exception leaves it."""

    def get(self, kind: str, name: str) -> Data | None:
        """A copy of what is kept; within work() nobody else changes it until that ends."""

    def add(self, kind: str, name: str, data: Data, due: datetime | None = None) -> bool:
        """Keep something new, with the moment at which it goes on by itself. False, and nothing kept, when the name is taken."""

    def put(self, kind: str, name: str, data: Data, due: datetime | None = None) -> None:
        """Replace what is kept; KeyError when there is no such name."""

    def each(self, kind: str) -> list[tuple[str, Data]]:
        """All of a kind, in the order in which they were added."""

    def due(self, now: datetime, limit: int = 500) -> list[tuple[str, str]]:
        """Kind and name of what is to go on by now, the earliest first."""


class Memory:
    """In a dictionary; for tests, and for a stand-in that is a server of its own."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], tuple[Data, datetime | None]] = {}
        self._lock = threading.RLock()
        self._undo: dict[tuple[str, str], tuple[Data, datetime | None] | None] = {}

    @contextmanager
    def work(self) -> Iterator[None]:
        """One at a time."""
        with self._lock:
            self._undo = {}
            try:
                yield
            except BaseException:
                for key, before in self._undo.items():
                    if before is None:
                        del self._rows[key]
                    else:
                        self._rows[key] = before
                raise

    def get(self, kind: str, name: str) -> Data | None:
        with self._lock:
            found = self._rows.get((kind, name))
            return copy.deepcopy(found[0]) if found else None

    def add(self, kind: str, name: str, data: Data, due: datetime | None = None) -> bool:
        with self._lock:
            if (kind, name) in self._rows:
                return False
            self._write((kind, name), (copy.deepcopy(data), due))
            return True

    def put(self, kind: str, name: str, data: Data, due: datetime | None = None) -> None:
        with self._lock:
            if (kind, name) not in self._rows:
                raise KeyError((kind, name))
            self._write((kind, name), (copy.deepcopy(data), due))

    def _write(self, key: tuple[str, str], row: tuple[Data, datetime | None]) -> None:
        self._undo.setdefault(key, self._rows.get(key))
        self._rows[key] = row

    def each(self, kind: str) -> list[tuple[str, Data]]:
        with self._lock:
            return [(name, copy.deepcopy(row[0])) for (found, name), row in self._rows.items() if found == kind]

    def due(self, now: datetime, limit: int = 500) -> list[tuple[str, str]]:
        with self._lock:
            found = [(row[1], key) for key, row in self._rows.items() if row[1] is not None and row[1] <= now]
        return [key for _moment, key in sorted(found, key=lambda item: item[0])[:limit]]


class Rows:
    """In the database, for one connection of a test side. ValueError for a live one: nothing of it is played."""

    def __init__(self, connection: Connection) -> None:
        if not connection.is_test:
            raise ValueError("A stand-in exists on the test side only.")
        self._connection = connection

    def work(self) -> AbstractContextManager[None]:
        """A transaction of its own, as a company has its own database: RuntimeError inside of another one, where money must never move."""
        return transaction.atomic(durable=True)

    def get(self, kind: str, name: str) -> Data | None:
        rows = self._all.filter(kind=kind, name=name)
        if transactions.is_open():
            rows = rows.select_for_update(no_key=True)
        row = rows.first()
        return row.data if row else None

    def add(self, kind: str, name: str, data: Data, due: datetime | None = None) -> bool:
        side = {"merchant_id": self._connection.merchant_id, "is_test": True, "connection": self._connection}
        try:
            with transaction.atomic():
                SandboxRow.objects.create(**side, kind=kind, name=name, data=data, due_at=due, made_at=clock.now())
        except IntegrityError:
            return False
        return True

    def put(self, kind: str, name: str, data: Data, due: datetime | None = None) -> None:
        if not self._all.filter(kind=kind, name=name).update(data=data, due_at=due):
            raise KeyError((kind, name))

    def each(self, kind: str) -> list[tuple[str, Data]]:
        return list(self._all.filter(kind=kind).order_by("pk").values_list("name", "data"))

    def due(self, now: datetime, limit: int = 500) -> list[tuple[str, str]]:
        found = self._all.filter(due_at__lte=now).order_by("due_at", "pk")
        return list(found.values_list("kind", "name")[:limit])

    @property
    def _all(self) -> Any:
        return SandboxRow.objects.filter(connection=self._connection)
