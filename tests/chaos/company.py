"""A company that pays, in five models of exactly-once, with faults on order; what it really paid can be counted afterwards.

The models (RELIABILITY INV-05): `life`: a key is replayed while it lives, and pays again afterwards (Stripe); `reject`: a known key is
refused, with the name of the first payment (PayPal); `original`: a known key answers with the first payment (Tremendous); `lookup`: no
keys at all, but payments can be found by our reference; `batch`: many payments in one call, whose key is refused afterwards with the
name of what was made, and which can't be looked up by that key (PayPal's batches).
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from integrations.base import Account
from referrals.lib.http import HttpError
from rewards.orders import Order, Outcome, Shipment, Shipped

MODELS = ("life", "reject", "original", "lookup", "batch")
# What one call carries: our name of each payment, and minor units.
Lines = list[tuple[str, int]]
# What can go wrong with a call, and whether the payment is made all the same.
FAULTS = {"hang": False, "hang_after": True, "error": False, "error_after": True, "busy": False, "refused": False}


@dataclass
class Company:
    """The books of a company. `transfers` are what it really paid: (reference, minor units), in order."""

    model: str
    transfers: list[tuple[str, int]] = field(default_factory=list)
    keys: dict[str, int] = field(default_factory=dict)
    # By their number: what came in one call.
    batches: list[Lines] = field(default_factory=list)
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

    def ship(self, key: str, lines: Lines, fault: str = "") -> tuple[int, dict[str, Any]]:
        """One call to pay many; (HTTP status, body), status 0 for no answer."""
        with self.lock:
            self.calls["ship"] += 1
            if fault and not FAULTS[fault]:
                return {"hang": (0, {}), "error": (500, {}), "busy": (429, {}), "refused": (422, {"why": "No."})}[fault]
            known = self.keys.get(key)
            if known is None:
                known = self.keys[key] = len(self.batches)
                self.batches.append([(name, minor) for name, minor in lines])
                self.transfers += self.batches[known]
                status = 201
            else:
                status = 409
        if fault:
            return (0, {}) if fault == "hang_after" else (500, {})
        return status, {"id": f"ba_{known}"}

    def batch(self, name: str) -> tuple[int, dict[str, Any]]:
        """What was made by one call, by the company's own name of it."""
        with self.lock:
            self.calls["batch"] += 1
            lines = self.batches[int(name.removeprefix("ba_"))]
        return 200, {"id": name, "lines": lines}

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


class Shipper(Issuer):
    """Pays many at once. `call(verb, key, lines)` is the wire here."""

    def __init__(self, call: Callable[[str, str, Any], tuple[int, dict[str, Any]]], key_life: timedelta | None) -> None:
        super().__init__(call, key_life)
        self.ship = call

    def send_many(self, orders: Sequence[Order], account: Account, shipment: Shipment) -> Shipped:
        """One call to pay them, and one to see what became of each."""
        lines = [(order.public_id, order.amount.minor) for order in orders]
        status, body = self.ship("ship", shipment.key, lines)
        if status == 0:
            raise HttpError("No answer.", retry=True, sent=True)
        if status == 422:
            return self._each(orders, Outcome("failed", "", body["why"]))
        if status not in {201, 409}:
            return self._each(orders, Outcome("unknown", "", f"It answered {status}."))
        return self._look(orders, body["id"])

    def check_many(self, orders: Sequence[Order], account: Account, shipment: Shipment) -> Shipped | None:
        """Only by the company's own name of it."""
        return self._look(orders, shipment.reference) if shipment.reference else None

    def _look(self, orders: Sequence[Order], name: str) -> Shipped:
        _status, body = self.ship("batch", name, None)
        found = {line[0]: line[1] for line in body["lines"]}
        outcomes = {
            order.public_id: Outcome("paid", f"{name}/{order.public_id}")
            if found[order.public_id] == order.amount.minor
            else Outcome("ask", "", "It paid another amount.")
            for order in orders
            if order.public_id in found
        }
        return Shipped(outcomes, name)

    @staticmethod
    def _each(orders: Sequence[Order], outcome: Outcome) -> Shipped:
        return Shipped({order.public_id: outcome for order in orders})
