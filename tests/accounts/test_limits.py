"""The counter that keeps strangers from trying for ever."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connections

from referrals.accounts import limits
from referrals.accounts.models import RateLimit


@pytest.mark.django_db
def test_allows_the_limit_and_then_refuses() -> None:
    assert [limits.allow("join:192.0.2.1", 3, 60) for _ in range(5)] == [True, True, True, False, False]


@pytest.mark.django_db
def test_keys_do_not_share_a_count() -> None:
    assert limits.allow("join:192.0.2.1", 1, 60)
    assert limits.allow("join:192.0.2.2", 1, 60)
    assert not limits.allow("join:192.0.2.1", 1, 60)


@pytest.mark.django_db
def test_tells_what_is_left_and_when_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_000_000.0)
    assert limits.take("k", limit=2, seconds=60) == limits.Allowance(True, 2, 1, 60)
    monkeypatch.setattr(time, "time", lambda: 1_000_020.0)
    assert limits.take("k", limit=2, seconds=60) == limits.Allowance(True, 2, 0, 40)
    assert limits.take("k", limit=2, seconds=60) == limits.Allowance(False, 2, 0, 40)
    monkeypatch.setattr(time, "time", lambda: 1_000_060.0)
    assert limits.take("k", limit=2, seconds=60) == limits.Allowance(True, 2, 1, 60)


@pytest.mark.django_db
def test_keeps_no_readable_key_and_forgets_what_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_000_000.0)
    limits.allow("portal:ann@example.com", 3, 60)
    limits.allow("portal:bea@example.com", 3, 3600)
    assert not any("example" in row.key_hash for row in RateLimit.objects.all())
    monkeypatch.setattr(time, "time", lambda: 1_000_100.0)
    assert limits.forget_expired() == 1
    assert RateLimit.objects.count() == 1


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_forty_at_once_get_exactly_the_limit() -> None:
    threads, barrier = 40, Barrier(40)

    def attempt(_: int) -> bool:
        barrier.wait()
        try:
            return limits.allow("code:192.0.2.1", 10, 60)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(threads) as pool:
        answers = list(pool.map(attempt, range(threads)))
    assert answers.count(True) == 10
    assert RateLimit.objects.get().count == threads
