"""Two claims at once, on PostgreSQL: one bond, and the other claim is told (RELIABILITY INV-17)."""

from __future__ import annotations

from functools import partial

import pytest

from participants.models import Participant, QualifyingEvent, Referral
from referrals.events.models import Event
from referrals.lib.money import Money
from rewards import bonds, services
from rewards.models import Reward
from rewards.verify import differences
from tests.factories import ACTOR, Cast, buy, make_campaign, make_friend, make_participant
from tests.rewards.test_races import at_once

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]
PAIRS = 10


@pytest.mark.parametrize("known", [False, True])
def test_two_joins_naming_two_referrers_bind_one(alice: Cast, known: bool) -> None:
    campaign = make_campaign(alice.tenant)
    people = [make_participant(campaign, f"{name}@example.com") for name in "ab"]
    for number in range(PAIRS):
        email = f"maya{number}@example.net"
        if known:
            make_participant(campaign, email)
        acts = [
            partial(
                services.join, campaign=campaign, email=email, actor=ACTOR, source="api",
                referred_by_code=person.referral_code,
            )
            for person in people
        ]  # fmt: skip
        done = at_once(*acts)
        maya = Participant.objects.get(email_key=email)
        bond = Referral.objects.select_related("referrer").get(invitee=maya)
        # Both callers hear the same answer, which is the one that stands.
        assert {item.referral.referrer.pk for item in done} == {bond.referrer_id}
        loser = next(person for person in people if person.pk != bond.referrer_id)
        refused = Event.objects.get(type="referral.refused", participant_ref=maya.public_id)
        assert (refused.referrer_ref, refused.data["reason"]) == (loser.public_id, "already_referred")
        assert refused.data["referred_by"] == bond.referrer.public_id


def test_two_people_attach_a_friend_to_two_referrers_and_one_is_told(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant)
    people = [make_participant(campaign, f"{name}@example.com") for name in "ab"]
    maya = make_participant(campaign, "maya@example.net")
    buy(maya)
    acts = [
        partial(bonds.attach, participant=maya, referrer=person, actor=ACTOR, reason="At the till") for person in people
    ]
    done = at_once(*acts, partial(bonds.attach, participant=people[0], referrer=maya, actor=ACTOR, reason="Loop"))
    bond = Referral.objects.get(standing_for=maya)
    assert len({"already_referred", "referral_loop"} & {item for item in done[:2] if isinstance(item, str)}) == 1
    # Referring each other is refused whichever came first.
    assert Referral.objects.filter(standing_for=people[0]).exists() is (bond.referrer_id != people[0].pk)
    assert Reward.objects.get(event__participant=maya).participant_id == bond.referrer_id
    assert list(differences()) == []


def test_a_join_and_an_event_that_name_one_waiting_id_decide_it_once(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant)
    maya = make_friend(make_participant(campaign))
    services.keep_waiting(
        campaign=campaign, actor=ACTOR, source="api", customer_id="u-1", amount=Money(5000, "USD"), external_id="o-1"
    )
    identify = partial(services.identify, participant=maya, source="api", customer_id="u-1", actor=ACTOR)
    later = partial(
        services.qualify, participant=maya, actor=ACTOR, source="api", amount=Money(5000, "USD"), external_id="o-2",
        customer_id="u-1",
    )  # fmt: skip
    at_once(identify, later, identify)
    assert list(QualifyingEvent.objects.order_by("external_id").values_list("external_id", flat=True)) == ["o-1", "o-2"]
    assert Reward.objects.exclude(state="void").count() == 1
    assert list(differences()) == []
