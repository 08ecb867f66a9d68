"""Issuing by a company through the API, looking at what became of it, and saying what nobody else knows (API.md v2; issue 6, part 5)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from integrations import trying
from integrations.payouts import sweep
from integrations.services import connect
from referrals.accounts.keys import create_api_key
from referrals.accounts.tenancy import Tenant
from referrals.events.services import SYSTEM
from rewards.models import LedgerEntry, Payout, PayoutBatch, Reward
from rewards.verify import differences
from tests.api.conftest import EVERY_SCOPE, Caller
from tests.factories import ACTOR, Cast, fixed_rule, make_campaign, make_reward
from tests.integrations.sandbox.talking import minor_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def side(alice: Cast) -> Tenant:
    return Tenant(alice.merchant, is_test=True)


@pytest.fixture
def api(side: Tenant) -> Caller:
    """A key of the test side."""
    return Caller(create_api_key(tenant=side, name="Server", scopes=EVERY_SCOPE, actor=SYSTEM)[1])


@pytest.fixture
def con(side: Tenant) -> str:
    """Tremendous' stand-in, by its id."""
    row = trying.make_up_secrets(connection=connect(tenant=side, actor=ACTOR, provider="tremendous"), actor=ACTOR)
    return row.public_id


def owed(side: Tenant, minor: int = 1500, kind: str = "gift_card", name: str = "asha") -> Reward:
    """A due reward."""
    campaign = make_campaign(side, [fixed_rule(minor, kind=kind)], name=f"{name} {kind}")
    return make_reward(campaign, f"{name}@example.com", f"of-{name}@example.net")


def issue(api: Caller, *rewards: Reward, key: str = "run-1", **more: Any) -> Any:
    """POST payouts through Tremendous."""
    body = {"rewards": [row.public_id for row in rewards], "method": "tremendous", **more}
    return api.post("/api/v2/payouts", body, Idempotency_Key=key)


def work_again() -> None:
    """The worker's next round, as if its time had come."""
    Payout.objects.filter(next_attempt_at__isnull=False).update(next_attempt_at=Now() - timedelta(seconds=1))
    sweep()


def test_the_methods_are_listed_with_what_they_ask_for(api: Caller, con: str) -> None:
    found = {one["method"]: one for one in api.get("/api/v2/payout-methods").data["data"]}

    assert (found["manual"]["connection"], found["manual"]["options"]) == (None, [])
    assert (found["tremendous"]["connection"], found["tremendous"]["kinds"]) == (con, ["cash", "gift_card"])
    assert [one["name"] for one in found["tremendous"]["options"]] == ["delivery", "campaign_id", "message"]
    assert found["tremendous"]["options"][0]["choices"] == ["EMAIL", "LINK"]


def test_a_batch_leaves_and_its_payouts_tell_of_each_try(api: Caller, con: str, side: Tenant) -> None:
    plain, lost = owed(side), owed(side, minor_of("lost_after"), name="lost")
    made = issue(api, plain, lost, options={"message": "Thank you"}, note="November")
    again = issue(api, plain, lost, options={"message": "Thank you"}, note="November")
    before = api.get(f"/api/v2/payout-batches/{made.data['id']}").data
    sweep()
    first = api.get(f"/api/v2/payout-batches/{made.data['id']}").data
    work_again()
    last = api.get(f"/api/v2/payout-batches/{made.data['id']}").data
    one = api.get(f"/api/v2/payouts/{Payout.objects.get(rewards=lost).public_id}").data

    assert (made.status, again.status, again.data) == (201, 201, made.data)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (before["counts"], before["waits_for"], before["completed_at"]) == ({"queued": 2}, [], None)
    assert (first["counts"], last["counts"]) == ({"paid": 1, "unknown": 1}, {"paid": 2})
    assert (first["completed_at"], last["completed_at"] is not None) == (None, True)
    assert [(row["number"], row["state"]) for row in one["tries"]] == [(1, "unknown"), (2, "paid")]
    assert (one["connection"], one["netted"]["amount_minor"], one["reason"]) == (con, 0, None)
    assert PayoutBatch.objects.get().options == {"message": "Thank you"}


def test_a_preview_says_who_can_not_be_paid_and_does_nothing(api: Caller, con: str, side: Tenant) -> None:
    plain, code = owed(side), owed(side, kind="coupon", name="code")
    body = {"rewards": [plain.public_id, code.public_id], "method": "tremendous", "connection": con}

    found = api.post("/api/v2/payouts/preview", body)
    refused = issue(api, plain, code)
    left = issue(api, plain, code, key="run-2", leave_unsuitable=True)

    assert found.status == 200
    assert found.data == {
        "method": "tremendous",
        "payable": 1,
        "people": 1,
        "amounts": [{"amount_minor": 1500, "currency": "USD"}],
        "netted": [],
        "refused": [{"reward": code.public_id, "reason": "kind_not_payable"}],
    }
    assert (refused.status, refused.data["code"], refused.data["reason"]) == (
        422,
        "method_unsuitable",
        "kind_not_payable",
    )
    assert (left.status, left.data["counts"]) == (201, {"queued": 1})
    code.refresh_from_db()
    assert code.state == "due"


@pytest.mark.parametrize("method", ["tremendous", "manual", "csv_file"])
def test_nothing_is_made_when_other_amounts_would_leave_than_were_named(
    api: Caller, con: str, side: Tenant, method: str
) -> None:
    first, second = owed(side, kind="cash"), owed(side, 2000, kind="cash", name="bela")
    body = {"rewards": [first.public_id, second.public_id], "method": method}
    shown = api.post("/api/v2/payouts/preview", body).data["amounts"]
    assert shown == [{"amount_minor": 3500, "currency": "USD"}]
    # Something of the first was taken back after it was paid earlier: less leaves now, though the rewards are the same.
    LedgerEntry.objects.create(
        key="back", merchant=side.merchant, is_test=True, participant=first.participant, side=first.side,
        kind="reverse", amount_minor=-500, currency="USD",
    )  # fmt: skip
    late = issue(api, first, second, method=method, amounts=shown)
    assert (late.status, late.data["code"], late.data["field"]) == (409, "selection_changed", "amounts")
    assert late.data["now"] == [{"amount_minor": 3000, "currency": "USD"}]
    assert (PayoutBatch.objects.count(), Payout.objects.count()) == (0, 0)
    assert set(Reward.objects.filter(pk__in=[first.pk, second.pk]).values_list("state", flat=True)) == {"due"}
    # The same key may be used again, because nothing was made with it.
    now = [*late.data["now"], {"amount_minor": 0, "currency": "EUR"}]
    made = issue(api, first, second, method=method, amounts=now)
    assert (made.status, made.data["amounts"]) == (201, late.data["now"])
    assert issue(api, first, second, method=method, amounts=now).data == made.data


@pytest.mark.parametrize(
    ("amounts", "status", "code", "field"),
    [
        ([{"amount_minor": -1, "currency": "USD"}], 422, "amount_not_positive", "amounts[0].amount_minor"),
        ([{"amount_minor": 1.5, "currency": "USD"}], 422, "amount_format", "amounts[0].amount_minor"),
        ([{"amount_minor": 1, "currency": "USX"}], 422, "currency", "amounts[0].currency"),
        ([{"amount_minor": 1, "currency": "USD"}] * 2, 422, "currency", "amounts[1].currency"),
        ([{"amount_minor": 1}], 400, "missing_field", "amounts[0].currency"),
        ({"USD": 1500}, 400, "invalid_type", "amounts"),
    ],
)
def test_amounts_that_are_none_are_named(
    api: Caller, con: str, side: Tenant, amounts: Any, status: int, code: str, field: str
) -> None:
    reply = issue(api, owed(side), amounts=amounts)
    assert (reply.status, reply.data["code"], reply.data["field"]) == (status, code, field)
    assert PayoutBatch.objects.count() == 0


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({"method": "pigeon"}, 422, "method_unknown"),
        ({"connection": "con_nothing"}, 422, "method_unknown"),
        ({"options": {"colour": "red"}}, 422, "option"),
        ({"options": {"delivery": "PIGEON"}}, 422, "option"),
        ({"options": {"message": 7}}, 400, "invalid_type"),
        ({"leave_unsuitable": "yes"}, 400, "invalid_type"),
    ],
)
def test_what_can_not_be_is_refused_and_nothing_is_made(
    api: Caller, con: str, side: Tenant, more: dict[str, Any], status: int, code: str
) -> None:
    reply = issue(api, owed(side), **more)

    assert (reply.status, reply.data["code"]) == (status, code)
    assert PayoutBatch.objects.count() == 0


def test_two_connections_have_to_be_told_apart(api: Caller, con: str, side: Tenant) -> None:
    second = connect(tenant=side, actor=ACTOR, provider="tremendous", label="Second")
    trying.make_up_secrets(connection=second, actor=ACTOR)

    which = issue(api, owed(side))
    named = issue(api, owed(side, name="ben"), connection=second.public_id, key="run-2")

    assert (which.data["code"], which.data["field"]) == ("method_unknown", "connection")
    assert named.data["payouts"][0]["connection"] == second.public_id


@pytest.mark.parametrize(("paid", "status", "state"), [(True, "paid", "issued"), (False, "failed", "due")])
def test_what_nobody_knows_is_decided_once(
    api: Caller, con: str, side: Tenant, paid: bool, status: str, state: str
) -> None:
    reward = owed(side, minor_of("other_amount"))
    payout = issue(api, reward).data["payouts"][0]["id"]
    url = f"/api/v2/payouts/{payout}/resolve"
    early = api.post(url, {"paid": paid, "note": "I called"})
    sweep()
    asked = api.get("/api/v2/payouts?status=needs_attention").data["data"]
    wordless = api.post(url, {"paid": paid, "note": " "})
    done = api.post(url, {"paid": paid, "note": "I called"})
    twice = api.post(url, {"paid": not paid, "note": "No"})
    reward.refresh_from_db()

    assert (early.status, early.data["code"]) == (409, "invalid_state")
    assert [row["id"] for row in asked] == [payout]
    assert wordless.status == 422
    assert (done.status, done.data["status"], reward.state) == (200, status, state)
    assert (twice.status, twice.data["code"], twice.data["state"]) == (409, "invalid_state", status)
    assert list(differences()) == []


def test_what_failed_is_tried_again_and_what_waits_is_withdrawn(api: Caller, con: str, side: Tenant) -> None:
    reward, other = owed(side, minor_of("declined")), owed(side, name="ben")
    failed = issue(api, reward).data["payouts"][0]["id"]
    none = api.post(f"/api/v2/payouts/{failed}/retry")
    sweep()
    again = api.post(f"/api/v2/payouts/{failed}/retry", {"note": "Another address"})
    queued = issue(api, other, key="run-2").data["payouts"][0]["id"]
    back = api.post(f"/api/v2/payouts/{queued}/withdraw")
    twice = api.post(f"/api/v2/payouts/{queued}/withdraw")
    reward.refresh_from_db()
    other.refresh_from_db()

    assert (none.status, again.status, again.data["reason"]) == (409, 200, "provider_rejected")
    assert (back.status, back.data["status"]) == (200, "undone")
    assert (twice.status, twice.data["code"]) == (409, "invalid_state")
    assert (reward.state, other.state) == ("due", "due")
