"""The participant's page as its owner uses it: inviting by mail, where money is paid, log-ins, mails, and leaving for good."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core import mail as outbox
from playwright.sync_api import Browser, BrowserContext, Page, expect
from pytest_django.live_server_helper import LiveServer

from integrations.methods import Option
from participants import destinations, mailing, portal
from participants.models import MailOrder, Participant, PortalLink
from referrals.hosted import orders, payout_kinds
from rewards.models import Payout, PayoutGift, Reward
from rewards.payouts import issue_by_hand
from rewards.queueing import Method, wake
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
    walk,
)

pytestmark = pytest.mark.django_db(transaction=True)
Check = Callable[[Page], None]


@pytest.fixture
def asha() -> Participant:
    """Asha, in a campaign that pays cash; one friend has bought, one has not."""
    tenant = make_cast("alice@example.com", make_merchant("Halden Coffee")).tenant
    campaign = make_campaign(tenant, [fixed_rule(2000, review_days=14)], brand_color="#c93a17")
    asha = make_participant(campaign, "asha@example.com", first_name="Asha", last_name="Verma")
    buy(make_friend(asha, "ines@example.org", first_name="Ines"), 5000)
    make_friend(asha, "ken@example.org", first_name="Ken")
    return asha


@pytest.fixture
def own_page(
    browser: Browser, watch: Watch, live_server: LiveServer, asha: Participant
) -> Iterator[Callable[..., Page]]:
    """Asha's page in a browser of her own, logged in by a mailed link; options of the context as keyword arguments."""
    contexts: list[BrowserContext] = []

    def open_page(**options: Any) -> Page:
        context = browser.new_context(
            **{"reduced_motion": "reduce", "viewport": {"width": 390, "height": 844}, **options}
        )
        watch.attach(context)
        contexts.append(context)
        page = context.new_page()
        link = PortalLink.objects.create(participant=asha)
        page.goto(f"{live_server.url}/me/open/{portal.make_token(link)}")
        page.get_by_role("button", name="Open my page").click()
        return page

    yield open_page
    for context in contexts:
        context.close()


def mailed(live_server: LiveServer, path: str) -> str:
    """Let the worker send what was asked for; the address under `path` in the newest mail, on this server."""
    for pk in MailOrder.objects.filter(sent_at=None).order_by("pk").values_list("pk", flat=True):
        orders.send(pk)
    found = re.search(rf"http://localhost:8000({path}\S+)", str(outbox.outbox[-1].body))
    assert found is not None
    return live_server.url + found[1]


def test_from_inviting_to_leaving(
    live_server: LiveServer, asha: Participant, own_page: Callable[..., Page], axe: Check, fits: Check
) -> None:
    page = own_page(accept_downloads=True)
    invite = page.get_by_role("region", name="Invite by e-mail")
    invite.get_by_label("Your friends' e-mail addresses").fill("maya@example.net\nasha@example.com")
    invite.get_by_label("They know me").check()
    invite.get_by_role("button", name="Send the invitations").click()
    expect(page.get_by_role("alert")).to_have_text("asha@example.com is your own address. Take it out.")
    expect(invite.get_by_label("Your friends' e-mail addresses")).to_be_focused()
    axe(page)
    invite.get_by_label("Your friends' e-mail addresses").fill("maya@example.net\nnoor@example.net")
    invite.get_by_role("button", name="Send the invitations").click()
    expect(page.get_by_role("status").filter(has_text="2 invitations are on their way.")).to_be_visible()
    expect(invite.get_by_role("listitem")).to_have_count(2)
    axe(page)
    fits(page)
    page.goto(mailed(live_server, "/me/invited/"))
    page.get_by_role("button", name="No more invitations").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("No more invitations")

    page.goto(f"{live_server.url}/me/")
    page.get_by_role("link", name="Settings", exact=True).click()
    payout = page.get_by_role("region", name="Payout address")
    payout.get_by_label("E-mail address").fill("asha@pay.example")
    payout.get_by_role("button", name="Use this address").click()
    expect(payout.get_by_role("status")).to_contain_text("confirm it there")
    axe(page)
    fits(page)
    page.goto(mailed(live_server, "/me/payout/confirm/"))
    axe(page)
    page.get_by_role("button", name="Yes, pay there").click()
    expect(page.get_by_role("status").first).to_contain_text("a•••@pay.example (PayPal) from now on")
    found = destinations.current(asha)
    assert found is not None
    assert found.address == "asha@pay.example"

    other = own_page()
    page.goto(f"{live_server.url}/me/settings")
    mails = page.get_by_role("region", name="E-mail settings")
    mails.get_by_label("A friend joined").uncheck()
    mails.get_by_role("button", name="Save").click()
    expect(mails.get_by_role("status")).to_have_text("Saved.")
    assert mailing.stopped_kinds(asha) == {"friend_joined"}
    page.get_by_role("button", name="Log out everywhere else").click()
    expect(page.get_by_role("region", name="Where you are logged in").get_by_role("listitem")).to_have_count(1)
    other.reload()
    expect(other.get_by_role("button", name="Send me the link")).to_be_visible()

    with page.expect_download() as download:
        page.get_by_role("button", name="Download my data").click()
    data = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    assert [row["email"] for row in data["invitations_sent"]] == ["maya@example.net", "noor@example.net"]
    page.get_by_role("link", name="Erase my data").click()
    expect(page.get_by_text("You give up what has not been paid yet")).to_contain_text("$20")
    axe(page)
    fits(page)
    page.get_by_label("I understand that this can't be undone.").check()
    page.get_by_role("button", name="Erase my data").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your data is erased")
    page.goto(f"{live_server.url}/r/{asha.referral_code}")
    expect(page.get_by_text("Asha")).to_have_count(0)


def test_being_paid(
    live_server: LiveServer,
    asha: Participant,
    own_page: Callable[..., Page],
    axe: Check,
    fits: Check,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A reward waits for an address of one of two kinds; it is given with a code, and has a receipt."""
    way = Method("transfer", frozenset({"cash"}), destination="paypal|bank_us")
    monkeypatch.setattr(payout_kinds, "options", lambda _tenant: [Option(way, "Transfer", "")])
    reward = Reward.objects.get(participant=asha)
    walk([reward.pk], "held")
    Reward.objects.filter(pk=reward.pk).update(state="due")
    walk([reward.pk], "waiting")
    Reward.objects.filter(pk=reward.pk).update(reason="waiting_for_recipient", stage_at=reward.created_at)
    page = own_page()
    note = page.get_by_role("status").filter(has_text="$20 from Halden Coffee waits for you.")
    axe(page)
    note.get_by_role("link", name="Go to your payout address").click()
    payout = page.get_by_role("region", name="Payout address")
    payout.get_by_text("Bank account in the United States").click()
    expect(payout.get_by_label("Routing number")).to_be_visible()
    axe(page)
    fits(page)
    for label, text in {
        "Name of the account's owner": "Asha Verma",
        "Routing number": "111000026",
        "Account number": "12345678",
        "Street and number": "1 Main Street",
        "City": "Gotham",
        "State": "CA",
        "ZIP code": "90210",
    }.items():
        payout.get_by_label(label, exact=True).fill(text)
    form = payout.locator("form").filter(has=page.get_by_label("Routing number"))
    form.get_by_role("button", name="Use this address").click()
    expect(payout.get_by_role("alert")).to_contain_text("typing error in this routing number")
    expect(payout.get_by_label("Routing number")).to_be_focused()
    axe(page)
    payout.get_by_label("Routing number").fill("111000025")
    form.get_by_role("button", name="Use this address").click()
    expect(payout.get_by_text("US •••• 5678")).to_be_visible()
    page.goto(mailed(live_server, "/me/payout/confirm/"))
    page.get_by_role("button", name="Yes, pay there").click()
    expect(page.get_by_role("status").first).to_contain_text("US •••• 5678")

    assert wake() == 1
    issue_by_hand(tenant=asha.tenant, reward_ids=[reward.pk], actor=ACTOR, key="press-0001")
    gift = PayoutGift(merchant=asha.merchant, payout=Payout.objects.get(), hint="AB9X")
    gift.secrets = {"code": "GIFT-4711-AB9X", "url": "https://cards.example/x", "pin": ""}
    gift.save()
    page.goto(f"{live_server.url}/me/")
    rewards = page.get_by_role("region", name="Your rewards")
    expect(rewards.get_by_label("Code")).to_have_value("GIFT-4711-AB9X")
    expect(rewards.get_by_role("link", name="Open it")).to_have_attribute("href", "https://cards.example/x")
    axe(page)
    fits(page)
    rewards.get_by_role("link", name="Receipt $20").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Receipt")
    expect(page.get_by_role("row", name="Paid")).to_contain_text("$20.00")
    axe(page)
    fits(page)
    page.get_by_role("link", name="Receipts").click()
    axe(page)
    page.get_by_role("link", name="Statement").click()
    expect(page.get_by_text("Paid in this year")).to_be_visible()
    axe(page)
    fits(page)
