"""The main job told through version 2: launch, join, buy, decide, approve, issue, undo (API.md, "v2")."""

from __future__ import annotations

from typing import Any

import pytest

from campaigns.models import Campaign
from participants.models import Participant, QualifyingEvent
from rewards.models import LedgerEntry, PayoutBatch, Reward
from tests.api.conftest import Shop

USD = {"currency": "USD"}


def usd(minor: int) -> dict[str, Any]:
    """Money in dollars."""
    return {"amount_minor": minor, **USD}


def test_from_draft_to_issued(shop: Shop) -> None:
    made = shop.api.post("/api/v2/campaigns", {"name": "Autumn", "currency": "USD"})
    assert (made.status, made.data["status"], made.data["name"]) == (201, "draft", "Autumn")
    assert made.headers["Location"] == f"/api/v2/campaigns/{made.data['id']}"
    assert [rule["side"] for rule in made.data["rules"]] == ["referrer", "invitee"]
    campaign = made.data["id"]
    assert shop.api.post(f"/api/v2/campaigns/{campaign}/launch").data["status"] == "active"

    maya = shop.api.post("/api/v2/participants", {"campaign": campaign, "email": "maya@example.com"})
    assert maya.status == 201
    join = {"campaign": campaign, "email": "noor@example.com", "referred_by_code": maya.data["referral_code"]}
    noor = shop.api.post("/api/v2/participants", join)
    assert (noor.status, noor.data["referred_by"]) == (201, maya.data["id"])
    assert noor.data["balances"]["invitee"] == {"earned": usd(2000), "redeemed": usd(0), "left": usd(2000)}
    again = shop.api.post("/api/v2/participants", join)
    assert (again.status, again.data) == (200, noor.data)

    bought = {"campaign": campaign, "email": "noor@example.com", "amount": usd(5000), "external_id": "order-1001"}
    event = shop.api.post("/api/v2/events", bought)
    assert event.status == 201
    assert (event.data["rewardable"], event.data["amount"], event.data["refunded"]) == (True, usd(5000), None)
    decision = next(one for one in event.data["decisions"] if one["side"] == "referrer")
    assert decision["rewardable"] is True
    assert all(condition["passed"] is not False for condition in decision["conditions"])
    same = shop.api.post("/api/v2/events", bought)
    assert (same.status, same.data) == (200, event.data)

    reward = shop.api.get(f"/api/v2/rewards/{decision['reward']}").data
    assert (reward["status"], reward["amount"], reward["participant"]) == ("review", usd(2000), maya.data["id"])
    assert shop.api.post(f"/api/v2/rewards/{reward['id']}/approve").data["status"] == "due"
    due = shop.api.get(f"/api/v2/rewards?status=due&campaign={campaign}").data["data"]
    assert {one["side"] for one in due} == {"referrer", "invitee"}

    batch = shop.api.post(
        "/api/v2/payouts",
        {"rewards": [reward["id"]], "method": "manual", "note": "Bank transfer"},
        Idempotency_Key="pay-1",
    )
    assert (batch.status, batch.data["payout_count"], batch.data["amounts"]) == (201, 1, [usd(2000)])
    payout = batch.data["payouts"][0]
    assert (payout["rewards"], payout["status"], payout["amount"]) == ([reward["id"]], "paid", usd(2000))
    detail = shop.api.get(f"/api/v2/payouts/{payout['id']}").data
    assert detail == {**payout, "key": payout["id"], "next_attempt_at": None, "tries": []}
    issued = shop.api.get(f"/api/v2/rewards/{reward['id']}").data
    assert (issued["status"], issued["payout"]) == ("issued", payout["id"])
    person = shop.api.get(f"/api/v2/participants/{maya.data['id']}").data
    assert person["balances"]["referrer"] == {"earned": usd(2000), "redeemed": usd(2000), "left": usd(0)}

    undone = shop.api.post(f"/api/v2/payout-batches/{batch.data['id']}/undo", {"note": "Wrong account"})
    assert undone.status == 200
    assert undone.data["undone_at"] is not None
    assert shop.api.get(f"/api/v2/rewards/{reward['id']}").data["status"] == "due"
    twice = shop.api.post(f"/api/v2/payout-batches/{batch.data['id']}/undo")
    assert (twice.status, twice.data["code"]) == (409, "invalid_state")


@pytest.fixture
def event(shop: Shop, campaign: Campaign, friend: Participant) -> dict[str, Any]:
    """A purchase of 50 dollars by Maya's friend."""
    body = {"campaign": campaign.public_id, "email": friend.email, "amount": usd(5000), "external_id": "order-1001"}
    data: dict[str, Any] = shop.api.post("/api/v2/events", body).data
    return data


def test_a_full_refund_voids_what_was_earned(shop: Shop, event: dict[str, Any]) -> None:
    refund = shop.api.post(f"/api/v2/events/{event['id']}/refunds", {"external_id": "refund-77"})
    assert (refund.status, refund.data["amount"], refund.data["external_id"]) == (201, None, "refund-77")
    again = shop.api.post(f"/api/v2/events/{event['id']}/refunds", {"external_id": "refund-77"})
    assert (again.status, again.data) == (200, refund.data)
    after = shop.api.get(f"/api/v2/events/{event['id']}").data
    assert (after["refunded"], after["rewardable"]) == (usd(5000), False)
    reward = Reward.objects.get(side="referrer")
    assert (reward.state, reward.reason) == ("void", "refunded")
    listed = shop.api.get(f"/api/v2/events/{event['id']}/refunds").data
    assert [one["id"] for one in listed["data"]] == [refund.data["id"]]


def test_all_of_it_without_an_id_counts_once(shop: Shop, event: dict[str, Any]) -> None:
    first, second = (shop.api.post(f"/api/v2/events/{event['id']}/refunds") for _ in range(2))
    assert (first.status, second.status) == (201, 200)
    assert first.data == second.data
    assert first.data["external_id"] is None


def test_a_refund_cannot_exceed_the_payment(shop: Shop, event: dict[str, Any]) -> None:
    reply = shop.api.post(f"/api/v2/events/{event['id']}/refunds", {"amount": usd(5001)})
    assert (reply.status, reply.data["code"]) == (422, "refund_too_large")
    assert QualifyingEvent.objects.get(public_id=event["id"]).refunded_minor == 0
    part = shop.api.post(f"/api/v2/events/{event['id']}/refunds", {"amount": usd(1000), "external_id": "r-1"})
    assert part.status == 201
    other = shop.api.post(f"/api/v2/events/{event['id']}/refunds", {"amount": usd(900), "external_id": "r-1"})
    assert (other.status, other.data["code"]) == (409, "amount_changed")
    assert QualifyingEvent.objects.get(public_id=event["id"]).refunded_minor == 1000


def test_one_id_for_one_fact(shop: Shop, campaign: Campaign, maya: Participant, event: dict[str, Any]) -> None:
    other = shop.participant(campaign, "li@example.com", maya)
    body = {"campaign": campaign.public_id, "email": other.email, "amount": usd(5000), "external_id": "order-1001"}
    reply = shop.api.post("/api/v2/events", body)
    assert (reply.status, reply.data["code"]) == (409, "external_id_reused")
    v1 = {"id": campaign.public_id, "email": other.email, "amountPaid": 50, "externalId": "order-1001"}
    reply = shop.api.post("/api/v1/qualifyParticipant", v1)
    assert (reply.status, reply.data["error"]) == (409, "external_id_reused")
    assert QualifyingEvent.objects.filter(type="purchase").count() == 1


def test_somebody_who_was_not_referred_is_recorded_and_not_rewarded(
    shop: Shop, campaign: Campaign, maya: Participant
) -> None:
    reply = shop.api.post("/api/v2/events", {"campaign": campaign.public_id, "email": maya.email, "amount": usd(5000)})
    assert (reply.status, reply.data["rewardable"], reply.data["external_id"]) == (201, False, None)
    assert {one["reason"] for one in reply.data["decisions"]} == {"not_referred"}
    assert Reward.objects.count() == 0


def test_hold_release_void(shop: Shop, event: dict[str, Any]) -> None:
    reward = Reward.objects.get(side="referrer").public_id
    assert shop.api.post(f"/api/v2/rewards/{reward}/hold").data["status"] == "held"
    assert shop.api.post(f"/api/v2/rewards/{reward}/release").data["status"] == "review"
    bare = shop.api.post(f"/api/v2/rewards/{reward}/void", {})
    assert (bare.status, bare.data["code"]) == (400, "missing_field")
    void = shop.api.post(f"/api/v2/rewards/{reward}/void", {"note": "A colleague"})
    assert (void.data["status"], void.data["note"]) == ("void", "A colleague")
    entries = LedgerEntry.objects.filter(side="referrer").order_by("pk").values_list("kind", "amount_minor")
    assert list(entries) == [("earn", 2000), ("reverse", -2000)]


@pytest.mark.parametrize("action", ["hold", "release", "approve", "void", "reverse"])
def test_an_action_in_the_wrong_state_names_the_state(shop: Shop, event: dict[str, Any], action: str) -> None:
    reward = Reward.objects.get(side="referrer")
    state = "held" if action in {"hold", "approve"} else "review"
    Reward.objects.filter(pk=reward.pk).update(state="void" if action == "void" else state)
    before = Reward.objects.values().get(pk=reward.pk)
    reply = shop.api.post(f"/api/v2/rewards/{reward.public_id}/{action}", {"note": "n"})
    assert (reply.status, reply.data["code"], reply.data["state"]) == (409, "invalid_state", before["state"])
    assert Reward.objects.values().get(pk=reward.pk) == before


def test_ban_and_unban(shop: Shop, maya: Participant, event: dict[str, Any]) -> None:
    banned = shop.api.post(f"/api/v2/participants/{maya.public_id}/ban", {"reason": "Invites themselves"})
    assert (banned.status, banned.data["banned"], banned.data["ban_reason"]) == (200, True, "Invites themselves")
    assert Reward.objects.get(side="referrer").state == "held"
    again = shop.api.post(f"/api/v2/participants/{maya.public_id}/ban", {"reason": "x"})
    assert (again.status, again.data["code"]) == (409, "invalid_state")
    lifted = shop.api.post(f"/api/v2/participants/{maya.public_id}/unban")
    assert (lifted.status, lifted.data["banned"]) == (200, False)
    assert Reward.objects.get(side="referrer").state == "review"


def test_change_a_participant(shop: Shop, maya: Participant) -> None:
    reply = shop.api.patch(f"/api/v2/participants/{maya.public_id}", {"first_name": "Maya", "note": "Met\nat the fair"})
    assert (reply.status, reply.data["first_name"], reply.data["note"]) == (200, "Maya", "Met\nat the fair")
    refused = shop.api.patch(f"/api/v2/participants/{maya.public_id}", {"email": "other@example.com"})
    assert (refused.status, refused.data["code"], refused.data["field"]) == (400, "unknown_field", "email")


def test_change_a_campaign(shop: Shop) -> None:
    campaign = shop.campaign(launched=False)
    rule = {
        "side": "referrer",
        "trigger": "every_event",
        "amount": {"type": "percent", "percent": "12.5", "cap": usd(10000)},
        "review_days": 7,
    }
    reply = shop.api.patch(
        f"/api/v2/campaigns/{campaign.public_id}",
        {
            "name": "Winter",
            "ends_at": "2027-01-31T23:00:00+01:00",
            "attribution": {"window_days": 30},
            "fraud": {"preset": "strict"},
            "theme": {"brand_color": "#c93a17"},
            "rules": [rule],
            "texts": {"share_header": "Give and get"},
        },
    )
    assert reply.status == 200
    assert (reply.data["name"], reply.data["ends_at"]) == ("Winter", "2027-01-31T22:00:00.000+00:00")
    assert reply.data["attribution"] == {"model": "first_click", "window_days": 30}
    assert reply.data["fraud"] == {"preset": "strict", "medium": 20, "high": 50}
    assert reply.data["theme"]["brand_color"] == "#c93a17"
    assert reply.data["texts"]["share_header"] == "Give and get"
    assert [(one["trigger"], one["amount"]["percent"], one["amount"]["cap"]) for one in reply.data["rules"]] == [
        ("every_event", "12.5", usd(10000))
    ]
    emptied = shop.api.patch(f"/api/v2/campaigns/{campaign.public_id}", {"ends_at": None})
    assert (emptied.status, emptied.data["ends_at"]) == (200, None)
    copy = shop.api.post(f"/api/v2/campaigns/{campaign.public_id}/duplicate")
    assert (copy.status, copy.data["name"], copy.data["status"]) == (201, "Winter (copy)", "draft")
    assert copy.data["fraud"]["preset"] == "strict"


def test_a_rule_that_cannot_be_kept_names_its_field(shop: Shop) -> None:
    rule = {"side": "referrer", "trigger": "milestone", "amount": {"type": "fixed", "money": usd(100)}}
    reply = shop.api.post("/api/v2/campaigns", {"name": "X", "rules": [rule]})
    assert (reply.status, reply.data["code"], reply.data["field"]) == (422, "nth", "rules[0].nth")
    assert Campaign.objects.count() == 0


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"landing": {"mode": "redirect"}}, ("landing_url", "landing.url")),
        ({"theme": {"brand_color": "red"}}, ("invalid_value", "theme.brand_color")),
        ({"attribution": {"window_days": 0}}, ("out_of_range", "attribution.window_days")),
        ({"texts": {"reward_header": "x" * 121}}, ("too_long", "texts.reward_header")),
        ({"fraud": {"preset": "paranoid"}}, ("invalid_choice", "fraud.preset")),
    ],
    ids=["landing", "theme", "attribution", "texts", "fraud"],
)
def test_a_refusal_names_the_field_of_the_request(shop: Shop, body: dict[str, Any], expected: tuple[str, str]) -> None:
    campaign = shop.campaign()
    reply = shop.api.patch(f"/api/v2/campaigns/{campaign.public_id}", body)
    assert (reply.status, reply.data["code"], reply.data["field"]) == (422, *expected)
    created = shop.api.post("/api/v2/campaigns", {"name": "X", **body})
    assert (created.status, created.data["code"], created.data["field"]) == (422, *expected)
    assert Campaign.objects.count() == 1


@pytest.mark.parametrize("field", ["medium", "high"])
def test_the_points_of_a_preset_are_read_only(shop: Shop, field: str) -> None:
    campaign = shop.campaign()
    reply = shop.api.patch(f"/api/v2/campaigns/{campaign.public_id}", {"fraud": {"preset": "strict", field: 1}})
    assert (reply.status, reply.data["code"], reply.data["field"]) == (400, "unknown_field", f"fraud.{field}")
    shown = shop.api.get(f"/api/v2/campaigns/{campaign.public_id}").data["fraud"]
    assert shown == {"preset": "balanced", "medium": 34, "high": 67}


def test_issue_everything_that_matches(shop: Shop, campaign: Campaign, event: dict[str, Any]) -> None:
    body = {"filter": {"campaign": campaign.public_id}, "expected": 2, "method": "manual"}
    reply = shop.api.post("/api/v2/payouts", body, Idempotency_Key="all-1")
    assert (reply.status, reply.data["code"], reply.data["now"]) == (409, "selection_changed", 1)
    assert PayoutBatch.objects.count() == 0
    reply = shop.api.post("/api/v2/payouts", {**body, "expected": 1}, Idempotency_Key="all-1")
    assert (reply.status, reply.data["payout_count"]) == (201, 1)
    assert Reward.objects.get(side="invitee").state == "issued"
    assert Reward.objects.get(side="referrer").state == "review"


def test_decisions_are_listed_with_their_rewards(shop: Shop, campaign: Campaign, event: dict[str, Any]) -> None:
    data = shop.api.get(f"/api/v2/decisions?event={event['id']}&rewardable=true").data["data"]
    assert [(one["side"], one["event"], one["reward"] is not None) for one in data] == [("referrer", event["id"], True)]
    every = shop.api.get(f"/api/v2/decisions?campaign={campaign.public_id}&current=true").data["data"]
    assert {one["event"] for one in every} >= {event["id"]}


def test_a_decision_says_in_words_why_not_and_what_can_change_it(
    shop: Shop, campaign: Campaign, maya: Participant
) -> None:
    bought = {"campaign": campaign.public_id, "email": maya.email, "amount": usd(5000), "external_id": "own-1"}
    own = shop.api.post("/api/v2/events", bought).data
    shown = shop.api.get(f"/api/v2/events/{own['id']}").data
    assert shown["decisions"] == own["decisions"]
    (listed,) = shop.api.get("/api/v2/decisions?reason=not_referred&side=referrer&current=true").data["data"]
    assert listed == next(one for one in own["decisions"] if one["side"] == "referrer")
    assert (listed["rewardable"], listed["reason"], listed["event"]) == (False, "not_referred", own["id"])
    assert listed["sentence"] == "Did not come through anybody's link or code"
    assert listed["can_change"] == "Attach the friend to whoever invited them; the event is then decided again"
    assert [set(condition) for condition in listed["conditions"]] == [
        {"code", "passed", "facts", "sentence"} for _condition in listed["conditions"]
    ]
    assert all(condition["sentence"] for condition in listed["conditions"])


def test_decisions_are_listed_since_a_time(shop: Shop, event: dict[str, Any]) -> None:
    (made,) = {one["decided_at"] for one in event["decisions"]}
    assert shop.api.get("/api/v2/decisions?since=2000-01-01T00:00:00Z").data["data"] != []
    assert shop.api.get("/api/v2/decisions?since=2100-01-01T00:00:00Z").data["data"] == []
    at = made.replace("+", "%2B")
    every = shop.api.get(f"/api/v2/decisions?since={at}&event={event['id']}").data["data"]
    assert {one["rule"] for one in every} == {one["rule"] for one in event["decisions"]}
    refused = shop.api.get("/api/v2/decisions?reason=unheard_of")
    assert (refused.status, refused.data["code"], refused.data["field"]) == (422, "invalid_choice", "reason")


def test_expand_gives_whole_objects(shop: Shop, maya: Participant, event: dict[str, Any]) -> None:
    reward = Reward.objects.get(side="referrer").public_id
    data = shop.api.get(f"/api/v2/rewards/{reward}?expand=participant,event").data
    assert (data["participant"]["email"], data["event"]["id"]) == ("maya@example.com", event["id"])
    reply = shop.api.get(f"/api/v2/rewards/{reward}?expand=merchant")
    assert (reply.status, reply.data["code"]) == (422, "invalid_choice")


def test_lists_page_by_cursor(shop: Shop, campaign: Campaign) -> None:
    for number in range(5):
        shop.participant(campaign, f"p{number}@example.com")
    seen: list[str] = []
    path = "/api/v2/participants?limit=2"
    while path:
        page = shop.api.get(path).data
        seen += [person["email"] for person in page["data"]]
        path = f"/api/v2/participants?limit=2&cursor={page['next_cursor']}" if page["next_cursor"] else ""
    assert seen == [f"p{number}@example.com" for number in (4, 3, 2, 1, 0)]
    found = shop.api.get("/api/v2/participants?q=p3&created_from=2020-01-01T00:00:00+00:00").data["data"]
    assert [person["email"] for person in found] == ["p3@example.com"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("role=referrer", ["maya"]),
        ("role=friend", ["noor"]),
        ("banned=true", ["noor"]),
        ("banned=false", ["maya"]),
        ("q=no", ["noor"]),
        ("q=maya@", ["maya"]),
        ("q=oor", []),
        ("created_to=2020-01-01T00:00:00Z", []),
    ],
)
def test_people_are_filtered_as_on_the_page(shop: Shop, friend: Participant, query: str, names: list[str]) -> None:
    shop.api.post(f"/api/v2/participants/{friend.public_id}/ban", {"reason": "x"})
    found = shop.api.get(f"/api/v2/participants?{query}").data["data"]
    assert [person["email"].split("@")[0] for person in found] == names
