"""`make demo-stripe`: a payment in a local Stripe imitation reaches us by its own signed webhook and makes a reward due.

Everything is real but Stripe: a database, the web server and the worker of this product, and localstripe as a process of its own (it is
GPL and never imported here), which signs and sends. All of it listens on loopback, lives in a temporary folder, and is gone in the end.
"""

from __future__ import annotations

import base64
import contextlib
import importlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import django
import requests

T = TypeVar("T")
ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PATIENCE = 60.0  # seconds until something that does not happen counts as broken
# localstripe has no option for its address and keeps its data in one place for the whole machine. Python runs this before it.
LOOPBACK_ONLY = """
import builtins, os, socket
_bind, _open = socket.socket.bind, open
def bind(self, address):
    return _bind(self, ("::ffff:127.0.0.1", *address[1:]) if address[0] == "::" else address)
def open_(file, *args, **kwargs):
    return _open(os.environ["LOCALSTRIPE_DATA"] if str(file).endswith("/localstripe.pickle") else file, *args, **kwargs)
socket.socket.bind, builtins.open = bind, open_
"""


def main() -> int:
    """Tell the story; 0 when the reward became due."""
    folder = Path(tempfile.mkdtemp(prefix="passalong-stripe-"))
    try:
        with contextlib.ExitStack() as ends:
            return _story(folder, ends)
    except Broken as error:
        print(f"\nThis did not work: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Broken(RuntimeError):
    """A step that did not happen."""


def _story(folder: Path, ends: contextlib.ExitStack) -> int:
    web, stripe = _free_port(), _free_port()
    _environment(folder, web)
    django.setup()
    # Our models can be imported only from here on.
    world = importlib.import_module("scripts.stripe_world")
    connection, asha = world.prepare()
    maya = world.bring_friend(asha, "maya@example.net")
    print(f"1. {maya} joins through {asha}'s link; the campaign pays {asha} $15 for a friend's first purchase.")
    server = ["--interface", "wsgi", "--no-ws", "--host", "127.0.0.1", "--port", str(web), "referrals.wsgi:application"]
    _start(ends, folder, "web", [str(BIN / "granian"), *server])
    _start(ends, folder, "worker", [sys.executable, "manage.py", "worker"])
    (folder / "sitecustomize.py").write_text(LOOPBACK_ONLY)
    extra = {"PYTHONPATH": str(folder), "LOCALSTRIPE_DATA": str(folder / "localstripe.pickle")}
    command = [str(BIN / "localstripe"), "--port", str(stripe), "--from-scratch"]
    _start(ends, folder, "localstripe", command, extra)
    api = Stripe(stripe)
    _until("the web server", lambda: _listens(web), folder)
    _until("localstripe", lambda: _listens(stripe), folder)
    _only_loopback(stripe)
    api.listen(f"http://127.0.0.1:{web}/in/{connection.public_id}/", connection.secrets["webhook_secret"])
    print(f"2. Stripe sends its messages to /in/{connection.public_id}/, signed with the secret that we keep sealed.")
    invoice = api.subscribe(maya.email)
    print(f"3. {maya} subscribes in Stripe, for $64.20 a month: {invoice}.")
    for row in _until("the webhook", lambda: world.payments(connection), folder):
        print(f"4. Stripe's own webhook {row.type}, verified and stored, then worked on: {row.sentence}")
    for reward, decision in world.rewards_of(asha):
        print(f"5. {asha}'s reward of {reward.amount} for {reward.event.participant} is {reward.state}:")
        for condition in decision.conditions:
            print(f"     {'yes' if condition['passed'] else 'NO '}  {world.sentence(condition)}")
        if reward.state == "due":
            return 0
    raise Broken("no reward is due.")


def _environment(folder: Path, port: int) -> None:
    os.environ.pop("DATABASE_URL", None)
    os.environ.update(
        DATA_DIR=str(folder),
        SECRET_KEY=secrets.token_urlsafe(50),
        SECRETS_KEYS=f"demo:{base64.b64encode(secrets.token_bytes(32)).decode()}",
        SITE_URL=f"http://localhost:{port}",
        DEMO="1",
        LOG_LEVEL="WARNING",
        DJANGO_SETTINGS_MODULE="referrals.settings",
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start(
    ends: contextlib.ExitStack, folder: Path, name: str, command: list[str], extra: dict[str, str] | None = None
) -> None:
    """Start a process with its output in a file of the folder; it is ended with `ends`, and with everything it started."""
    log = ends.enter_context((folder / f"{name}.log").open("wb"))
    environment = {**os.environ, **(extra or {})}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )
    ends.callback(_end, process)


def _end(process: subprocess.Popen[bytes]) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)


def _until(what: str, look: Callable[[], T], folder: Path) -> T:
    """What `look` gives once it is true; Broken with the ends of all logs when that takes too long."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.1)
    logs = [f"--- {path.name}\n{path.read_text(errors='replace')[-2000:]}" for path in sorted(folder.glob("*.log"))]
    raise Broken("\n".join([f"{what} did not come within {PATIENCE:.0f} seconds.", *logs]))


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Stripe:
    """The few calls of Stripe's API that make a customer pay."""

    def __init__(self, port: int) -> None:
        self.base = f"http://127.0.0.1:{port}"

    def post(self, path: str, data: dict[str, Any]) -> dict[str, Any]:
        """One call, as a merchant's server makes it. Broken when it is refused."""
        answer = requests.post(f"{self.base}{path}", data=data, auth=("sk_test_12345", ""), timeout=10)
        if not answer.ok:
            raise Broken(f"{path} answered {answer.status_code}: {answer.text[:300]}")
        return dict(answer.json()) if answer.content else {}

    def listen(self, url: str, secret: str) -> None:
        """Have messages sent to `url`, signed with `secret`."""
        self.post("/_config/webhooks/passalong", {"url": url, "secret": secret})

    def subscribe(self, email: str) -> str:
        """A customer with a card who subscribes. Returns the invoice's id."""
        plan = self.post(
            "/v1/plans",
            {"amount": 6420, "currency": "usd", "interval": "month", "product[name]": "Coffee box", "id": "box"},
        )
        customer = self.post("/v1/customers", {"email": email})
        card = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2035, "cvc": "123", "object": "card"}
        self.post(f"/v1/customers/{customer['id']}/sources", {f"source[{name}]": value for name, value in card.items()})
        subscription = self.post(
            "/v1/subscriptions",
            {"customer": customer["id"], "items[0][plan]": plan["id"]},
        )
        return str(subscription["latest_invoice"])


def _only_loopback(port: int) -> None:
    """Broken when localstripe can be reached from elsewhere."""
    for line in Path("/proc/net/tcp6").read_text().splitlines()[1:] if Path("/proc/net/tcp6").exists() else []:
        address, state = line.split()[1], line.split()[3]
        if address == f"{'0' * 32}:{port:04X}" and state == "0A":
            raise Broken("localstripe listens on all interfaces.")


if __name__ == "__main__":
    sys.exit(main())
