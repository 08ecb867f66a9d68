"""`python -m bench payouts`: 10,000 payouts through a company that answers after 200 ms, with 1 % silence and 1 % errors (PERFORMANCE.md).

The company is bench.company, a server that knows no keys: what is sent twice is paid twice. BENCH_WORKERS (2) processes carry the payouts
out as the schedule does. Before it, one after the other for BENCH_NAIVE (100) of them: the loop that calls and marks.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time

from bench.__main__ import ROOT

COUNT = int(os.environ.get("BENCH_COUNT", "10000"))
WORKERS = int(os.environ.get("BENCH_WORKERS", "2"))
NAIVE = int(os.environ.get("BENCH_NAIVE", "100"))
LIMIT, PATIENCE = 300.0, 1200.0


def main() -> None:
    """Fill, queue, carry out, count at the company, print one JSON object."""
    import django

    django.setup()

    from django.core.management import call_command
    from django.db import connection, connections
    from django.db.models import Sum

    from bench import data
    from integrations.models import Connection
    from referrals.events.services import Actor
    from rewards.models import LedgerEntry, Payout, PayoutAttempt, Reward
    from rewards.queueing import Method, queue
    from rewards.verify import differences

    call_command("migrate", verbosity=0, interactive=False)
    call_command("createcachetable", verbosity=0)
    world = data.make_world()
    data.make_rewards(world, COUNT, people=COUNT)
    tenant = world.campaign.tenant
    method = Method("bench", frozenset({"cash"}), account=world.connection.public_id)
    Connection.objects.filter(pk=world.connection.pk).update(provider="stripe")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    company = subprocess.Popen([sys.executable, "-m", "bench.company", str(port)], cwd=ROOT)
    try:
        for _ in range(100):
            with socket.socket() as line:
                if line.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        naive = _naive(port)
        before = _books(port)["calls"]
        keys = list(Reward.objects.filter(participant__public_id__startswith="b").values_list("pk", flat=True))
        # Copied rewards have no decisions of their own, which verify_ledger says of each; what counts is what comes on top.
        odd = len(list(differences()))
        began = time.perf_counter()
        batch, _made = queue(tenant=tenant, reward_ids=keys, method=method, actor=Actor("system"), key="bench-payouts")
        queued = time.perf_counter() - began
        connections.close_all()
        workers = [_fork(port) for _ in range(WORKERS)]
        while time.perf_counter() - began < PATIENCE and Payout.objects.filter(status__in=Payout.OPEN).exists():
            time.sleep(1)
        seconds = time.perf_counter() - began
        cpu = 0.0
        for pid in workers:
            os.kill(pid, signal.SIGTERM)
            usage = os.wait4(pid, 0)[2]
            cpu += usage.ru_utime + usage.ru_stime
        books = _books(port)
        payouts = Payout.objects.filter(batch=batch)
        wanted = {payout.key: payout.amount_minor for payout in payouts}
        paid = {key: minor for key, minor in books["paid"].items() if not key.startswith("naive")}
        ledger = LedgerEntry.objects.filter(kind="pay", payout__batch=batch).aggregate(total=Sum("amount_minor"))[
            "total"
        ]
        print(json.dumps({
            "database": connection.vendor, "payouts": len(wanted), "seconds": round(seconds, 1), "queueing": round(queued, 1),
            "a second": round(len(wanted) / seconds, 1), "one after the other, a second": round(naive, 1),
            "ratio to one after the other": round(len(wanted) / seconds / naive, 1),
            "worker CPU ms a payout": round(1000 * cpu / len(wanted), 1),
            "calls": books["calls"] - before, "never answered": books["silent"], "errors": books["errors"],
            "tries": PayoutAttempt.objects.count(), "paid twice": sum(paid.get(key, 0) > minor for key, minor in wanted.items()),
            "lost": sum(key not in paid for key in wanted), "open": payouts.filter(status__in=Payout.OPEN).count(),
            "ledger agrees": -(ledger or 0) == sum(paid.values()), "new differences": len(list(differences())) - odd,
            "load": os.getloadavg()[0], "missed": seconds > LIMIT,
        }))  # fmt: skip
    finally:
        company.kill()
        company.wait()


def _naive(port: int) -> float:
    """Calls a second of a loop that sends one payout after the other, without any book-keeping."""
    began = time.perf_counter()
    for number in range(NAIVE):
        _call(port, "POST", "/orders", {"key": f"naive{number}", "minor": 1})
    return NAIVE / (time.perf_counter() - began)


def _books(port: int) -> dict:  # type: ignore[type-arg]  # a JSON object
    return _call(port, "GET", "/books")[1]  # type: ignore[no-any-return]  # as above


def _call(port: int, verb: str, path: str, body: object = None) -> tuple[int, object]:
    from referrals.lib import http

    text = json.dumps(body).encode() if body is not None else None
    try:
        answer = http.request(verb, f"http://127.0.0.1:{port}{path}", body=text, private=True)
    except http.HttpError:
        return 0, None
    return answer.status, json.loads(answer.body or b"{}")


def _fork(port: int) -> int:
    """A worker: what the schedule runs, again and again."""
    pid = os.fork()
    if pid:
        return pid
    from integrations import payouts, registry

    issuer = _issuer(port)
    registry.issuer = lambda method: issuer  # type: ignore[assignment]  # the company of this benchmark
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    while True:
        payouts.sweep()
        time.sleep(0.5)


def _issuer(port: int) -> object:
    from datetime import timedelta

    from referrals.lib import http
    from rewards.orders import Order, Outcome

    class Issuer:
        """A company without keys, which can be asked."""

        key_life: timedelta | None = timedelta(hours=24)

        def send(self, order: Order, account: object) -> Outcome:
            body = json.dumps({"key": order.key, "minor": order.amount.minor}).encode()
            return self._read(order, http.request("POST", f"http://127.0.0.1:{port}/orders", body=body, private=True))

        def check(self, order: Order, account: object) -> Outcome | None:
            answer = http.request("GET", f"http://127.0.0.1:{port}/orders/{order.key}", private=True)
            return None if answer.status == 404 else self._read(order, answer)

        def _read(self, order: Order, answer: http.Answer) -> Outcome:
            if answer.status not in {200, 201}:
                return Outcome("unknown", "", f"It answered {answer.status}.")
            same = json.loads(answer.body)["minor"] == order.amount.minor
            return Outcome("paid" if same else "ask", order.key)

    return Issuer()


if __name__ == "__main__":
    main()
