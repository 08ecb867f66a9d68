"""What joining asks for, as version 2 sets it, and what programs have to say (docs/hosted.md)."""

from __future__ import annotations

from typing import Any

import pytest

from participants.models import Agreement, JoinRequest, Participant
from tests.api.conftest import Shop

pytestmark = pytest.mark.django_db
QUESTION = {"key": "team", "kind": "choice", "labels": {"en": "Team"}, "options": ["red", "blue"]}


def test_it_is_set_and_refused_by_field(shop: Shop) -> None:
    url = f"/api/v2/campaigns/{shop.campaign().public_id}"
    for joining, code, field in (
        ({"asks_terms": True}, "terms_missing", "joining.asks_terms"),
        ({"terms_url": "http://shop.example.com/"}, "terms_url", "joining.terms_url"),
        ({"questions": [QUESTION, QUESTION]}, "question", "joining.questions[1]"),
        ({"questions": [{**QUESTION, "options": ["red"]}]}, "question", "joining.questions[0].options"),
    ):
        reply = shop.api.patch(url, {"joining": joining})
        assert (reply.status, reply.data["code"], reply.data["field"]) == (422, code, field)
    wanted: dict[str, Any] = {
        "asks_terms": True,
        "terms_url": "https://shop.example.com/terms",
        "confirms_email": True,
        "questions": [QUESTION],
    }
    reply = shop.api.patch(url, {"joining": wanted})
    kept: dict[str, Any] = {**QUESTION, "required": False, "option_labels": {}}
    assert (reply.status, reply.data["joining"]) == (200, {**wanted, "questions": [kept]})


def test_terms_are_accepted_in_both_versions_or_nothing_happens(shop: Shop) -> None:
    campaign = shop.campaign()
    url = f"/api/v2/campaigns/{campaign.public_id}"
    shop.api.patch(url, {"joining": {"asks_terms": True, "terms_url": "https://shop.example.com/terms"}})
    body = {"campaign": campaign.public_id, "email": "maya@example.net", "metadata": {"team": "red"}}
    reply = shop.api.post("/api/v2/participants", body)
    assert (reply.status, reply.data["code"], reply.data["field"]) == (422, "terms_not_accepted", "terms_accepted")
    old = {"id": campaign.public_id, "email": "noor@example.org"}
    reply = shop.api.post("/api/v1/addParticipant", old)
    assert (reply.status, reply.data["error"]) == (422, "terms_not_accepted")
    assert reply.data["details"]["field"] == "termsAccepted"
    assert Participant.objects.count() == 0
    assert shop.api.post("/api/v2/participants", {**body, "terms_accepted": True}).status == 201
    assert shop.api.post("/api/v1/addParticipant", {**old, "termsAccepted": True}).status == 200
    # Who has joined accepted what was asked then.
    assert shop.api.post("/api/v2/participants", body).status == 200
    rows = Agreement.objects.order_by("pk").values_list("participant__email", "terms__number", "source")
    assert list(rows) == [("maya@example.net", 1, "api"), ("noor@example.org", 1, "api")]


def test_a_servers_word_for_an_address_is_enough_and_a_browsers_is_not(shop: Shop) -> None:
    campaign = shop.campaign()
    shop.api.patch(f"/api/v2/campaigns/{campaign.public_id}", {"joining": {"confirms_email": True}})
    body = {"id": campaign.public_id, "email": "maya@example.net"}
    reply = shop.page.post("/api/v1/addParticipant", body)
    assert (reply.status, reply.data["error"]) == (409, "confirmation_needed")
    assert (Participant.objects.count(), JoinRequest.objects.count()) == (0, 0)
    assert shop.api.post("/api/v1/addParticipant", body).status == 200
    assert Participant.objects.count() == 1
