"""`python -m bench.release [count]`: so many rewards (100,000) leave review on PostgreSQL; how long it takes, and the longest lock.

A server of its own that writes to the disk, as for the other figures. Meanwhile another connection reads and changes one of the rewards
again and again, and the longest that it had to wait is printed too: nobody waits for more than one chunk.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time

from bench.__main__ import ROOT, environment
from scripts.postgres import Missing, stop_on_sigterm, temporary_server

MOST_SECONDS = 60.0


def main() -> int:
    """Start a server, and this module again beside it; 1 when it took longer than a minute."""
    if os.environ.get("BENCH_RELEASE"):
        return measure(int(os.environ["BENCH_RELEASE"]))
    stop_on_sigterm()
    count = sys.argv[1] if len(sys.argv) > 1 else "100000"
    try:
        with temporary_server(durable=True) as url, tempfile.TemporaryDirectory(prefix="passalong-bench-") as folder:
            env = {**environment(folder, url), "BENCH_RELEASE": count}
            return subprocess.run([sys.executable, "-m", "bench.release"], env=env, cwd=ROOT, check=False).returncode
    except Missing as problem:
        print(problem, file=sys.stderr)
        return 1


def measure(count: int) -> int:
    """Fill, release, look whether all of it is true, print."""
    import django

    django.setup()

    from django.core.management import call_command
    from django.db import connection
    from django.db.models import F

    from bench import data
    from referrals.events.models import Event
    from referrals.lib import clock
    from rewards import jobs
    from rewards.lifecycle import release_due
    from rewards.models import Reward, State
    from rewards.pipeline import pipeline

    call_command("migrate", verbosity=0)
    call_command("createcachetable", verbosity=0)
    world = data.make_world()
    data.make_rewards(world, count)
    Reward.objects.update(state=State.REVIEW, review_ends_at=F("stage_at"))
    now = clock.wall()
    Reward.objects.filter(review_ends_at__gt=now).update(review_ends_at=now)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM rewards_rewardtally")
        cursor.execute(
            "INSERT INTO rewards_rewardtally (merchant_id, is_test, campaign_id, currency, state, count, amount_minor)"
            " SELECT merchant_id, is_test, campaign_id, currency, state, count(*), sum(amount_minor) FROM rewards_reward"
            " GROUP BY 1, 2, 3, 4, 5"
        )
        cursor.execute("VACUUM ANALYZE rewards_reward")
    total = Reward.objects.count()
    waits: list[float] = []
    stop = threading.Event()
    other = threading.Thread(target=_bother, args=(stop, waits), daemon=True)
    other.start()
    chunks: list[float] = []

    def timed(**options: object) -> int:
        began = time.perf_counter()
        moved = release_due(**options)  # type: ignore[arg-type]  # handed on as they come
        chunks.append(time.perf_counter() - began)
        return moved

    jobs.release_due = timed  # type: ignore[attr-defined]  # the schedule's own loop, with a stop-watch
    began = time.perf_counter()
    moved = jobs.release_all()
    seconds = time.perf_counter() - began
    stop.set()
    other.join()
    assert moved == total == Reward.objects.filter(state=State.DUE).count()
    assert Event.objects.filter(type="reward.due", data__to="due", data__from="review").count() == total
    assert {row.stage: row.count for row in pipeline(world.campaign.tenant) if row.count} == {"due": total}
    print(
        f"{total:,} rewards became due in {seconds:.1f} s ({total / seconds:,.0f} a second) in {len(chunks)} transactions,"
        f" the longest {max(chunks):.2f} s; another connection waited {max(waits, default=0):.2f} s at most in {len(waits)} changes"
    )
    return 0 if seconds < MOST_SECONDS else 1


def _bother(stop: threading.Event, waits: list[float]) -> None:
    """Change the note of rewards all over the table, and keep how long each change took."""
    from django.db import connection

    from rewards.models import Reward

    keys = list(Reward.objects.order_by("-pk").values_list("pk", flat=True)[::97])
    number = 0
    while not stop.is_set():
        began = time.perf_counter()
        Reward.objects.filter(pk=keys[number % len(keys)]).update(note="meanwhile")
        waits.append(time.perf_counter() - began)
        number += 1
        time.sleep(0.005)
    connection.close()


if __name__ == "__main__":
    sys.exit(main())
