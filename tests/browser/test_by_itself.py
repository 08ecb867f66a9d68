"""Rewards that go out by themselves: a way is chosen, the test clock is moved, and the run, its batch and what was given show."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from integrations import issuing
from integrations.services import disconnect
from referrals.lib.money import Money
from rewards.models import PayoutBatch, PayoutRun, Reward
from tests.browser.issuing import Desk, outcomes, paid_by, payout_of
from tests.browser.test_issue import keeps_the_rules
from tests.factories import ACTOR, buy, fixed_rule, make_campaign, make_friend, make_participant
from tests.web.helpers import freshen

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_way_is_chosen_the_clock_is_moved_and_the_run_has_paid(desk: Desk) -> None:
    freshen(desk.cast.client, desk.cast.user)
    page, company = desk.page, desk.connect("stripe")
    rules = [
        fixed_rule(1500, kind="coupon", delivery="day_15"),
        fixed_rule(1000, kind="coupon", delivery="immediate", side="invitee", review_days=3),
    ]
    asha = make_participant(make_campaign(desk.side, rules, name="Spring"), "asha@example.com")
    buy(make_friend(asha, "maya@example.net"))

    # What is missing is said, and leads to the choice.
    desk.reads("/app/settings/payouts/", "Coupon for referrers in Spring, on the 15th", "1 reward waits")
    keeps_the_rules(page)
    way = f"stripe_coupon:{company.public_id}"
    issuing.set_route(tenant=desk.side, actor=ACTOR, side="invitee", kind="coupon", method=way, options={})
    page.get_by_role("link", name="Choose a way Coupon for referrers").click()
    page.get_by_role("radio", name="Stripe promotion code").check()
    page.get_by_role("button", name="Go on").click()
    page.get_by_label("The code begins with").fill("thanks")
    page.get_by_role("button", name="Pay this way from now on").click()
    expect(page.locator(".toast")).to_contain_text("It counts from the next run on.")
    expect(page.get_by_text("These rules say that their rewards go out")).to_have_count(0)
    assert (PayoutRun.objects.count(), PayoutBatch.objects.count()) == (0, 0)

    # The clock goes to what comes next, until both have left.
    desk.reads("/app/settings/test-clock/", "What is due as Coupon is paid")
    desk.move_clock(days=32)
    desk.carry_out()

    # The run stands with the way, and leads to the batch; what was given is on their own page.
    desk.reads("/app/settings/payouts/")
    page.get_by_role("link", name="Coupon for referrers").click()
    page.get_by_role("region", name="Last runs").get_by_role("link", name="$15.00").click()
    expect(page.locator("#progress-title")).to_have_text("1 of 1 payout is out")
    expect(page.locator("main")).to_contain_text("asha@example.com")
    assert PayoutRun.objects.filter(batch__isnull=False, below=0).count() == PayoutBatch.objects.count() == 2
    assert (paid_by(company), outcomes()) == ([1000, 1500], [("asha", "issued", ""), ("maya", "issued", "")])
    desk.open_own_page(asha)
    code = payout_of("asha").gift.secrets["code"]
    assert code.startswith("THANKS-")
    expect(page.get_by_role("region", name="Your rewards").get_by_label("Code")).to_have_value(code)


def test_what_is_too_little_or_has_no_company_any_more_stays_and_the_pages_say_why(desk: Desk) -> None:
    page, company = desk.page, desk.connect("stripe")
    rule = fixed_rule(1500, kind="coupon", delivery="weekly", minimum_payout=Money(2500, "USD"))
    asha = make_participant(make_campaign(desk.side, [rule]), "asha@example.com")
    buy(make_friend(asha, "maya@example.net"))
    way = f"stripe_coupon:{company.public_id}"
    route = issuing.set_route(
        tenant=desk.side, actor=ACTOR, side="referrer", kind="coupon", method=way, options={"prefix": "THANKS"}
    )

    # Below the smallest payout: the run is made, and takes nothing.
    desk.move_clock("Move a week")
    url = f"/app/settings/payouts/ways/{route.public_id}/"
    desk.reads(url, "Nothing was to be paid", "1 reward below the smallest payout")
    desk.reads(
        f"/app/rewards/{Reward.objects.get().public_id}/",
        "Waits until $25.00 is reached: $15.00 so far",
        "Due for 1 week",
    )

    # A second friend: that would do, and now the company is gone.
    buy(make_friend(asha, "ines@example.net"))
    disconnect(connection=company, actor=ACTOR)
    desk.move_clock("Move a week")
    desk.reads("/app/settings/payouts/", "Not connected")
    desk.reads(url, "The company is not connected any more. Connect it again, or choose another way.")
    keeps_the_rules(page)
    assert outcomes() == [("asha", "due", ""), ("asha", "due", "")]
    assert (PayoutBatch.objects.count(), PayoutRun.objects.count(), paid_by(company)) == (0, 1, [])
