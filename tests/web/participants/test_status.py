"""The status of a referral, set from the friend's page."""

from __future__ import annotations

import pytest
from django.test import Client

from participants.models import Participant, Referral
from rewards.models import Reward
from tests.factories import Cast, fixed_rule, make_campaign, make_friend, make_participant

pytestmark = pytest.mark.django_db


@pytest.fixture
def friend(alice: Cast) -> Participant:
    rules = [fixed_rule(1500, trigger="status", event="approved")]
    return make_friend(make_participant(make_campaign(alice.tenant, rules)))


def test_a_sale_is_approved_from_the_friend_s_page(alice: Cast, friend: Participant) -> None:
    page = f"/app/participants/{friend.public_id}/"
    assert "Pending" in alice.client.get(page).text
    shown = alice.client.get(f"{page}status/")
    assert shown.status_code == 200
    response = alice.client.post(f"{page}status/", {"status": "approved", "amount": "", "note": ""})
    assert (response.status_code, response["Location"]) == (302, page)
    assert (Referral.objects.get().status, Reward.objects.get().state) == ("approved", "due")
    assert "Approved" in alice.client.get(page).text


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"status": "denied", "note": ""}, "Say why"),
        ({"status": "won"}, "won is not one of the available choices"),
        ({"status": "pending", "amount": "12"}, "An amount goes with qualified and approved only."),
        ({"status": "approved", "amount": "-3"}, "-3"),
    ],
)
def test_what_can_not_be_is_said_and_changes_nothing(
    alice: Cast, friend: Participant, data: dict[str, str], words: str
) -> None:
    response = alice.client.post(f"/app/participants/{friend.public_id}/status/", data)
    assert response.status_code == 422
    assert words in response.text
    assert (Referral.objects.get().status, Reward.objects.count()) == ("pending", 0)


def test_only_managers_and_only_their_own(alice: Cast, bob: Cast, charlie: Cast, friend: Participant) -> None:
    path = f"/app/participants/{friend.public_id}/status/"
    clients: list[tuple[Client, int]] = [(bob.client, 403), (charlie.client, 404)]
    for client, status in clients:
        assert client.post(path, {"status": "approved"}).status_code == status
    assert Referral.objects.get().status == "pending"


def test_who_came_alone_has_no_status_to_set(alice: Cast, friend: Participant) -> None:
    alone = make_participant(friend.campaign, "alone@example.com")
    response = alice.client.post(f"/app/participants/{alone.public_id}/status/", {"status": "approved"}, follow=True)
    assert "was not referred by anybody" in response.text
