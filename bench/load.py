"""Drive a server with wrk, replaying prepared requests, and put two things side by side, A B A B."""

from __future__ import annotations

import re
import socket
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bench.servers import cpu_seconds

SEPARATOR = "\n--8<--\n"


@dataclass
class Measure:
    """What rounds of one side gave: requests a second, milliseconds, processor microseconds a request."""

    rate: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    requests: int = 0

    def median(self, name: str) -> float:
        """The median of a list by its name."""
        return statistics.median(getattr(self, name))


def raw(method: str, path: str, headers: dict[str, str], body: bytes = b"", host: str = "127.0.0.1") -> bytes:
    """One HTTP/1.1 request as bytes."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *(f"{k}: {v}" for k, v in headers.items())]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Replay:
    """Prepared requests for wrk; each run goes on where the last one ended, so that writes are new ones."""

    def __init__(self, requests: Iterable[bytes]) -> None:
        self.requests = list(requests)
        self.position = 0

    def script(self, count: int) -> str:
        """A wrk script with the next `count` requests."""
        chosen = [
            self.requests[(self.position + n) % len(self.requests)] for n in range(min(count, len(self.requests)))
        ]
        folder = Path(tempfile.mkdtemp(prefix="passalong-bench-"))
        (folder / "requests").write_bytes(SEPARATOR.encode().join(chosen))
        pattern = "".join("%" + c if c in "-<" else c for c in SEPARATOR)
        (folder / "replay.lua").write_text(_lua(folder, pattern))
        return str(folder / "replay.lua")


def _lua(folder: Path, pattern: str) -> str:
    quoted = SEPARATOR.replace("\n", "\\n")
    return f"""
local requests, n = {{}}, 0
function init(args)
  local file = io.open("{folder / "requests"}", "rb"); local all = file:read("*a"); file:close()
  for one in (all .. "{quoted}"):gmatch("(.-){pattern.replace(chr(10), chr(92) + "n")}") do requests[#requests + 1] = one end
end
function request() n = n % #requests + 1; return requests[n] end
function done(summary, latency, r)
  local e = summary.errors
  io.write(string.format("RESULT %d %f %f %f %d\\n", summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, e.status + e.read + e.timeout + e.connect + e.write))
end
"""


def drive(
    url: str, replay: Replay, *, seconds: float, connections: int, root: int, extra: int | None, into: Measure
) -> None:
    """One round; fails when any answer is an error."""
    script = replay.script(len(replay.requests))
    before = cpu_seconds(root) + (cpu_seconds(extra) if extra else 0)
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "-s", script, url]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    used = cpu_seconds(root) + (cpu_seconds(extra) if extra else 0) - before
    found = re.search(r"RESULT (\d+) ([\d.]+) ([\d.]+) ([\d.]+) (\d+)", out)
    if found is None or int(found[5]):
        raise RuntimeError(f"wrk met errors:\n{out}")
    count, duration = int(found[1]), float(found[2])
    replay.position = (replay.position + count) % len(replay.requests)
    into.requests += count
    into.rate.append(count / duration)
    into.p50.append(float(found[3]))
    into.p99.append(float(found[4]))
    into.cpu.append(used / max(count, 1) * 1e6)


def check(url: str, replay: Replay, wanted: set[int]) -> None:
    """Send one prepared request and see that its answer is the right kind, so that no error page is measured."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as wire:
        wire.sendall(replay.requests[replay.position])
        head = wire.recv(4096).split(b"\r\n", 1)[0].decode()
    replay.position = (replay.position + 1) % len(replay.requests)
    if int(head.split()[1]) not in wanted:
        raise RuntimeError(f"The request to be measured is answered {head!r}, not {sorted(wanted)}.")


def pairs(rounds: int, first: Callable[[], None], second: Callable[[], None]) -> None:
    """A B A B ..."""
    for _ in range(rounds):
        first()
        second()
