"""A replay under unchanged rules differs in nothing, whatever has happened (issue "Decide", part 9)."""

from __future__ import annotations

import os
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaigns import rules
from campaigns.models import Campaign
from campaigns.rules import current_terms
from rewards.whatif.plan import Plan, plan_as_recorded, plan_for
from rewards.whatif.replay import Replay
from tests.factories import Cast
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
