"""The one outbound client: whatever the other end answers, a caller sees an Answer or an HttpError, and nothing else."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress

import pytest

from referrals.lib import http, leash


def _served(answer: bytes) -> str:
    """The address of a server on loopback that gives one connection these bytes and closes it."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(ConnectionError), server, server.accept()[0] as peer:
            peer.recv(65536)
            peer.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    return f"http://127.0.0.1:{server.getsockname()[1]}/"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + b"x" * 2_000_000,
        b"no HTTP",
        b"",
    ],
    ids=["cut off", "bad chunk", "bad gzip", "too large", "junk", "nothing"],
)
def test_an_answer_that_breaks_is_no_answer_and_may_have_had_an_effect(socket_enabled: None, answer: bytes) -> None:
    with pytest.raises(http.HttpError) as broken:
        http.request("GET", _served(answer), private=True)
    assert broken.value.sent is True


def _drip(head: bytes, body: bytes) -> str:
    """The address of a server that gives its answer byte by byte, without an end."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError), server, server.accept()[0] as peer:
            peer.recv(65536)
            peer.sendall(head)
            while True:
                peer.sendall(body)
                time.sleep(0.01)

    threading.Thread(target=serve, daemon=True).start()
    return f"http://127.0.0.1:{server.getsockname()[1]}/"


@pytest.mark.parametrize(
    ("head", "body"),
    [(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a"), (b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n", b"a")],
)
def test_an_answer_that_drips_is_cut_off(
    socket_enabled: None, monkeypatch: pytest.MonkeyPatch, head: bytes, body: bytes
) -> None:
    monkeypatch.setattr(leash, "ANSWER_SECONDS", 0.15)
    began = time.monotonic()
    with pytest.raises(http.HttpError) as broken:
        http.request("GET", _drip(head, body), private=True)
    assert (broken.value.sent, time.monotonic() - began < 2) == (True, True)


def test_without_a_connection_nothing_has_left(socket_enabled: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for private in (True, False):
        with pytest.raises(http.HttpError) as unknown:
            http.request("POST", "https://nowhere.invalid/", private=private)
        assert (str(unknown.value), unknown.value.sent) == ("Its host name is not found. Nothing was sent.", False)
    with pytest.raises(http.HttpError) as refused:
        http.request("POST", f"http://127.0.0.1:{port}/", private=True)
    assert (str(refused.value), refused.value.sent, refused.value.retry) == (
        "No connection. Nothing was sent.",
        False,
        True,
    )
