"""`python -m bench webhooks`: how fast webhooks leave, and whether an endpoint that hangs keeps the others waiting.

Fifty endpoints of 25 businesses, two for each event, on loopback in a process of their own; one of them takes every message and answers
none. A hundred events a second are written into the history, and what counts is the time from there to the arrival at the 49 others.
Then a backlog is sent off as fast as it goes, beside the naive loop: one new connection and one commit for each message.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from datetime import datetime
from typing import Any

import requests

ENDPOINTS, A_SECOND = 50, 100
SECONDS = float(os.environ.get("BENCH_SECONDS", "30"))
BACKLOG = int(os.environ.get("BENCH_BACKLOG", "6000"))
NAIVE = 150
LIMIT = 5.0


async def _receive(port: int) -> None:
    """Take messages; /0 gets no answer. Each arrival's delay goes to standard output at the end."""
    delays: dict[str, list[float]] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                path = head.split(" ", 2)[1]
                (length,) = [
                    int(line.split(":")[1]) for line in head.splitlines() if line.lower().startswith("content-length:")
                ]
                body = await reader.readexactly(length)
                sent = datetime.fromisoformat(json.loads(body)["timestamp"]).timestamp()
                if path == "/report":
                    writer.write(_answer(json.dumps(delays).encode()))
                    delays.clear()
                    continue
                delays.setdefault(path, []).append(time.time() - sent)
                if path == "/0":
                    await asyncio.sleep(60)
                writer.write(_answer(b"ok"))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


def _answer(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def main() -> None:
    """Measure and print one line of JSON."""
    from bench.servers import free_port

    port = free_port()
    os.environ["LOCAL_WEBHOOKS"] = f"127.0.0.1:{port}"
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0)
    receiver = subprocess.Popen([sys.executable, "-m", "bench.webhooks", "receive", str(port)], stdout=subprocess.PIPE)
    assert receiver.stdout is not None
    receiver.stdout.readline()
    load = os.getloadavg()[0]
    try:
        found = {
            "database": connection.vendor,
            "load_before": round(load, 1),
            **_hanging(port),
            **_throughput(port),
        }
    finally:
        receiver.terminate()
    found["load_after"] = round(os.getloadavg()[0], 1)
    found["missed"] = bool(found["others_p99_s"] > LIMIT or found["arrived"] < found["expected"])
    print(json.dumps(found))


def _tenants(port: int) -> list[Any]:
    from integrations import endpoints
    from referrals.accounts.models import Merchant
    from referrals.accounts.tenancy import Tenant
    from referrals.events.services import SYSTEM

    tenants = []
    for number in range(ENDPOINTS // 2):
        tenant = Tenant(Merchant.objects.create(name=f"Merchant {number}"), True)
        for one in (0, 1):
            endpoints.create(tenant=tenant, actor=SYSTEM, url=f"http://127.0.0.1:{port}/{2 * number + one}")
        tenants.append(tenant)
    return tenants


def _write(tenant: Any, number: int) -> None:
    from django.db import transaction

    from referrals.events import types
    from referrals.events.services import SYSTEM, Happening, record

    with transaction.atomic():
        record(tenant, SYSTEM, Happening(types.CAMPAIGN_STATUS_CHANGED, "campaign", f"c{number}"))


def _report(port: int) -> dict[str, list[float]]:
    body = json.dumps({"timestamp": "2026-01-01T00:00:00+00:00"})
    found: dict[str, list[float]] = requests.post(f"http://127.0.0.1:{port}/report", data=body, timeout=20).json()
    return found


def _hanging(port: int) -> dict[str, Any]:
    """A hundred events a second while /0 says nothing; the delays of the others."""
    from integrations.models import WebhookDelivery

    tenants = _tenants(port)
    drainer = subprocess.Popen([sys.executable, "-m", "bench.webhooks", "drain", str(port)])
    time.sleep(4)
    count, start = int(SECONDS * A_SECOND), time.monotonic()
    for number in range(count):
        _write(tenants[number % len(tenants)], number)
        time.sleep(max(0.0, start + (number + 1) / A_SECOND - time.monotonic()))
    took = time.monotonic() - start
    waiting = WebhookDelivery.objects.exclude(endpoint__url__endswith="/0").exclude(state="delivered")
    end = time.monotonic() + 30
    while (waiting.exists() or WebhookDelivery.objects.count() < 2 * count) and time.monotonic() < end:
        time.sleep(0.2)
    drainer.terminate()
    drainer.wait()
    delays = _report(port)
    others = sorted(delay for path, found in delays.items() if path != "/0" for delay in found)
    expected = 2 * count - len(range(0, count, len(tenants)))
    return {
        "events_a_second": round(count / took, 1),
        "expected": expected,
        "arrived": len(others),
        "others_p50_s": round(statistics.median(others), 3),
        "others_p99_s": round(others[int(len(others) * 0.99)], 3),
        "others_max_s": round(others[-1], 3),
        "hanging_got": len(delays.get("/0", [])),
    }


def _throughput(port: int) -> dict[str, Any]:
    """A backlog for the 48 endpoints of the businesses that are well, and the naive loop over messages like these."""
    from integrations import delivering, outbox
    from integrations.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
    from referrals.accounts.models import Merchant
    from referrals.accounts.tenancy import Tenant
    from referrals.lib.posting import Sender

    hanging = WebhookEndpoint.objects.filter(url__endswith="/0")
    hanging.update(disabled_at="2026-01-01T00:00:00+00:00")
    WebhookDelivery.objects.filter(endpoint__in=hanging).delete()
    tenants = [Tenant(merchant, True) for merchant in Merchant.objects.order_by("pk")[1:]]
    for number in range(BACKLOG // 2):
        _write(tenants[number % len(tenants)], 1_000_000 + number)
    start = time.monotonic()
    while outbox.dispatch():
        pass
    dispatched = time.monotonic() - start
    naive = list(WebhookDelivery.objects.filter(state="pending").select_related("endpoint__merchant")[:NAIVE])
    start = time.monotonic()
    for row in naive:
        taken = delivering._ready(row, row.endpoint, row.created_at)
        assert taken.post is not None
        answer = requests.post(taken.post.url, data=taken.post.body, headers=dict(taken.post.headers), timeout=10)
        row.state, row.next_attempt_at, row.last_status = "delivered", None, answer.status_code
        row.save()
        WebhookAttempt.objects.create(delivery=row, status=answer.status_code, answer=answer.text)
    naive_rate = NAIVE / (time.monotonic() - start)
    left = WebhookDelivery.objects.filter(state="pending").count()
    start = time.monotonic()
    with Sender() as sender:
        drainer = delivering.Drainer(sender)
        while WebhookDelivery.objects.filter(next_attempt_at__isnull=False).exists():
            drainer.turn(wait=0.05)
    rate = left / (time.monotonic() - start)
    return {
        "dispatched_a_second": round(BACKLOG / dispatched),
        "delivered_a_second": round(rate),
        "naive_a_second": round(naive_rate),
        "times_naive": round(rate / naive_rate, 1),
    }


def _drain() -> None:
    import signal
    import threading

    import django

    django.setup()
    from integrations import delivering

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_args: stop.set())
    delivering.run(stop.is_set)


if __name__ == "__main__":
    if sys.argv[1:2] == ["receive"]:
        asyncio.run(_receive(int(sys.argv[2])))
    elif sys.argv[1:2] == ["drain"]:
        os.environ["LOCAL_WEBHOOKS"] = f"127.0.0.1:{sys.argv[2]}"
        _drain()
    else:
        main()
