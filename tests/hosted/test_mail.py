"""Mails to participants: one for each thing worth hearing of, never inside a transaction, and none lost to a broken mail server."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
import time_machine
from aiosmtpd.controller import Controller
from django.core import mail as outbox
from django.core.mail import EmailMultiAlternatives
from django.test import Client, override_settings
from django.utils import timezone, translation

from campaigns import services as campaigns
from campaigns.models import Campaign
from participants import portal
from participants.models import Participant, PortalLink
from referrals.hosted import mail
from referrals.hosted.models import Bookmark, Mail
from rewards import bans, lifecycle, payouts, refunds
from rewards.models import Reward
from tests.factories import ACTOR, Cast, buy, make_campaign, make_friend, make_participant


def sent_texts() -> list[str]:
    return [str(message.body) for message in outbox.outbox]


@pytest.fixture
def reading(db: None) -> None:
    """The reader of the history has started before anything happens."""
    mail.note_history()


def test_a_link_is_mailed_once_and_opens_the_page(asha: Participant, person: Client) -> None:
    link = portal.send_link(asha)
    assert mail.send_portal_link(link.pk) is True
    assert mail.send_portal_link(link.pk) is False
    [message] = outbox.outbox
    assert (message.subject, message.to) == ("Your link and your page at Halden Coffee", ["asha@example.com"])
    assert message.from_email == "Halden Coffee <no-reply@example.com>"
    assert f"http://localhost:8000/r/{asha.referral_code}" in message.body
    address = re.search(r"http://localhost:8000(/me/open/\S+)", str(message.body))
    assert address is not None
    assert person.post(address[1]).status_code == 303


def test_a_mail_has_text_and_html_in_the_merchants_colour(asha: Participant) -> None:
    mail.send_portal_link(portal.send_link(asha).pk)
    [message] = outbox.outbox
    assert isinstance(message, EmailMultiAlternatives)
    [(html, kind)] = message.alternatives
    assert kind == "text/html"
    assert "background: #c93a17" in str(html)
    assert 'style="' in str(html)
    assert "prefers-color-scheme: dark" in str(html)
    assert "http" not in re.sub(r"http://localhost:8000\S*", "", str(html))


def test_the_time_of_a_link_starts_when_it_is_mailed(asha: Participant, person: Client) -> None:
    link = portal.send_link(asha)
    with time_machine.travel(timezone.now() + timedelta(hours=3)):
        assert mail.sweep() == 1
        address = re.search(r"(/me/open/\S+)", sent_texts()[0])
        assert address is not None
        assert person.post(address[1]).status_code == 303
    link.refresh_from_db()
    assert link.used_at is not None


def test_a_link_of_the_day_before_is_not_mailed(asha: Participant) -> None:
    portal.send_link(asha)
    with time_machine.travel(timezone.now() + timedelta(hours=25)):
        assert mail.sweep() == 0


def test_the_story_is_mailed_once_each(reading: None, asha: Participant, alice: Cast) -> None:
    maya = make_friend(asha, "maya@example.net", first_name="Maya", last_name="Chen")
    buy(maya, 5000)
    reward = Reward.objects.get(participant=asha)
    lifecycle.approve(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR)
    assert (mail.sweep(), mail.sweep()) == (3, 0)
    payouts.issue_by_hand(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR, key="press-0001")
    mail.sweep()
    mine = sorted(str(message.subject) for message in outbox.outbox if message.to == ["asha@example.com"])
    assert mine == [
        "$20 store credit has cleared",
        "Halden Coffee sent you $20 store credit",
        "Maya C. joined through your link",
    ]
    assert [str(m.subject) for m in outbox.outbox if m.to == ["maya@example.net"]] == ["$15 coupon has cleared"]
    assert not any("maya@example.net" in text or "Chen" in text for text in sent_texts())
    assert Mail.objects.filter(sent_at=None).count() == 0


def test_what_was_before_the_reader_started_is_not_mailed(asha: Participant) -> None:
    make_friend(asha, "maya@example.net")
    assert mail.sweep() == 0
    assert Mail.objects.count() == 0
    assert Bookmark.objects.count() == 1


def test_nobody_hears_of_a_reward_that_was_taken_back_meanwhile(reading: None, asha: Participant, alice: Cast) -> None:
    done = buy(make_friend(asha, "maya@example.net"), 5000)
    reward = Reward.objects.get(participant=asha)
    lifecycle.approve(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR)
    refunds.refund(tenant=alice.tenant, actor=ACTOR, source="manual", external_id="r1", event=done.event)
    mail.sweep()
    assert not any("store credit has cleared" in str(message.subject) for message in outbox.outbox)
    row = Mail.objects.get(participant=asha, kind="reward_due")
    assert (row.sent_at, row.next_attempt_at) == (None, None)


def test_a_banned_person_hears_nothing(reading: None, asha: Participant) -> None:
    make_friend(asha, "maya@example.net")
    bans.ban(participant=asha, actor=ACTOR, reason="x")
    mail.sweep()
    assert [message.to for message in outbox.outbox if "asha@example.com" in message.to] == []


def test_at_most_ten_mails_a_day_about_friends(reading: None, asha: Participant) -> None:
    for n in range(12):
        make_friend(asha, f"p{n}@example.net")
    mail.sweep()
    assert Mail.objects.filter(participant=asha, kind="friend_joined", sent_at__isnull=False).count() == 10


def test_mails_speak_the_participants_language(double: Campaign) -> None:
    campaigns.save_texts(campaign=double, language="de", actor=ACTOR, texts={"share_header": "Gib 15, nimm 20"})
    german = make_participant(double, "uwe@example.org", language="de")
    mail.send_portal_link(portal.send_link(german).pk)
    assert "Gib 15, nimm 20" in sent_texts()[0]
    assert translation.get_language() == "en"


def test_test_mode_is_said_in_the_subject(alice: Cast) -> None:
    tenant = type(alice.tenant)(alice.merchant, True)
    mail.send_portal_link(portal.send_link(make_participant(make_campaign(tenant))).pk)
    assert str(outbox.outbox[0].subject).startswith("[Test] ")


def test_a_merchants_name_cannot_add_headers(double: Campaign, asha: Participant) -> None:
    double.merchant.name = 'Evil"\r\nBcc: x@example.org'
    double.merchant.save()
    mail.send_portal_link(portal.send_link(Participant.objects.get(pk=asha.pk)).pk)
    raw = outbox.outbox[0].message().as_bytes()
    parsed = message_from_bytes(raw, policy=policy.default)
    assert parsed["Bcc"] is None
    assert parsed["To"] == "asha@example.com"


class Inbox:
    """A mail server on loopback that keeps what it takes, or refuses."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.refuse = False

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        if self.refuse:
            return "451 try later"
        parsed = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        self.mails.append(parsed)
        return "250 OK"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def smtp(settings: Any) -> Iterator[Inbox]:
    """Django's own SMTP backend, against a real server on loopback."""
    inbox, port = Inbox(), free_port()
    controller = Controller(inbox, hostname="127.0.0.1", port=port)
    controller.start()
    with override_settings(
        EMAIL_BACKEND="django.core.mail.backends.smtp.EmailBackend",
        EMAIL_HOST="127.0.0.1",
        EMAIL_PORT=port,
        EMAIL_TIMEOUT=5,
    ):
        yield inbox
    controller.stop()


def test_mails_leave_by_smtp(smtp: Inbox, asha: Participant) -> None:
    assert mail.send_portal_link(portal.send_link(asha).pk) is True
    [message] = smtp.mails
    assert message["Subject"] == "Your link and your page at Halden Coffee"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]


def test_a_refusing_mail_server_loses_nothing(smtp: Inbox, reading: None, asha: Participant) -> None:
    smtp.refuse = True
    make_friend(asha, "maya@example.net")
    portal.send_link(asha)
    with time_machine.travel(timezone.now() + timedelta(minutes=1)):
        assert mail.sweep() == 0
    assert Mail.objects.filter(kind="friend_joined", attempts=1, sent_at=None).count() == 1
    smtp.refuse = False
    with time_machine.travel(timezone.now() + timedelta(minutes=10)):
        mail.sweep()
    assert len([m for m in smtp.mails if m["To"] == "asha@example.com"]) == 2
    assert PortalLink.objects.filter(sent_at=None).count() == 0


@override_settings(
    EMAIL_BACKEND="django.core.mail.backends.smtp.EmailBackend", EMAIL_HOST="127.0.0.1", EMAIL_PORT=1, EMAIL_TIMEOUT=1
)
def test_without_a_mail_server_people_join_all_the_same(double: Campaign, person: Client) -> None:
    address = f"/campaign?id={double.public_id}"
    token = re.search(r'name="token" value="([^"]+)"', person.get(address).content.decode())
    assert token is not None
    assert person.post(address, {"email": "maya@example.net", "token": token[1]}).status_code == 303
    link = PortalLink.objects.get()
    assert mail.send_portal_link(link.pk) is False
    link.refresh_from_db()
    assert link.sent_at is None


def test_a_notice_is_given_up_after_three_days(reading: None, asha: Participant, settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", 1, 1
    make_friend(asha, "maya@example.net")
    mail.note_history()
    row = Mail.objects.get(kind="friend_joined")
    for _ in range(Mail.MOST_ATTEMPTS + 3):
        mail.send_notice(row.pk)
    row.refresh_from_db()
    assert (row.attempts, row.next_attempt_at, row.sent_at) == (Mail.MOST_ATTEMPTS, None, None)
