"""The one outbound client: whatever the other end answers, a caller sees an Answer or an HttpError, and nothing else."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

import pytest

from referrals.lib import http


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
