"""Is any click lost that was answered? A client writes down every answer; the server is stopped, or killed; the database is compared.

`python -m bench lost` runs it on PostgreSQL, `BENCH_DATABASES=sqlite` on SQLite; LOST_SECONDS and LOST_ROUNDS make it longer. It ends with
status 1 when an answered click is missing or one is there twice (RELIABILITY section 9; issue "no acknowledged visit is lost").
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import sys
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection, connections  # noqa: E402

from bench import data, servers  # noqa: E402
from bench.one import BROWSER  # noqa: E402
from participants.models import Visit  # noqa: E402
from referrals.hosted import journal  # noqa: E402

SECONDS = float(os.environ.get("LOST_SECONDS", "3"))
ROUNDS = int(os.environ.get("LOST_ROUNDS", "3"))
CLIENTS = 8
_VISITOR = re.compile(r"ref_\w{10}=(\w{22})-")


@dataclass(frozen=True, slots=True)
class Round:
    """One server's life: how it ended, how many clicks were answered, missing, double, and kept without an answer."""

    ended_by: str
    answered: int
    missing: int
    twice: int
    unanswered: int


class Client:
    """Clicks on one link until the server is gone, and remembers the visitor of every whole answer."""

    def __init__(self, address: str, path: str) -> None:
        self.host, _, self.port = address.rpartition("/")[2].partition(":")
        self.path = path
        self.answered: list[str] = []
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self._clicks) for _ in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def _clicks(self) -> None:
        link: http.client.HTTPConnection | None = None
        while not self.stop.is_set():
            try:
                link = link or http.client.HTTPConnection(self.host, int(self.port), timeout=5)
                link.request("GET", self.path, headers={"User-Agent": BROWSER, "Sec-Fetch-Mode": "navigate"})
                response = link.getresponse()
                response.read()
            except (OSError, http.client.HTTPException):
                link = None
                time.sleep(0.02)
                continue
            if found := _VISITOR.match(response.getheader("Set-Cookie") or ""):
                self.answered.append(found[1])

    def finish(self) -> list[str]:
        """End, and tell who was answered."""
        self.stop.set()
        for thread in self.threads:
            thread.join()
        return self.answered


def one_round(path: str, number: int, kill: int) -> Round:
    """Start the server, click, end it by the signal in the middle of its work, load what lies in the journal, compare."""
    before = set(Visit.objects.values_list("visitor", flat=True))
    on_server = connection.vendor == "postgresql"
    connections.close_all()
    with servers.granian("referrals.wsgi:application", {}, server_database=on_server) as (address, pid):
        client = Client(address, path)
        begun = time.monotonic()
        while not client.answered and time.monotonic() - begun < 60:
            time.sleep(0.05)
        # Never at the same point of the loader's second.
        time.sleep(SECONDS + number * 0.29)
        if kill == signal.SIGKILL:
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, kill)
        time.sleep(0.5)
        answered = client.finish()
    journal.load()
    kept = Counter(visitor for visitor in Visit.objects.values_list("visitor", flat=True) if visitor not in before)
    missing = sum(1 for visitor in answered if visitor not in kept)
    twice = sum(1 for count in kept.values() if count > 1)
    return Round(signal.Signals(kill).name, len(answered), missing, twice, len(kept) - len(answered) + missing)


def main() -> int:
    """Rounds of a normal stop and of SIGKILL; one JSON object."""
    call_command("migrate", verbosity=0, interactive=False)
    world = data.make_world()
    path = f"/r/{world.referrer.referral_code}"
    rounds = []
    for number in range(ROUNDS):
        for kill in (signal.SIGTERM, signal.SIGKILL):
            rounds.append(one_round(path, number, kill))
            print(f"  {rounds[-1]}", file=sys.stderr, flush=True)
    print(json.dumps({"database": connection.vendor, "rounds": [asdict(found) for found in rounds]}))
    lost = any(found.missing or found.twice or not found.answered for found in rounds)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
