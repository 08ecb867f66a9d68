"""What a change of rules would do to the rewards of real events: counted, added up, shown by examples; and nothing is written."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.utils import timezone

from campaigns import services as campaigns
from campaigns.models import Campaign
from campaigns.rules import current_terms
from campaigns.terms import Fixed, Limits, RuleTerms
from referrals.lib.money import Money
from rewards import bans, lifecycle
from rewards.models import Reward
from rewards.whatif.jobs import ask
from rewards.whatif.plan import plan_for
from rewards.whatif.replay import Progress, Replay
from rewards.whatif.report import report_of
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant, percent_rule

pytestmark = pytest.mark.django_db


def usd(minor: int) -> Money:
    return Money(minor, "USD")


def _report(campaign: Campaign, rules: list[RuleTerms]) -> dict[str, Any]:
    campaign.refresh_from_db()
    plan = plan_for(campaign, rules)
    replay = Replay(campaign, plan)
    assert replay.go_on() is True
    return report_of(campaign, plan, replay.progress.differences)


def _sum(rewards: int, minor: int) -> dict[str, Any]:
    return {"rewards": rewards, "amount": {"amount_minor": minor, "currency": "USD"}, "units": []}


def _rows() -> dict[str, int]:
    return {model._meta.label: model._default_manager.count() for model in apps.get_models()}


def _terms(campaign: Campaign) -> list[RuleTerms]:
    return current_terms(Campaign.objects.select_related("version").get(pk=campaign.pk))


def test_a_higher_minimum_takes_the_rewards_below_it_and_says_why(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, [fixed_rule(1500)])
    asha = make_participant(campaign)
    small = buy(make_friend(asha, "maya@example.net"), 2000, "small")
    buy(make_friend(asha, "noor@example.net"), 9000, "large")
    (rule,) = _terms(campaign)
    found = _report(campaign, [replace(rule, minimum_purchase=usd(5000))])
    (line,) = found["rules"]
    assert (line["id"], line["number"], line["status"], line["side"]) == (rule.key, 1, "changed", "referrer")
    assert [line[name] for name in ("now", "then", "difference", "created", "gone", "larger", "smaller")] == [
        _sum(2, 3000), _sum(1, 1500), _sum(-1, -1500), _sum(0, 0), _sum(1, 1500), _sum(0, 0), _sum(0, 0),
    ]  # fmt: skip
    assert line["examples"]["gone"] == [
        {
            "event": small.event.public_id,
            "type": "purchase",
            "external_id": "small",
            "participant": small.event.participant.public_id,
            "occurred_at": small.event.occurred_at.isoformat(timespec="milliseconds"),
            "before": {"amount": {"amount_minor": 1500, "currency": "USD"}, "units": None, "label": ""},
            "after": None,
            "decided": "",
            "reason": "below_minimum_purchase",
            "facts": {
                "minimum": {"amount_minor": 5000, "currency": "USD"},
                "amount": {"amount_minor": 2000, "currency": "USD"},
            },
        }
    ]
    assert found["totals"] == [
        {
            "side": "referrer",
            "currency": "USD",
            **{name: line[name] for name in ("now", "then", "difference", "created", "gone", "larger", "smaller")},
        }
    ]


def test_new_removed_larger_smaller_and_unchanged_rules_each_have_their_line(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, [fixed_rule(1500), percent_rule("10"), fixed_rule(500, side="invitee")])
    maya = make_friend(make_participant(campaign))
    buy(maya, 5000, "one")
    buy(maya, 8000, "two")
    first, share, friend = _terms(campaign)
    found = _report(
        campaign,
        [
            replace(first, review_days=30, label="Welcome"),
            replace(share, amount=replace(share.amount, cap=usd(600))),  # type: ignore[arg-type]  # a Percent
            fixed_rule(200, trigger="every_event"),
        ],
    )
    assert [
        (line["status"], line["side"], line["number"], line["difference"]["rewards"]) for line in found["rules"]
    ] == [
        ("unchanged", "referrer", 1, 0),
        ("changed", "referrer", 2, 0),
        ("new", "referrer", 3, 2),
        ("removed", "invitee", None, -1),
    ]
    same, smaller, new, removed = found["rules"]
    assert (same["now"], same["then"], same["gone"]) == (_sum(1, 1500), _sum(1, 1500), _sum(0, 0))
    assert (smaller["now"], smaller["then"], smaller["smaller"]) == (_sum(2, 1300), _sum(2, 1100), _sum(1, 200))
    assert (new["id"], new["now"], new["created"]) == (None, _sum(0, 0), _sum(2, 400))
    assert (removed["id"], removed["gone"], removed["then"]) == (friend.key, _sum(1, 500), _sum(0, 0))
    assert [one["reason"] for one in removed["examples"]["gone"]] == ["rule_removed"]
    assert [(total["side"], total["difference"]) for total in found["totals"]] == [
        ("referrer", _sum(2, 200)),
        ("invitee", _sum(-1, -500)),
    ]


def test_a_rule_that_is_changed_judges_all_events_one_that_is_not_keeps_each_version_s(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, [fixed_rule(1000, trigger="every_event")])
    maya = make_friend(make_participant(campaign))
    buy(maya, 5000, "under version 1")
    (rule,) = _terms(campaign)
    campaigns.publish_rules(campaign=campaign, rules=[replace(rule, amount=Fixed(usd(1500)))], actor=ACTOR)
    buy(type(maya).objects.get(pk=maya.pk), 5000, "under version 2")
    (now,) = _terms(campaign)
    assert _report(campaign, [now])["rules"][0]["difference"] == _sum(0, 0)
    (line,) = _report(campaign, [replace(now, amount=Fixed(usd(1600)))])["rules"]
    assert (line["now"], line["then"], line["larger"]) == (_sum(2, 2500), _sum(2, 3200), _sum(2, 700))


def test_what_a_person_declined_stays_declined_and_a_ban_takes_nothing_from_before(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, [fixed_rule(1500)])
    asha = make_participant(campaign)
    declined = buy(make_friend(asha, "maya@example.net"), 5000).rewards[0]
    lifecycle.void(tenant=alice.tenant, reward_ids=[declined.pk], actor=ACTOR, note="no")
    buy(make_friend(asha, "noor@example.net"), 5000)
    bans.ban(participant=asha, actor=ACTOR, reason="why")
    (rule,) = _terms(campaign)
    (line,) = _report(campaign, [replace(rule, amount=Fixed(usd(2000)))])["rules"]
    assert (line["now"], line["then"], line["created"]) == (_sum(1, 1500), _sum(1, 2000), _sum(0, 0))


def test_a_budget_is_given_in_the_order_in_which_events_were_recorded(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, [fixed_rule(1000, trigger="every_event")])
    people = [make_participant(campaign, f"r{number}@example.com") for number in range(3)]
    for number in (2, 0, 1):
        buy(make_friend(people[number], f"f{number}@example.net"), 5000, f"order {number}")
    (rule,) = _terms(campaign)
    (line,) = _report(campaign, [replace(rule, limits=Limits(campaign=usd(1600)))])["rules"]
    assert (line["then"], line["gone"], line["smaller"]) == (_sum(2, 1600), _sum(1, 1000), _sum(1, 400))
    assert [(one["external_id"], one["reason"]) for one in line["examples"]["gone"]] == [("order 1", "budget_spent")]
    assert [one["external_id"] for one in line["examples"]["smaller"]] == ["order 0"]


def test_ten_examples_are_kept_the_first_by_time(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, [percent_rule("10")])
    now = timezone.now()
    for person in range(2):
        friend = make_friend(make_participant(campaign, f"r{person}@example.com"), f"f{person}@example.net")
        for number in range(8):
            buy(friend, 1000, f"{person}-{number}", occurred_at=now - timedelta(days=number, hours=person))
    (rule,) = _terms(campaign)
    (line,) = _report(campaign, [replace(rule, amount=Fixed(usd(50)))])["rules"]
    assert line["smaller"] == _sum(16, 800)
    expected = sorted(((now - timedelta(days=n, hours=p)), f"{p}-{n}") for p in range(2) for n in range(8))[:10]
    assert [one["external_id"] for one in line["examples"]["smaller"]] == [name for _at, name in expected]


def test_a_rule_about_another_event_loses_what_it_gave(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, [fixed_rule(1500, trigger="every_event")])
    buy(make_friend(make_participant(campaign)), 5000)
    (rule,) = _terms(campaign)
    (line,) = _report(campaign, [replace(rule, event="signup")])["rules"]
    assert (line["gone"], [one["reason"] for one in line["examples"]["gone"]]) == (_sum(1, 1500), ["other_event"])


def test_a_replay_writes_nothing_and_the_question_writes_only_itself(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, [fixed_rule(1500), percent_rule("5", limits=Limits(campaign=usd(400)))])
    asha = make_participant(campaign)
    for number in range(3):
        buy(make_friend(asha, f"f{number}@example.net"), 5000)
    rules = [replace(rule, minimum_purchase=usd(6000)) for rule in _terms(campaign)]
    before, rewards = _rows(), list(Reward.objects.order_by("pk").values())
    _report(campaign, rules)
    assert (_rows(), list(Reward.objects.order_by("pk").values())) == (before, rewards)
    assert ask(campaign=campaign, rules=rules, actor=ACTOR).state == "done"
    assert _rows() == before | {"rewards.WhatIf": 1}
    assert list(Reward.objects.order_by("pk").values()) == rewards


def test_slices_give_the_same_answer_as_one_go(alice: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = make_campaign(alice.tenant, [fixed_rule(1500), percent_rule("5")])
    for person in range(4):
        friend = make_friend(make_participant(campaign, f"r{person}@example.com"), f"f{person}@example.net")
        buy(friend, 5000 + person, f"order {person}")
    rules = [replace(rule, minimum_purchase=usd(5002)) for rule in _terms(campaign)]
    rules[1] = replace(rules[1], limits=Limits(campaign=usd(300)))
    whole = _report(campaign, rules)
    monkeypatch.setattr("rewards.whatif.replay.SPAN", 1)
    plan, progress, slices = plan_for(campaign, rules), Progress(), 0
    while not (replay := Replay(campaign, plan, progress)).go_on(seconds=-1):
        progress, slices = Progress.load(replay.progress.dump()), slices + 1
    assert slices >= 5
    assert report_of(campaign, plan, replay.progress.differences) == whole
