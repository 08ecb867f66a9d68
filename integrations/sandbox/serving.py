"""A stand-in over HTTP on loopback, for tests and benchmarks that want real sockets or a process of its own; never for the product."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from integrations.sandbox.base import StandIn
from referrals.lib.http import HttpError


@contextmanager
def serving(stand_in: StandIn, *, latency: float = 0.0, port: int = 0) -> Iterator[str]:
    """Its address, "http://127.0.0.1:PORT", while the block lasts.

    Each answer takes `latency` seconds; a lost one breaks the connection.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            time.sleep(latency)
            try:
                answer = stand_in.send(self.command, self.path, headers=dict(self.headers.items()), body=body)
            except HttpError:
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _answer

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
