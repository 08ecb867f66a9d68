"""What the browser tests and the screenshots share: Chromium, and the rules every page has to keep."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Response, WebError

AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
NARROWEST = 320  # CSS pixels; WCAG 1.4.10 asks for no sideways scrolling at this width
ASSETS = {"stylesheet", "script", "image", "font", "media"}
CHROMIUM_FLAGS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--font-render-hinting=none",
    "--force-color-profile=srgb",
    # Pages may talk to this machine only; a request to anywhere else fails and is reported.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
    "--no-first-run",
    "--no-sandbox",
]


def find_chromium() -> str | None:
    """The path of a Chromium or Chrome: CHROMIUM from the environment, else the first one on PATH."""
    for name in (
        os.environ.get("CHROMIUM"),
        "chromium",
        "chromium-browser",
        "google-chrome",
        "google-chrome-stable",
    ):
        if name and (path := shutil.which(name)):
            return path
    return None


def launch_options() -> dict[str, Any]:
    """Arguments for `chromium.launch()`: the system's browser, quiet, unsandboxed (containers are root)."""
    path = find_chromium()
    if path is None:
        raise RuntimeError("Chromium was not found. Install it (apt install chromium) or name it: CHROMIUM=/path.")
    return {"executable_path": path, "chromium_sandbox": False, "args": CHROMIUM_FLAGS}


@dataclass
class Watch:
    """Collects what a page must never do: console errors (CSP reports too), exceptions, broken assets."""

    problems: list[str] = field(default_factory=list)

    def attach(self, context: BrowserContext) -> None:
        """Watch every page of this browser context, those opened later too."""
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        # A 404 or 422 answer to a page or fragment is a console error too; tests check those themselves.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.problems.append(f"console: {message.text} ({message.location.get('url', '')})")

    def _error(self, error: WebError) -> None:
        self.problems.append(f"exception: {error.error}")

    def _response(self, response: Response) -> None:
        if response.status >= 500 or (response.status >= 400 and response.request.resource_type in ASSETS):
            self.problems.append(f"{response.status} for {response.url}")


def axe_violations(page: Page) -> list[str]:
    """Every accessibility rule (WCAG 2.2 AA and good practice) this page breaks, one readable line each."""
    results = Axe().run(page, options={"runOnly": {"type": "tag", "values": AXE_TAGS}})
    return _lines(results.response["violations"])


def axe_violations_in_both_schemes(page: Page) -> list[str]:
    """The same in the page's colour scheme, and what changes with the scheme (contrast) in the other one; restores the scheme."""
    found = axe_violations(page)
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    page.emulate_media(color_scheme="light" if dark else "dark")
    other = page.evaluate("axe.run(document, {runOnly: {type: 'rule', values: ['color-contrast']}})")
    page.emulate_media(color_scheme="dark" if dark else "light")
    name = "light" if dark else "dark"
    return found + [f"{name}: {line}" for line in _lines(other["violations"])]


def _lines(violations: list[dict[str, Any]]) -> list[str]:
    lines = []
    for violation in violations:
        places = ", ".join(" ".join(map(str, node["target"])) for node in violation["nodes"][:5])
        lines.append(f"{violation['id']} ({violation['impact']}): {violation['help']} at {places}")
    return lines


def sideways_overflow(page: Page) -> str:
    """Which element sticks out of the window sideways at its present size; empty when none does."""
    found = page.evaluate(
        """() => {
            const root = document.documentElement;
            if (root.scrollWidth <= root.clientWidth) return "";
            for (const element of document.querySelectorAll("body *")) {
                const box = element.getBoundingClientRect();
                const name = `${element.tagName.toLowerCase()}.${element.className}`;
                if (box.right > root.clientWidth + 1 || box.left < -1)
                    return `${name} reaches from ${Math.round(box.left)} to ${Math.round(box.right)}px`;
            }
            return `the page is ${root.scrollWidth}px wide`;
        }"""
    )
    return str(found)
