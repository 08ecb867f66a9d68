"""Rows of a rule, by keyboard alone: tiers and conditions are added, filled in and saved; the focus goes where the next key is wanted."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from campaigns.conditions import Comparison, Group
from campaigns.rules import current_terms
from campaigns.terms import Fixed, Tier
from referrals.lib.money import Money
from tests.browser.merchant import log_in
from tests.factories import make_campaign, make_cast, make_merchant

pytestmark = pytest.mark.django_db(transaction=True)
Check = Callable[[Page], None]


def test_tiers_and_conditions_by_keyboard(page: Page, live_server: LiveServer, axe: Check, fits: Check) -> None:
    alice = make_cast("alice@example.com", make_merchant("Halden Coffee"))
    draft = make_campaign(alice.tenant, launched=False)
    log_in(page, alice.client, live_server)
    page.goto(f"{live_server.url}/app/campaigns/{draft.public_id}/rules/")
    page.locator("#id_rule-0-trigger").select_option("tier")
    for row, values in enumerate([("1", "4", "10"), ("5", "", "15")]):
        for name, value in zip(("first", "last", "amount"), values, strict=True):
            page.locator(f"#id_rule-0-tier-{row}-{name}").fill(value)

    page.locator("#rule-0-add-tier").press("Enter")
    expect(page.locator("#id_rule-0-tier-2-first")).to_be_focused()
    page.locator("#rule-0-remove-tier-2").press("Enter")
    expect(page.locator("#id_rule-0-tier-2-first")).to_have_count(0)
    expect(page.locator("#rule-0-add-tier")).to_be_focused()
    page.locator("summary", has_text="Only when").press("Enter")
    page.locator("#rule-0-add-test").press("Enter")
    expect(page.locator("#id_rule-0-cond-0-what")).to_be_focused()
    page.locator("#id_rule-0-cond-0-what").select_option("event.country")
    page.locator("#id_rule-0-cond-0-value").fill("NO")
    page.locator("#rule-0-add-group").press("Enter")
    expect(page.locator("#id_rule-0-cond-1-0-what")).to_be_focused()
    page.locator("#id_rule-0-cond-1-0-what").select_option("invitee.metadata")
    page.locator("#id_rule-0-cond-1-0-name").fill("segment")
    page.locator("#id_rule-0-cond-1-0-value").fill("gold")
    axe(page)
    fits(page)
    page.get_by_role("button", name="Save the rules").press("Enter")

    expect(page.get_by_text("Rules saved")).to_be_visible()
    draft.refresh_from_db()
    (terms,) = current_terms(draft)
    assert terms.tiers == (
        Tier(1, 4, Fixed(Money(1000, "USD"))),
        Tier(5, None, Fixed(Money(1500, "USD"))),
    )
    assert terms.conditions == Group(
        "all",
        (
            Comparison("event", "country", "is", "NO"),
            Group("any", (Comparison("invitee", "metadata.segment", "is", "gold"),)),
        ),
    )
