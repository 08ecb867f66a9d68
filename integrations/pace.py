"""Keeping below what a company allows in a second, so that it need not refuse us: a bucket for each account in each process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_LOCK = threading.Lock()
# By whose it is: how many calls may be made at once, and when that was counted.
_LEFT: dict[object, tuple[float, float]] = {}
_MANY = 1000


def keep(
    whose: object,
    *,
    a_second: float,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until one more call is allowed; a burst of one second's worth is. Workers of another process have a bucket of their own, so
    `a_second` is half of what the company allows or less."""
    with _LOCK:
        moment = now()
        left, at = _LEFT.get(whose, (a_second, moment))
        left = min(a_second, left + (moment - at) * a_second) - 1
        if len(_LEFT) >= _MANY and whose not in _LEFT:
            _LEFT.clear()
        _LEFT[whose] = (left, moment)
    if left < 0:
        sleep(-left / a_second)
