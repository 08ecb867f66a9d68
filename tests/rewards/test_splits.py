"""A friend shared between several referrers: the parts are the decided amount to the cent, whatever happens (ADR 11)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from campaigns.models import Campaign
from campaigns.terms import Fixed, Limits, Percent
from participants.models import Participant, Referral, ReferralShare
from participants.visits import visit_row
from referrals.events.models import Event
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from rewards import bans, bonds, lifecycle, payouts, refunds, services
from rewards.balances import balances_of
from rewards.models import BudgetUse, Decision, LedgerEntry, Payout, Reward, State
from rewards.verify import differences
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, percent_rule
from tests.rewards.splits import has, make_referrers, make_shared_friend, open_links

pytestmark = pytest.mark.django_db
TEN = fixed_rule(1000, trigger="every_event")


def usd(minor: int) -> Money:
    return Money(minor, "USD")


def shared(alice: Cast, *rules: Any, model: str = "linear") -> dict[str, Participant]:
    """Three referrers of a campaign that shares its friends."""
    return make_referrers(make_campaign(alice.tenant, list(rules) or [TEN], attribution_model=model))


def whole(friend: Participant) -> list[int]:
    rows = Decision.objects.filter(event__participant=friend, side="referrer", current=True)
    return list(rows.order_by("event_id").values_list("amount_minor", flat=True))


@pytest.mark.parametrize(
    ("model", "opened", "parts"),
    [
        ("linear", "abc", {"a": 334, "b": 333, "c": 333}),
        ("linear", "cab", {"a": 333, "b": 333, "c": 334}),
        ("linear", "aba", {"a": 667, "b": 333}),
        ("linear", "ab", {"a": 500, "b": 500}),
        ("linear", "b", {"b": 1000}),
        ("position", "abc", {"a": 400, "b": 200, "c": 400}),
        ("position", "ab", {"a": 500, "b": 500}),
        ("position", "abcb", {"a": 400, "b": 500, "c": 100}),
        ("position", "aa", {"a": 1000}),
    ],
)
def test_ten_dollars_are_shared_by_the_links_that_were_opened(
    alice: Cast, model: str, opened: str, parts: dict[str, int]
) -> None:
    people = shared(alice, model=model)
    friend = make_shared_friend(people, opened)
    done = buy(friend)
    assert has(friend) == parts
    assert whole(friend) == [1000]
    assert sorted(reward.amount_minor for reward in done.rewards) == sorted(parts.values())
    ledger = LedgerEntry.objects.values_list("participant__email", "amount_minor")
    assert {email[0]: minor for email, minor in ledger} == parts
    assert list(differences()) == []


def test_the_shares_are_fixed_as_the_friend_joins(alice: Cast) -> None:
    people = shared(alice)
    campaign = people["a"].campaign
    # A machine's visit, and one before the window, count for nobody; neither does one's own link.
    visitor = "maya".ljust(22, "v")
    visit_row(referrer=people["c"], visitor=visitor, hidden_reason="bot").save()
    friend = make_shared_friend(people, "abb")
    referral = Referral.objects.get(invitee=friend)
    assert (referral.referrer, referral.split_by, referral.how) == (people["b"], "linear", "cookie")
    shares = ReferralShare.objects.filter(referral=referral).values_list("participant", "numerator", "denominator")
    assert list(shares) == [(people["a"].pk, 1, 3), (people["b"].pk, 2, 3)]
    told = Event.objects.filter(type="referral.shared", subject_id=friend.public_id).order_by("pk")
    assert [(row.referrer_ref, row.data) for row in told] == [
        (people["a"].public_id, {"share": "1/3"}),
        (people["b"].public_id, {"share": "2/3"}),
    ]
    # Links opened later, and another model, change nothing for who has joined.
    visit_row(referrer=people["c"], visitor=visitor).save()
    Campaign.objects.filter(pk=campaign.pk).update(attribution_model="first_click")
    buy(friend)
    assert has(friend) == {"a": 333, "b": 667}
    with pytest.raises(IntegrityError), transaction.atomic():
        ReferralShare.objects.create(referral=referral, participant=people["a"], position=3, numerator=1, denominator=3)


def test_of_equal_parts_the_first_click_stands_for_all(alice: Cast) -> None:
    people = shared(alice)
    friend = make_shared_friend(people, "cab")
    assert Referral.objects.get(invitee=friend).referrer == people["c"]


def test_a_code_is_the_whole_friend_and_own_links_are_nobody_s(alice: Cast) -> None:
    people = shared(alice)
    open_links(people, "abc", "v" * 22)
    ines = make_friend(people["b"], "ines@example.net", visitor="v" * 22)
    # The owner of link "a" joins again under another spelling, after opening all three.
    own = services.join(
        campaign=people["a"].campaign, email="a+x@example.com", actor=ACTOR, source="hosted", visitor="v" * 22
    )
    buy(ines)
    buy(own.participant)
    assert has(ines) == {"b": 1000}
    assert has(own.participant) == {"b": 500, "c": 500}
    assert ReferralShare.objects.filter(referral__invitee=ines).count() == 0


def test_a_model_that_was_just_changed_does_not_split(alice: Cast) -> None:
    """The campaign in hand says linear, the database does not any more."""
    people = shared(alice)
    stale = Campaign.objects.select_related("merchant", "version").get(pk=people["a"].campaign_id)
    Campaign.objects.filter(pk=stale.pk).update(attribution_model="first_click")
    open_links(people, "abc", "v" * 22)
    done = services.join(campaign=stale, email="maya@example.net", actor=ACTOR, source="hosted", visitor="v" * 22)
    assert done.referral is not None
    assert (done.referral.split_by, done.referral.shares.count()) == ("", 0)
    assert Campaign.objects.get(pk=stale.pk).has_splits is False


@pytest.mark.parametrize(
    ("paid", "amount", "parts"),
    [
        (9999, Percent(Decimal(10)), {"a": 334, "b": 333, "c": 333}),
        (30001, Percent(Decimal(10), usd(2000)), {"a": 667, "b": 667, "c": 666}),
        (10, Percent(Decimal(10)), {"a": 1}),
        (20, Percent(Decimal(10)), {"a": 1, "b": 1}),
        (3, Percent(Decimal(10)), {}),
    ],
)
def test_a_share_of_the_purchase_is_rounded_once(
    alice: Cast, paid: int, amount: Percent, parts: dict[str, int]
) -> None:
    people = shared(alice, percent_rule(amount=amount))
    friend = make_shared_friend(people)
    buy(friend, paid)
    assert has(friend) == parts
    assert whole(friend) == [sum(parts.values())]


def test_refunds_and_disputes_keep_the_parts_to_the_cent(alice: Cast) -> None:
    people = shared(alice, percent_rule("10"), fixed_rule(1000, side="invitee"))
    friend = make_shared_friend(people)
    event = buy(friend, 10000, "o1").event
    issued = Reward.objects.get(participant=people["a"])
    payouts.issue_by_hand(tenant=alice.tenant, reward_ids=[issued.pk], actor=ACTOR, key="first-payout")

    def take_back(name: str, minor: int | None = None, kind: str = "refund") -> None:
        refunds.refund(
            tenant=alice.tenant, actor=ACTOR, source="manual", external_id=name, event=event, kind=kind,
            amount=usd(minor) if minor else None,
        )  # fmt: skip
        assert list(differences()) == []

    take_back("r1", 5000)
    assert has(friend) == {"a": 167, "b": 167, "c": 166}
    take_back("r2", 4990)
    assert (has(friend), has(friend, fallen=True)) == ({"a": 1}, {"b": 167, "c": 166})
    assert Reward.objects.filter(reason="share_too_small", state="void").count() == 2
    assert balances_of([people["a"].pk])[people["a"].pk].referrer.left == -333
    take_back("d1", kind="dispute")
    assert has(friend) == {}
    take_back("d2", kind="dispute_won")
    assert has(friend) == {"a": 1}
    assert Reward.objects.get(pk=issued.pk).state == "issued"
    assert whole(friend) == [1]
    # What is paid next is netted with what was taken back.
    buy(friend, 100_00, "o2")
    second = Reward.objects.get(participant=people["a"], event__external_id="o2")
    payouts.issue_by_hand(tenant=alice.tenant, reward_ids=[second.pk], actor=ACTOR, key="second-payout")
    assert list(Payout.objects.order_by("pk").values_list("amount_minor", "netted_minor")) == [(334, 0), (1, -333)]
    assert list(differences()) == []


def test_a_banned_sharer_s_part_is_made_held_and_given_to_nobody_else(alice: Cast) -> None:
    people = shared(alice, TEN, fixed_rule(700, side="invitee"))
    friend = make_shared_friend(people)
    buy(friend, external_id="before")
    bans.ban(participant=people["b"], actor=ACTOR, reason="Bots")
    buy(friend, external_id="after")
    assert has(friend) == {"a": 668, "b": 666, "c": 666}
    states = Reward.objects.filter(side="referrer").order_by("event_id", "participant_id")
    held, due = (State.HELD, "referrer_banned"), (State.DUE, "")
    assert list(states.values_list("state", "reason")) == [due, held, due, due, held, due]
    facts = {c["code"]: c for c in Decision.objects.get(event__external_id="after", side="referrer").conditions}
    assert facts["shared"]["passed"] is True
    assert facts["shared"]["facts"] == {
        "people": 3,
        "held": 1,
        "shares": [
            {"participant": people["a"].public_id, "share": "1/3", "held": None},
            {"participant": people["b"].public_id, "share": "1/3", "held": "referrer_banned"},
            {"participant": people["c"].public_id, "share": "1/3", "held": None},
        ],
    }
    # Once all of them are banned, it fails as it does for one; lifting one ban makes all the parts, the others' held.
    for name in "ac":
        bans.ban(participant=people[name], actor=ACTOR, reason="Bots")
    buy(friend, external_id="none")
    decisions = Decision.objects.filter(event__external_id="none", current=True).order_by("side")
    assert list(decisions.values_list("side", "reason")) == [
        ("invitee", "referrer_banned"),
        ("referrer", "referrer_banned"),
    ]
    bans.unban(participant=people["b"], actor=ACTOR)
    last = Reward.objects.filter(event__external_id="none", side="referrer").order_by("participant_id")
    assert list(last.values_list("amount_minor", "state")) == [(334, "held"), (333, "due"), (333, "held")]
    assert Reward.objects.filter(participant=people["b"], state="due").count() == 3
    for name in "ac":
        bans.unban(participant=people[name], actor=ACTOR)
    assert not Reward.objects.filter(state="held").exists()
    assert {
        c["facts"].get("held")
        for d in Decision.objects.filter(current=True)
        for c in d.conditions
        if c["code"] == "shared"
    } == {0}
    assert list(differences()) == []


def test_declining_one_part_leaves_the_others_and_the_budget_knows(alice: Cast) -> None:
    limits = Limits(campaign=usd(1500))
    people = shared(alice, fixed_rule(1000, trigger="every_event", limits=limits))
    friend, other = make_shared_friend(people), make_shared_friend(people, "ab", "ines@example.net")
    event = buy(friend, external_id="o1").event
    assert BudgetUse.objects.get(period="all").used_minor == 1000
    lost = Reward.objects.get(event=event, participant=people["c"])
    lifecycle.void(tenant=alice.tenant, reward_ids=[lost.pk], actor=ACTOR, note="No")
    assert BudgetUse.objects.get(period="all").used_minor == 667
    # The whole of the next one is cut once, and then shared.
    buy(other, external_id="o2")
    assert has(other) == {"a": 417, "b": 416}
    # Deciding the first again takes nothing from those whose part stands.
    refunds.refund(tenant=alice.tenant, actor=ACTOR, source="manual", external_id="r", event=event, amount=usd(10))
    assert has(friend) == {"a": 334, "b": 333}
    assert list(differences()) == []
    with pytest.raises(Refused, match="budget") as refused:
        lifecycle.restore(tenant=alice.tenant, reward_ids=[lost.pk], actor=ACTOR)
    assert refused.value.code == "budget_spent"
    lifecycle.void(
        tenant=alice.tenant, reward_ids=[Reward.objects.get(event__external_id="o2", participant=people["a"]).pk],
        actor=ACTOR, note="No",
    )  # fmt: skip
    lifecycle.restore(tenant=alice.tenant, reward_ids=[lost.pk], actor=ACTOR)
    assert has(friend) == {"a": 334, "b": 333, "c": 333}
    assert list(differences()) == []


def test_a_part_that_came_to_nothing_is_not_brought_back_by_hand(alice: Cast) -> None:
    people = shared(alice, percent_rule("10"))
    friend = make_shared_friend(people)
    event = buy(friend, 10000).event
    lost = Reward.objects.get(participant=people["c"])
    lifecycle.void(tenant=alice.tenant, reward_ids=[lost.pk], actor=ACTOR, note="No")
    refunds.refund(tenant=alice.tenant, actor=ACTOR, source="manual", external_id="r", event=event, amount=usd(9980))
    before = LedgerEntry.objects.count()
    with pytest.raises(Refused) as refused:
        lifecycle.restore(tenant=alice.tenant, reward_ids=[lost.pk], actor=ACTOR)
    assert refused.value.code == "not_rewardable"
    assert (has(friend), LedgerEntry.objects.count()) == ({"a": 1, "b": 1}, before)
    assert list(differences()) == []


def test_detaching_ends_the_shares_and_undo_brings_them_back(alice: Cast) -> None:
    people = shared(alice)
    friend = make_shared_friend(people, "aab")
    buy(friend)
    bond = bonds.detach(participant=friend, actor=ACTOR, reason="Wrong")
    assert (has(friend), has(friend, fallen=True)) == ({}, {"a": 667, "b": 333})
    assert set(Reward.objects.values_list("reason", flat=True)) == {"not_referred"}
    bonds.undo(referral=Referral.objects.get(pk=bond.pk), actor=ACTOR)
    assert has(friend) == {"a": 667, "b": 333}
    standing = Referral.objects.get(standing_for=friend)
    assert (standing.split_by, standing.referrer, standing.shares.count()) == ("linear", people["a"], 2)
    # Attached by hand the friend is one person's as a whole.
    bonds.detach(participant=friend, actor=ACTOR, reason="Wrong")
    bonds.attach(participant=friend, referrer=people["c"], actor=ACTOR, reason="Theirs")
    assert has(friend) == {"c": 1000}
    assert list(differences()) == []


def test_undo_does_not_close_a_circle_through_a_sharer(alice: Cast) -> None:
    people = shared(alice)
    friend = make_shared_friend(people)
    bond = bonds.detach(participant=friend, actor=ACTOR, reason="Wrong")
    bonds.attach(participant=people["c"], referrer=friend, actor=ACTOR, reason="So it was")
    with pytest.raises(Refused) as refused:
        bonds.undo(referral=Referral.objects.get(pk=bond.pk), actor=ACTOR)
    assert refused.value.code == "referral_loop"
    assert not Referral.objects.filter(standing_for=friend).exists()
    bonds.detach(participant=people["c"], actor=ACTOR, reason="No")
    bonds.undo(referral=Referral.objects.get(pk=bond.pk), actor=ACTOR)
    with pytest.raises(Refused) as refused:
        bonds.attach(participant=people["c"], referrer=friend, actor=ACTOR, reason="So it was")
    assert refused.value.code == "referral_loop"


def test_what_goes_to_the_friend_is_not_shared(alice: Cast) -> None:
    people = shared(alice, fixed_rule(700, side="invitee"), fixed_rule(500, trigger="join", event="join"))
    friend = make_shared_friend(people)
    buy(friend)
    assert has(friend) == {"a": 167, "b": 167, "c": 166}
    mine = Reward.objects.get(side="invitee")
    assert (mine.participant, mine.amount) == (friend, Fixed(usd(700)).money)
