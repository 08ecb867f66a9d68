"""The company as a server of its own, behind a socket: what has reached it happens, whoever dies meanwhile."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.chaos.company import FAULTS, Company

Wire = Callable[[str, str, Any], tuple[int, dict[str, Any]]]


def call(path: Path, on_sent: Callable[[], None]) -> Wire:
    """One request for each connection; `on_sent` is called when the request is out and nothing has come back. Status 0: no answer."""

    def wire(verb: str, key: str, minor: Any) -> tuple[int, dict[str, Any]]:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(10)
            line.connect(str(path))
            line.sendall(json.dumps([verb, key, minor]).encode() + b"\n")
            on_sent()
            answer = line.makefile().readline()
        if not answer:
            return 0, {}
        status, body = json.loads(answer)
        return status, body

    return wire


@contextmanager
def served(company: Company, path: Path, rng: random.Random, trouble: Callable[[], float]) -> Iterator[None]:
    """Serve the company at a socket; a call to pay goes wrong with the probability `trouble()`."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            verb, key, what = json.loads(self.rfile.readline())
            if verb in {"find", "batch"}:
                status, body = company.find(key) if verb == "find" else company.batch(key)
            else:
                with company.lock:
                    fault = rng.choice([*FAULTS]) if rng.random() < trouble() else ""
                do = company.ship if verb == "ship" else company.pay
                status, body = do(key, what, "" if fault == "refused" else fault)
            if status:
                self.wfile.write(json.dumps([status, body]).encode() + b"\n")

        def finish(self) -> None:
            with contextlib.suppress(OSError):  # who asked is dead
                super().finish()

    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = False  # server_close() waits for what is under way

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Whoever asked is dead; what it asked for is done."""

    server = Server(str(path), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
