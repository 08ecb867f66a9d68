"""The Install page in a browser: readable for everybody, its code can be copied, and the live check looks again by itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from campaigns import sightings
from tests.browser.merchant import log_in
from tests.factories import make_campaign, make_cast, make_merchant

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_merchant_copies_code_and_sees_it_work(
    page: Page, live_server: LiveServer, axe: Callable[[Page], None], fits: Callable[[Page], None]
) -> None:
    alice = make_cast("alice@example.com", make_merchant("Halden Coffee"))
    campaign = make_campaign(alice.tenant, script_origins=["https://shop.example.com"])
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    log_in(page, alice.client, live_server)
    page.goto(f"{live_server.url}/app/campaigns/{campaign.public_id}/install/?way=app")
    axe(page)
    fits(page)
    page.get_by_role("link", name="Ruby").click()
    page.locator("#function-code").locator("xpath=..").get_by_role("button", name="Copy").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert (copied.startswith('require "json"'), campaign.public_id in copied) == (True, True)
    page.get_by_role("link", name="Your own page").click()
    check = page.locator("#seen")
    expect(check).to_contain_text("Not yet.")
    sightings.forget()
    sightings.note(campaign, "script", "https://shop.example.com")
    # As it does every ten seconds.
    with page.expect_response("**/install/?way=redirect"):
        page.evaluate(
            "htmx.ajax('GET', document.querySelector('#seen').getAttribute('hx-get'), {target: '#seen', swap: 'outerHTML'})"
        )
    expect(check).to_contain_text("https://shop.example.com")
    axe(page)
