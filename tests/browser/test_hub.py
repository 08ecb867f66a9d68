"""The affiliate hub from the directory to one's own programmes: found, applied, sent by mail, decided by the merchant, opened."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.core import mail as outbox
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from campaigns.listings import Question, save_listing
from participants.models import HubAccess, Participant
from referrals.hosted import hub_mail
from tests.browser.merchant import log_in
from tests.factories import ACTOR, make_campaign, make_cast, make_merchant, percent_rule

pytestmark = pytest.mark.django_db(transaction=True)
HOSTILE = '"><script>window.__xss=1</script><img src=x onerror="window.__xss=1">'


def mailed_path() -> str:
    """The path of the link in the newest mail."""
    found = re.search(r"http://[^/\s]+(/hub/\S+)", str(outbox.outbox[-1].body))
    assert found is not None
    return found[1]


def test_from_the_directory_to_ones_own_programmes(
    live_server: LiveServer, page: Page, axe: Callable[[Page], None], fits: Callable[[Page], None]
) -> None:
    alice = make_cast("alice@example.com", make_merchant("Halden Coffee"))
    campaign = make_campaign(
        alice.tenant, [percent_rule("20")], preset_key="affiliate_12_months", name=f"Partners {HOSTILE}"
    )
    questions = [
        Question("Where do you write?", "choice", True, ("Blog", f"Video {HOSTILE[:60]}")),
        Question(f"Anything else? {HOSTILE}", "long"),
    ]
    save_listing(
        campaign=campaign,
        actor=ACTOR,
        is_on=True,
        category="food",
        description=HOSTILE,
        terms=HOSTILE,
        questions=questions,
    )

    page.goto(f"{live_server.url}/hub/")
    page.get_by_label("Category").select_option("food")
    page.get_by_role("button", name="Find").click()
    axe(page)
    fits(page)
    page.get_by_role("heading", level=3).get_by_role("link").click()
    fits(page)
    page.get_by_label("E-mail address").fill("maya@example.net")
    page.get_by_label("First name").fill("Maya")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_text("Please answer this.")).to_have_count(2)
    page.get_by_label("Last name").fill("Cruz")
    page.get_by_label("Where do you write?").select_option("Blog")
    page.get_by_label("Anything else?").fill(HOSTILE)
    page.get_by_label("I accept the terms of this programme").check()
    axe(page)
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("heading", name="Look into your mail")).to_be_visible()

    hub_mail.sweep()
    page.goto(live_server.url + mailed_path())
    axe(page)
    fits(page)
    page.get_by_role("button", name="Send my application").click()
    expect(page.get_by_role("heading", name="Your application is with the merchant")).to_be_visible()

    log_in(page, alice.client, live_server)
    page.goto(f"{live_server.url}/app/applications/")
    axe(page)
    fits(page)
    page.get_by_role("link", name="Maya Cruz").click()
    axe(page)
    fits(page)
    page.go_back()
    page.get_by_label("Select Maya Cruz").check()
    page.get_by_label("Words for the applicants, optional").fill("Welcome!")
    page.get_by_role("button", name="Approve", exact=True).click()
    expect(page.get_by_role("status").filter(has_text="1 application approved").first).to_be_visible()
    expect(page.get_by_text("Nobody waits")).to_be_visible()
    page.goto(f"{live_server.url}/app/campaigns/{campaign.public_id}/hub/")
    axe(page)
    fits(page)

    page.goto(f"{live_server.url}/hub/me/")
    axe(page)
    page.get_by_label("E-mail address").fill("Maya@example.net")
    page.get_by_role("button", name="Send me the link").click()
    expect(page.get_by_role("heading", name="Look into your mail")).to_be_visible()
    hub_mail.send_access(HubAccess.objects.get().pk)
    page.goto(live_server.url + mailed_path())
    page.get_by_role("button", name="Open my page").click()
    code = Participant.objects.get().referral_code
    expect(page.get_by_label("Your referral link")).to_have_value(re.compile(f"/r/{code}$"))
    axe(page)
    fits(page)
    page.get_by_role("button", name="Open its page").click()
    expect(page).to_have_url(f"{live_server.url}/me/")
    assert page.evaluate("window.__xss") is None
