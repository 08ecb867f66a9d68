"""Clicks: what is counted, what is hidden, what the cookie says, and where the link leads."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from campaigns.models import Campaign, Status
from participants.models import Participant, Visit
from referrals.hosted import clicks, tracking, visitor
from tests.factories import Cast, make_campaign, make_participant
from tests.hosted.conftest import CHROME


def test_a_click_is_recorded_and_leads_to_the_page(double: Campaign, asha: Participant, person: Client) -> None:
    response = person.get(f"/r/{asha.referral_code}")
    assert response.status_code == 302
    assert response["Location"] == f"/campaign?id={double.public_id}&referralCode={asha.referral_code}"
    assert response["Cache-Control"] == "no-store"
    visit = Visit.objects.get()
    assert (visit.campaign, visit.referrer, visit.merchant_id, visit.is_test) == (
        double,
        asha,
        double.merchant_id,
        False,
    )
    assert (visit.hidden_reason, visit.channel, visit.network, visit.agent) == ("", "", "127.0.0.0", CHROME)
    cookie = response.cookies[f"ref_{double.public_id}"]
    assert (cookie["max-age"], cookie["httponly"], cookie["samesite"], cookie["path"]) == (90 * 86400, True, "Lax", "/")
    assert cookie.value.startswith(f"{visit.visitor}-{asha.referral_code}-")


def test_coming_through_the_short_link_is_one_visit(double: Campaign, asha: Participant, person: Client) -> None:
    assert person.get(f"/r/{asha.referral_code}", follow=True).status_code == 200
    assert Visit.objects.count() == 1


def test_opening_the_long_link_is_one_visit_even_when_reloaded(
    double: Campaign, asha: Participant, person: Client
) -> None:
    address = f"/campaign?id={double.public_id}&referralCode={asha.referral_code}"
    for _ in range(2):
        assert person.get(address).status_code == 200
    assert Visit.objects.count() == 1
    with time_machine.travel(timezone.now() + timedelta(minutes=5)):
        person.get(address)
    assert Visit.objects.count() == 2
    assert Visit.objects.values("visitor").distinct().count() == 1


def test_two_browsers_are_two_visitors(asha: Participant, browser_client: Callable[..., Client]) -> None:
    for _ in range(2):
        browser_client().get(f"/r/{asha.referral_code}")
    assert Visit.objects.values("visitor").distinct().count() == 2


@pytest.mark.parametrize("code", ["doesnotexist", "x", "zz zz", "<script>", "%00", "jdQKX5cI١", "a" * 300])
def test_an_unknown_code_is_named_neutrally(db: None, person: Client, code: str) -> None:
    response = person.get(f"/r/{code}")
    html = response.content.decode()
    assert (response.status_code, Visit.objects.count()) == (404, 0) or (code, response.status_code) == ("%00", 400)
    assert "<script>" not in html.replace('<script src="', "")
    if code == "doesnotexist":
        assert "Nobody has the referral code doesnotexist." in html


def test_a_code_in_another_case_is_unknown(asha: Participant, person: Client) -> None:
    assert person.get(f"/r/{asha.referral_code.swapcase()}").status_code in {
        404,
        302 if asha.referral_code.isdigit() else 404,
    }


def test_the_link_of_a_draft_leads_nowhere(alice: Cast, person: Client) -> None:
    draft = make_campaign(alice.tenant)
    someone = make_participant(draft)
    Campaign.objects.filter(pk=draft.pk).update(status=Status.DRAFT)
    assert person.get(f"/r/{someone.referral_code}").status_code == 404


def test_a_paused_campaigns_link_leads_to_the_page_that_says_so(
    double: Campaign, asha: Participant, person: Client
) -> None:
    Campaign.objects.filter(pk=double.pk).update(status=Status.PAUSED)
    assert "taking a break" in person.get(f"/r/{asha.referral_code}", follow=True).content.decode()


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        pytest.param({"user-agent": "WhatsApp/2.23.20.0 A"}, "bot", id="whatsapp"),
        pytest.param({"user-agent": "facebookexternalhit/1.1"}, "bot", id="facebook"),
        pytest.param({"user-agent": "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"}, "bot", id="slack"),
        pytest.param({"user-agent": "curl/8.5.0"}, "bot", id="curl"),
        pytest.param({"user-agent": f"{CHROME.replace('Chrome', 'HeadlessChrome')}"}, "bot", id="headless"),
        pytest.param({"user-agent": ""}, "no_agent", id="no agent"),
        pytest.param({"user-agent": "Microsoft Office/16.0 (Microsoft Outlook 16.0.1; Pro)"}, "scanner", id="outlook"),
        pytest.param({"sec-purpose": "prefetch;prerender"}, "prefetch", id="prerender"),
        pytest.param({"purpose": "prefetch"}, "prefetch", id="old prefetch"),
        pytest.param({"sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}, "embedded", id="image"),
        pytest.param({"sec-fetch-dest": "iframe"}, "embedded", id="frame"),
    ],
)
def test_machines_are_served_and_hidden(
    asha: Participant, person: Client, headers: dict[str, str], reason: str
) -> None:
    response = person.get(f"/r/{asha.referral_code}", headers=headers)
    assert response.status_code == 302
    assert response.cookies == {}
    assert Visit.objects.get().hidden_reason == reason
    page = person.get(response["Location"], headers=headers)
    assert page.status_code == 200
    assert "og:image" in page.content.decode()


@pytest.mark.parametrize(
    "agent",
    [
        CHROME,
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18 Mobile Safari/604.1",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Instagram 380.0",
        "Mozilla/5.0 (Linux; Android 14; CUBOT X70) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0 Mobile Safari/537.36",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:142.0) Gecko/20100101 Firefox/142.0",
    ],
)
def test_people_are_counted(asha: Participant, person: Client, agent: str) -> None:
    person.get(f"/r/{asha.referral_code}", headers={"user-agent": agent})
    assert Visit.objects.get().hidden_reason == ""


def test_head_is_served_and_hidden_and_other_methods_are_not(asha: Participant, person: Client) -> None:
    assert person.head(f"/r/{asha.referral_code}").status_code == 302
    assert Visit.objects.get().hidden_reason == "head"
    for method in ("post", "put", "delete", "patch"):
        assert getattr(person, method)(f"/r/{asha.referral_code}").status_code == 405
    assert Visit.objects.count() == 1


def test_a_mail_gate_opening_every_link_is_hidden(double: Campaign, person: Client) -> None:
    codes = [make_participant(double, f"p{n}@example.net").referral_code for n in range(6)]
    with time_machine.travel(timezone.now(), tick=False):
        for code in codes:
            person.get(f"/r/{code}")
    assert list(Visit.objects.order_by("pk").values_list("hidden_reason", flat=True)) == [""] * 4 + ["scanner"] * 2


@pytest.mark.parametrize(
    ("query", "channel"),
    [
        ("via=whatsapp", "whatsapp"),
        ("utm_source=Newsletter", "newsletter"),
        ("via=%3Cscript%3E", ""),
        ("via=" + "a" * 41, ""),
        ("via=x&" * 60, ""),
        ("via=%ff", ""),
        ("", ""),
    ],
)
def test_where_it_was_shared_is_kept_when_it_is_a_plain_word(
    asha: Participant, person: Client, query: str, channel: str
) -> None:
    person.get(f"/r/{asha.referral_code}?{query}")
    assert Visit.objects.get().channel == channel


def test_what_a_browser_calls_itself_is_cut_and_printable(asha: Participant, person: Client) -> None:
    person.get(f"/r/{asha.referral_code}", headers={"user-agent": "Mozilla\x1b[31m\t<script>" + "x" * 5000})
    agent = Visit.objects.get().agent
    assert (len(agent), agent.isprintable()) == (200, True)


def test_a_forged_forwarded_address_is_not_believed(asha: Participant, person: Client) -> None:
    person.get(f"/r/{asha.referral_code}", headers={"x-forwarded-for": "203.0.113.9"})
    assert Visit.objects.get().network == "127.0.0.0"


@pytest.mark.parametrize(
    ("own", "location"),
    [
        pytest.param("https://shop.example.com", "https://shop.example.com/?referralCode={code}", id="bare"),
        pytest.param(
            "https://shop.example.com/a?x=1&y=%26z#part",
            "https://shop.example.com/a?x=1&y=%26z&referralCode={code}#part",
            id="query and fragment survive",
        ),
        pytest.param(
            "https://shop.example.com/?referralCode=old&b=",
            "https://shop.example.com/?b=&referralCode={code}",
            id="an old code goes",
        ),
        pytest.param("http://localhost:3000/x", "http://localhost:3000/x?referralCode={code}", id="this machine"),
    ],
)
def test_the_merchants_own_page_gets_the_code(
    double: Campaign, asha: Participant, person: Client, own: str, location: str
) -> None:
    Campaign.objects.filter(pk=double.pk).update(landing_mode="redirect", landing_url=own)
    expected = location.format(code=asha.referral_code)
    assert person.get(f"/r/{asha.referral_code}")["Location"] == expected
    long = person.get(f"/campaign?id={double.public_id}&referralCode={asha.referral_code}")
    assert (long.status_code, long["Location"]) == (302, expected)
    assert Visit.objects.count() == 1
    assert person.get(f"/campaign?id={double.public_id}").status_code == 200


@pytest.mark.parametrize(
    "own",
    [
        "http://shop.example.com/",
        "javascript:alert(1)",
        "//evil.example.com",
        "/\\evil.example.com",
        "https:evil.example.com",
        "https://shop@evil.example.com/",
        "https://shop.example.com\\@evil.example.com/",
        "https://shop.example.com/\r\nSet-Cookie: a=b",
        "https://[::1",
        "https://shop.example.com:99999/",
        "ftp://shop.example.com/",
        "",
    ],
)
def test_anything_but_a_plain_https_address_leads_to_our_page(
    double: Campaign, asha: Participant, person: Client, own: str
) -> None:
    Campaign.objects.filter(pk=double.pk).update(landing_mode="redirect", landing_url=own)
    response = person.get(f"/r/{asha.referral_code}", follow=True)
    assert response.redirect_chain == [(f"/campaign?id={double.public_id}&referralCode={asha.referral_code}", 302)]
    assert response.status_code == 200


@given(st.text(max_size=120))
def test_no_text_is_a_cookie(text: str) -> None:
    assert visitor.read({"ref_JCu82f30F1": text}, "JCu82f30F1", 60, 1_800_000_000) is None


def test_a_cookie_belongs_to_its_campaign_and_cannot_be_changed() -> None:
    now = 1_800_000_000
    value = visitor.write(visitor.click(None, "jdQKX5ci", now), "JCu82f30F1")
    assert visitor.read({"ref_JCu82f30F1": value}, "JCu82f30F1", 60, now) is not None
    assert visitor.read({"ref_JCu82f30F2": value}, "JCu82f30F2", 60, now) is None
    for place in range(len(value)):
        changed = value[:place] + ("a" if value[place] != "a" else "b") + value[place + 1 :]
        assert visitor.read({"ref_JCu82f30F1": changed}, "JCu82f30F1", 60, now) is None


def test_the_first_click_grows_old_before_the_last() -> None:
    first = visitor.click(None, "first111", 0)
    both = visitor.click(first, "last2222", 50 * visitor.DAY)
    cookie = {"ref_JCu82f30F1": visitor.write(both, "JCu82f30F1")}
    young = visitor.read(cookie, "JCu82f30F1", 60, 55 * visitor.DAY)
    old = visitor.read(cookie, "JCu82f30F1", 60, 61 * visitor.DAY)
    assert young is not None
    assert old is not None
    assert (young.code("first_click"), young.code("last_click")) == ("first111", "last2222")
    assert old.code("first_click") == "last2222"
    assert visitor.read(cookie, "JCu82f30F1", 60, 111 * visitor.DAY) is None


def test_the_list_of_agents_does_not_grow_without_end() -> None:
    for n in range(clicks._AGENTS_MOST + 10):
        clicks._agent_reason(f"agent {n}")
    assert len(clicks._AGENTS) <= clicks._AGENTS_MOST


@pytest.mark.parametrize("header", ["sec-gpc", "dnt"])
def test_a_browser_that_wants_no_cookie_gets_none_and_is_counted_once(
    double: Campaign, asha: Participant, browser_client: Callable[..., Client], header: str
) -> None:
    person = browser_client()
    response = person.get(f"/r/{asha.referral_code}", headers={header: "1"})
    assert response.cookies == {}
    page = person.get(response["Location"], headers={header: "1"})
    assert page.status_code == 200
    assert page.cookies == {}
    assert "Asha V." in page.content.decode()
    assert "seen=" not in page.content.decode()
    assert Visit.objects.filter(hidden_reason="").count() == 1
    with time_machine.travel(timezone.now() + timedelta(minutes=2)):
        person.get(response["Location"], headers={header: "1"})
    assert Visit.objects.count() == 2


def test_a_forged_mark_hides_no_click(double: Campaign, asha: Participant, person: Client) -> None:
    other = tracking.seen_mark("zzzzzzzz")
    for mark in (other, "x", "a:b:c"):
        person.cookies.clear()
        person.get(f"/campaign?id={double.public_id}&referralCode={asha.referral_code}&seen={mark}")
    assert Visit.objects.count() == 3
