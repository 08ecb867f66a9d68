"""All programmes of one address: shown after a mailed link only, over all merchants, and to nobody else."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from campaigns import services
from campaigns.listings import save_listing
from participants import applications, hub_access, portal
from participants.models import Application, HubAccess, Participant, PortalSession
from referrals.accounts.tenancy import Tenant
from referrals.events.models import Event
from referrals.hosted import hub_mail, hub_mine
from rewards.applications import confirm, decline, reconsider
from tests.factories import ACTOR, Cast, buy, make_campaign, make_friend, make_participant, percent_rule

MAYA = "maya@example.net"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_mine, "SAME_TIME", 0.0)


@pytest.fixture
def maya(alice: Cast, charlie: Cast) -> Participant:
    """Maya is with Alice, where she earned 10 dollars, with Charlie, and on Alice's test side; Ines is with Charlie."""
    coffee = make_campaign(alice.tenant, [percent_rule("20")], name="Coffee")
    chairs = make_campaign(charlie.tenant, [percent_rule("5", kind="store_credit")], name="Chairs", currency="EUR")
    make_participant(make_campaign(Tenant(alice.merchant, True), name="Trial"), MAYA)
    make_participant(chairs, MAYA)
    make_participant(chairs, "ines@example.org")
    person = make_participant(coffee, "Maya@example.net")
    buy(make_friend(person, "lena@example.org"), 5000)
    return person


def ask(client: Client, email: str = MAYA, query: str = "") -> list[mail.EmailMessage]:
    """Ask for a link as the form does; the mails that are sent by it."""
    answer = client.post(f"/hub/me/{query}", {"email": email})
    assert (answer.status_code, answer["Location"].split("?")[0]) == (303, "/hub/me/")
    before = len(mail.outbox)
    for pk in HubAccess.objects.filter(sent_at=None, used_at=None).values_list("pk", flat=True):
        hub_mail.send_access(pk)
    return mail.outbox[before:]


def link_in(message: mail.EmailMessage) -> str:
    found = re.search(r"http://localhost:8000(/hub/me/open/\S+)", str(message.body))
    assert found is not None
    return found[1]


def log_in(client: Client, email: str = MAYA) -> str:
    (message,) = ask(client, email)
    link = link_in(message)
    assert client.post(link).status_code == 303
    return link


def test_nothing_is_shown_before_the_address_is_proved(maya: Participant, person: Client) -> None:
    assert "Coffee" not in person.get("/hub/me/").content.decode()
    stranger = person.post("/hub/me/", {"email": "nobody@example.net"})
    member = person.post("/hub/me/", {"email": MAYA})
    assert (stranger.status_code, stranger["Location"]) == (member.status_code, member["Location"])
    assert list(HubAccess.objects.values_list("email_key", flat=True)) == [MAYA]
    assert person.post("/hub/me/", {"email": "maya"}).status_code == 422


def test_one_link_shows_every_programme_of_the_address(maya: Participant, person: Client) -> None:
    (message,) = ask(person, query="?lang=de")
    assert (message.subject, message.to) == ("Deine Partnerprogramme", [MAYA])
    link = link_in(message)
    shown = person.get(link)
    assert (shown.status_code, shown["Referrer-Policy"], HubAccess.objects.get().used_at) == (200, "same-origin", None)
    assert person.post(link).status_code == 303
    assert (person.post(link).status_code, person.get(link).status_code) == (410, 410)
    answer = person.get("/hub/me/")
    html = answer.content.decode()
    assert re.findall(r"<h2 id[^>]+><bdi>([^<]+)</bdi>", html) == ["Coffee", "Chairs"]
    assert ("<dd>$10</dd>" in html, "<dd>€0</dd>" in html) == (True, True)
    assert f"/r/{maya.referral_code}" in html
    assert ("Trial" in html, "ines@example.org" in html) == (False, False)
    assert answer["Cache-Control"] == "private, no-store"
    services.end(campaign=maya.campaign, actor=ACTOR)
    assert "The programme has ended. What you earned is not lost." in person.get("/hub/me/").content.decode()


def test_figures_cost_the_same_for_one_programme_and_for_many(maya: Participant, person: Client) -> None:
    log_in(person)
    with CaptureQueriesContext(connection) as few:
        person.get("/hub/me/")
    for number in range(3):
        make_participant(make_campaign(maya.tenant, name=f"More {number}"), MAYA)
    with CaptureQueriesContext(connection) as many:
        person.get("/hub/me/")
    assert (len(few), len(many)) == (len(many), 8)


def test_applications_stand_there_until_they_are_memberships(alice: Cast, maya: Participant, person: Client) -> None:
    campaign = make_campaign(alice.tenant, [percent_rule()], preset_key="affiliate_12_months", name="Partners")
    save_listing(campaign=campaign, actor=ACTOR, is_on=True, description="Coffee")
    applications.apply(campaign=campaign, email=MAYA, first_name="Maya", last_name="C")
    row = Application.objects.get()
    log_in(person)
    assert "Partners" not in person.get("/hub/me/").content.decode()
    confirm(application=row, actor=ACTOR)
    assert "Waiting for the merchant" in person.get("/hub/me/").content.decode()
    assert person.post("/hub/me/withdraw/", {"application": "apl_nothing"}).status_code == 404
    decline(application=row, actor=ACTOR, reason="Not <b>now</b>")
    assert person.post("/hub/me/withdraw/", {"application": row.public_id}).status_code == 303
    assert Application.objects.get().status == "declined"
    html = person.get("/hub/me/").content.decode()
    assert ("Declined" in html, "Not &lt;b&gt;now&lt;/b&gt;" in html) == (True, True)
    reconsider(application=row, actor=ACTOR)
    assert Client().post("/hub/me/withdraw/", {"application": row.public_id}).status_code == 303
    assert Application.objects.count() == 1
    assert person.post("/hub/me/withdraw/", {"application": row.public_id}).status_code == 303
    assert (Application.objects.count(), Event.objects.latest("pk").type) == (0, "application.withdrawn")


def test_a_button_opens_the_page_of_ones_own_programme_only(maya: Participant, person: Client) -> None:
    ines = Participant.objects.get(email_key="ines@example.org")
    assert person.post("/hub/me/page/", {"programme": maya.public_id})["Location"] == "/hub/me/"
    log_in(person)
    for other in (ines.public_id, Participant.objects.get(is_test=True).public_id, "pt_nothing"):
        assert person.post("/hub/me/page/", {"programme": other}).status_code == 404
    assert PortalSession.objects.count() == 0
    assert person.post("/hub/me/page/", {"programme": maya.public_id})["Location"] == "/me/"
    assert PortalSession.objects.get().participant == maya
    assert f"/r/{maya.referral_code}" in person.get("/me/").content.decode()


def test_a_page_opened_from_the_hub_is_as_old_as_the_proof(maya: Participant, person: Client) -> None:
    log_in(person)
    with time_machine.travel(timezone.now() + timedelta(minutes=20)):
        person.post("/hub/me/page/", {"programme": maya.public_id})
        session, access = PortalSession.objects.get(), HubAccess.objects.get()
        assert (session.created_at, session.expires_at) == (access.used_at, access.expires_at)
        assert not portal.is_fresh(session)
        portal.end_sessions(maya)
    assert "Coffee" not in person.get("/hub/me/").content.decode()
    assert person.post("/hub/me/page/", {"programme": maya.public_id})["Location"] == "/hub/me/"


def test_links_and_sessions_end(maya: Participant, person: Client, browser_client: Callable[..., Client]) -> None:
    link = log_in(person)
    other = browser_client()
    assert other.post(link).status_code == 410
    assert "Coffee" not in other.get("/hub/me/").content.decode()
    answer = person.post("/hub/me/out/")
    assert (answer["Location"], answer.cookies["hub"]["max-age"]) == ("/hub/", 0)
    assert "Coffee" not in person.get("/hub/me/").content.decode()
    (message,) = ask(person)
    with time_machine.travel(timezone.now() + timedelta(minutes=10, seconds=1)):
        assert person.post(link_in(message)).status_code == 410
    with time_machine.travel(timezone.now() + timedelta(days=1, minutes=1)):
        assert (hub_access.forget(), HubAccess.objects.count()) == (1, 1)
    with time_machine.travel(timezone.now() + timedelta(days=31)):
        assert (hub_access.forget(), HubAccess.objects.count()) == (1, 0)


def test_three_links_an_hour_go_to_an_address_and_five_a_minute_to_a_network(maya: Participant, person: Client) -> None:
    with time_machine.travel(timezone.now(), tick=False):
        sent = [len(ask(person)) for _number in range(5)]
        refused: Any = person.post("/hub/me/", {"email": MAYA})
    assert (sent, refused.status_code, "Retry-After" in refused) == ([1, 1, 1, 0, 0], 429, True)
