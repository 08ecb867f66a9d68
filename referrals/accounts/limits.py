"""How often a stranger may do something: an atomic counter in the database, the same for all processes (RELIABILITY section 7, "Limits").

One statement counts and reads, so two requests can't both be the last allowed one. Call it outside a transaction: a rollback would
give the attempt back.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from django.db import connection
from django.utils.crypto import salted_hmac

from referrals.accounts.models import RateLimit

# Understood alike by SQLite and PostgreSQL: a new span begins when the old one is over, else the count grows.
_COUNT = """
INSERT INTO accounts_ratelimit AS old (key_hash, count, resets_at) VALUES (%s, 1, %s)
ON CONFLICT (key_hash) DO UPDATE SET
    count = CASE WHEN old.resets_at <= %s THEN 1 ELSE old.count + 1 END,
    resets_at = CASE WHEN old.resets_at <= %s THEN excluded.resets_at ELSE old.resets_at END
RETURNING count, resets_at
"""


@dataclass(frozen=True, slots=True)
class Allowance:
    """The answer to one attempt: whether it may go on, how many are left, and in how many seconds the count starts anew."""

    allowed: bool
    limit: int
    left: int
    resets_in: int


def take(key: str, *, limit: int, seconds: int) -> Allowance:
    """Count one attempt under `key`, of which `limit` are allowed within `seconds`. `resets_in` is what Retry-After says."""
    now = int(time.time())
    key_hash = salted_hmac("referrals.accounts.limits", key, algorithm="sha256").hexdigest()
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, [key_hash, now + seconds, now, now])
        count, resets_at = cursor.fetchone()
    return Allowance(count <= limit, limit, max(limit - count, 0), max(resets_at - now, 1))


def allow(key: str, limit: int, seconds: int) -> bool:
    """Whether one more attempt under `key` is within `limit` per `seconds`; the attempt is counted either way."""
    return take(key, limit=limit, seconds=seconds).allowed


def forget_expired() -> int:
    """Delete counters whose span is over; how many. `manage.py sweep` calls it."""
    return RateLimit.objects.filter(resets_at__lte=int(time.time())).delete()[0]
