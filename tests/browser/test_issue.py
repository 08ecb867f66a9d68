"""Issuing through a company, as a merchant does it in test mode: choose, confirm, watch, and say what nobody else knows."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.urls import reverse
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from integrations import trying
from integrations.payouts import sweep
from integrations.services import connect
from referrals.accounts.tenancy import Tenant
from rewards.models import Payout, PayoutBatch, Reward
from scripts.browser import NARROWEST, axe_violations_in_both_schemes, sideways_overflow
from tests.browser.issuing import beside
from tests.browser.merchant import log_in
from tests.factories import ACTOR, Cast, fixed_rule, make_campaign, make_reward
from tests.integrations.sandbox.talking import minor_of

pytestmark = pytest.mark.django_db(transaction=True)


def keeps_the_rules(page: Page) -> None:
    """Nothing sticks out, nobody is left out."""
    assert axe_violations_in_both_schemes(page) == []
    before = page.viewport_size
    page.set_viewport_size({"width": NARROWEST, "height": 844})
    assert sideways_overflow(page) == ""
    assert before is not None
    page.set_viewport_size(before)


def test_choose_confirm_watch_and_decide(page: Page, alice: Cast, live_server: LiveServer) -> None:
    alice.client.post(reverse("web:switch_mode"), {"mode": "test"})
    side = Tenant(alice.merchant, is_test=True)
    company = trying.make_up_secrets(connection=connect(tenant=side, actor=ACTOR, provider="tremendous"), actor=ACTOR)
    for name, minor, kind in (
        ("asha", 1500, "gift_card"),
        ("lost", minor_of("lost_after"), "gift_card"),
        ("odd", minor_of("other_amount"), "gift_card"),
        ("code", 500, "coupon"),
    ):
        campaign = make_campaign(side, [fixed_rule(minor, kind=kind)], name=f"For {name}")
        make_reward(campaign, f"{name}@example.com", f"of-{name}@example.net")
    log_in(page, alice.client, live_server)
    page.goto(f"{live_server.url}/app/rewards/?stage=due")

    # Choose, and see who is left out.
    page.locator("#select-page").check()
    page.locator("#act-issue").click()
    dialog = page.get_by_role("dialog", name="Issue rewards")
    expect(dialog).to_contain_text("4 rewards, 4 people")
    dialog.get_by_label("Note").fill("November")
    dialog.get_by_role("radio", name="Tremendous").check()
    expect(dialog).to_contain_text("3 rewards, 3 people")
    expect(dialog.get_by_role("radio", name="Tremendous")).to_be_focused()
    expect(dialog).to_contain_text("Another kind of reward than this method delivers: 1 reward")
    expect(dialog.get_by_label("Note")).to_have_value("November")
    keeps_the_rules(page)
    dialog.get_by_role("button", name="Issue 3 rewards").dblclick()

    # Watch it to the end.
    expect(page.locator("#progress-title")).to_have_text("0 of 3 payouts are out")
    expect(page.locator("#withdraw-ticked")).to_be_visible()
    beside(page, sweep)
    expect(page.locator("#progress-title")).to_have_text("1 of 3 payouts are out")
    expect(page.locator("#withdraw-ticked")).to_be_hidden()
    waiting = Payout.objects.filter(next_attempt_at__isnull=False)
    beside(page, lambda: waiting.update(next_attempt_at=Now() - timedelta(seconds=1)) and sweep())
    expect(page.locator("#progress-title")).to_have_text("2 of 3 payouts are out")
    expect(page.locator("#live")).to_have_text("Nothing of this batch is on its way any more.")
    expect(page.locator("#progress-reload")).to_have_count(0)
    keeps_the_rules(page)

    # One of them paid another amount: somebody has to say what counts.
    page.goto(f"{live_server.url}/app/payouts/")
    page.get_by_role("link", name="Needs attention 1").click()
    expect(page.locator(".question")).to_contain_text("odd@example.com")
    keeps_the_rules(page)
    page.get_by_role("link", name="It was paid").first.click()
    page.get_by_label("How do you know?").fill("It stands in their list.")
    page.get_by_role("button", name="It was paid").click()
    expect(page.locator(".toast")).to_contain_text("Written down as paid")

    assert PayoutBatch.objects.get().method == "tremendous"
    assert company.public_id == Payout.objects.latest("pk").account
    assert sorted(Reward.objects.values_list("participant__email", "state")) == [
        ("asha@example.com", "issued"),
        ("code@example.com", "due"),
        ("lost@example.com", "issued"),
        ("odd@example.com", "issued"),
    ]
