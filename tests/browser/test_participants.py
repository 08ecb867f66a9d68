"""The participants' pages as people meet them: found, looked at, rewarded, banned; light, dark, small, without scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from participants.models import Participant, Referral
from rewards.models import Reward
from tests.browser.merchant import log_in
from tests.factories import Cast, buy, make_campaign, make_cast, make_friend, make_merchant, make_participant

pytestmark = pytest.mark.django_db(transaction=True)
Check = Callable[[Page], None]


@pytest.fixture
def alice(transactional_db: None) -> Cast:
    return make_cast("alice@example.com", make_merchant("Halden Coffee"))


@pytest.fixture
def asha(alice: Cast) -> Participant:
    """A referrer with one friend, Maya, who has bought nothing yet."""
    asha = make_participant(make_campaign(alice.tenant), first_name="Asha", last_name="Verma")
    make_friend(asha, first_name="Maya", last_name="Chen")
    return asha


@pytest.fixture(params=[True, False], ids=["with scripts", "without scripts"])
def any_page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A page with and without JavaScript."""
    context = browser.new_context(java_script_enabled=request.param, locale="en-GB")
    yield context.new_page()
    context.close()


def test_every_page_is_readable_and_fits(
    page: Page, alice: Cast, asha: Participant, live_server: LiveServer, axe: Check, fits: Check
) -> None:
    maya = Referral.objects.get().invitee
    event = buy(maya).event
    long = make_friend(asha, f"{'very-long-address-' * 3}@example.net", first_name="Wolfeschlegelsteinhausen" * 3)
    log_in(page, alice.client, live_server)
    one, other = f"/app/participants/{asha.public_id}/", f"/app/participants/{maya.public_id}/"
    paths = [
        "/app/participants/",
        "/app/participants/?q=nobody@",
        "/app/participants/new/",
        one,
        f"/app/participants/{long.public_id}/",
        f"{other}complete/",
        f"/app/purchases/{event.public_id}/",
        f"{one}ban/",
    ]
    for path in paths:
        page.goto(live_server.url + path)
        expect(page.locator("h1")).to_be_visible()
        axe(page)
        fits(page)


def test_somebody_is_found_from_anywhere_by_keyboard(
    page: Page, alice: Cast, asha: Participant, live_server: LiveServer
) -> None:
    log_in(page, alice.client, live_server)
    page.goto(f"{live_server.url}/app/campaigns/")
    page.keyboard.press("/")
    page.keyboard.type("maya@")
    page.keyboard.press("Enter")

    expect(page.get_by_role("rowheader")).to_have_count(1)
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Maya Chen")


def test_filters_narrow_the_list(any_page: Page, alice: Cast, asha: Participant, live_server: LiveServer) -> None:
    page = any_page
    log_in(page, alice.client, live_server)
    page.goto(f"{live_server.url}/app/participants/")
    expect(page.get_by_role("rowheader")).to_have_count(2)

    page.get_by_label("Role").select_option("referrer")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.get_by_role("rowheader")).to_have_count(1)
    expect(page.get_by_role("rowheader")).to_contain_text("Asha Verma")
    page.get_by_role("link", name="Clear").click()
    expect(page.get_by_role("rowheader")).to_have_count(2)


def test_a_purchase_by_hand_shows_what_it_led_to(
    any_page: Page, alice: Cast, asha: Participant, live_server: LiveServer
) -> None:
    page = any_page
    log_in(page, alice.client, live_server)
    page.goto(f"{live_server.url}/app/participants/{asha.public_id}/")
    page.get_by_role("link", name="Maya Chen").click()
    page.get_by_role("link", name="Record a purchase").click()
    expect(page.get_by_text("Maya Chen was invited by Asha Verma.")).to_be_visible()

    page.get_by_label("Amount paid").fill("sixty")
    page.get_by_role("button", name="Record and decide").click()
    expect(page.get_by_text("“sixty” is not an amount; write it like 12.50.")).to_be_visible()
    page.get_by_label("Amount paid").fill("64.20")
    page.get_by_label("Order number").fill("10482")
    page.get_by_role("button", name="Record and decide").click()

    expect(page.get_by_text("Recorded: 1 reward earned")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_text("Maya Chen")
    expect(page.locator("#content")).to_contain_text("$64.20")
    expect(page.get_by_text("Met: Came through a referral")).to_be_visible()
    assert Reward.objects.get().participant == asha

    page.get_by_label("Amount given back").fill("64.20")
    page.get_by_role("button", name="Record the refund").click()
    expect(page.get_by_text("Refund recorded.")).to_be_visible()
    assert Reward.objects.get().state == "void"


def test_a_ban_and_its_undo(any_page: Page, alice: Cast, asha: Participant, live_server: LiveServer) -> None:
    page = any_page
    log_in(page, alice.client, live_server)
    page.goto(f"{live_server.url}/app/participants/{asha.public_id}/")
    page.get_by_role("link", name="Ban", exact=True).click()
    page.get_by_role("button", name="Ban this person").click()
    expect(page.get_by_text("Say why, so that it can be explained later.")).to_be_visible()
    page.get_by_label("Reason").fill("Own orders")
    page.get_by_role("button", name="Ban this person").click()
    expect(page.get_by_text("Asha Verma is banned")).to_be_visible()
    assert Participant.objects.get(pk=asha.pk).is_banned

    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("The ban of Asha Verma is lifted")).to_be_visible()
    assert not Participant.objects.get(pk=asha.pk).is_banned


def test_the_link_is_copied(page: Page, alice: Cast, asha: Participant, live_server: LiveServer) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    log_in(page, alice.client, live_server)
    page.goto(f"{live_server.url}/app/participants/{asha.public_id}/")
    page.get_by_role("region", name="Their link").get_by_role("button", name="Copy").first.click()

    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert f"referralCode={asha.referral_code}" in page.evaluate("navigator.clipboard.readText()")


def test_somebody_is_added_by_hand(any_page: Page, alice: Cast, asha: Participant, live_server: LiveServer) -> None:
    page = any_page
    log_in(page, alice.client, live_server)
    page.goto(f"{live_server.url}/app/participants/")
    page.get_by_role("link", name="Add somebody").click()
    page.get_by_label("E-mail address").fill("ken@example.net")
    page.get_by_label("Invited by").fill("NOSUCH99")
    page.get_by_role("button", name="Add the participant").click()
    expect(page.get_by_text("No referral code NOSUCH99")).to_be_visible()
    page.get_by_label("Invited by").fill(asha.referral_code)
    page.get_by_role("button", name="Add the participant").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("ken@example.net")
    expect(page.get_by_role("region", name="Facts").get_by_role("link", name="Asha Verma")).to_be_visible()
