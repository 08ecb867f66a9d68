"""Chromium for the tests, and the rules that every page they open has to keep."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.signals import request_finished, request_started
from playwright.sync_api import BrowserContext, Page
from pytest_django.live_server_helper import LiveServer

from rewards import advancing
from scripts.browser import NARROWEST, Watch, axe_violations_in_both_schemes, launch_options, sideways_overflow
from tests.browser.issuing import Desk
from tests.browser.shop import Shop, running_shop
from tests.factories import Cast


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder carries the `browser` mark."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """The system's Chromium instead of a downloaded one."""
    return {**browser_type_launch_args, **launch_options()}


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    """A laptop's window, English, no animations; a test may still resize, or ask for its own context."""
    return {
        **browser_context_args,
        "viewport": {"width": 1440, "height": 900},
        "locale": "en-GB",
        "timezone_id": "UTC",
        "reduced_motion": "reduce",
    }


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Fails the test for console errors, CSP reports, exceptions, broken assets and 500s.

    `page` and `context` are watched by themselves; call `watch.attach(other_context)` for contexts made by
    hand, and `watch.problems.clear()` where a test provokes an error on purpose.
    """
    watch = Watch()
    yield watch
    assert watch.problems == []


@pytest.fixture
def context(context: BrowserContext, watch: Watch) -> BrowserContext:
    """The browser context of `page`, watched."""
    watch.attach(context)
    return context


@pytest.fixture(autouse=True)
def _answered(db: None) -> Iterator[None]:
    """What the live server still answers when its page is closed is answered before the tables are emptied: both have one connection."""
    answering, changed = 0, threading.Condition()

    def began(**_more: Any) -> None:
        nonlocal answering
        with changed:
            answering += 1

    def ended(**_more: Any) -> None:
        nonlocal answering
        with changed:
            answering -= 1
            changed.notify_all()

    request_started.connect(began, weak=False)
    request_finished.connect(ended, weak=False)
    yield
    with changed:
        changed.wait_for(lambda: answering <= 0, timeout=10)
    request_started.disconnect(began)
    request_finished.disconnect(ended)


@pytest.fixture
def axe() -> Callable[[Page], None]:
    """`axe(page)` fails with a readable list when the page breaks an accessibility rule, in light or in dark colours."""

    def check(page: Page) -> None:
        assert axe_violations_in_both_schemes(page) == []

    return check


@pytest.fixture
def shop() -> Iterator[Shop]:
    """A shop of another origin."""
    with running_shop() as server:
        yield server


@pytest.fixture
def desk(page: Page, alice: Cast, live_server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Alice's test side, in the browser. A move of its clock is made at once, however busy the machine is: no worker goes on with it."""
    monkeypatch.setattr(advancing, "REQUEST_SECONDS", 60.0)
    return Desk(page, live_server, alice)


@pytest.fixture
def fits() -> Callable[[Page], None]:
    """`fits(page)` fails when the page scrolls sideways at 320, 390 or 1440 pixels; restores the size."""

    def check(page: Page) -> None:
        before = page.viewport_size
        for width in (NARROWEST, 390, 1440):
            page.set_viewport_size({"width": width, "height": 900})
            assert sideways_overflow(page) == "", f"at {width}px"
        if before:
            page.set_viewport_size(before)

    return check
