"""A company that pays, in four models of exactly-once, with faults on order; what it really paid can be counted afterwards.

The models (RELIABILITY INV-05): `life`: a key is replayed while it lives, and pays again afterwards (Stripe); `reject`: a known key is
refused, with the name of the first payment (PayPal); `original`: a known key answers with the first payment (Tremendous); `lookup`: no
keys at all, but payments can be found by our reference.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from integrations.base import Account
from referrals.lib.http import HttpError
from rewards.sending import Order, Outcome

MODELS = ("life", "reject", "original", "lookup")
# What can go wrong with a call, and whether the payment is made all the same.
FAULTS = {"hang": False, "hang_after": True, "error": False, "error_after": True, "busy": False, "refused": False}


@dataclass
class Company:
    """The books of a company. `transfers` are what it really paid: (reference, minor units), in order."""

    model: str
    transfers: list[tuple[str, int]] = field(default_factory=list)
    keys: dict[str, int] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def pay(self, key: str, minor: int, fault: str = "") -> tuple[int, dict[str, Any]]:
        """One call to pay; (HTTP status, body), status 0 for no answer."""
        with self.lock:
            self.calls["pay"] += 1
            if fault and not FAULTS[fault]:
                return {"hang": (0, {}), "error": (500, {}), "busy": (429, {}), "refused": (422, {"why": "No."})}[fault]
            status, number = self._book(key, minor)
        if fault:
            return (0, {}) if fault == "hang_after" else (500, {})
        return status, {"id": f"tr_{number}", "minor": self.transfers[number][1]}

    def _book(self, key: str, minor: int) -> tuple[int, int]:
        known = self.keys.get(key)
        if known is not None and self.model != "lookup":
            return (409 if self.model == "reject" else 200), known
        self.transfers.append((key, minor))
        self.keys[key] = len(self.transfers) - 1
        return 201, self.keys[key]

    def find(self, key: str) -> tuple[int, dict[str, Any]]:
        """What is known by our reference; 404 when nothing is."""
        with self.lock:
            self.calls["find"] += 1
            number = self.keys.get(key)
        if number is None:
            return 404, {}
        return 200, {"id": f"tr_{number}", "minor": self.transfers[number][1]}

    def forget_keys(self) -> None:
        """The life of every key is over (model `life`); the payments stay findable in its lists, which it no longer compares with keys."""
        self.keys.clear()


class Issuer:
    """Pays through a company. `call(verb, key, minor)` is the wire; it gives (status, body)."""

    kinds = frozenset({"cash"})
    currencies: frozenset[str] = frozenset()
    destination = ""

    def __init__(self, call: Callable[[str, str, int], tuple[int, dict[str, Any]]], key_life: timedelta | None) -> None:
        self.call = call
        self.key_life = key_life

    def send(self, order: Order, account: Account) -> Outcome:
        """One call to pay."""
        status, body = self.call("pay", order.key, order.amount.minor)
        if status == 0:
            raise HttpError("No answer.", retry=True, sent=True)
        if status == 422:
            return Outcome("failed", "", body["why"])
        return self._read(order, status, body)

    def check(self, order: Order, account: Account) -> Outcome | None:
        """One call to find."""
        status, body = self.call("find", order.key, 0)
        if status == 0:
            raise HttpError("No answer.", retry=True, sent=True)
        return None if status == 404 else self._read(order, status, body)

    def _read(self, order: Order, status: int, body: dict[str, Any]) -> Outcome:
        if status not in {200, 201, 409}:
            return Outcome("unknown", "", f"It answered {status}.")
        if body["minor"] != order.amount.minor:
            return Outcome("ask", body["id"], "It paid another amount.")
        return Outcome("paid", body["id"])
