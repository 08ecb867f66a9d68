"""`python -m bench.inbox`: webhooks on a database of its own: receipt and processing a second, and the time from receipt to "due".

1. Receipt: signed messages against the empty view, A B A B; every answered one is found in the database.
2. Processing: so many stored payments of people who join by their referrer's code are drained by one worker, in this process.
3. BENCH_RATE (100) messages a second for BENCH_RUN (60) seconds, against the server with its worker: from received_at to the moment
   when the reward was due. Nothing may be missing afterwards.

BENCH_DATABASES names the databases ("sqlite postgresql"), BENCH_PARTS the parts ("receive process wait").
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.__main__ import ONLY, ROOT, environment
from scripts.postgres import Missing, stop_on_sigterm, temporary_server

RATE, RUN = int(os.environ.get("BENCH_RATE", "100")), int(os.environ.get("BENCH_RUN", "60"))
COUNT = int(os.environ.get("BENCH_COUNT", "1000"))
PARTS = os.environ.get("BENCH_PARTS", "receive process wait").split()
SENDERS = 4
# Nobody waits longer for the last message.
PATIENCE = 300.0


def main() -> int:
    """Each database in a process of its own."""
    if os.environ.get("BENCH_INBOX"):
        return measure()
    stop_on_sigterm()
    for name in ONLY:
        with tempfile.TemporaryDirectory(prefix="passalong-bench-") as folder:
            try:
                if name == "postgresql":
                    with temporary_server(durable=True) as url:
                        _again(folder, url)
                else:
                    _again(folder, f"sqlite:///{folder}/db.sqlite3")
            except Missing as problem:
                print(problem, file=sys.stderr)
                return 1
    return 0


def _again(folder: str, url: str) -> None:
    env = {**environment(folder, url), "BENCH_INBOX": "1"}
    subprocess.run([sys.executable, "-m", "bench.inbox"], env=env, cwd=ROOT, check=True)


def measure() -> int:
    """All parts on the database that DATABASE_URL names; prints one JSON object."""
    import django

    django.setup()

    from django.core.management import call_command
    from django.db import connection

    from bench import data, one, servers

    call_command("migrate", verbosity=0, interactive=False)
    call_command("createcachetable", verbosity=0)
    world = data.make_world()
    is_server = connection.vendor == "postgresql"
    figures: dict[str, object] = {"database": connection.vendor, "load": os.getloadavg()[0]}
    with servers.granian("referrals.wsgi:application", {}, server_database=is_server) as product:
        if "receive" in PARTS:
            with servers.granian("bench.empty_wsgi:application", {}, server_database=is_server) as empty:
                case = next(case for case in one.write_cases(world) if case.name == "webhook receipt")
                figures["receipt"] = one.run(case, product, empty, servers.postgres_pid() if is_server else None)
        if "process" in PARTS:
            figures["processing"] = _process(world)
        if "wait" in PARTS:
            figures["waiting"] = _wait(world, product[0])
    figures["load_after"] = os.getloadavg()[0]
    print(json.dumps(figures, indent=1))
    return 0


def _process(world: object) -> dict[str, float]:
    """Drain COUNT payments, each of somebody who is new."""
    from bench import data
    from integrations import inbox
    from integrations.models import InboundEvent
    from rewards.models import Reward

    assert isinstance(world, data.World)
    InboundEvent.objects.all().delete()
    rows = []
    for n in range(COUNT):
        body = data.webhook_body(world, f"drain{n}", int(time.time()))
        rows.append(
            InboundEvent(
                merchant_id=world.connection.merchant_id,
                connection=world.connection,
                event_id=f"evt_drain{n}",
                type="checkout.session.completed",
                body=body,
            )
        )
    InboundEvent.objects.bulk_create(rows)
    before, used, began = Reward.objects.count(), time.process_time(), time.perf_counter()
    while inbox.drain():
        pass
    took, cpu = time.perf_counter() - began, time.process_time() - used
    made = Reward.objects.count() - before
    if made != COUNT or InboundEvent.objects.exclude(state="processed").exists():
        raise RuntimeError(f"{COUNT} messages, {made} rewards")
    return {"messages": COUNT, "a_second": COUNT / took, "cpu_ms": cpu / COUNT * 1000}


@contextmanager
def _worker() -> Iterator[None]:
    """The worker as the Procfile starts it."""
    process = subprocess.Popen([sys.executable, "manage.py", "qcluster"], cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=60)


def _wait(world: object, address: str) -> dict[str, float]:
    """From receipt to due, with all processes of a small installation at work."""
    from django_q.models import OrmQ

    from bench import data
    from integrations.models import InboundEvent
    from rewards.models import Reward

    assert isinstance(world, data.World)
    InboundEvent.objects.all().delete()
    OrmQ.objects.all().delete()
    total = RATE * RUN
    requests = list(data.webhook_requests(world, total, int(time.time()) + 120, tag="live"))
    before, late = Reward.objects.count(), [0.0] * SENDERS
    with _worker():
        time.sleep(10)  # until it is up, and the schedule's first round is over
        begin = time.perf_counter() + 0.5
        threads = [
            threading.Thread(target=_send, args=(address, requests, number, begin, late)) for number in range(SENDERS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        sent = time.perf_counter() - begin
        end = time.monotonic() + PATIENCE
        while InboundEvent.objects.filter(state="received").exists() and time.monotonic() < end:
            time.sleep(0.5)
    rows = list(InboundEvent.objects.filter(state="processed").values_list("received_at", "processed_at"))
    made = Reward.objects.filter(state="due").count() - before
    if len(rows) != total or made != total:
        raise RuntimeError(f"{total} sent, {len(rows)} processed, {made} due")
    waits = sorted((done - received).total_seconds() for received, done in rows)
    return {
        "messages": total,
        "seconds_sending": sent,
        "sender_late_s": max(late),
        "p50_s": statistics.median(waits),
        "p99_s": waits[int(total * 0.99)],
        "max_s": waits[-1],
    }


def _send(address: str, requests: list[bytes], number: int, begin: float, late: list[float]) -> None:
    """Every SENDERS-th message at its own time, whatever the answers take; how late it got is told."""
    host, _, port = address.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as wire:
        for index in range(number, len(requests), SENDERS):
            pause = begin + index / RATE - time.perf_counter()
            if pause > 0:
                time.sleep(pause)
            late[number] = max(late[number], -pause)
            wire.sendall(requests[index])
            answer = b""
            while not answer.endswith(b"}"):
                answer += wire.recv(65536) or b"}"
            if not answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(answer[:200])


if __name__ == "__main__":
    sys.exit(main())
