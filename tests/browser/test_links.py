"""Links in a real browser: where its own parser says they lead, the question before a cookie, and the pages about them."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from campaigns.destinations import destination
from campaigns.models import Campaign
from participants.models import Participant, Referral, Visit
from tests.browser.merchant import log_in
from tests.factories import Cast, make_campaign, make_cast, make_friend, make_merchant, make_participant
from tests.hosted.conftest import CHROME

pytestmark = pytest.mark.django_db(transaction=True)
Check = Callable[[Page], None]
HOSTS = {"shop.example.com", "blog.example.net"}
PIECES = [
    "https:", "http:", "javascript:", "halden:", "//", "/", "\\", "@", ":", "?", "#", ".", "%2f", "%5c", "%00", "\t", "\n", "\r", " ",
    "\u2028", "\u3002", "\u00df", "xn--", "user", "a", "443", "8443", "[::1]", "127.0.0.1",
    "evil.example.com", "shop.example.com", "blog.example.net",
]  # fmt: skip


@pytest.fixture
def alice(transactional_db: None) -> Cast:
    return make_cast("alice@example.com", make_merchant("Halden Coffee"))


@pytest.fixture
def asha(alice: Cast) -> Participant:
    return make_participant(make_campaign(alice.tenant), first_name="Asha", last_name="Verma")


def test_a_browser_reads_no_deep_link_as_leading_elsewhere(page: Page) -> None:
    """RELIABILITY INV-29: the oracle is the browser's own parser, over 4,000 addresses from a grammar of what goes wrong."""
    source = random.Random(29)
    campaign = Campaign(
        landing_mode="redirect",
        landing_url="https://shop.example.com/a?b=1#c",
        allowed_hosts=["blog.example.net"],
        app_schemes=["halden"],
    )
    asked = ["".join(source.choices(PIECES, k=source.randint(1, 7))) for _ in range(2000)]
    asked += [f"https://{text}" for text in asked]
    made = [destination(campaign, "8Mnu79TD", to=text) for text in asked]
    read = page.evaluate(
        "links => links.map(link => { const u = new URL(link); return [u.protocol, u.hostname, u.username, u.port]; })",
        made,
    )
    wrong = [
        (text, link)
        for text, link, (protocol, host, user, port) in zip(asked, made, read, strict=True)
        if not ((protocol == "https:" and host in HOSTS and not user and not port) or protocol == "halden:")
    ]
    assert wrong == []
    assert {host for _protocol, host, _user, _port in read} >= HOSTS


def test_a_visitor_is_asked_and_the_merchant_sees_the_click(
    page: Page, alice: Cast, asha: Participant, live_server: LiveServer, axe: Check, fits: Check
) -> None:
    log_in(page, alice.client, live_server)
    links = f"{live_server.url}/app/campaigns/{asha.campaign.public_id}/links/"
    page.goto(links)
    page.get_by_label("Only after the visitor agrees").check()
    page.get_by_role("button", name="Save the links").click()
    expect(page.get_by_text("Links saved")).to_be_visible()
    axe(page)
    fits(page)
    # A headless browser is a machine, and machines are not asked.
    page.set_extra_http_headers({"User-Agent": CHROME})
    page.goto(f"{live_server.url}/r/{asha.referral_code}?via=whatsapp")
    expect(page.get_by_text("Asha V. thought of you")).to_be_visible()
    assert [cookie["name"] for cookie in page.context.cookies() if cookie["name"].startswith("ref_")] == []
    axe(page)
    fits(page)
    page.get_by_role("button", name="Remember who invited me").click()
    expect(page.get_by_role("button", name="Remember who invited me")).to_have_count(0)
    [cookie] = [cookie for cookie in page.context.cookies() if cookie["name"].startswith("ref_")]
    visit = Visit.objects.get()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["value"][:22]) == (True, "Lax", visit.visitor)
    friend = make_friend(asha)
    Referral.objects.filter(invitee=friend).update(visit=visit)
    page.goto(f"{live_server.url}/app/participants/{friend.public_id}/")
    expect(page.get_by_text("Opened the link of Asha Verma (whatsapp)")).to_be_visible()


def test_the_report_and_the_host_name_are_readable_and_fit(
    page: Page, alice: Cast, asha: Participant, live_server: LiveServer, axe: Check, fits: Check
) -> None:
    make_friend(asha)
    log_in(page, alice.client, live_server)
    one = f"{live_server.url}/app/campaigns/{asha.campaign.public_id}/"
    page.goto(f"{one}report/")
    expect(page.get_by_role("heading", name="By channel")).to_be_visible()
    axe(page)
    fits(page)
    page.goto(f"{one}host/")
    page.get_by_role("textbox", name="Host name").fill("go.halden.example")
    page.get_by_role("button", name="Save the host name").click()
    expect(page.get_by_text("Not proven yet")).to_be_visible()
    axe(page)
    fits(page)
