"""`qualifyParticipant`: money moves only by what the merchant's server signed, for this campaign, for a short time, and once."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import jwt
import pytest
from django.test import Client
from django.utils import timezone

from campaigns.models import Campaign
from participants.models import Participant, QualifyingEvent
from referrals.accounts.models import SigningSecret
from referrals.accounts.signing import new_secret
from rewards.models import Reward
from tests.factories import ACTOR, Cast, make_campaign, make_friend
from tests.hosted.test_script import SHOP, send


@pytest.fixture
def shop(double: Campaign) -> Campaign:
    """The campaign, whose script may be on the shop's pages."""
    Campaign.objects.filter(pk=double.pk).update(script_origins=[SHOP])
    double.refresh_from_db()
    return double


@pytest.fixture
def friend(shop: Campaign, asha: Participant) -> Participant:
    """Whom Asha brought."""
    return make_friend(asha, "maya@example.net")


def sign(secret: str, campaign: Campaign, **changes: Any) -> str:
    """A token as a merchant's server makes it; None takes a claim out."""
    claims = {
        "aud": campaign.public_id,
        "exp": int(time.time()) + 600,
        "email": "Maya@example.net",
        "amount_minor": 5000,
        "currency": "USD",
        "external_id": "order-1",
        **changes,
    }
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, secret, algorithm="HS256")


def test_a_signed_purchase_counts_once(alice: Cast, client: Client, shop: Campaign, friend: Participant) -> None:
    secret = new_secret(tenant=alice.tenant, actor=ACTOR)
    token = sign(secret, shop)
    for _ in range(2):
        answer = send(client, shop, "events", {"token": token})
        assert (answer.status_code, answer.json()) == (200, {"qualified": True, "externalId": "order-1"})
    event = QualifyingEvent.objects.get(source="script", type="purchase")
    assert (event.participant, event.external_id, event.amount_minor) == (friend, "order-1", 5000)
    assert Reward.objects.filter(event=event, side="referrer").count() == 1
    # By id; the same name for another amount, or for somebody else, is refused.
    by_id = sign(secret, shop, email=None, participant=friend.public_id, external_id="order-2")
    assert send(client, shop, "events", {"token": by_id}).status_code == 200
    other = send(client, shop, "events", {"token": sign(secret, shop, amount_minor=9000)})
    assert (other.status_code, other.json()["error"]) == (409, "amount_changed")
    assert QualifyingEvent.objects.filter(source="script").count() == 2
    # A replaced secret works for a day.
    newer = new_secret(tenant=alice.tenant, actor=ACTOR)
    for signed_with in (newer, secret):
        assert send(client, shop, "events", {"token": sign(signed_with, shop)}).status_code == 200
    SigningSecret.objects.update(made_at=timezone.now() - timedelta(hours=25))
    assert send(client, shop, "events", {"token": sign(secret, shop)}).json()["error"] == "token_signature"
    assert send(client, shop, "events", {"token": sign(newer, shop)}).status_code == 200


def test_each_bad_token_is_refused_by_name(
    alice: Cast, charlie: Cast, client: Client, shop: Campaign, friend: Participant, asha: Participant
) -> None:
    missing = send(client, shop, "events", {"token": sign("x" * 40, shop)})
    assert (missing.status_code, missing.json()["error"]) == (409, "signing_secret_missing")
    secret, strange = (new_secret(tenant=cast.tenant, actor=ACTOR) for cast in (alice, charlie))
    now = int(time.time())
    unsigned = jwt.encode({"aud": shop.public_id, "exp": now + 60}, "", algorithm="none")
    other = make_campaign(alice.tenant)
    cases = [
        ("", 400, "missing_field"),
        ("x", 401, "bad_token"),
        ("x" * 5000, 422, "too_long"),
        (unsigned, 401, "bad_token"),
        (sign(strange, shop), 401, "token_signature"),
        (sign(secret, shop)[:-2] + "AA", 401, "token_signature"),
        (sign(secret, shop, exp=now - 1), 401, "token_expired"),
        (sign(secret, shop, exp=now + 3700), 422, "token_claims"),
        (sign(secret, shop, exp=None), 422, "token_claims"),
        (sign(secret, other), 401, "token_audience"),
        (sign(secret, shop, aud=[shop.public_id, other.public_id]), 401, "token_audience"),
        (sign(secret, shop, aud=None), 422, "token_claims"),
        (sign(secret, shop, external_id=None), 422, "token_claims"),
        (sign(secret, shop, external_id=7), 422, "token_claims"),
        (sign(secret, shop, email=None), 422, "token_claims"),
        (sign(secret, shop, participant=friend.public_id), 422, "token_claims"),
        (sign(secret, shop, email="maya"), 422, "token_claims"),
        (sign(secret, shop, amount_minor=50.5), 422, "token_claims"),
        (sign(secret, shop, amount_minor=-1), 422, "token_claims"),
        (sign(secret, shop, amount_minor=True), 422, "token_claims"),
        (sign(secret, shop, currency="usd"), 422, "token_claims"),
        (sign(secret, shop, email="nobody@example.net"), 404, "participant_not_found"),
        (sign(secret, shop, email=asha.email), 422, "not_referred"),
    ]
    for token, status, code in cases:
        answer = send(client, shop, "events", {"token": token})
        assert (answer.status_code, answer.json()["error"]) == (status, code), token
        assert answer["Access-Control-Allow-Origin"] == SHOP
    assert QualifyingEvent.objects.filter(source="script").count() == 0
    # The right token from a page that may not call.
    token = sign(secret, shop)
    assert send(client, shop, "events", {"token": token}, origin="https://evil.example").status_code == 403
