"""Start granian as production does, and read what its processes and the database's have used of the processor."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """A loopback port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def granian(application: str, env: dict[str, str], *, server_database: bool) -> Iterator[tuple[str, int]]:
    """A server for `application`: (address, process id). Two workers of two threads on PostgreSQL, one of one on SQLite."""
    port = free_port()
    many = "2" if server_database else "1"
    command = [
        ".venv/bin/granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port), "--no-ws",
        "--workers", many, "--blocking-threads", many, "--respawn-failed-workers", "--backpressure", "64",
        "--log-level", "error", application,
    ]  # fmt: skip
    environment = {**os.environ, **env}
    if server_database:
        environment["DATABASE_POOL"] = "4"
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)


def cpu_seconds(root: int) -> float:
    """User and system time of a process and everything below it."""
    children: dict[int, list[int]] = {}
    times: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError, IndexError, ValueError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            pid = int(entry.name)
            children.setdefault(int(fields[1]), []).append(pid)
            times[pid] = (int(fields[11]) + int(fields[12]) + int(fields[13]) + int(fields[14])) / TICK
    total, todo = 0.0, [root]
    while todo:
        pid = todo.pop()
        total += times.get(pid, 0.0)
        todo += children.get(pid, [])
    return total


def postgres_pid() -> int | None:
    """The newest PostgreSQL server of this machine, whose time counts as the database's."""
    found = subprocess.run(
        ["pgrep", "-n", "-f", "postgres -D"], capture_output=True, text=True, check=False
    ).stdout.split()
    return int(found[0]) if found else None
