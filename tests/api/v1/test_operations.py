"""The seven operations of version 1: names, order, values, idempotency (API.md, "v1"; seed 002)."""

from __future__ import annotations

import pytest

from campaigns import services as campaign_services
from campaigns.models import Campaign
from participants.models import Participant, QualifyingEvent
from referrals.events.services import SYSTEM
from rewards.models import Reward
from tests.api.conftest import Shop

CAMPAIGN_ORDER = (
    "campaignId campaignName status createdOn end hostURL paused ended rewardHeader rewardDescription shareHeader"
    " shareDescription referrerReward refereeReward rewardType totalParticipants"
).split()
PARTICIPANT_ORDER = (
    "email firstName lastName referralCode referredByCode createdOn campaignId shareLink totalReferrals referralReward"
    " referralRewardRedeemed referralRewardBalance refereeReward refereeRewardRedeemed refereeRewardBalance"
    " rewardEventCompleted fraudScore fraud"
).split()


def test_get_campaign_has_the_documented_fields_in_order(shop: Shop, campaign: Campaign, maya: Participant) -> None:
    reply = shop.api.get(f"/api/v1/getCampaign?id={campaign.public_id}")
    assert reply.status == 200
    assert list(reply.data) == CAMPAIGN_ORDER
    assert reply.data["campaignId"] == campaign.public_id
    assert reply.data["status"] == "Active"
    assert reply.data["hostURL"] == f"http://localhost:8000/campaign?id={campaign.public_id}"
    assert (reply.data["paused"], reply.data["ended"], reply.data["end"]) == (False, False, None)
    assert (reply.data["referrerReward"], reply.data["refereeReward"]) == (20, 20)
    assert reply.data["rewardType"] == "Monetary"
    assert reply.data["totalParticipants"] == 1
    assert reply.data["createdOn"].endswith("+00:00")
    assert len(reply.data["createdOn"]) == len("2023-10-11T00:36:27.753+00:00")


@pytest.mark.parametrize(
    ("action", "word", "flags"), [("pause", "Pause", (True, False)), ("end", "End", (False, True))]
)
def test_status_words(shop: Shop, campaign: Campaign, action: str, word: str, flags: tuple[bool, bool]) -> None:
    getattr(campaign_services, action)(campaign=campaign, actor=SYSTEM)
    data = shop.api.get(f"/api/v1/getCampaign?id={campaign.public_id}").data
    assert (data["status"], data["paused"], data["ended"]) == (word, *flags)


def test_an_unknown_campaign_names_itself(shop: Shop) -> None:
    reply = shop.api.get("/api/v1/getCampaign?id=JCu82f30F1")
    assert reply.status == 404
    assert reply.data == {
        "status": 404,
        "error": "campaign_not_found",
        "message": "No campaign JCu82f30F1.",
        "path": "/api/v1/getCampaign",
        "details": {"id": "JCu82f30F1"},
    }


def test_add_participant_answers_the_documented_participant(shop: Shop, campaign: Campaign, maya: Participant) -> None:
    reply = shop.api.post(
        "/api/v1/addParticipant",
        {
            "id": campaign.public_id,
            "email": "noor@example.com",
            "referredByCode": maya.referral_code,
            "firstName": "Noor",
            "lastName": "Khan",
        },
    )
    assert reply.status == 200
    assert list(reply.data) == PARTICIPANT_ORDER
    code = reply.data["referralCode"]
    assert len(code) == 8
    assert {name: reply.data[name] for name in PARTICIPANT_ORDER if name != "createdOn"} == {
        "email": "noor@example.com",
        "firstName": "Noor",
        "lastName": "Khan",
        "referralCode": code,
        "referredByCode": maya.referral_code,
        "campaignId": campaign.public_id,
        "shareLink": f"http://localhost:8000/campaign?id={campaign.public_id}&referralCode={code}",
        "totalReferrals": 0,
        "referralReward": 0,
        "referralRewardRedeemed": 0,
        "referralRewardBalance": 0,
        "refereeReward": 20,
        "refereeRewardRedeemed": 0,
        "refereeRewardBalance": 20,
        "rewardEventCompleted": False,
        "fraudScore": "",
        "fraud": {"level": None, "score": None, "reasons": []},
    }


def test_adding_twice_gives_the_same_person_and_the_first_referrer_stays(shop: Shop, campaign: Campaign) -> None:
    maya, omar = (shop.participant(campaign, f"{name}@example.com") for name in ("maya", "omar"))
    body = {"id": campaign.public_id, "email": "noor@example.com", "referredByCode": maya.referral_code}
    first = shop.api.post("/api/v1/addParticipant", body)
    second = shop.api.post(
        "/api/v1/addParticipant", {**body, "email": "NOOR@EXAMPLE.COM", "referredByCode": omar.referral_code}
    )
    assert second.status == 200
    assert second.data == first.data
    assert Participant.objects.count() == 3


def test_referred_by_email(shop: Shop, campaign: Campaign, maya: Participant) -> None:
    body = {"id": campaign.public_id, "email": "noor@example.com", "referredByEmail": "Maya@Example.com"}
    assert shop.api.post("/api/v1/addParticipant", body).data["referredByCode"] == maya.referral_code
    unknown = shop.api.post(
        "/api/v1/addParticipant", {**body, "email": "li@example.com", "referredByEmail": "nobody@example.com"}
    )
    assert (unknown.status, unknown.data["error"]) == (404, "referrer_not_found")
    assert "nobody@example.com" in unknown.data["message"]
    assert Participant.objects.count() == 2


def test_an_unknown_code_names_itself_and_nobody_is_added(shop: Shop, campaign: Campaign) -> None:
    body = {"id": campaign.public_id, "email": "noor@example.com", "referredByCode": "zzzzzzzz"}
    reply = shop.api.post("/api/v1/addParticipant", body)
    assert (reply.status, reply.data["error"]) == (404, "code_not_found")
    assert "zzzzzzzz" in reply.data["message"]
    assert Participant.objects.count() == 0


def test_nobody_refers_themselves(shop: Shop, campaign: Campaign) -> None:
    shop.participant(campaign, "maya@gmail.com")
    maya = Participant.objects.get()
    body = {"id": campaign.public_id, "email": "m.aya+shop@gmail.com", "referredByCode": maya.referral_code}
    reply = shop.api.post("/api/v1/addParticipant", body)
    assert (reply.status, reply.data["error"]) == (422, "self_referral")
    assert Participant.objects.count() == 1


@pytest.mark.parametrize(("action", "code"), [("pause", "campaign_paused"), ("end", "campaign_ended")])
def test_a_closed_campaign_takes_nobody(shop: Shop, campaign: Campaign, action: str, code: str) -> None:
    getattr(campaign_services, action)(campaign=campaign, actor=SYSTEM)
    reply = shop.api.post("/api/v1/addParticipant", {"id": campaign.public_id, "email": "noor@example.com"})
    assert (reply.status, reply.data["error"]) == (422, code)
    assert Participant.objects.count() == 0


def test_get_participant(shop: Shop, campaign: Campaign, maya: Participant, friend: Participant) -> None:
    reply = shop.api.get(f"/api/v1/getParticipant?id={campaign.public_id}&email=Maya@example.com")
    assert reply.status == 200
    assert (reply.data["email"], reply.data["totalReferrals"]) == ("maya@example.com", 1)
    missing = shop.api.get(f"/api/v1/getParticipant?id={campaign.public_id}&email=li@example.com")
    assert (missing.status, missing.data["error"]) == (404, "participant_not_found")
    assert "li@example.com" in missing.data["message"]


@pytest.mark.parametrize("amount", ["250", 250, 250.0, "250.00"], ids=repr)
def test_qualifying_makes_the_referrer_eligible(
    shop: Shop, campaign: Campaign, maya: Participant, friend: Participant, amount: object
) -> None:
    body = {"id": campaign.public_id, "email": "noor@example.com", "amountPaid": amount, "externalId": "order-1"}
    reply = shop.api.post("/api/v1/qualifyParticipant", body)
    assert reply.status == 200
    assert (reply.data["email"], reply.data["rewardEventCompleted"]) == ("noor@example.com", True)
    event = QualifyingEvent.objects.get(external_id="order-1")
    assert (event.amount_minor, event.currency, event.source) == (25_000, "USD", "api")
    reward = Reward.objects.get(participant=maya)
    assert (reward.amount_minor, reward.state, reward.side) == (2000, "review", "referrer")
    data = shop.api.get(f"/api/v1/getParticipant?id={campaign.public_id}&email=maya@example.com").data
    assert (data["referralReward"], data["referralRewardRedeemed"], data["referralRewardBalance"]) == (20, 0, 20)


def test_qualifying_twice_with_an_id_counts_once(shop: Shop, campaign: Campaign, friend: Participant) -> None:
    body = {"id": campaign.public_id, "email": "noor@example.com", "amountPaid": "250", "externalId": "order-1"}
    first, second = (shop.api.post("/api/v1/qualifyParticipant", body) for _ in range(2))
    assert (first.status, second.status) == (200, 200)
    assert first.data == second.data
    assert QualifyingEvent.objects.filter(type="purchase").count() == 1
    changed = shop.api.post("/api/v1/qualifyParticipant", {**body, "amountPaid": "251"})
    assert (changed.status, changed.data["error"]) == (409, "amount_changed")
    assert Reward.objects.filter(side="referrer").count() == 1


def test_qualifying_twice_without_an_id_changes_nothing(shop: Shop, campaign: Campaign, friend: Participant) -> None:
    body = {"id": campaign.public_id, "email": "noor@example.com", "amountPaid": "250"}
    first = shop.api.post("/api/v1/qualifyParticipant", body)
    second = shop.api.post("/api/v1/qualifyParticipant", {**body, "amountPaid": "99.50"})
    third = shop.api.post("/api/v1/qualifyParticipant", {"id": campaign.public_id, "email": "noor@example.com"})
    assert (first.status, second.status, third.status) == (200, 200, 200)
    assert first.data == second.data == third.data
    assert QualifyingEvent.objects.filter(type="purchase").count() == 1
    assert Reward.objects.filter(side="referrer").count() == 1


def test_somebody_who_was_not_referred_cannot_qualify(shop: Shop, campaign: Campaign, maya: Participant) -> None:
    body = {"id": campaign.public_id, "email": "maya@example.com", "amountPaid": "250"}
    reply = shop.api.post("/api/v1/qualifyParticipant", body)
    assert (reply.status, reply.data["error"]) == (422, "not_referred")
    assert QualifyingEvent.objects.count() == 0
    assert Reward.objects.count() == 0


def test_validate_code(shop: Shop, campaign: Campaign, maya: Participant) -> None:
    def valid(code: str) -> bool:
        reply = shop.api.get(f"/api/v1/validateCode?id={campaign.public_id}&code={code}")
        assert reply.status == 200
        assert list(reply.data) == ["campaignId", "code", "valid"]
        return bool(reply.data["valid"])

    assert valid(maya.referral_code) is True
    assert valid(maya.referral_code.swapcase()) is False
    assert valid("zzzzzzzz") is False
    campaign_services.pause(campaign=campaign, actor=SYSTEM)
    assert valid(maya.referral_code) is False


def test_lists_page_and_sort(shop: Shop, campaign: Campaign) -> None:
    for number in range(25):
        shop.participant(campaign, f"p{number:02}@example.com")
    first = shop.api.get(f"/api/v1/getAllParticipants?id={campaign.public_id}")
    assert [person["email"] for person in first.data] == [f"p{number:02}@example.com" for number in range(20)]
    assert first.headers["X-Total-Count"] == "25"
    address = f"http://testserver/api/v1/getAllParticipants?id={campaign.public_id}&page=1&size=20"
    assert first.headers["Link"] == f'<{address}>; rel="next"'
    last = shop.api.get(f"/api/v1/getAllParticipants?id={campaign.public_id}&page=1&size=20&sort=email,desc")
    assert [person["email"] for person in last.data] == [f"p{number:02}@example.com" for number in range(4, -1, -1)]
    assert last.headers["Link"].endswith('rel="prev"')
    beyond = shop.api.get(f"/api/v1/getAllParticipants?id={campaign.public_id}&page=9")
    assert (beyond.status, beyond.data) == (200, [])


def test_referrals_of_a_participant(shop: Shop, campaign: Campaign, maya: Participant, friend: Participant) -> None:
    shop.participant(campaign, "li@example.com")
    reply = shop.api.get(f"/api/v1/getAllReferrals?id={campaign.public_id}&email=maya@example.com")
    assert [person["email"] for person in reply.data] == ["noor@example.com"]
    assert reply.data[0]["referredByCode"] == maya.referral_code
    assert reply.headers["X-Total-Count"] == "1"
