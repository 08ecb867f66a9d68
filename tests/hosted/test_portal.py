"""The participant's own page: opened by a mailed one-time link only, and true about rewards and friends."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from campaigns import services as campaigns
from campaigns.models import Campaign
from participants import portal
from participants.models import Participant, PortalLink, PortalSession
from referrals.hosted.offer import day_text
from referrals.lib.money import Money
from rewards import bans, lifecycle, payouts, refunds
from rewards.models import Reward
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant


def opened(client: Client, participant: Participant) -> Client:
    """The client with a session of this participant."""
    token = portal.make_token(PortalLink.objects.create(participant=participant))
    assert client.post(f"/me/open/{token}").status_code == 303
    return client


def text_of(response: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode())).replace("&#x27;", "'")


def test_strangers_see_the_form(db: None, person: Client) -> None:
    response = person.get("/me/")
    assert response.status_code == 200
    assert "Your referral page" in text_of(response)


def test_members_and_strangers_are_answered_alike(asha: Participant, person: Client) -> None:
    answers = []
    for email in ("asha@example.com", "nobody@example.com"):
        started = time.monotonic()
        answer = person.post("/me/", {"email": email})
        answers.append((answer.status_code, answer["Location"], time.monotonic() - started >= 0.15))
    assert answers[0] == answers[1] == (303, "/me/?sent=1", True)
    assert PortalLink.objects.count() == 1
    assert "If you are a member, we have sent you a link" in text_of(person.get("/me/?sent=1"))


def test_a_bad_address_is_said(db: None, person: Client) -> None:
    answer = person.post("/me/", {"email": "nobody"})
    assert answer.status_code == 422
    assert 'aria-describedby="email-error"' in answer.content.decode()


def test_asking_is_limited_by_address_and_by_network(asha: Participant, person: Client) -> None:
    codes = [person.post("/me/", {"email": "asha@example.com"}).status_code for _ in range(21)]
    assert codes == [303] * 20 + [429]
    assert PortalLink.objects.count() == 3


def test_each_merchant_that_knows_the_address_sends_one_link(
    asha: Participant, alice: Cast, charlie: Cast, person: Client
) -> None:
    make_participant(make_campaign(alice.tenant, name="Autumn"), "asha@example.com")
    make_participant(make_campaign(charlie.tenant), "ASHA@example.com")
    person.post("/me/", {"email": "asha@example.com"})
    assert [link.participant.merchant.name for link in PortalLink.objects.order_by("pk")] == [
        "Charlie's Chairs",
        "Halden Coffee",
    ]
    person.post(f"/me/?campaign={asha.campaign.public_id}", {"email": "asha@example.com"})
    assert PortalLink.objects.order_by("-pk")[0].participant == asha


def test_looking_at_the_mailed_address_opens_nothing(asha: Participant, person: Client) -> None:
    token = portal.make_token(PortalLink.objects.create(participant=asha))
    for _ in range(3):  # mail scanners
        assert person.get(f"/me/open/{token}").status_code == 200
    assert person.head(f"/me/open/{token}").status_code == 200
    assert PortalSession.objects.count() == 0
    answer = person.post(f"/me/open/{token}")
    assert (answer.status_code, answer["Location"]) == (303, "/me/")
    cookie = answer.cookies["portal"]
    assert (cookie["httponly"], cookie["samesite"], cookie["max-age"]) == (True, "Lax", 30 * 86400)
    assert cookie.value not in str(list(PortalSession.objects.values()))


def test_a_link_opens_once(asha: Participant, browser_client: Callable[..., Client]) -> None:
    token = portal.make_token(PortalLink.objects.create(participant=asha))
    assert browser_client().post(f"/me/open/{token}").status_code == 303
    for method in ("get", "post"):
        answer = getattr(browser_client(), method)(f"/me/open/{token}")
        assert answer.status_code == 410
        assert "used or is too old" in text_of(answer)
    assert PortalSession.objects.count() == 1


def test_a_link_is_too_old_after_ten_minutes(asha: Participant, person: Client) -> None:
    token = portal.make_token(PortalLink.objects.create(participant=asha))
    with time_machine.travel(timezone.now() + timedelta(minutes=10, seconds=5)):
        assert person.post(f"/me/open/{token}").status_code == 410
    assert PortalSession.objects.count() == 0


@pytest.mark.parametrize("token", ["x", "a:b:c", "A" * 500])
def test_a_forged_link_is_refused(db: None, person: Client, token: str) -> None:
    assert person.get(f"/me/open/{token}").status_code == 410


def test_opening_needs_the_forms_own_token(asha: Participant) -> None:
    strict = Client(enforce_csrf_checks=True)
    token = portal.make_token(PortalLink.objects.create(participant=asha))
    assert strict.post(f"/me/open/{token}").status_code == 403
    assert PortalSession.objects.count() == 0


def test_a_code_or_a_wrong_cookie_opens_nothing(asha: Participant, person: Client) -> None:
    person.cookies["portal"] = asha.referral_code
    assert "Your referral page" in text_of(person.get("/me/"))


def test_logging_out_ends_the_session_for_good(asha: Participant, person: Client) -> None:
    opened(person, asha)
    cookie = person.cookies["portal"].value
    assert person.post("/me/out").status_code == 303
    person.cookies["portal"] = cookie
    assert "Your referral page" in text_of(person.get("/me/"))


def test_a_session_ends_by_itself(asha: Participant, person: Client) -> None:
    opened(person, asha)
    with time_machine.travel(timezone.now() + timedelta(days=30, seconds=5)):
        assert "Your referral page" in text_of(person.get("/me/"))


def test_the_story_of_a_reward(asha: Participant, alice: Cast, person: Client) -> None:
    opened(person, asha)
    assert "Nobody has joined through your link yet." in text_of(person.get("/me/"))
    maya = make_friend(asha, "maya@example.net", first_name="Maya", last_name="Chen")
    make_friend(asha, "someone@example.net")
    text = text_of(person.get("/me/"))
    assert re.search(r"Maya C\. Joined, no order yet\. You can remind them from \d+ \w+\. Joined", text)
    assert "s•••@example.net Joined, no order yet." in text
    assert "someone@example.net" not in text
    assert "Chen" not in text

    buy(maya, 5000)
    text = text_of(person.get("/me/"))
    assert "$20 $20 clears from" in text
    assert re.search(r"Maya C\. Ordered\. \$20 clears on \d+ \w+\. In review", text)
    assert "Clicks 0 Joined 2 Ordered 1" in text

    reward = Reward.objects.get(participant=asha)
    lifecycle.approve(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR)
    assert "Ordered. $20 is approved and on its way. Approved" in text_of(person.get("/me/"))
    payouts.issue_by_hand(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR, key="press-0001")
    text = text_of(person.get("/me/"))
    assert "$20 $20 received" in text
    assert re.search(
        r"\$20 store credit For inviting Maya C\. \$20 sent on \d+ \w+\. Receipt \$20 sent on \d+ \w+\. Rewarded", text
    )


def test_why_a_friend_does_not_count(asha: Participant, person: Client) -> None:
    opened(person, asha)
    buy(make_friend(asha, "maya@example.net", first_name="Maya"), 1000)
    assert "Maya Their order was below $30.00. Not eligible" in text_of(person.get("/me/"))


def test_a_refunded_order_is_said(asha: Participant, alice: Cast, person: Client) -> None:
    opened(person, asha)
    done = buy(make_friend(asha, "maya@example.net", first_name="Maya"), 5000)
    refunds.refund(tenant=alice.tenant, actor=ACTOR, source="manual", external_id="r1", event=done.event)
    assert "Maya Ordered. Their order was refunded. Not eligible" in text_of(person.get("/me/"))


def test_a_friend_sees_what_joining_earned(asha: Participant, person: Client) -> None:
    opened(person, make_friend(asha, "maya@example.net", first_name="Maya"))
    assert "$15 coupon For joining $15 is approved and on its way. Approved" in text_of(person.get("/me/"))


def test_the_page_takes_the_same_queries_for_many_friends(
    asha: Participant, person: Client, django_assert_max_num_queries: Any, django_assert_num_queries: Any
) -> None:
    opened(person, asha)
    for n in range(3):
        buy(make_friend(asha, f"p{n}@example.net"), 5000)
    person.get("/me/")
    with django_assert_max_num_queries(20) as few:
        person.get("/me/")
    for n in range(3, 12):
        buy(make_friend(asha, f"p{n}@example.net"), 5000)
    with django_assert_num_queries(len(few)):
        person.get("/me/")


def test_friends_come_in_pages(asha: Participant, person: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("referrals.hosted.story.FRIENDS", 2)
    for n in range(3):
        make_friend(asha, f"p{n}@example.net", first_name=f"Pia{n}")
    opened(person, asha)
    first = person.get("/me/")
    assert "Pia2" in text_of(first)
    assert "Pia0" not in text_of(first)
    address = re.search(r'href="(\?campaign=[^"]+friends=[^"]+)"', first.content.decode())
    assert address is not None
    second = text_of(person.get("/me/" + address[1].replace("&amp;", "&")))
    assert "Pia0" in second
    assert "Pia2" not in second
    assert person.get("/me/?friends=damaged").status_code == 302


def test_other_campaigns_of_the_same_merchant_can_be_reached_and_no_others(
    asha: Participant, alice: Cast, charlie: Cast, person: Client
) -> None:
    autumn = make_participant(make_campaign(alice.tenant, name="Autumn"), "asha@example.com")
    foreign = make_participant(make_campaign(charlie.tenant, name="Chairs"), "asha@example.com")
    opened(person, asha)
    text = text_of(person.get("/me/"))
    assert "Your other offers Autumn" in text
    assert "Chairs" not in text
    assert autumn.referral_code in person.get(f"/me/?campaign={autumn.campaign.public_id}").content.decode()
    assert foreign.referral_code not in person.get(f"/me/?campaign={foreign.campaign.public_id}").content.decode()


@pytest.mark.parametrize(("kind", "start"), [("svg", b"<?xml"), ("png", b"\x89PNG")])
def test_the_qr_code_can_be_kept(asha: Participant, person: Client, kind: str, start: bytes) -> None:
    assert person.get(f"/me/qr.{kind}").status_code == 302
    opened(person, asha)
    response = person.get(f"/me/qr.{kind}")
    assert response.content.startswith(start)
    assert response["Content-Disposition"] == f'attachment; filename="referral-{asha.referral_code}.{kind}"'


def test_the_page_shares_a_link_that_says_where(asha: Participant, person: Client) -> None:
    html = opened(person, asha).get("/me/").content.decode()
    code = asha.referral_code
    assert f"http%3A%2F%2Flocalhost%3A8000%2Fr%2F{code}%3Fvia%3Dwhatsapp" in html
    assert f'data-text="http://localhost:8000/r/{code}"' in html
    assert "Log out" in html


def test_a_banned_person_is_told(asha: Participant, person: Client) -> None:
    opened(person, asha)
    bans.ban(participant=asha, actor=ACTOR, reason="coupon site")
    text = text_of(person.get("/me/"))
    assert "Your account can't earn rewards now." in text
    assert "coupon site" not in text


def test_a_paused_campaign_is_told(asha: Participant, double: Campaign, person: Client) -> None:
    opened(person, asha)
    Campaign.objects.filter(pk=double.pk).update(status="paused")
    assert "The offer is paused." in text_of(person.get("/me/"))


def test_names_of_friends_are_inert(asha: Participant, person: Client) -> None:
    make_friend(asha, "eve@example.net", first_name="<img src=x onerror=alert(1)>", last_name="<")
    html = opened(person, asha).get("/me/").content.decode()
    assert "<img src=x" not in html


def test_every_purchase_that_did_not_count_is_explained(alice: Cast, person: Client) -> None:
    campaign = make_campaign(alice.tenant, [fixed_rule(minimum_purchase=Money(3000, "USD"), review_days=9)])
    asha = make_participant(campaign)
    maya = make_friend(asha, first_name="Maya", last_name="Chen")
    now = timezone.now()
    for days, minor in ((5, 1000), (4, 5000), (3, 6000), (2, 7000)):
        buy(maya, minor, occurred_at=now - timedelta(days=days))
    ben = make_friend(asha, "ben@example.net", first_name="Ben")
    buy(ben, 500, occurred_at=now - timedelta(days=2))
    buy(ben, 900, occurred_at=now - timedelta(days=1))

    text = text_of(opened(person, asha).get("/me/"))
    first, second, third = (day_text(now - timedelta(days=days)) for days in (5, 2, 2))
    assert "Ordered. $15 clears on" in text
    assert f"2 orders did not count, the last of {second}: You were already rewarded for this friend." in text
    assert f"Order of {first} did not count: Their order was below $30.00." in text
    # The newest stands as the friend's state, the others below it.
    assert f"Their order was below $30.00. Order of {third} did not count: Their order was below $30.00." in text


def test_what_fell_tells_its_facts_and_a_friend_reads_about_their_own_order(alice: Cast, person: Client) -> None:
    rules = [
        fixed_rule(side="invitee", kind="coupon", minimum_purchase=Money(3000, "USD")),
        fixed_rule(minimum_purchase=Money(3000, "USD")),
    ]
    campaign = make_campaign(alice.tenant, rules)
    maya = make_friend(make_participant(campaign))
    event = buy(maya, 5000).event
    refunds.refund(
        tenant=alice.tenant, actor=ACTOR, source="manual", external_id="R", event=event, amount=Money(3000, "USD")
    )
    assert "Your order was below $30.00." in text_of(opened(person, maya).get("/me/"))
    asha = Reward.objects.get(side="referrer").participant
    page = text_of(opened(Client(), asha).get("/me/"))
    assert "Ordered. Their order was below $30.00." in page
    assert "Not eligible" in page


def test_the_reasons_are_told_in_german(alice: Cast, person: Client) -> None:
    campaign = make_campaign(alice.tenant, [fixed_rule(minimum_purchase=Money(3000, "USD"))])
    maya = make_friend(make_participant(campaign, language="de"))
    buy(maya, 1000)
    buy(maya, 2000)
    asha = Participant.objects.get(email="asha@example.com")
    campaigns.save_texts(campaign=campaign, language="de", actor=ACTOR, texts={"share_header": "Gib 15, nimm 15"})
    page = text_of(opened(person, asha).get("/me/?lang=de"))
    assert "Die Bestellung lag unter 30,00" in page
    assert "zählt nicht" in page
