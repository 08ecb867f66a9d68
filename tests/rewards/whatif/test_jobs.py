"""The row is the job: a lost worker's lease runs out, a new question stops the one before, a double press asks once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone
from django_q.models import OrmQ

from campaigns.models import Campaign
from campaigns.rules import current_terms
from campaigns.terms import Fixed, RuleTerms
from referrals.events.services import Actor
from referrals.lib.money import Money
from rewards.models import WhatIf
from rewards.whatif import jobs, replay
from tests.factories import ACTOR, Cast, buy, make_campaign, make_friend, make_participant

pytestmark = pytest.mark.django_db


@pytest.fixture
def asked(alice: Cast, monkeypatch: pytest.MonkeyPatch) -> Campaign:
    """A campaign that counts as large, with two purchases."""
    monkeypatch.setattr(jobs, "SMALL", 0)
    campaign = make_campaign(alice.tenant)
    for number in range(2):
        buy(make_friend(make_participant(campaign, f"r{number}@example.com"), f"f{number}@example.net"))
    return Campaign.objects.select_related("merchant", "version").get(pk=campaign.pk)


def _rules(campaign: Campaign, minor: int = 2000) -> list[RuleTerms]:
    return [replace(rule, amount=Fixed(Money(minor, "USD"))) for rule in current_terms(campaign)]


def _larger(row: WhatIf) -> tuple[int, int]:
    row.refresh_from_db()
    assert row.result is not None
    found = row.result["totals"][0]["larger"]
    return found["rewards"], found["amount"]["amount_minor"]


def test_the_worker_answers_once_and_a_second_nudge_does_nothing(asked: Campaign) -> None:
    row = jobs.ask(campaign=asked, rules=_rules(asked), actor=ACTOR)
    assert (row.state, OrmQ.objects.count()) == ("queued", 1)
    assert jobs.carry_on(row.pk) is True
    assert _larger(row) == (2, 1000)
    assert (row.state, row.attempts, row.owner, row.work, row.events_done) == ("done", 1, "", {}, 2)
    finished = row.finished_at
    assert jobs.carry_on(row.pk) is True
    row.refresh_from_db()
    assert (row.attempts, row.finished_at) == (1, finished)


def test_a_double_press_asks_once_and_another_person_asks_for_themselves(asked: Campaign) -> None:
    first = jobs.ask(campaign=asked, rules=_rules(asked), actor=ACTOR)
    assert jobs.ask(campaign=asked, rules=_rules(asked), actor=ACTOR).pk == first.pk
    other = jobs.ask(campaign=asked, rules=_rules(asked), actor=Actor("user", "2", "bob@example.com"))
    assert other.pk != first.pk
    first.refresh_from_db()
    assert (first.state, WhatIf.objects.count()) == ("queued", 2)


def test_a_new_question_stops_the_one_before_also_while_it_runs(
    asked: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "SPAN", 1)
    row = jobs.ask(campaign=asked, rules=_rules(asked), actor=ACTOR)
    newer: list[WhatIf] = []

    def span(self: replay.Replay, after: int, last: int, real=replay.Replay._span) -> None:  # type: ignore[no-untyped-def]
        real(self, after, last)
        if not newer:
            newer.append(jobs.ask(campaign=asked, rules=_rules(asked, 2500), actor=ACTOR))

    monkeypatch.setattr(replay.Replay, "_span", span)
    assert jobs.carry_on(row.pk) is True
    row.refresh_from_db()
    assert (row.state, row.result, row.events_done) == ("cancelled", None, 0)
    assert jobs.carry_on(newer[0].pk) is True
    assert _larger(newer[0]) == (2, 2000)


def test_a_killed_worker_s_question_is_taken_up_when_its_lease_is_over(asked: Campaign) -> None:
    row = jobs.ask(campaign=asked, rules=_rules(asked), actor=ACTOR)
    held = {"state": "running", "owner": "killed", "attempts": 1}
    WhatIf.objects.filter(pk=row.pk).update(**held, leased_until=timezone.now() + timedelta(seconds=60))
    assert jobs.sweep() == 0
    assert jobs.carry_on(row.pk) is True
    row.refresh_from_db()
    assert (row.state, row.owner) == ("running", "killed")
    WhatIf.objects.filter(pk=row.pk).update(leased_until=timezone.now() - timedelta(seconds=1))
    assert jobs.sweep() == 1
    assert jobs.carry_on(row.pk) is True
    assert (_larger(row), row.attempts) == ((2, 1000), 2)


def test_a_question_that_kills_its_worker_three_times_is_given_up(asked: Campaign) -> None:
    row = jobs.ask(campaign=asked, rules=_rules(asked), actor=ACTOR)
    WhatIf.objects.filter(pk=row.pk).update(
        state="running", owner="killed", attempts=3, leased_until=timezone.now() - timedelta(seconds=1)
    )
    assert jobs.carry_on(row.pk) is True
    row.refresh_from_db()
    assert (row.state, row.result) == ("failed", None)


def test_an_error_is_tried_again(asked: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    row = jobs.ask(campaign=asked, rules=_rules(asked), actor=ACTOR)
    with monkeypatch.context() as patch:
        patch.setattr(replay.Replay, "_span", lambda *_args: 1 / 0)
        assert jobs.carry_on(row.pk) is False
    row.refresh_from_db()
    assert (row.state, row.attempts) == ("queued", 1)
    assert jobs.carry_on(row.pk) is True
    assert _larger(row) == (2, 1000)


def test_a_long_question_is_worked_on_in_slices(asked: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "SPAN", 1)
    row = jobs.ask(campaign=asked, rules=_rules(asked), actor=ACTOR)
    done = []
    while not jobs.carry_on(row.pk, seconds=-1):
        row.refresh_from_db()
        done.append((row.state, row.events_done, row.attempts))
    assert done[:2] == [("queued", 1, 0), ("queued", 2, 0)]
    assert _larger(row) == (2, 1000)


def test_answers_go_after_seven_days(asked: Campaign) -> None:
    row = jobs.ask(campaign=asked, rules=_rules(asked), actor=ACTOR)
    assert jobs.forget_old() == 0
    WhatIf.objects.filter(pk=row.pk).update(created_at=timezone.now() - timedelta(days=7, seconds=1))
    assert jobs.forget_old() == 1
    assert WhatIf.objects.count() == 0


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_the_database_refuses_a_replay_that_writes() -> None:
    with pytest.raises(Exception, match="read-only transaction"), replay.snapshot(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM rewards_whatif")
    with transaction.atomic():
        assert WhatIf.objects.count() == 0


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_the_worker_answers_outside_of_any_transaction(asked: Campaign) -> None:
    row = jobs.ask(campaign=asked, rules=_rules(asked), actor=ACTOR)
    assert jobs.carry_on(row.pk) is True
    assert _larger(row) == (2, 1000)
