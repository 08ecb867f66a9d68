"""The click path in both modes: the plain view, and the wrapper with its journal. Same rows, same headers, same cookies."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import RequestFactory
from django.utils import timezone

from campaigns.models import Campaign, Status
from participants.models import Participant, Visit
from referrals.hosted import clicks, fast, hosts, journal, visitor
from tests.factories import make_campaign, make_participant
from tests.hosted.conftest import CHROME

Answer = tuple[str, dict[str, str], bytes]


class Site:
    """The WSGI application, asked as a server would ask it."""

    def __init__(self, application: fast.Application) -> None:
        self.application = application

    def get(self, path: str, method: str = "GET", **environ: Any) -> Answer:
        path, _mark, query = path.partition("?")
        request = RequestFactory().generic(method, path, QUERY_STRING=query, HTTP_USER_AGENT=CHROME, **environ)
        base = dict(request.environ)
        if "HTTP_COOKIE" not in environ:
            base.pop("HTTP_COOKIE", None)
        found: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], *_rest: Any) -> None:
            found.extend([status, dict(headers)])
            assert len(headers) == len(dict(headers))

        body = b"".join(self.application(base, start_response))
        return found[0], found[1], body


@pytest.fixture(params=["view", "fast"])
def site(request: pytest.FixtureRequest, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """The site without and with the wrapper; loading is done by the tests themselves."""
    monkeypatch.setattr(journal.Background, "nudge", lambda _self: None)
    # The test's own transaction is not a connection left over by another request (Django's test client does this too).
    for event in (request_started, request_finished):
        event.disconnect(close_old_connections)
    yield Site(WSGIHandler() if request.param == "view" else fast.FastClicks(WSGIHandler()))
    for event in (request_started, request_finished):
        event.connect(close_old_connections)


def wake(site: Site, path: str) -> None:
    """Ask once as a machine, so that the wrapper knows the link, and forget that visit."""
    site.get(path, HTTP_SEC_PURPOSE="prefetch")
    Visit.objects.all().delete()


def is_fast(site: Site) -> bool:
    return isinstance(site.application, fast.FastClicks)


def test_rows_headers_and_cookies_are_the_same(site: Site, double: Campaign, asha: Participant, data_dir: Path) -> None:
    path = f"/r/{asha.referral_code}"
    wake(site, path)
    before = time.time()
    status, headers, body = site.get(path, REMOTE_ADDR="203.0.113.77", HTTP_X_REQUEST_ID="abcdefgh12345678")
    assert bool(list(journal.folder().glob("*.log"))) is is_fast(site)
    assert journal.load() == (1 if is_fast(site) else 0)
    visit = Visit.objects.get()
    cookie = SimpleCookie(headers.pop("Set-Cookie"))[f"ref_{double.public_id}"]
    assert headers == {
        "Content-Type": "text/html; charset=utf-8",
        "Location": f"/campaign?id={double.public_id}&referralCode={asha.referral_code}",
        "Cache-Control": "no-store",
        "Content-Language": "en",
        "Content-Length": "0",
        "Content-Security-Policy": headers["Content-Security-Policy"],
        "Cross-Origin-Opener-Policy": "same-origin",
        "Referrer-Policy": "strict-origin-when-cross-origin",
        "Vary": "Accept-Language",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "X-Request-Id": "abcdefgh12345678",
    }
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert (status, body) == ("302 Found", b"")
    assert {name: cookie[name] for name in ("max-age", "path", "samesite", "httponly", "secure", "expires")} == {
        "max-age": str(90 * 86400),
        "path": "/",
        "samesite": "Lax",
        "httponly": True,
        "secure": "",
        "expires": "",
    }
    read = visitor.read({cookie.key: cookie.value}, double.public_id, 60, int(before))
    assert read is not None
    assert (read.id, read.first_code, read.last_code) == (visit.visitor, asha.referral_code, asha.referral_code)
    assert (
        visit.merchant_id, visit.is_test, visit.campaign_id, visit.referrer_id, visit.hidden_reason, visit.channel,
        visit.network, visit.agent,
    ) == (double.merchant_id, False, double.pk, asha.pk, "", "", "203.0.113.0", CHROME)  # fmt: skip
    assert before - 1 <= visit.occurred_at.timestamp() <= time.time() + 1


@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        pytest.param({"HTTP_USER_AGENT": "WhatsApp/2.23.20.0"}, "bot", id="bot"),
        pytest.param({"HTTP_USER_AGENT": ""}, "no_agent", id="no agent"),
        pytest.param({"HTTP_SEC_PURPOSE": "prefetch"}, "prefetch", id="prefetch"),
        pytest.param({"HTTP_SEC_FETCH_MODE": "no-cors"}, "embedded", id="image"),
        pytest.param({"method": "HEAD"}, "head", id="head"),
    ],
)
def test_machines_are_kept_apart(site: Site, asha: Participant, environ: dict[str, str], reason: str) -> None:
    path = f"/r/{asha.referral_code}"
    wake(site, path)
    values = {"HTTP_USER_AGENT": CHROME} | environ
    base = Site(site.application)
    method = values.pop("method", "GET")
    agent = values.pop("HTTP_USER_AGENT")
    status, headers, _body = _with_agent(base, path, method, agent, values)
    journal.load()
    assert (status, "Set-Cookie" in headers) == ("302 Found", False)
    assert Visit.objects.get().hidden_reason == reason


def _with_agent(site: Site, path: str, method: str, agent: str, values: dict[str, str]) -> Answer:
    real = site.application
    inner = Site(lambda environ, start: real({**environ, "HTTP_USER_AGENT": agent}, start))
    return inner.get(path, method, **values)


def test_a_returning_browser_keeps_its_first_click(site: Site, double: Campaign, asha: Participant) -> None:
    other = make_participant(double, "bela@example.org")
    for person in (asha, other):
        wake(site, f"/r/{person.referral_code}")
    _status, headers, _body = site.get(f"/r/{asha.referral_code}")
    pair = headers["Set-Cookie"].partition(";")[0]
    _status, headers, _body = site.get(f"/r/{other.referral_code}", HTTP_COOKIE=f"other=x; {pair}")
    name, _mark, value = headers["Set-Cookie"].strip().partition(";")[0].partition("=")
    read = visitor.read({name: value}, double.public_id, 60, int(time.time()))
    assert read is not None
    assert (read.first_code, read.last_code) == (asha.referral_code, other.referral_code)
    journal.load()
    assert Visit.objects.count() == 2
    assert Visit.objects.values("visitor").distinct().count() == 1


@pytest.mark.parametrize("path", ["/r/doesnotexist", "/r/", "/r/%3Cscript%3E", "/r/a/b"])
def test_unknown_links_are_not_found(site: Site, db: None, path: str) -> None:
    for _ in range(2):
        assert site.get(path)[0] == "404 Not Found"
    assert (Visit.objects.count(), list(journal.folder().glob("*"))) == (0, [])


def test_an_unknown_host_is_refused_each_time(site: Site, asha: Participant) -> None:
    path = f"/r/{asha.referral_code}"
    wake(site, path)
    for _ in range(2):
        assert site.get(path, HTTP_HOST="evil.example.com")[0] == "400 Bad Request"
    journal.load()
    assert Visit.objects.count() == 0


def test_an_own_host_name_shows_its_campaign_only(site: Site, double: Campaign, asha: Participant) -> None:
    hosts.forget()
    other = make_participant(make_campaign(double.tenant), "bela@example.org")
    Campaign.objects.filter(pk=double.pk).update(host="go.halden.example", host_verified_at=timezone.now())
    path = f"/r/{asha.referral_code}"
    for _ in range(2):
        status, headers, _body = site.get(path, HTTP_HOST="go.halden.example")
        assert (status, headers["Location"].partition("?")[0]) == ("302 Found", "/campaign")
        assert site.get(f"/r/{other.referral_code}", HTTP_HOST="go.halden.example")[0] == "404 Not Found"
        assert site.get(path, HTTP_HOST="evil.example.com")[0] == "400 Bad Request"
    assert journal.load() == (1 if is_fast(site) else 0)
    assert Visit.objects.count() == 2
    hosts.forget()


def test_the_channel_is_kept(site: Site, asha: Participant) -> None:
    wake(site, f"/r/{asha.referral_code}")
    page = "https://Blog.example.net:8443/post?q=1"
    site.get(f"/r/{asha.referral_code}?via=whatsapp", HTTP_REFERER=page)
    assert journal.load() == (1 if is_fast(site) else 0)
    visit = Visit.objects.get()
    assert (visit.channel, visit.referer, visit.utm) == ("whatsapp", "blog.example.net", {})


def test_utm_parameters_are_kept_and_go_along(site: Site, double: Campaign, asha: Participant) -> None:
    Campaign.objects.filter(pk=double.pk).update(
        landing_mode="redirect",
        landing_url="https://shop.example.com/",
        utm={"source": "friends", "medium": "referral"},
    )
    wake(site, f"/r/{asha.referral_code}")
    places = []
    for query in (
        "?utm_source=News+letter&utm_term=%07&utm_content=" + "x" * 101,
        "?via=mail",
        "?to=/sale",
        "?to=//evil.example.com",
    ):
        location = site.get(f"/r/{asha.referral_code}{query}")[1]["Location"]
        places.append(location.replace(asha.referral_code, "CODE"))
    journal.load()
    x = "x" * 100
    assert places == [
        f"https://shop.example.com/?referralCode=CODE&utm_content={x}&utm_medium=referral&utm_source=News+letter",
        "https://shop.example.com/?referralCode=CODE&utm_medium=referral&utm_source=friends",
        "https://shop.example.com/sale?referralCode=CODE&utm_medium=referral&utm_source=friends",
        "https://shop.example.com/?referralCode=CODE&utm_medium=referral&utm_source=friends",
    ]
    kept = list(Visit.objects.order_by("occurred_at", "pk").values_list("utm", "channel"))
    assert kept == [({"source": "News letter", "content": x}, ""), ({}, "mail"), ({}, ""), ({}, "")]


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("https://user:pw@evil.example.com/", ""),
        ("javascript:alert(1)", ""),
        ("https://<script>/", ""),
        ("https://" + "a" * 101 + "/", ""),
        ("android-app://com.example", ""),
        ("http://news.example.com", "news.example.com"),
        ("", ""),
    ],
)
def test_the_page_that_a_link_stood_on_is_a_plain_host_name(text: str, host: str) -> None:
    assert clicks.referer({"HTTP_REFERER": text}) == host


def test_where_a_cookie_needs_a_yes_django_answers(site: Site, double: Campaign, asha: Participant) -> None:
    Campaign.objects.filter(pk=double.pk).update(consent="ask")
    path = f"/r/{asha.referral_code}"
    wake(site, path)
    for _ in range(2):
        assert "Set-Cookie" not in site.get(path)[1]
    assert (journal.load(), Visit.objects.count()) == (0, 2)


def test_a_browser_that_wants_no_cookie_gets_none(site: Site, asha: Participant) -> None:
    path = f"/r/{asha.referral_code}"
    wake(site, path)
    _status, headers, _body = site.get(path, HTTP_SEC_GPC="1")
    assert "Set-Cookie" not in headers
    assert "&seen=" in headers["Location"]
    assert "&seen=" not in site.get(path)[1]["Location"]
    journal.load()
    assert Visit.objects.filter(hidden_reason="").count() == 2


def test_a_change_is_noticed_within_half_a_minute(site: Site, double: Campaign, asha: Participant) -> None:
    path = f"/r/{asha.referral_code}"
    wake(site, path)
    Campaign.objects.filter(pk=double.pk).update(landing_mode="redirect", landing_url="https://shop.example.com/x")
    with time_machine.travel(timezone.now() + timedelta(seconds=31)):
        assert site.get(path)[1]["Location"] == f"https://shop.example.com/x?referralCode={asha.referral_code}"
    Campaign.objects.filter(pk=double.pk).update(status=Status.DRAFT)
    with time_machine.travel(timezone.now() + timedelta(seconds=62)):
        assert site.get(path)[0] == "404 Not Found"


def test_a_full_disk_falls_back_to_the_row(site: Site, asha: Participant, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object) -> int:
        raise OSError(28, "No space left on device")

    path = f"/r/{asha.referral_code}"
    wake(site, path)
    monkeypatch.setattr("referrals.hosted.journal.os.write", full)
    assert site.get(path)[0] == "302 Found"
    assert Visit.objects.count() == 1
