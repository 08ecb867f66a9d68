"""Two stories in test mode, as a merchant plays them: PayPal, whose batch waits for its money, and gift cards from a catalogue."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.urls import reverse
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from integrations import catalogue
from integrations.models import Connection
from integrations.payouts import ask, sweep
from referrals.accounts.tenancy import Tenant
from rewards.models import Payout, Reward
from tests.browser.issuing import aside, is_paid_at
from tests.browser.merchant import log_in
from tests.browser.test_issue import keeps_the_rules
from tests.factories import Cast, buy, fixed_rule, make_campaign, make_friend, make_participant
from tests.integrations.sandbox.talking import minor_of
from tests.web.helpers import freshen

pytestmark = pytest.mark.django_db(transaction=True)


def owed(side: Tenant, kind: str, **people: int) -> None:
    """Each of them is owed so much, in cents."""
    for name, minor in people.items():
        person = make_participant(
            make_campaign(side, [fixed_rule(minor, kind=kind)], name=f"For {name}"), f"{name}@example.com"
        )
        if kind == "cash":
            is_paid_at(person, "paypal", {"email": f"{name}@example.com"})
        buy(make_friend(person, f"of-{name}@example.net"))


def connected(page: Page, url: str, slug: str) -> None:
    """The company's card, with made-up secrets, so that its stand-in answers."""
    page.goto(f"{url}/app/connections/")
    page.locator(f'button[value="{slug}"]').click()
    page.get_by_role("button", name="Use made-up secrets").click()
    expect(page.locator("main")).to_contain_text("Ready")
    assert Connection.objects.get().settings["stand_in"] is True


def outcomes() -> list[tuple[str, str, str]]:
    """Each recipient with the payout's status and where the reward stands."""
    rows = Reward.objects.order_by("participant__email").values_list("participant__email", "state", "reason")
    return list(rows)


def test_paypal_waits_for_its_money_and_each_item_has_its_own_end(
    page: Page, alice: Cast, live_server: LiveServer
) -> None:
    alice.client.post(reverse("web:switch_mode"), {"mode": "test"})
    freshen(alice.client, alice.user)
    side = Tenant(alice.merchant, is_test=True)
    owed(side, "cash", asha=1500, lena=2000, locked=minor_of("account_closed"))
    log_in(page, alice.client, live_server)
    connected(page, live_server.url, "paypal")
    keeps_the_rules(page)

    page.goto(f"{live_server.url}/app/rewards/?stage=due")
    page.locator("#select-page").check()
    page.locator("#act-issue").click()
    dialog = page.get_by_role("dialog", name="Issue rewards")
    dialog.locator('input[type="radio"][value^="paypal:"]').check()
    dialog.get_by_role("button", name="Issue 3 rewards").click()
    expect(page.locator("#progress-title")).to_have_text("0 of 3 payouts are out")
    aside(page, sweep)
    assert Payout.objects.filter(status="queued").count() == 3

    page.goto(f"{live_server.url}/app/payouts/waiting/")
    keeps_the_rules(page)
    page.get_by_role("button", name="The money is there").click()
    keeps_the_rules(page)
    page.get_by_role("button", name="is there").click()
    expect(page.locator(".toast")).to_be_visible()
    aside(page, sweep)
    Payout.objects.filter(check_at__isnull=False).update(check_at=Now() - timedelta(seconds=1))
    ask()

    page.goto(f"{live_server.url}/app/payouts/")
    page.get_by_role("link", name="3 people").first.click()
    failed = Payout.objects.get(status="failed")
    expect(page.locator("main")).to_contain_text("2 of 3 payouts are out")
    page.goto(f"{live_server.url}{reverse('web:payout', args=[failed.public_id])}")
    expect(page.locator("main")).to_contain_text("locked or closed")
    assert outcomes() == [
        ("asha@example.com", "issued", ""),
        ("lena@example.com", "issued", ""),
        ("locked@example.com", "waiting", "waiting_for_recipient"),
    ]


def test_a_gift_card_is_chosen_from_the_products_and_too_little_money_is_said(
    page: Page, alice: Cast, live_server: LiveServer
) -> None:
    alice.client.post(reverse("web:switch_mode"), {"mode": "test"})
    side = Tenant(alice.merchant, is_test=True)
    owed(side, "gift_card", asha=2500, tariq=minor_of("insufficient_funds"))
    log_in(page, alice.client, live_server)
    connected(page, live_server.url, "giftcards")
    catalogue.sweep()
    page.get_by_role("link", name="See the products").click()
    expect(page.locator(".products")).to_contain_text("Halden Coffee")
    keeps_the_rules(page)

    for name in ("asha", "tariq"):
        page.goto(f"{live_server.url}/app/rewards/?stage=due")
        page.get_by_role("row", name=name).get_by_role("checkbox").check()
        page.locator("#act-issue").click()
        dialog = page.get_by_role("dialog", name="Issue rewards")
        dialog.locator('input[type="radio"][value^="giftcards:"]').check()
        dialog.get_by_role("combobox", name="Gift card").select_option("CVS")
        dialog.get_by_role("button", name="Issue 1 reward").click()
        expect(page.locator("#progress-title")).to_be_visible()
        aside(page, sweep)

    failed = Payout.objects.get(status="failed")
    page.goto(f"{live_server.url}{reverse('web:payout', args=[failed.public_id])}")
    expect(page.locator("main")).to_contain_text("not enough money")
    assert outcomes() == [
        ("asha@example.com", "issued", ""),
        ("tariq@example.com", "attention", "waiting_for_funds"),
    ]
