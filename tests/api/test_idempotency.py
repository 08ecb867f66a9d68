"""The table of RELIABILITY section 2, row by row, and the race on PostgreSQL (INV-10; section 2, "Second net")."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from campaigns.models import Campaign
from participants.models import Participant, QualifyingEvent
from referrals.api.idempotency import forget_old
from referrals.api.models import IdempotencyRecord
from rewards.models import PayoutBatch, Reward
from tests.api.conftest import Reply, Shop, open_shop

PATH = "/api/v2/events"
THREADS = 40


@pytest.fixture
def bought(campaign: Campaign, friend: Participant) -> dict[str, Any]:
    """A purchase without an id of its own: only the key can make it count once."""
    return {
        "campaign": campaign.public_id,
        "email": friend.email,
        "amount": {"amount_minor": 5000, "currency": "USD"},
    }


def purchases() -> int:
    """How many purchases are recorded."""
    return QualifyingEvent.objects.filter(type="purchase").count()


def test_a_repeat_gets_the_first_answer(shop: Shop, bought: dict[str, Any]) -> None:
    first = shop.api.post(PATH, bought, Idempotency_Key="k1")
    second = shop.api.post(PATH, dict(reversed(bought.items())), Idempotency_Key='"k1"')
    assert (first.status, second.status) == (201, 201)
    assert second.data == first.data
    assert second.headers["Location"] == first.headers["Location"]
    assert (first.headers.get("Idempotency-Replayed"), second.headers["Idempotency-Replayed"]) == (None, "true")
    assert purchases() == 1


def test_without_a_key_each_request_runs(shop: Shop, bought: dict[str, Any]) -> None:
    assert [shop.api.post(PATH, bought).status for _ in range(2)] == [201, 201]
    assert purchases() == 2
    assert IdempotencyRecord.objects.count() == 0


def test_version_1_knows_the_header_too(shop: Shop, campaign: Campaign) -> None:
    body = {"id": campaign.public_id, "email": "li@example.com"}
    first, second = (shop.api.post("/api/v1/addParticipant", body, Idempotency_Key="k1") for _ in range(2))
    assert (first.data, second.headers["Idempotency-Replayed"]) == (second.data, "true")


@pytest.mark.parametrize(
    ("path", "change"),
    [(PATH, {"external_id": "other"}), ("/api/v2/participants", None)],
    ids=["other body", "other path"],
)
def test_the_same_key_for_something_else(
    shop: Shop, bought: dict[str, Any], path: str, change: dict[str, Any] | None
) -> None:
    shop.api.post(PATH, bought, Idempotency_Key="k1")
    body = {**bought, **change} if change else {name: bought[name] for name in ("campaign", "email")}
    reply = shop.api.post(path, body, Idempotency_Key="k1")
    assert (reply.status, reply.data["code"]) == (422, "idempotency_key_reused")
    assert purchases() == 1


@pytest.mark.parametrize(
    "key",
    ["", " ", "a b", "x" * 256, "k\u00e9", "a\tb", "a,b", '""'],
    ids=["empty", "blank", "space", "256", "not ASCII", "tab", "two headers", "quoted nothing"],
)
def test_malformed_keys(shop: Shop, bought: dict[str, Any], key: str) -> None:
    reply = shop.api.post(PATH, bought, Idempotency_Key=key)
    assert (reply.status, reply.data["code"]) == (400, "idempotency_key_invalid")
    assert purchases() == 0


def test_money_needs_a_key(shop: Shop, bought: dict[str, Any]) -> None:
    shop.api.post(PATH, bought)
    reward = Reward.objects.get(side="invitee")
    reply = shop.api.post("/api/v2/payouts", {"rewards": [reward.public_id], "method": "manual"})
    assert (reply.status, reply.data["code"]) == (400, "idempotency_key_missing")
    assert PayoutBatch.objects.count() == 0


def test_a_key_outlives_its_stored_answer_where_money_moves(shop: Shop, bought: dict[str, Any]) -> None:
    shop.api.post(PATH, bought)
    body = {"rewards": [Reward.objects.get(side="invitee").public_id], "method": "manual"}
    first = shop.api.post("/api/v2/payouts", body, Idempotency_Key="pay")
    IdempotencyRecord.objects.update(created_at=timezone.now() - timedelta(days=8))
    assert forget_old() == 1
    second = shop.api.post("/api/v2/payouts", body, Idempotency_Key="pay")
    assert (first.status, second.status) == (201, 200)
    assert second.data == first.data
    assert PayoutBatch.objects.count() == 1


def test_a_refusal_is_not_stored(shop: Shop, bought: dict[str, Any], campaign: Campaign) -> None:
    wrong = {**bought, "email": "nobody@example.com"}
    assert shop.api.post(PATH, wrong, Idempotency_Key="k1").status == 404
    assert shop.api.post(PATH, {**bought, "amount": 5}, Idempotency_Key="k1").status == 400
    assert IdempotencyRecord.objects.count() == 0
    assert shop.api.post(PATH, bought, Idempotency_Key="k1").status == 201


def test_an_exception_leaves_neither_effect_nor_record(
    shop: Shop, bought: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("referrals.api.v2.events.events_json", lambda *a, **k: 1 / 0)
        assert shop.api.post(PATH, bought, Idempotency_Key="k1").status == 500
    assert (purchases(), IdempotencyRecord.objects.count()) == (0, 0)
    assert shop.api.post(PATH, bought, Idempotency_Key="k1").status == 201
    assert purchases() == 1


def test_while_it_runs_and_after_its_lease(shop: Shop, bought: dict[str, Any]) -> None:
    shop.api.post(PATH, bought, Idempotency_Key="k1")
    record = IdempotencyRecord.objects.get()
    QualifyingEvent.objects.filter(type="purchase").update(external_id="kept")
    later = timezone.now() + timedelta(seconds=20)
    IdempotencyRecord.objects.filter(pk=record.pk).update(status=None, body="", leased_until=later)
    running = shop.api.post(PATH, bought, Idempotency_Key="k1")
    assert (running.status, running.data["code"], running.headers["Retry-After"]) == (409, "request_in_progress", "1")
    past = timezone.now() - timedelta(seconds=1)
    IdempotencyRecord.objects.filter(pk=record.pk).update(leased_until=past)
    taken_over = shop.api.post(PATH, bought, Idempotency_Key="k1")
    assert taken_over.status == 201
    assert purchases() == 2
    replayed = shop.api.post(PATH, bought, Idempotency_Key="k1")
    assert (replayed.data, replayed.headers["Idempotency-Replayed"]) == (taken_over.data, "true")


def test_whoever_was_overtaken_stores_nothing(
    shop: Shop, bought: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def overtaken(*args: Any, **kwargs: Any) -> list[dict[str, Any]]:
        IdempotencyRecord.objects.update(owner="somebody else")
        return [{"id": "x"}]

    monkeypatch.setattr("referrals.api.v2.events.events_json", overtaken)
    reply = shop.api.post(PATH, bought, Idempotency_Key="k1")
    assert (reply.status, reply.data["code"]) == (409, "request_in_progress")
    assert purchases() == 0


def test_tenants_and_sides_are_apart(shop: Shop, stranger: Shop) -> None:
    test_side = open_shop("", is_test=True, merchant=shop.merchant)
    made = set()
    for one in (shop, test_side, stranger):
        reply = one.api.post("/api/v2/campaigns", {"name": "Same", "currency": "USD"}, Idempotency_Key="k1")
        assert (reply.status, "Idempotency-Replayed" in reply.headers) == (201, False)
        made.add(reply.data["id"])
    assert len(made) == 3


def _at_once(calls: list[Callable[[], Reply]]) -> list[Reply]:
    """Run all calls in threads that start together; their connections are closed."""
    barrier, replies, lock = threading.Barrier(len(calls)), [], threading.Lock()

    def run(call: Callable[[], Reply]) -> None:
        try:
            barrier.wait()
            reply = call()
            with lock:
                replies.append(reply)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[call]) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(replies) == len(calls)
    return replies


def _world() -> tuple[Shop, dict[str, Any]]:
    shop = open_shop("Alice's Lamps")
    campaign = shop.campaign()
    maya = shop.participant(campaign, "maya@example.com")
    shop.participant(campaign, "noor@example.com", maya)
    return shop, {
        "campaign": campaign.public_id,
        "email": "noor@example.com",
        "amount": {"amount_minor": 5000, "currency": "USD"},
    }


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_forty_threads_with_one_key_run_once() -> None:
    shop, body = _world()
    replies = _at_once([lambda: shop.api.send("POST", PATH, body, raw=None, Idempotency_Key="k1")] * THREADS)
    statuses = Counter(reply.status for reply in replies)
    assert set(statuses) <= {201, 409}
    fresh = [reply for reply in replies if reply.status == 201 and "Idempotency-Replayed" not in reply.headers]
    assert len(fresh) == 1
    assert {json.dumps(reply.data) for reply in replies if reply.status == 201} == {json.dumps(fresh[0].data)}
    assert {reply.data["code"] for reply in replies if reply.status == 409} <= {"request_in_progress"}
    assert (purchases(), Reward.objects.filter(side="referrer").count()) == (1, 1)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_forty_keys_for_one_event_make_one_reward() -> None:
    shop, body = _world()
    body["external_id"] = "order-1"
    calls: list[Callable[[], Reply]] = [
        lambda key=f"k{number}": shop.api.send("POST", PATH, body, raw=None, Idempotency_Key=key)  # type: ignore[misc] # bound now
        for number in range(THREADS)
    ]
    replies = _at_once(calls)
    assert Counter(reply.status for reply in replies) == {201: 1, 200: THREADS - 1}
    # PostgreSQL keeps the names inside a condition's facts in an order of its own.
    assert len({json.dumps(reply.data, sort_keys=True) for reply in replies}) == 1
    assert (purchases(), Reward.objects.filter(side="referrer").count()) == (1, 1)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_forty_threads_issue_once() -> None:
    shop, body = _world()
    reward = Reward.objects.get(side="invitee").public_id
    asked = {"rewards": [reward], "method": "manual"}
    calls: list[Callable[[], Reply]] = [
        lambda key=f"k{number}": shop.api.send("POST", "/api/v2/payouts", asked, raw=None, Idempotency_Key=key)  # type: ignore[misc] # bound now
        for number in range(THREADS)
    ]
    replies = _at_once(calls)
    assert Counter(reply.status for reply in replies) == {201: 1, 409: THREADS - 1}
    assert {reply.data["code"] for reply in replies if reply.status == 409} == {"invalid_state"}
    assert PayoutBatch.objects.count() == 1
    assert body["email"] == "noor@example.com"
