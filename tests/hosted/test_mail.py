"""Mails to participants: one for each thing worth hearing of, never inside a transaction, and none lost to a broken mail server."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from io import BytesIO
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.core import mail as outbox
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.test import Client, override_settings
from django.utils import timezone, translation
from PIL import Image

from campaigns import mails
from campaigns import services as campaigns
from campaigns.models import Campaign
from participants import mailing, portal
from participants.models import Participant, PortalLink, Referral, Visit
from participants.visits import visit_row
from referrals.events import types
from referrals.events.services import record
from referrals.hosted import digest, letters, mail, mail_preview
from referrals.hosted.models import Bookmark, Mail
from referrals.lib.errors import Refused
from rewards import bans, lifecycle, payouts, refunds
from rewards.models import Reward
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant, walk
from tests.hosted.conftest import Inbox


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
    assert Bookmark.objects.filter(name="mails").count() == 1


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


def test_test_mode_writes_to_the_merchants_own_team_only(alice: Cast) -> None:
    tenant = type(alice.tenant)(alice.merchant, True)
    campaign = make_campaign(tenant)
    stranger = portal.send_link(make_participant(campaign))
    assert mail.send_portal_link(stranger.pk) is False
    stranger.refresh_from_db()
    assert (stranger.sent_at, stranger.used_at is not None) == (None, True)
    assert mail.send_portal_link(portal.send_link(make_participant(campaign, alice.user.email.upper())).pk) is True
    [message] = outbox.outbox
    assert str(message.subject).startswith("[Test] ")


def test_a_merchants_name_cannot_add_headers(double: Campaign, asha: Participant) -> None:
    double.merchant.name = 'Evil"\r\nBcc: x@example.org'
    double.merchant.save()
    mail.send_portal_link(portal.send_link(Participant.objects.get(pk=asha.pk)).pk)
    raw = outbox.outbox[0].message().as_bytes()
    parsed = message_from_bytes(raw, policy=policy.default)
    assert parsed["Bcc"] is None
    assert parsed["To"] == "asha@example.com"


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


def test_an_address_that_bounces_is_not_written_to_again(smtp: Inbox, reading: None, asha: Participant) -> None:
    smtp.reply = "550 5.1.1 <asha@example.com>: no such user"
    make_friend(asha, "maya@example.net")
    mail.sweep()
    row = Mail.objects.get(kind="friend_joined")
    assert (row.attempts, row.sent_at, row.next_attempt_at) == (1, None, None)
    bounce = mailing.bounce_of(asha)
    assert bounce is not None
    assert (bounce.code, bounce.text) == (550, "5.1.1 <asha@example.com>: no such user")
    smtp.reply = ""
    assert mail.send_portal_link(portal.send_link(asha).pk) is False
    assert mailing.clear_bounce(participant=asha, actor=ACTOR) == 1
    assert mail.send_portal_link(portal.send_link(asha).pk) is True
    assert [str(m["To"]) for m in smtp.mails] == ["asha@example.com"]


def test_a_full_mailbox_is_tried_again(smtp: Inbox, reading: None, asha: Participant) -> None:
    smtp.reply = "552 5.2.2 mailbox full"
    make_friend(asha, "maya@example.net")
    mail.sweep()
    assert mailing.bounce_of(asha) is None
    assert Mail.objects.get(kind="friend_joined").next_attempt_at is not None


def test_every_notice_can_be_unsubscribed_from_with_one_click(
    smtp: Inbox, reading: None, asha: Participant, person: Client
) -> None:
    make_friend(asha, "maya@example.net")
    mail.sweep()
    [message] = [m for m in smtp.mails if m["To"] == "asha@example.com"]
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    address = str(message["List-Unsubscribe"]).strip()
    assert address.startswith("<http://localhost:8000/me/mails/")
    path = address.strip("<>").removeprefix("http://localhost:8000")
    assert path in message.get_body(("plain",)).get_content()  # type: ignore[union-attr]  # it has a body
    asked = person.get(path)
    assert (asked.status_code, mailing.wants(asha, "friend_joined")) == (200, True)
    assert "Stop these mails?" in asked.content.decode()
    strict = Client(enforce_csrf_checks=True)
    done = strict.post(path, "List-Unsubscribe=One-Click", content_type="application/x-www-form-urlencoded")
    assert (done.status_code, mailing.stopped_kinds(asha)) == (200, {""})
    make_friend(asha, "noor@example.net")
    mail.sweep()
    assert len([m for m in smtp.mails if m["To"] == "asha@example.com"]) == 1
    assert mail.send_portal_link(portal.send_link(asha).pk) is True
    assert smtp.mails[-1]["List-Unsubscribe"] is None


def test_one_kind_of_mail_can_be_stopped_and_asked_for_again(asha: Participant, person: Client) -> None:
    path = f"/me/mails/{mailing.stop_token(asha, 'friend_joined')}"
    assert "Stopped" in person.post(path, {"wish": "kind"}).content.decode()
    assert [mailing.wants(asha, kind) for kind in ("friend_joined", "reward_due")] == [False, True]
    person.post(path, {"wish": "resume"})
    assert mailing.stopped_kinds(asha) == set()
    assert person.post(f"{path}x", {"wish": "all"}).status_code == 404
    assert mailing.stopped_kinds(asha) == set()


def test_a_merchant_switches_kinds_on_and_off_and_says_them_in_own_words(
    reading: None, double: Campaign, asha: Participant
) -> None:
    def save(kind: str, *, is_on: bool, subject: str = "", opening: str = "") -> None:
        mails.save_mail(
            campaign=double, kind=kind, is_on=is_on, language="en", subject=subject, opening=opening, actor=ACTOR
        )

    save("friend_joined", is_on=False)
    save("welcome", is_on=True, subject="Hello {name} of {merchant}", opening="<b>Good</b> to have you.")
    make_friend(asha, "maya@example.net")
    mail.sweep()
    told = Mail.objects.exclude(kind="reward_due").order_by("pk").values_list("kind", "participant__email")
    assert list(told) == [("welcome", "asha@example.com"), ("welcome", "maya@example.net")]
    message = outbox.outbox[0]
    assert message.subject == "Hello Asha of Halden Coffee"
    assert "<b>Good</b> to have you." in str(message.body)
    assert isinstance(message, EmailMultiAlternatives)
    assert "&lt;b&gt;Good&lt;/b&gt; to have you." in str(message.alternatives[0][0])
    with pytest.raises(Refused, match="one line"):
        save("welcome", is_on=True, subject="a\nBcc: x@example.org")


def test_a_milestone_is_told_and_what_the_merchant_has_to_mend_is_not(reading: None, alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, [fixed_rule(5000, trigger="milestone", nth=1, review_days=14)])
    asha = make_participant(campaign)
    buy(make_friend(asha, "maya@example.net"), 5000)
    reward = Reward.objects.get(participant=asha)
    assert mail.sweep() == 2
    lifecycle.approve(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR)
    walk([reward.pk], "attention")
    with transaction.atomic():
        record(alice.tenant, ACTOR, lifecycle.reward_happening(types.REWARD_FAILED, reward, {}))
    assert mail.sweep() == 0
    assert sorted(str(message.subject) for message in outbox.outbox) == [
        "A friend joined through your link",
        "You have reached a milestone: $50 in cash",
    ]


def test_the_logo_travels_with_the_mail(double: Campaign, asha: Participant) -> None:
    picture = BytesIO()
    Image.new("RGB", (64, 32), "red").save(picture, "PNG")
    campaigns.set_image(campaign=double, kind="logo", upload=picture.getvalue(), actor=ACTOR)
    mail.send_portal_link(portal.send_link(asha).pk)
    message = message_from_bytes(outbox.outbox[0].message().as_bytes(), policy=policy.default)
    assert message.get_content_type() == "multipart/related"
    [body, logo] = message.iter_parts()
    assert (body.get_content_type(), logo["Content-ID"]) == ("multipart/alternative", "<logo>")
    assert b'src="cid:logo"' in outbox.outbox[0].message().as_bytes()


@pytest.mark.parametrize(
    ("code", "text", "at_rcpt", "hard"),
    [
        (550, "5.1.1 no such user", True, True),
        (550, "no such user", True, True),
        (553, "mailbox name not allowed", True, True),
        (550, "5.7.1 relaying denied", True, False),
        (554, "5.7.1 blocked by policy", False, False),
        (550, "content refused", False, False),
        (550, "5.1.10 null MX", False, True),
        (550, "5.2.1 mailbox disabled", True, True),
        (552, "5.2.2 mailbox full", True, False),
        (554, "transaction failed", True, False),
        (450, "4.1.1 try later", True, False),
    ],
)
def test_only_what_is_said_of_the_address_is_a_bounce(code: int, text: str, *, at_rcpt: bool, hard: bool) -> None:
    assert mailing.is_hard(code, text, at_rcpt=at_rcpt) is hard


def test_a_bounce_stands_on_the_persons_page_until_somebody_clears_it(asha: Participant, alice: Cast) -> None:
    assert mailing.record_bounce(asha, 550, "5.1.1 no\x00 such user") is True
    assert mailing.record_bounce(asha, 550, "5.1.1 no such user") is False
    page = f"/app/participants/{asha.public_id}/"
    assert "said 550 <bdi>5.1.1 no such user</bdi>" in alice.client.get(page).content.decode()
    alice.client.post(f"{page}mail/")
    assert mailing.bounce_of(asha) is None
    assert "said 550" not in alice.client.get(page).content.decode()


def test_the_mails_page_saves_previews_and_sends_a_test(double: Campaign, alice: Cast) -> None:
    page = f"/app/campaigns/{double.public_id}/mails/"
    values = {
        "kind": "friend_joined",
        "language": "en",
        "subject": "Hi {name}: {friend}",
        "opening": "<i>Well</i> done",
    }
    assert alice.client.post(page, values).status_code == 302
    assert mails.mail_setting(double, "friend_joined").is_on is False
    assert alice.client.post(page, values | {"is_on": "on", "subject": "x" * 121}).status_code == 422
    assert alice.client.post(page, values | {"is_on": "on"}).status_code == 302
    shown = alice.client.get(f"{page}?kind=friend_joined").content.decode()
    address = re.search(r'<iframe[^>]* src="([^"]+)" sandbox>', shown)
    assert address is not None
    frame = Client().get(address[1])
    policy_text = frame["Content-Security-Policy"]
    assert "default-src 'none'" in policy_text
    assert "sandbox" in policy_text
    assert "script-src" not in policy_text
    assert "&lt;i&gt;Well&lt;/i&gt; done" in frame.content.decode()
    text = Client().get(f"{address[1]}?as=text")
    assert text["Content-Type"] == "text/plain; charset=utf-8"
    assert text.content.decode().startswith("Hi Asha: Maya C.\n")
    assert Client().get(f"{address[1]}x").status_code == 404
    place = list(mails.KINDS).index("friend_joined")
    assert alice.client.post(f"{page}test/", values).status_code == 302
    assert mail_preview.send_test(double.pk, place, 0, alice.user.pk) is True
    assert [(str(m.subject), m.to) for m in outbox.outbox] == [("Hi Asha: Maya C.", [alice.user.email])]
    assert mail_preview.send_test(double.pk, place, 0, 0) is False


@pytest.mark.parametrize("kind", list(mails.KINDS))
def test_every_kind_has_a_sample_in_every_language(double: Campaign, kind: str) -> None:
    for language in ("en", "de", "ar"):
        with translation.override(language):
            html = letters.html_of(double, mail_preview.sample(double, kind))
            assert f'dir="{"rtl" if language == "ar" else "ltr"}"' in html


def test_the_digest_comes_once_a_week_to_whom_something_happened(double: Campaign, asha: Participant) -> None:
    make_participant(double, "quiet@example.org")
    make_friend(asha, "maya@example.net")
    wednesday = datetime(2026, 11, 18, 12, tzinfo=UTC)
    Referral.objects.update(created_at=wednesday)
    rows = [visit_row(referrer=asha, visitor=name, at=wednesday) for name in ("one", "one", "two")]
    Visit.objects.bulk_create([*rows, visit_row(referrer=asha, visitor="bot", at=wednesday, hidden_reason="bot")])
    monday = datetime(2026, 11, 23, 20, tzinfo=UTC)
    with time_machine.travel(monday):
        assert digest.make_digests() == 0  # nobody turned it on
    mails.save_mail(campaign=double, kind="digest", is_on=True, language="en", subject="", opening="", actor=ACTOR)
    with time_machine.travel(monday + timedelta(days=1)):
        assert digest.make_digests() == 0
    with time_machine.travel(monday):
        assert (digest.make_digests(), digest.make_digests()) == (1, 0)
        row = Mail.objects.get(kind="digest")
        assert (row.participant, row.subject_id) == (asha, "2026-W47")
        assert (mail.send_notice(row.pk), mail.send_notice(row.pk)) == (True, False)
    [message] = outbox.outbox
    assert message.subject == "Your week at Halden Coffee"
    assert "2 people opened your link.\n\n1 friend joined." in str(message.body)


@pytest.mark.parametrize(
    ("moment", "zone", "week"),
    [
        (datetime(2026, 11, 23, 8, tzinfo=UTC), "UTC", "2026-W47"),
        (datetime(2026, 11, 23, 7, 59, tzinfo=UTC), "UTC", None),
        (datetime(2026, 11, 24, 8, tzinfo=UTC), "UTC", None),
        (datetime(2026, 11, 22, 23, tzinfo=UTC), "Asia/Tokyo", "2026-W47"),
        (datetime(2027, 1, 4, 9, tzinfo=UTC), "UTC", "2026-W53"),
    ],
)
def test_a_digest_tells_of_the_week_that_just_ended(moment: datetime, zone: str, week: str | None) -> None:
    found = digest.week_before(moment, ZoneInfo(zone))
    assert (found[0] if found else None) == week
    if found:
        assert found[2] - found[1] == timedelta(days=7)
        assert found[1].weekday() == 0
