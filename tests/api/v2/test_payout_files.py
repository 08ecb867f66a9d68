"""Paying with a file through the API: freezing, downloading, and bringing back what became of each line (issue 6, part 4)."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from typing import Any

import pytest

from participants.models import Participant
from referrals.accounts.keys import create_api_key
from referrals.events.models import Event
from referrals.events.services import SYSTEM
from referrals.lib import clock
from rewards import payout_guards
from rewards.files import returned
from rewards.files.reading import MOST_BYTES
from rewards.models import LedgerEntry, Payout, PayoutBatch, PayoutReturn, Reward
from rewards.verify import differences
from tests.api.conftest import EVERY_SCOPE, Caller, Reply
from tests.factories import ACTOR, Cast, fixed_rule, make_campaign, make_reward

pytestmark = pytest.mark.django_db
NOTHING = {"paid": 0, "sent": 0, "failed": 0, "unchanged": 0, "open": 0, "wrong": 0}


def caller(cast: Cast, *scopes: str) -> Caller:
    return Caller(create_api_key(tenant=cast.tenant, name="Server", scopes=scopes or EVERY_SCOPE, actor=SYSTEM)[1])


@pytest.fixture
def api(alice: Cast) -> Caller:
    return caller(alice)


@pytest.fixture
def due(alice: Cast) -> list[Reward]:
    """Three people with 15 dollars each."""
    campaign = make_campaign(alice.tenant, [fixed_rule(1500, kind="cash")])
    return [make_reward(campaign, f"{name}@example.com", f"of-{name}@example.net") for name in ("asha", "bela", "cleo")]


def freeze(api: Caller, due: list[Reward], method: str = "paypal_file") -> str:
    """A batch, by its id."""
    body = {"rewards": [row.public_id for row in due], "method": method}
    reply = api.post("/api/v2/payouts", body, Idempotency_Key="run-1")
    assert (reply.status, reply.data["counts"]) == (201, {"sending": len(due)})
    return str(reply.data["id"])


def bring(api: Caller, batch: str, *lines: str, head: str = "payout_id,status,reference", **headers: str) -> Reply:
    """Upload a file with these lines."""
    raw = "\r\n".join([head, *lines]).encode()
    headers.setdefault("Content_Type", "text/csv")
    return api.send("POST", f"/api/v2/payout-batches/{batch}/returns?name=mine.csv", raw=raw, **headers)


def counts(**some: int) -> dict[str, int]:
    return {**NOTHING, **some}


def everything() -> list[Any]:
    return [
        list(Payout.objects.order_by("pk").values()),
        list(Reward.objects.order_by("pk").values()),
        list(LedgerEntry.objects.order_by("pk").values()),
    ]


def test_the_frozen_file_is_the_same_each_time(api: Caller, due: list[Reward]) -> None:
    batch = freeze(api, due)
    (file,) = api.get(f"/api/v2/payout-batches/{batch}/files").data["data"]
    assert (file["lines"], file["amount"]) == (3, {"amount_minor": 4500, "currency": "USD"})
    first = api.get(f"/api/v2/payout-files/{file['id']}")
    Participant.objects.filter(email="asha@example.com").update(email="other@example.com", first_name="Zoe")
    again = api.get(f"/api/v2/payout-files/{file['id']}")
    assert (first.status, again.data) == (200, first.data)
    one, *_rest = Payout.objects.order_by("pk")
    assert first.data.splitlines()[0] == (
        f"asha@example.com,15.00,USD,{one.public_id},Halden Coffee: Spring refer-a-friend,PAYPAL,"
    )
    body = first.data.encode()
    assert (len(body), hashlib.sha256(body).hexdigest()) == (file["size"], file["sha256"])
    digest = base64.b64encode(bytes.fromhex(file["sha256"])).decode()
    assert {name: first.headers[name] for name in ("Content-Type", "Content-Disposition", "Repr-Digest")} == {
        "Content-Type": "text/csv; charset=utf-8",
        "Content-Disposition": f'attachment; filename="{file["name"]}"',
        "Repr-Digest": f"sha-256=:{digest}:",
    }
    taken = Event.objects.filter(type="export.made").order_by("pk")
    assert [(row.subject_id, row.actor_kind, row.data["what"]) for row in taken] == [
        (file["id"], "api_key", "payout_file")
    ] * 2  # fmt: skip


def test_a_table_for_people_keeps_its_mark_of_utf_8(api: Caller, due: list[Reward]) -> None:
    (file,) = api.get(f"/api/v2/payout-batches/{freeze(api, due, 'csv_file')}/files").data["data"]
    body = api.get(f"/api/v2/payout-files/{file['id']}").data.encode()
    assert (body[:3], hashlib.sha256(body).hexdigest()) == (b"\xef\xbb\xbf", file["sha256"])


def test_lines_are_marked_one_by_one_and_the_same_file_changes_nothing(api: Caller, due: list[Reward]) -> None:
    batch = freeze(api, due)
    one, two, three = Payout.objects.order_by("pk")
    lines = (
        f"{one.public_id},paid,T1",
        f"{two.public_id},perhaps,T2",
        "po_none,paid,T3",
        "who@example.com,paid,T4",
        f"{three.public_id},RETURNED,T5",
    )
    reply = bring(api, batch, *lines)
    assert (reply.status, reply.headers["Location"]) == (201, f"/api/v2/payout-returns/{reply.data['id']}")
    assert reply.data["counts"] == counts(paid=1, failed=1, wrong=3)
    assert (reply.data["batch"], reply.data["name"], reply.data["status"], reply.data["lines"]) == (
        batch, "mine.csv", "done", 5,
    )  # fmt: skip
    assert reply.data["wrong_lines"] == [
        {
            "line": 3,
            "payout": two.public_id,
            "reason": "The status 'perhaps' is none that we know. Write paid, failed or not_paid.",
        },
        {"line": 4, "payout": "po_none", "reason": "No payout of this batch is called that."},
        {"line": 5, "payout": None, "reason": "No payout of this batch is called that."},
    ]
    assert api.get(reply.headers["Location"]).data == reply.data
    rows = Payout.objects.order_by("pk").values_list("status", "reference", "reason")
    assert list(rows) == [("paid", "T1", ""), ("sending", "", ""), ("failed", "T5", "waiting_for_recipient")]
    before = everything()
    again = bring(api, batch, *lines)
    assert (again.status, again.data["counts"], everything()) == (201, counts(unchanged=2, wrong=3), before)
    listed = api.get(f"/api/v2/payout-batches/{batch}/returns").data["data"]
    assert [row["id"] for row in listed] == [again.data["id"], reply.data["id"]]
    assert list(differences()) == []


def test_a_repeated_request_is_answered_as_the_first_was(api: Caller, due: list[Reward]) -> None:
    batch = freeze(api, due)
    one = Payout.objects.order_by("pk")[0]
    line = f"{one.public_id},paid,T1"
    first = bring(api, batch, line, Idempotency_Key="file-1")
    again = bring(api, batch, line, Idempotency_Key="file-1")
    assert (again.data, again.headers["Idempotency-Replayed"], PayoutReturn.objects.count()) == (first.data, "true", 1)
    other = bring(api, batch, f"{one.public_id},failed,T1", Idempotency_Key="file-1")
    assert (other.status, other.data["code"], PayoutReturn.objects.count()) == (422, "idempotency_key_reused", 1)


def test_many_lines_are_marked_by_a_worker(api: Caller, due: list[Reward], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(returned, "AT_ONCE", 2)
    batch = freeze(api, due)
    reply = bring(api, batch, *(f"{row.public_id},paid,T" for row in Payout.objects.order_by("pk")))
    assert (reply.status, reply.data["status"], reply.data["counts"]) == (202, "working", NOTHING)
    assert returned.work_all() == 1
    found = api.get(reply.headers["Location"]).data
    assert (found["status"], found["counts"]) == ("done", counts(paid=3))


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b"", 422, "file_empty"),
        (b"payout_id,status\r\n", 422, "file_empty"),
        (b"name,amount\r\nAsha,15\r\n", 422, "file_columns"),
        (b"PK\x03\x04xlsx", 422, "file_unreadable"),
        (b"payout_id,status\r\n" + b"x" * MOST_BYTES, 422, "file_too_large"),
        (b"payout_id,status\r\n" + b"po_1,paid\r\n" * 20_001, 422, "too_many_rows"),
    ],
    ids=["empty", "head only", "no columns", "no csv", "too large", "too long"],
)
def test_every_wrong_kind_of_file_is_refused_whole(
    api: Caller, due: list[Reward], raw: bytes, status: int, code: str
) -> None:
    path = f"/api/v2/payout-batches/{freeze(api, due)}/returns"
    before = everything()
    reply = api.send("POST", path, raw=raw, Content_Type="text/csv")
    assert (reply.status, reply.data["code"], reply.data["field"]) == (status, code, "file")
    assert (everything(), PayoutReturn.objects.count()) == (before, 0)


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Content_Type": "application/json"}, 415, "unsupported_media_type"),
        ({"Content_Type": "multipart/form-data; boundary=x"}, 415, "unsupported_media_type"),
        ({"Content_Encoding": "gzip"}, 415, "unsupported_encoding"),
    ],
)
def test_the_body_is_the_file_itself(
    api: Caller, due: list[Reward], headers: dict[str, str], status: int, code: str
) -> None:
    reply = bring(api, freeze(api, due), "po_1,paid,T", **headers)
    assert (reply.status, reply.data["code"], PayoutReturn.objects.count()) == (status, code, 0)


def test_a_batch_above_the_limit_waits_for_its_second_person(alice: Cast, api: Caller, due: list[Reward]) -> None:
    limits = {"second_person_above_minor": 4000}
    payout_guards.set_limits(tenant=alice.tenant, actor=ACTOR, currency="USD", limits=limits)
    batch = freeze(api, due)
    (file,) = api.get(f"/api/v2/payout-batches/{batch}/files").data["data"]
    before = everything()
    line = f"{Payout.objects.order_by('pk')[0].public_id},paid,T"
    settle = api.post(f"/api/v2/payout-batches/{batch}/settle", {"outcome": "paid"}, Idempotency_Key="k1")
    for reply in (api.get(f"/api/v2/payout-files/{file['id']}"), bring(api, batch, line), settle):
        assert (reply.status, reply.data["code"]) == (409, "batch_waits")
    assert everything() == before


def test_what_is_left_is_settled_in_one_word(api: Caller, due: list[Reward]) -> None:
    batch = freeze(api, due)
    bring(api, batch, f"{Payout.objects.order_by('pk')[0].public_id},paid,T1")
    path, body = f"/api/v2/payout-batches/{batch}/settle", {"outcome": "withdrawn", "note": "The bank was closed"}
    assert api.post(path, body).data["code"] == "idempotency_key_missing"
    reply = api.post(path, body, Idempotency_Key="rest-1")
    assert (reply.status, reply.data["kind"], reply.data["note"]) == (201, "withdrawn", "The bank was closed")
    assert reply.data["counts"] == counts(failed=2, unchanged=1)
    assert list(Reward.objects.filter(participant__email__endswith="@example.com").order_by("pk").values_list(
        "state", flat=True)) == ["issued", "due", "due"]  # fmt: skip
    again = api.post(path, body, Idempotency_Key="rest-2")
    assert (again.status, again.data["code"]) == (409, "invalid_state")
    wrong = api.post(path, {"outcome": "lost"}, Idempotency_Key="rest-3")
    assert (wrong.status, wrong.data["code"], wrong.data["field"]) == (422, "invalid_choice", "outcome")


def test_another_batch_has_no_files_and_takes_none(api: Caller, due: list[Reward]) -> None:
    body = {"rewards": [due[0].public_id], "method": "manual"}
    batch = api.post("/api/v2/payouts", body, Idempotency_Key="run-1").data["id"]
    assert api.get(f"/api/v2/payout-batches/{batch}/files").data == {"data": []}
    reply = bring(api, batch, "po_1,paid,T")
    assert (reply.status, reply.data["code"]) == (409, "invalid_state")


def test_reading_does_not_show_where_people_are_paid(alice: Cast, api: Caller, due: list[Reward]) -> None:
    batch, reader = freeze(api, due), caller(alice, "read")
    (file,) = reader.get(f"/api/v2/payout-batches/{batch}/files").data["data"]
    for reply in (reader.get(f"/api/v2/payout-files/{file['id']}"), bring(reader, batch, "po_1,paid,T")):
        assert (reply.status, reply.data["code"]) == (403, "missing_scope")
    assert not Event.objects.filter(type="export.made").exists()


def test_another_merchant_s_batch_is_not_there(charlie: Cast, api: Caller, due: list[Reward]) -> None:
    batch = freeze(api, due)
    file = PayoutBatch.objects.get().files.get().public_id
    line = f"{Payout.objects.order_by('pk')[0].public_id},paid,T"
    before, other = everything(), caller(charlie)
    replies = [bring(other, batch, line), other.get(f"/api/v2/payout-files/{file}")]
    assert [(one.status, one.data["code"]) for one in replies] == [
        (404, "payout_batch_not_found"),
        (404, "payout_file_not_found"),
    ]
    assert everything() == before


def test_a_file_above_a_day_s_limit_says_until_when(alice: Cast, api: Caller, due: list[Reward]) -> None:
    limits = {"a_day_minor": 3500}
    payout_guards.set_limits(tenant=alice.tenant, actor=ACTOR, currency="USD", limits=limits)
    body = {"rewards": [row.public_id for row in due], "method": "csv_file"}
    before = everything()
    reply = api.post("/api/v2/payouts", body, Idempotency_Key="run-1")
    assert (reply.status, reply.data["code"], everything()) == (409, "limit_reached", before)
    assert datetime.fromisoformat(reply.data["until"]) > clock.wall()
    found = api.post("/api/v2/payouts/preview", body).data
    assert (found["payable"], found["refused"]) == (2, [{"reward": due[2].public_id, "reason": "limit_reached"}])
    made = api.post("/api/v2/payouts", {**body, "leave_unsuitable": True}, Idempotency_Key="run-2")
    assert (made.status, made.data["counts"]) == (201, {"sending": 2})
