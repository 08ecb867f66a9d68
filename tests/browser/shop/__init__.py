"""A shop on another origin than ours: its own server, its own style, and a policy as strict as docs/widgets.md says it may be."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FOLDER = Path(__file__).parent


class Shop(ThreadingHTTPServer):
    """Every address is the same page, with its path as the heading. `words` are put in place of @NAME@ in `page`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.page = (FOLDER / "shop.html").read_text()
        self.words: dict[str, str] = {}
        self.policy = ""
        self.token = ""

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def strict(self, site: str) -> None:
        """Send the policy that docs/widgets.md names for `site`, and nothing wider."""
        ours = f"script-src {site}; connect-src 'self' {site}; frame-src {site}"
        self.policy = (
            f"default-src 'none'; {ours}; style-src 'self'; form-action 'self'; img-src data:;"
            " require-trusted-types-for 'script'"
        )


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        shop = self.server
        assert isinstance(shop, Shop)
        path, kind = self.path.partition("?")[0], "text/html; charset=utf-8"
        if path == "/shop.css":
            text, kind = (FOLDER / "shop.css").read_text(), "text/css"
        elif path == "/token":
            text, kind = shop.token, "text/plain"
        else:
            text = shop.page
            for name, value in {"IDENTITY": "", **shop.words, "HEADING": path}.items():
                text = text.replace(f"@{name}@", value)
        content = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if shop.policy:
            self.send_header("Content-Security-Policy", shop.policy)
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@contextmanager
def running_shop() -> Iterator[Shop]:
    """A shop that answers until the end of the block."""
    server = Shop()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()
