"""What the web server itself refuses before any of our code runs (RELIABILITY section 6, rows 38 and 39)."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

APP = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""
HOST = b"Host: 127.0.0.1\r\n"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A server with an application that answers everything; headers have half a second."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "anything.py").write_text(APP)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number = int(probe.getsockname()[1])
    command = [str(Path(sys.executable).parent / "granian"), "--interface", "wsgi", "--port", str(number), "--no-ws"]
    command += ["--http1-header-read-timeout", "500", "--log-level", "error", "anything:application"]
    process = subprocess.Popen(command, cwd=folder)
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", number), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield number
    finally:
        process.terminate()
        process.wait(timeout=20)


def answer(port: int, request: bytes) -> bytes:
    """The status of the answer; nothing where the connection was cut."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as wire:
        wire.sendall(request)
        return wire.recv(200).partition(b"\r\n")[0][9:12]


@pytest.mark.parametrize(
    ("line", "headers", "status"),
    [
        pytest.param(b"GET / HTTP/1.1", b"Cookie: a=" + b"a" * 16_000 + b"\r\n", b"200", id="16 kB cookie"),
        pytest.param(b"GET / HTTP/1.1", b"Cookie: a=" + b"a" * 1_000_000 + b"\r\n", b"431", id="1 MB cookie"),
        pytest.param(
            b"GET / HTTP/1.1", b"".join(b"X-%d: 1\r\n" % n for n in range(10_000)), b"431", id="10,000 headers"
        ),
        pytest.param(b"GET /?" + b"a" * 8_000 + b" HTTP/1.1", b"", b"200", id="8 kB address"),
        pytest.param(b"GET /?" + b"a" * 70_000 + b" HTTP/1.1", b"", b"414", id="70 kB address"),
        pytest.param(b"G\x00T / HTTP/1.1", b"", b"400", id="no method"),
    ],
)
def test_what_is_too_large_is_refused(port: int, line: bytes, headers: bytes, status: bytes) -> None:
    assert answer(port, line + b"\r\n" + HOST + headers + b"\r\n") == status


def test_slow_headers_are_cut_and_others_are_served(port: int) -> None:
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost: 127")
        assert answer(port, b"GET / HTTP/1.1\r\n" + HOST + b"\r\n") == b"200"
        assert slow.recv(100) == b""
    assert time.monotonic() - began < 5
