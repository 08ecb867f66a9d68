"""The public pages as people meet them: a friend's link, joining, and the own page behind a mailed link; with and without script."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core import mail as outbox
from django.db.models import Max
from playwright.sync_api import Browser, BrowserContext, Page, expect
from pytest_django.live_server_helper import LiveServer

from campaigns import services
from campaigns.models import Campaign
from campaigns.terms import Fixed
from participants import portal
from participants.models import Participant, PortalLink, Visit
from referrals.hosted import mail
from referrals.lib.money import Money
from scripts.browser import Watch
from tests.factories import (
    ACTOR,
    buy,
    fixed_rule,
    make_campaign,
    make_cast,
    make_friend,
    make_merchant,
    make_participant,
)

pytestmark = pytest.mark.django_db(transaction=True)
Check = Callable[[Page], None]
# A headless browser says so, and would rightly be taken for a machine.
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
SIZES = [(1440, 900), (390, 844)]


@pytest.fixture
def campaign() -> Campaign:
    """20 dollars for the referrer, 15 for the friend, in persimmon, with terms."""
    campaign = make_campaign(
        make_cast("alice@example.com", make_merchant("Halden Coffee")).tenant,
        [
            fixed_rule(2000, review_days=14, new_customers_only=True, minimum_purchase=Money(3000, "USD")),
            fixed_rule(side="invitee", trigger="join", event="join", amount=Fixed(Money(1500, "USD")), kind="coupon"),
        ],
        brand_color="#c93a17",
    )
    services.save_texts(campaign=campaign, language="en", actor=ACTOR, texts={"terms": "Once per person."})
    return campaign


@pytest.fixture
def asha(campaign: Campaign) -> Participant:
    """Asha has invited somebody who bought, and somebody who has not yet."""
    asha = make_participant(campaign, "asha@example.com", first_name="Asha", last_name="Verma")
    buy(make_friend(asha, "ines@example.org", first_name="Ines", last_name="Duarte"), 5000)
    make_friend(asha, "someone@example.net")
    return asha


@pytest.fixture
def visit(browser: Browser, watch: Watch) -> Iterator[Callable[..., Page]]:
    """A page of a new person's browser, watched; options of the context as keyword arguments."""
    contexts: list[BrowserContext] = []

    def open_page(**options: Any) -> Page:
        context = browser.new_context(
            **{"user_agent": AGENT, "reduced_motion": "reduce", "viewport": {"width": 1440, "height": 900}, **options}
        )
        watch.attach(context)
        contexts.append(context)
        return context.new_page()

    yield open_page
    for context in contexts:
        context.close()


def address(live_server: LiveServer, campaign: Campaign, code: str = "") -> str:
    return f"{live_server.url}/campaign?id={campaign.public_id}" + (f"&referralCode={code}" if code else "")


def mailed_link(live_server: LiveServer) -> str:
    """Let the worker send what waits; the address in the newest mail, on this server."""
    newest = PortalLink.objects.aggregate(pk=Max("pk"))["pk"]
    assert mail.send_portal_link(newest) is True
    found = re.search(r"(/me/open/\S+)", str(outbox.outbox[-1].body))
    assert found is not None
    return live_server.url + found[1]


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
def test_from_a_friends_link_to_the_own_page(
    live_server: LiveServer, campaign: Campaign, asha: Participant, visit: Callable[..., Page], script: bool
) -> None:
    page = visit(java_script_enabled=script)
    page.goto(f"{live_server.url}/r/{asha.referral_code}")
    expect(page.get_by_role("heading", level=1)).to_have_text("$15 for you.")
    expect(page.get_by_text("Asha V. thought of you")).to_be_visible()
    assert Visit.objects.filter(referrer=asha, hidden_reason="").count() == 1

    page.get_by_label("E-mail address").fill("maya@example")
    page.get_by_role("button", name="Get my $15").click()
    expect(page.get_by_role("alert")).to_contain_text("example.com")
    expect(page.get_by_label("E-mail address")).to_have_value("maya@example")
    page.get_by_label("E-mail address").fill("maya@example.net")
    page.get_by_role("button", name="Get my $15").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are in. $15 is yours.")
    maya = Participant.objects.get(email_key="maya@example.net")
    expect(page.get_by_label("Your referral link")).to_have_value(f"localhost:8000/r/{maya.referral_code}")
    assert maya.referral.referrer == asha

    page.goto(mailed_link(live_server))
    page.get_by_role("button", name="Open my page").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Give $15. Get $20.")
    expect(page.get_by_text("Nobody has joined through your link yet.")).to_be_visible()
    expect(page.get_by_role("button", name="Copy")).to_have_count(1 if script else 0)
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your referral page")


def test_a_member_asks_for_a_link_and_sees_the_friends(
    live_server: LiveServer, campaign: Campaign, asha: Participant, visit: Callable[..., Page]
) -> None:
    page = visit()
    page.goto(address(live_server, campaign))
    page.get_by_role("link", name="Your page").click()
    page.get_by_label("E-mail address").fill("asha@example.com")
    page.get_by_role("button", name="Send me the link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Look into your mail")
    page.goto(mailed_link(live_server))
    page.get_by_role("button", name="Open my page").click()
    people = page.get_by_role("region", name="People you invited").get_by_role("listitem")
    expect(people).to_have_count(2)
    expect(people.first).to_contain_text("s•••@example.net")
    expect(people.last).to_contain_text("Ines D.")
    expect(people.last).to_contain_text("Ordered. $20 clears on")


def test_copying_says_so(
    live_server: LiveServer, campaign: Campaign, asha: Participant, visit: Callable[..., Page]
) -> None:
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    link = PortalLink.objects.create(participant=asha)
    page.goto(f"{live_server.url}/me/open/{portal.make_token(link)}")
    page.get_by_role("button", name="Open my page").click()
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    expect(page.locator("#live")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == f"http://localhost:8000/r/{asha.referral_code}"
    page.get_by_role("button", name="More").click()
    expect(page.get_by_role("link", name="LinkedIn")).to_be_visible()


@pytest.mark.parametrize("size", SIZES, ids=["1440", "390"])
def test_every_public_page_keeps_the_rules(
    live_server: LiveServer, campaign: Campaign, asha: Participant, visit: Callable[..., Page], axe: Check, fits: Check,
    size: tuple[int, int],
) -> None:  # fmt: skip
    page = visit(viewport={"width": size[0], "height": size[1]})
    token = portal.make_token(PortalLink.objects.create(participant=asha))
    addresses = [
        address(live_server, campaign, asha.referral_code),
        address(live_server, campaign),
        address(live_server, campaign, "zzzzzzzz"),
        f"{live_server.url}/campaign/terms?id={campaign.public_id}",
        f"{live_server.url}/campaign?id=JCu82f30F1",
        f"{live_server.url}/r/doesnotexist",
        f"{live_server.url}/campaign/joined?t=x",
        f"{live_server.url}/me/?campaign={campaign.public_id}",
        f"{live_server.url}/me/?sent=1",
        f"{live_server.url}/me/open/x",
        f"{live_server.url}/me/open/{token}",
    ]
    for place in addresses:
        page.goto(place)
        axe(page)
        fits(page)
    page.get_by_role("button", name="Open my page").click()
    axe(page)
    fits(page)
    page.goto(address(live_server, campaign))
    page.get_by_label("E-mail address").fill("maya@example")
    page.get_by_role("button", name="Get my link").click()
    axe(page)
    page.get_by_label("E-mail address").fill("maya@example.net")
    page.get_by_role("button", name="Get my link").click()
    expect(page.get_by_label("Your referral link")).to_be_visible()
    axe(page)
    fits(page)
    services.pause(campaign=campaign, actor=ACTOR)
    page.goto(address(live_server, campaign, asha.referral_code))
    expect(page.get_by_role("heading", level=1)).to_have_text("This offer is taking a break")
    axe(page)
    fits(page)


def test_it_reads_from_right_to_left(
    live_server: LiveServer, campaign: Campaign, asha: Participant, visit: Callable[..., Page], axe: Check, fits: Check
) -> None:
    services.save_texts(campaign=campaign, language="ar", actor=ACTOR, texts={"reward_header": "هدية لك من آشا"})
    page = visit(locale="ar")
    page.goto(address(live_server, campaign, asha.referral_code))
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    ticket, form = page.locator(".ticket").bounding_box(), page.locator(".claim").bounding_box()
    assert ticket is not None
    assert form is not None
    assert ticket["x"] < form["x"]
    axe(page)
    fits(page)


def test_the_keyboard_is_enough(
    live_server: LiveServer, campaign: Campaign, asha: Participant, visit: Callable[..., Page]
) -> None:
    page = visit()
    page.goto(address(live_server, campaign, asha.referral_code))
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the offer")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("E-mail address")).to_be_focused()
    page.keyboard.type("maya@example.net")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("You are in. $15 is yours.")


def test_a_first_visit_is_small_and_stays_at_home(
    live_server: LiveServer, campaign: Campaign, asha: Participant, visit: Callable[..., Page]
) -> None:
    page = visit()
    sizes: dict[str, int] = {}
    page.on("response", lambda response: sizes.update({response.url: len(response.body())}))
    page.goto(address(live_server, campaign, asha.referral_code), wait_until="networkidle")
    assert all(url.startswith(live_server.url) for url in sizes)
    assert len(sizes) == 4  # page, style, colours, script
    assert sum(sizes.values()) < 40_000  # before compression, which takes two thirds off
