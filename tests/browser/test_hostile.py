"""Texts, names and answers that try to be markup, script or style stay words on every page that shows them (RELIABILITY section 6,
rows 24 and 25, section 8), and the pages around joining and mails keep the rules of all pages."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core import mail as outbox
from playwright.sync_api import BrowserContext, Page, expect
from pytest_django.live_server_helper import LiveServer

from campaigns import mails, services
from campaigns.models import Campaign
from participants import mailing, portal
from participants.join_answers import check_answers
from participants.models import JoinRequest, Participant, PortalLink
from referrals.hosted import confirm_mail
from rewards.models import Reward
from scripts.browser import Watch
from tests.browser.merchant import log_in
from tests.factories import (
    ACTOR,
    Cast,
    buy,
    fixed_rule,
    make_campaign,
    make_cast,
    make_friend,
    make_merchant,
    make_participant,
)
from tests.hosted.conftest import CHROME

pytestmark = pytest.mark.django_db(transaction=True)
Check = Callable[[Page], None]
# Each part would set `hit` or ask another host, if a browser took it for more than words.
EVIL = (
    "</title></textarea></script><script>hit=1</script><img src=//evil.example/a onerror=hit=1><svg onload=hit=1>"
    "<style>@import'//evil.example/b';*{display:none}</style><base href=//evil.example/>{{7*7}}{%x%}"
)
SHORT = "<img src=x onerror=hit=1>\"'>{{7*7}}"
NAME = "<b onclick=hit=1>Eve</b>"
TEXTS = (
    "reward_header",
    "share_header",
    "reward_description",
    "share_description",
    "share_message",
    "thank_you",
    "terms",
)
QUESTIONS = [
    {"key": "why", "kind": "choice", "required": True, "labels": {"en": SHORT}, "options": [SHORT, "plain"]},
    {"key": "news", "kind": "tick", "labels": {"en": SHORT}},
]


@pytest.fixture
def alice(transactional_db: None) -> Cast:
    """A merchant with a hostile name."""
    return make_cast("alice@example.com", make_merchant(f"Halden {SHORT}"))


@pytest.fixture
def campaign(alice: Cast) -> Campaign:
    """Every text that a merchant can write is hostile."""
    campaign = make_campaign(alice.tenant, [fixed_rule(2000)], name=f"Spring {SHORT}", brand_color="#ffee00")
    limits = {name: 110 if name.endswith("_header") else 270 for name in TEXTS}
    texts = {name: (EVIL if limits[name] > len(EVIL) else SHORT) for name in TEXTS}
    services.save_texts(campaign=campaign, language="en", actor=ACTOR, texts=texts)
    for kind in ("link", "confirm"):
        mails.save_mail(
            campaign=campaign,
            kind=kind,
            is_on=True,
            language="en",
            subject=SHORT,
            opening=f"{SHORT} {{name}}",
            actor=ACTOR,
        )
    return services.update_campaign(
        campaign=campaign, actor=ACTOR, asks_terms=True, confirms_email=True, questions=QUESTIONS
    )


@pytest.fixture
def asha(campaign: Campaign) -> Participant:
    """A referrer with a hostile name, and a friend with one who bought."""
    asha = make_participant(campaign, "asha@example.com", first_name=NAME, last_name="<i>")
    buy(make_friend(asha, "ines@example.org", first_name=NAME, metadata={"why": SHORT}), 5000)
    return asha


@pytest.fixture
def stranger(new_context: Callable[..., BrowserContext], watch: Watch) -> Page:
    """A person's browser without a log-in."""
    context = new_context(user_agent=CHROME)
    watch.attach(context)
    return context.new_page()


_LOOK = """() => [
  typeof hit,
  document.querySelectorAll("base, style, [onerror], [onload], [onclick], img[src=x]").length,
  performance.getEntriesByType("resource").filter((e) => !e.name.startsWith(location.origin)).map((e) => e.name),
]"""


def inert(page: Page) -> None:
    """Nothing ran, nothing hostile became an element, nobody else was asked, and the words are there as words."""
    for frame in page.frames:
        found = frame.evaluate(_LOOK)
        # A mail's own styles stand in its text, and css-inline writes them into one element.
        assert found[0] == "undefined", frame.url
        assert found[1] <= (1 if "/mail-preview/" in frame.url else 0), frame.url
        assert found[2] == [], frame.url


def test_hostile_words_stay_words_from_the_link_to_the_portal(
    live_server: LiveServer, campaign: Campaign, asha: Participant, stranger: Page, axe: Check
) -> None:
    page, site = stranger, live_server.url
    page.goto(f"{site}/campaign?id={campaign.public_id}")
    inert(page)
    page.goto(f"{site}/campaign?id={campaign.public_id}&referralCode=%3Cscript%3Ehit%3D1%3C/script%3E")
    inert(page)
    page.goto(f"{site}/campaign/terms?id={campaign.public_id}")
    inert(page)
    page.goto(f"{site}/campaign?id={campaign.public_id}&referralCode={asha.referral_code}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("onerror=hit=1")
    inert(page)
    axe(page)
    # Wrong answers come back as they were typed.
    page.evaluate("document.querySelector('form.claim').noValidate = true")
    page.get_by_label("E-mail address").fill('"><script>hit=1</script>@x')
    page.locator("form.claim button").click()
    expect(page.get_by_role("alert")).to_be_visible()
    inert(page)
    axe(page)
    page.get_by_label("E-mail address").fill("maya@example.net")
    page.get_by_label(re.compile("onerror")).first.select_option(SHORT)
    page.get_by_label("I accept the offer terms.").check()
    page.locator("form.claim button").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("One more step: look into your mail")
    inert(page)
    axe(page)
    page.get_by_role("button", name="Send the mail again").click()
    expect(page.get_by_text("If another mail may go out")).to_be_visible()
    request = JoinRequest.objects.get()
    assert confirm_mail.send(request.pk) is True
    mailed = outbox.outbox[-1]
    assert "\n" not in mailed.subject
    assert mailed.subject.startswith("<img src=x")
    found = re.search(r"(/campaign/confirm\?t=\S+)", str(mailed.body))
    assert found is not None
    page.goto(site + found[1])
    inert(page)
    axe(page)
    assert (Participant.objects.filter(email_key="maya@example.net").exists(), Reward.objects.count()) == (False, 1)
    page.get_by_role("button", name="Yes, I want to join").click()
    expect(page.get_by_label("Your referral link")).to_be_visible()
    inert(page)
    maya = Participant.objects.get(email_key="maya@example.net")
    assert (maya.metadata["why"], maya.referral.referrer) == (SHORT, asha)
    page.goto(f"{site}/me/open/{portal.make_token(PortalLink.objects.create(participant=asha))}")
    inert(page)
    page.get_by_role("main").get_by_role("button").click()
    expect(page.get_by_text("Eve").first).to_be_visible()
    inert(page)
    for kind in ("referrer", "invitee"):
        page.goto(f"{site}/widget/{campaign.public_id}/{kind}?referralCode={asha.referral_code}")
        inert(page)


def test_unsubscribing_keeps_the_rules(
    live_server: LiveServer, campaign: Campaign, asha: Participant, stranger: Page, axe: Check, fits: Check
) -> None:
    stranger.goto(f"{live_server.url}/me/mails/{mailing.stop_token(asha, 'friend_joined')}")
    for name, kinds in (
        ("Stop “A friend joined” only", {"friend_joined"}),
        ("Stop all of them", {"friend_joined", ""}),
    ):
        inert(stranger)
        axe(stranger)
        fits(stranger)
        assert mailing.stopped_kinds(asha) < kinds
        stranger.get_by_role("button", name=name).click()
        expect(stranger.get_by_role("status").last).to_be_attached()
        assert mailing.stopped_kinds(asha) == kinds
    expect(stranger.get_by_role("heading", level=1)).to_have_text("No more mails")
    axe(stranger)
    stranger.get_by_role("button", name="Send them again").click()
    expect(stranger.get_by_role("heading", level=1)).to_have_text("Stop these mails?")
    assert mailing.stopped_kinds(asha) == set()


@pytest.mark.parametrize("place", ["mails", "join"])
def test_the_merchants_pages_show_hostile_words_in_their_previews(
    live_server: LiveServer,
    alice: Cast,
    campaign: Campaign,
    asha: Participant,
    page: Page,
    axe: Check,
    fits: Check,
    place: str,
) -> None:
    log_in(page, alice.client, live_server)
    here = f"{live_server.url}/app/campaigns/{campaign.public_id}/{place}/"
    page.goto(f"{here}?kind=link" if place == "mails" else here)
    expect(page.frame_locator("iframe").locator("body")).to_contain_text("onerror=hit=1")
    inert(page)
    axe(page)
    fits(page)
    if place == "mails":
        page.get_by_role("link", name="Text", exact=True).click()
        expect(page.frame_locator("iframe").locator("body")).to_contain_text("onerror=hit=1")
        inert(page)
        page.goto(f"{live_server.url}/app/participants/{asha.public_id}/")
        inert(page)
        friend = Participant.objects.get(email_key="ines@example.org")
        page.goto(f"{live_server.url}/app/participants/{friend.public_id}/")
        inert(page)
        return
    page.get_by_text("Add a question").first.click()
    row = page.locator("details.fold[open]").first
    row.get_by_label(re.compile(r"Question \(English\)")).fill(f"Live {SHORT}")
    expect(page.frame_locator("iframe").get_by_label(re.compile("Live <img"))).to_be_visible()
    inert(page)
    answers: dict[str, Any] = check_answers(campaign, {"why": SHORT}, accepted=True, language="en").values
    assert answers == {"why": SHORT, "news": False}
