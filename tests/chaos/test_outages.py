"""The database is killed, or its disk is full, while payouts leave: none is lost, none is paid twice, and it goes on by itself
(RELIABILITY INV-20 and INV-21; fault matrix, "PG immediate restart", "disk full")."""

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from scripts.postgres import temporary_server
from tests.chaos.company import Company
from tests.chaos.outage import PAYOUTS
from tests.chaos.wire import served

pytestmark = pytest.mark.postgres
ROOT = Path(__file__).resolve().parent.parent.parent
RESTARTS = 3


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """A disk of its own, in memory, that PostgreSQL's user may write to. Skips where it can't be made."""
    folder = Path(tempfile.mkdtemp(prefix="passalong-disk-"))
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=777", "tmpfs", str(folder)]
    try:
        if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("A disk that is full needs root, to mount one.")
        folder.chmod(0o777)
        try:
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
    finally:
        folder.rmdir()


class Cluster:
    """A PostgreSQL server that can be killed and started again with the very command it was started with."""

    def __init__(self, url: str) -> None:
        self.url = url
        with psycopg.connect(url) as line:
            (folder,) = line.execute("SHOW data_directory").fetchone() or ("",)
        self.folder = Path(folder)
        self.again: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return int((self.folder / "postmaster.pid").read_text().split()[0])

    def restart_at_once(self) -> float:
        """Immediate shutdown, as a crash; the seconds until it answers again."""
        command = shlex.split((self.folder / "postmaster.opts").read_text())
        owner, pid = (self.folder / "PG_VERSION").stat(), self.pid
        os.kill(pid, signal.SIGQUIT)
        while Path(f"/proc/{pid}/stat").exists() and Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z":
            time.sleep(0.02)
        began = time.monotonic()
        who: dict[str, Any] = (
            {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if not os.geteuid() else {}
        )
        self.again = subprocess.Popen(
            command,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            **who,
        )
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=2).close()
                return time.monotonic() - began
            except psycopg.OperationalError:
                assert time.monotonic() - began < 30, "the database does not come back"
                time.sleep(0.05)

    def stop(self) -> None:
        """The last one that was started here; its folder is its maker's."""
        if self.again is not None:
            self.again.send_signal(signal.SIGINT)
            self.again.wait(timeout=20)


def _run(step: str, env: dict[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.chaos.outage", step]
    return subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)


def test_a_database_that_crashes_and_comes_back_loses_nothing_and_pays_nothing_twice(
    tmp_path: Path, socket_enabled: None
) -> None:
    company = Company("original")
    rng = random.Random(20)
    with temporary_server(durable=True) as url:
        env = {
            **os.environ,
            "DATABASE_URL": url,
            "COMPANY": str(tmp_path / "company"),
            "DJANGO_SETTINGS_MODULE": "tests.settings",
        }
        cluster = Cluster(url)
        try:
            assert _run("prepare", env).wait(timeout=120) == 0
            with served(company, tmp_path / "company", rng, lambda: 0.2):
                workers = [_run("work", env) for _ in range(2)]
                recoveries = []
                for _ in range(RESTARTS):
                    time.sleep(rng.uniform(1.5, 2.5))
                    recoveries.append(cluster.restart_at_once())
                assert [worker.wait(timeout=120) for worker in workers] == [0, 0]
            assert max(recoveries) < 10
            found = _judged(env)
        finally:
            cluster.stop()
    paid = dict(company.transfers)
    assert len(company.transfers) == len(paid) == PAYOUTS  # none twice, none lost
    assert paid == found["payouts"]
    assert (found["statuses"], found["rewards"], found["ledger"]) == (["paid"], ["issued"], -sum(paid.values()))
    assert found["differences"] == []


def test_a_disk_that_is_full_stops_everything_cleanly_and_it_goes_on_by_itself(
    tmp_path: Path, socket_enabled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    company = Company("original")
    with small_disk(260) as disk:
        monkeypatch.setattr(tempfile, "tempdir", str(disk))
        with temporary_server(durable=True) as url:
            monkeypatch.setattr(tempfile, "tempdir", None)
            env = {
                **os.environ,
                "DATABASE_URL": url,
                "COMPANY": str(tmp_path / "company"),
                "DJANGO_SETTINGS_MODULE": "tests.settings",
            }
            assert _run("prepare", env).wait(timeout=120) == 0
            ballast = disk / "ballast"
            with served(company, tmp_path / "company", random.Random(21), lambda: 0.0):
                _fill(url, disk, ballast)
                worker = _run("work", env)
                time.sleep(3)
                assert worker.poll() is None  # it waits for room, and does not die
                during = _judged(env, reads_only=True)
                # What could not be written did not leave, and reading goes on.
                assert len(company.transfers) <= during["began"]
                ballast.unlink()
                assert worker.wait(timeout=120) == 0
            found = _judged(env)
    paid = dict(company.transfers)
    assert len(company.transfers) == len(paid) == PAYOUTS
    assert (paid, found["ledger"], found["differences"]) == (found["payouts"], -sum(paid.values()), [])


def _fill(url: str, disk: Path, ballast: Path) -> None:
    """Until a table can't grow any more: the database's own answer says so."""
    with psycopg.connect(url, autocommit=True) as line:
        line.execute("CREATE TABLE stuffing (words text)")
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
        ballast.write_bytes(b"0" * max(0, free - 2_000_000))
        with pytest.raises(psycopg.errors.DiskFull):
            _stuff(line)


def _stuff(line: psycopg.Connection[Any]) -> None:
    for _ in range(1000):
        line.execute("INSERT INTO stuffing SELECT repeat(md5(i::text), 60) FROM generate_series(1, 400) AS i")


def _judged(env: dict[str, str], *, reads_only: bool = False) -> dict[str, Any]:
    judge = _run("look" if reads_only else "judge", env)
    found: dict[str, Any] = json.loads(judge.communicate(timeout=60)[0])
    return found
