"""Importing events: history earns nothing unless the merchant says so, counts as having happened, and is imported once."""

from __future__ import annotations

import pytest

from campaigns.models import Campaign
from participants.models import Participant, QualifyingEvent
from referrals.lib import clock
from rewards.imports import jobs
from rewards.models import Decision, Import, Reward
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant
from tests.rewards.imports.test_people import counts, wrong

pytestmark = pytest.mark.django_db
HEAD = "email,type,amount,order,date\n"


def begin(cast: Cast, campaign: Campaign, text: str) -> Import:
    return jobs.start(
        tenant=cast.tenant, kind="events", campaign=campaign, name="e.csv", data=text.encode(), actor=ACTOR
    )


def decided(upload: Import) -> Import:
    return jobs.remap(
        upload=upload, mapping=upload.mapping, has_header=True, date_order="auto", decimal_mark="auto", campaign=upload.campaign,
        decide=True,
    )  # fmt: skip


@pytest.fixture
def maya(alice: Cast, campaign: Campaign) -> Participant:
    """A friend of Asha's, who bought nothing yet."""
    return make_friend(make_participant(campaign))


def test_history_counts_and_earns_nothing_so_that_the_next_purchase_is_not_the_first(
    alice: Cast, campaign: Campaign, maya: Participant
) -> None:
    file = f"{HEAD}maya@example.net,,50.00,1001,2026-10-01\nmaya@example.net,refund,10.00,1001,2026-10-02\n"
    upload = begin(alice, campaign, file)
    assert (upload.state, counts(upload), QualifyingEvent.objects.count()) == ("checked", (2, 0, 0, 0), 0)
    upload = jobs.apply(upload=upload)
    assert (upload.state, counts(upload)) == ("done", (2, 0, 0, 0))
    event = QualifyingEvent.objects.get()
    assert (event.settled, event.source, event.external_id, event.refunded_minor) == (True, "csv", "1001", 1000)
    decision = Decision.objects.get(current=True)
    assert (decision.reason, decision.counted, Reward.objects.count()) == ("settled_elsewhere", True, 0)
    done = buy(maya)
    assert [(row.reason, row.rewardable) for row in done.decisions] == [("friend_purchase_limit", False)]
    assert Reward.objects.count() == 0
    # The same file again: nothing new.
    again = begin(alice, campaign, file)
    assert counts(again) == (0, 0, 2, 0)
    assert counts(jobs.apply(upload=again)) == (0, 0, 2, 0)


def test_a_settled_event_moves_the_milestone_that_the_next_friend_reaches(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, [fixed_rule(trigger="milestone", nth=2)])
    asha = make_participant(campaign)
    make_friend(asha, "maya@example.net")
    ines = make_friend(asha, "ines@example.net")
    jobs.apply(upload=begin(alice, campaign, f"{HEAD}maya@example.net,,50,1,2026-11-01\n"))
    assert [row.amount_minor for row in buy(ines).rewards] == [1500]


def test_the_merchant_may_say_that_history_earns_rewards(alice: Cast, maya: Participant) -> None:
    upload = decided(begin(alice, maya.campaign, f"{HEAD}maya@example.net,sale,50,1001,{clock.now().date()}\n"))
    assert counts(jobs.apply(upload=upload)) == (1, 0, 0, 0)
    assert list(Reward.objects.values_list("state", "amount_minor")) == [("due", 1500)]


def test_rows_that_can_t_be_recorded_say_why(alice: Cast, campaign: Campaign, maya: Participant) -> None:
    buy(maya, 5000, external_id="1", occurred_at=clock.now())
    QualifyingEvent.objects.update(source="csv")
    file = (
        "email,customer_id,type,amount,currency,order,date,refunded\n"
        "maya@example.net,,purchase,50,USD,1,,\n"  # known
        "maya@example.net,,purchase,51,USD,1,,\n"
        "ghost@example.com,,purchase,50,USD,2,,\n"
        ",cus_9,purchase,50,USD,3,,\n"
        ",,purchase,50,USD,4,,\n"
        "maya@example.net,,refund,5,USD,,,\n"
        "maya@example.net,,refund,5,USD,404,,\n"
        "maya@example.net,,refund,60,USD,1,,\n"
        "maya@example.net,,purchase,50,EUR,5,,\n"
        "maya@example.net,,purchase,-5,USD,6,,\n"
        "maya@example.net,,join,,,7,,\n"
        "maya@example.net,,purchase,5,USD,8,2099-01-01,\n"
        "asha@example.com,,qualified,,,,,\n"
        "maya@example.net,,approved,,,,,\n"  # new: the referral was pending
        "maya@example.net,,purchase,50,USD,1,,20\n"  # updated
        "maya@example.net,,Demo booked,,,,,\n"  # new, known by what it says
        "maya@example.net,,Demo booked,,,,,\n"
    )
    upload = begin(alice, campaign, file)
    assert counts(upload) == (1, 2, 2, 12)
    for reason, text in zip(wrong(upload), (
        "Record a refund", "Nobody in the campaign", "customer id cus_9", "who did it", "by its number", "number 404", "more than the",
        "not in USD", "below zero", "can't be recorded", "in the future", "not referred by anybody",
    ), strict=True):  # fmt: skip
        assert text in reason
    assert counts(jobs.apply(upload=upload)) == (1, 2, 2, 12)
    event = QualifyingEvent.objects.get(external_id="1")
    assert (event.refunded_minor, maya.campaign.referrals.get().status) == (2000, "approved")
    types = QualifyingEvent.objects.order_by("pk").values_list("type", "settled")
    assert list(types) == [("purchase", False), ("qualified", True), ("approved", True), ("Demo booked", True)]
