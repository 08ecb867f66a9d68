"""From a list of customers to a participant, in a real browser: the merchant looks and confirms, the customer takes part."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.core import mail as outbox
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from participants.models import Invite, Participant
from referrals.hosted import invite_mail
from tests.browser.merchant import log_in
from tests.factories import make_campaign, make_cast, make_merchant
from tests.hosted.conftest import CHROME

pytestmark = pytest.mark.django_db(transaction=True)
Check = Callable[[Page], None]
FILE = b"name,email,consent\nMaya Chen,maya@example.net,yes\nNo,no@example.net,no\nX,broken,yes\n"


def test_a_list_is_looked_at_sent_and_a_customer_takes_part(
    page: Page, transactional_db: None, live_server: LiveServer, axe: Check, fits: Check
) -> None:
    alice = make_cast("alice@example.com", make_merchant("Halden Coffee"))
    campaign = make_campaign(alice.tenant)
    log_in(page, alice.client, live_server)
    page.goto(f"{live_server.url}/app/campaigns/{campaign.public_id}/invitations/")
    axe(page)
    fits(page)
    page.get_by_label("CSV file").set_input_files({"name": "customers.csv", "mimeType": "text/csv", "buffer": FILE})
    page.get_by_role("button", name="Look at the file").click()
    expect(page.get_by_text("1 person gets the mail.")).to_be_visible()
    expect(page.get_by_role("row", name="Did not agree to get mail 1")).to_be_visible()
    axe(page)
    fits(page)
    page.get_by_role("button", name="Invite 1 person").click()
    expect(page.get_by_text("0 of 1 sent, at most 60 a minute")).to_be_visible()
    assert invite_mail.send_due() == 1
    # The page asks again by itself.
    expect(page.get_by_text("1 of 1 sent, at most 60 a minute")).to_be_visible(timeout=10_000)
    axe(page)

    page.context.clear_cookies()
    page.set_extra_http_headers({"User-Agent": CHROME})
    path = re.search(r"http://localhost:8000(/invited/[^/\s]+)\s", str(outbox.outbox[0].body))
    assert path is not None
    page.goto(f"{live_server.url}{path[1]}/stop")
    expect(page.get_by_role("heading", name="Stop invitations?")).to_be_visible()
    axe(page)
    page.goto(f"{live_server.url}{path[1]}")
    code = Invite.objects.get().code
    expect(page.get_by_label("Your referral link")).to_have_value(f"localhost:8000/r/{code}")
    axe(page)
    fits(page)
    page.get_by_role("button", name="Take part").click()
    expect(page.get_by_label("Your referral link")).to_have_value(f"localhost:8000/r/{code}")
    assert Participant.objects.get().referral_code == code
