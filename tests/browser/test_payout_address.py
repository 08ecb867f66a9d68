"""Where a participant is paid, on the test side: what waits for an address, a change held for 72 hours, and the clock that ends it."""

from __future__ import annotations

import pytest
from django.core import mail as outbox
from playwright.sync_api import expect

from integrations import issuing
from integrations.sandbox.base import money_of
from integrations.sandbox.state import Rows
from participants.models import MailOrder
from referrals.hosted import orders
from tests.browser.issuing import Desk, outcomes
from tests.browser.test_issue import keeps_the_rules
from tests.browser.test_portal import mailed
from tests.factories import ACTOR, buy, fixed_rule, make_campaign, make_friend, make_participant

pytestmark = pytest.mark.django_db(transaction=True)


def test_what_waits_is_paid_to_the_new_address_when_its_72_hours_are_over(desk: Desk) -> None:
    page, company = desk.page, desk.connect("wise")
    rule = fixed_rule(1500, "EUR", kind="cash", delivery="immediate")
    asha = make_participant(make_campaign(desk.side, [rule], currency="EUR"), "asha@example.com")
    buy(make_friend(asha, "maya@example.net"))
    way = f"wise:{company.public_id}"
    issuing.set_route(tenant=desk.side, actor=ACTOR, side="referrer", kind="cash", method=way, options={})
    issuing.sweep()
    assert outcomes() == [("asha", "waiting", "waiting_for_recipient")]

    def enters(email: str) -> None:
        page.goto(f"{desk.url}/me/settings")
        address = page.get_by_role("region", name="Payout address")
        address.locator("summary", has_text="Wise, by e-mail").click()
        form = address.locator("form").filter(has=page.get_by_label("E-mail address"))
        form.get_by_label("Name of the account's owner").fill("Asha Rao")
        form.get_by_label("E-mail address").fill(email)
        form.locator("button.cta").click()
        expect(address.get_by_role("status").first).to_contain_text("confirm it there")
        here = address.get_by_role("link", name="Test mode sends no mail to strangers: confirm here.")
        if email == desk.cast.user.email:
            expect(here).to_have_count(0)
            page.goto(mailed(desk.live_server, "/me/payout/confirm/"))
        else:
            here.click()
        page.get_by_role("button", name="Yes, pay there").click()
        expect(page.get_by_role("status").first).to_be_visible()

    # The first address counts at once; a change is held, and the old address hears of it.
    desk.open_own_page(asha)
    expect(page.get_by_role("status").filter(has_text="waits for you")).to_contain_text("€15 from Halden Coffee")
    enters("alice@example.com")
    enters("new@pay.example")
    expect(page.get_by_role("status").first).to_contain_text("Until then nothing is paid")
    outbox.outbox.clear()
    for pk in MailOrder.objects.filter(sent_at=None).order_by("pk").values_list("pk", flat=True):
        orders.send(pk)
    told = [(message.to, message.subject) for message in outbox.outbox]
    assert told == [(["alice@example.com"], "[Test] Your payout address at Halden Coffee has changed")]
    page.goto(f"{desk.url}/me/settings")
    expect(page.get_by_role("region", name="Payout address")).to_contain_text("Payouts go to n•••@pay.example")
    expect(page.get_by_role("region", name="Payout address")).to_contain_text("Until then nothing is paid")
    keeps_the_rules(page)
    issuing.sweep()
    desk.carry_out()
    assert outcomes() == [("asha", "waiting", "waiting_for_recipient")]

    # The clock stops where the hold ends: it is due, and leaves for the new address.
    desk.reads("/app/settings/test-clock/", "What waits for asha@example.com can be paid to their address")
    desk.move_clock("Move to the next thing that happens")
    desk.carry_out()
    assert outcomes() == [("asha", "issued", "")]
    assert [(row.to, row.money.minor) for row in money_of(Rows(company))] == [("new@pay.example", 1500)]
    page.goto(f"{desk.url}/me/")
    expect(page.get_by_role("region", name="Your rewards")).to_contain_text("€15 sent on")
