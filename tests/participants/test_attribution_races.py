"""Two claims at once, on PostgreSQL: one bond, and the other claim is told (RELIABILITY INV-17)."""

from __future__ import annotations

from functools import partial

import pytest

from participants.models import Participant, Referral
from referrals.events.models import Event
from rewards import services
from tests.factories import ACTOR, Cast, make_campaign, make_participant
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
