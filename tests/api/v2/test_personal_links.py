"""`POST personal-links`: links to merge into a newsletter, and nothing else."""

from __future__ import annotations

from campaigns.models import Campaign
from participants.models import Invite, Participant
from tests.api.conftest import Shop


def test_everybody_has_a_link_and_nobody_joins(shop: Shop, campaign: Campaign, friend: Participant) -> None:
    people = [{"email": friend.email}, {"email": "sven@example.com", "name": "Sven"}]
    answers = [
        shop.api.post("/api/v2/personal-links", {"campaign": campaign.public_id, "people": people}) for _ in range(2)
    ]
    invite = Invite.objects.get()
    assert [answer.status for answer in answers] == [200, 200]
    assert answers[0].data == answers[1].data
    assert answers[0].data["data"] == [
        {
            "email": friend.email,
            "link": f"http://localhost:8000/r/{friend.referral_code}",
            "participant": friend.public_id,
        },
        {"email": "sven@example.com", "link": f"http://localhost:8000/r/{invite.code}", "participant": None},
    ]
    assert (invite.name, invite.state, invite.source) == ("Sven", "ready", "link")


def test_what_is_refused_makes_nothing(shop: Shop, campaign: Campaign) -> None:
    def code(body: object) -> tuple[int, str]:
        answer = shop.api.post("/api/v2/personal-links", body)
        return answer.status, answer.data["code"]

    one = {"email": "sven@example.com"}
    assert code({"campaign": campaign.public_id, "people": []}) == (422, "blank")
    assert code({"campaign": campaign.public_id, "people": [one] * 501}) == (422, "too_long")
    assert code({"campaign": campaign.public_id, "people": [one, {"email": "x"}]}) == (422, "email_invalid")
    assert code({"campaign": "JCu82f30F1", "people": [one]}) == (404, "campaign_not_found")
    draft = shop.campaign("Draft", launched=False)
    assert code({"campaign": draft.public_id, "people": [one]}) == (422, "campaign_not_started")
    reader = shop.key("read")
    assert reader.post("/api/v2/personal-links", {"campaign": campaign.public_id, "people": [one]}).status == 403
    assert Invite.objects.count() == 0
