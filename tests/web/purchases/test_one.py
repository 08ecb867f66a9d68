"""One event, opened: conditions, amount, earlier decisions, the time line, what can still change it, and acting on it."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from campaigns.terms import Percent
from participants.models import QualifyingEvent, Referral, Refund, Visit
from referrals.lib.money import Money
from rewards import bans, lifecycle, payouts, refunds
from rewards.models import Reward
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant, percent_rule

pytestmark = pytest.mark.django_db


def address(event: QualifyingEvent) -> str:
    return f"/app/purchases/{event.public_id}/"


def text_of(response: Any) -> str:
    assert response.status_code == 200
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", response.content.decode())))


def take_back(cast: Cast, event: QualifyingEvent, minor: int | None = None, external_id: str = "R-1") -> None:
    refunds.refund(
        tenant=cast.tenant,
        actor=ACTOR,
        source="manual",
        external_id=external_id,
        event=event,
        amount=Money(minor, "USD") if minor else None,
    )


def test_a_share_says_how_it_came_about_and_what_a_refund_changed(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, [percent_rule("10", review_days=9)])
    event = buy(make_friend(make_participant(campaign)), 6420, "order-1").event
    assert "10% of $64.20: $6.42" in text_of(alice.client.get(address(event)))
    take_back(alice, event, 4420)
    page = text_of(alice.client.get(address(event)))
    assert "10% of the $20.00 that were kept after refunds: $2.00" in page
    assert "$44.20 refunded, $20.00 left" in page
    assert "1 earlier decision Rewardable: $6.42" in page
    assert "Not refunded → Refunded in part: $44.20 went back, the rest counts" in page
    assert "Amount: $6.42 → $2.00" in page
    take_back(alice, event, None, "R-2")
    page = text_of(alice.client.get(address(event)))
    assert "2 earlier decisions" in page
    assert "Refunded, cancelled or deleted Nothing: the money went back." in page


def test_a_cap_is_named(alice: Cast) -> None:
    rule = fixed_rule(amount=Percent(Decimal(10), Money(2500, "USD")), trigger="every_event")
    event = buy(make_friend(make_participant(make_campaign(alice.tenant, [rule]))), 90_000).event
    assert "10% of $900.00, but at most $25.00" in text_of(alice.client.get(address(event)))


def test_both_sides_stand_side_by_side(alice: Cast) -> None:
    rules = [fixed_rule(500, side="invitee", kind="coupon"), fixed_rule(minimum_purchase=Money(9000, "USD"))]
    event = buy(make_friend(make_participant(make_campaign(alice.tenant, rules))), 5000).event
    page = text_of(alice.client.get(address(event)))
    first, second = page.index("For the one who invited them"), page.index("For the friend")
    assert first < second
    assert "Below the minimum purchase: $50.00, the campaign asks for $90.00" in page[first:second]
    assert "A fixed amount: $5.00" in page[second:]


def test_the_time_line_has_visit_join_event_decisions_rewards_and_payouts(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant)
    friend = make_friend(make_participant(campaign))
    referral = Referral.objects.get(invitee=friend)
    visit = Visit.objects.create(
        merchant=alice.merchant,
        campaign=campaign,
        referrer=referral.referrer,
        visitor="v" * 22,
        channel="whatsapp",
        occurred_at=timezone.now() - timedelta(days=1),
    )
    Referral.objects.filter(pk=referral.pk).update(visit=visit)
    event = buy(friend, 5000).event
    payouts.issue_by_hand(
        tenant=alice.tenant, reward_ids=[event.rewards.get().pk], actor=ACTOR, key="click-12345", note="PayPal"
    )
    page = text_of(alice.client.get(address(event)))
    line = page[page.rindex("What happened") :]
    order = [
        "Opened the link (whatsapp)",
        "Joined added by hand",
        "Bought for $50.00",
        "For the one who invited them: Rewardable: $15.00",
        "Earned $15.00",
        "$15.00 issued",
    ]
    places = [line.index(text) for text in order]
    assert places == sorted(places, reverse=True)


@pytest.mark.parametrize(
    ("act", "note", "state"),
    [("approve", "", "due"), ("hold", "Looks odd", "held"), ("void", "Staff", "void")],
)
def test_one_can_act_here_and_comes_back_here(alice: Cast, act: str, note: str, state: str) -> None:
    campaign = make_campaign(alice.tenant, [fixed_rule(review_days=9)])
    event = buy(make_friend(make_participant(campaign)), 5000).event
    reward = event.rewards.get()
    data = {"action": act, "reward": reward.public_id, "revision": "0", "from": "event", "back": "stage=due"}
    answer = alice.client.post("/app/rewards/act/", data)
    if note:
        assert "from" in answer.content.decode()
        answer = alice.client.post("/app/rewards/act/", {**data, "confirmed": "1", "note": note})
    assert (answer.status_code, answer["Location"]) == (303, address(event))
    reward.refresh_from_db()
    assert reward.state == state
    # A second press, from the page as it was, changes nothing and says so here.
    again = alice.client.post("/app/rewards/act/", {**data, "confirmed": "1", "note": "x"}, follow=True)
    assert "nothing was done" in text_of(again)
    reward.refresh_from_db()
    assert reward.state == state


def test_a_held_reward_and_a_ban_lead_to_where_they_are_decided(alice: Cast) -> None:
    event = buy(make_friend(make_participant(make_campaign(alice.tenant))), 5000).event
    reward = event.rewards.get()
    lifecycle.hold(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR, note="Looks odd")
    page = alice.client.get(address(event)).content.decode()
    assert f'<a href="/app/rewards/{reward.public_id}/">Decide</a>' in page
    asha = reward.participant
    bans.ban(participant=asha, actor=ACTOR, reason="Spam")
    later = buy(make_friend(asha, "ben@example.net"), 5000).event
    page = alice.client.get(address(later)).content.decode()
    assert f'<a href="/app/participants/{asha.public_id}/unban/">Lift the ban</a>' in page


def test_somebody_who_was_not_referred_can_be_attached(alice: Cast) -> None:
    event = buy(make_participant(make_campaign(alice.tenant)), 5000).event
    page = alice.client.get(address(event)).content.decode()
    assert f'/app/participants/{event.participant.public_id}/attach/">Attach a referrer</a>' in page


def test_a_viewer_reads_the_reasons_and_finds_nothing_to_press(alice: Cast, bob: Cast) -> None:
    campaign = make_campaign(alice.tenant, [fixed_rule(review_days=9)])
    event = buy(make_friend(make_participant(campaign)), 5000).event
    page = bob.client.get(address(event)).content.decode()
    assert "In review until" in page
    assert 'name="action"' not in page
    assert "Record the refund" not in page
    assert "Open the reward" not in page


def test_an_event_that_no_rule_is_about_says_so(alice: Cast) -> None:
    event = buy(make_friend(make_participant(make_campaign(alice.tenant))), 5000, type="renewal").event
    page = text_of(alice.client.get(address(event)))
    assert "No rule of the campaign is about this" in page
    assert "it keeps the rules it was recorded under" in page


def bought(cast: Cast) -> QualifyingEvent:
    """A friend's purchase of $50.00, whose $15.00 are due."""
    return buy(make_friend(make_participant(make_campaign(cast.tenant))), 5000).event


def send_refund(cast: Cast, event: QualifyingEvent, **data: str) -> Any:
    return cast.client.post(
        f"{address(event)}refund/", {"key": "r" * 16, "amount": "", "reference": "", **data}, follow=True
    )


def told(answer: Any) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


def test_a_full_refund_takes_the_reward_back(alice: Cast) -> None:
    event = bought(alice)
    page = alice.client.get(address(event)).content.decode()
    key = re.search(r'name="key" value="(\w+)"', page)
    assert key is not None
    answer = send_refund(alice, event, key=key[1])
    assert answer.redirect_chain == [(address(event), 302)]
    assert told(answer) == ["Refund recorded. What it changed is below."]
    event.refresh_from_db()
    assert event.refunded_minor == 5000
    assert event.rewards.get().state == "void"
    assert answer.context["why"] == "Refunded, cancelled or deleted"
    assert answer.context["can_refund"] is False


def test_a_refund_is_recorded_once(alice: Cast) -> None:
    event = bought(alice)
    send_refund(alice, event, amount="10", reference="R-1")
    again = send_refund(alice, event, amount="10", reference="R-1")
    assert told(again)[-1] == "This was already recorded; nothing was changed."
    assert Refund.objects.get().amount_minor == 1000
    assert Reward.objects.get().state == "due"


@pytest.mark.parametrize(
    ("data", "field", "message", "status"),
    [
        ({"amount": "0"}, "amount", "0 is not above zero.", 422),
        ({"amount": "60"}, "amount", "$60.00 is more than the $50.00 that are left of this payment.", 422),
        ({"amount": "x"}, "amount", "“x” is not an amount; write it like 12.50.", 422),
        ({"reference": "R-0"}, "reference", "R-0 is already recorded for another event.", 409),
    ],
)
def test_a_refund_that_makes_no_sense_changes_nothing(
    alice: Cast, data: dict[str, str], field: str, message: str, status: int
) -> None:
    event = bought(alice)
    other = buy(make_friend(Referral.objects.get().referrer, "ken@example.net"), 5000).event
    take_back(alice, other, 100, "R-0")
    answer = send_refund(alice, event, **data)
    assert answer.status_code == status
    assert answer.context["form"].errors == {field: [message]}
    assert message in html.unescape(answer.content.decode())
    assert list(Refund.objects.values_list("external_id", flat=True)) == ["R-0"]
    assert event.rewards.get().state == "due"


def test_a_stranger_and_a_viewer_record_no_refund(alice: Cast, bob: Cast, charlie: Cast) -> None:
    event = bought(alice)
    assert send_refund(bob, event).status_code == 403
    assert send_refund(charlie, event).status_code == 404
    assert Refund.objects.count() == 0


def test_beside_the_list_it_is_a_part(alice: Cast) -> None:
    event = buy(make_friend(make_participant(make_campaign(alice.tenant))), 5000).event
    part = alice.client.get(address(event), headers={"hx-request": "true"}).content.decode()
    assert f'data-opened="{event.public_id}"' in part
    assert "<html" not in part
    assert "What can still change it" in part


def test_it_costs_the_same_whatever_happened(alice: Cast) -> None:
    event = buy(make_friend(make_participant(make_campaign(alice.tenant, [percent_rule()]))), 50_000).event
    with CaptureQueriesContext(connection) as quiet:
        assert alice.client.get(address(event)).status_code == 200
    for n in range(6):
        take_back(alice, event, 100, f"R-{n}")
    assert Reward.objects.get().amount_minor == 4940
    with CaptureQueriesContext(connection) as busy:
        assert alice.client.get(address(event)).status_code == 200
    assert len(busy) == len(quiet) <= 14
