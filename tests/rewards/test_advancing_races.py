"""Several workers and requests make one move of the test clock, on PostgreSQL: each thing happens once, in order."""

from __future__ import annotations

from datetime import timedelta
from unittest.mock import patch

import pytest

from referrals.accounts import clocks
from referrals.accounts.models import MerchantClock
from referrals.accounts.tenancy import Tenant
from referrals.events.models import Event
from referrals.lib import clock
from rewards import advancing
from rewards.jobs import release_all
from rewards.models import Reward, State
from rewards.verify import differences
from tests.factories import ACTOR, Cast, fixed_rule, make_campaign, make_reward
from tests.rewards.test_races import at_once

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]
DAY = timedelta(days=1)


def test_six_workers_make_one_move(alice: Cast) -> None:
    side = Tenant(alice.merchant, True)
    campaign = make_campaign(side, [fixed_rule(review_days=14)])
    start = clock.wall()
    rewards = [make_reward(campaign, f"a{n}@example.com", f"b{n}@example.net") for n in range(12)]
    for n, row in enumerate(rewards):
        Reward.objects.filter(pk=row.pk).update(review_ends_at=start + (n + 1) * DAY)
    with patch.object(advancing, "REQUEST_SECONDS", -1.0), patch.object(advancing, "enqueue"):
        advancing.advance_days(tenant=side, days=30, actor=ACTOR)
        at_once(*[lambda: advancing.continue_move(side.merchant.pk)] * 4, release_all, release_all)
    told = list(Event.objects.filter(type="reward.due").order_by("pk").values_list("subject_id", "created_at"))
    assert told == [(row.public_id, start + (n + 1) * DAY) for n, row in enumerate(rewards)]
    assert set(Reward.objects.values_list("state", flat=True)) == {State.DUE}
    assert not MerchantClock.objects.get().is_moving
    assert list(differences()) == []


def test_two_moves_at_once_are_one_after_the_other_or_refused(alice: Cast) -> None:
    side = Tenant(alice.merchant, True)
    done = at_once(*[lambda: advancing.advance_days(tenant=side, days=1, actor=ACTOR)] * 6)
    made = [item for item in done if item != "test_clock_moving"]
    assert made
    moment = clocks.moment_of(side)
    assert moment is not None
    ahead = moment - clock.wall()
    assert abs(ahead - len(made) * DAY) < timedelta(seconds=60)
    assert Event.objects.filter(type="test_clock.moved").count() == len(made)
