"""The browser script and its calls: who may call, what is counted and kept, and that nothing is told (API.md, "Browser script")."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from campaigns.models import Campaign, Status
from participants.models import Participant, Referral, Visit
from referrals.accounts.models import RateLimit
from referrals.events.models import Event
from referrals.hosted import hosts, script_calls
from tests.factories import Cast, make_campaign
from tests.hosted.conftest import CHROME

SHOP = "https://shop.example.com"
MAYA = {"email": "maya@example.net", "firstName": "Maya", "lastName": "Rao"}


@pytest.fixture
def shop(double: Campaign) -> Campaign:
    """The campaign, whose script may be on the shop's pages."""
    Campaign.objects.filter(pk=double.pk).update(script_origins=[SHOP], allowed_hosts=["pay.example.com"])
    double.refresh_from_db()
    return double


def send(client: Client, campaign: Campaign, name: str, body: Any = None, **headers: str) -> Any:
    """One call as the script makes it."""
    address = f"/js/{campaign.public_id}/{name}"
    all_headers = {"origin": SHOP, "user-agent": CHROME, "sec-fetch-mode": "cors", "sec-fetch-dest": "empty", **headers}
    if body is None:
        return client.get(address, headers=all_headers)
    data = body if isinstance(body, bytes) else json.dumps(body)
    return client.post(address, data, content_type="text/plain;charset=UTF-8", headers=all_headers)


@pytest.mark.parametrize(("name", "most"), [("referral.js", 4096), ("widgets.js", 5120), ("shopify.js", 1024)])
def test_the_script_is_small_and_kept_by_browsers(client: Client, name: str, most: int) -> None:
    plain = client.get(f"/js/{name}")
    small = client.get(f"/js/{name}", headers={"accept-encoding": "br, gzip"})
    assert gzip.decompress(small.content) == plain.content
    assert len(small.content) <= most
    assert plain.content.isascii()
    assert (small["Content-Type"], small["Content-Encoding"], small["Vary"]) == (
        "text/javascript; charset=utf-8", "gzip", "Accept-Encoding, Accept-Language",
    )  # fmt: skip
    assert small["Cache-Control"].startswith("public, max-age=300,")
    assert (small["Cross-Origin-Resource-Policy"], small.cookies) == ("cross-origin", {})
    assert plain["ETag"] != small["ETag"]
    again = client.get(f"/js/{name}", headers={"accept-encoding": "gzip", "if-none-match": small["ETag"]})
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", small["ETag"])
    refusing = client.get(f"/js/{name}", headers={"accept-encoding": "gzip;q=0"})
    assert refusing.content == plain.content
    assert client.post(f"/js/{name}").status_code == 405


def test_a_page_on_the_list_may_read_and_no_other(client: Client, shop: Campaign, asha: Participant) -> None:
    answer = send(client, shop, "campaign")
    data = answer.json()
    assert (answer.status_code, data["campaignId"], data["status"], data["hosts"]) == (
        200, shop.public_id, "Active", ["pay.example.com"],
    )  # fmt: skip
    assert (answer["Access-Control-Allow-Origin"], answer["Vary"], answer["Cache-Control"]) == (
        SHOP, "Origin, Accept-Language", "public, max-age=60",
    )  # fmt: skip
    assert "Access-Control-Allow-Credentials" not in answer
    for origin in (
        "https://evil.example",
        "null",
        f"{SHOP}:8443",
        f"{SHOP}.evil.example",
        "http://shop.example.com",
        "",
    ):
        for name, body in (("campaign", None), ("visit", {"code": asha.referral_code}), ("participants", MAYA)):
            refused = send(client, shop, name, body, origin=origin)
            assert (refused.status_code, refused.json()["error"]) == (403, "origin_not_allowed")
            assert origin in refused.json()["message"]
            assert ("Access-Control-Allow-Origin" in refused, "Origin" in refused["Vary"]) == (False, True)
    assert (Visit.objects.count(), Participant.objects.count()) == (0, 1)


def test_preflights_are_answered(client: Client, shop: Campaign) -> None:
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    answer = client.options(f"/js/{shop.public_id}/visit", headers={"origin": SHOP, **asked})
    assert (answer.status_code, answer.content) == (204, b"")
    assert (answer["Access-Control-Allow-Methods"], answer["Access-Control-Allow-Headers"]) == ("POST", "Content-Type")
    strange = client.options(f"/js/{shop.public_id}/visit", headers={"origin": "https://evil.example", **asked})
    assert (strange.status_code, "Access-Control-Allow-Origin" in strange) == (403, False)
    wrong = send(client, shop, "visit")
    assert (wrong.status_code, wrong["Allow"], wrong.json()["error"]) == (405, "POST, OPTIONS", "method_not_allowed")


def test_unknown_campaigns_and_drafts_are_alike(client: Client, shop: Campaign) -> None:
    Campaign.objects.filter(pk=shop.pk).update(status=Status.DRAFT)
    draft = send(client, shop, "campaign")
    assert (draft.status_code, draft.json()["error"]) == (404, "campaign_not_found")
    nobody = client.get("/js/AAAAAAAAAA/campaign", headers={"origin": SHOP})
    assert nobody.json()["error"] == "campaign_not_found"


def test_a_visit_is_counted_once_and_leads_to_the_referral(client: Client, shop: Campaign, asha: Participant) -> None:
    about = {
        "code": asha.referral_code,
        "query": f"?referralCode={asha.referral_code}&utm_source=mail",
        "referrer": "https://blog.example.org/post",
    }
    answer = send(client, shop, "visit", about)
    data, visit = answer.json(), Visit.objects.get()
    assert (data["code"], data["keep"], data["consent"]) == (asha.referral_code, 60 * 86_400, "always")
    assert data["visitor"].startswith(f"{visit.visitor}-{asha.referral_code}-")
    assert (visit.hidden_reason, visit.channel, visit.referer, visit.utm) == (
        "", "mail", "blog.example.org", {"source": "mail"},
    )  # fmt: skip
    assert answer.cookies == {}
    # A reload, with what the page keeps and without.
    send(client, shop, "visit", {**about, "visitor": data["visitor"]})
    send(client, shop, "visit", about)
    # From one of the shop's pages to another.
    Visit.objects.update(occurred_at=timezone.now() - timedelta(hours=2))
    send(client, shop, "visit", {**about, "referrer": f"{SHOP}/a"})
    assert Visit.objects.count() == 1
    joined = send(client, shop, "participants", {**MAYA, "code": "", "visitor": data["visitor"]})
    friend = Participant.objects.get(email="maya@example.net")
    assert joined.json() == {
        "joined": True,
        "referralCode": friend.referral_code,
        "shareLink": f"http://localhost:8000/campaign?id={shop.public_id}&referralCode={friend.referral_code}",
    }
    referral = Referral.objects.get()
    assert (referral.referrer, referral.invitee, referral.visit) == (asha, friend, visit)
    assert (friend.source, friend.first_name, friend.last_name) == ("script", "Maya", "Rao")


def test_the_click_on_a_link_and_the_page_that_it_leads_to_are_one_visit(
    person: Client, client: Client, shop: Campaign, asha: Participant
) -> None:
    Campaign.objects.filter(pk=shop.pk).update(landing_mode="redirect", landing_url=f"{SHOP}/welcome")
    person.get(f"/r/{asha.referral_code}")
    data = send(client, shop, "visit", {"code": asha.referral_code}).json()
    visit = Visit.objects.get()
    assert (data["visitor"][:22], data["hosts"]) == (visit.visitor, ["shop.example.com", "pay.example.com"])


@pytest.mark.parametrize(
    ("headers", "consent", "reason", "kept"),
    [
        ({"user-agent": "Googlebot/2.1 (+http://www.google.com/bot.html)"}, "always", "bot", False),
        ({"sec-purpose": "prefetch;prerender"}, "always", "prefetch", False),
        ({"sec-gpc": "1"}, "always", "", False),
        ({"dnt": "1"}, "ask", "", False),
        ({}, "never", "", False),
        ({}, "ask", "", True),
    ],
)
def test_machines_and_wishes_not_to_be_followed(
    client: Client, shop: Campaign, asha: Participant, headers: dict[str, str], consent: str, reason: str, kept: bool
) -> None:
    Campaign.objects.filter(pk=shop.pk).update(consent=consent)
    data = send(client, shop, "visit", {"code": asha.referral_code}, **headers).json()
    assert Visit.objects.get().hidden_reason == reason
    assert (data["visitor"] != "", data["keep"] > 0, data["code"], data["consent"]) == (
        kept, kept, asha.referral_code, consent,
    )  # fmt: skip


def test_joining_tells_nothing_about_who_is_there(client: Client, shop: Campaign, asha: Participant) -> None:
    body = {**MAYA, "code": asha.referral_code}
    new, known = send(client, shop, "participants", body), send(client, shop, "participants", body)
    assert (new.status_code, new.content) == (known.status_code, known.content)
    assert new["Access-Control-Allow-Origin"] == SHOP
    assert Referral.objects.get().referrer == asha
    # One's own code, a code of nobody and one of another kind say nothing either.
    for code in (asha.referral_code, "nobody12", "<script>"):
        answer = send(client, shop, "participants", {"email": "asha@example.com", "code": code})
        assert answer.json()["referralCode"] == asha.referral_code
    assert Participant.objects.count() == 2
    assert Referral.objects.count() == 1


def test_a_forged_cookie_and_another_campaigns_code_bind_nobody(
    alice: Cast, client: Client, shop: Campaign, asha: Participant
) -> None:
    other = make_campaign(alice.tenant, script_origins=[SHOP])
    data = send(client, shop, "visit", {"code": asha.referral_code}).json()
    assert send(client, other, "visit", {"code": asha.referral_code}).status_code == 404
    forged = data["visitor"][:-1] + ("A" if data["visitor"][-1] != "A" else "B")
    send(client, shop, "participants", {**MAYA, "visitor": forged})
    send(client, other, "participants", {**MAYA, "visitor": data["visitor"], "code": asha.referral_code})
    assert Referral.objects.count() == 0


def test_a_code_is_valid_or_not(client: Client, shop: Campaign, asha: Participant) -> None:
    assert send(client, shop, f"code?code={asha.referral_code}").json() == {"valid": True, "referrer": "Asha V."}
    for code in ("nobody12", "", "x" * 5000, "%E2%98%83"):
        assert send(client, shop, f"code?code={code}").json() == {"valid": False, "referrer": ""}


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b"{", 400, "invalid_json"),
        (b"\xff", 400, "invalid_json"),
        (b'{"email": "\\ud800@example.net"}', 400, "invalid_json"),
        (b"[" * 10_000, 400, "invalid_json"),
        ([], 400, "invalid_body"),
        (b" " * 20_000, 413, "body_too_large"),
        ({}, 400, "missing_field"),
        ({"email": 1}, 400, "invalid_type"),
        ({"email": "maya"}, 422, "email_invalid"),
        ({"email": "maya@example.net", "firstName": "x" * 81}, 422, "too_long"),
    ],
)
def test_bodies_that_are_wrong_are_named(client: Client, shop: Campaign, body: Any, status: int, error: str) -> None:
    before = Event.objects.count()
    answer = send(client, shop, "participants", body)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer["Access-Control-Allow-Origin"] == SHOP
    assert (Participant.objects.count(), Event.objects.count()) == (0, before)


def test_a_paused_campaign_takes_nobody(client: Client, shop: Campaign) -> None:
    Campaign.objects.filter(pk=shop.pk).update(status=Status.PAUSED)
    assert send(client, shop, "campaign").json()["status"] == "Pause"
    answer = send(client, shop, "participants", MAYA)
    assert (answer.status_code, answer.json()["error"], Participant.objects.count()) == (422, "campaign_paused", 0)


def test_calls_of_one_visitor_are_limited(
    client: Client, shop: Campaign, asha: Participant, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(10):
        spoofed = {"x-forwarded-for": f"203.0.113.{number}"}
        assert send(client, shop, "participants", MAYA, **spoofed).status_code == 200
    answer = send(client, shop, "participants", {"email": "new@example.net"})
    assert (answer.status_code, answer.json()["error"]) == (429, "rate_limited")
    assert 0 < int(answer["Retry-After"]) <= 60
    assert not Participant.objects.filter(email="new@example.net").exists()
    RateLimit.objects.all().delete()
    monkeypatch.setattr(script_calls, "MOST_CALLS", 2)
    statuses = [send(client, shop, "visit", {"code": asha.referral_code}).status_code for _ in range(3)]
    assert (statuses, Visit.objects.count()) == ([200, 200, 429], 1)


def test_it_works_under_the_campaigns_own_host_and_no_other(alice: Cast, client: Client, shop: Campaign) -> None:
    hosts.forget()
    other = make_campaign(alice.tenant, script_origins=[SHOP])
    Campaign.objects.filter(pk=shop.pk).update(host="go.halden.example", host_verified_at=timezone.now())
    own = {"host": "go.halden.example"}
    assert client.get("/js/referral.js", headers=own).status_code == 200
    assert send(client, shop, "campaign", **own).json()["hostURL"].startswith("http://go.halden.example/campaign?id=")
    assert send(client, other, "campaign", **own).status_code == 404
    hosts.forget()
