"""A shop's thank-you page sends a customer on to their own link: by the shop's word, which is signed."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest
from django.test import Client

from campaigns import services as campaigns
from campaigns.models import Campaign
from participants import captures, invites
from participants.models import Capture, Invite, Participant
from referrals.accounts.signing import new_secret
from tests.factories import ACTOR, Cast, make_participant


@pytest.fixture
def secret(alice: Cast) -> str:
    return new_secret(tenant=alice.tenant, actor=ACTOR)


def token(campaign: Campaign, secret: str, **changes: Any) -> str:
    claims = {
        "aud": campaign.public_id,
        "exp": int(time.time()) + 600,
        "email": "Maya@example.net",
        "first_name": "Maya",
        "last_name": "Chen",
        **changes,
    }
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, secret, algorithm="HS256")


def press(person: Client, campaign: Campaign, identity: str) -> Any:
    return person.post(f"/invited/for/{campaign.public_id}", {"identity": identity})


def test_a_customer_gets_their_link_and_takes_part_when_they_like(
    double: Campaign, secret: str, person: Client
) -> None:
    answers = [press(person, double, token(double, secret)) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [303, 303]
    assert answers[0]["Location"] == answers[1]["Location"]
    invite = Invite.objects.get()
    assert (invite.email, invite.name, invite.source, invite.state) == (
        "Maya@example.net",
        "Maya Chen",
        "thanks",
        "ready",
    )
    assert Participant.objects.count() == 0
    path = answers[0]["Location"].removeprefix("http://localhost:8000")
    assert "maya" not in path.lower()
    assert f"localhost:8000/r/{invite.code}" in person.get(path).content.decode()
    person.post(path)
    assert Participant.objects.get().referral_code == invite.code


def test_who_takes_part_sees_the_link_they_have(double: Campaign, secret: str, person: Client) -> None:
    maya = make_participant(double, "maya@example.net")
    path = press(person, double, token(double, secret))["Location"].removeprefix("http://localhost:8000")
    page = person.get(path).content.decode()
    assert f"localhost:8000/r/{maya.referral_code}" in page
    assert "You take part already" in page


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"email": None}, 422),
        ({"email": "nobody"}, 422),
        ({"aud": "another000"}, 401),
        ({"exp": 1}, 401),
        ({"exp": int(time.time()) + 9000}, 422),
        ({"external_id": "order-1"}, 422),
    ],
)
def test_any_other_token_shows_nobody_s_link(
    double: Campaign, secret: str, person: Client, changes: dict[str, Any], status: int
) -> None:
    answer = press(person, double, token(double, secret, **changes))
    assert answer.status_code == status
    assert "We could not tell who you are" in answer.content.decode()
    assert Invite.objects.count() == 0


def test_without_a_token_a_secret_or_an_open_campaign_nothing_is_made(double: Campaign, person: Client) -> None:
    assert press(person, double, "").status_code == 400
    assert press(person, double, token(double, "x" * 32)).status_code == 409
    assert person.post("/invited/for/JCu82f30F1").status_code == 404
    assert person.get(f"/invited/for/{double.public_id}").status_code == 405
    campaigns.pause(campaign=double, actor=ACTOR)
    assert "taking a break" in press(person, double, "").content.decode()
    assert Invite.objects.count() == 0


def test_the_loop_mails_who_agreed_on_the_thank_you_page(double: Campaign, secret: str, person: Client) -> None:
    press(person, double, token(double, secret, marketing_consent=True))
    assert Capture.objects.count() == 0
    invites.save_settings(double, ACTOR, loop=True)
    press(person, double, token(double, secret, marketing_consent=True))
    press(person, double, token(double, secret, email="no@example.net"))
    assert captures.plan() == 1
    rows = Invite.objects.order_by("email_key").values_list("email_key", "source", "state")
    assert list(rows) == [("maya@example.net", "loop", "queued"), ("no@example.net", "thanks", "ready")]
