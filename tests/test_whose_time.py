"""Whoever comes in, by whichever door: on a test side it is the time of its clock, and on the live side never (ADR 7)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.test import Client

from campaigns.models import Campaign
from integrations.models import InboundEvent
from participants.models import Participant, PortalLink, PortalSession, QualifyingEvent, Visit
from participants.portal import make_token, send_link
from referrals.accounts.models import Merchant
from referrals.accounts.tenancy import Tenant
from referrals.events.models import Event
from referrals.hosted import visitor
from referrals.lib import clock
from rewards import advancing
from tests.api.conftest import Caller, open_shop
from tests.factories import ACTOR, Cast, fixed_rule, make_campaign, make_friend, make_participant
from tests.hosted.conftest import CHROME
from tests.integrations.sending import connect, deliver, sample

AHEAD = timedelta(days=40)


def near(found: datetime, *, ahead: bool) -> bool:
    """Whether a moment is now, on a side that is or is not ahead."""
    return abs(found - clock.wall() - (AHEAD if ahead else timedelta())) < timedelta(seconds=10)


@pytest.fixture
def merchant(alice: Cast) -> Merchant:
    """Alice's business, its test side forty days ahead."""
    advancing.advance_days(tenant=Tenant(alice.merchant, True), days=AHEAD.days, actor=ACTOR)
    return alice.merchant


@pytest.fixture
def sides(merchant: Merchant) -> list[tuple[bool, Campaign]]:
    """The same campaign on both sides, test and live by turns."""
    made = {is_test: make_campaign(Tenant(merchant, is_test), [fixed_rule(review_days=7)]) for is_test in (True, False)}
    return [(True, made[True]), (False, made[False]), (True, made[True]), (False, made[False])]


def test_through_the_api_one_request_after_another_in_one_thread(
    merchant: Merchant, sides: list[tuple[bool, Campaign]]
) -> None:
    callers = {is_test: open_shop("", is_test=is_test, merchant=merchant) for is_test in (True, False)}
    for n, (is_test, campaign) in enumerate(sides):
        api: Caller = callers[is_test].api
        email = f"friend{n}@example.net"
        assert api.post("/api/v1/addParticipant", {"id": campaign.public_id, "email": email}).status == 200
        body = {"campaign": campaign.public_id, "email": email, "amount": {"amount_minor": 5000, "currency": "USD"}}
        assert api.post("/api/v2/events", body).status == 201
        person = Participant.objects.get(email=email)
        assert near(person.joined_at, ahead=is_test)
        assert near(QualifyingEvent.objects.get(participant=person).occurred_at, ahead=is_test)
        told = Event.objects.filter(participant_ref=person.public_id).values_list("created_at", flat=True)
        assert [near(at, ahead=is_test) for at in told] == [True, True]
        assert near(clock.now(), ahead=False)


def test_an_event_may_lie_in_what_is_the_future_only_for_the_live_side(
    merchant: Merchant, sides: list[tuple[bool, Campaign]]
) -> None:
    for is_test, campaign in sides[:2]:
        api = open_shop("", is_test=is_test, merchant=merchant).api
        api.post("/api/v1/addParticipant", {"id": campaign.public_id, "email": "maya@example.net"})
        soon = (clock.wall() + timedelta(days=20)).isoformat()
        body = {"campaign": campaign.public_id, "email": "maya@example.net", "occurred_at": soon}
        assert api.post("/api/v2/events", body).status == (201 if is_test else 422)


def test_on_the_merchants_pages(alice: Cast, merchant: Merchant, sides: list[tuple[bool, Campaign]]) -> None:
    for n, (is_test, campaign) in enumerate(sides):
        alice.client.post("/app/switch/mode/", {"mode": "test" if is_test else "live"})
        email = f"person{n}@example.com"
        alice.client.post("/app/participants/new/", {"campaign": campaign.public_id, "email": email})
        assert near(Participant.objects.get(email=email).joined_at, ahead=is_test)


def test_on_the_public_pages(sides: list[tuple[bool, Campaign]]) -> None:
    for n, (is_test, campaign) in enumerate(sides):
        asha = make_participant(campaign, f"asha{n}@example.com")
        browser = Client(headers={"user-agent": CHROME, "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"})
        answer = browser.get(f"/r/{asha.referral_code}")
        assert answer.status_code == 302
        visit = Visit.objects.get(referrer=asha)
        assert near(visit.occurred_at, ahead=is_test)
        value = browser.cookies[visitor.cookie_name(campaign.public_id)].value
        now = int(clock.wall().timestamp())
        # By the real time the click on the test side has not been made yet.
        read = visitor.read({visitor.cookie_name(campaign.public_id): value}, campaign.public_id, 60, now)
        assert read is not None
        assert (read.first_at - now > 1_000_000) is is_test
        page = browser.get("/campaign", {"id": campaign.public_id, "referralCode": asha.referral_code})
        assert page.status_code == 200
        assert Visit.objects.filter(referrer=asha).count() == 1


def test_a_campaign_ends_on_the_page_by_its_sides_clock(sides: list[tuple[bool, Campaign]]) -> None:
    Campaign.objects.update(ends_at=clock.wall() + timedelta(days=20))
    said = [
        b"has ended" in Client().get("/campaign", {"id": campaign.public_id}).content for _is_test, campaign in sides
    ]
    assert said == [True, False, True, False]


def test_messages_of_providers(merchant: Merchant, sides: list[tuple[bool, Campaign]]) -> None:
    """A provider's times are real ones: what the test side is ahead by is added, so that a payment follows its join."""
    for n, (is_test, campaign) in enumerate(sides[:2]):
        tenant = Tenant(merchant, is_test)
        with clock.at(clock.wall() + (AHEAD if is_test else timedelta())):
            asha = make_participant(campaign, f"asha{n}@example.com")
            make_friend(asha, f"maya{n}@example.net")
        connection = connect(tenant)
        message = sample(
            "checkout.session.completed",
            event_id=f"evt_{n}",
            id=f"cs_{n}",
            livemode=not is_test,
            customer_details={"email": f"maya{n}@example.net"},
            client_reference_id=None,
            payment_intent=f"pi_{n}",
            invoice=None,
        )
        row = deliver(connection, message)
        assert row.state == "processed", (row.outcome, row.facts, row.error)
        assert near(row.received_at, ahead=is_test)
        assert near(QualifyingEvent.objects.get(participant__email=f"maya{n}@example.net").occurred_at, ahead=is_test)
    assert InboundEvent.objects.filter(next_attempt_at__isnull=False).count() == 0


def test_mailed_links_and_log_ins_keep_the_real_time(sides: list[tuple[bool, Campaign]]) -> None:
    """The clock of a test side neither logs a participant out nor makes a link last."""
    for is_test, campaign in sides[:2]:
        asha = make_participant(campaign)
        link = send_link(asha)
        browser = Client()
        assert browser.post(f"/me/open/{make_token(link)}").status_code == 303
        advancing.advance_days(tenant=Tenant(campaign.merchant, True), days=300, actor=ACTOR)
        assert browser.get("/me/").status_code == 200
        session = PortalSession.objects.get(participant=asha)
        assert near(session.created_at, ahead=False)
        assert near(PortalLink.objects.get(pk=link.pk).created_at, ahead=False)
        assert campaign.is_test is is_test
