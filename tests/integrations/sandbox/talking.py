"""Talk to one stand-in in a test: JSON in, JSON out, its webhooks kept, and the money it sent."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from integrations.sandbox import scripts
from integrations.sandbox.base import Company, StandIn, money_of
from integrations.sandbox.state import Memory
from referrals.lib.http import Answer

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
# (method, path, sent, status, answered) of one exchange, for whoever checks them against a specification.
Watcher = Callable[[str, str, Any, int, Any], None]


def minor_of(name: str) -> int:
    """The amount that makes something happen."""
    return next(amount for amount, script in scripts.SCRIPTS.items() if script.name == name)


@dataclass
class Talk:
    """A stand-in with an account of its own."""

    company: Company
    base: str
    secrets: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=lambda: {"Authorization": "Bearer TEST_key"})
    watch: Watcher | None = None

    def __post_init__(self) -> None:
        self.state = Memory()
        self.got: list[tuple[dict[str, Any], bytes, dict[str, str]]] = []
        self.stand_in = StandIn(self.company, self.state, self.secrets, self._deliver)

    def _deliver(self, body: bytes, headers: Mapping[str, str]) -> int:
        self.got.append((json.loads(body), body, dict(headers)))
        return 200

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """One request, as it is; raises HttpError where the answer is lost."""
        content = None if body is None else json.dumps(body).encode()
        return self.stand_in.send(method, self.base + path, headers={**self.headers, **headers}, body=content)

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and JSON of the answer."""
        answer = self.send(method, path, body, **headers)
        found = json.loads(answer.body) if answer.body else None
        if self.watch:
            self.watch(method, path, body, answer.status, found)
        return answer.status, found

    def paid(self) -> list[tuple[str, str, int, bool]]:
        """Reference, recipient, minor units and whether it is back, of all money that left."""
        return [(row.reference, row.to, row.money.minor, row.is_back) for row in money_of(self.state)]


def basic(name: str, secret: str) -> dict[str, str]:
    """The header of Basic auth."""
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()}
