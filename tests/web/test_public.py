"""Front door, small files, health, mails of a demo, and error pages."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import pytest
from django.core.mail import EmailMessage
from django.core.mail.backends.filebased import EmailBackend
from django.db import DatabaseError
from django.http import HttpResponse
from django.test import Client, RequestFactory
from pytest_django import DjangoAssertNumQueries, Settings

from integrations.models import Connection
from referrals.web import health
from referrals.web.demo import EMAIL, PASSWORD
from referrals.web.errors import server_error
from tests.factories import Cast

OTHER_RING = "test:QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="


# --- The front door ---


@pytest.mark.parametrize(("open_", "shown"), [(True, True), (False, False)], ids=["open", "closed"])
@pytest.mark.django_db
def test_the_front_door_shows_the_ways_in(settings: Settings, open_: bool, shown: bool) -> None:
    settings.SIGN_UP_OPEN = open_
    body = Client().get("/").content.decode()
    assert 'href="/account/login/"' in body
    assert ('href="/account/signup/"' in body) is shown
    assert "demo" not in body


@pytest.mark.django_db
def test_a_demo_says_how_to_log_in(settings: Settings) -> None:
    settings.DEMO = True
    body = Client().get("/").content.decode()
    assert EMAIL in body
    assert PASSWORD in body
    assert 'href="/dev/mail/"' in body


def test_people_who_are_logged_in_go_on(alice: Cast) -> None:
    response = alice.client.get("/")
    assert (response.status_code, response["Location"]) == (302, "/app/")


def test_small_files() -> None:
    robots = Client().get("/robots.txt")
    assert robots["Content-Type"] == "text/plain; charset=utf-8"
    assert b"Disallow: /app/" in robots.content
    assert b"operators" not in robots.content
    icon = Client().get("/favicon.ico")
    assert (icon.status_code, icon["Location"]) == (302, "/static/favicon.svg")


# --- Health ---


@pytest.fixture
def _forget_migrations() -> None:
    health._migrated_until = 0.0


def test_living_asks_nobody() -> None:
    response = Client().get("/livez")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


@pytest.mark.usefixtures("_forget_migrations")
@pytest.mark.django_db
def test_ready(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    response = Client().get("/readyz")
    checks = {"database": "ok", "migrations": "ok", "key_ring": "ok"}
    assert (response.status_code, response.json()) == (200, {"status": "ok", "checks": checks})
    with django_assert_num_queries(2):  # migrations are remembered for a minute
        assert Client().get("/readyz").status_code == 200


@pytest.mark.django_db
def test_not_ready_without_a_database() -> None:
    with patch("referrals.web.health.connection.cursor", side_effect=DatabaseError("secret host")):
        response = Client().get("/readyz")
    assert (response.status_code, response.json()) == (
        503,
        {"status": "unavailable", "checks": {"database": "unreachable"}},
    )


@pytest.mark.usefixtures("_forget_migrations")
@pytest.mark.django_db
def test_not_ready_before_the_migrations() -> None:
    with patch("referrals.web.health.MigrationExecutor.migration_plan", return_value=["one"]):
        response = Client().get("/readyz")
    assert (response.status_code, response.json()["checks"]["migrations"]) == (503, "not applied")


@pytest.mark.parametrize("ring", [[], ["test"], ["test:no base64"], [OTHER_RING]], ids=["none", "id", "junk", "other"])
def test_not_ready_with_a_wrong_key_ring(settings: Settings, alice: Cast, ring: list[str]) -> None:
    link = Connection(merchant=alice.merchant, provider="stripe")
    link.secrets = {"webhook_secret": "whsec_test"}
    link.save()
    settings.SECRETS_KEYS = ring
    response = Client().get("/readyz")
    assert (response.status_code, response.json()["checks"]["key_ring"]) == (503, "wrong")


# --- Mails of a demo ---


@pytest.fixture
def folder(settings: Settings, tmp_path: Path) -> Path:
    """A demo with a folder of mails."""
    settings.DEMO, settings.EMAIL_FILE_PATH = True, tmp_path
    return tmp_path


def _send(folder: Path, *mails: EmailMessage) -> None:
    EmailBackend(file_path=str(folder)).send_messages(list(mails))


@pytest.mark.django_db
def test_mailed_links_can_be_opened(folder: Path) -> None:
    assert b"No mail yet" in Client().get("/dev/mail/").content
    _send(
        folder,
        EmailMessage("Grüße", "Open http://localhost:8000/me/x/ now", "a@example.com", ["max@example.com"]),
        EmailMessage("<b>Two</b>", "<script>alert(1)</script>", "a@example.com", ["moe@example.com"]),
    )
    body = Client().get("/dev/mail/").content.decode()
    assert 'href="http://localhost:8000/me/x/"' in body
    assert "Grüße" in body
    assert "&lt;script&gt;" in body
    assert body.index("&lt;b&gt;Two") < body.index("Grüße")
    only = Client().get("/dev/mail/", {"to": "MOE@"}).content.decode()
    assert ("Grüße" in only, "&lt;b&gt;Two" in only) == (False, True)


@pytest.mark.django_db
def test_a_real_installation_shows_no_mails(folder: Path, settings: Settings) -> None:
    settings.DEMO = False
    _send(folder, EmailMessage("Secret", "x", "a@example.com", ["max@example.com"]))
    response = Client().get("/dev/mail/")
    assert response.status_code == 404
    assert b"Secret" not in response.content


# --- Errors ---


def _json(response: HttpResponse) -> tuple[int, object]:
    return response.status_code, response.headers["Content-Type"]


@pytest.mark.django_db
def test_an_unknown_page_says_so() -> None:
    response = Client().get("/nothing/here/")
    assert response.status_code == 404
    assert b"Go to the start" in response.content


@pytest.mark.django_db
def test_an_expired_form_says_what_to_do(alice: Cast) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice.user, backend="django.contrib.auth.backends.ModelBackend")
    response = client.post("/app/settings/")
    assert response.status_code == 403
    assert b"Reload the page and try again." in response.content


@pytest.mark.parametrize(("path", "kind"), [("/app/", "text/html; charset=utf-8"), ("/api/v1/x", "application/json")])
def test_our_own_fault_is_told_in_the_callers_form(path: str, kind: str) -> None:
    response = server_error(RequestFactory().get(path))
    assert _json(response) == (500, kind)
    assert b"Traceback" not in response.content


@pytest.mark.django_db
def test_a_nul_byte_is_refused() -> None:
    assert Client().get("/app/?q=%00").status_code == 400
    assert Client().get("/app/settings/team/%00/role/").status_code == 400
    form = "application/x-www-form-urlencoded"
    assert Client().post("/me/", "email=a%00b", content_type=form).status_code == 400
    assert Client().post("/me/", {"email": "a\x00b"}).status_code == 400


@pytest.mark.django_db
def test_a_nul_byte_inside_of_a_remembered_list_is_no_fault_of_ours(alice: Cast) -> None:
    sent = {"back": "stage=due&campaign=%00&q=%00&after=%00", "action": "hold", "reward": "rw_1"}
    assert alice.client.post("/app/rewards/act/", sent).status_code == 404


@pytest.mark.parametrize("path", ["/", "/dev/mail/", "/account/login/", "/account/signup/", "/nothing/", "/robots.txt"])
@pytest.mark.django_db
def test_every_answer_carries_the_policy(path: str, folder: Path) -> None:
    response = Client().get(path)
    policy = response["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["X-Frame-Options"] == "DENY"
