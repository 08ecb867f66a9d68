"""Ban, hold, dispute and refund at cross purposes: none of them undoes what another one, or a person, has decided."""

from __future__ import annotations

from datetime import timedelta

import pytest

from campaigns.models import Campaign
from participants.models import Refund
from referrals.events.models import Event
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from rewards import bans, lifecycle, payouts, refunds, services
from rewards.models import LedgerEntry, Reward
from rewards.verify import differences
from tests.factories import (
    ACTOR,
    Cast,
    buy,
    fixed_rule,
    make_campaign,
    make_friend,
    make_participant,
    make_reward,
    percent_rule,
)

pytestmark = pytest.mark.django_db


def _take_back(cast: Cast, reward: Reward, kind: str = "refund", minor: int | None = None, hours: int = 0) -> None:
    refunds.refund(
        tenant=cast.tenant,
        actor=ACTOR,
        source="manual",
        external_id=f"{kind}-{minor}",
        event=reward.event,
        kind=kind,
        amount=Money(minor, "USD") if minor else None,
        occurred_at=clock.now() - timedelta(hours=2 - hours),
    )


def _states(*rewards: Reward) -> list[tuple[str, str, int]]:
    for reward in rewards:
        reward.refresh_from_db()
    return [(reward.state, reward.reason, reward.amount_minor) for reward in rewards]


def _both_sides(cast: Cast) -> tuple[Reward, Reward]:
    """The referrer's and the friend's share of one purchase of 50 dollars, both due."""
    campaign = make_campaign(cast.tenant, [percent_rule("10"), percent_rule("20", side="invitee")])
    done = buy(make_friend(make_participant(campaign)), 5000)
    mine, theirs = sorted(done.rewards, key=lambda reward: reward.amount_minor)
    return mine, theirs


def test_a_ban_takes_nothing_back_that_was_issued_before_it(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, [fixed_rule(trigger="every_event")])
    maya = make_friend(make_participant(campaign))
    reward = buy(maya, 5000, "one").rewards[0]
    payouts.issue_by_hand(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR, key="click-12345")
    bans.ban(participant=reward.participant, actor=ACTOR, reason="coupon site")
    during = buy(maya, 5000, "two")
    assert (during.decisions[0].reason, during.rewards) == ("referrer_banned", [])
    assert _states(reward) == [("issued", "", 1500)]
    assert LedgerEntry.objects.filter(kind="reverse").count() == 0
    assert list(differences()) == []


def test_a_refund_counts_while_the_referrer_is_banned(alice: Cast) -> None:
    mine, theirs = _both_sides(alice)
    bans.ban(participant=mine.participant, actor=ACTOR, reason="coupon site")
    _take_back(alice, mine, minor=2500)
    assert _states(mine, theirs) == [("held", "referrer_banned", 250), ("due", "", 500)]
    _take_back(alice, mine)
    assert _states(mine, theirs) == [("void", "refunded", 250), ("void", "refunded", 500)]
    assert sum(LedgerEntry.objects.values_list("amount_minor", flat=True)) == 0
    bans.unban(participant=mine.participant, actor=ACTOR)
    assert _states(mine, theirs) == [("void", "refunded", 250), ("void", "refunded", 500)]
    assert list(differences()) == []


def test_a_hold_outlives_a_dispute_that_is_won(alice: Cast, campaign: Campaign) -> None:
    reward = make_reward(campaign)
    lifecycle.hold(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR, note="same device")
    _take_back(alice, reward, "dispute")
    assert _states(reward) == [("void", "disputed", 1500)]
    _take_back(alice, reward, "dispute_won", hours=1)
    assert _states(reward) == [("held", "held_for_review", 1500)]
    assert list(differences()) == []


def test_a_hold_that_was_lifted_does_not_come_back(alice: Cast, campaign: Campaign) -> None:
    reward = make_reward(campaign)
    lifecycle.hold(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR, note="same device")
    lifecycle.release(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR)
    _take_back(alice, reward, "dispute")
    _take_back(alice, reward, "dispute_won", hours=1)
    assert _states(reward) == [("due", "", 1500)]


def test_declining_a_held_reward_and_restoring_it_leaves_it_held(alice: Cast, campaign: Campaign) -> None:
    reward = make_reward(campaign)
    lifecycle.hold(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR, note="same device")
    lifecycle.void(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR, note="no")
    lifecycle.restore(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR)
    assert _states(reward) == [("held", "held_for_review", 1500)]
    lifecycle.release(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR)
    assert _states(reward) == [("due", "", 1500)]


def test_a_payment_undone_to_somebody_banned_meanwhile_waits_for_the_ban(alice: Cast, campaign: Campaign) -> None:
    reward = make_reward(campaign)
    batch, _made = payouts.issue_by_hand(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR, key="click-12345")
    bans.ban(participant=reward.participant, actor=ACTOR, reason="coupon site")
    payouts.undo(batch=batch, actor=ACTOR)
    assert _states(reward) == [("held", "referrer_banned", 1500)]
    bans.unban(participant=reward.participant, actor=ACTOR)
    assert _states(reward) == [("due", "", 1500)]
    assert list(differences()) == []


def test_what_had_no_amount_can_be_cancelled(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, [fixed_rule(event="signup")])
    friend = make_friend(make_participant(campaign))
    done = services.qualify(participant=friend, actor=ACTOR, source="api", external_id="trial-1", type="signup")
    _take_back(alice, done.rewards[0])
    assert _states(done.rewards[0]) == [("void", "refunded", 1500)]
    assert list(differences()) == []


def test_nothing_is_taken_back_in_the_future(alice: Cast, campaign: Campaign) -> None:
    reward = make_reward(campaign)
    events = Event.objects.count()
    with pytest.raises(Refused) as refused:
        _take_back(alice, reward, "dispute", hours=3)
    assert (refused.value.code, refused.value.field) == ("occurred_at", "occurred_at")
    assert (Refund.objects.count(), Event.objects.count()) == (0, events)
    assert _states(reward) == [("due", "", 1500)]


def test_a_refund_that_waited_is_told_once_its_payment_is_there(alice: Cast, campaign: Campaign) -> None:
    friend = make_friend(make_participant(campaign))

    def refund(name: str, reference: str) -> None:
        refunds.refund(
            tenant=alice.tenant, actor=ACTOR, source="stripe", external_id=name, references=[reference],
            amount=Money(1000, "USD"),
        )  # fmt: skip

    def pay(*references: str) -> None:
        services.qualify(
            participant=friend, actor=ACTOR, source="stripe", external_id="cs-1", references=references,
            amount=Money(5000, "USD"),
        )  # fmt: skip

    refund("re-1", "pi-1")
    refund("re-2", "ch-1")
    told = Event.objects.filter(type="event.refunded")
    assert told.count() == 0
    pay("cs-1", "pi-1")
    assert [row.data["refund"] for row in told.all()] == [Refund.objects.get(external_id="re-1").public_id]
    pay("cs-1", "pi-1", "ch-1")
    assert told.count() == 2
    refund("re-3", "pi-1")
    assert told.count() == 3


def test_what_a_banned_friend_earns_is_held_with_the_rest(alice: Cast) -> None:
    campaign = make_campaign(
        alice.tenant, [percent_rule("10"), percent_rule("20", side="invitee", trigger="every_event", review_days=5)]
    )
    maya = make_friend(make_participant(campaign))
    bans.ban(participant=maya, actor=ACTOR, reason="chargebacks")
    mine, theirs = sorted(buy(maya, 5000).rewards, key=lambda reward: reward.amount_minor)
    assert _states(mine, theirs) == [("due", "", 500), ("held", "referrer_banned", 1000)]
    told = Event.objects.filter(subject_id=theirs.public_id).order_by("pk").values_list("type", flat=True)
    assert list(told) == ["reward.created", "reward.held"]
    bans.unban(participant=maya, actor=ACTOR)
    assert _states(mine, theirs) == [("due", "", 500), ("review", "", 1000)]
    assert list(differences()) == []
