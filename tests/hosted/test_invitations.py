"""Invitations: sent once, so many a minute; the link works at once; opening shows and pressing acts."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core import mail as outbox
from django.test import Client
from django.utils import timezone

from campaigns import services as campaigns
from campaigns.models import Campaign
from participants import invite_lists, invites, mailing
from participants.models import Invite, InviteList, NoInvite, Participant, Visit
from referrals.hosted import invite_mail, orders
from rewards.personal import erase
from tests.factories import ACTOR, Cast, make_campaign, make_participant
from tests.hosted.conftest import Inbox

SCANNER = "Mozilla/5.0 (compatible; Barracuda Sentinel)"


def send_list(campaign: Campaign, count: int = 1, name: str = "Maya Chen") -> InviteList:
    rows = "".join(f"{name},p{n}@example.net,yes\n" for n in range(count))
    data = f"name,email,consent\n{rows}".encode()
    row = invite_lists.start(campaign=campaign, name="c.csv", data=data, everyone_agreed=False, actor=ACTOR)
    return invite_lists.confirm(row=row, actor=ACTOR)


def addresses() -> list[str]:
    return sorted(message.to[0] for message in outbox.outbox)


def later(minutes: float) -> Any:
    return time_machine.travel(timezone.now() + timedelta(minutes=minutes))


def page_of(invite: Invite) -> str:
    return f"/invited/{invites.token_of(invite)}"


@pytest.fixture
def invite(double: Campaign) -> Invite:
    send_list(double)
    return Invite.objects.get()


def test_an_invitation_has_the_own_link_a_page_and_a_way_to_stop(smtp: Inbox, double: Campaign, alice: Cast) -> None:
    send_list(double)
    assert (invite_mail.send_due(), invite_mail.send_due()) == (1, 0)
    [message] = smtp.mails
    found = Invite.objects.get()
    assert (message["Subject"], message["To"]) == ("Your own link for friends of Halden Coffee", "p0@example.net")
    assert message["Message-ID"] == f"<{found.public_id}@localhost>"
    text = message.get_body(("plain",))
    assert text is not None
    words = text.get_content()
    assert f"http://localhost:8000/r/{found.code}" in words
    assert f"http://localhost:8000{page_of(found)}" in words
    assert "You get $20 store credit" in words
    assert message["List-Unsubscribe"].strip() == f"<http://localhost:8000{page_of(found)}/stop>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert (found.state, found.attempts, found.next_attempt_at) == ("sent", 1, None)
    assert Participant.objects.filter(campaign=double).count() == 0


def test_the_mail_is_in_the_campaign_s_language(double: Campaign) -> None:
    Campaign.objects.filter(pk=double.pk).update(default_language="de")
    send_list(double)
    invite_mail.send_due()
    [message] = outbox.outbox
    assert message.subject == "Dein eigener Link für Freunde von Halden Coffee"
    assert "Das ist dein Link" in str(message.body)
    assert "You " not in str(message.body).replace(double.name, "")


def test_so_many_a_minute_leave(double: Campaign) -> None:
    invites.save_settings(double, ACTOR, per_minute=2)
    with time_machine.travel(timezone.now(), tick=False):
        row = send_list(double, 5)
        assert [invite_mail.send_due() for _ in range(3)] == [2, 0, 0]
    with later(2):
        assert invite_mail.send_due() == 2
    with later(4):
        assert (invite_mail.send_due(), invite_lists.work_all()) == (1, 1)
    assert addresses() == [f"p{n}@example.net" for n in range(5)]
    assert invite_lists.fresh(row).state == "done"


def test_all_campaigns_together_send_what_the_server_may(double: Campaign, settings: Any) -> None:
    settings.MAILS_PER_MINUTE = 1
    send_list(double, 3)
    assert (invite_mail.send_due(), len(outbox.outbox)) == (1, 1)


def test_a_worker_killed_between_claim_and_mail_loses_none_and_sends_none_twice(
    double: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_list(double, 3)
    hand_over, calls = orders.hand_over, []

    def killed(*args: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return hand_over(*args)

    monkeypatch.setattr(orders, "hand_over", killed)
    with pytest.raises(KeyboardInterrupt):
        invite_mail.send_due()
    assert addresses() == ["p0@example.net"]
    # Started again at once: the one that was claimed waits for its next try, and nobody gets a second mail.
    assert invite_mail.send_due() == 1
    with later(3):
        assert (invite_mail.send_due(), invite_mail.send_due()) == (1, 0)
    assert addresses() == ["p0@example.net", "p1@example.net", "p2@example.net"]


def test_a_mail_that_kills_its_worker_comes_to_an_end(double: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    send_list(double)

    def killed(*_args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(orders, "hand_over", killed)
    for attempt in range(invites.MOST_ATTEMPTS):
        with later(2 ** (attempt + 2)), pytest.raises(KeyboardInterrupt):
            invite_mail.send_due()
    with later(2**12):
        assert invite_mail.send_due() == 0
    found = Invite.objects.get()
    assert (found.state, found.reason, found.attempts) == ("failed", "gave_up", 9)


def test_a_server_that_takes_nothing_now_is_asked_again(smtp: Inbox, double: Campaign) -> None:
    smtp.refuse = True
    send_list(double)
    assert invite_mail.send_due() == 0
    smtp.refuse = False
    assert invite_mail.send_due() == 0
    with later(3):
        assert invite_mail.send_due() == 1
    assert len(smtp.mails) == 1


def test_an_address_that_bounces_is_never_invited_again(smtp: Inbox, double: Campaign, alice: Cast) -> None:
    smtp.reply = "550 5.1.1 no such user"
    send_list(double)
    assert invite_mail.send_due() == 0
    found = Invite.objects.get()
    assert (found.state, found.reason) == ("failed", "bounced")
    assert list(NoInvite.objects.values_list("reason", "code", "text")) == [("bounced", 550, "5.1.1 no such user")]
    assert invites.unwelcome(alice.tenant, ["p0@example.net", "p1@example.net"]) == {"p0@example.net": "bounced"}


def _join(campaign: Campaign) -> None:
    make_participant(campaign, "p0@example.net")


def _stop(campaign: Campaign) -> None:
    invites.refuse(campaign.tenant, "p0@example.net", "stopped")


def _stop_as_participant(campaign: Campaign) -> None:
    mailing.stop(make_participant(make_campaign(campaign.tenant, name="Other"), "p0@example.net"))


def _end(campaign: Campaign) -> None:
    campaigns.end(campaign=campaign, actor=ACTOR)


@pytest.mark.parametrize(
    ("happens", "reason"),
    [(_join, "participant"), (_stop, "stopped"), (_stop_as_participant, "stopped"), (_end, "campaign_ended")],
)
def test_what_is_no_longer_right_is_not_sent(
    double: Campaign, happens: Callable[[Campaign], None], reason: str
) -> None:
    send_list(double)
    happens(double)
    assert (invite_mail.send_due(), outbox.outbox) == (0, [])
    found = Invite.objects.get()
    assert (found.state, found.reason) == ("left_out", reason)


def test_a_paused_campaign_waits(double: Campaign) -> None:
    send_list(double)
    campaigns.pause(campaign=double, actor=ACTOR)
    assert invite_mail.send_due() == 0
    campaigns.resume(campaign=Campaign.objects.get(pk=double.pk), actor=ACTOR)
    assert invite_mail.send_due() == 1


def test_opening_shows_and_pressing_acts(invite: Invite, person: Client) -> None:
    page = person.get(page_of(invite))
    assert page.status_code == 200
    assert f"localhost:8000/r/{invite.code}" in page.content.decode()
    assert page["Referrer-Policy"] == "same-origin"
    assert Participant.objects.count() == 0
    invite.refresh_from_db()
    assert invite.opened_at is not None
    answer = person.post(page_of(invite))
    assert answer.status_code == 303
    assert invite.code in person.get(answer["Location"]).content.decode()
    made = Participant.objects.get()
    assert (made.referral_code, made.email, made.first_name, made.language) == (
        invite.code, "p0@example.net", "Maya", "en",
    )  # fmt: skip
    assert person.post(page_of(invite)).status_code == 303
    assert Participant.objects.count() == 1
    assert "You take part already" in person.get(page_of(invite)).content.decode()


def test_a_scanner_opens_nothing_and_joins_nobody(invite: Invite) -> None:
    scanner = Client(headers={"user-agent": SCANNER})
    assert scanner.get(page_of(invite)).status_code == 200
    led = scanner.get(f"/r/{invite.code}")
    assert (led.status_code, led["Location"]) == (302, f"/campaign?id={invite.campaign.public_id}")
    invite.refresh_from_db()
    assert (invite.opened_at, Participant.objects.count(), Visit.objects.count()) == (None, 0, 0)


def test_a_friend_who_opens_the_link_makes_its_owner_take_part(invite: Invite, person: Client) -> None:
    led = person.get(f"/r/{invite.code}")
    assert (led.status_code, led["Location"]) == (
        302,
        f"/campaign?id={invite.campaign.public_id}&referralCode={invite.code}",
    )
    owner = Participant.objects.get()
    assert (owner.email, owner.referral_code) == ("p0@example.net", invite.code)
    assert Visit.objects.filter(referrer=owner, hidden_reason="").count() == 1
    assert person.get(led["Location"]).status_code == 200


def test_the_link_of_somebody_who_joined_by_themselves_leads_to_theirs(invite: Invite, person: Client) -> None:
    owner = make_participant(invite.campaign, "p0@example.net")
    led = person.get(f"/r/{invite.code}")
    assert led["Location"] == f"/campaign?id={invite.campaign.public_id}&referralCode={owner.referral_code}"
    assert Participant.objects.count() == 1


def test_a_closed_campaign_says_so_and_nobody_joins(invite: Invite, person: Client) -> None:
    campaigns.pause(campaign=invite.campaign, actor=ACTOR)
    assert "taking a break" in person.get(page_of(invite)).content.decode()
    assert person.post(page_of(invite)).status_code == 200
    assert person.get(f"/r/{invite.code}")["Location"] == f"/campaign?id={invite.campaign.public_id}"
    assert Participant.objects.count() == 0


def test_stopping_asks_first_and_can_be_taken_back(invite: Invite, person: Client, alice: Cast) -> None:
    address = f"{page_of(invite)}/stop"
    assert "Stop invitations?" in person.get(address).content.decode()
    assert invites.unwelcome(alice.tenant, ["p0@example.net"]) == {}
    # One press in a mail program (RFC 8058).
    person.post(address, {"List-Unsubscribe": "One-Click"})
    assert invites.unwelcome(alice.tenant, ["p0@example.net"]) == {"p0@example.net": "stopped"}
    page = person.post(address, {"wish": "stop"}).content.decode()
    assert "No more invitations" in page
    assert "p0@example.net" not in page
    person.post(address, {"wish": "resume"})
    assert invites.unwelcome(alice.tenant, ["p0@example.net"]) == {}


@pytest.mark.parametrize("end", ["", "/stop"])
def test_a_broken_address_is_nobody_s(invite: Invite, person: Client, end: str) -> None:
    broken = re.sub(r"^/invited/.", "/invited/X", page_of(invite))
    answers = [person.get(f"{broken}{end}"), person.post(f"{broken}{end}")]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert (Participant.objects.count(), NoInvite.objects.count()) == (0, 0)


def test_a_campaign_that_asks_for_more_leads_to_its_own_form(invite: Invite, person: Client) -> None:
    questions = [{"key": "shop", "kind": "text", "required": True, "label": {"en": "Your shop"}, "choices": {}}]
    Campaign.objects.filter(pk=invite.campaign_id).update(questions=questions)
    answer = person.post(page_of(invite))
    assert (answer.status_code, answer["Location"]) == (303, f"/campaign?id={invite.campaign.public_id}")
    assert Participant.objects.count() == 0


def test_who_asks_to_be_erased_is_written_to_no_more_and_their_link_leads_to_nobody(
    double: Campaign, invite: Invite, person: Client
) -> None:
    page = page_of(invite)
    asha = make_participant(double, "p0@example.net")
    erase(participant=asha, actor=ACTOR)
    invite.refresh_from_db()
    assert ("p0@" in invite.email, invite.name) == (False, "")
    assert invite_mail.send_due() == 0
    invite.refresh_from_db()
    assert (invite.state, invite.reason) == ("left_out", "erased")
    assert [person.get(page).status_code, person.post(page).status_code] == [404, 404]
    assert person.get(f"/r/{invite.code}").status_code == 404


def test_the_kept_code_of_an_erased_participant_leads_to_nobody(invite: Invite, person: Client) -> None:
    assert person.get(f"/r/{invite.code}").status_code == 302
    erase(participant=Participant.objects.get(), actor=ACTOR)
    assert person.get(f"/r/{invite.code}").status_code == 404
    assert person.get(page_of(invite)).status_code == 404
