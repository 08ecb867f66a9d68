"""The merchant's pages of applications: lists, one with its answers, deciding on one and on many."""

from __future__ import annotations

import re
from typing import Any

import pytest

from campaigns.models import Campaign
from participants.models import Application, Participant
from tests.factories import Cast, make_campaign, percent_rule

HOSTILE = '"><script>window.__xss=1</script>'
HTMX = {"HX-Request": "true"}


@pytest.fixture
def partners(alice: Cast) -> Campaign:
    """Alice's running affiliate campaign."""
    return make_campaign(alice.tenant, [percent_rule("20")], preset_key="affiliate_12_months", name="Partners")


def wish(campaign: Campaign, name: str, status: str = "waiting", **fields: Any) -> Application:
    email = f"{name.lower()}@example.net"
    answers = [
        {"key": "abcdef", "label": f"Why? {HOSTILE}", "kind": "long", "value": f"Because {HOSTILE}"},
        {"key": "ghijkl", "label": "Where?", "kind": "url", "value": "https://blog.example.com/x"},
    ]
    return Application.objects.create(
        merchant=campaign.merchant, campaign=campaign, email=email, email_key=email, first_name=name, status=status,
        answers=answers, confirmed_at=campaign.launched_at, **fields,
    )  # fmt: skip


def names(answer: Any) -> list[str]:
    return re.findall(r"data-open><b><bdi>([^<]+)</bdi>", answer.content.decode())


def test_lists_by_state_and_campaign(alice: Cast, charlie: Cast, partners: Campaign) -> None:
    other = make_campaign(alice.tenant, [percent_rule()], preset_key="affiliate_12_months", name="More")
    wish(partners, "Maya")
    wish(other, "Ines")
    wish(partners, "Nobody", "unconfirmed")
    wish(partners, "Lena", "declined", reason=HOSTILE)
    page = alice.client.get("/app/applications/")
    html = page.content.decode()
    assert names(page) == ["Ines", "Maya"]
    assert re.findall(r'class="count">(\d+)<', html) == ["2", "0", "1"]
    assert "<script>window" not in html
    assert names(alice.client.get(f"/app/applications/?campaign={partners.public_id}")) == ["Maya"]
    assert names(alice.client.get("/app/applications/?status=declined")) == ["Lena"]
    assert alice.client.get("/app/applications/?status=unconfirmed").status_code == 400
    assert alice.client.get("/app/applications/?after=xx").status_code == 400
    assert charlie.client.get(f"/app/applications/?campaign={partners.public_id}").status_code == 404
    assert "Nobody waits" in charlie.client.get("/app/applications/").content.decode()
    assert "2 applications wait" in alice.client.get("/app/").content.decode()


def test_ticked_ones_are_decided_together(alice: Cast, partners: Campaign) -> None:
    rows = [wish(partners, name) for name in ("Maya", "Ines", "Lena")]
    data = {"application": [rows[0].public_id, rows[1].public_id], "decision": "approve", "reason": "Welcome"}
    answer = alice.client.post("/app/applications/", data, headers=HTMX)
    html = answer.content.decode()
    assert (answer.status_code, names(answer)) == (200, ["Lena"])
    assert '<div class="toast toast--success" role="status"><span>2 applications approved</span>' in html
    assert '<div id="live" hx-swap-oob="innerHTML">2 applications approved</div>' in html
    assert "<html" not in html
    again = alice.client.post("/app/applications/", data, follow=True)
    assert "0 applications approved. 2 were decided by somebody else" in again.content.decode()
    assert list(Application.objects.order_by("pk").values_list("status", "reason")) == [
        ("approved", "Welcome"), ("approved", "Welcome"), ("waiting", ""),
    ]  # fmt: skip
    one = alice.client.post("/app/applications/", {"one": rows[2].public_id}, follow=True)
    assert "1 application approved" in one.content.decode()
    assert Participant.objects.count() == 3


def test_refusals_are_said_and_change_nothing(alice: Cast, charlie: Cast, bob: Cast, partners: Campaign) -> None:
    row = wish(partners, "Maya")
    none = alice.client.post("/app/applications/", {"decision": "approve"}, headers=HTMX)
    assert (none.status_code, "Tick at least one application." in none.content.decode()) == (422, True)
    assert names(none) == ["Maya"]
    long = alice.client.post(
        "/app/applications/", {"decision": "decline", "application": row.public_id, "reason": "x" * 1001}, follow=True
    )
    assert "at most 1000 fit" in long.content.decode()
    assert alice.client.post("/app/applications/", {"decision": "erase"}).status_code == 400
    theirs = {"decision": "approve", "application": row.public_id}
    assert (
        "Tick at least one application."
        in charlie.client.post("/app/applications/", theirs, follow=True).content.decode()
    )
    assert bob.client.post("/app/applications/", theirs).status_code == 403
    row.refresh_from_db()
    assert (row.status, Participant.objects.count()) == ("waiting", 0)


def test_one_application_is_read_declined_taken_back_and_approved(alice: Cast, partners: Campaign) -> None:
    row = wish(partners, "Maya")
    url = f"/app/applications/{row.public_id}/"
    html = alice.client.get(url).content.decode()
    assert "Because &quot;&gt;&lt;script&gt;" in html
    assert 'href="https://blog.example.com/x" rel="nofollow noopener noreferrer"' in html
    declined = alice.client.post(url, {"decision": "decline", "reason": "Not now"}, follow=True).content.decode()
    assert ("1 application declined" in declined, f'action="{url}reconsider/"' in declined) == (True, True)
    twice = alice.client.post(url, {"decision": "decline"})
    assert (twice.status_code, "This application is declined already." in twice.content.decode()) == (409, True)
    back = alice.client.post(f"{url}reconsider/", follow=True).content.decode()
    assert "It waits for your decision again" in back
    approved = alice.client.post(url, {"decision": "approve"}, follow=True).content.decode()
    assert f"/app/participants/{Participant.objects.get().public_id}/" in approved
    assert "Application approved" in approved
    assert alice.client.post(url, {"decision": "erase"}).status_code == 400


def test_others_applications_and_unconfirmed_ones_do_not_exist(alice: Cast, charlie: Cast, partners: Campaign) -> None:
    row, hidden = wish(partners, "Maya"), wish(partners, "Nobody", "unconfirmed")
    for client, public_id in ((charlie.client, row.public_id), (alice.client, hidden.public_id)):
        url = f"/app/applications/{public_id}/"
        answers = [client.get(url), client.post(url, {"decision": "approve"}), client.post(f"{url}reconsider/")]
        assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert Participant.objects.count() == 0
