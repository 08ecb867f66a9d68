"""Stripe and Shopify pay in test mode, as a merchant sees it: a code, a credit that waits for a customer, one of which nobody knows."""

from __future__ import annotations

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from integrations import trying
from integrations.payouts import sweep
from integrations.sandbox.sending import stand_in
from integrations.services import connect
from referrals.accounts.tenancy import Tenant
from rewards.models import Payout, Reward
from tests.browser.issuing import aside, paid_by
from tests.browser.merchant import log_in
from tests.factories import ACTOR, Cast, fixed_rule, make_campaign, make_reward
from tests.integrations.sandbox.talking import minor_of

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_code_a_credit_that_waits_and_one_of_which_nobody_knows(
    page: Page, alice: Cast, live_server: LiveServer
) -> None:
    alice.client.post(reverse("web:switch_mode"), {"mode": "test"})
    side = Tenant(alice.merchant, is_test=True)
    stripe, shop = (
        trying.make_up_secrets(connection=connect(tenant=side, actor=ACTOR, provider=slug), actor=ACTOR)
        for slug in ("stripe", "shopify")
    )
    due = {}
    for name, minor, kind in (
        ("code", 1500, "coupon"),
        ("waits", 2000, "store_credit"),
        ("lost", minor_of("lost_after"), "store_credit"),
    ):
        campaign = make_campaign(side, [fixed_rule(minor, kind=kind)], name=f"For {name}")
        due[name] = make_reward(campaign, f"{name}@example.com", f"of-{name}@example.net")
    order = '{"amount_minor": 100, "currency": "USD", "email": "lost@example.com"}'
    stand_in(shop).send("POST", "https://shop/play/order", headers={"X-Shopify-Access-Token": "shpat_x"}, body=order)
    log_in(page, alice.client, live_server)

    def issue(name: str, way: str) -> Payout:
        page.goto(f"{live_server.url}/app/rewards/?stage=due")
        page.locator("tr", has_text=f"{name}@example.com").locator("input[type=checkbox]").check()
        page.locator("#act-issue").click()
        dialog = page.get_by_role("dialog", name="Issue rewards")
        dialog.get_by_role("radio", name=way).check()
        expect(dialog.get_by_role("radio", name=way)).to_be_focused()
        if name == "code":
            dialog.get_by_label("The code begins with").fill("thanks")
        dialog.get_by_role("button", name="Issue 1 reward").click()
        expect(page.locator("#progress-title")).to_have_text("0 of 1 payout is out")
        aside(page, sweep)
        payout = Payout.objects.latest("pk")
        page.goto(f"{live_server.url}/app/payouts/one/{payout.public_id}/")
        return payout

    # A code of their own: its last four letters are shown to the team, the whole only to who asks for it.
    paid = issue("code", "Stripe promotion code")
    expect(page.locator("main")).to_contain_text("says that it was paid")
    assert paid.gift.secrets["code"].startswith("THANKS-")
    expect(page.locator("main")).to_contain_text(paid.gift.hint)
    expect(page.locator("main")).not_to_contain_text(paid.gift.secrets["code"])

    issue("waits", "Stripe customer balance")
    expect(page.locator("main")).to_contain_text("They are no customer in Stripe yet")
    expect(page.locator("main")).to_contain_text("once a customer of theirs is known")

    issue("lost", "Shopify store credit")
    expect(page.locator("main")).to_contain_text("Around that time the shop wrote on their store credit: USD 66.21 at")
    page.get_by_role("link", name="It was paid").first.click()
    page.get_by_label("How do you know?").fill("It is the only credit of that day.")
    page.get_by_role("button", name="It was paid").click()
    expect(page.locator(".toast")).to_contain_text("Written down as paid")

    assert {name: Reward.objects.get(pk=row.pk).state for name, row in due.items()} == {
        "code": "issued",
        "waits": "waiting",
        "lost": "issued",
    }
    assert [paid_by(one) for one in (stripe, shop)] == [[1500], [minor_of("lost_after")]]
