"""The test clock: forward only, what happens on the way happens at its own time, and live data never sees it (ADR 7)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest
import time_machine
from django.core.management import call_command
from django.db import IntegrityError, transaction

from participants import destinations
from participants.models import PayoutDestination
from referrals.accounts import clocks
from referrals.accounts.models import Merchant, MerchantClock
from referrals.accounts.tenancy import Tenant
from referrals.events import types
from referrals.events.models import Event
from referrals.lib import clock
from referrals.lib.errors import Refused
from rewards import advancing, lifecycle, queueing
from rewards.coming import coming
from rewards.jobs import release_all
from rewards.models import Reward, State
from rewards.pipeline import pipeline
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

DAY = timedelta(days=1)


@pytest.fixture
def side(alice: Cast) -> Tenant:
    """The test side of Alice's business."""
    return Tenant(alice.merchant, True)


def _time_of(tenant: Tenant) -> datetime:
    return clocks.moment_of(tenant) or clock.wall()


def _near(found: datetime, wanted: datetime) -> bool:
    return abs(found - wanted) < timedelta(seconds=5)


def test_a_side_without_a_clock_has_the_real_time_and_costs_the_live_side_no_query(
    alice: Cast, side: Tenant, django_assert_num_queries: Callable[[int], object]
) -> None:
    with django_assert_num_queries(0), clocks.running(alice.tenant):  # type: ignore[attr-defined]
        assert _near(clock.now(), clock.wall())
    with django_assert_num_queries(1), clocks.running(side):  # type: ignore[attr-defined]
        assert _near(clock.now(), clock.wall())
    assert MerchantClock.objects.count() == 0


def test_a_week_forward_is_a_week_forward_there_and_nowhere_else(alice: Cast, charlie: Cast, side: Tenant) -> None:
    state = advancing.advance_days(tenant=side, days=7, actor=ACTOR)
    assert state.target is None
    assert _near(state.now, clock.wall() + 7 * DAY)
    with clocks.running(side):
        assert _near(clock.now(), clock.wall() + 7 * DAY)
    for other in (alice.tenant, charlie.tenant, Tenant(charlie.merchant, True)):
        with clocks.running(other):
            assert _near(clock.now(), clock.wall())


def test_a_review_ends_on_the_way_at_its_own_time(side: Tenant) -> None:
    campaign = make_campaign(side, [fixed_rule(review_days=14)])
    first = make_reward(campaign)
    second = buy(make_friend(make_participant(campaign, "bo@example.com"), "cy@example.net")).rewards[0]
    later = first.review_ends_at + timedelta(hours=1) if first.review_ends_at else clock.wall()
    Reward.objects.filter(pk=second.pk).update(review_ends_at=later)
    advancing.advance_days(tenant=side, days=30, actor=ACTOR)
    rows = list(Reward.objects.order_by("pk"))
    assert [row.state for row in rows] == [State.DUE, State.DUE]
    assert [row.stage_at for row in rows] == [first.review_ends_at, later]
    told = Event.objects.filter(type=types.REWARD_DUE).order_by("pk")
    assert [(event.subject_id, event.created_at) for event in told] == [
        (first.public_id, first.review_ends_at),
        (second.public_id, later),
    ]


def test_to_the_next_thing_that_happens(side: Tenant) -> None:
    campaign = make_campaign(side, [fixed_rule(review_days=14)])
    reward = make_reward(campaign)
    ends = clock.wall() + 20 * DAY
    type(campaign).objects.filter(pk=campaign.pk).update(ends_at=ends)
    assert [(one.kind, one.at) for one in coming(side, clock.wall())] == [
        ("review_ends", reward.review_ends_at),
        ("campaign_ends", ends),
    ]
    state = advancing.advance_to_next(tenant=side, actor=ACTOR)
    assert reward.review_ends_at is not None
    assert _near(state.now, reward.review_ends_at)
    reward.refresh_from_db()
    assert reward.state == State.DUE
    state = advancing.advance_to_next(tenant=side, actor=ACTOR)
    assert _near(state.now, ends)
    campaign.refresh_from_db()
    with clocks.running(side):
        assert campaign.closed_reason(clock.now()) == "campaign_ended"
    assert campaign.closed_reason(clock.now()) is None
    with pytest.raises(Refused) as refused:
        advancing.advance_to_next(tenant=side, actor=ACTOR)
    assert refused.value.code == "nothing_coming"


def _wait(reward: Reward) -> None:
    """The reward waits for its recipient from now on."""
    walk([reward.pk], "waiting")
    Reward.objects.filter(pk=reward.pk).update(reason=queueing.NO_DESTINATION, stage_at=clock.now())


@pytest.mark.parametrize("away", [timedelta(), timedelta(seconds=-1), timedelta(days=-3)])
def test_backward_is_refused_by_the_value_and_nothing_changes(side: Tenant, away: timedelta) -> None:
    advancing.advance_days(tenant=side, days=7, actor=ACTOR)
    before = MerchantClock.objects.values().get()
    to = clock.wall() + 7 * DAY - timedelta(seconds=1) + away
    with pytest.raises(Refused) as refused:
        advancing.advance(tenant=side, to=to, actor=ACTOR)
    assert refused.value.code == "test_clock_backward"
    assert to.strftime("%Y-%m-%d %H:%M:%S") in refused.value.message
    assert MerchantClock.objects.values().get() == before
    assert Event.objects.filter(type=types.TEST_CLOCK_MOVED).count() == 1


@pytest.mark.parametrize("days", [0, -1])
def test_days_that_do_not_move_are_refused(side: Tenant, days: int) -> None:
    with pytest.raises(Refused) as refused:
        advancing.advance_days(tenant=side, days=days, actor=ACTOR)
    assert (refused.value.code, refused.value.field) == ("test_clock_backward", "days")
    assert f"{days} days" in refused.value.message
    assert MerchantClock.objects.count() == 0


def test_more_than_five_years_ahead_is_refused_by_the_value(side: Tenant) -> None:
    acts: list[tuple[Callable[[], object], str]] = [
        (lambda: advancing.advance_days(tenant=side, days=1827, actor=ACTOR), "1827 days"),
        (lambda: advancing.advance_days(tenant=side, days=10**9, actor=ACTOR), "1000000000 days"),
        (lambda: advancing.advance(tenant=side, to=datetime(2099, 1, 1, tzinfo=UTC), actor=ACTOR), "2099-01-01"),
    ]
    for act, value in acts:
        with pytest.raises(Refused) as refused:
            act()
        assert refused.value.code == "test_clock_too_far"
        assert value in refused.value.message
    assert clocks.clock_of(side) is None
    advancing.advance_days(tenant=side, days=1000, actor=ACTOR)
    with pytest.raises(Refused):
        advancing.advance_days(tenant=side, days=1000, actor=ACTOR)
    assert _near(_time_of(side), clock.wall() + 1000 * DAY)


def test_live_data_has_no_clock(alice: Cast) -> None:
    acts: list[Callable[[], object]] = [
        lambda: advancing.advance_days(tenant=alice.tenant, days=1, actor=ACTOR),
        lambda: advancing.advance_to_next(tenant=alice.tenant, actor=ACTOR),
        lambda: advancing.advance(tenant=alice.tenant, to=clock.wall() + DAY, actor=ACTOR),
        lambda: advancing.state_of(alice.tenant),
    ]
    for act in acts:
        with pytest.raises(Refused) as refused:
            act()
        assert (refused.value.code, refused.value.status) == ("live_side", 403)
    assert MerchantClock.objects.count() == 0


def test_live_rewards_stay_in_review_however_far_the_test_side_is(alice: Cast, side: Tenant) -> None:
    live = make_reward(make_campaign(alice.tenant, [fixed_rule(review_days=14)]))
    make_reward(make_campaign(side, [fixed_rule(review_days=14)]))
    advancing.advance_days(tenant=side, days=30, actor=ACTOR)
    release_all()
    assert {row.is_test: row.state for row in Reward.objects.all()} == {False: State.REVIEW, True: State.DUE}
    live.refresh_from_db()
    assert live.stage_at == live.created_at


def test_the_schedule_goes_by_the_clock_of_each_side(side: Tenant, charlie: Cast) -> None:
    """A reward that is made on a side that is ahead leaves review by that side's time, and one of the real time by that."""
    advancing.advance_days(tenant=side, days=30, actor=ACTOR)
    with clocks.running(side):
        ahead = make_reward(make_campaign(side, [fixed_rule(review_days=1)]))
    other = make_reward(make_campaign(Tenant(charlie.merchant, True), [fixed_rule(review_days=1)]))
    assert ahead.review_ends_at is not None
    assert _near(ahead.review_ends_at, clock.wall() + 31 * DAY)
    assert release_all() == 0
    Reward.objects.update(review_ends_at=clock.wall() + 29 * DAY)
    assert release_all() == 0
    ahead.refresh_from_db()
    other.refresh_from_db()
    assert (ahead.state, other.state) == (State.DUE, State.REVIEW)
    assert _near(ahead.stage_at, clock.wall() + 30 * DAY)
    Reward.objects.filter(pk=other.pk).update(review_ends_at=clock.wall() - DAY)
    assert release_all() == 1


def test_a_long_move_goes_on_in_the_worker_and_stands_still_meanwhile(side: Tenant) -> None:
    campaign = make_campaign(side, [fixed_rule(review_days=14)])
    rewards = [make_reward(campaign, f"a{n}@example.com", f"b{n}@example.net") for n in range(5)]
    for n, row in enumerate(rewards):
        Reward.objects.filter(pk=row.pk).update(review_ends_at=clock.wall() + (n + 1) * DAY)
    with patch.object(advancing, "REQUEST_SECONDS", -1.0), patch.object(advancing, "enqueue") as queued:
        state = advancing.advance_days(tenant=side, days=30, actor=ACTOR)
    queued.assert_called_once_with(advancing.CONTINUE, side.merchant.pk)
    assert state.target is not None
    assert _near(state.target, clock.wall() + 30 * DAY)
    assert Reward.objects.filter(state=State.DUE).count() == 1
    frozen = state.now
    assert _time_of(side) == frozen
    with pytest.raises(Refused) as refused:
        advancing.advance_days(tenant=side, days=1, actor=ACTOR)
    assert (refused.value.code, refused.value.status) == ("test_clock_moving", 409)
    assert advancing.continue_move(side.merchant.pk) is True
    assert Reward.objects.filter(state=State.DUE).count() == 5
    assert _near(_time_of(side), clock.wall() + 30 * DAY)
    told = list(Event.objects.filter(type=types.REWARD_DUE).order_by("pk").values_list("created_at", flat=True))
    assert told == sorted(told)


def test_a_move_that_lost_its_worker_is_taken_up_by_the_schedule(side: Tenant) -> None:
    make_reward(make_campaign(side, [fixed_rule(review_days=14)]))
    with patch.object(advancing, "REQUEST_SECONDS", -1.0), patch.object(advancing, "enqueue"):
        advancing.advance_days(tenant=side, days=30, actor=ACTOR)
    assert MerchantClock.objects.get().is_moving
    release_all()
    assert not MerchantClock.objects.get().is_moving
    assert Reward.objects.get().state == State.DUE


def test_the_same_moment_in_pieces(side: Tenant) -> None:
    """More rewards than one transaction may take leave review at one moment: the clock stays there until all are done."""
    campaign = make_campaign(side, [fixed_rule(review_days=14)])
    for n in range(5):
        make_reward(campaign, f"a{n}@example.com", f"b{n}@example.net")
    moment = clock.wall() + DAY
    Reward.objects.update(review_ends_at=moment)
    with patch.object(advancing, "CHUNK", 2):
        advancing.advance_days(tenant=side, days=2, actor=ACTOR)
    assert set(Reward.objects.values_list("state", "stage_at")) == {(State.DUE, moment)}


def test_the_clock_runs_on_and_can_not_stand_between(side: Tenant, alice: Cast) -> None:
    advancing.advance_days(tenant=side, days=1, actor=ACTOR)
    row = MerchantClock.objects.get()
    assert row.since is not None
    with patch.object(clock, "wall", return_value=row.since + timedelta(hours=2)):
        assert row.now() == row.moment + timedelta(hours=2)
    with patch.object(clock, "wall", return_value=row.since - timedelta(hours=2)):
        assert row.now() == row.moment
    with pytest.raises(IntegrityError), transaction.atomic():
        MerchantClock.objects.update(target=row.moment + DAY)
    with pytest.raises(IntegrityError), transaction.atomic():
        MerchantClock.objects.update(since=None)
    assert Merchant.objects.filter(pk=alice.merchant.pk).exists()


def test_clicks_that_brought_nobody_stop_counting(side: Tenant) -> None:
    from participants.visits import visit_row

    campaign = make_campaign(side, window_days=30)
    asha = make_participant(campaign)
    clicked = clock.wall() - 10 * DAY
    visit_row(referrer=asha, visitor="v" * 22, at=clicked).save()
    visit_row(referrer=asha, visitor="w" * 22, at=clicked - DAY, hidden_reason="bot").save()
    visit_row(referrer=asha, visitor="x" * 22, at=clicked - 40 * DAY).save()
    assert [(one.kind, one.at, one.subject_id) for one in coming(side, clock.wall())] == [
        ("window_ends", clicked + 30 * DAY, campaign.public_id)
    ]


def test_release_of_one_tenant_leaves_the_others(alice: Cast, charlie: Cast) -> None:
    for cast in (alice, charlie):
        make_reward(make_campaign(cast.tenant, [fixed_rule(review_days=1)]))
    Reward.objects.update(review_ends_at=clock.wall() - DAY)
    assert lifecycle.release_due(tenant=alice.tenant) == 1
    states = {row.merchant_id: row.state for row in Reward.objects.all()}
    assert states == {alice.merchant.pk: State.DUE, charlie.merchant.pk: State.REVIEW}


def test_review_days_end_at_the_same_time_of_day_across_a_change_of_the_clocks(alice: Cast) -> None:
    """14 days from 20 March 10:00 in Oslo are 3 April 10:00 there, though summer time began in between (docs/test-mode.md)."""
    Merchant.objects.filter(pk=alice.merchant.pk).update(time_zone="Europe/Oslo")
    alice.merchant.refresh_from_db()
    with clock.at(datetime(2027, 3, 20, 9, tzinfo=UTC)):
        campaign = make_campaign(alice.tenant, [fixed_rule(review_days=14)], since_days=0)
        type(campaign).objects.update(status_since=clock.now() - DAY, launched_at=clock.now() - DAY)
        campaign.refresh_from_db()
        reward = make_reward(campaign)
    assert reward.review_ends_at == datetime(2027, 4, 3, 8, tzinfo=UTC)


def test_one_piece_for_many_sides_keeps_their_histories_and_figures_apart(
    alice: Cast, charlie: Cast, side: Tenant
) -> None:
    """What is released together is told, counted and stamped for each side by itself, as one by one."""
    sides = [alice.tenant, charlie.tenant, side]
    for number, tenant in enumerate(sides, start=1):
        campaign = make_campaign(tenant, [fixed_rule(100 * number, review_days=1)])
        for n in range(number):
            make_reward(campaign, f"a{n}@example.com", f"b{n}@example.net")
    Reward.objects.update(review_ends_at=clock.wall() - DAY, note="kept until now")
    before = dict(Reward.objects.values_list("public_id", "revision"))
    assert lifecycle.release_due() == 6
    for number, tenant in enumerate(sides, start=1):
        rows = list(Reward.objects.for_tenant(tenant).order_by("pk"))
        assert {(row.state, row.note, row.revision - before[row.public_id]) for row in rows} == {(State.DUE, "", 1)}
        told = Event.objects.for_tenant(tenant).filter(type=types.REWARD_DUE).order_by("pk")
        assert {event.subject_id for event in told} == {row.public_id for row in rows}
        assert len({event.public_id for event in told}) == number
        for event in told:
            reward = next(row for row in rows if row.public_id == event.subject_id)
            assert event.data == {"from": "review", "to": "due", "amount_minor": 100 * number, "currency": "USD"}
            assert (event.campaign_ref, event.participant_ref) == (
                reward.campaign.public_id,
                reward.participant.public_id,
            )
            assert (event.subject_type, event.actor_kind, event.created_at) == ("reward", "system", reward.stage_at)
        figures = {one.stage: (one.count, [money.minor for money in one.amounts]) for one in pipeline(tenant)}
        assert figures["due"] == (number, [100 * number * number])
        assert figures["review"][0] == 0
    call_command("verify_ledger")


def test_pages_and_exports_cut_days_in_the_business_zone(alice: Cast) -> None:
    """Half past eleven in the evening UTC is the next day in Auckland: on the page, in the chart, in the file's name."""
    Merchant.objects.filter(pk=alice.merchant.pk).update(time_zone="Pacific/Auckland")
    make_reward(make_campaign(alice.tenant, [fixed_rule(review_days=3)]))
    late = datetime(2026, 11, 19, 23, 30, tzinfo=UTC)
    Reward.objects.update(review_ends_at=late + 3 * DAY, stage_at=late)
    reward = Reward.objects.get()
    page = alice.client.get(f"/app/rewards/{reward.public_id}/").content.decode()
    assert "23 Nov 2026, 12:30" in page
    assert "22 Nov 2026, 23:30" not in page
    with time_machine.travel(late, tick=False):
        name = alice.client.get("/app/rewards/export.csv?stage=review")["Content-Disposition"]
    assert "2026-11-20" in name


def test_what_waits_for_a_held_address_is_due_at_the_end_of_its_72_hours_by_that_sides_clock(
    side: Tenant, charlie: Cast
) -> None:
    """A change of address is held by the test clock, which stops at the end of the hold; another side's time counts for nobody else."""
    advancing.advance_days(tenant=side, days=30, actor=ACTOR)
    other = Tenant(charlie.merchant, True)
    rewards = [make_reward(make_campaign(tenant)) for tenant in (side, other)]
    for reward in rewards:
        with clocks.running(reward.tenant):
            for email in ("asha@pay.example", "new@pay.example"):
                row = destinations.ask(participant=reward.participant, email=email, actor=ACTOR)
                assert destinations.confirm(token=destinations.confirm_token(row), actor=ACTOR) is not None
            _wait(reward)
    usable = PayoutDestination.objects.get(participant=rewards[0].participant, ended_at=None).usable_from
    assert usable is not None
    with time_machine.travel(clock.wall() + 4 * DAY):
        assert queueing.wake() == 1
    assert list(Reward.objects.order_by("pk").values_list("state", flat=True)) == [State.WAITING, State.DUE]

    [ahead] = advancing.state_of(side).coming
    assert (ahead.kind, ahead.at, ahead.subject_id) == ("address_counts", usable, rewards[0].participant.public_id)
    advancing.advance_days(tenant=side, days=10, actor=ACTOR)
    now = Reward.objects.get(pk=rewards[0].pk)
    assert (now.state, now.reason, now.stage_at) == (State.DUE, "", usable)
    assert advancing.state_of(side).coming == []


def test_the_schedule_wakes_what_waits_on_a_side_with_a_clock_of_its_own(side: Tenant) -> None:
    advancing.advance_days(tenant=side, days=30, actor=ACTOR)
    with clocks.running(side):
        reward = make_reward(make_campaign(side))
        _wait(reward)
    with clocks.running(side):
        row = destinations.ask(participant=reward.participant, email="asha@pay.example", actor=ACTOR)
        destinations.confirm(token=destinations.confirm_token(row), actor=ACTOR)
    assert queueing.wake() == 0
    release_all()
    woken = Reward.objects.get()
    assert woken.state == State.DUE
    assert _near(woken.stage_at, clock.wall() + 30 * DAY)
    told = Event.objects.filter(subject_id=reward.public_id).order_by("-pk")[0]
    assert _near(told.created_at, clock.wall() + 30 * DAY)
