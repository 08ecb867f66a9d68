"""All benchmarks on the database that DATABASE_URL names; prints one JSON object. `python -m bench` calls it for both."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection, connections  # noqa: E402

from bench import data, load, servers  # noqa: E402
from integrations.models import InboundEvent  # noqa: E402
from participants.models import Participant, QualifyingEvent, Visit  # noqa: E402
from referrals.hosted import journal  # noqa: E402
from referrals.lib.pages import _write  # noqa: E402
from rewards.models import Reward  # noqa: E402

SECONDS = float(os.environ.get("BENCH_SECONDS", "3"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0 Safari/537.36"


@dataclass
class Case:
    """One path to measure: its requests, how many at once, and how to count what it wrote (None for reads)."""

    name: str
    replay: load.Replay
    connections: int = 8
    written: Callable[[], int] | None = None
    status: int = 200


def run(case: Case, product: tuple[str, int], empty: tuple[str, int], database: int | None) -> dict[str, object]:
    """Five pairs of the empty view and the case; every measured write is found in the database, or the benchmark fails."""
    baseline, measured = load.Measure(), load.Measure()
    nothing = load.Replay([load.raw("GET", "/", {})])
    for target, replay, status in ((empty, nothing, 200), (product, case.replay, case.status)):
        load.check(target[0], replay, {status})
    before = case.written() if case.written else 0

    def one(target: tuple[str, int], replay: load.Replay, into: load.Measure, extra: int | None) -> None:
        load.drive(
            target[0], replay, seconds=SECONDS, connections=case.connections, root=target[1], extra=extra, into=into
        )

    load.pairs(
        ROUNDS, lambda: one(empty, nothing, baseline, None), lambda: one(product, case.replay, measured, database)
    )
    if case.written:
        found = case.written() - before
        # A request whose answer wrk did not wait for may have been carried out too; one that was answered must be there.
        if found < min(measured.requests, len(case.replay.requests)):
            raise RuntimeError(f"{case.name}: {measured.requests} answered, {found} rows found")
    return {
        "name": case.name,
        "rate": measured.median("rate"),
        "p50": measured.median("p50"),
        "p99": measured.median("p99"),
        "cpu": measured.median("cpu"),
        "ratio": measured.median("rate") / baseline.median("rate"),
        "cpu_ratio": measured.median("cpu") / baseline.median("cpu"),
        "empty_rate": baseline.median("rate"),
        "requests": measured.requests,
    }


def clicks() -> int:
    """Visits in the database once the journal is loaded."""
    time.sleep(2)
    journal.load()
    return Visit.objects.count()


def write_cases(world: data.World) -> Iterator[Case]:
    """Click, join, qualify, webhook receipt."""
    visitor = {"User-Agent": BROWSER, "Sec-Fetch-Mode": "navigate"}
    yield Case("click", load.Replay([load.raw("GET", f"/r/{world.referrer.referral_code}", visitor)]), 16, clicks, 302)
    yield Case("join (API v1)", load.Replay(data.join_requests(world, 20_000, "j")), 8, Participant.objects.count)
    friends = list(data.join_friends(world, 6_000))
    yield Case("qualify (API v1)", load.Replay(data.qualify_requests(world, friends)), 8, QualifyingEvent.objects.count)
    stamp = int(time.time()) + 120
    yield Case(
        "webhook receipt", load.Replay(data.webhook_requests(world, 30_000, stamp)), 8, InboundEvent.objects.count
    )


def read_cases(world: data.World, count: int) -> Iterator[Case]:
    """The first and the last page of Reward Due."""
    data.make_rewards(world, count)
    headers = {"Cookie": f"{settings.SESSION_COOKIE_NAME}={world.session}", "User-Agent": BROWSER}
    pages = {
        "first": "",
        "last": _write("n", "stage_at", Reward.objects.filter(state="due").order_by("stage_at", "pk")[50]),
    }
    for name, cursor in pages.items():
        path = f"/app/rewards/?stage=due&sort=-date&after={cursor}"
        yield Case(f"Reward Due, {count:,} rewards, {name} page", load.Replay([load.raw("GET", path, headers)]), 1)


def main() -> None:
    """Prepare the data, start both servers, measure."""
    call_command("migrate", verbosity=0, interactive=False)
    server = connection.vendor == "postgresql"
    database = servers.postgres_pid() if server else None
    world = data.make_world()
    results: list[dict[str, object]] = []
    with (
        servers.granian("referrals.wsgi:application", {}, server_database=server) as product,
        servers.granian("bench.empty_wsgi:application", {}, server_database=server) as empty,
    ):
        cases: list[Callable[[], Iterator[Case]]] = [
            lambda: write_cases(world),
            lambda: read_cases(world, 10_000),
            lambda: read_cases(world, int(os.environ.get("BENCH_REWARDS", "1000000"))),
        ]
        for group in cases:
            for case in group():
                connections.close_all()
                results.append(run(case, product, empty, database))
                print(f"  {case.name}", file=sys.stderr, flush=True)
    print(json.dumps({"database": connection.vendor, "results": results}))


if __name__ == "__main__":
    main()
