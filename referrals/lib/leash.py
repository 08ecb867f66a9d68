"""An answer has an end: whoever sends it byte by byte, head or body, is not read for longer than this (RELIABILITY section 5, "slow drip").

A read time-out counts from one sign of life to the next, so that a drip never runs into it. Here each read has what is left of the whole.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

# For a whole answer, from the request's last byte on.
ANSWER_SECONDS = 15.0


class _Raw(io.RawIOBase):
    """What comes through a socket, until the end of its time."""

    def __init__(self, line: socket.socket) -> None:
        self._line, self._io = line, line.makefile("rb", buffering=0)
        self._end = time.monotonic() + ANSWER_SECONDS

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """As a socket's own; raises TimeoutError when the time is over."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("The answer takes too long.")
        before = self._line.gettimeout()
        self._line.settimeout(left if before is None else min(before, left))
        try:
            return self._io.readinto(buffer)
        finally:
            self._line.settimeout(before)

    def close(self) -> None:
        """And the socket's own file with it, without which the socket stays open."""
        self._io.close()
        super().close()


class _Line:
    """What http.client asks a socket for: a file to read from."""

    def __init__(self, line: socket.socket) -> None:
        self._socket = line

    def makefile(self, *_args: Any) -> io.BufferedReader:
        """The file."""
        return io.BufferedReader(_Raw(self._socket))


class _Answer(http.client.HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(_Line(sock), *args, **kwargs)  # type: ignore[arg-type]  # all that is asked of it is makefile()


class _Http(HTTPConnection):
    response_class = _Answer


class _Https(HTTPSConnection):
    response_class = _Answer


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _Https


# For a urllib3 PoolManager.
POOLS = {"http": _HttpPool, "https": _HttpsPool}
