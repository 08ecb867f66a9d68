"""Paying to bank accounts in test mode, as a merchant does it: connect with made-up secrets, issue, and read what became of each."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.urls import reverse
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from integrations.models import Connection
from integrations.payouts import ask, sweep
from referrals.accounts.tenancy import Tenant
from rewards.models import Payout, Reward
from tests.browser.issuing import aside, is_paid_at
from tests.browser.merchant import log_in
from tests.factories import Cast, buy, fixed_rule, make_campaign, make_friend, make_participant
from tests.integrations.sandbox.talking import minor_of

pytestmark = pytest.mark.django_db(transaction=True)
IBAN = {"holder": "Asha Lindqvist", "iban": "DE89370400440532013000"}


@pytest.mark.parametrize(
    ("slug", "method", "currency", "kind", "typed", "words"),
    [
        ("wise", "wise", "EUR", "bank", IBAN, "not enough money in your balance at Wise"),
        ("razorpayx", "razorpayx_upi", "INR", "upi", {"vpa": "asha@okbank"}, "not enough money in your RazorpayX account"),
    ],
)  # fmt: skip
def test_connect_issue_and_read_what_became_of_it(
    page: Page, alice: Cast, live_server: LiveServer, slug: str, method: str, currency: str, kind: str,
    typed: dict[str, str], words: str,
) -> None:  # fmt: skip
    alice.client.post(reverse("web:switch_mode"), {"mode": "test"})
    side = Tenant(alice.merchant, is_test=True)
    for name, minor in (("asha", 1500), ("tariq", minor_of("insufficient_funds"))):
        campaign = make_campaign(
            side, [fixed_rule(minor, currency, kind="cash")], currency=currency, name=f"For {name}"
        )
        person = make_participant(campaign, f"{name}@example.com")
        is_paid_at(person, kind, typed)
        buy(make_friend(person, f"of-{name}@example.net"))
    log_in(page, alice.client, live_server)

    page.goto(f"{live_server.url}/app/connections/")
    page.locator(f'button[value="{slug}"]').click()
    page.get_by_role("button", name="Use made-up secrets").click()
    expect(page.locator("main")).to_contain_text("Ready")
    assert Connection.objects.get().settings["stand_in"] is True

    # One batch each: what is too little for one of them keeps a group of both from being paid.
    for name in ("asha", "tariq"):
        page.goto(f"{live_server.url}/app/rewards/?stage=due")
        page.get_by_role("row", name=name).get_by_role("checkbox").check()
        page.locator("#act-issue").click()
        dialog = page.get_by_role("dialog", name="Issue rewards")
        dialog.locator(f'input[type="radio"][value^="{method}:"]').check()
        dialog.get_by_role("button", name="Issue 1 reward").click()
        expect(page.locator("#progress-title")).to_be_visible()
        aside(page, sweep)
    Payout.objects.filter(status="sent").update(check_at=Now() - timedelta(seconds=1))
    ask()

    failed = reverse("web:payout", args=[Payout.objects.get(status="failed").public_id])
    page.goto(f"{live_server.url}{failed}")
    expect(page.locator("main")).to_contain_text(words)
    found = Reward.objects.order_by("pk").values_list("participant__email", "state", "reason")
    assert list(found) == [("asha@example.com", "issued", ""), ("tariq@example.com", "attention", "waiting_for_funds")]
    assert sorted(Payout.objects.values_list("status", flat=True)) == ["failed", "paid"]
