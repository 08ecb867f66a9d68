"""Inviting friends by mail and reminding them: fixed words, ten a day, nobody twice, and nothing that tells who is known."""

from __future__ import annotations

import re
import threading
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core import mail as outbox
from django.core.mail import EmailMultiAlternatives
from django.db import connection
from django.test import Client
from django.utils import timezone

from campaigns import mails
from campaigns import services as campaigns
from campaigns.models import Campaign
from participants import inviting, mailing
from participants.models import (
    FriendInvitation,
    FriendReminder,
    MailOrder,
    NoInvite,
    Participant,
)
from referrals.accounts.tenancy import Tenant
from referrals.events.models import Event
from referrals.hosted import mail, orders
from referrals.hosted.models import Mail
from referrals.lib.errors import Refused
from rewards import bans
from tests.factories import ACTOR, Cast, buy, make_campaign, make_cast, make_friend, make_merchant, make_participant
from tests.hosted.test_portal import opened, text_of

LINK = r"http://localhost:8000/r/{}\?via=invite"


def invite(sender: Participant, *emails: str, consent: bool = True) -> list[FriendInvitation]:
    return inviting.invite(participant=sender, emails=emails, consent=consent, actor=ACTOR)


def refused(code: str, sender: Participant, *emails: str, **options: Any) -> Refused:
    """The refusal, and that nothing came of it."""
    before = (FriendInvitation.objects.count(), MailOrder.objects.count(), Event.objects.count())
    with pytest.raises(Refused) as caught:
        invite(sender, *emails, **options)
    assert caught.value.code == code
    assert (FriendInvitation.objects.count(), MailOrder.objects.count(), Event.objects.count()) == before
    return caught.value


def send_all() -> int:
    return sum(orders.send(pk) for pk in MailOrder.objects.order_by("pk").values_list("pk", flat=True))


def test_friends_are_invited_in_fixed_words_with_the_own_link(asha: Participant) -> None:
    rows = invite(asha, "maya@example.net", "ken@example.org", "MAYA@example.net")
    assert [row.email for row in rows] == ["maya@example.net", "ken@example.org"]
    assert [row.slot for row in rows] == [1, 2]
    assert (send_all(), send_all()) == (2, 0)
    first, second = outbox.outbox
    assert (first.to, second.to) == (["maya@example.net"], ["ken@example.org"])
    assert (first.subject, first.from_email) == (
        "Asha V. invites you to Halden Coffee",
        "Halden Coffee <no-reply@example.com>",
    )
    assert len(re.findall(LINK.format(asha.referral_code), str(first.body))) == 2
    assert "Join with your e-mail address and get $15 from Halden Coffee." in str(first.body)
    assert isinstance(first, EmailMultiAlternatives)
    assert "#c93a17" in str(first.alternatives[0][0])
    assert first.extra_headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert list(MailOrder.objects.values_list("to", "next_attempt_at").order_by("pk")) == [("", None)] * 2
    event = Event.objects.get(type="friend.invited")
    assert (event.participant_ref, event.data) == (asha.public_id, {"count": 2})
    assert "maya" not in str(list(Event.objects.values()))


@pytest.mark.parametrize(
    ("first", "last", "shown"),
    [
        ("Asha", "Verma", "Asha V."),
        ("Jean-Luc", "", "Jean-Luc"),
        ("Élodie", "4", "Élodie"),
        ("Win $500 now", "", ""),
        ("evil.example", "", ""),
        ("http://evil", "", ""),
        ("Buy this cheap pill", "", ""),
        ("A" * 41, "", ""),
        ("", "Verma", ""),
    ],
)
def test_a_mail_to_a_stranger_carries_names_only(first: str, last: str, shown: str) -> None:
    assert inviting.plain_name(Participant(first_name=first, last_name=last)) == shown


@pytest.mark.parametrize(
    ("emails", "code"),
    [
        ([], "blank"),
        (["maya@example.net", "maya@"], "email_invalid"),
        (["asha+2@example.com"], "own_address"),
        ([f"f{n}@example.net" for n in range(11)], "invitation_limit"),
    ],
)
def test_all_are_invited_or_none(asha: Participant, emails: list[str], code: str) -> None:
    refused(code, asha, *emails)


def test_consent_is_asked_for(asha: Participant) -> None:
    refused("consent_required", asha, "maya@example.net", consent=False)


def test_nobody_is_invited_twice_under_any_spelling(asha: Participant) -> None:
    invite(asha, "maya@example.net")
    found = refused("already_invited", asha, "ken@example.net", "Maya+x@Example.net")
    assert "Maya+x@Example.net" in found.message
    assert "ken" not in found.message


def test_ten_a_day_and_more_the_next_day(asha: Participant) -> None:
    invite(asha, *(f"f{n}@example.net" for n in range(8)))
    assert refused("invitation_limit", asha, "a@example.net", "b@example.net", "c@example.net").details == {"left": 2}
    invite(asha, "a@example.net", "b@example.net")
    assert refused("invitation_limit", asha, "c@example.net").details == {"left": 0}
    with time_machine.travel(timezone.now() + timedelta(days=1)):
        assert inviting.left_today(asha) == 10
        invite(asha, "c@example.net")


@pytest.mark.parametrize("why", ["campaign_paused", "mails_off", "referrer_banned"])
def test_no_invitations_where_nobody_should_be_written_to(asha: Participant, double: Campaign, why: str) -> None:
    if why == "campaign_paused":
        campaigns.pause(campaign=double, actor=ACTOR)
    elif why == "mails_off":
        mails.save_mail(campaign=double, kind="invite", is_on=False, language="en", subject="", opening="", actor=ACTOR)
    else:
        bans.ban(participant=asha, actor=ACTOR, reason="x")
    refused(why, Participant.objects.select_related("campaign__merchant").get(pk=asha.pk), "maya@example.net")


def test_who_is_not_to_be_written_to_is_not_and_nobody_learns_it(
    asha: Participant, double: Campaign, alice: Cast, person: Client
) -> None:
    autumn = make_campaign(alice.tenant, name="Autumn")
    member = make_participant(double, "member@example.net")
    stopped = make_participant(autumn, "stopped@example.net")
    mailing.stop(stopped)
    bounced = make_participant(autumn, "bounced@example.net")
    mailing.record_bounce(bounced, 550, "no such user")
    said_no = make_participant(double, "bea@example.com")
    (theirs,) = invite(
        said_no,
        "no@example.net",
    )
    inviting.stop_address(alice.tenant, theirs.key)
    invite(said_no, "twice@example.net")
    assert send_all() == 1
    quiet = ["member", "stopped", "bounced", "no", "twice"]
    html = opened(person, asha).post(
        "/me/invite", {"emails": "\n".join(f"{name}@example.net" for name in [*quiet, "new"]), "consent": "1"}
    )
    assert (html.status_code, html["Location"].endswith("&invited=6#invite")) == (303, True)
    outbox.outbox.clear()
    assert send_all() == 1
    assert [message.to for message in outbox.outbox] == [["new@example.net"]]
    text = text_of(person.get("/me/"))
    shown = re.findall(r"(\w+)@example\.net Invited on \d+ \w+\. You can remind them from \d+ \w+\. Invited", text)
    assert sorted(shown) == sorted([*quiet, "new"])
    assert member.email_key == "member@example.net"


def test_a_friend_says_no_by_a_press_and_by_a_mail_program(asha: Participant, person: Client, alice: Cast) -> None:
    invite(asha, "maya@example.net")
    send_all()
    address = outbox.outbox[0].extra_headers["List-Unsubscribe"].strip("<>").removeprefix("http://localhost:8000")
    assert "Stop these mails?" in text_of(person.get(address))
    assert NoInvite.objects.count() == 0
    for body in ({"List-Unsubscribe": "One-Click"}, {"wish": "all"}):
        assert "No more invitations" in text_of(person.post(address, body))
    assert NoInvite.objects.filter(merchant=alice.merchant, reason="stopped").count() == 1
    FriendInvitation.objects.all().delete()
    invite(make_participant(asha.campaign, "bea@example.com"), "maya+again@example.net")
    assert send_all() == 0
    assert "Stop these mails?" in text_of(person.post(address, {"wish": "resume"}))
    assert person.get(address + "x").status_code == 404


def test_the_portal_keeps_what_was_typed(asha: Participant, person: Client) -> None:
    opened(person, asha)
    answer = person.post("/me/invite", {"emails": "maya@example.net, nobody", "consent": "1"})
    assert answer.status_code == 422
    html = answer.content.decode()
    assert ">maya@example.net, nobody</textarea>" in html
    assert "“nobody” is no e-mail address. Correct it, or take it out." in html
    assert 'aria-describedby="invite-hint invite-error"' in html
    assert FriendInvitation.objects.count() == 0
    assert Client().post("/me/invite", {"emails": "maya@example.net"}).status_code == 302


def test_an_invited_friend_is_reminded_twice_a_week_apart(asha: Participant) -> None:
    (row,) = invite(asha, "maya@example.net")
    send_all()

    def remind() -> str:
        try:
            inviting.remind_invited(participant=asha, public_id=row.public_id, actor=ACTOR)
        except Refused as refusal:
            return refusal.code
        return "sent" if send_all() == 1 else "lost"

    start = timezone.now()
    said = []
    for days in (0, 6.9, 7.1, 7.1, 14, 14.2, 22):
        with time_machine.travel(start + timedelta(days=days)):
            said.append(remind())
    assert said == [
        "reminder_too_soon", "reminder_too_soon", "sent", "reminder_too_soon", "reminder_too_soon", "sent", "reminder_limit",
    ]  # fmt: skip
    assert [message.subject for message in outbox.outbox] == [
        "Asha V. invites you to Halden Coffee",
        "Asha V. reminds you of Halden Coffee",
        "Asha V. reminds you of Halden Coffee",
    ]


def test_a_refused_reminder_says_when_it_becomes_possible(asha: Participant, person: Client) -> None:
    maya = make_friend(asha, "maya@example.net", first_name="Maya")
    opened(person, asha)
    answer = person.post("/me/remind", {"friend": maya.public_id})
    assert answer.status_code == 429
    assert re.search(r"You can remind them from \d+ \w+ \d{4} on\.", text_of(answer))
    assert FriendReminder.objects.count() == 0


def test_a_friend_who_joined_is_reminded_until_they_buy(asha: Participant, person: Client) -> None:
    maya = make_friend(asha, "maya@example.net", first_name="Maya")
    mail.note_history()
    with time_machine.travel(timezone.now() + timedelta(days=8)):
        opened(person, asha)
        page = person.get("/me/").content.decode()
        assert f'name="friend" value="{maya.public_id}" aria-label="Remind Maya"' in page
        assert person.post("/me/remind", {"friend": maya.public_id}).status_code == 303
        assert mail.note_history() == 1
        row = Mail.objects.get(kind="reminder")
        assert (row.participant, mail.send_notice(row.pk), mail.send_notice(row.pk)) == (maya, True, False)
        assert outbox.outbox[-1].to == ["maya@example.net"]
        assert outbox.outbox[-1].subject == "Asha V. reminds you of Halden Coffee"
    with time_machine.travel(timezone.now() + timedelta(days=16)):
        again = inviting.remind_friend(participant=asha, public_id=maya.public_id, actor=ACTOR)
        mail.note_history()
        buy(maya, 5000)
        with pytest.raises(Refused, match="They have ordered"):
            inviting.remind_friend(participant=asha, public_id=maya.public_id, actor=ACTOR)
        # Bought between the press and the mail: nothing goes.
        assert mail.send_notice(Mail.objects.get(subject_id=again.public_id).pk) is False
    assert FriendReminder.objects.count() == 2


def test_only_ones_own_friends_can_be_reminded(asha: Participant) -> None:
    bea = make_participant(asha.campaign, "bea@example.com")
    friend, (row,) = make_friend(bea, "maya@example.net"), invite(bea, "ken@example.net")
    calls: list[Any] = [inviting.remind_friend, inviting.remind_invited]
    for call, public_id in zip(calls, [friend.public_id, row.public_id], strict=True):
        with pytest.raises(Refused) as caught:
            call(participant=asha, public_id=public_id, actor=ACTOR)
        assert (caught.value.code, caught.value.status) == ("friend_not_found", 404)
    row.refresh_from_db()
    assert (row.reminders, FriendReminder.objects.count()) == (0, 0)


def test_who_joined_through_the_link_stands_among_the_friends_only(asha: Participant, person: Client) -> None:
    (row,) = invite(asha, "maya@example.net")
    make_friend(asha, "maya@example.net", first_name="Maya")
    text = text_of(opened(person, asha).get("/me/"))
    assert "Maya Joined, no order yet." in text
    assert "maya@example.net" not in text
    with pytest.raises(Refused, match="They have joined"):
        inviting.remind_invited(participant=asha, public_id=row.public_id, actor=ACTOR)


def test_addresses_are_forgotten_and_still_not_invited_twice(asha: Participant) -> None:
    invite(asha, "maya@example.net")
    assert inviting.forget() == 0
    with time_machine.travel(timezone.now() + timedelta(days=91)):
        assert (inviting.forget(), inviting.forget()) == (1, 0)
        assert FriendInvitation.objects.values_list("email", "email_key").get() == ("", "")
        refused("already_invited", asha, "maya@example.net")


def test_test_mode_writes_to_the_team_only(alice: Cast) -> None:
    sender = make_participant(make_campaign(Tenant(alice.merchant, True)), "asha@example.com", first_name="Asha")
    invite(sender, "maya@example.net", alice.user.email)
    assert send_all() == 1
    assert (outbox.outbox[0].to, outbox.outbox[0].subject) == (
        [alice.user.email],
        "[Test] Asha invites you to Halden Coffee",
    )


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_at_once_share_the_ten_of_a_day() -> None:
    sender = make_participant(make_campaign(make_cast("a@example.com", make_merchant()).tenant), "asha@example.com")
    invite(sender, *(f"f{n}@example.net" for n in range(5)))
    outcomes: list[str] = []

    def press(name: str) -> None:
        try:
            invite(sender, *(f"{name}{n}@example.net" for n in range(4)))
            outcomes.append("sent")
        except Refused as refusal:
            outcomes.append(refusal.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=press, args=(name,)) for name in "xyz"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["invitation_limit", "invitation_limit", "sent"]
    assert FriendInvitation.objects.count() == 9
