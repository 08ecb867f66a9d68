"""A Stripe account for tests: the stand-in with a memory, what was asked of it, and faults on order."""

from __future__ import annotations

import json
from typing import Any

import pytest

from integrations import accounts, inbox
from integrations.models import Connection, InboundEvent
from integrations.sandbox.base import StandIn
from integrations.sandbox.state import Memory
from integrations.sandbox.stripe import Stripe
from referrals.lib.http import Answer
from tests.integrations.sending import SECRET, post

KEY = "rk_test_0123456789abcdef"


class Account(StandIn):
    """One account; `asked` are methods and paths, `keys` the idempotency keys of what was posted."""

    def __init__(self) -> None:
        super().__init__(Stripe(), Memory(), {"webhook_secret": SECRET}, self.got)
        self.asked: list[tuple[str, str]] = []
        self.keys: list[str] = []
        self.fault: Exception | Answer | None = None
        self.connection: Connection | None = None

    def got(self, body: bytes, headers: Any) -> int:
        """A message for the connection."""
        assert self.connection is not None
        return int(post(self.connection, body, headers).status_code)

    def send(self, method: str, url: str, *, headers: Any = None, body: Any = None) -> Answer:
        path = url.removeprefix("https://api.stripe.com").partition("?")[0]
        self.asked.append((method, path))
        if method == "POST":
            self.keys.append({name.lower(): value for name, value in headers.items()}.get("idempotency-key", ""))
        fault, self.fault = self.fault, None
        if isinstance(fault, Answer):
            return fault
        answer = super().send(method, url, headers=headers, body=body)
        if fault is not None:
            raise fault
        return answer

    def play(self, what: str, **fields: Any) -> dict[str, Any]:
        """Something that happens at Stripe; its messages arrive and are worked on."""
        form = "&".join(f"{name}={value}" for name, value in fields.items())
        answer = super().send("POST", f"/v1/play/{what}", headers={"Authorization": "Bearer sk"}, body=form)
        assert answer.status == 200, answer.body
        self.advance()
        for pk in InboundEvent.objects.filter(state="received").order_by("pk").values_list("pk", flat=True):
            inbox.process(pk)
        return dict(json.loads(answer.body))

    def rows(self, kind: str) -> list[dict[str, Any]]:
        """Objects in the account."""
        return [row for _name, row in self.state.each(kind)]


def played(monkeypatch: pytest.MonkeyPatch) -> Account:
    """An account that answers for every connection."""
    account = Account()
    monkeypatch.setattr(accounts, "send_for", lambda _connection: account.send)
    return account
