"""The whole story, as the people in it live it: from a merchant's first campaign to a reward that its participant sees as issued.

Four browsers (the merchant's, the participant's, the friend's, and the friend's payment as Stripe would tell of it), one real server.
What a worker would do is called by hand, in the order in which a worker would do it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.core.management import call_command
from django.db.models import F
from playwright.sync_api import Browser, Page, expect
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from campaigns.models import Campaign
from integrations.inbox import process
from integrations.models import Connection, InboundEvent
from participants.models import Participant, PortalLink, QualifyingEvent, Visit
from referrals.accounts.keys import create_api_key
from referrals.hosted.mail import send_portal_link
from rewards.models import LedgerEntry, Reward
from scripts.browser import Watch
from tests.factories import ACTOR, Cast, make_cast, make_merchant
from tests.integrations.sending import SECRET, sample, signature

pytestmark = pytest.mark.django_db(transaction=True)
PASSWORD = "correct horse battery"
# Headless browsers are counted as machines, and this story is about people.
PERSON = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
NewPage = Callable[[], Page]


@pytest.fixture
def alice(transactional_db: None) -> Cast:
    """Alice, who can log in with her password and has no campaign yet."""
    cast = make_cast("alice@example.com", make_merchant("Halden Coffee"))
    EmailAddress.objects.create(user=cast.user, email=cast.user.email, verified=True, primary=True)
    return cast


@pytest.fixture
def somebody(browser: Browser, watch: Watch, live_server: LiveServer, settings: Settings) -> Iterator[NewPage]:
    """Opens a page in a browser of its own, with the server's address as the site's."""
    settings.SITE_URL = live_server.url
    with ExitStack() as stack:

        def open_page() -> Page:
            context = browser.new_context(base_url=live_server.url, user_agent=PERSON, locale="en-GB")
            stack.callback(context.close)
            watch.attach(context)
            return context.new_page()

        yield open_page


def test_from_a_first_campaign_to_an_issued_reward(alice: Cast, somebody: NewPage) -> None:
    merchant = somebody()
    campaign = launch_a_campaign(merchant)

    participant = somebody()
    link = join_as_participant(participant, campaign)
    asha = Participant.objects.get(email="asha@example.com")

    join_as_friend(somebody(), link)
    maya = Participant.objects.get(email="maya@example.net")
    assert maya.referral.referrer == asha

    connection = connect_stripe(merchant)
    pay_through_stripe(merchant, connection)
    see_why_it_is_owed(merchant)
    reward = Reward.objects.get(participant=asha)
    assert (reward.state, reward.amount_minor, reward.currency) == ("review", 1500, "USD")

    let_the_review_end(reward)
    issue_it(merchant)
    reward.refresh_from_db()
    assert reward.state == "issued"
    lines = LedgerEntry.objects.filter(participant=asha).order_by("pk")
    assert [(line.kind, line.amount_minor) for line in lines] == [("earn", 1500), ("pay", -1500)]

    see_it_in_the_portal(participant, asha)
    hear_it_from_the_api(merchant, alice, campaign)


def launch_a_campaign(page: Page) -> Campaign:
    """Sign in, make a campaign from a template, set its headline with the preview beside it, launch."""
    page.goto("/app/")
    page.get_by_label("E-mail address").fill("alice@example.com")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()
    page.get_by_role("link", name="Create a campaign").click()

    page.get_by_role("textbox", name="Name").fill("Autumn")
    referrer = page.get_by_role("region", name="For the one who invites")
    referrer.get_by_label("Amount").fill("15")
    referrer.get_by_label("Days in review").fill("9")
    page.get_by_role("button", name="Create the draft").click()

    page.get_by_label("Headline for friends").fill("Your first bag is on us")
    expect(page.frame_locator("#frame").locator("h1")).to_have_text("Your first bag is on us")
    page.get_by_role("button", name="Save the design").click()
    expect(page.get_by_text("Design saved")).to_be_visible()
    page.get_by_role("link", name="Launch").first.click()
    page.get_by_role("button", name="Launch the campaign").click()
    expect(page.get_by_text("Autumn is live")).to_be_visible()
    campaign = Campaign.objects.get()
    assert campaign.status == "active"
    return campaign


def join_as_participant(page: Page, campaign: Campaign) -> str:
    """Join on the hosted page; returns the link that it gives."""
    page.goto(f"/campaign?id={campaign.public_id}")
    page.get_by_label("First name").fill("Asha")
    page.get_by_label("E-mail address").fill("asha@example.com")
    page.locator("form.claim button").click()
    expect(page.get_by_role("heading", name="Your link")).to_be_visible()
    return page.locator("#own-link + button").get_attribute("data-text") or ""


def join_as_friend(page: Page, link: str) -> None:
    """Follow the link, and join."""
    page.goto(link)
    expect(page.get_by_text("Asha thought of you")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your first bag is on us")
    assert Visit.objects.filter(hidden_reason="").count() == 1
    page.get_by_label("E-mail address").fill("maya@example.net")
    page.locator("form.claim button").click()
    expect(page.get_by_role("heading", name="Now invite your own friends")).to_be_visible()


def connect_stripe(page: Page) -> Connection:
    """Connect Stripe as its set-up page asks for it."""
    page.goto("/app/connections/")
    page.get_by_role("button", name="Connect Stripe").click()
    page.get_by_label("Signing secret").fill(SECRET)
    page.get_by_role("button", name="Finish connecting").click()
    expect(page.get_by_text("The first message has not arrived yet.")).to_be_visible()
    return Connection.objects.get()


def pay_through_stripe(page: Page, connection: Connection) -> None:
    """Stripe tells of Maya's payment of $64.20: signed, to the connection's own address, twice; a worker works it off."""
    body = json.dumps(sample("checkout.session.completed"), indent=2)
    changed = body.replace('"amount_total": 6420', '"amount_total": 9999')
    address = f"/in/{connection.public_id}/"
    headers = {"Content-Type": "application/json; charset=utf-8", "Stripe-Signature": signature(body.encode())}

    assert page.request.post(address, data=changed.encode(), headers=headers).status == 400
    assert InboundEvent.objects.count() == 0
    for _again in range(2):
        assert page.request.post(address, data=body.encode(), headers=headers).status == 200
    message = InboundEvent.objects.get()
    process(message.pk)
    message.refresh_from_db()
    assert message.state == "processed"
    assert QualifyingEvent.objects.exclude(type="join").get().amount_minor == 6420


def see_why_it_is_owed(page: Page) -> None:
    """Find Maya, open her payment, read the decision."""
    page.goto("/app/participants/")
    page.get_by_role("searchbox", name="Name, e-mail address or code").fill("maya@")
    page.get_by_role("searchbox", name="Name, e-mail address or code").press("Enter")
    page.get_by_role("rowheader").get_by_role("link").click()
    page.get_by_role("region", name="What they did").get_by_role("link", name="$64.20").click()
    decision = page.get_by_role("region", name="For the one who invited them")
    expect(decision.get_by_text("In review", exact=True)).to_be_visible()
    for reason in [
        "Came through a referral",
        "New customer",
        "Above the minimum: $64.20, the campaign asks for $30.00",
    ]:
        expect(decision.get_by_text(reason)).to_be_visible()


def let_the_review_end(reward: Reward) -> None:
    """Nine days pass; the schedule runs."""
    Reward.objects.filter(pk=reward.pk).update(review_ends_at=F("review_ends_at") - timedelta(days=9, minutes=1))
    call_command("release_due")
    reward.refresh_from_db()
    assert reward.state == "due"


def issue_it(page: Page) -> None:
    """Find the reward in the Reward Due table, select it, mark it as issued."""
    page.goto("/app/")
    page.get_by_role("link", name=re.compile("rewards? (is|are) due")).click()
    page.get_by_label("Select Asha, $15.00").check()
    page.get_by_role("region", name="Selection").get_by_role("button", name="Issue…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Note").fill("Bank transfer of 20 November")
    dialog.get_by_role("button", name="Mark 1 reward as issued").click()
    expect(page.locator("#toasts")).to_contain_text("1 reward marked as issued")


def see_it_in_the_portal(page: Page, asha: Participant) -> None:
    """Follow the mailed link to the own page: the reward is there, and so is the friend."""
    mail.outbox.clear()
    send_portal_link(PortalLink.objects.filter(participant=asha).latest("pk").pk)
    (letter,) = mail.outbox
    assert letter.to == ["asha@example.com"]
    (address,) = set(re.findall(r"https?://\S+/me/open/\S+", str(letter.body)))
    page.goto(address)
    page.get_by_role("button", name="Open my page").click()
    rewards = page.get_by_role("region", name="Your rewards")
    expect(rewards.get_by_text("$15 in cash")).to_be_visible()
    expect(rewards.get_by_text("Rewarded")).to_be_visible()
    expect(page.get_by_role("region", name="People you invited").get_by_role("listitem")).to_have_count(1)


def hear_it_from_the_api(page: Page, alice: Cast, campaign: Campaign) -> None:
    """The documented API tells the same."""
    _key, text = create_api_key(tenant=alice.tenant, name="Shop", actor=ACTOR)

    def ask(email: str) -> dict[str, object]:
        answer = page.request.get(
            "/api/v1/getParticipant", params={"id": campaign.public_id, "email": email}, headers={"x-api-key": text}
        )
        assert answer.status == 200
        found: dict[str, object] = answer.json()
        return found

    asha, maya = ask("asha@example.com"), ask("maya@example.net")
    names = ["totalReferrals", "referralReward", "referralRewardRedeemed", "referralRewardBalance"]
    assert [asha[name] for name in names] == [1, 15, 15, 0]
    assert maya["referredByCode"] == asha["referralCode"]
    assert maya["rewardEventCompleted"] is True
