"""Double opt-in: joining counts once the mailed link is confirmed; nobody's reward is decided before (docs/hosted.md)."""

from __future__ import annotations

import re
import smtplib
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest.mock import Mock

import pytest
import time_machine
from django.core import mail as outbox
from django.core.mail import EmailMultiAlternatives
from django.test import Client
from django.utils import timezone

from campaigns import services
from campaigns.models import Campaign, Status
from participants import confirming
from participants.models import Agreement, JoinRequest, Participant, PortalLink, Referral
from referrals.events.models import Event
from referrals.hosted import confirm_mail
from rewards.models import Reward
from tests.factories import ACTOR, make_participant
from tests.hosted.test_join import submit
from tests.hosted.test_join_form import ask
from tests.hosted.test_portal import opened
from tests.hosted.test_script import MAYA, SHOP, send


@pytest.fixture
def careful(double: Campaign) -> Campaign:
    """A campaign that wants addresses confirmed."""
    return ask(double, confirms_email=True)


def mailed() -> str:
    """The address in the newest mail, without its site."""
    confirm_mail.send(JoinRequest.objects.latest("pk").pk)
    found = re.findall(r"http://localhost:8000(/campaign/confirm\?t=\S+)", str(outbox.outbox[-1].body))
    return str(found[-1])


def test_nothing_is_decided_before_the_mail_is_confirmed(
    careful: Campaign, asha: Participant, person: Client, browser_client: Callable[..., Client]
) -> None:
    answer = submit(person, careful, asha.referral_code, first_name="Maya")
    assert answer.status_code == 303
    assert "Look into your mail" in person.get(answer["Location"]).content.decode()
    assert (Participant.objects.count(), Referral.objects.count(), Reward.objects.count()) == (1, 0, 0)
    [request] = confirming.waiting_for(asha)
    assert (request.email, request.mails, confirming.count_waiting(careful)) == ("maya@example.net", 1, 1)
    portal = opened(browser_client(), asha).get("/me/").content.decode()
    assert "1 friend waits for confirmation" in portal
    assert "maya@example.net" not in portal
    address = mailed()
    assert outbox.outbox[-1].subject == "Please confirm your address for Halden Coffee"
    other = browser_client()
    looked = other.get(address)
    assert (looked.status_code, looked["Referrer-Policy"], Participant.objects.count()) == (200, "no-referrer", 1)
    assert other.head(address).status_code == 200
    done = other.post(address)
    assert done.status_code == 303
    maya = Participant.objects.get(email_key="maya@example.net")
    assert (maya.source, maya.first_name, maya.referral.referrer) == ("hosted", "Maya", asha)
    assert Reward.objects.filter(participant=maya, side="invitee").count() == 1
    assert f"/r/{maya.referral_code}" in other.get(done["Location"]).content.decode()
    # Pressed again it is the same person.
    assert other.post(address).status_code == 303
    assert (Participant.objects.count(), Reward.objects.count(), confirming.count_waiting(careful)) == (2, 1, 0)
    told = list(Event.objects.filter(type__in=["join.requested", "participant.created"]).order_by("pk"))
    assert [(event.type, event.referrer_ref) for event in told][-2:] == [
        ("join.requested", asha.public_id),
        ("participant.created", ""),
    ]


def test_known_and_new_addresses_are_asked_alike(careful: Campaign, browser_client: Callable[..., Client]) -> None:
    make_participant(careful, "ines@example.org", first_name="Ines")
    answers = []
    for email in ("maya@example.net", "ines@example.org"):
        client = browser_client()
        answer = submit(client, careful, email=email)
        # The token names the request by its number, which may have a digit more than the one before.
        address, token = answer["Location"].rstrip("/").rsplit("/", 1)
        answers.append((address, client.get(answer["Location"]).content.decode().replace(email, "").replace(token, "")))
    assert answers[0][0] == answers[1][0]
    assert answers[0][1] == answers[1][1]
    address = mailed()
    assert browser_client().post(address).status_code == 303
    assert Participant.objects.count() == 1


def test_asked_twice_is_one_request_with_the_first_referrer(
    careful: Campaign, asha: Participant, person: Client
) -> None:
    bela = make_participant(careful, "bela@example.org")
    submit(person, careful)
    for code in (asha.referral_code, bela.referral_code):
        submit(Client(), careful, code)
    row = JoinRequest.objects.get()
    assert (row.referrer, row.link_code, row.mails) == (asha, asha.referral_code, 3)
    person.post(mailed())
    assert Referral.objects.get().referrer == asha


def test_mails_are_limited_and_the_answer_does_not_say_so(careful: Campaign, person: Client) -> None:
    waiting = submit(person, careful)["Location"]
    answers = {person.post(waiting).status_code for _time in range(4)}
    assert answers == {303}
    assert JoinRequest.objects.get().mails == 3
    assert "If another mail may go out" in person.get(f"{waiting}&again=1").content.decode()
    now = timezone.now()
    for hour in (2, 4):
        with time_machine.travel(now + timedelta(hours=hour)):
            for _time in range(4):
                person.post(waiting)
    assert JoinRequest.objects.get().mails == JoinRequest.MOST_MAILS


def test_a_request_is_over_after_three_days(careful: Campaign, person: Client) -> None:
    waiting = submit(person, careful)["Location"]
    address = mailed()
    with time_machine.travel(timezone.now() + timedelta(days=3, minutes=1)):
        assert person.get(address).status_code == person.post(address).status_code == 410
        assert person.get(waiting).status_code == 410
        assert (confirming.count_waiting(careful), Participant.objects.count()) == (0, 0)
        # Filled in again it begins anew, and the old link stays dead.
        submit(person, careful)
        assert person.post(address).status_code == 410
        assert person.post(mailed()).status_code == 303
    with time_machine.travel(timezone.now() + timedelta(days=8)):
        assert confirming.forget_requests() == 0
    with time_machine.travel(timezone.now() + timedelta(days=10)):
        assert confirming.forget_requests() == 1


@pytest.mark.parametrize("token", ["", "t=", "t=x", "w=x:y:z", "t=" + "a" * 2000])
def test_a_forged_token_is_too_old(careful: Campaign, person: Client, token: str) -> None:
    submit(person, careful)
    answer = person.post(f"/campaign/confirm?{token}")
    assert (answer.status_code, Participant.objects.count()) == (410, 0)


def test_the_page_that_waits_confirms_nothing(careful: Campaign, person: Client) -> None:
    waiting = submit(person, careful)["Location"]
    assert person.post(waiting.replace("w=", "t=")).status_code == 410
    assert Participant.objects.count() == 0


def test_a_campaign_that_is_paused_meanwhile_says_so_and_loses_nothing(careful: Campaign, person: Client) -> None:
    submit(person, careful)
    address = mailed()
    Campaign.objects.filter(pk=careful.pk).update(status=Status.PAUSED)
    answer = person.post(address)
    assert (answer.status_code, Participant.objects.count()) == (409, 0)
    assert "is paused" in answer.content.decode()
    Campaign.objects.filter(pk=careful.pk).update(status=Status.ACTIVE)
    assert person.post(address).status_code == 303


def test_the_script_waits_too(careful: Campaign, asha: Participant, client: Client) -> None:
    ask(careful, script_origins=[SHOP])
    for body in ({**MAYA, "code": asha.referral_code}, {"email": "asha@example.com"}):
        answer = send(client, careful, "participants", body).json()
        assert answer == {"joined": False, "waiting": True, "referralCode": "", "shareLink": ""}
    assert Participant.objects.count() == 1
    assert JoinRequest.objects.filter(referrer=asha, source="script").count() == 1


def test_what_was_accepted_is_kept_from_the_form(careful: Campaign, person: Client) -> None:
    services.save_texts(campaign=careful, language="en", actor=ACTOR, texts={"terms": "Be kind."})
    ask(careful, asks_terms=True, questions=[{"key": "team", "kind": "text", "labels": {"en": "Team"}}])
    now = timezone.now()
    with time_machine.travel(now, tick=False):
        submit(person, careful, terms="on", q_team="red")
        address = mailed()
    services.save_texts(campaign=careful, language="en", actor=ACTOR, texts={"terms": "Be rude."})
    with time_machine.travel(now + timedelta(hours=5), tick=False):
        person.post(address)
    agreement = Agreement.objects.get()
    assert (agreement.terms.text, agreement.agreed_at) == ("Be kind.", now)
    assert agreement.participant.metadata == {"team": "red"}


def test_a_broken_mail_server_loses_nothing(careful: Campaign, person: Client, settings: Any) -> None:
    submit(person, careful)
    pk = JoinRequest.objects.get().pk
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    assert confirm_mail.send(pk) is False
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    assert confirm_mail.sweep(10) == 0
    with time_machine.travel(timezone.now() + timedelta(minutes=20)):
        assert (confirm_mail.sweep(10), confirm_mail.sweep(10)) == (1, 0)
    assert (len(outbox.outbox), PortalLink.objects.count()) == (1, 0)


def test_a_mailbox_that_does_not_exist_is_not_tried_again(
    careful: Campaign, person: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(person, careful)
    row = JoinRequest.objects.get()
    dead = smtplib.SMTPRecipientsRefused({row.email: (550, b"5.1.1 No such user")})
    monkeypatch.setattr(EmailMultiAlternatives, "send", Mock(side_effect=dead))
    assert confirm_mail.send(row.pk) is False
    with time_machine.travel(timezone.now() + timedelta(minutes=20)):
        assert confirm_mail.sweep(10) == 0
    row.refresh_from_db()
    assert (row.mail_due_at, row.confirmed_at, Participant.objects.count()) == (None, None, 0)


def test_test_mode_writes_to_nobody_and_shows_the_link(alice_test: Campaign, person: Client) -> None:
    answer = submit(person, alice_test)
    assert confirm_mail.send(JoinRequest.objects.get().pk) is False
    page = person.get(answer["Location"]).content.decode()
    link = re.search(r'href="http://localhost:8000(/campaign/confirm\?t=[^"]+)"', page)
    assert link is not None
    assert person.post(link[1].replace("&amp;", "&")).status_code == 303
    assert (Participant.objects.count(), outbox.outbox) == (1, [])


@pytest.fixture
def alice_test(double: Campaign) -> Campaign:
    """The same on the test side."""
    Campaign.objects.filter(pk=double.pk).update(is_test=True, confirms_email=True)
    double.refresh_from_db()
    return double
