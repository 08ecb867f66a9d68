"""The browser fixtures notice what they promise to notice."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from scripts.browser import Watch, axe_violations, sideways_overflow

GOOD = "<!doctype html><html lang=en><title>Page</title><main><h1>Hello</h1></main></html>"


def test_a_good_page_passes(page: Page, axe: Callable[[Page], None], fits: Callable[[Page], None]) -> None:
    page.set_content(GOOD)

    axe(page)
    fits(page)
    assert page.viewport_size == {"width": 1440, "height": 900}


def test_console_errors_and_exceptions_are_collected(page: Page, watch: Watch) -> None:
    page.set_content(GOOD)
    page.evaluate(
        "() => { console.error('broken'); console.log('fine'); setTimeout(() => { throw new Error('oops') }) }"
    )
    page.wait_for_timeout(50)

    found, watch.problems = watch.problems, []
    assert len(found) == 2
    assert found[0].startswith("console: broken")
    assert found[1].startswith("exception: oops")


def test_an_unreadable_page_breaks_rules(page: Page) -> None:
    page.set_content("<!doctype html><html><title>Page</title><main><h1>Hi</h1><img src='data:,'></main></html>")

    assert [line.split(" ")[0] for line in axe_violations(page)] == ["html-has-lang", "image-alt"]


def test_what_sticks_out_is_named(page: Page) -> None:
    page.set_content("<!doctype html><html lang=en><body><div class=wide>Wide</div></body></html>")
    page.evaluate("document.querySelector('.wide').style.width = '2000px'")

    assert sideways_overflow(page) == "div.wide reaches from 8 to 2008px"


@pytest.mark.parametrize("address", ["http://example.com/", "http://192.0.2.1/"])
def test_other_machines_are_out_of_reach(page: Page, watch: Watch, address: str) -> None:
    page.set_content(GOOD)

    reached = page.evaluate("url => fetch(url, {mode: 'no-cors'}).then(() => true, () => false)", address)

    watch.problems = []
    assert reached is False
