"""The page Invitations: a file in, what will happen, a press, what came of it."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from campaigns.models import Campaign
from participants.models import Invite, InviteList, InviteSettings
from referrals.events.models import Event
from referrals.hosted import invite_mail
from tests.factories import Cast, make_participant

FILE = "name,email,consent\nMaya,maya@example.net,yes\n=cmd(),ido@example.net,yes\nNo,no@example.net,no\nX,broken,yes\n"


def upload(alice: Cast, campaign: Campaign, text: str = FILE, consent: str = "column") -> Any:
    file = SimpleUploadedFile("customers.csv", text.encode(), "text/csv")
    address = f"/app/campaigns/{campaign.public_id}/invitations/"
    return alice.client.post(address, {"file": file, "consent": consent})


@pytest.fixture
def row(alice: Cast, campaign: Campaign) -> InviteList:
    answer = upload(alice, campaign)
    found = InviteList.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, f"/app/invitation-lists/{found.public_id}/")
    return found


def act(alice: Cast, row: InviteList, name: str) -> Any:
    return alice.client.post(f"/app/invitation-lists/{row.public_id}/", {"act": name})


def page(alice: Cast, row: InviteList) -> str:
    return " ".join(alice.client.get(f"/app/invitation-lists/{row.public_id}/").content.decode().split())


def rows_of(alice: Cast, row: InviteList, name: str) -> list[list[str]]:
    answer = alice.client.get(f"/app/invitation-lists/{row.public_id}/{name}.csv")
    text = b"".join(answer).decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text)))


def test_what_will_happen_stands_there_before_anything_is_sent(alice: Cast, row: InviteList) -> None:
    shown = page(alice, row)
    assert "2 people get the mail." in shown
    assert "Nothing has been sent yet." in shown
    assert "Did not agree to get mail" in shown
    assert "Invite 2 people" in shown
    assert "/me/mail-preview/" in shown
    assert rows_of(alice, row, "wrong")[1][:3] == ["5", "email", "broken"]
    assert Invite.objects.count() == 0


def test_a_press_sends_and_the_result_is_a_file(alice: Cast, row: InviteList) -> None:
    assert [act(alice, row, "confirm").status_code for _ in range(2)] == [302, 302]
    assert invite_mail.send_due() == 2
    shown = page(alice, row)
    assert "2 of 2 sent, at most 60 a minute" in shown
    head, *found = rows_of(alice, row, "result")
    assert head == "line email name state reason sent_at opened_at joined_at friend_paid link".split()
    assert [line[:5] for line in found] == [
        ["2", "maya@example.net", "Maya", "sent", ""],
        ["3", "ido@example.net", "\t=cmd()", "sent", ""],
        ["4", "no@example.net", "No", "left_out", "no_consent"],
    ]
    invite = Invite.objects.get(email_key="maya@example.net")
    assert found[0][9] == f"http://localhost:8000/r/{invite.code}"
    assert Event.objects.filter(type="export.made").count() == 1


def test_pausing_stopping_and_what_is_too_late(alice: Cast, row: InviteList) -> None:
    act(alice, row, "confirm")
    assert act(alice, row, "pause").status_code == 302
    assert "Go on" in page(alice, row)
    assert act(alice, row, "drop").status_code == 409
    assert act(alice, row, "stop").status_code == 302
    assert invite_mail.send_due() == 0
    answer = act(alice, row, "resume")
    assert answer.status_code == 409
    assert "Reload the page" in answer.content.decode()
    assert set(Invite.objects.values_list("state", "reason")) == {("left_out", "list_stopped")}


def test_a_list_thrown_away_is_gone(alice: Cast, campaign: Campaign, row: InviteList) -> None:
    answer = act(alice, row, "drop")
    assert answer["Location"] == f"/app/campaigns/{campaign.public_id}/invitations/"
    assert "customers.csv" not in alice.client.get(answer["Location"]).content.decode()


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "The file has no rows."), ("name\nMaya\n", "No column is called “email”.")],
)
def test_a_file_that_can_not_be_read_says_why(alice: Cast, campaign: Campaign, text: str, words: str) -> None:
    answer = upload(alice, campaign, text)
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert InviteList.objects.count() == 0


def test_a_file_without_consent_invites_nobody_unless_the_merchant_says_so(alice: Cast, campaign: Campaign) -> None:
    upload(alice, campaign, "email\nmaya@example.net\n")
    shown = page(alice, InviteList.objects.get())
    assert "0 people get the mail." in shown
    assert "no column called “consent”" in shown
    upload(alice, campaign, "email\nmaya@example.net\n", "all")
    assert "1 person gets the mail." in page(alice, InviteList.objects.latest("pk"))


def test_the_pace_and_what_goes_out_by_itself_are_settings(alice: Cast, campaign: Campaign) -> None:
    address = f"/app/campaigns/{campaign.public_id}/invitations/settings/"
    off = {"per_minute": "5", "nth": "1", "days_after": "7", "minimum": "", "needs_consent": "on"}
    for wrong in ({"per_minute": "0"}, {"nth": "0"}, {"days_after": "91"}, {"minimum": "0"}, {"minimum": "x"}):
        assert alice.client.post(address, off | wrong).status_code == 422
    assert InviteSettings.objects.count() == 0
    assert alice.client.post(address, off).status_code == 302
    assert Event.objects.filter(type="campaign.invites_changed").get().data == {"fields": ["per_minute"]}
    row = InviteSettings.objects.get()
    assert (row.per_minute, row.by_itself, row.since) == (5, False, None)
    alice.client.post(address, off | {"after_purchase": "on", "nth": "2", "minimum": "12.50"})
    row = InviteSettings.objects.get()
    assert (row.after_purchase, row.loop, row.nth, row.minimum_minor, row.days_after) == (True, False, 2, 1250, 7)
    assert row.since is not None
    assert "12.50" in alice.client.get(f"/app/campaigns/{campaign.public_id}/invitations/").content.decode()
    alice.client.post(address, off)
    row = InviteSettings.objects.get()
    assert (row.by_itself, row.since, row.minimum_minor) == (False, None, None)


def test_a_stranger_and_a_viewer(alice: Cast, bob: Cast, charlie: Cast, row: InviteList) -> None:
    address = f"/app/invitation-lists/{row.public_id}/"
    assert bob.client.get(address).status_code == 200
    assert bob.client.post(address, {"act": "confirm"}).status_code == 403
    assert [charlie.client.get(f"{address}{end}").status_code for end in ("", "wrong.csv", "result.csv")] == [404] * 3
    assert charlie.client.post(address, {"act": "confirm"}).status_code == 404
    assert Invite.objects.count() == 0


def test_hostile_texts_stay_texts(alice: Cast, campaign: Campaign) -> None:
    make_participant(campaign)
    upload(alice, campaign, 'name,email,consent\n<b>x</b>,"<script>alert(1)</script>",yes\n')
    shown = page(alice, InviteList.objects.get())
    assert "&lt;script&gt;alert(1)" in shown
    assert "<script>alert" not in shown


def test_links_for_a_newsletter(alice: Cast, bob: Cast, campaign: Campaign, row: InviteList) -> None:
    asha = make_participant(campaign, first_name="Asha")
    address = f"/app/campaigns/{campaign.public_id}/invitations/links.csv"
    text = b"".join(alice.client.get(address)).decode("utf-8-sig")
    assert list(csv.reader(io.StringIO(text))) == [
        ["email", "name", "link"],
        ["asha@example.com", "Asha", f"http://localhost:8000/r/{asha.referral_code}"],
    ]
    links = f"/app/invitation-lists/{row.public_id}/links/"
    assert bob.client.post(links).status_code == 403
    assert Invite.objects.count() == 0
    found = list(csv.reader(io.StringIO(b"".join(alice.client.post(links)).decode("utf-8-sig"))))
    assert [line[0] for line in found[1:]] == ["maya@example.net", "ido@example.net", "no@example.net"]
    assert found[1][2] == f"http://localhost:8000/r/{Invite.objects.get(email_key='maya@example.net').code}"
    assert set(Invite.objects.values_list("state", flat=True)) == {"ready"}


def test_the_page_has_the_form_for_the_thank_you_page(alice: Cast, campaign: Campaign) -> None:
    page = alice.client.get(f"/app/campaigns/{campaign.public_id}/invitations/").content.decode()
    assert f"http://localhost:8000/invited/for/{campaign.public_id}" in page
