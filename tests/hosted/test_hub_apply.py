"""Applying to a programme: nothing counts before the address is proved; once per address; strangers and members are answered alike."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.test import Client
from django.utils import timezone

from campaigns import services
from campaigns.listing_models import Listing
from campaigns.listings import Question, questions_of, save_listing
from participants import applications
from participants.models import Application, ApplicationMail, Participant, PortalLink
from referrals.events.models import Event
from referrals.hosted import hub_mail
from rewards.applications import approve, decline, reconsider
from tests.factories import ACTOR, Cast, make_campaign, make_participant, percent_rule

HOSTILE = '"><script>window.__xss=1</script>{{ 7*7 }}'


@pytest.fixture
def listing(alice: Cast) -> Listing:
    """A programme of Alice's that asks two questions and has terms."""
    campaign = make_campaign(alice.tenant, [percent_rule("20")], preset_key="affiliate_12_months", name="Partners")
    questions = [
        Question("Where do you write?", "choice", True, ("Blog", "Video")),
        Question("Its address", "url"),
        Question("Anything else?", "long"),
    ]
    return save_listing(
        campaign=campaign, actor=ACTOR, is_on=True, description="Coffee", terms="No spam.", questions=questions
    )


def fill(client: Client, listing: Listing, **values: str) -> dict[str, str]:
    """The form as it stands on the page, filled in well but for `values`."""
    token = re.search(r'name="token" value="([^"]+)"', client.get(f"/hub/{listing.slug}/").content.decode())
    assert token is not None
    where, page, more = (f"q-{question.key}" for question in questions_of(listing))
    named = {"where": where, "page": page, "more": more}
    data = {"email": "maya@example.net", "first_name": "Maya", "last_name": "C", "agree": "on", where: "Blog"}
    data |= {named.get(name, name): value for name, value in values.items()}
    return data | {"token": values.get("token", token[1])}


def submit(client: Client, listing: Listing, **values: str) -> Any:
    return client.post(f"/hub/{listing.slug}/", fill(client, listing, **values))


def send_mails() -> list[mail.EmailMessage]:
    """Send what waits; only what was sent by that."""
    before = len(mail.outbox)
    hub_mail.sweep()
    return mail.outbox[before:]


def link_in(message: mail.EmailMessage) -> str:
    found = re.search(r"http://localhost:8000(/hub/applications/\S+)", str(message.body))
    assert found is not None
    return found[1]


def told() -> list[str]:
    return list(Event.objects.filter(type__startswith="application.").order_by("pk").values_list("type", flat=True))


def test_an_application_counts_once_its_address_is_proved(listing: Listing, person: Client) -> None:
    answer = submit(person, listing, page="https://Blog.example.com/x", more="One\r\n\r\n\r\nTwo")
    assert (answer.status_code, answer["Location"]) == (303, f"/hub/{listing.slug}/sent/")
    assert "Look into your mail" in person.get(answer["Location"]).content.decode()
    row = Application.objects.get()
    assert (row.status, row.email, row.name, told()) == ("unconfirmed", "maya@example.net", "Maya C", [])
    assert [(a["label"], a["value"]) for a in row.answers] == [
        ("Where do you write?", "Blog"), ("Its address", "https://blog.example.com/x"), ("Anything else?", "One\n\nTwo"),
    ]  # fmt: skip
    (message,) = send_mails()
    assert (message.to, message.subject) == (["maya@example.net"], "Send your application: Partners")
    link = link_in(message)
    shown = person.get(link)
    assert "Send my application" in shown.content.decode()
    assert (shown["Cache-Control"], shown["Referrer-Policy"]) == ("private, no-store", "same-origin")
    assert Application.objects.get().status == "unconfirmed"
    for _twice in range(2):
        assert person.post(link).status_code == 303
    row.refresh_from_db()
    assert (row.status, row.confirmed_at is not None, row.participant) == ("waiting", True, None)
    assert (told(), Participant.objects.count()) == (["application.received"], 0)
    assert "Your application is with the merchant" in person.get(link).content.decode()
    assert send_mails() == []


def test_applying_again_replaces_what_is_not_confirmed_and_then_shows_the_state(
    listing: Listing, person: Client
) -> None:
    submit(person, listing)
    (first,) = send_mails()
    submit(person, listing, where="Video", email="Maya@Example.net")
    (second,) = send_mails()
    row = Application.objects.get()
    assert row.answers[0]["value"] == "Video"
    assert (person.get(link_in(first)).status_code, person.get(link_in(second)).status_code) == (410, 200)
    person.post(link_in(second))
    submit(person, listing, where="Blog")
    (third,) = send_mails()
    assert third.subject == "Your application: Partners"
    assert "Your application is with the merchant" in person.get(link_in(third)).content.decode()
    assert Application.objects.get().answers[0]["value"] == "Video"
    assert submit(person, listing).status_code == 303  # the fourth within an hour is mailed to nobody
    assert (send_mails(), told()) == ([], ["application.received"])


def test_members_and_strangers_are_answered_alike(listing: Listing, browser_client: Callable[..., Client]) -> None:
    member = make_participant(listing.campaign, "maya@example.net")
    answers = [submit(browser_client(), listing, email=email) for email in ("maya@example.net", "new@example.net")]
    assert answers[0]["Location"] == answers[1]["Location"]
    assert PortalLink.objects.filter(participant=member).count() == 1
    assert list(Application.objects.values_list("email_key", flat=True)) == ["new@example.net"]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"email": "maya"}, "maya"),
        ({"first_name": " "}, "Please answer this."),
        ({"where": ""}, "Please answer this."),
        ({"where": "Radio"}, "Choose one of the answers."),
        ({"page": "javascript:alert(1)"}, "Enter a full web address"),
        ({"more": "x" * 2001}, "at most 2000 characters"),
        ({"agree": ""}, "Read the terms and tick this to apply."),
        ({"company": "ACME"}, "That looked like a machine&#x27;s entry."),
        ({"token": "forged"}, "This page was open for a long time."),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_kept(
    listing: Listing, person: Client, values: dict[str, str], text: str
) -> None:
    answer = submit(person, listing, **values)
    assert (answer.status_code, text in answer.content.decode()) == (422, True)
    assert answer["Cache-Control"] == "private, no-store"
    assert (Application.objects.count(), ApplicationMail.objects.count()) == (0, 0)


def test_one_network_sends_five_a_minute(listing: Listing, person: Client) -> None:
    with time_machine.travel(timezone.now(), tick=False):
        answers = [submit(person, listing, email=f"p{n}@example.net") for n in range(6)]
    assert [answer.status_code for answer in answers] == [303] * 5 + [429]
    assert 0 < int(answers[5]["Retry-After"]) <= 60
    assert Application.objects.count() == 5


def test_automatic_approval_lets_in_at_once_and_mails_the_link(listing: Listing, person: Client) -> None:
    save_listing(campaign=listing.campaign, actor=ACTOR, approval="automatic")
    answer = person.post(f"/hub/{listing.slug}/?lang=de", fill(person, listing))
    assert answer["Location"] == f"/hub/{listing.slug}/sent/?lang=de"
    (message,) = send_mails()
    assert message.subject == "Schick deine Bewerbung ab: Partners"
    person.post(link_in(message))
    maya = Participant.objects.get()
    row = Application.objects.get()
    assert (row.status, row.participant, maya.source, maya.language) == ("approved", maya, "hub", "de")
    assert (maya.first_name, maya.last_name) == ("Maya", "C")
    assert told() == ["application.received", "application.approved"]
    (welcome,) = send_mails()
    assert welcome.subject == "Du bist dabei: Partners"
    assert f"/r/{maya.referral_code}" in str(welcome.body)
    assert "Du bist dabei" in person.get(link_in(message) + "?lang=de").content.decode()


def test_a_programme_that_closed_meanwhile_takes_nobody(listing: Listing, person: Client) -> None:
    submit(person, listing)
    (message,) = send_mails()
    services.pause(campaign=listing.campaign, actor=ACTOR)
    answer = person.post(link_in(message))
    assert (answer.status_code, "takes nobody at the moment" in answer.content.decode()) == (409, True)
    assert (Application.objects.get().status, told()) == ("unconfirmed", [])
    assert submit_closed(person, listing).status_code == 404


def submit_closed(client: Client, listing: Listing) -> Any:
    return client.post(f"/hub/{listing.slug}/", {"email": "x@example.net"})


def test_mails_say_what_is_true_when_they_go(listing: Listing, person: Client) -> None:
    submit(person, listing)
    (message,) = send_mails()
    person.post(link_in(message))
    row = Application.objects.get()
    decline(application=row, actor=ACTOR, reason="Too <b>far</b>\naway")
    reconsider(application=row, actor=ACTOR)
    with time_machine.travel(timezone.now() + timedelta(minutes=2)):
        assert send_mails() == []
    decline(application=row, actor=ACTOR, reason="Too <b>far</b>\naway")
    assert send_mails() == []
    with time_machine.travel(timezone.now() + timedelta(minutes=2)):
        (refusal,) = send_mails()
    assert refusal.subject == "About your application: Partners"
    assert "Halden Coffee writes:\n\nToo <b>far</b>\n\naway" in str(refusal.body)
    assert "Too &lt;b&gt;far&lt;/b&gt;" in str(refusal.alternatives[0].content)  # type: ignore[attr-defined]
    assert "This time it was a no" in person.get(link_in(message)).content.decode()
    approve(application=row, actor=ACTOR)
    (welcome,) = send_mails()
    assert welcome.subject == "You are in: Partners"


def test_links_end_after_a_week_and_unconfirmed_ones_are_forgotten(listing: Listing, person: Client) -> None:
    submit(person, listing)
    (message,) = send_mails()
    with time_machine.travel(timezone.now() + timedelta(days=7, minutes=1)):
        assert person.get(link_in(message)).status_code == 410
        assert person.post(link_in(message)).status_code == 410
        assert applications.forget() == 1
    assert person.get("/hub/applications/forged/").status_code == 410
    assert (Application.objects.count(), told()) == (0, [])


def test_a_campaign_by_hand_lets_nobody_in_past_the_application(listing: Listing, person: Client) -> None:
    campaign = listing.campaign
    asha = make_participant(campaign, "asha@example.com")
    page = f"/campaign?id={campaign.public_id}"
    for answer in (person.get(page), person.post(page, {"email": "maya@example.net"})):
        assert (answer.status_code, answer["Location"]) == (303, f"http://localhost:8000/hub/{listing.slug}/")
    assert person.get(f"{page}&referralCode={asha.referral_code}").status_code == 200
    assert Participant.objects.count() == 1
    save_listing(campaign=campaign, actor=ACTOR, approval="automatic")
    assert person.get(page).status_code == 200


def test_hostile_answers_stay_texts_and_test_mode_is_quiet(alice: Cast, listing: Listing, person: Client) -> None:
    submit(person, listing, first_name=HOSTILE, more=HOSTILE)
    (message,) = send_mails()
    html = person.get(link_in(message)).content.decode()
    assert "<script>" not in html
    assert html.count("window.__xss=1") == 2
    assert "<script>" not in str(message.alternatives[0].content)  # type: ignore[attr-defined]
    row = Application.objects.get()
    Application.objects.update(is_test=True)
    row.refresh_from_db()
    applications.tell(row, ApplicationMail.CONFIRM)
    assert send_mails() == []
