"""A cluster that stands still is noticed; one that has nothing to work on because the database is away is not disturbed."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from django.db import OperationalError
from django_q.models import OrmQ
from django_q.signals import post_execute, pre_execute

from referrals.lib.pulse import PATIENCE, Pulse
from referrals.lib.queue import enqueue

pytestmark = pytest.mark.django_db


@pytest.fixture
def beating(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pulse]:
    """A pulse that was last felt just inside the patience."""
    now = time.monotonic()
    made = Pulse()
    monkeypatch.setattr(time, "monotonic", lambda: now + PATIENCE + 1)
    yield made
    for each in (pre_execute, post_execute):
        assert each.disconnect(dispatch_uid="pulse")


def test_silence_for_longer_than_the_patience_is_the_end(beating: Pulse, caplog: pytest.LogCaptureFixture) -> None:
    enqueue("integrations.payouts.sweep")
    assert beating.is_lost()
    why = "no job was done for 300 seconds, and 1 wait: the worker ends, to be started anew"
    assert [record.getMessage() for record in caplog.records] == [why]


@pytest.mark.parametrize(("begun", "noted", "lost"), [(1, 1, False), (1, 0, True), (0, 1, True)])
def test_jobs_have_to_be_begun_and_their_ends_noted(beating: Pulse, begun: int, noted: int, lost: bool) -> None:
    for signal, times in ((pre_execute, begun), (post_execute, noted)):
        for _ in range(times):
            signal.send(sender="django_q", func=None, task={})
    assert beating.is_lost() is lost


def test_without_a_database_nobody_is_to_blame(beating: Pulse, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> int:
        raise OperationalError("the database system is shutting down")

    with monkeypatch.context() as patch:
        patch.setattr(OrmQ.objects, "count", away)
        assert not beating.is_lost()
    assert not beating.is_lost()  # from here the patience begins anew
