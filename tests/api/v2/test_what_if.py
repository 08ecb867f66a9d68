"""What-if by the API: small campaigns at once, large ones by the worker; bad rules by field; nobody else's."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from campaigns.models import Campaign, CampaignVersion
from participants.models import Participant
from rewards.models import Reward, WhatIf
from rewards.whatif import jobs
from tests.api.conftest import Shop, open_shop

pytestmark = pytest.mark.django_db


def _rules(shop: Shop, campaign: Campaign) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = shop.api.get(f"/api/v2/campaigns/{campaign.public_id}").data["rules"]
    return rules


def _buy(shop: Shop, campaign: Campaign, friend: Participant) -> None:
    amount = {"amount_minor": 5000, "currency": "USD"}
    body = {"campaign": campaign.public_id, "email": friend.email, "amount": amount, "external_id": "order-1"}
    assert shop.api.post("/api/v2/events", body).status == 201


def _changed(shop: Shop, campaign: Campaign) -> list[dict[str, Any]]:
    """The rules with a minimum that no purchase reaches for the first of them."""
    rules = _rules(shop, campaign)
    rules[0]["minimum_purchase"] = {"amount_minor": 9900, "currency": "USD"}
    return rules


def test_a_small_campaign_is_answered_at_once_and_nothing_is_changed(
    shop: Shop, campaign: Campaign, friend: Participant
) -> None:
    _buy(shop, campaign, friend)
    before = [list(Reward.objects.order_by("pk").values()), CampaignVersion.objects.count()]
    reply = shop.api.post(f"/api/v2/campaigns/{campaign.public_id}/what-if", {"rules": _changed(shop, campaign)})
    assert (reply.status, reply.data["status"], reply.data["campaign"]) == (200, "done", campaign.public_id)
    assert [(rule["status"], rule["difference"]["rewards"]) for rule in reply.data["result"]["rules"]] == [
        ("changed", -1),
        ("unchanged", 0),
    ]
    (example,) = reply.data["result"]["rules"][0]["examples"]["gone"]
    assert (example["external_id"], example["reason"]) == ("order-1", "below_minimum_purchase")
    again = shop.api.get(reply.headers["Location"])
    assert (again.status, again.data) == (200, reply.data)
    assert [list(Reward.objects.order_by("pk").values()), CampaignVersion.objects.count()] == before


def test_a_large_campaign_is_answered_by_the_worker(
    shop: Shop, campaign: Campaign, friend: Participant, monkeypatch: pytest.MonkeyPatch
) -> None:
    _buy(shop, campaign, friend)
    monkeypatch.setattr(jobs, "SMALL", 0)
    path = f"/api/v2/campaigns/{campaign.public_id}/what-if"
    reply = shop.api.post(path, {"rules": _changed(shop, campaign)})
    assert (reply.status, reply.data["status"], reply.data["result"]) == (202, "queued", None)
    assert reply.data["progress"] == {"events": 2, "done": 0}
    twice = shop.api.post(path, {"rules": _changed(shop, campaign)})
    assert (twice.status, twice.data["id"]) == (202, reply.data["id"])
    assert jobs.carry_on(WhatIf.objects.get().pk) is True
    done = shop.api.get(reply.headers["Location"])
    assert (done.data["status"], done.data["progress"]) == ("done", {"events": 2, "done": 2})
    assert done.data["result"]["totals"][0]["gone"]["rewards"] == 1


@pytest.mark.parametrize("how", ["format", "accept"])
def test_the_answer_as_a_table(shop: Shop, campaign: Campaign, friend: Participant, how: str) -> None:
    _buy(shop, campaign, friend)
    path = f"/api/v2/campaigns/{campaign.public_id}/what-if"
    done = shop.api.post(path, {"rules": _changed(shop, campaign)})
    headers = {"Authorization": f"Bearer {shop.api.key}"} | ({"Accept": "text/csv"} if how == "accept" else {})
    query = "?format=csv" if how == "format" else ""
    response = shop.api.client.get(f"{done.headers['Location']}{query}", headers=headers)
    assert (response.status_code, response["Content-Type"]) == (200, "text/csv; charset=utf-8")
    lines = list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"))))
    gone = [line for line in lines if line["what"] == "gone" and line["status"] == "changed"]
    (difference,) = [line for line in lines if line["what"] == "difference" and line["status"] == "changed"]
    assert [(line["rewards"], line["currency"]) for line in gone] == [("1", "USD")]
    assert (difference["rewards"], difference["amount"]) == ("-1", f"-{gone[0]['amount']}")
    (example,) = [line for line in lines if line["what"] == "example: gone"]
    assert (example["external_id"], example["after"], example["reason"]) == ("order-1", "", "below_minimum_purchase")


@pytest.mark.parametrize(
    ("rules", "status", "code", "field"),
    [
        (None, 400, "missing_field", "rules"),
        ({}, 400, "invalid_type", "rules"),
        ([{"side": "referrer"}], 422, "invalid_choice", "rules[0].trigger"),
        (
            [{"side": "referrer", "trigger": "every_event", "amount": {"type": "percent", "percent": "101"}}],
            422,
            "percent",
            "rules[0].amount.percent",
        ),
        (
            [{"side": "referrer", "trigger": "nth_event", "amount": {"type": "percent", "percent": "5"}}],
            422,
            "nth",
            "rules[0].nth",
        ),
    ],
)
def test_rules_that_could_not_be_published_are_refused_at_their_field(
    shop: Shop, campaign: Campaign, rules: Any, status: int, code: str, field: str
) -> None:
    body = {} if rules is None else {"rules": rules}
    reply = shop.api.post(f"/api/v2/campaigns/{campaign.public_id}/what-if", body)
    assert (reply.status, reply.data["code"], reply.data["field"]) == (status, code, field)
    assert WhatIf.objects.count() == 0


def test_a_stranger_finds_neither_campaign_nor_answer(shop: Shop, campaign: Campaign) -> None:
    mine = shop.api.post(f"/api/v2/campaigns/{campaign.public_id}/what-if", {"rules": []}).data["id"]
    charlie = open_shop("Charlie's Chairs")
    asked = charlie.api.post(f"/api/v2/campaigns/{campaign.public_id}/what-if", {"rules": []})
    assert (asked.status, asked.data["code"]) == (404, "campaign_not_found")
    looked = charlie.api.get(f"/api/v2/what-ifs/{mine}")
    assert (looked.status, looked.data["code"]) == (404, "what_if_not_found")
    assert WhatIf.objects.count() == 1
