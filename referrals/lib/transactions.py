"""What has to run in a transaction says so, instead of working by chance."""

from __future__ import annotations

from django.db import transaction
from django.db.transaction import TransactionManagementError


def is_open() -> bool:
    """Whether this thread's connection is in a transaction. The tests don't count the one that each of them runs in."""
    return bool(transaction.get_connection().in_atomic_block)


def demand(why: str) -> None:
    """Raises TransactionManagementError with `why`, a sentence, unless a transaction is open."""
    if not is_open():
        raise TransactionManagementError(why)
