"""The campaigns' pages as people meet them: a campaign made, shaped with its preview and launched; light, dark, small, without scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Dialog, Page, expect
from pytest_django.live_server_helper import LiveServer

from campaigns import services
from campaigns.models import Campaign, CampaignText
from tests.browser.merchant import log_in
from tests.factories import ACTOR, Cast, buy, make_campaign, make_cast, make_friend, make_merchant, make_participant

pytestmark = pytest.mark.django_db(transaction=True)
Check = Callable[[Page], None]


@pytest.fixture
def alice(transactional_db: None) -> Cast:
    return make_cast("alice@example.com", make_merchant("Halden Coffee"))


@pytest.fixture(params=[True, False], ids=["with scripts", "without scripts"])
def any_page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A page with and without JavaScript."""
    context = browser.new_context(java_script_enabled=request.param, locale="en-GB")
    yield context.new_page()
    context.close()


def test_every_page_is_readable_and_fits(
    page: Page, alice: Cast, live_server: LiveServer, axe: Check, fits: Check
) -> None:
    campaign = make_campaign(
        alice.tenant, name="A name that is longer than anybody would give to a campaign in earnest"
    )
    draft = services.duplicate(campaign=campaign, actor=ACTOR)
    buy(make_friend(make_participant(campaign, first_name="Asha")))
    log_in(page, alice.client, live_server)
    one, other = f"/app/campaigns/{campaign.public_id}/", f"/app/campaigns/{draft.public_id}/"
    for path in [
        "/app/",
        "/app/campaigns/",
        "/app/campaigns/new/",
        one,
        f"{one}rules/",
        f"{one}settings/",
        f"{other}launch/",
    ]:
        page.goto(live_server.url + path)
        expect(page.locator("h1")).to_be_visible()
        axe(page)
        fits(page)


def test_the_editor_is_readable_and_fits(
    page: Page, alice: Cast, live_server: LiveServer, axe: Check, fits: Check
) -> None:
    campaign = make_campaign(alice.tenant)
    log_in(page, alice.client, live_server)
    page.goto(f"{live_server.url}/app/campaigns/{campaign.public_id}/design/")
    expect(page.frame_locator("#frame").locator("h1")).to_be_visible()
    axe(page)
    fits(page)


def test_the_preview_follows_the_typing(page: Page, alice: Cast, live_server: LiveServer) -> None:
    campaign = make_campaign(alice.tenant, launched=False)
    log_in(page, alice.client, live_server)
    page.goto(f"{live_server.url}/app/campaigns/{campaign.public_id}/design/")
    preview = page.frame_locator("#frame")
    expect(preview.locator("h1")).to_be_visible()

    page.get_by_label("Headline for friends").fill("A bag of beans for you")
    expect(preview.locator("h1")).to_have_text("A bag of beans for you")

    page.get_by_label("Headline for referrers").fill("Bring a friend")
    page.get_by_text("As an advocate").click()
    expect(preview.locator("h1")).to_have_text("Bring a friend")

    page.get_by_label("Brand colour").fill("#ffee00")
    expect(page.locator("#color-note")).to_contain_text("dark text")

    wide = page.locator(".device").bounding_box()
    page.get_by_text("Phone", exact=True).click()
    narrow = page.locator(".device").bounding_box()
    assert wide
    assert narrow
    assert narrow["width"] < wide["width"]
    assert CampaignText.objects.count() == 0


def test_the_preview_speaks_the_language_of_the_texts(page: Page, alice: Cast, live_server: LiveServer) -> None:
    campaign = make_campaign(alice.tenant)
    log_in(page, alice.client, live_server)
    page.goto(f"{live_server.url}/app/campaigns/{campaign.public_id}/design/")
    page.get_by_role("link", name="Arabic").click()
    page.get_by_label("Headline for friends").fill("قهوة لك")

    expect(page.frame_locator("#frame").locator("h1")).to_have_text("قهوة لك")
    expect(page.frame_locator("#frame").locator("html")).to_have_attribute("dir", "rtl")


def test_leaving_with_unsaved_texts_asks_first(page: Page, alice: Cast, live_server: LiveServer) -> None:
    campaign = make_campaign(alice.tenant)
    log_in(page, alice.client, live_server)
    asked: list[str] = []

    def leave(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", leave)
    page.goto(f"{live_server.url}/app/campaigns/{campaign.public_id}/design/")

    page.get_by_text("As an advocate").click()
    page.get_by_role("link", name="German").click()
    expect(page.get_by_role("link", name="German")).to_have_attribute("aria-current", "page")
    assert asked == []

    page.get_by_label("Headline for friends").fill("Hallo")
    page.get_by_role("link", name="English").click()
    expect(page.get_by_role("link", name="English")).to_have_attribute("aria-current", "page")
    assert asked == ["beforeunload"]

    page.get_by_label("Headline for friends").fill("Hello")
    page.get_by_role("button", name="Save the design").click()
    expect(page.get_by_text("Design saved")).to_be_visible()
    assert asked == ["beforeunload"]


def test_a_campaign_is_made_shaped_and_launched(any_page: Page, alice: Cast, live_server: LiveServer) -> None:
    page = any_page
    log_in(page, alice.client, live_server)
    page.goto(f"{live_server.url}/app/")
    page.get_by_role("link", name="Create a campaign").click()

    page.get_by_role("textbox", name="Name").fill("Autumn")
    friend = page.get_by_role("region", name="For the friend")
    friend.get_by_label("Amount").fill("0")
    page.get_by_role("button", name="Create the draft").click()
    expect(friend.get_by_text("0 is not above zero.")).to_be_visible()
    expect(page.get_by_role("textbox", name="Name")).to_have_value("Autumn")
    friend.get_by_label("Amount").fill("10")
    page.get_by_role("button", name="Create the draft").click()

    expect(page.get_by_role("heading", name="Autumn")).to_be_visible()
    page.get_by_label("Headline for friends").fill("Ten dollars for you")
    page.get_by_role("button", name="Preview").click()
    expect(page.frame_locator("#frame").locator("h1")).to_have_text("Ten dollars for you")
    page.get_by_role("button", name="Save the design").click()
    expect(page.get_by_text("Design saved")).to_be_visible()

    page.get_by_role("link", name="Launch").first.click()
    expect(page.get_by_text("Its page opens to everybody with the link")).to_be_visible()
    page.get_by_role("button", name="Launch the campaign").click()
    expect(page.get_by_text("Autumn is live")).to_be_visible()
    campaign = Campaign.objects.get()
    assert campaign.status == "active"

    page.goto(f"{live_server.url}/campaign?id={campaign.public_id}")
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def test_rules_are_published_after_a_look_at_the_difference(
    any_page: Page, alice: Cast, live_server: LiveServer
) -> None:
    page = any_page
    campaign = make_campaign(alice.tenant)
    log_in(page, alice.client, live_server)
    page.goto(f"{live_server.url}/app/campaigns/{campaign.public_id}/rules/")

    page.locator("#id_rule-0-amount").fill("25")
    page.locator("#id_rule-0-amount").press("Enter")
    expect(page.get_by_role("heading", name="What version 2 changes")).to_be_visible()
    expect(page.locator("ins")).to_contain_text("Referrer: $25.00 as cash for each friend's first purchase")
    page.get_by_role("button", name="Add a rule").click()
    expect(page.get_by_role("heading", name="Rule 2")).to_be_visible()
    page.get_by_role("button", name="Remove rule 2").click()
    expect(page.get_by_role("heading", name="Rule 2")).to_have_count(0)
    expect(page.locator("#id_rule-0-amount")).to_have_value("25")
    page.get_by_role("button", name="Review the changes").click()
    page.get_by_role("button", name="Publish version 2").click()
    expect(page.get_by_text("Version 2 is in force")).to_be_visible()
    campaign.refresh_from_db()
    assert campaign.version is not None
    assert campaign.version.number == 2


def test_a_rule_shows_the_fields_its_choices_need(page: Page, alice: Cast, live_server: LiveServer) -> None:
    campaign = make_campaign(alice.tenant)
    log_in(page, alice.client, live_server)
    page.goto(f"{live_server.url}/app/campaigns/{campaign.public_id}/rules/")

    expect(page.locator("#id_rule-0-percent")).to_be_hidden()
    expect(page.locator("#id_rule-0-nth")).to_be_hidden()
    page.locator("#id_rule-0-amount_type").select_option("percent")
    page.locator("#id_rule-0-trigger").select_option("nth_event")
    expect(page.locator("#id_rule-0-percent")).to_be_visible()
    expect(page.locator("#id_rule-0-cap")).to_be_visible()
    expect(page.locator("#id_rule-0-nth")).to_be_visible()
    expect(page.locator("#id_rule-0-amount")).to_be_hidden()


def test_the_chart_can_be_read_as_a_table(any_page: Page, alice: Cast, live_server: LiveServer) -> None:
    page = any_page
    make_participant(make_campaign(alice.tenant))
    log_in(page, alice.client, live_server)
    page.goto(f"{live_server.url}/app/")

    chart = page.get_by_role("img", name="Clicks, joins and purchases in the last 30 days")
    expect(chart).to_be_visible()
    page.get_by_text("Show as a table").click()
    rows = page.get_by_role("region", name="Clicks, joins and purchases in the last 30 days").get_by_role("row")
    expect(rows).to_have_count(31)
    expect(rows.nth(1).get_by_role("cell")).to_have_text(["0", "1", "0"])
