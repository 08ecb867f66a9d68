"""A replay under unchanged rules differs in nothing, whatever has happened (issue "Decide", part 9)."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaigns import rules
from campaigns.models import Campaign
from campaigns.rules import current_terms
from campaigns.terms import Fixed
from referrals.lib.money import Money
from rewards import bans, lifecycle
from rewards.whatif.plan import Plan, plan_as_recorded, plan_for
from rewards.whatif.replay import Replay
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend
from tests.rewards.splits import make_referrers, make_shared_friend
from tests.rewards.whatif.histories import History, rule_names, steps

pytestmark = pytest.mark.django_db
# The same histories each time, others by `make soak`. A hundred on SQLite, and a fifth of them on PostgreSQL, to see that the
# database does not matter.
EXAMPLES = settings(
    max_examples=int(os.environ.get("SOAK_EXAMPLES") or (20 if os.environ.get("DATABASE_URL") else 100)),
    derandomize="SOAK_EXAMPLES" not in os.environ,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def _found(campaign: Campaign, plan: Plan) -> list[Any]:
    """What differs, rule by rule."""
    replay = Replay(campaign, plan)
    assert replay.go_on() is True
    return [
        (key, side, kind, one.rewards, one.minor, line.examples[kind])
        for (key, side), line in sorted(replay.progress.differences.lines.items())
        for kind, one in line.kinds.items()
        if one.rewards
    ]


@EXAMPLES
@given(names=rule_names, done=steps, budget=st.booleans(), model=st.sampled_from(["first_click", "linear"]))
def test_judging_every_event_again_by_its_own_rules_differs_in_nothing(
    alice: Cast, names: list[str], done: list[tuple[Any, ...]], budget: bool, model: str
) -> None:
    with transaction.atomic():
        rules._rules.cache_clear()  # primary keys come again in the next example
        history = History(alice.tenant, [*names, "budget"] if budget else names, model)
        history.play(done)
        campaign = Campaign.objects.select_related("merchant", "version").get(pk=history.campaign.pk)
        assert _found(campaign, plan_for(campaign, current_terms(campaign))) == []
        if not budget:
            assert _found(campaign, plan_as_recorded(campaign)) == []
        transaction.set_rollback(True)


def test_a_rule_that_had_conditions_before_is_judged_by_them(alice: Cast) -> None:
    """A case that the histories found: the older form asks for attributes, the newer one does not."""
    history = History(alice.tenant, ["germans"])
    history.play([("join", 0), ("buy", 0, 500, 0, True), ("publish", ["most"])])
    campaign = Campaign.objects.select_related("merchant", "version").get(pk=history.campaign.pk)
    assert _found(campaign, plan_as_recorded(campaign)) == []


def test_of_a_reward_that_several_share_each_part_is_a_reward(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, [fixed_rule(1000)], attribution_model="linear")
    people = make_referrers(campaign)
    buy(make_shared_friend(people))
    buy(make_friend(people["a"], "ola@example.net"))
    campaign = Campaign.objects.select_related("merchant", "version").get()
    (terms,) = current_terms(campaign)
    larger = replace(terms, amount=Fixed(Money(1200, "USD")))
    found = _found(campaign, plan_for(campaign, [larger]))
    assert [row[2:5] for row in found] == [("larger", 4, 400)]
    assert sorted(one.after.minor for one in found[0][5]) == [400, 400, 400, 1200]
    cents = replace(terms, amount=Fixed(Money(2, "USD")))
    assert [row[2:5] for row in _found(campaign, plan_for(campaign, [cents]))] == [
        ("gone", 1, 333), ("smaller", 3, 1663),
    ]  # fmt: skip
    bans.ban(participant=people["b"], actor=ACTOR, reason="Bots")
    lifecycle.void(tenant=alice.tenant, reward_ids=[people["c"].rewards.get().pk], actor=ACTOR, note="No")
    assert _found(campaign, plan_as_recorded(campaign)) == []
    assert [row[2:5] for row in _found(campaign, plan_for(campaign, [larger]))] == [("larger", 3, 333)]
