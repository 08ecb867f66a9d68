"""Attaching a missed referral and detaching a wrong one by hand: refused by name, told, decided again, and undone."""

from __future__ import annotations

from typing import Any

import pytest

from campaigns.models import Campaign
from campaigns.terms import Fixed
from participants.models import Participant, Referral
from referrals.events.models import Event
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from rewards import bans, bonds, lifecycle, payouts, services
from rewards.balances import balances_of
from rewards.models import Decision, LedgerEntry, Reward
from rewards.verify import differences
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant

pytestmark = pytest.mark.django_db


@pytest.fixture
def double(alice: Cast) -> Campaign:
    """15 dollars for a friend's first purchase, and 5 to the friend for joining."""
    friend_rule = fixed_rule(side="invitee", trigger="join", event="join", amount=Fixed(Money(500, "USD")))
    return make_campaign(alice.tenant, [fixed_rule(), friend_rule])


def attach(friend: Participant, referrer: Participant, reason: str = "Told us at the till") -> Referral:
    return bonds.attach(participant=friend, referrer=referrer, actor=ACTOR, reason=reason)


def detach(friend: Participant, reason: str = "Wrong person") -> Referral:
    return bonds.detach(participant=friend, actor=ACTOR, reason=reason)


def rewards() -> list[tuple[str, str, str, str]]:
    rows = Reward.objects.select_related("participant").order_by("side", "pk")
    return [(row.participant.email.split("@")[0], row.side, row.state, row.reason) for row in rows]


def owed(*people: Participant) -> list[int]:
    found = balances_of([person.pk for person in people])
    return [found[person.pk].referrer.earned for person in people]


def test_a_missed_referral_is_decided_as_if_it_had_been_known(double: Campaign) -> None:
    asha, maya = make_participant(double), make_participant(double, "maya@example.net")
    done = buy(maya)
    assert (done.decisions[0].reason, done.rewards) == ("not_referred", [])
    bond = attach(maya, asha)
    assert (bond.how, bond.created_at) == ("manual", maya.joined_at)
    assert rewards() == [("maya", "invitee", "due", ""), ("asha", "referrer", "due", "")]
    told = Event.objects.get(type="referral.created")
    assert (told.referrer_ref, told.data) == (asha.public_id, {"how": "manual", "reason": "Told us at the till"})
    # The old answer stays as history.
    assert list(Decision.objects.filter(side="referrer").order_by("pk").values_list("reason", "current")) == [
        ("not_referred", False),
        ("", True),
    ]


def test_detaching_voids_what_has_not_left_and_keeps_the_bond_as_history(double: Campaign) -> None:
    asha = make_participant(double)
    maya = make_friend(asha)
    buy(maya)
    detach(maya)
    assert rewards() == [("maya", "invitee", "void", "not_referred"), ("asha", "referrer", "void", "not_referred")]
    bond = Referral.objects.get()
    assert (bond.referrer, bond.detached_at is not None, bond.standing_for) == (asha, True, None)
    assert Event.objects.get(type="referral.detached").data == {"reason": "Wrong person"}
    assert owed(asha) == [0]
    # What they buy now earns nobody anything, and a code can't undo what a person decided.
    assert buy(maya).decisions[0].reason == "not_referred"
    late = services.join(
        campaign=double, email=maya.email, actor=ACTOR, source="api", referred_by_code=asha.referral_code
    )
    assert late.referral is None
    assert list(differences()) == []


def test_a_friend_given_to_another_earns_that_one_and_takes_back_what_was_paid(alice: Cast, double: Campaign) -> None:
    asha, ben = make_participant(double), make_participant(double, "ben@example.com")
    maya = make_friend(asha)
    reward = next(row for row in buy(maya).rewards if row.side == "referrer")
    payouts.issue_by_hand(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR, key="paid-before")
    detach(maya)
    attach(maya, ben)
    assert rewards() == [
        ("maya", "invitee", "due", ""),
        ("asha", "referrer", "reversed", "not_referred"),
        ("ben", "referrer", "due", ""),
    ]
    lines = LedgerEntry.objects.filter(participant=asha).order_by("pk").values_list("kind", "amount_minor")
    assert list(lines) == [("earn", 1500), ("pay", -1500), ("reverse", -1500)]
    assert (owed(asha, ben), balances_of([asha.pk])[asha.pk].referrer.left) == ([0, 1500], -1500)
    assert list(differences()) == []


def test_undoing_brings_back_exactly_what_stood(alice: Cast, double: Campaign) -> None:
    asha, ben = make_participant(double), make_participant(double, "ben@example.com")
    maya = make_friend(asha)
    reward = next(row for row in buy(maya).rewards if row.side == "referrer")
    payouts.issue_by_hand(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR, key="paid-before")
    before = rewards()
    bonds.undo(referral=detach(maya), actor=ACTOR)
    assert (rewards(), owed(asha)) == (before, [1500])
    detach(maya)
    bonds.undo(referral=attach(maya, ben), actor=ACTOR)
    attach(maya, asha)
    assert rewards() == [*before, ("ben", "referrer", "void", "not_referred")]
    assert (owed(asha, ben), Referral.objects.filter(invitee=maya).count()) == ([1500, 0], 4)
    assert list(differences()) == []


def test_a_reward_declined_by_hand_does_not_come_back_for_a_former_referrer(alice: Cast, double: Campaign) -> None:
    asha, ben = make_participant(double), make_participant(double, "ben@example.com")
    maya = make_friend(asha)
    reward = next(row for row in buy(maya).rewards if row.side == "referrer")
    lifecycle.void(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR, note="Not this one")
    detach(maya)
    attach(maya, ben)
    with pytest.raises(Refused) as refused:
        lifecycle.restore(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR)
    assert refused.value.code == "not_rewardable"
    assert owed(asha, ben) == [0, 1500]


def test_milestones_follow_the_friend(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, [fixed_rule(trigger="milestone", nth=2)])
    asha, ben = make_participant(campaign), make_participant(campaign, "ben@example.com")
    for who in (asha, ben):
        buy(make_friend(who, f"friend-of-{who.email}"))
    maya = make_friend(asha)
    buy(maya)
    assert owed(asha, ben) == [1500, 0]
    detach(maya)
    assert owed(asha, ben) == [0, 0]
    attach(maya, ben)
    assert owed(asha, ben) == [0, 1500]
    assert list(differences()) == []


def test_who_detaches_the_earlier_friend_leaves_the_milestone_to_the_later(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, [fixed_rule(trigger="milestone", nth=2)])
    asha = make_participant(campaign)
    friends = [make_friend(asha, f"{name}@example.net") for name in "abc"]
    for friend in friends:
        buy(friend)
    assert list(Reward.objects.exclude(state="void").values_list("event__participant", flat=True)) == [friends[1].pk]
    bonds.undo(referral=detach(friends[0]), actor=ACTOR)
    assert list(Reward.objects.exclude(state="void").values_list("event__participant", flat=True)) == [friends[1].pk]
    detach(friends[0])
    assert list(Reward.objects.exclude(state="void").values_list("event__participant", flat=True)) == [friends[2].pk]
    assert list(differences()) == []


def _self(people: dict[str, Participant]) -> tuple[Participant, Participant]:
    return people["free"], people["free"]


def _alias(people: dict[str, Participant]) -> tuple[Participant, Participant]:
    return people["free"], make_participant(people["free"].campaign, "free+2@example.com")


def _loop(people: dict[str, Participant]) -> tuple[Participant, Participant]:
    return people["asha"], make_friend(people["maya"], "deep@example.net")


def _taken(people: dict[str, Participant]) -> tuple[Participant, Participant]:
    return people["maya"], people["free"]


def _banned(people: dict[str, Participant]) -> tuple[Participant, Participant]:
    return people["free"], bans.ban(participant=people["asha"], actor=ACTOR, reason="x")


def _elsewhere(people: dict[str, Participant]) -> tuple[Participant, Participant]:
    other = make_campaign(people["free"].tenant, name="Autumn")
    return people["free"], make_participant(other, "far@example.com")


@pytest.mark.parametrize(
    ("case", "code", "status"),
    [
        (_self, "self_referral", 422),
        (_alias, "self_referral", 422),
        (_loop, "referral_loop", 422),
        (_taken, "already_referred", 409),
        (_banned, "referrer_banned", 422),
        (_elsewhere, "referrer_not_found", 404),
    ],
)
def test_what_can_t_be_is_refused_by_name_and_changes_nothing(
    campaign: Campaign, case: Any, code: str, status: int
) -> None:
    asha = make_participant(campaign)
    people = {"asha": asha, "maya": make_friend(asha), "free": make_participant(campaign, "free@example.com")}
    friend, referrer = case(people)
    before = (Referral.objects.count(), Event.objects.count())
    with pytest.raises(Refused) as refused:
        attach(friend, referrer)
    assert (refused.value.code, refused.value.status) == (code, status)
    assert (Referral.objects.count(), Event.objects.count()) == before


def test_without_a_reason_or_a_bond_nothing_happens(campaign: Campaign) -> None:
    asha, ben = make_participant(campaign), make_participant(campaign, "ben@example.com")
    maya = make_friend(asha)
    with pytest.raises(Refused) as refused:
        attach(ben, asha, "  ")
    assert refused.value.code == "note_required"
    with pytest.raises(Refused) as refused:
        detach(maya, " \n ")
    assert refused.value.code == "note_required"
    with pytest.raises(Refused) as refused:
        detach(ben)
    assert (refused.value.code, refused.value.status) == ("not_referred", 409)
    assert (Referral.objects.filter(detached_at=None).count(), Event.objects.filter(type="referral.detached").count()) == (
        1, 0,
    )  # fmt: skip


@pytest.mark.parametrize("by", ["public_id", "referral_code", "email"])
def test_a_referrer_is_found_by_id_code_or_address_in_the_same_campaign_only(
    alice: Cast, campaign: Campaign, by: str
) -> None:
    asha, maya = make_participant(campaign), make_participant(campaign, "maya@example.net")
    assert bonds.find_referrer(maya, f" {getattr(asha, by)} ") == asha
    far = make_participant(make_campaign(alice.tenant, name="Autumn"), "far@example.com")
    with pytest.raises(Refused) as refused:
        bonds.find_referrer(maya, getattr(far, by))
    assert (refused.value.code, refused.value.status) == ("referrer_not_found", 404)
    assert getattr(far, by) in refused.value.message


def test_the_pages_ask_why_do_it_and_undo_it(alice: Cast, campaign: Campaign) -> None:
    asha, maya = make_participant(campaign, first_name="Asha"), make_participant(campaign, "maya@example.net")
    page = f"/app/participants/{maya.public_id}/"
    assert b"Attach a referrer" in alice.client.get(page).content
    missing = alice.client.post(f"{page}attach/", {"referrer": asha.referral_code, "reason": ""})
    unknown = alice.client.post(f"{page}attach/", {"referrer": "nobody@example.com", "reason": "x"})
    assert (missing.status_code, unknown.status_code, Referral.objects.count()) == (422, 422, 0)
    assert b"nobody@example.com" in unknown.content
    done = alice.client.post(f"{page}attach/", {"referrer": asha.email, "reason": "At the till"}, follow=True)
    assert b"is now a friend of Asha" in done.content
    assert Referral.objects.get(standing_for=maya).referrer == asha
    alice.client.post(f"{page}attach/undo/")
    assert Referral.objects.filter(standing_for=maya).count() == 0
    alice.client.post(f"{page}attach/undo/")
    detached = alice.client.post(f"{page}detach/", {"reason": "Wrong Asha"}, follow=True)
    assert b"Detached from their referrer by hand: Wrong Asha" in detached.content
    assert Referral.objects.filter(standing_for=maya).count() == 0
