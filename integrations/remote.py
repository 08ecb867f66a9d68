"""What a company can keep for a merchant, as interfaces that a provider's module fills, and how a row that is such a job is tried.

The network is called outside of every transaction: claim() takes a row for the length of a lease, the work is done, and the outcome is
written only while the row is still ours (RELIABILITY section 3.2).
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import cache
from typing import Any, Protocol, TypeVar, cast

from django.db.models import F, Model
from django.utils.module_loading import import_string

from integrations import registry
from integrations.base import Account, ProviderError
from integrations.remote_models import RemoteJob
from referrals.lib import clock
from referrals.lib.money import Money

Job = TypeVar("Job", bound=RemoteJob)
LEASE = timedelta(minutes=5)
# Seconds before the next try, by the number of tries made, +-20 %; the last one goes on for ever: what is wanted stays wanted.
BACK_OFF = (30, 120, 600, 1800, 7200, 21600)


class RemoteError(ProviderError):
    """The company did not do it: `problem` is a code of integrations.remote_texts, the message its own words.

    `answered` says that it did answer, so that the same request under the same key would only get the same answer again.
    """

    def __init__(self, problem: str, message: str = "", *, retry: bool = False, answered: bool = True) -> None:
        super().__init__(message, retry=retry)
        self.problem = problem
        self.answered = answered


@dataclass(frozen=True, slots=True)
class Discount:
    """What a coupon takes off: per cent or an amount, from a smallest purchase on."""

    percent: Decimal | None = None
    money: Money | None = None
    minimum: Money | None = None


@dataclass(frozen=True, slots=True)
class CodeOrder:
    """A promotion code as it is wanted. `mark` and `revision` are our own names for it, by which we know it again (revision 0: any); `key`
    names the request."""

    text: str
    coupon: str
    mark: str
    key: str
    revision: int = 0
    minimum: Money | None = None
    first_order_only: bool = True
    # What it gives, for companies whose codes carry that themselves.
    discount: Discount = Discount()


class Promotions(Protocol):
    """Promotion codes in one account. Each call is one try; all raise RemoteError."""

    def make_coupon(self, coupon_id: str, name: str, discount: Discount) -> None:
        """A coupon under an id of ours; nothing when it is there."""

    def check_coupon(self, coupon_id: str) -> None:
        """Raise coupon_missing or coupon_over unless it can be used."""

    def drop_coupon(self, coupon_id: str) -> None:
        """Delete a coupon of ours, with which all its codes stop; nothing when it is gone."""

    def find_code(self, order: CodeOrder) -> str:
        """The company's id of the code that carries our mark; "" when there is none."""

    def make_code(self, order: CodeOrder) -> str:
        """Make it, and give the company's id. Raises code_taken when another code has the text."""

    def switch(self, remote_id: str, *, on: bool) -> None:
        """Let a code work, or not any more; nothing when it is gone."""


@dataclass(frozen=True, slots=True)
class EndpointOrder:
    """An address for messages as it is wanted; `mark` is our own name for it, `key` names the request."""

    url: str
    events: tuple[str, ...]
    mark: str
    key: str


@dataclass(frozen=True, slots=True)
class MadeEndpoint:
    """What the company made: its id, and the secrets it told, by the names of the provider's own fields."""

    remote_id: str
    secrets: Mapping[str, str]


class Listening(Protocol):
    """The addresses for messages in one account. Each call is one try; all raise RemoteError."""

    def find(self, order: EndpointOrder) -> str:
        """The id of the one that carries our mark or has this address, made by whom ever; "" when there is none."""

    def make(self, order: EndpointOrder) -> MadeEndpoint:
        """Make it."""

    def update(self, remote_id: str, order: EndpointOrder) -> bool:
        """Bring its list of events in line; False when it is gone."""

    def delete(self, remote_id: str) -> None:
        """Delete it; nothing when it is gone."""


@cache
def _ability(path: str) -> Any:
    return import_string(path)


def promotions_of(slug: str, account: Account) -> Promotions:
    """The provider's promotion codes with the merchant's key; RemoteError key_missing without one."""
    return cast(Promotions, _ability(registry.get(slug).promotions)(account))


def listening_of(slug: str, account: Account) -> Listening:
    """The provider's addresses for messages with the merchant's key; RemoteError key_missing without one."""
    return cast(Listening, _ability(registry.get(slug).listening)(account))


def claim(model: type[Job], pk: int, states: Collection[str] = ()) -> Job | None:
    """Take a row that is due for the length of a lease; None when it is not due, or somebody else's. By the real time, like all tries."""
    now = clock.wall()
    rows = cast(type[Model], model)._default_manager.filter(pk=pk, next_attempt_at__lte=now)
    if states:
        rows = rows.filter(state__in=states)
    row = cast("Job | None", rows.first())
    if row is None:
        return None
    mine = rows.filter(attempts=row.attempts, next_attempt_at=row.next_attempt_at)
    if not mine.update(attempts=F("attempts") + 1, next_attempt_at=now + LEASE):
        return None
    row.attempts += 1
    return row


def settle(row: RemoteJob, **changes: Any) -> bool:
    """Write the outcome if the row is still ours: no further try, and no problem, unless `changes` says so."""
    values = {"next_attempt_at": None, "attempts": 0, "problem": "", "said": "", **changes}
    mine = type(row)._default_manager.filter(pk=row.pk, attempts=row.attempts)
    return bool(mine.update(**values))


def put_off(row: RemoteJob, error: RemoteError, **changes: Any) -> bool:
    """Keep the error and come back later, each time later."""
    delay = BACK_OFF[min(row.attempts, len(BACK_OFF)) - 1] * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
    due = clock.wall() + timedelta(seconds=delay)
    told = {"problem": error.problem, "said": str(error)[:300]}
    return settle(row, **{"next_attempt_at": due, "attempts": row.attempts, **told, **changes})
