"""A campaign's own host name: proven before it is used, its campaign's pages and nothing else, and no way in for a forged Host."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from campaigns import hosts
from campaigns.models import Campaign, Status
from integrations import hosts as looking
from participants.codes import choose_code
from participants.links import campaign_link, short_link
from participants.models import Participant, Visit
from referrals.hosted import hosts as middleware
from referrals.lib import http
from referrals.lib.errors import Refused
from tests.factories import ACTOR, Cast, make_campaign, make_participant

HOST = "go.halden.example"


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    middleware.forget()
    yield
    middleware.forget()


@pytest.fixture
def proven(double: Campaign) -> Campaign:
    """The campaign with a name that it has proven."""
    Campaign.objects.filter(pk=double.pk).update(host=HOST, host_verified_at=timezone.now())
    double.refresh_from_db()
    return double


def get(client: Client, path: str, host: str = HOST, **headers: Any) -> Any:
    return client.get(path, headers={"host": host, **headers})


def test_links_use_the_name_and_it_shows_the_campaign(proven: Campaign, asha: Participant, person: Client) -> None:
    asha.campaign = proven
    assert campaign_link(proven) == f"http://{HOST}/campaign?id={proven.public_id}"
    assert short_link(asha) == f"http://{HOST}/r/{asha.referral_code}"
    answer = get(person, f"/r/{asha.referral_code}")
    assert (answer.status_code, answer["Location"]) == (
        302, f"/campaign?id={proven.public_id}&referralCode={asha.referral_code}",
    )  # fmt: skip
    page = get(person, answer["Location"])
    html = page.content.decode()
    assert (page.status_code, Visit.objects.count()) == (200, 1)
    assert f"http://{HOST}/c/{proven.public_id}/og-" in html
    assert get(person, "/?utm_source=x")["Location"] == f"/campaign?id={proven.public_id}&utm_source=x"
    assert get(person, "/me/?campaign=x")["Location"] == "http://localhost:8000/me/?campaign=x"


def test_a_chosen_code_needs_no_name_before_it(proven: Campaign, asha: Participant, person: Client) -> None:
    named = choose_code(participant=asha, text="asha10", actor=ACTOR)
    assert short_link(named) == f"http://{HOST}/r/asha10"
    assert f"referralCode={asha.referral_code}" in get(person, "/r/asha10")["Location"]


@pytest.mark.parametrize(
    "path",
    [
        "/app/", "/account/login/", "/operators/", "/api/v2/campaigns", "/docs/", "/readyz", "/in/x/", "/hosts/certificate",
        "/campaign/x/y",
        "/r", "/nothing",
    ],
)  # fmt: skip
def test_nothing_else_exists_under_it(proven: Campaign, person: Client, path: str) -> None:
    answer = get(person, path)
    assert (answer.status_code, answer.content) == (404, b"There is no such page under this name.\n")


def test_other_campaigns_dont_exist_under_it(alice: Cast, proven: Campaign, person: Client) -> None:
    other = make_campaign(alice.tenant)
    stranger = make_participant(other)
    assert get(person, f"/campaign?id={other.public_id}").status_code == 404
    assert get(person, f"/r/{stranger.referral_code}").status_code == 404
    assert get(person, f"/r/{other.public_id}/{stranger.referral_code}").status_code == 404
    assert get(person, f"/c/{other.public_id}/theme-000000000000.css").status_code == 404
    assert Visit.objects.count() == 0


@pytest.mark.parametrize(
    "host",
    ["evil.example.com", "xgo.halden.example", "go.halden.example.evil.example", "go.halden.example@evil.example"],
)
def test_a_forged_host_is_refused(proven: Campaign, person: Client, host: str) -> None:
    for headers in ({}, {"x-forwarded-host": HOST}):
        answer = get(person, f"/campaign?id={proven.public_id}", host, **headers)
        assert answer.status_code == 400
        assert b"evil" not in answer.content
    forged = person.get(f"/campaign?id={proven.public_id}", headers={"x-forwarded-host": "evil.example.com"})
    assert b"evil" not in forged.content


@pytest.mark.parametrize("change", [{"host_verified_at": None}, {"host": "x.example.com"}, {"status": Status.DRAFT}])
def test_an_unproven_name_is_no_host(proven: Campaign, person: Client, change: dict[str, Any]) -> None:
    Campaign.objects.filter(pk=proven.pk).update(**change)
    assert get(person, f"/campaign?id={proven.public_id}").status_code == 400


def test_https_is_asked_for_and_other_subdomains_are_promised_nothing(
    proven: Campaign, person: Client, settings: Any
) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_HSTS_SECONDS, settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = 600, True
    assert get(person, "/r/x?a=1")["Location"] == f"https://{HOST}/r/x?a=1"
    client = Client(headers={"user-agent": "x"})
    answer = client.get(f"/campaign?id={proven.public_id}", headers={"host": HOST}, secure=True)
    assert (answer.status_code, answer["Strict-Transport-Security"]) == (200, "max-age=600")


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "127.0.0.1",
        "testserver",
        "https://go.example.com",
        "go.example.com/x",
        "example",
        "a b.example",
        "192.0.2.1",
        "*.example.com",
    ],
)
def test_what_can_be_no_own_name(campaign: Campaign, host: str) -> None:
    with pytest.raises(Refused) as caught:
        hosts.set_host(campaign=campaign, host=host, actor=ACTOR)
    assert caught.value.code == "host_invalid"
    assert Campaign.objects.get().host == ""


def test_a_name_is_whose_proof_is_found_first_and_a_new_name_has_to_be_proven_again(alice: Cast, charlie: Cast) -> None:
    mine, theirs = make_campaign(alice.tenant), make_campaign(charlie.tenant)
    for campaign in (mine, theirs):
        hosts.set_host(campaign=campaign, host="GO.halden.example.", actor=ACTOR)
    assert hosts.proofs_at(HOST) == [hosts.proof_of(c) for c in Campaign.objects.order_by("pk")]
    assert hosts.campaign_at(HOST) == ""
    hosts.confirm_host(campaign=mine, host=HOST, actor=ACTOR)
    with pytest.raises(Refused) as caught:
        hosts.confirm_host(campaign=theirs, host=HOST, actor=ACTOR)
    assert (caught.value.code, hosts.campaign_at(HOST)) == ("host_taken", mine.public_id)
    changed = hosts.set_host(campaign=mine, host="other.halden.example", actor=ACTOR)
    assert (changed.link_host, hosts.campaign_at(HOST)) == ("", "")
    with pytest.raises(Refused):
        hosts.confirm_host(campaign=mine, host=HOST, actor=ACTOR)


def test_the_proof_is_answered_over_the_name_and_the_proxy_may_ask(campaign: Campaign, person: Client) -> None:
    named = hosts.set_host(campaign=campaign, host=HOST, actor=ACTOR)
    answer = get(person, hosts.PROOF_PATH)
    assert (answer.status_code, answer.content.decode()) == (200, f"{hosts.proof_of(named)}\n")
    assert get(person, hosts.PROOF_PATH, "other.example.com").status_code == 404
    assert person.get(f"/hosts/certificate?domain={HOST}").status_code == 200
    assert person.get("/hosts/certificate?domain=other.example.com").status_code == 404


@pytest.mark.parametrize(
    ("record", "body", "problem", "said"),
    [
        ("right", "right", "", "is yours and leads here"),
        ("wrong", "right", "", "Found: something else."),
        ("right", "wrong", "", "It answered 200."),
        ("right", "right", "No answer: SSLError.", "No answer: SSLError."),
    ],
)
def test_the_check_says_what_is_missing(
    alice: Cast, campaign: Campaign, monkeypatch: pytest.MonkeyPatch, record: str, body: str, problem: str, said: str
) -> None:
    page = f"/app/campaigns/{campaign.public_id}/host/"
    alice.client.post(page, {"host": HOST})
    campaign.refresh_from_db()
    proof = hosts.proof_of(campaign)
    html = alice.client.get(page).content.decode()
    assert f'value="passalong={proof}"' in html
    assert f'value="_passalong.{HOST}"' in html

    def answer(method: str, url: str) -> http.Answer:
        assert url == f"https://{HOST}{hosts.PROOF_PATH}"
        if problem:
            raise http.HttpError(problem, retry=True, sent=True)
        return http.Answer(200, {}, (proof if body == "right" else "<html>").encode())

    text = f"passalong={proof}" if record == "right" else "something else"
    monkeypatch.setattr(looking, "texts_of", lambda name: (text,) if name == f"_passalong.{HOST}" else ())
    monkeypatch.setattr(http, "request", answer)
    checked = alice.client.post(f"{page}check/", follow=True)
    assert said in checked.content.decode()
    assert (Campaign.objects.get().link_host == HOST) is ("yours" in said)


def test_dns_is_not_asked_without_end(alice: Cast, campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts.set_host(campaign=campaign, host=HOST, actor=ACTOR)
    asked: list[str] = []

    def look(host: str, proof: str) -> looking.Found:
        asked.append(host)
        return looking.Found(False, False)

    monkeypatch.setattr("referrals.web.campaign_host.look_at", look)
    for _ in range(8):
        alice.client.post(f"/app/campaigns/{campaign.public_id}/host/check/")
    assert len(asked) == 6
