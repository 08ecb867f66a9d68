"""A simulated referral is a real one that nobody lived: the same services, the same figures, on the test side only."""

from __future__ import annotations

import pytest

from participants.models import Participant, QualifyingEvent, Referral, Refund, Visit
from referrals.accounts import clocks
from referrals.accounts.tenancy import Tenant
from referrals.events.models import Event
from referrals.hosted import mail
from referrals.hosted.models import Mail
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from rewards import advancing
from rewards.balances import balances_of
from rewards.models import LedgerEntry, Reward, State
from rewards.simulating import STEPS, next_clearing, simulate
from tests.factories import ACTOR, Cast, fixed_rule, make_campaign, make_participant, percent_rule


@pytest.fixture
def side(alice: Cast) -> Tenant:
    """Alice's test side."""
    return Tenant(alice.merchant, True)


def _counts() -> list[int]:
    return [model.objects.count() for model in (Visit, Participant, Referral, QualifyingEvent, Refund, Reward, Event)]


def test_simulate_then_move_to_the_next_thing_and_the_reward_is_due(side: Tenant) -> None:
    """The story of PRODUCT.md, "Test mode", with every figure."""
    campaign = make_campaign(
        side, [fixed_rule(1500, review_days=14), percent_rule("10", side="invitee", kind="store_credit")]
    )
    story = simulate(campaign=campaign, actor=ACTOR, amount=Money(8000, "USD"))
    assert story.friend is not None
    assert story.referral is not None
    assert story.event is not None
    assert story.visit is not None
    assert (story.referral.referrer, story.referral.visit_id) == (story.referrer, story.visit.pk)
    assert (story.event.amount_minor, story.event.source) == (8000, "simulation")
    found = {row.side: (row.amount_minor, row.state, row.participant) for row in story.rewards}
    assert found == {
        "referrer": (1500, State.REVIEW, story.referrer),
        "invitee": (800, State.DUE, story.friend),
    }
    assert [
        (row.rewardable, row.amount_minor) for row in sorted(story.decisions, key=lambda one: one.amount_minor)
    ] == [
        (True, 800),
        (True, 1500),
    ]
    clears = next_clearing(story)
    assert clears is not None
    assert (clears - story.event.occurred_at).days == 14
    state = advancing.advance_to_next(tenant=side, actor=ACTOR)
    assert state.target is None
    (told,) = advancing.happened(side, state)
    reward = Reward.objects.get(side="referrer")
    assert (told.type, told.subject_id, told.created_at) == ("reward.due", reward.public_id, clears)
    assert (reward.state, reward.stage_at, reward.amount_minor) == (State.DUE, clears, 1500)
    balance = balances_of([story.referrer.pk])[story.referrer.pk]
    assert (balance.referrer.earned, balance.referrer.left) == (1500, 1500)


def test_all_steps_with_a_part_taken_back(side: Tenant) -> None:
    campaign = make_campaign(side, [percent_rule("10")])
    story = simulate(campaign=campaign, actor=ACTOR, steps=STEPS, amount=Money(8000, "USD"), refund=Money(3000, "USD"))
    assert story.refund is not None
    assert story.event is not None
    assert (story.refund.amount_minor, story.event.refunded_minor) == (3000, 3000)
    assert [(row.amount_minor, row.state) for row in story.rewards] == [(500, State.DUE)]
    assert sum(line.amount_minor for line in LedgerEntry.objects.all()) == 500
    times = [story.visit and story.visit.occurred_at, story.friend and story.friend.joined_at]
    times += [story.event.occurred_at, story.refund.occurred_at]
    assert times == sorted(times, key=str)
    assert len(set(times)) == 4


def test_all_of_it_taken_back_leaves_nothing(side: Tenant) -> None:
    story = simulate(campaign=make_campaign(side), actor=ACTOR, steps=STEPS)
    assert [(row.state, row.reason) for row in story.rewards] == [(State.VOID, "refunded")]
    assert sum(line.amount_minor for line in LedgerEntry.objects.all()) == 0


def test_a_visit_alone_and_a_join_alone(side: Tenant) -> None:
    campaign = make_campaign(side)
    asha = make_participant(campaign)
    story = simulate(campaign=campaign, actor=ACTOR, steps=("visit",), referrer=asha)
    assert (story.referrer, story.friend, story.rewards) == (asha, None, [])
    assert Visit.objects.get().referrer == asha
    story = simulate(campaign=campaign, actor=ACTOR, steps=("join",), referrer=asha)
    assert story.referral is not None
    assert (story.referral.referrer, story.referral.visit_id, story.event) == (asha, None, None)


@pytest.mark.parametrize("currency", ["JPY", "KWD"])
def test_the_usual_amount_in_any_currency(side: Tenant, currency: str) -> None:
    story = simulate(campaign=make_campaign(side, currency=currency), actor=ACTOR)
    assert story.event is not None
    assert story.event.amount_minor == {"JPY": 50, "KWD": 50_000}[currency]


@pytest.mark.parametrize(
    ("steps", "code"),
    [
        ((), "steps"),
        (("fly",), "steps"),
        (("purchase",), "steps"),
        (("join", "refund"), "steps"),
        (("visit", "refund"), "steps"),
    ],
)
def test_steps_that_make_no_story_are_refused_and_leave_nothing(
    side: Tenant, steps: tuple[str, ...], code: str
) -> None:
    campaign = make_campaign(side)
    before = _counts()
    with pytest.raises(Refused) as refused:
        simulate(campaign=campaign, actor=ACTOR, steps=steps)
    assert (refused.value.code, refused.value.field) == (code, "steps")
    assert _counts() == before


def test_a_refund_that_is_too_large_takes_the_whole_story_back(side: Tenant) -> None:
    campaign = make_campaign(side)
    before = _counts()
    with pytest.raises(Refused) as refused:
        simulate(campaign=campaign, actor=ACTOR, steps=STEPS, amount=Money(100, "USD"), refund=Money(101, "USD"))
    assert refused.value.code == "refund_too_large"
    assert _counts() == before


def test_live_campaigns_are_refused(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant)
    before = _counts()
    with pytest.raises(Refused) as refused:
        simulate(campaign=campaign, actor=ACTOR)
    assert (refused.value.code, refused.value.status) == ("live_side", 403)
    assert _counts() == before


def test_it_happens_at_the_test_clocks_time_and_mails_nobody(side: Tenant) -> None:
    mail.note_history()
    advancing.advance_days(tenant=side, days=100, actor=ACTOR)
    with clocks.running(side):
        campaign = make_campaign(side)
        story = simulate(campaign=campaign, actor=ACTOR)
    assert story.event is not None
    moment = clocks.moment_of(side)
    assert moment is not None
    assert abs((story.event.occurred_at - moment).total_seconds()) < 10
    mail.note_history()
    assert Mail.objects.count() == 0
