"""The worker command's cluster is killed, as a whole or in part: no payout is lost, none is paid twice, and it goes on by itself
(RELIABILITY, fault matrix, "Q cluster SIGKILL")."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import pytest
from django.db import connection
from django.db.models import Sum
from django.db.models.functions import Now
from django_q.models import OrmQ

from referrals.lib import clock
from referrals.lib.queue import enqueue
from rewards.models import LedgerEntry, Payout, Reward
from rewards.settling import CLAIMABLE
from rewards.verify import differences
from tests.chaos.company import Company
from tests.chaos.outage import PAYOUTS, make_payouts
from tests.chaos.wire import served
from tests.factories import Cast

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]
ROOT = Path(__file__).resolve().parent.parent.parent


def test_a_cluster_that_is_killed_in_the_middle_of_its_jobs_goes_on_where_it_was(alice: Cast, tmp_path: Path) -> None:
    company, trouble = Company("original"), [0.2]
    make_payouts(alice.tenant)
    with served(company, tmp_path / "company", random.Random(22), lambda: trouble[0]):
        for _ in range(2):
            with _cluster(tmp_path / "company") as cluster:
                aim = len(company.transfers) + 5
                _until(lambda: len(company.transfers) >= aim)  # noqa: B023 - asked before the next round
                os.killpg(cluster.pid, signal.SIGKILL)
            assert _end_leases() > 0
        trouble[0] = 0.0
        with _cluster(tmp_path / "company") as cluster:
            _until(lambda: not Payout.objects.filter(status__in=Payout.OPEN).exists())
            cluster.terminate()
            assert cluster.wait(timeout=60) == 0
    _judge(company)


def test_a_cluster_whose_queue_stays_locked_ends_itself_and_the_next_one_does_the_work(
    alice: Cast, tmp_path: Path
) -> None:
    """Those that work are killed while they wait for a job, and one has the queue's lock. Their successors live, and wait for it."""
    company = Company("original")
    with served(company, tmp_path / "company", random.Random(23), lambda: 0.0):
        with _cluster(tmp_path / "company", patience=8) as cluster:
            enqueue("integrations.payouts.sweep")
            _until(lambda: not OrmQ.objects.exists())
            killed = _workers(cluster.pid)
            for pid in killed:
                os.kill(pid, signal.SIGKILL)
            make_payouts(alice.tenant)
            _until(lambda: len(_workers(cluster.pid)) == len(killed))
            assert (len(killed), set(killed) & set(_workers(cluster.pid))) == (4, set())
            assert cluster.wait(timeout=60) == -signal.SIGKILL
        assert (company.transfers, OrmQ.objects.count() > 0) == ([], True)
        _end_leases()
        with _cluster(tmp_path / "company") as cluster:
            _until(lambda: not Payout.objects.filter(status__in=Payout.OPEN).exists())
    _judge(company)


def _judge(company: Company) -> None:
    """None twice, none lost."""
    paid = dict(company.transfers)
    assert len(company.transfers) == len(paid) == PAYOUTS
    assert dict(Payout.objects.filter(status="paid").values_list("key", "amount_minor")) == paid
    assert LedgerEntry.objects.filter(kind="pay").aggregate(total=Sum("amount_minor"))["total"] == -sum(paid.values())
    assert set(Reward.objects.values_list("state", flat=True)) == {"issued"}
    assert list(differences()) == []


@contextmanager
def _cluster(company: Path, patience: int = 300) -> Iterator[subprocess.Popen[bytes]]:
    """The real worker on this test's database; nothing of it is left behind."""
    at = connection.settings_dict
    user = f"{quote(at['USER'])}:{quote(at['PASSWORD'])}"
    url = f"postgres://{user}@{quote(at['HOST'], safe='')}:{at['PORT']}/{at['NAME']}"
    ours = {"DATABASE_URL": url, "COMPANY": str(company), "PATIENCE": str(patience)}
    env = {**os.environ, **ours, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    command = [sys.executable, "-m", "tests.chaos.outage", "cluster"]
    process = subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=10)


def _workers(pid: int) -> list[int]:
    """What the sentinel has started: the command starts the sentinel, and that starts and watches those that work."""
    return [worker for sentinel in _children(pid) for worker in _children(sentinel)]


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 90
    while not true():
        assert time.monotonic() < end, "it does not go on"
        time.sleep(0.1)


def _end_leases() -> int:
    """What the dead held is free again, without a wait of minutes: their tasks, and their payouts. How many payouts that are."""
    OrmQ.objects.update(lock=clock.now())
    return Payout.objects.filter(status__in=CLAIMABLE, next_attempt_at__isnull=False).update(next_attempt_at=Now())
