"""`make bench`: both databases, one table; writes bench/RESULTS.md. BENCH_SECONDS, BENCH_ROUNDS, BENCH_REWARDS make it shorter."""

from __future__ import annotations

import base64
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from scripts.postgres import Missing, stop_on_sigterm, temporary_server

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "RESULTS.md"
BY_ITSELF = "# Measured by a command of its own\n"
ONLY = os.environ.get("BENCH_DATABASES", "sqlite postgresql").split()


def environment(folder: str, url: str) -> dict[str, str]:
    """Production settings on loopback, DEBUG off."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "referrals.settings",
        "DATA_DIR": folder,
        "DATABASE_URL": url,
        "DEMO": "0",
        "DEBUG": "0",
        "SITE_URL": "http://127.0.0.1",
        "ALLOWED_HOSTS": "127.0.0.1",
        "SECRET_KEY": "only-for-measuring-0123456789-0123456789-0123456789",
        "SECRETS_KEYS": "bench:" + base64.b64encode(b"0123456789abcdef" * 2).decode(),
        "STATIC_FROM_SOURCE": "1",
        "LOG_LEVEL": "ERROR",
        "API_REQUESTS_PER_MINUTE": "1000000000",
    }


def measure(url: str, module: str = "bench.one") -> dict[str, object]:
    """One database, in a process and a data folder of its own."""
    folder = tempfile.mkdtemp(prefix="passalong-bench-data-")
    try:
        done = subprocess.run(
            [sys.executable, "-m", module],
            env=environment(folder, url),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            check=True,
        )
        result: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
        return result
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def table(result: dict[str, object]) -> str:
    """The results of one database as a Markdown table."""
    lines = [
        f"## {result['database']}",
        "",
        "| path | a second | ratio to the empty view | p50 ms | p99 ms | CPU us a request (server and database) | CPU ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    rows = result["results"]
    assert isinstance(rows, list)
    lines += [
        f"| {r['name']} | {r['rate']:,.0f} | {r['ratio']:.3f} | {r['p50']:.1f} | {r['p99']:.1f} | {r['cpu']:,.0f} | {r['cpu_ratio']:.1f} |"
        for r in rows
    ]
    return "\n".join(lines)


def one(module: str) -> int:
    """`python -m bench whatif`, `decide`, `click`, `lost`, `page`, `webhooks`, `payouts`: one measurement, printed.

    On SQLite if BENCH_DATABASES names only that.

    1 when the measurement says that a limit was missed.
    """
    stop_on_sigterm()
    try:
        if ONLY == ["sqlite"]:
            found = measure("", module)
        else:
            with temporary_server(durable=True) as url:
                found = measure(url, module)
    except Missing as problem:
        print(problem, file=sys.stderr)
        return 1
    print(json.dumps(found, indent=2))
    return 1 if found.get("missed") else 0


def main() -> int:
    """Measure, print, write."""
    if sys.argv[1:] in (["whatif"], ["decide"], ["click"], ["lost"], ["page"], ["webhooks"], ["payouts"]):
        return one(f"bench.{sys.argv[1]}")
    if shutil.which("wrk") is None:
        print(
            "wrk drives the benchmarks and was not found. Install it (Debian, Ubuntu: apt install wrk).",
            file=sys.stderr,
        )
        return 1
    stop_on_sigterm()
    parts = []
    if "sqlite" in ONLY:
        parts.append(table(measure("")))
    if "postgresql" in ONLY:
        try:
            with temporary_server(durable=True) as url:
                parts.append(table(measure(url)))
        except Missing as problem:
            print(problem, file=sys.stderr)
            return 1
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT, check=False
    ).stdout.strip()
    head = f"""# Measured on {datetime.now(UTC):%Y-%m-%d} at {commit or "an unknown commit"}

`make bench` on {os.cpu_count()} cores, Python {platform.python_version()}; load, server and database share them, so that ratios count
and absolute figures do not. The baseline is an empty Django view without middleware on the same server with the same settings, in the
same run, alternating; figures are medians of the rounds. Every measured write was found in the database afterwards.
"""
    text = head + "\n" + "\n\n".join(parts) + "\n"
    print(text)
    # What was measured by a command of its own stays as it was written down.
    _measured, mark, by_itself = RESULTS.read_text().partition(BY_ITSELF)
    RESULTS.write_text(text + (f"\n{mark}{by_itself}" if mark else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
