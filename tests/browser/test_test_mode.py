"""Test mode from end to end: a referral is simulated, the clock is moved to the end of its review, and everything is deleted."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from campaigns.models import Campaign
from campaigns.presets import preset
from referrals.accounts.models import MerchantClock, Wipe
from referrals.accounts.tenancy import Tenant
from rewards import wiping
from rewards.models import Reward, State
from tests.browser.merchant import log_in
from tests.factories import make_campaign, make_cast, make_merchant, make_reward

pytestmark = pytest.mark.django_db(transaction=True)
Check = Callable[[Page], None]


def test_a_referral_is_simulated_its_review_ends_and_all_of_it_is_deleted(
    page: Page, live_server: LiveServer, axe: Check, fits: Check
) -> None:
    alice = make_cast("alice@example.com", make_merchant("Halden Coffee"))
    live = make_reward(make_campaign(alice.tenant))
    side = Tenant(alice.merchant, True)
    campaign = make_campaign(side, preset("refer_a_friend_double").rules("USD"), name="Autumn")
    log_in(page, alice.client, live_server)

    # The live side only says where to go.
    page.goto(f"{live_server.url}/app/settings/test-clock/")
    axe(page)
    page.get_by_role("main").get_by_role("button", name="Switch to test mode").click()
    page.goto(f"{live_server.url}/app/campaigns/{campaign.public_id}/")
    page.get_by_role("link", name="Simulate a referral").first.click()

    # What does not fit is said at its field, and what was chosen stays.
    page.get_by_label("The purchase is refunded").check()
    page.get_by_label("They pay").fill("minus ten")
    page.get_by_role("button", name="Play it").click()
    expect(page.get_by_label("They pay")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("The purchase is refunded")).to_be_checked()
    axe(page)
    page.get_by_label("The purchase is refunded").uncheck()
    page.get_by_label("They pay").fill("80")
    page.get_by_role("button", name="Play it").dblclick()

    expect(page.get_by_text("Bought for $80.00")).to_be_visible()
    assert sorted(Reward.objects.for_tenant(side).values_list("side", "state")) == [
        ("invitee", State.DUE),
        ("referrer", State.REVIEW),
    ]
    axe(page)
    fits(page)

    # The way on leads to the clock, which says what happened.
    page.get_by_role("button", name="Move to the next thing that happens").click()
    expect(page.get_by_role("heading", name="What happened on the last move")).to_be_visible()
    expect(page.get_by_text("$20.00 became due").first).to_be_visible()
    assert list(Reward.objects.for_tenant(side).order_by("pk").values_list("state", flat=True)) == [State.DUE] * 2
    before = MerchantClock.objects.get().moment
    with page.expect_response(lambda response: response.request.method == "POST"):
        page.get_by_role("button", name="Move a week").press("Enter")
    expect(page.get_by_role("button", name="Move a week")).to_be_focused()
    expect(page.locator("#test-now")).to_contain_text("The clock says")
    assert (MerchantClock.objects.get().moment - before).days == 7
    axe(page)
    fits(page)

    # Deleting asks for the name.
    page.get_by_role("link", name="Delete all test data").click()
    page.get_by_label("Name of the business").fill("Halden")
    page.get_by_role("button", name="Delete all test data").click()
    expect(page.get_by_text("“Halden” is not the name of this business.").first).to_be_visible()
    assert not Wipe.objects.exists()
    axe(page)
    page.get_by_label("Name of the business").fill("Halden Coffee")
    page.get_by_role("button", name="Delete all test data").click()
    expect(page.get_by_role("heading", name="It is being deleted")).to_be_visible()
    axe(page)
    wiping.carry_on(Wipe.objects.get().pk)
    expect(page.get_by_text("All test data was deleted")).to_be_visible()
    assert not Reward.objects.for_tenant(side).exists()
    assert list(Campaign.objects.order_by("pk").values_list("pk", flat=True)) == [live.campaign_id]
