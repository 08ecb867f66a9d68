"""What a call tells of the customer's browser, and how the score is answered, in both versions (docs/fraud.md)."""

from __future__ import annotations

import pytest
from django.test import Client

from campaigns.models import Campaign
from participants.fraud.models import Trace
from participants.models import Participant
from rewards.models import Reward
from tests.api.conftest import Shop
from tests.hosted.conftest import CHROME

SAME = {
    "code": "S05",
    "name": "same_address",
    "points": 40,
    "text": "Same internet address as the referrer within a day (203.0.113.0/24)",
    "evidence": {"network": "203.0.113.0/24"},
}


def join_v2(shop: Shop, campaign: Campaign, email: str, code: str = "", **more: str) -> dict[str, object]:
    """A participant as version 2 answers them."""
    body = {"campaign": campaign.public_id, "email": email, "ip": "203.0.113.7", **more}
    reply = shop.api.post("/api/v2/participants", body | ({"referred_by_code": code} if code else {}))
    assert reply.status == 201
    return dict(reply.data)


def test_version_2_scores_whom_it_is_told_of(shop: Shop, campaign: Campaign) -> None:
    asha = join_v2(shop, campaign, "asha@example.com", device_id="d1", user_agent="Mozilla/5.0")
    assert asha["fraud"] == {"level": None, "score": None, "reasons": []}  # nobody invited her
    maya = join_v2(shop, campaign, "maya@example.net", str(asha["referral_code"]), device_id="d2")
    assert maya["fraud"] == {"level": "Medium", "score": 40, "reasons": [SAME]}
    again = shop.api.get(f"/api/v2/participants/{maya['id']}").data
    assert again["fraud"] == maya["fraud"]
    body = {
        "campaign": campaign.public_id,
        "email": "maya@example.net",
        "amount": {"amount_minor": 5000, "currency": "USD"},
    }
    assert shop.api.post("/api/v2/events", body | {"device_id": "d1"}).status == 201
    assert set(Reward.objects.values_list("state", "reason")) == {("held", "held_for_review")}
    now = shop.api.get(f"/api/v2/participants/{maya['id']}").data["fraud"]
    assert (now["level"], [reason["name"] for reason in now["reasons"]]) == (
        "High",
        ["same_browser", "same_address", "hasty_order"],
    )


def test_version_1_says_the_level_as_the_documents_do(shop: Shop, campaign: Campaign, maya: Participant) -> None:
    def join(email: str, **more: str) -> dict[str, object]:
        body = {"id": campaign.public_id, "email": email, "referredByCode": maya.referral_code, **more}
        return dict(shop.api.post("/api/v1/addParticipant", body).data)

    assert (join("noor@example.net")["fraudScore"], Trace.objects.count()) == ("", 0)
    scored = join("lena@example.net", ip="198.51.100.1", userAgent="HeadlessChrome/131", deviceId="x")
    assert (scored["fraudScore"], scored["fraud"]["level"], scored["fraud"]["score"]) == ("Medium", "Medium", 40)  # type: ignore[index]  # parsed JSON
    Participant.objects.filter(email="lena@example.net").update(fraud_level="unknown")
    found = shop.api.get(f"/api/v1/getParticipant?id={campaign.public_id}&email=lena@example.net").data
    assert found["fraudScore"] == ""


@pytest.mark.parametrize("ip", ["999.1.1.1", "host.example", "203.0.113.7/24", ""])
def test_an_address_that_is_none_is_refused(ip: str, shop: Shop, campaign: Campaign) -> None:
    reply = shop.api.post("/api/v2/participants", {"campaign": campaign.public_id, "email": "a@example.com", "ip": ip})
    assert (reply.status, reply.data["code"]) == (422, "ip_invalid")
    assert not Participant.objects.exists()


def test_a_web_page_is_seen_and_not_believed(shop: Shop, campaign: Campaign, maya: Participant) -> None:
    body = {"id": campaign.public_id, "email": "noor@example.net", "referredByCode": maya.referral_code}
    shop.page.client = Client(REMOTE_ADDR="198.51.100.20", headers={"user-agent": CHROME})
    assert shop.page.post("/api/v1/addParticipant", body | {"ip": "203.0.113.7", "deviceId": "mine"}).status == 200
    trace = Trace.objects.get()
    assert (trace.network, trace.browser, trace.agent) == ("198.51.100.0", "", CHROME)
    assert Participant.objects.get(email="noor@example.net").fraud_level == "Low"


def test_another_merchant_learns_nothing_from_the_same_address(shop: Shop, stranger: Shop, campaign: Campaign) -> None:
    join_v2(shop, campaign, "asha@example.com", device_id="d1")
    theirs = stranger.campaign()
    first = join_v2(stranger, theirs, "asha@example.com", device_id="d9")
    with_code = join_v2(
        stranger, theirs, "maya@example.net", str(first["referral_code"]), ip="198.51.100.1", device_id="d1"
    )
    assert with_code["fraud"] == {"level": "Low", "score": 0, "reasons": []}
    hashes = list(Trace.objects.filter(network="203.0.113.0").order_by("pk").values_list("address", flat=True))
    assert len(set(hashes)) == 2  # one address, two merchants
