"""Exports through the API: ordered, made by the worker, fetched by a signed address, and nobody else's."""

from __future__ import annotations

import pytest
from django.test import Client

from referrals.web import list_exports
from rewards.models import Transfer
from tests.api.conftest import Shop
from tests.factories import make_participant

pytestmark = pytest.mark.django_db


def test_a_list_is_ordered_made_and_fetched(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    make_participant(shop.campaign("Spring"), "new1@example.com")
    asked = shop.api.post("/api/v2/exports", {"list": "participants", "filter": {"q": "new1@", "banned": "no"}})
    assert (asked.status, asked.data["status"], asked.data["url"]) == (202, "queued", None)
    assert asked.data["filter"] == {"q": "new1@", "banned": "no"}
    list_exports.sweep()
    found = shop.api.get(f"/api/v2/exports/{asked.data['id']}").data
    assert (found["status"], found["rows"], found["error"]) == ("done", 1, None)
    assert shop.api.get("/api/v2/exports").data["data"][0]["id"] == found["id"]
    public = Client()
    file = public.get(found["url"])
    assert (file.status_code, file["Content-Type"], file["Cache-Control"]) == (
        200,
        "text/csv; charset=utf-8",
        "private, no-store",
    )
    assert b"new1@example.com" in b"".join(file.streaming_content)  # type: ignore[attr-defined]  # a FileResponse
    for wrong in (
        found["url"][:-1],
        found["url"].partition("?")[0],
        found["url"].replace(found["id"], "xp_" + "A" * 22),
    ):
        assert public.get(wrong).status_code == 404
    monkeypatch.setattr("referrals.api.v2.exports.SECONDS", -1)
    assert public.get(found["url"]).status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"list": "secrets"}, 422, "invalid_choice"),
        ({"list": "payouts", "filter": {"q": "x"}}, 400, "unknown_filter"),
        ({"list": "payouts", "filter": {"campaign": 7}}, 400, "unknown_filter"),
        ({"list": "payouts", "filter": []}, 400, "invalid_type"),
    ],
)
def test_what_can_t_be_ordered_says_so(shop: Shop, body: dict[str, object], status: int, code: str) -> None:
    reply = shop.api.post("/api/v2/exports", body)
    assert (reply.status, reply.data["code"], Transfer.objects.count()) == (status, code, 0)


def test_a_filter_that_names_nothing_fails_and_others_exports_do_not_exist(shop: Shop) -> None:
    asked = shop.api.post("/api/v2/exports", {"list": "referrals", "filter": {"campaign": "nothing"}}).data["id"]
    list_exports.sweep()
    found = shop.api.get(f"/api/v2/exports/{asked}").data
    assert (found["status"], found["error"], found["url"]) == ("failed", "No such campaign.", None)
    Transfer.objects.update(kind="account")
    assert shop.api.get(f"/api/v2/exports/{asked}").status == 404
