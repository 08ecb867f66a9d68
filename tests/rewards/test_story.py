"""The main job through the services: join, come through a link, buy, be owed, be paid, and the books add up."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from referrals.events.models import Event
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from rewards import lifecycle, payouts, refunds
from rewards.balances import balances_of
from rewards.models import LedgerEntry, Payout, Reward
from rewards.pipeline import pipeline
from rewards.verify import differences
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant, make_reward

pytestmark = pytest.mark.django_db


def _stages(cast: Cast) -> dict[str, tuple[int, list[str]]]:
    return {s.stage: (s.count, [str(m) for m in s.amounts]) for s in pipeline(cast.tenant) if s.count}


def test_a_purchase_makes_the_referrer_s_reward_due_with_its_reasons(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, [fixed_rule(minimum_purchase=Money(3000, "USD"), new_customers_only=True)])
    asha = make_participant(campaign)
    maya = make_friend(asha)
    done = buy(maya, 6420, "order-10482")
    assert done.created is True
    (decision,) = done.decisions
    assert (decision.rewardable, decision.reason, decision.amount_minor) == (True, "", 1500)
    assert [(c["code"], c["passed"]) for c in decision.conditions] == [
        ("not_referred", True),
        ("self_referral", True),
        ("referral_denied", True),
        ("existing_customer", True),
        ("campaign_not_started", True),
        ("campaign_paused", True),
        ("campaign_ended", True),
        ("referrer_banned", True),
        ("refunded", True),
        ("cancelled", True),
        ("disputed", True),
        ("below_minimum_purchase", True),
        ("friend_purchase_limit", True),
    ]
    reward = Reward.objects.get()
    assert (reward.participant, reward.state, reward.amount) == (asha, "due", Money(1500, "USD"))
    assert [entry.key for entry in LedgerEntry.objects.all()] == [f"reward:{reward.public_id}:earn:0"]
    assert balances_of([asha.pk])[asha.pk].referrer.left == 1500
    assert _stages(alice) == {"due": (1, ["$15.00"])}
    assert list(differences()) == []


def test_review_ends_by_the_clock_and_not_before(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, [fixed_rule(review_days=9)])
    friend = make_friend(make_participant(campaign))
    buy(friend, occurred_at=timezone.now() - timedelta(days=8))
    assert lifecycle.release_due() == 0
    Reward.objects.update(review_ends_at=timezone.now() - timedelta(seconds=1))
    assert lifecycle.release_due() == 1
    assert Reward.objects.get().state == "due"
    assert Event.objects.filter(type="reward.due").count() == 1
    assert lifecycle.release_due() == 0
    assert list(differences()) == []


def test_marking_as_issued_pays_once_and_undo_takes_it_back(alice: Cast, campaign) -> None:  # type: ignore[no-untyped-def]
    reward = make_reward(campaign)
    batch, made = payouts.issue_by_hand(
        tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR, key="click-12345", note="PayPal"
    )
    again, made_again = payouts.issue_by_hand(
        tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR, key="click-12345"
    )
    assert (made, made_again, again.pk) == (True, False, batch.pk)
    payout = Payout.objects.get()
    assert (payout.amount, payout.status) == (Money(1500, "USD"), "paid")
    reward.refresh_from_db()
    assert (reward.state, reward.payout_id) == ("issued", payout.pk)
    balance = balances_of([reward.participant_id])[reward.participant_id].referrer
    assert (balance.earned, balance.redeemed, balance.left) == (1500, 1500, 0)
    with pytest.raises(Refused) as refused:
        payouts.issue_by_hand(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR, key="click-67890")
    assert (refused.value.code, refused.value.status, Payout.objects.count()) == ("invalid_state", 409, 1)
    payouts.undo(batch=batch, actor=ACTOR, note="wrong person")
    reward.refresh_from_db()
    assert (reward.state, reward.payout_id, reward.issued_at) == ("due", None, None)
    balance = balances_of([reward.participant_id])[reward.participant_id].referrer
    assert (balance.earned, balance.redeemed, balance.left) == (1500, 0, 1500)
    with pytest.raises(Refused):
        payouts.undo(batch=batch, actor=ACTOR)
    assert list(differences()) == []


def test_a_full_refund_voids_before_issue_and_reverses_after(alice: Cast, campaign) -> None:  # type: ignore[no-untyped-def]
    first = make_reward(campaign, "asha@example.com", "maya@example.net")
    second = make_reward(campaign, "tomas@example.com", "ines@example.net")
    payouts.issue_by_hand(tenant=alice.tenant, reward_ids=[second.pk], actor=ACTOR, key="click-12345")
    for reward in (first, second):
        done = refunds.refund(
            tenant=alice.tenant, actor=ACTOR, source="manual", external_id=f"re-{reward.pk}", event=reward.event
        )
        assert done.created is True
    states = dict(Reward.objects.values_list("pk", "state"))
    assert states == {first.pk: "void", second.pk: "reversed"}
    assert set(Reward.objects.values_list("reason", flat=True)) == {"refunded"}
    assert balances_of([second.participant_id])[second.participant_id].referrer.left == -1500
    assert _stages(alice) == {"closed": (2, ["$30.00"])}
    assert list(differences()) == []
