"""Models of attribution: the parts add up to the whole, and the model in force gives what is recorded."""

from __future__ import annotations

from datetime import datetime, timedelta
from fractions import Fraction

import pytest
from django.db.models import Sum
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaigns.models import Campaign
from participants.attribution_models import MODELS, Click, split, weights, within
from participants.models import Referral
from participants.visits import visit_row
from referrals.lib import clock
from referrals.lib.money import CURRENCIES, Money
from rewards import lifecycle, services
from rewards.attribution_report import MEASURES, clicks_of, derive, report
from rewards.models import Reward
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant
from tests.rewards.splits import make_referrers, make_shared_friend

NOW = datetime.fromisoformat("2026-11-20T12:00:00+00:00")


def clicks(*referrers: int) -> list[Click]:
    return [Click(NOW + timedelta(minutes=n), n, who) for n, who in enumerate(referrers)]


@pytest.mark.parametrize(
    ("model", "referrers", "parts"),
    [
        ("first_click", (1, 2, 3), {1: 1000}),
        ("last_click", (1, 2, 3), {3: 1000}),
        ("linear", (1, 2, 3), {1: 334, 2: 333, 3: 333}),
        ("linear", (1, 2, 1), {1: 667, 2: 333}),
        ("position", (1,), {1: 1000}),
        ("position", (1, 2), {1: 500, 2: 500}),
        ("position", (1, 2, 3), {1: 400, 2: 200, 3: 400}),
        ("position", (1, 2, 3, 4), {1: 400, 2: 100, 3: 100, 4: 400}),
        ("position", (1, 2, 1), {1: 800, 2: 200}),
        ("linear", (), {}),
    ],
)
def test_ten_dollars_by_each_model(model: str, referrers: tuple[int, ...], parts: dict[int, int]) -> None:
    assert split(1000, weights(clicks(*referrers), model)) == parts


@given(
    referrers=st.lists(st.integers(1, 6), max_size=30),
    model=st.sampled_from(MODELS),
    minor=st.integers(-(10**14), 10**14),
    currency=st.sampled_from(sorted(CURRENCIES)),
)
def test_the_parts_are_the_whole_to_the_last_unit(referrers: list[int], model: str, minor: int, currency: str) -> None:
    shares = weights(clicks(*referrers), model)
    assert sum(shares.values()) == (1 if referrers else 0)
    parts = split(minor, shares)
    total = Money.zero(currency)
    for part in parts.values():
        total += Money(part, currency)
    assert total == Money(minor if referrers else 0, currency)
    for key, part in parts.items():
        assert abs(part - minor * shares[key]) < 1


@given(st.lists(st.integers(0, 400), max_size=20), st.integers(1, 365))
def test_only_clicks_within_the_window_count(days: list[int], window: int) -> None:
    every = [Click(NOW - timedelta(days=ago), n, 1) for n, ago in enumerate(days)]
    assert len(within(every, NOW, window)) == sum(ago <= window for ago in days)
    assert within(every, NOW, window) == sorted(within(every, NOW, window))


def test_a_model_nobody_knows_is_an_error() -> None:
    with pytest.raises(ValueError, match="no model"):
        weights(clicks(1), "time_decay")


@pytest.mark.django_db
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    history=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 90), st.booleans()), min_size=1, max_size=8),
    model=st.sampled_from(["first_click", "last_click"]),
    window=st.sampled_from([1, 30, 60]),
    number=st.integers(0, 10**9),
)
def test_derived_anew_the_model_in_force_gives_what_is_recorded(
    alice: Cast, history: list[tuple[int, int, bool]], model: str, window: int, number: int
) -> None:
    campaign = make_campaign(alice.tenant, attribution_model=model, window_days=window)
    people = [make_participant(campaign, f"r{n}@example.com") for n in range(4)]
    visitor = f"{number:022d}"
    for n, (who, hours_ago, is_bot) in enumerate(history):
        at = NOW - timedelta(hours=hours_ago * 18, seconds=n)
        visit_row(referrer=people[who], visitor=visitor, at=at, hidden_reason="bot" if is_bot else "").save()
    with clock.at(NOW):
        done = services.join(
            campaign=campaign, email=f"m{number}@example.net", actor=ACTOR, source="hosted", visitor=visitor
        )
    if done.referral is None:
        return
    bond = Referral.objects.select_related("visit", "invitee").get(pk=done.referral.pk)
    assert derive(bond, model, clicks_of(campaign, [bond])[bond.pk]) == bond.referrer_id


@pytest.mark.django_db
def test_the_report_shares_what_friends_paid_and_adds_up(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant)
    asha, ben = make_participant(campaign), make_participant(campaign, "ben@example.com")
    for n, who in enumerate((asha, ben, ben)):
        visit_row(referrer=who, visitor="v" * 22, at=clock.now() - timedelta(hours=9 - n)).save()
    done = services.join(campaign=campaign, email="maya@example.net", actor=ACTOR, source="hosted", visitor="v" * 22)
    buy(done.participant, 10001)
    buy(make_friend(ben, "ines@example.net"), 5000)
    found = report(campaign, "revenue")
    rows = {row.referrer.email[0]: (row.recorded, row.models) for row in found.rows}
    assert rows == {
        "a": (10001, {"first_click": 10001, "last_click": 0, "linear": 3334, "position": 4000}),
        "b": (5000, {"first_click": 5000, "last_click": 15001, "linear": 11667, "position": 11001}),
    }
    assert (found.total, found.friends, found.by_clicks, found.is_cut) == (15001, 2, 1, False)
    friends = {row.referrer.email[0]: row.models["linear"] for row in report(campaign, "friends").rows}
    assert friends == {"a": 33, "b": 167}
    assert {row.referrer.email[0]: row.recorded for row in report(campaign, "rewards").rows} == {"a": 1500, "b": 1500}
    with pytest.raises(ValueError, match="no measure"):
        report(campaign, "happiness")


@pytest.mark.django_db
def test_the_page_shows_it_and_the_file_has_it(alice: Cast, campaign: Campaign) -> None:
    page = f"/app/campaigns/{campaign.public_id}/attribution"
    assert b"No friends yet" in alice.client.get(f"{page}/").content
    asha = make_participant(campaign, first_name="=Asha")
    buy(make_friend(asha), 10001)
    html = alice.client.get(f"{page}/").content.decode()
    assert html.count("$100.01") == 10
    assert "1.00" not in alice.client.get(f"{page}/?of=friends").content.decode()
    lines = b"".join(alice.client.get(f"{page}.csv").streaming_content).decode().splitlines()  # type: ignore[attr-defined]  # streamed
    assert lines[1] == (
        f'"{asha.public_id}","\t=Asha","asha@example.com","{asha.referral_code}","revenue","USD",'
        '"100.01","100.01","100.01","100.01","100.01"'
    )
    assert sum(weights(clicks(1, 2, 3), "position").values()) == Fraction(1)


@pytest.mark.django_db
@pytest.mark.parametrize("model", ["linear", "position"])
def test_under_the_model_that_shares_the_report_is_what_is_recorded(alice: Cast, model: str) -> None:
    campaign = make_campaign(alice.tenant, [fixed_rule(1000, trigger="every_event")], attribution_model=model)
    people = make_referrers(campaign)
    for email, opened in (("maya@example.net", "abcb"), ("ines@example.net", "ca"), ("kai@example.net", "b")):
        friend = make_shared_friend(people, opened, email)
        buy(friend, 10001)
        buy(friend, 3333)
        bond = Referral.objects.select_related("visit", "invitee").get(invitee=friend)
        if bond.split_by:
            # What the clicks give, derived anew, is what was fixed as they joined.
            fixed = {share.participant_id: share.weight for share in bond.shares.order_by("position")}
            assert weights(clicks_of(campaign, [bond])[bond.pk], model) == fixed
    make_friend(people["a"], "ola@example.net")
    for measure in MEASURES:
        found = report(campaign, measure)
        assert [row.models[model] for row in found.rows] == [row.recorded for row in found.rows]
        for name in MODELS:
            assert sum(row.models[name] for row in found.rows) == found.total
    # A reward is cut by itself: two of ten dollars are not one of twenty.
    rewards = {row.referrer.email[0]: row.recorded for row in report(campaign, "rewards").rows}
    owed = Reward.objects.order_by().values_list("participant__email").annotate(total=Sum("amount_minor"))
    assert {name: minor for name, minor in rewards.items() if minor} == {email[0]: minor for email, minor in owed}
    # What a person declined is missing under every model alike.
    lost = Reward.objects.filter(participant=people["c"]).order_by("pk").first()
    assert lost is not None
    lifecycle.void(tenant=alice.tenant, reward_ids=[lost.pk], actor=ACTOR, note="No")
    found = report(campaign, "rewards")
    assert [row.models[model] for row in found.rows] == [row.recorded for row in found.rows]
    assert {sum(row.models[name] for row in found.rows) for name in MODELS} == {6000 - lost.amount_minor}
