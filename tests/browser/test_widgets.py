"""Widgets on a plain shop page of another origin, under a strict policy: pop-up, joining, a customer's own link, and who is refused."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
from playwright.sync_api import BrowserContext, Page, expect
from pytest_django.live_server_helper import LiveServer

from campaigns.models import Campaign
from campaigns.terms import Fixed
from participants.links import short_link
from participants.models import Participant, Referral, Visit
from referrals.accounts.signing import new_secret
from referrals.lib.money import Money
from scripts.browser import Watch
from tests.browser.shop import Shop, running_shop
from tests.factories import ACTOR, fixed_rule, make_campaign, make_cast, make_merchant, make_participant
from tests.hosted.conftest import CHROME

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def other_shop() -> Iterator[Shop]:
    """A page that is on nobody's list."""
    with running_shop() as server:
        yield server


def settle(page: Page, selector: str) -> None:
    """Wait until a frame has said how high it is, or fail."""
    expect(page.locator(f"{selector} iframe")).to_be_visible()
    assert page.locator(f"{selector} iframe").bounding_box()["height"] > 150  # type: ignore[index]  # it is visible


def identity(secret: str, campaign: Campaign, **changes: Any) -> str:
    claims = {"aud": campaign.public_id, "exp": int(time.time()) + 600, "email": "noor@example.net", **changes}
    return jwt.encode(claims, secret, algorithm="HS256")


def test_the_shop_shows_widgets_to_friends_and_customers_and_to_nobody_elses_pages(
    new_context: Callable[..., BrowserContext],
    watch: Watch,
    shop: Shop,
    other_shop: Shop,
    axe: Callable[[Page], None],
    fits: Callable[[Page], None],
    live_server: LiveServer,
    transactional_db: None,
) -> None:
    alice = make_cast("alice@example.com", make_merchant("Halden Coffee"))
    friends = fixed_rule(side="invitee", trigger="join", event="join", amount=Fixed(Money(1500, "USD")), kind="coupon")
    campaign = make_campaign(
        alice.tenant, [fixed_rule(2000, kind="store_credit"), friends], brand_color="#c93a17",
        script_origins=[shop.origin], discount_code="WELCOME15",
    )  # fmt: skip
    asha = make_participant(campaign, "asha@example.com", first_name="Asha", last_name="Verma")
    secret = new_secret(tenant=alice.tenant, actor=ACTOR)
    for server in (shop, other_shop):
        server.words = {"SITE": live_server.url, "CAMPAIGN": campaign.public_id}
        server.strict(live_server.url)
    context = new_context(user_agent=CHROME, permissions=["clipboard-read", "clipboard-write"])
    watch.attach(context)
    page = context.new_page()

    # An invited visitor: the pop-up says who sent them, and shows the code.
    page.goto(f"{shop.origin}/?referralCode={asha.referral_code}")
    popup = page.get_by_role("region", name="Asha V. thought of you")
    expect(popup.get_by_label("Your discount code")).to_have_value("WELCOME15")
    settle(page, "#invitee")
    settle(page, "#referrer")
    assert page.locator("#referrer > a").count() == 0
    fits(page)
    axe(page)
    popup.get_by_role("button", name="Copy").click()
    expect(popup.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == "WELCOME15"
    page.keyboard.press("Escape")
    expect(popup).to_have_count(0)
    page.goto(f"{shop.origin}/beans")
    settle(page, "#invitee")
    expect(popup).to_have_count(0)
    # They join in the widget; the referral names the visit that the script recorded.
    friend = page.frame_locator("#invitee iframe")
    expect(friend.get_by_text("Asha V. thought of you")).to_be_visible()
    friend.get_by_label("E-mail address").fill("maya@example.net")
    friend.get_by_role("button", name="Get my $15").click()
    expect(friend.get_by_label("Your discount code")).to_have_value("WELCOME15")
    referral = Referral.objects.get()
    assert (referral.referrer, referral.invitee.email, referral.invitee.source) == (asha, "maya@example.net", "widget")
    assert referral.visit == Visit.objects.get()
    asked = []
    page.on("request", lambda request: asked.append(request.method) if "/widget/" in request.url else None)
    # Messages of other windows, and of our own frame with nonsense, change nothing.
    height = page.locator("#invitee iframe").bounding_box()
    page.evaluate("postMessage({from: 'referrals', type: 'resize', height: 4000}, '*')")
    page.frames[-1].evaluate("parent.postMessage({from: 'referrals', type: 'resize', height: '9e9'}, '*')")
    page.evaluate("frames[0].postMessage({from: 'referrals-page', type: 'person', identity: 'x'}, '*')")
    page.frames[-1].evaluate("postMessage({from: 'referrals-page', type: 'person', identity: 'x'}, '*')")
    page.wait_for_timeout(100)
    assert asked == []
    assert page.locator("#invitee iframe").bounding_box() == height

    # A customer: the token in the page, or from the shop's own server; the tab opens a dialog with the same.
    shop.words["IDENTITY"] = f' data-identity="{identity(secret, campaign)}"'
    page.goto(f"{shop.origin}/account")
    own = page.frame_locator("#referrer iframe")
    expect(own.get_by_label("Your referral link")).to_be_visible()
    noor = Participant.objects.get(email="noor@example.net")
    assert own.get_by_role("button", name="Copy").get_attribute("data-text") == short_link(noor)
    own.get_by_role("button", name="Copy").click()
    expect(own.get_by_role("button", name="Copied")).to_be_visible()
    tab = page.get_by_role("button", name="Invite friends")
    tab.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Close")).to_be_focused()
    in_dialog = dialog.frame_locator("iframe")
    expect(in_dialog.get_by_label("Your referral link")).to_be_visible()
    axe(page)
    # The focus stays inside, and Escape closes from inside the frame, too.
    for _ in range(12):
        page.keyboard.press("Tab")
        inside = (
            "document.activeElement === document.body || document.activeElement.matches('[data-referral-widget] *')"
        )
        assert page.evaluate(inside)
    in_dialog.get_by_label("Your referral link").focus()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(tab).to_be_focused()

    # A forged token: what everybody sees, and nobody's name.
    shop.words["IDENTITY"] = ' data-identity-url="/token"'
    shop.token = identity("x" * 43, campaign)
    with page.expect_console_message(lambda message: "token_signature" in message.text):
        page.goto(f"{shop.origin}/account")
    expect(own.get_by_role("button", name="Get my link")).to_be_visible()
    expect(own.get_by_label("Your referral link")).to_have_count(0)
    shop.token = identity(secret, campaign)
    page.goto(f"{shop.origin}/account")
    expect(own.get_by_label("Your referral link")).to_be_visible()
    assert watch.problems == []

    # A page that is not on the list gets no frame, no words and no tab, and is a page as before.
    page.goto(f"{other_shop.origin}/?referralCode={asha.referral_code}")
    page.wait_for_load_state("networkidle")
    expect(page.locator("#referrer > a")).to_be_visible()
    expect(page.get_by_role("button")).to_have_count(1)
    assert page.locator("#referrer iframe").bounding_box()["height"] == 0  # type: ignore[index]  # it is there
    refusals = [problem for problem in watch.problems if "frame-ancestors" in problem]
    assert len(refusals) == 2
    # The browser says for each refused frame and call whose list the page is not on.
    watch.problems.clear()

    # The server is gone, or an extension blocks it: the shop does not notice.
    context.route(f"{live_server.url}/**", lambda route: route.abort())
    page.goto(f"{shop.origin}/account")
    expect(page.locator("#referrer > a")).to_be_visible()
    expect(page.get_by_role("heading", name="/account")).to_be_visible()
    watch.problems.clear()
