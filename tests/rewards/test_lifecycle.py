"""A reward's life: every state times every action; what is refused changes nothing; opposite entries bring things back."""

from __future__ import annotations

import importlib
import itertools

import pytest
from django.db import connection, transaction
from django.db.utils import DatabaseError, IntegrityError

from campaigns.models import Campaign
from referrals.events.models import AppendOnlyError, Event
from referrals.lib.errors import Refused
from rewards import bans, lifecycle, payouts, refunds
from rewards.lifecycle import TRANSITIONS
from rewards.models import LedgerEntry, Payout, Reward, RewardTally, State
from rewards.pipeline import fold_tallies, pipeline
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
    walk,
)

pytestmark = pytest.mark.django_db

ALLOWED = {
    "approve": {"review"},
    "hold": {"review", "due", "waiting", "attention", "queued"},
    "release": {"held"},
    "void": {"review", "due", "held", "waiting", "attention", "queued"},
    "reverse": {"issued"},
    "restore": {"void", "reversed"},
    "issue": {"due"},
}


def _put(cast: Cast, campaign: Campaign, state: str) -> Reward:
    """A reward in `state`, with books that add up."""
    reward = make_reward(campaign)
    if state in {"issued", "reversed"}:
        payouts.issue_by_hand(tenant=cast.tenant, reward_ids=[reward.pk], actor=ACTOR, key="put-it-there")
        if state == "reversed":
            lifecycle.reverse(tenant=cast.tenant, reward_ids=[reward.pk], actor=ACTOR, note="mistake")
    elif state == "void":
        lifecycle.void(tenant=cast.tenant, reward_ids=[reward.pk], actor=ACTOR, note="mistake")
    elif state != "due":
        lifecycle.tally([(reward, "due", -1), (reward, state, +1)])
        walk([reward.pk], state)
    reward.refresh_from_db()
    return reward


def _do(cast: Cast, action: str, reward: Reward) -> None:
    if action == "issue":
        payouts.issue_by_hand(
            tenant=cast.tenant, reward_ids=[reward.pk], actor=ACTOR, key=f"key-{reward.pk:08d}-{action}"
        )
        return
    getattr(lifecycle, action)(tenant=cast.tenant, reward_ids=[reward.pk], actor=ACTOR, note="because")


@pytest.mark.parametrize(("action", "state"), list(itertools.product(ALLOWED, State.values)))
def test_an_action_works_from_its_states_and_is_refused_from_all_others(
    alice: Cast, campaign: Campaign, action: str, state: str
) -> None:
    reward = _put(alice, campaign, state)
    before = (reward.state, reward.revision, LedgerEntry.objects.count(), Event.objects.count(), Payout.objects.count())
    if state in ALLOWED[action]:
        _do(alice, action, reward)
        reward.refresh_from_db()
        assert reward.revision == before[1] + 1
        assert reward.state != state
    else:
        with pytest.raises(Refused) as refused:
            _do(alice, action, reward)
        assert (refused.value.code, refused.value.status, refused.value.details["state"]) == (
            "invalid_state",
            409,
            state,
        )
        reward.refresh_from_db()
        after = (
            reward.state,
            reward.revision,
            LedgerEntry.objects.count(),
            Event.objects.count(),
            Payout.objects.count(),
        )
        assert after == before
    assert list(differences()) == []


def test_one_reward_in_a_wrong_state_stops_them_all(alice: Cast, campaign: Campaign) -> None:
    first = make_reward(campaign, "a@example.com", "b@example.com")
    second = make_reward(campaign, "c@example.com", "d@example.com")
    lifecycle.hold(tenant=alice.tenant, reward_ids=[second.pk], actor=ACTOR)
    with pytest.raises(Refused, match="held"):
        payouts.issue_by_hand(tenant=alice.tenant, reward_ids=[first.pk, second.pk], actor=ACTOR, key="click-12345")
    assert list(Reward.objects.order_by("pk").values_list("state", flat=True)) == ["due", "held"]
    assert Payout.objects.count() == 0


def test_another_merchant_s_reward_does_not_exist(alice: Cast, charlie: Cast, campaign: Campaign) -> None:
    reward = make_reward(campaign)
    for action in ALLOWED:
        with pytest.raises(Refused) as refused:
            _do(charlie, action, reward)
        assert (refused.value.code, refused.value.status) == ("reward_not_found", 404)
    reward.refresh_from_db()
    assert (reward.state, reward.revision) == ("due", 0)


def test_declining_and_restoring_are_opposite_entries(alice: Cast, campaign: Campaign) -> None:
    reward = make_reward(campaign)
    lifecycle.void(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR, note="staff discount")
    lifecycle.restore(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR, note="it was a guest")
    assert [(e.kind, e.amount_minor, e.note) for e in LedgerEntry.objects.order_by("pk")] == [
        ("earn", 1500, ""),
        ("reverse", -1500, "staff discount"),
        ("earn", 1500, "it was a guest"),
    ]
    reward.refresh_from_db()
    assert (reward.state, reward.reason) == ("due", "")


def test_what_the_conditions_forbid_can_not_be_restored_by_hand(alice: Cast, campaign: Campaign) -> None:
    reward = make_reward(campaign)
    lifecycle.void(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR, note="staff discount")
    refunds.refund(tenant=alice.tenant, actor=ACTOR, source="manual", external_id="re-1", event=reward.event)
    with pytest.raises(Refused) as refused:
        lifecycle.restore(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR)
    assert refused.value.code == "not_rewardable"
    assert Reward.objects.get().state == "void"


def test_a_reason_is_required_to_decline(alice: Cast, campaign: Campaign) -> None:
    reward = make_reward(campaign)
    with pytest.raises(Refused) as refused:
        lifecycle.void(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR, note="  ")
    assert (refused.value.code, Reward.objects.get().state) == ("note_required", "due")


def test_a_ban_holds_and_lifting_it_goes_on_where_it_stopped(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, [fixed_rule(trigger="every_event")])
    asha = make_participant(campaign)
    maya = make_friend(asha)
    buy(maya, 5000, "one")
    bans.ban(participant=asha, actor=ACTOR, reason="coupon site")
    during = buy(maya, 5000, "two")
    assert (during.decisions[0].reason, during.rewards) == ("referrer_banned", [])
    held = Reward.objects.get()
    assert (held.state, held.reason) == ("held", "referrer_banned")
    bans.unban(participant=asha, actor=ACTOR)
    assert list(Reward.objects.order_by("pk").values_list("state", flat=True)) == ["due", "due"]
    assert list(differences()) == []
    with pytest.raises(Refused):
        bans.unban(participant=asha, actor=ACTOR)


def test_nothing_is_issued_to_the_banned(alice: Cast, campaign: Campaign) -> None:
    reward = make_reward(campaign)
    bans.ban(participant=reward.participant, actor=ACTOR, reason="coupon site")
    lifecycle.release(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR)
    with pytest.raises(Refused) as refused:
        payouts.issue_by_hand(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR, key="click-12345")
    assert (refused.value.code, Payout.objects.count()) == ("recipient_banned", 0)


def test_every_change_has_exactly_one_event(alice: Cast, campaign: Campaign) -> None:
    reward = make_reward(campaign)
    for action in ("hold", "release", "void", "restore", "issue", "reverse", "restore"):
        count = Event.objects.filter(subject_id=reward.public_id).count()
        _do(alice, action, reward)
        assert Event.objects.filter(subject_id=reward.public_id).count() == count + 1, action


def test_history_and_money_can_not_be_edited(alice: Cast, campaign: Campaign) -> None:
    make_reward(campaign)
    for model in (LedgerEntry, Event):
        row = model.objects.first()
        assert row is not None
        with pytest.raises(AppendOnlyError):
            row.save()
        with pytest.raises(AppendOnlyError):
            row.delete()
        with pytest.raises(AppendOnlyError):
            model.objects.all().delete()
        with pytest.raises(AppendOnlyError):
            model.objects.update(merchant_id=1)


@pytest.mark.postgres
@pytest.mark.parametrize(
    "query",
    ["UPDATE rewards_ledgerentry SET amount_minor = 1", "DELETE FROM rewards_ledgerentry", "UPDATE events_event SET type = 'x'",
     "DELETE FROM events_event"],
)  # fmt: skip
def test_the_database_refuses_it_too(alice: Cast, campaign: Campaign, query: str) -> None:
    make_reward(campaign)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(query)


def test_the_books_notice_a_wrong_figure(alice: Cast, campaign: Campaign) -> None:
    reward = make_reward(campaign)
    Reward.objects.filter(pk=reward.pk).update(amount_minor=1600)
    assert [(name, recorded, derived) for name, _what, recorded, derived in differences()] == [
        ("reward amount and its ledger lines", 1600, 1500),
        ("money by stage", 1500, 1600),
    ]


def test_folding_the_tallies_changes_no_total(alice: Cast, campaign: Campaign) -> None:
    for n in range(4):
        make_reward(campaign, f"r{n}@example.com", f"f{n}@example.com")
    lifecycle.hold(tenant=alice.tenant, reward_ids=[Reward.objects.order_by("pk")[0].pk], actor=ACTOR)
    before = pipeline(alice.tenant)
    rows = RewardTally.objects.count()
    assert fold_tallies() == rows - 2
    assert (RewardTally.objects.count(), pipeline(alice.tenant)) == (2, before)
    assert list(differences()) == []


def test_the_database_knows_the_same_steps() -> None:
    steps = importlib.import_module("rewards.migrations.0004_payouts_on_their_way").STEPS
    assert {tuple(step.split(">")) for step in steps.split()} == {(str(a), str(b)) for a, b in TRANSITIONS}


@pytest.mark.postgres
@pytest.mark.parametrize(("before", "after"), list(itertools.permutations(State.values, 2)))
def test_no_hand_can_lead_a_reward_where_its_life_does_not(
    alice: Cast, campaign: Campaign, before: str, after: str
) -> None:
    """RELIABILITY INV-08: also by raw SQL."""
    reward = _put(alice, campaign, before)
    # Issued rewards have a payout, whatever the state; the check constraint is another test's.
    allowed = (before, after) in TRANSITIONS and (after != "issued" or reward.payout_id is not None)
    with connection.cursor() as cursor, transaction.atomic():
        try:
            with transaction.atomic():
                cursor.execute("UPDATE rewards_reward SET state = %s WHERE id = %s", [after, reward.pk])
        except IntegrityError:
            assert not allowed
        else:
            assert allowed
    assert Reward.objects.get(pk=reward.pk).state == (after if allowed else before)
