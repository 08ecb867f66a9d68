"""Applications to affiliate programmes, as merchants' own systems decide on them."""

from __future__ import annotations

from typing import Any

from campaigns.models import Campaign
from participants.models import Application, Participant
from tests.api.conftest import Shop, open_shop


def wish(campaign: Campaign, name: str, status: str = "waiting") -> Application:
    email = f"{name}@example.net"
    answers = [{"key": "abcdef", "label": "Where?", "kind": "short", "value": "A blog"}]
    return Application.objects.create(
        merchant=campaign.merchant, is_test=campaign.is_test, campaign=campaign, email=email, email_key=email,
        first_name=name, answers=answers, status=status,
    )  # fmt: skip


def test_applications_are_listed_and_decided(shop: Shop, campaign: Campaign) -> None:
    maya, ines = wish(campaign, "maya"), wish(campaign, "ines")
    hidden = wish(campaign, "nobody", "unconfirmed")
    page: Any = shop.api.get("/api/v2/applications?status=waiting&limit=1").data
    assert [row["id"] for row in page["data"]] == [ines.public_id]
    following: Any = shop.api.get(f"/api/v2/applications?status=waiting&limit=1&cursor={page['next_cursor']}").data
    assert following["data"] == [
        {
            "id": maya.public_id, "campaign": campaign.public_id, "status": "waiting", "email": "maya@example.net",
            "first_name": "maya", "last_name": "", "answers": [{"question": "Where?", "kind": "short", "answer": "A blog"}],
            "confirmed_at": None, "decided_at": None, "reason": "", "participant": None,
        }
    ]  # fmt: skip
    path = f"/api/v2/applications/{maya.public_id}"
    declined: Any = shop.api.post(f"{path}/decline", {"reason": "Not now"})
    assert (declined.status, declined.data["status"], declined.data["reason"]) == (200, "declined", "Not now")
    again: Any = shop.api.post(f"{path}/decline")
    assert (again.status, again.data["code"]) == (409, "invalid_state")
    assert shop.api.post(f"{path}/reconsider").data["status"] == "waiting"
    approved: Any = shop.api.post(f"{path}/approve").data
    assert (approved["status"], approved["participant"]) == ("approved", Participant.objects.get().public_id)
    assert shop.api.get(path).data == approved
    assert shop.api.get(f"/api/v2/applications?campaign={campaign.public_id}&status=approved").data["data"] == [
        approved
    ]
    assert shop.api.get(f"/api/v2/applications/{hidden.public_id}").status == 404


def test_another_merchants_and_the_other_sides_do_not_exist(shop: Shop, campaign: Campaign) -> None:
    row = wish(campaign, "maya")
    strangers = [open_shop("Charlie's Chairs"), open_shop("", is_test=True, merchant=shop.merchant)]
    for stranger in strangers:
        for action in ("approve", "decline", "reconsider"):
            reply: Any = stranger.api.post(f"/api/v2/applications/{row.public_id}/{action}")
            assert (reply.status, reply.data["code"]) == (404, "application_not_found")
        assert stranger.api.get("/api/v2/applications").data["data"] == []
        assert stranger.api.get(f"/api/v2/applications?campaign={campaign.public_id}").status == 404
    row.refresh_from_db()
    assert (row.status, Participant.objects.count()) == ("waiting", 0)
