"""Events that wait for their person are shown with until when they are kept, and go once somebody has their id."""

from __future__ import annotations

import pytest

from campaigns.models import Campaign
from referrals.lib.money import Money
from rewards import services
from tests.factories import ACTOR, Cast, make_friend, make_participant

pytestmark = pytest.mark.django_db


def test_what_waits_for_its_person_is_listed_found_and_gone(alice: Cast, campaign: Campaign) -> None:
    services.keep_waiting(
        campaign=campaign,
        actor=ACTOR,
        source="api",
        customer_id="user-77",
        amount=Money(5000, "USD"),
        external_id="o-1",
    )
    page = "/app/purchases/?outcome=waiting&waits=person"
    html = alice.client.get(page).content.decode()
    assert "user-77" in html
    assert "$50.00" in html
    assert "names this id together with an address. Kept until" in html
    assert "user-77" in alice.client.get(f"{page}&q=o-1").content.decode()
    assert "Nothing waits" in alice.client.get(f"{page}&q=o-2").content.decode()
    friend = make_friend(make_participant(campaign))
    assert services.identify(participant=friend, source="api", customer_id="user-77", actor=ACTOR) == 1
    assert "stands here until somebody has that id" in alice.client.get(page).content.decode()
