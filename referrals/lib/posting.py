"""Sending many small messages at once, each on a leash (RELIABILITY sections 3.1 and 8, "Egress"): the asynchronous twin of http.py.

A thread of its own runs an event loop, so that a hundred receivers that hang cost a hundred sockets and no thread. Public addresses only:
a name is looked up for every new connection, one address that is not public refuses it, and the connection goes to the very addresses
that were looked at. No redirects, no cookies, no proxies from the environment. The whole of a message has 15 seconds, however slowly the
other end drips; 64 KiB of an answer are read.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
import certifi
from aiohttp.abc import AbstractResolver, ResolveResult

from referrals.lib.http import CONNECT_SECONDS, READ_SECONDS, is_public

TOTAL_SECONDS = 15.0
READ_BYTES = 64 * 1024
KEPT_SECONDS = 15.0  # how long an idle connection is kept, and a name's addresses with it


@dataclass(frozen=True, slots=True)
class Post:
    """One message: where to, with which headers, and its bytes. `private` lets it go to this machine, for tests and test mode only."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    private: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of it: a status and the beginning of the body, or an `error` of http.ERRORS; `ms` is how long it took."""

    status: int | None
    error: str = ""
    ms: int = 0
    retry_after: str = ""
    body: bytes = b""


class Blocked(OSError):
    """The name leads to an address that is not public."""


class PublicResolver(AbstractResolver):
    """Looks names up, and refuses those of which any address is not public."""

    def __init__(self, *, private: bool) -> None:
        self._private = private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses to connect to; raises Blocked, or OSError when there are none."""
        infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
        found = [(info[0], str(info[4][0])) for info in infos]
        if not self._private and not all(is_public(address) for _family, address in found):
            raise Blocked(host)
        return [
            {
                "hostname": host,
                "host": address,
                "port": port,
                "family": kind,
                "proto": 0,
                "flags": socket.AI_NUMERICHOST,
            }
            for kind, address in found
        ]

    async def close(self) -> None:
        """Nothing is held."""


class Sender:
    """Sends as many messages at once as it is given; a context manager. Its thread ends with it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sender", daemon=True)
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(timeout=TOTAL_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=TOTAL_SECONDS)
        self._loop.close()

    def send(self, post: Post) -> Reply:
        """Send one message and wait for what comes of it. Never raises for what the other end does."""
        return asyncio.run_coroutine_threadsafe(self._post(post), self._loop).result()

    def submit(self, post: Post, gate: Gate, done: Callable[[Reply], None]) -> Future[None]:
        """Send one message when its `gate` has room, and call `done` with what came of it, in the sender's thread."""
        return asyncio.run_coroutine_threadsafe(self._through(post, gate, done), self._loop)

    async def _through(self, post: Post, gate: Gate, done: Callable[[Reply], None]) -> None:
        async with gate.room:
            reply = await self._post(post)
        done(reply)

    async def _post(self, post: Post) -> Reply:
        start = time.monotonic()
        try:
            async with asyncio.timeout(TOTAL_SECONDS):
                status, headers, body = await self._exchange(post)
        except Exception as error:
            return Reply(None, _kind(error), _since(start))
        return Reply(status, "", _since(start), headers.get("retry-after", "")[:100], body)

    async def _exchange(self, post: Post) -> tuple[int, Mapping[str, str], bytes]:
        host = urlsplit(post.url).hostname or ""
        if not post.private and _is_address(host):
            raise Blocked(host)
        session = self._session(post.private)
        async with session.post(
            post.url, data=post.body, headers={**post.headers, "Accept-Encoding": "identity"}, allow_redirects=False
        ) as answer:
            body = b""
            while len(body) < READ_BYTES:
                part = await answer.content.read(READ_BYTES - len(body))
                if not part:
                    break
                body += part
            else:
                answer.close()  # what is more than that is not waited for
            return answer.status, answer.headers, body

    def _session(self, private: bool) -> aiohttp.ClientSession:
        """One for public addresses and one for what a test may reach; made in the loop's own thread."""
        if private not in self._sessions:
            connector = aiohttp.TCPConnector(
                resolver=PublicResolver(private=private),
                ttl_dns_cache=int(KEPT_SECONDS),
                keepalive_timeout=KEPT_SECONDS,
                limit=0,
                ssl=ssl.create_default_context(cafile=certifi.where()),
            )
            self._sessions[private] = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(
                    total=TOTAL_SECONDS, sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        return self._sessions[private]

    async def _close(self) -> None:
        for session in self._sessions.values():
            await session.close()


class Gate:
    """How many messages may be on their way to one receiver at once."""

    def __init__(self, width: int) -> None:
        self.room = asyncio.Semaphore(width)


def _kind(error: Exception) -> str:
    """One of http.ERRORS. aiohttp wraps what the resolver raised, so the causes are looked through."""
    causes: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and len(causes) < 8:
        causes.append(at)
        at = at.__cause__ or at.__context__
    kinds: tuple[tuple[str, Any], ...] = (
        ("blocked_address", Blocked),
        ("unknown_host", socket.gaierror),
        ("tls", (ssl.SSLError, ssl.CertificateError)),
        ("timeout", TimeoutError),
        ("no_connection", (aiohttp.ClientConnectorError, ConnectionRefusedError)),
    )
    for name, kind in kinds:
        if any(isinstance(cause, kind) for cause in causes):
            return name
    return "broken"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _since(start: float) -> int:
    return round((time.monotonic() - start) * 1000)
