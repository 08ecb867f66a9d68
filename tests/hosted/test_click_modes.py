"""The click path in both modes: the plain view, and the wrapper with its journal. Same rows, same headers, same cookies; nothing lost."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import threading
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
from django.db import DatabaseError, close_old_connections, connections
from django.test import RequestFactory
from django.utils import timezone

from campaigns.models import Campaign, Status
from participants.models import Participant, Visit
from referrals.hosted import clicks, fast, hosts, journal, visitor
from referrals.hosted.models import ClickSegment
from tests.factories import make_campaign, make_cast, make_merchant, make_participant
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


@pytest.fixture
def data_dir(settings: Any, tmp_path: Path) -> Path:
    """A folder of one's own for the journal."""
    settings.DATA_DIR = tmp_path
    return tmp_path


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


def test_a_line_of_an_older_release_is_read(asha: Participant, writer: journal.Writer) -> None:
    writer.append(a_line(asha).rsplit(b"\t", 2)[0] + b"\n")
    assert journal.load() == 1


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


# --- The journal itself ---


@pytest.fixture
def writer(data_dir: Path) -> journal.Writer:
    return journal.Writer()


def a_line(person: Participant, number: int = 0, agent: str = CHROME) -> bytes:
    return journal.line(
        at=1_800_000_000.25 + number,
        merchant=person.merchant_id,
        is_test=person.is_test,
        campaign=person.campaign_id,
        referrer=person.pk,
        visitor=f"v{number:021d}",
        hidden="",
        ip="2001:db8:1:2::3",
        agent=agent,
    )


def test_each_line_becomes_one_visit_however_often_it_is_loaded(asha: Participant, writer: journal.Writer) -> None:
    for n in range(5):
        writer.append(a_line(asha, n))
    assert (journal.load(), journal.load()) == (5, 0)
    writer.append(a_line(asha, 5))
    assert (journal.load(), journal.load()) == (1, 0)
    visit = Visit.objects.order_by("pk")[0]
    assert (visit.occurred_at.timestamp(), visit.network, visit.visitor) == (
        1_800_000_000.25,
        "2001:db8:1::",
        f"v{0:021d}",
    )
    assert Visit.objects.count() == 6


def test_a_segment_in_use_stays_and_one_left_behind_goes(asha: Participant, writer: journal.Writer) -> None:
    writer.append(a_line(asha))
    journal.load()
    assert writer.path is not None
    assert writer.path.exists()
    os.close(writer._fd)
    assert journal.load() == 0
    assert not writer.path.exists()
    assert ClickSegment.objects.get().loaded_bytes > 0


def test_a_loader_that_dies_half_way_counts_nothing_twice(
    asha: Participant, writer: journal.Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(3):
        writer.append(a_line(asha, n))
    insert = journal._insert

    def dies(rows: Any) -> None:
        insert(rows)
        raise DatabaseError("the connection is gone")

    with monkeypatch.context() as patch:
        patch.setattr(journal, "_insert", dies)
        with pytest.raises(DatabaseError):
            journal.load()
    assert Visit.objects.count() == 0
    assert journal.load() == 3


def test_a_line_cut_off_by_a_full_disk_spoils_no_other(asha: Participant, writer: journal.Writer) -> None:
    writer.append(a_line(asha, 0))
    os.write(writer._fd, a_line(asha, 1)[:40] + b"\n")
    os.write(writer._fd, b"\xff\xfe\tnonsense\n\n")
    writer.append(a_line(asha, 2))
    os.write(writer._fd, a_line(asha, 3)[:40])
    assert journal.load() == 2
    os.write(writer._fd, a_line(asha, 3)[40:])
    assert journal.load() == 1


def test_a_click_on_somebody_who_is_gone_is_left_out(asha: Participant, writer: journal.Writer) -> None:
    gone = Participant(pk=asha.pk + 1000, merchant_id=asha.merchant_id, campaign_id=asha.campaign_id)
    writer.append(a_line(gone))
    writer.append(a_line(asha))
    assert journal.load() == 1


@pytest.mark.parametrize("agent", ["a\tb", "Mozilla\\N\\.", "ü€😀", "\\"])
def test_any_browser_name_survives(asha: Participant, writer: journal.Writer, agent: str) -> None:
    shown = "".join(c for c in agent if c.isprintable())
    writer.append(a_line(asha, agent=shown))
    journal.load()
    assert Visit.objects.get().agent == shown


def test_a_new_segment_is_begun_after_a_while_and_when_one_is_large(
    asha: Participant, writer: journal.Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "SEGMENT_BYTES", 300)
    for n in range(10):
        writer.append(a_line(asha, n))
    assert len(list(journal.folder().glob("*.log"))) > 1
    assert journal.load() == 10
    assert Visit.objects.count() == 10


def test_threads_write_whole_lines(asha: Participant, writer: journal.Writer) -> None:
    def many(start: int) -> None:
        for n in range(start, start + 250):
            writer.append(a_line(asha, n))

    threads = [threading.Thread(target=many, args=(k * 250,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert journal.load() == 2000
    assert Visit.objects.values("visitor").distinct().count() == 2000


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_loaders_at_the_same_time_load_each_line_once(writer: journal.Writer) -> None:
    asha = make_participant(make_campaign(make_cast("alice@example.com", make_merchant()).tenant))
    for n in range(1000):
        writer.append(a_line(asha, n))
    made: list[int] = []

    def loads() -> None:
        try:
            made.append(journal.load())
        finally:
            connections.close_all()

    threads = [threading.Thread(target=loads) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made.append(journal.load())
    assert sum(made) == 1000
    assert Visit.objects.count() == 1000


SERVER = """
import os, sys, time
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
import django
django.setup()
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from django.conf import settings
settings.DATA_DIR = Path(sys.argv[1])
from referrals.hosted import fast, journal
journal.Background.nudge = lambda self: None
target = fast.Target(*[int(part) for part in sys.argv[2].split(",")][:1], False, *[int(part) for part in sys.argv[2].split(",")][1:2],
    "JCu82f30F1", 60, int(sys.argv[2].split(",")[2]), "jdQKX5ci", time.time() + 600)
def django_app(environ, start_response):
    environ[fast.TARGET] = target
    start_response("302 Found", [("Location", "/")])
    return [b""]
class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 64
class Quiet(WSGIRequestHandler):
    def log_message(self, *args): pass
server = Server(("127.0.0.1", 0), Quiet)
server.set_app(fast.FastClicks(django_app))
print(server.server_port, flush=True)
server.serve_forever()
"""


def test_a_killed_server_loses_no_click_that_was_answered(asha: Participant, data_dir: Path) -> None:
    ids = f"{asha.merchant_id},{asha.campaign_id},{asha.pk}"
    child = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(data_dir), ids], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert child.stdout is not None
    port = int(child.stdout.readline())
    answered: list[str] = []

    def click() -> None:
        while True:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                connection.request("GET", "/r/jdQKX5ci", headers={"User-Agent": CHROME})
                cookie = connection.getresponse().getheader("Set-Cookie", "")
                connection.close()
            except (OSError, http.client.HTTPException):
                return
            if found := re.match(r"ref_JCu82f30F1=(\w{22})-", cookie or ""):
                answered.append(found[1])

    threads = [threading.Thread(target=click) for _ in range(4)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 20
    while len(answered) < 150 and time.monotonic() < deadline:
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    for thread in threads:
        thread.join()
    loaded = journal.load()
    kept = list(Visit.objects.values_list("visitor", flat=True))
    assert len(answered) >= 150
    assert set(answered) <= set(kept)
    assert len(kept) == len(set(kept)) == loaded
    assert loaded - len(answered) <= 4  # written, and killed before the answer
    assert journal.load() == 0
