"""What time it is. Everywhere the real time, but inside at(): there a story can be told at its own pace (the demo, test mode)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime

from django.utils import timezone

_moment: ContextVar[datetime | None] = ContextVar("moment", default=None)


def now() -> datetime:
    """The present moment, with a zone."""
    return _moment.get() or timezone.now()


@contextmanager
def at(moment: datetime) -> Iterator[None]:
    """Within this block it is `moment` (with a zone) for everything that asks now()."""
    token = _moment.set(moment)
    try:
        yield
    finally:
        _moment.reset(token)
