"""The hosted page: `python -m bench page` (PostgreSQL, or BENCH_DATABASES=sqlite).

From its cache, as a ratio to an empty view, driven by wrk; then a first visit in Chromium as a slow phone has it: bytes over the wire,
requests to others, layout shift, largest contentful paint. `missed` names the limits that were (issue 4, part 3).
"""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import urlsplit

# Static files as production serves them: hashed names, compressed before.
os.environ["STATIC_FROM_SOURCE"] = "0"
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection, connections  # noqa: E402
from playwright.sync_api import Browser, sync_playwright  # noqa: E402

from bench import data, load, servers  # noqa: E402
from bench.one import BROWSER, Case, run  # noqa: E402
from scripts.browser import launch_options  # noqa: E402

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
# What Lighthouse calls a slow phone: 150 ms there and back, 1.6 Mbit/s down, 750 kbit/s up, a processor four times slower.
NETWORK = {
    "offline": False,
    "latency": 150,
    "downloadThroughput": 1_638_400 / 8,
    "uploadThroughput": 768_000 / 8,
}
SLOWER = 4
# The screen of the phone that Lighthouse simulates (Moto G Power).
SIZE = {"width": 412, "height": 823}
DENSITY = 1.75
LIMITS = {"bytes": 30_000, "others": 0, "shift": 0.0, "lcp": 1000.0}
WATCH = """
window.seen = {lcp: 0, shift: 0};
new PerformanceObserver((list) => { for (const e of list.getEntries()) seen.lcp = e.startTime; })
  .observe({type: "largest-contentful-paint", buffered: true});
new PerformanceObserver((list) => { for (const e of list.getEntries()) if (!e.hadRecentInput) seen.shift += e.value; })
  .observe({type: "layout-shift", buffered: true});
"""


def visit(browser: Browser, address: str) -> dict[str, Any]:
    """One first visit, without anything kept."""
    context = browser.new_context(viewport=SIZE, device_scale_factor=DENSITY, is_mobile=True, has_touch=True)  # type: ignore[arg-type]
    page = context.new_page()
    wire = context.new_cdp_session(page)
    sizes: list[float] = []
    hosts: list[str] = []
    wire.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    wire.on("Network.requestWillBeSent", lambda event: hosts.append(event["request"]["url"]))
    wire.send("Network.enable")
    wire.send("Network.emulateNetworkConditions", NETWORK)
    wire.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    context.add_init_script(WATCH)
    page.goto(address, wait_until="networkidle")
    page.wait_for_timeout(500)
    seen = page.evaluate("seen")
    times = (
        "(() => { const [n] = performance.getEntriesByType('navigation'); return [n.responseStart, n.responseEnd]; })()"
    )
    seen["answer"], seen["html"] = page.evaluate(times)
    seen["loaded"] = page.evaluate("Math.max(0, ...performance.getEntriesByType('resource').map((e) => e.responseEnd))")
    own = urlsplit(address).netloc
    others = [url for url in hosts if not url.startswith("data:") and urlsplit(url).netloc != own]
    context.close()
    return {"bytes": sum(sizes), "others": len(others), "requests": len(sizes), **seen}


def visits(browser: Browser, address: str) -> dict[str, Any]:
    """The median of several first visits for the paint, the worst of all else."""
    rounds = sorted((visit(browser, address) for _round in range(ROUNDS)), key=lambda one: float(one["lcp"]))
    worst = {name: max(one[name] for one in rounds) for name in ("bytes", "others", "requests", "shift")}
    middle = rounds[len(rounds) // 2]
    times = {name: round(middle[name]) for name in ("answer", "html", "loaded", "lcp")}
    return {**worst, **times, "lcp_best": round(rounds[0]["lcp"]), "lcp_worst": round(rounds[-1]["lcp"])}


def main() -> None:
    """Both measurements; prints one JSON object."""
    call_command("migrate", verbosity=0, interactive=False)
    call_command("collectstatic", verbosity=0, interactive=False)
    on_server = connection.vendor == "postgresql"
    world = data.make_world()
    own = f"/campaign?id={world.campaign.public_id}"
    paths = {"own page": own, "friend's page": f"{own}&referralCode={world.referrer.referral_code}"}
    database = servers.postgres_pid() if on_server else None
    connections.close_all()
    rates, looks, floor = [], {}, {}
    with (
        servers.granian("referrals.wsgi:application", {}, server_database=on_server) as product,
        servers.granian("bench.empty_wsgi:application", {}, server_database=on_server) as empty,
    ):
        for name, path in paths.items():
            headers = {"User-Agent": BROWSER, "Sec-Fetch-Mode": "navigate", "Accept-Encoding": "gzip"}
            rates.append(run(Case(name, load.Replay([load.raw("GET", path, headers)])), product, empty, database))
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(**launch_options())
            looks = {name: visits(browser, product[0] + path) for name, path in paths.items()}
            # What the same phone needs for two letters: the floor of these figures on this machine, at this hour.
            floor = visits(browser, empty[0])
            browser.close()
    missed = [
        f"{name}: {what} is {found[what]}, the limit is {limit}"
        for name, found in looks.items()
        for what, limit in LIMITS.items()
        if (found[what] >= limit if what in {"bytes", "lcp"} else found[what] > limit)
    ]
    print(
        json.dumps(
            {
                "database": connection.vendor,
                "results": rates,
                "first visit": looks,
                "an empty view": floor,
                "missed": missed,
            }
        )
    )


if __name__ == "__main__":
    main()
