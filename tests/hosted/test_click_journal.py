"""The journal of clicks: each line becomes one visit, whatever dies or fills up on the way; nothing answered is lost."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, connections

from participants.models import Participant, Visit
from referrals.hosted import journal
from referrals.hosted.models import ClickSegment
from tests.factories import make_campaign, make_cast, make_merchant, make_participant
from tests.hosted.conftest import CHROME


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


def test_a_line_of_an_older_release_is_read(asha: Participant, writer: journal.Writer) -> None:
    writer.append(a_line(asha).rsplit(b"\t", 2)[0] + b"\n")
    assert journal.load() == 1


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
