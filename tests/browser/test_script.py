"""The browser script on a plain shop page of another origin: visit, links, form, and a friend who is attributed (docs/script.md)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, expect
from pytest_django.live_server_helper import LiveServer

from campaigns.models import Campaign
from participants.links import script_tag
from participants.models import Participant, QualifyingEvent, Referral, Visit
from referrals.accounts.signing import new_secret
from scripts.browser import Watch
from tests.browser.shop import Shop
from tests.factories import ACTOR, make_campaign, make_cast, make_merchant, make_participant
from tests.hosted.conftest import CHROME
from tests.hosted.test_script_token import sign

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = """<!doctype html><html lang="en"><head><title>Shop</title><link rel="icon" href="data:,">@TAG@</head><body>
<h1>@HEADING@</h1>
<a id="next" href="/join">Join</a>
<a id="pay" href="https://pay.example.com/a?x=%2F#top">Pay</a>
<a id="away" href="https://other.example.com/">Elsewhere</a>
<a id="link" href="https://buy.stripe.com/abc?locale=de">Subscribe</a> <a id="own" data-referral-pay href="https://pay.halden.example/b">Buy</a>
<a id="given" href="https://buy.stripe.com/abc?client_reference_id=mine">Mine</a>
<stripe-pricing-table pricing-table-id="prctbl_1"></stripe-pricing-table><stripe-buy-button client-reference-id="mine"></stripe-buy-button>
<form action="/thanks" method="post" data-referral-form>
  <label>Address <input type="email" name="mail"></label>
  <label>First name <input name="first_name"></label>
  <button>Sign up</button>
</form>
</body></html>"""


def test_a_friend_arrives_and_signs_up_on_the_shops_own_pages(
    new_context: Callable[..., BrowserContext],
    watch: Watch,
    shop: Shop,
    live_server: LiveServer,
    transactional_db: None,
) -> None:
    alice = make_cast("alice@example.com", make_merchant("Halden Coffee"))
    campaign = make_campaign(alice.tenant, script_origins=[shop.origin], allowed_hosts=["pay.example.com"])
    asha = make_participant(campaign, "asha@example.com", first_name="Asha", last_name="Verma")
    code = asha.referral_code
    shop.page = PAGE
    shop.words["TAG"] = script_tag(campaign).replace("http://localhost:8000", live_server.url)
    # A headless browser is a machine, and machines are not counted.
    context = new_context(user_agent=CHROME)
    watch.attach(context)
    page = context.new_page()
    page.goto(f"{shop.origin}/?referralCode={code}&utm_source=mail")
    page.wait_for_function("document.cookie.startsWith('referral_')")
    visit = Visit.objects.get()
    assert (visit.referrer, visit.hidden_reason, visit.channel) == (asha, "", "mail")
    expect(page.locator("#pay")).to_have_attribute("href", f"https://pay.example.com/a?x=%2F&referralCode={code}#top")
    expect(page.locator("#away")).to_have_attribute("href", "https://other.example.com/")
    # Stripe's elements and Payment Links take it to the payment, once, and keep what the shop set itself.
    stripe = "client_reference_id"
    expect(page.locator("#link")).to_have_attribute("href", f"https://buy.stripe.com/abc?locale=de&{stripe}={code}")
    expect(page.locator("#own")).to_have_attribute("href", f"https://pay.halden.example/b?{stripe}={code}")
    expect(page.locator("#given")).to_have_attribute("href", f"https://buy.stripe.com/abc?{stripe}=mine")
    expect(page.locator("stripe-pricing-table")).to_have_attribute("client-reference-id", code)
    expect(page.locator("stripe-buy-button")).to_have_attribute("client-reference-id", "mine")
    # Other pages of the shop know by the cookie, which is the shop's.
    page.locator("#next").click()
    expect(page.get_by_role("heading", name="/join")).to_be_visible()
    assert page.url == f"{shop.origin}/join"
    expect(page.locator("#pay")).to_have_attribute("href", f"https://pay.example.com/a?x=%2F&referralCode={code}#top")
    assert page.evaluate("Referrals.getReferralCode()") == code
    assert page.evaluate("Rocket.getCampaign().then(found => found.campaignId)") == campaign.public_id
    assert page.evaluate(f"Referrals.validateCode('{code}')") == {"valid": True, "referrer": "Asha V."}
    # The shop's own form goes its way, and the friend has joined.
    page.get_by_label("Address").fill("maya@example.net")
    page.get_by_label("First name").fill("Maya")
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("heading", name="/thanks")).to_be_visible()
    for _ in range(100):
        if Referral.objects.exists():
            break
        page.wait_for_timeout(50)
    referral = Referral.objects.get()
    assert (referral.referrer, referral.visit) == (asha, visit)
    assert (referral.invitee.email, referral.invitee.first_name) == ("maya@example.net", "Maya")
    # By hand; what is refused says why.
    joined = page.evaluate("Referrals.addParticipant({email: 'noor@example.net'})")
    noor = Participant.objects.get(email="noor@example.net")
    assert (joined["referralCode"], Referral.objects.get(invitee=noor).referrer) == (noor.referral_code, asha)
    refused = "Referrals.addParticipant({email: 'noor'}).catch(e => [e.code, e.status])"
    assert page.evaluate(refused) == ["email_invalid", 422]
    # A purchase counts when the shop's server signed it, and once.
    secret = new_secret(tenant=alice.tenant, actor=ACTOR)
    signed = sign(secret, campaign, email="noor@example.net")
    for _ in range(2):
        qualified = page.evaluate("token => Referrals.qualifyParticipant({token})", signed)
        assert qualified == {"qualified": True, "externalId": "order-1"}
    event = QualifyingEvent.objects.get(source="script")
    assert (event.participant, event.amount_minor) == (noor, 5000)
    forged = sign("not-the-secret-0123456789-0123456789", campaign, email="noor@example.net", external_id="order-2")
    refused = "token => Referrals.qualifyParticipant({token}).catch(e => [e.code, e.status])"
    assert page.evaluate(refused, forged) == ["token_signature", 401]
    assert QualifyingEvent.objects.filter(source="script").count() == 1
    page.evaluate("Referrals.forget()")
    assert page.evaluate("document.cookie") == ""
    # Without a yes nothing is kept.
    Campaign.objects.filter(pk=campaign.pk).update(consent="ask")
    with page.expect_response("**/visit"):
        page.goto(f"{shop.origin}/?referralCode={code}")
    expect(page.locator("#pay")).to_have_attribute("href", f"https://pay.example.com/a?x=%2F&referralCode={code}#top")
    assert page.evaluate("document.cookie") == ""
    assert page.evaluate("Referrals.agree()") is True
    assert page.evaluate("document.cookie").startswith(f"referral_{campaign.public_id}={code}.")
    # One visit in all: the second one was within half a minute of the first.
    assert Visit.objects.count() == 1
    # The browser logs the refusal that was provoked above.
    watch.problems[:] = [problem for problem in watch.problems if "422" not in problem and "401" not in problem]
