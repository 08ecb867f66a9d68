"""The pages of the test side: the clock, a simulated referral, deleting everything; and what the live side says instead."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from unittest.mock import patch

import pytest
from django.urls import reverse

from campaigns.models import Campaign
from participants.models import Participant, QualifyingEvent, Visit
from referrals.accounts import clocks
from referrals.accounts.models import Membership, MerchantClock, Role, Wipe
from referrals.accounts.tenancy import Tenant
from referrals.lib import clock
from referrals.web import testing
from rewards import advancing, wiping
from rewards.coming import KINDS
from rewards.models import Reward, State
from tests.factories import ACTOR, Cast, fixed_rule, make_campaign, make_participant, make_reward

CLOCK = reverse("web:test_clock")
DATA = reverse("web:test_data")


@pytest.fixture
def side(alice: Cast) -> Tenant:
    """Alice's test side, which her browser shows."""
    alice.client.post(reverse("web:switch_mode"), {"mode": "test"})
    return Tenant(alice.merchant, True)


def text(response: object) -> str:
    """The page's words in one line."""
    html = response.content.decode()  # type: ignore[attr-defined]  # a response
    return " ".join(re.sub(r"<[^>]+>", " ", html.partition("<main")[2] or html).split())


def near(found: datetime | None, days: float) -> bool:
    """Whether the clock is so many days ahead."""
    assert found is not None
    return abs(found - clock.wall() - timedelta(days=days)) < timedelta(seconds=20)


@pytest.mark.parametrize("path", [CLOCK, DATA])
def test_the_live_side_says_how_to_switch_and_does_nothing(alice: Cast, path: str) -> None:
    assert "Switch to test mode" in text(alice.client.get(path))
    assert "Switch to test mode" in text(alice.client.post(path, {"by": "day", "name": alice.merchant.name}))
    assert (MerchantClock.objects.count(), Wipe.objects.count()) == (0, 0)


def test_simulating_on_the_live_side_says_how_to_switch(alice: Cast, campaign: Campaign) -> None:
    page = reverse("web:simulate", args=[campaign.public_id])
    assert f'href="{page}"' in alice.client.get(reverse("web:campaign", args=[campaign.public_id])).content.decode()
    assert "Switch to test mode" in text(alice.client.post(page, {"steps": ["visit", "join"]}))
    assert (Visit.objects.count(), Participant.objects.count()) == (0, 0)


def test_the_clock_is_moved_by_each_button_without_script(alice: Cast, side: Tenant) -> None:
    page = text(alice.client.get(CLOCK))
    assert "the real time: the clock was never moved" in page
    for form, days in (({"by": "day"}, 1), ({"by": "week"}, 8), ({"by": "days", "days": "3"}, 11)):
        response = alice.client.post(CLOCK, form)
        assert (response.status_code, response["Location"]) == (302, CLOCK)
        assert near(clocks.moment_of(side), days)
    to = (clock.wall() + timedelta(days=20)).strftime("%Y-%m-%dT%H:%M")
    assert alice.client.post(CLOCK, {"by": "to", "to": to}).status_code == 302
    shown = alice.client.get(CLOCK)
    assert "The clock is there" in shown.content.decode()
    assert "Moved by alice@example.com" in text(shown)


def test_to_the_next_thing_with_htmx(alice: Cast, side: Tenant) -> None:
    reward = make_reward(make_campaign(side, [fixed_rule(1500, review_days=14)], name="Autumn"))
    page = text(alice.client.get(CLOCK))
    assert "$15.00 to asha@example.com leaves review and is due" in page
    response = alice.client.post(CLOCK, {"by": "next"}, headers={"HX-Request": "true"})
    assert response.status_code == 200
    html = response.content.decode()
    assert "<html" not in html
    assert 'id="test-now" hx-swap-oob="true"' in html
    assert f'href="{reverse("web:reward", args=[reward.public_id])}"' in html
    assert "$15.00 became due" in text(response)
    reward.refresh_from_db()
    assert (reward.state, reward.stage_at) == (State.DUE, reward.review_ends_at)


def test_everything_that_can_come_has_words() -> None:
    assert set(testing.WORDS) == set(KINDS)


def test_dates_of_campaigns_that_were_passed_are_told(alice: Cast, side: Tenant) -> None:
    ends = clock.wall() + timedelta(days=2)
    Campaign.objects.filter(pk=make_campaign(side, name="Autumn").pk).update(ends_at=ends)
    assert "Autumn ends" in text(alice.client.get(CLOCK))
    alice.client.post(CLOCK, {"by": "week"})
    happened = text(alice.client.get(CLOCK)).partition("What happened on the last move")[2].partition("What happens")[0]
    assert "Autumn ends" in happened


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"by": "days", "days": "0"}, "0 days would not move the clock forward"),
        ({"by": "days", "days": "-2"}, "-2 days would not move the clock forward"),
        ({"by": "days", "days": "9999"}, "9999 days is more than 5 years ahead"),
        ({"by": "days", "days": ""}, "Fill this in, then move."),
        ({"by": "days", "days": "many"}, "Enter a whole number."),
        ({"by": "to", "to": "2020-01-01T10:00"}, "2020-01-01 10:00:00 UTC is not after"),
        ({"by": "to", "to": "2099-01-01T10:00"}, "2099-01-01 10:00:00 UTC is more than 5 years ahead"),
        ({"by": "next"}, "Nothing is going to happen here by itself"),
        ({"by": "year"}, "year is not one of the available choices"),
        ({}, "This field is required."),
    ],
)
def test_what_can_not_be_is_said_and_nothing_moves(alice: Cast, side: Tenant, form: dict[str, str], said: str) -> None:
    response = alice.client.post(CLOCK, form)
    assert response.status_code == 422
    assert said in text(response)
    moment = clocks.moment_of(side)
    assert moment is None or near(moment, 0)


def test_a_move_under_way_shows_how_far_it_is(alice: Cast, side: Tenant) -> None:
    campaign = make_campaign(side, [fixed_rule(review_days=5)])
    make_reward(campaign)
    with patch.object(advancing, "REQUEST_SECONDS", -1.0), patch.object(advancing, "enqueue"):
        advancing.advance_days(tenant=side, days=10, actor=ACTOR)
    page = alice.client.get(CLOCK).content.decode()
    assert 'hx-trigger="every 2s"' in page
    assert 'width="500"' in page
    assert "Look again" in page
    advancing.continue_move(side.merchant.pk)
    assert 'hx-trigger="every 2s"' not in alice.client.get(CLOCK).content.decode()


def test_viewers_look_and_do_not_move(alice: Cast, bob: Cast) -> None:
    bob.client.post(reverse("web:switch_mode"), {"mode": "test"})
    page = text(bob.client.get(CLOCK))
    assert "Managers, admins and owners can move it." in page
    assert "Delete all test data" not in page
    assert bob.client.post(CLOCK, {"by": "day"}).status_code == 403
    assert MerchantClock.objects.count() == 0


def test_the_stripe_says_what_time_it_is_once_it_was_moved(alice: Cast, side: Tenant) -> None:
    assert "The clock says" not in alice.client.get(reverse("web:home")).content.decode()
    advancing.advance_days(tenant=side, days=3, actor=ACTOR)
    assert "The clock says" in alice.client.get(reverse("web:home")).content.decode()
    alice.client.post(reverse("web:switch_mode"), {"mode": "live"})
    assert "The clock says" not in alice.client.get(reverse("web:home")).content.decode()


def test_a_referral_is_simulated_and_its_story_told(alice: Cast, side: Tenant) -> None:
    """The whole of PRODUCT.md, "Test mode", in the browser: simulate, to the next thing, the reward is due."""
    campaign = make_campaign(side, [fixed_rule(1500, review_days=14)], name="Autumn")
    page = reverse("web:simulate", args=[campaign.public_id])
    assert "They buy" in text(alice.client.get(page))
    response = alice.client.post(page, {"steps": ["visit", "join", "purchase"], "amount": "80"})
    friend = Participant.objects.get(source="simulation", referral__isnull=False)
    story = reverse("web:simulated", args=[campaign.public_id, friend.public_id])
    assert (response.status_code, response["Location"]) == (302, story)
    shown = alice.client.get(story)
    said = text(shown)
    for words in ("Test Referrer's link was opened", "Test Friend joined through Test Referrer", "Bought for $80.00"):
        assert words.replace("'", "&#x27;") in said
    assert "Every condition is met" in said
    assert "$15.00" in said
    reward, event = Reward.objects.get(), QualifyingEvent.objects.get()
    html = shown.content.decode()
    assert f'href="{reverse("web:reward", args=[reward.public_id])}"' in html
    assert f'href="{reverse("web:purchase", args=[event.public_id])}"' in html
    assert alice.client.post(CLOCK, {"by": "next"}).status_code == 302
    reward.refresh_from_db()
    assert (reward.state, reward.amount_minor, reward.stage_at) == (State.DUE, 1500, reward.review_ends_at)
    assert "Move to the next thing" not in text(alice.client.get(story))


def test_a_simulated_refund_and_why_not(alice: Cast, side: Tenant) -> None:
    campaign = make_campaign(side)
    steps = ["join", "purchase", "refund"]
    alice.client.post(
        reverse("web:simulate", args=[campaign.public_id]), {"steps": steps, "amount": "80", "refund": "80"}
    )
    friend = Participant.objects.get(referral__isnull=False)
    said = text(alice.client.get(reverse("web:simulated", args=[campaign.public_id, friend.public_id])))
    assert "$80.00 refunded" in said
    assert "link was opened" not in said


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"steps": []}, "Choose at least one step."),
        ({"steps": ["refund"]}, "The step refund needs the step purchase before it."),
        ({"steps": ["fly"]}, "fly is not one of the available choices"),
        ({"steps": ["join"], "amount": "-1"}, "-1 is not above zero"),
        ({"steps": ["join"], "amount": "lots"}, "is not an amount"),
        ({"steps": ["join"], "referrer": "nobody@example.com"}, "Nobody in this campaign has nobody@example.com."),
        (
            {"steps": ["join", "purchase", "refund"], "amount": "1", "refund": "2"},
            "$2.00 is more than the $1.00 that are left",
        ),
    ],
)
def test_a_simulation_that_can_not_be_is_refused_at_its_field(
    alice: Cast, side: Tenant, form: dict[str, object], said: str
) -> None:
    campaign = make_campaign(side)
    response = alice.client.post(reverse("web:simulate", args=[campaign.public_id]), form)
    assert response.status_code == 422
    assert said in text(response)
    assert (Visit.objects.count(), Participant.objects.count()) == (0, 0)


def test_an_existing_referrer_by_code_or_address(alice: Cast, side: Tenant) -> None:
    campaign = make_campaign(side)
    asha = make_participant(campaign)
    page = reverse("web:simulate", args=[campaign.public_id])
    for said in (asha.referral_code, " Asha@example.com "):
        response = alice.client.post(page, {"steps": ["visit"], "referrer": said})
        assert response["Location"] == reverse("web:participant", args=[asha.public_id])
    assert Visit.objects.filter(referrer=asha).count() == 2


def test_only_simulated_friends_have_a_story(alice: Cast, side: Tenant) -> None:
    campaign = make_campaign(side)
    asha = make_participant(campaign)
    assert alice.client.get(reverse("web:simulated", args=[campaign.public_id, asha.public_id])).status_code == 404


def test_all_test_data_is_deleted_after_the_name_is_typed(alice: Cast, side: Tenant) -> None:
    live = make_campaign(alice.tenant, name="Live one")
    make_reward(make_campaign(side, name="Test one"))
    response = alice.client.post(DATA, {"name": "Halden"})
    assert response.status_code == 422
    assert "“Halden” is not the name of this business. Type Halden Coffee." in text(response)
    assert Wipe.objects.count() == 0
    response = alice.client.post(DATA, {"name": " Halden  Coffee "})
    assert (response.status_code, response["Location"]) == (302, DATA)
    wipe = Wipe.objects.get()
    page = alice.client.get(DATA).content.decode()
    assert f"0 of {wipe.total} rows are gone" in page
    assert 'hx-trigger="every 2s"' in page
    wiping.carry_on(wipe.pk)
    assert f"All test data was deleted: {wipe.total} rows." in text(alice.client.get(DATA))
    assert list(Campaign.objects.values_list("pk", flat=True)) == [live.pk]


def test_managers_do_not_delete(alice: Cast, bob: Cast) -> None:
    Membership.objects.filter(user=bob.user).update(role=Role.MANAGER)
    bob.client.post(reverse("web:switch_mode"), {"mode": "test"})
    assert bob.client.post(DATA, {"name": "Halden Coffee"}).status_code == 403
    assert Wipe.objects.count() == 0
