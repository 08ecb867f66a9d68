"""The merchant app's script: selecting, shortcuts, copying, dialogs, toasts. On a page of its own, so that it needs no data."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.template import engines
from playwright.sync_api import BrowserContext, Page, Route, expect
from pytest_django.live_server_helper import LiveServer

ROWS = [("Asha", 1500, "USD", 2), ("Tomas", 1550, "USD", 2), ("Yuki", 2000, "JPY", 0), ("Noor", 1250, "KWD", 3)]
PAGE = """
{% extends "base.html" %}{% load static ui %}
{% block title %}Script{% endblock %}
{% block head %}<script src="{% static 'js/early.js' %}"></script>{% endblock %}
{% block body %}<main id="content"><h1>Rewards</h1>
<div class="field"><input type="search" aria-label="Search" data-key="/"></div>
<form data-select method="get" action="/sent/">
  <div class="bulk" role="region" aria-label="Selection"><span class="bulk__off">Tick rewards</span>
    <span class="bulk__on"><b data-selected-count></b> <span data-selected-sum></span></span></div>
  <table class="table"><thead><tr><th scope="col" class="t-check"><input type="checkbox" data-select-page aria-label="Page"></th>
    <th scope="col">Name</th><th scope="col">Action</th></tr></thead><tbody>
  {% for name, minor, currency, exponent in rows %}<tr><td class="t-check"><input type="checkbox" id="box-{{ name }}" name="reward"
    value="{{ name }}" data-minor="{{ minor }}" data-currency="{{ currency }}" data-exponent="{{ exponent }}"
    aria-label="Select {{ name }}"></td>
    <th scope="row" class="t-main"><a href="/open/{{ name }}/" data-open>{{ name }}</a></th>
    <td class="t-act"><button name="one" value="{{ name }}" data-key="i">Issue {{ name }}</button></td></tr>{% endfor %}
  </tbody></table>
</form>
<input id="link" value="https://example.com/r/8Mnu09TD" aria-label="Link" readonly>
<button type="button" data-copy="#link"><span>Copy</span></button>
<a href="/without-script/" data-dialog="ask">Ask</a></main>
<dialog id="ask" class="dialog" aria-label="Sure?"><form method="dialog"><button type="button" data-close>Cancel</button></form></dialog>
{% include "components/_keys.html" %}{% endblock %}
{% block toasts %}{% include "components/_toast.html" with text="2 rewards issued" undo="/undo/" %}{% endblock %}
{% block scripts %}<script src="{% static 'js/app.js' %}" type="module"></script>{% endblock %}
"""


@pytest.fixture
def kit(page: Page, live_server: LiveServer) -> Page:
    """A page with everything the script answers to."""
    html = engines["django"].from_string(PAGE.strip()).render({"rows": ROWS})

    def answer(route: Route) -> None:
        route.fulfill(body=html, content_type="text/html")

    page.route(f"{live_server.url}/kit/", answer)
    page.goto(f"{live_server.url}/kit/")
    expect(page.locator("html")).to_have_class("js")
    expect(page.get_by_text("Tick rewards")).to_be_visible()
    return page


def ticked(page: Page) -> list[str]:
    """The names of the rows that are ticked."""
    found: list[str] = page.eval_on_selector_all("tbody :checked", "all => all.map(one => one.value)")
    return found


def test_the_kit_keeps_the_rules(kit: Page, axe: Callable[[Page], None], fits: Callable[[Page], None]) -> None:
    axe(kit)
    fits(kit)


def test_sums_of_the_selection_stand_side_by_side(kit: Page) -> None:
    for name in ("Asha", "Tomas", "Yuki", "Noor"):
        kit.get_by_label(f"Select {name}").check()

    expect(kit.locator("[data-selected-count]")).to_have_text("4")
    expect(kit.locator("[data-selected-sum]")).to_have_text("$30.50, ¥2,000, and KWD\N{NO-BREAK SPACE}1.250")
    expect(kit.get_by_text("Tick rewards")).to_be_hidden()
    expect(kit.get_by_label("Page")).to_be_checked()


def test_shift_and_a_click_select_the_range(kit: Page) -> None:
    kit.get_by_label("Select Asha").click()
    kit.get_by_label("Select Yuki").click(modifiers=["Shift"])

    assert ticked(kit) == ["Asha", "Tomas", "Yuki"]
    expect(kit.locator("tr[aria-selected=true]")).to_have_count(3)

    kit.get_by_label("Select Tomas").click()
    kit.get_by_label("Select Yuki").click(modifiers=["Shift"])
    assert ticked(kit) == ["Asha"]


def test_the_box_in_the_head_selects_the_page(kit: Page) -> None:
    kit.get_by_label("Page").click()
    assert len(ticked(kit)) == len(ROWS)

    kit.get_by_label("Page").click()
    assert ticked(kit) == []


def test_rows_are_reached_and_ticked_by_keyboard(kit: Page) -> None:
    kit.keyboard.press("j")
    expect(kit.get_by_role("link", name="Asha")).to_be_focused()
    kit.keyboard.press("x")
    kit.keyboard.press("j")
    kit.keyboard.press("j")
    kit.keyboard.press("Shift+X")

    assert ticked(kit) == ["Asha", "Tomas", "Yuki"]
    kit.keyboard.press("k")
    expect(kit.get_by_role("link", name="Tomas")).to_be_focused()


def test_enter_in_a_tick_box_opens_the_row_and_sends_nothing(kit: Page, live_server: LiveServer) -> None:
    kit.route("**/open/**", lambda route: route.fulfill(body="<h1>Open</h1>", content_type="text/html"))
    kit.get_by_label("Select Yuki").press("Enter")

    kit.wait_for_url(f"{live_server.url}/open/Yuki/")


def test_i_issues_the_row_in_hand(kit: Page, live_server: LiveServer) -> None:
    kit.route("**/sent/**", lambda route: route.fulfill(body="<h1>Sent</h1>", content_type="text/html"))
    kit.keyboard.press("j")
    kit.keyboard.press("j")
    kit.keyboard.press("i")

    kit.wait_for_url(f"{live_server.url}/sent/?one=Tomas")


def test_keys_are_letters_while_typing(kit: Page) -> None:
    kit.keyboard.press("/")
    search = kit.get_by_label("Search")
    expect(search).to_be_focused()
    search.press_sequentially("jx?")

    expect(search).to_have_value("jx?")
    expect(kit.locator("#keys")).to_be_hidden()


def test_single_keys_can_be_turned_off_for_good(kit: Page) -> None:
    kit.keyboard.press("?")
    expect(kit.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    kit.get_by_role("switch", name="Use single-key shortcuts").uncheck()
    kit.keyboard.press("Escape")
    kit.reload()

    kit.keyboard.press("j")
    kit.keyboard.press("?")

    expect(kit.locator("#keys")).to_be_hidden()
    expect(kit.locator("tr.is-at")).to_have_count(0)


def test_copying_says_so(kit: Page, context: BrowserContext) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    kit.get_by_role("button", name="Copy").click()

    expect(kit.get_by_role("button", name="Copied")).to_be_visible()
    expect(kit.locator("#live")).to_have_text("Copied")
    assert kit.evaluate("navigator.clipboard.readText()") == "https://example.com/r/8Mnu09TD"
    expect(kit.get_by_role("button", name="Copy", exact=True)).to_be_visible()


def test_a_dialog_opens_in_place_of_its_page(kit: Page, live_server: LiveServer) -> None:
    kit.get_by_role("link", name="Ask").click()
    expect(kit.get_by_role("dialog", name="Sure?")).to_be_visible()
    kit.get_by_role("button", name="Cancel").click()

    expect(kit.locator("#ask")).to_be_hidden()
    assert kit.url == f"{live_server.url}/kit/"


def test_a_toast_can_be_dismissed(kit: Page) -> None:
    toast = kit.get_by_text("2 rewards issued")
    expect(toast).to_be_visible()
    kit.get_by_role("button", name="Dismiss").click()

    expect(toast).to_have_count(0)
