"""Everybody's own link: the one they have, or one that is kept for them; the same one every time."""

from __future__ import annotations

import pytest

from campaigns.models import Campaign
from participants import invite_lists
from participants.models import Invite, Participant
from participants.personal_links import links_of_list, links_of_participants, personal_links
from referrals.lib.errors import Refused
from rewards import bans
from tests.factories import ACTOR, Cast, make_campaign, make_participant

PEOPLE = [("maya@example.net", "Maya"), ("Asha@example.com", ""), ("MAYA@example.net", "Again")]


def test_everybody_has_one_link(campaign: Campaign) -> None:
    asha = make_participant(campaign, "asha@example.com")
    first = personal_links(campaign=campaign, people=PEOPLE)
    invite = Invite.objects.get()
    maya = f"http://localhost:8000/r/{invite.code}"
    assert [(one.email, one.link) for one in first] == [
        ("maya@example.net", maya),
        ("Asha@example.com", f"http://localhost:8000/r/{asha.referral_code}"),
        ("MAYA@example.net", maya),
    ]
    assert [one.link for one in personal_links(campaign=campaign, people=PEOPLE)] == [one.link for one in first]
    assert (Invite.objects.count(), Participant.objects.count(), invite.state) == (1, 1, "ready")


def test_a_list_later_mails_the_very_link(campaign: Campaign) -> None:
    data = b"email,consent\nmaya@example.net,yes\nno@example.net,no\nmaya@example.net,yes\n"
    row = invite_lists.start(campaign=campaign, name="c.csv", data=data, everyone_agreed=False, actor=ACTOR)
    links = [(one.email, one.link) for one in links_of_list(row)]
    assert [email for email, _link in links] == ["maya@example.net", "no@example.net"]
    assert invite_lists.confirm(row=row, actor=ACTOR).state == "sending"
    invite = Invite.objects.get(state="queued")
    assert (invite.email, f"http://localhost:8000/r/{invite.code}") == links[0]
    assert Invite.objects.count() == 2


def test_participants_have_theirs_but_for_the_banned(campaign: Campaign) -> None:
    people = [make_participant(campaign, f"{name}@example.com") for name in ("asha", "bela", "cleo")]
    bans.ban(participant=people[1], actor=ACTOR, reason="x")
    found = [(one.email, one.link) for one in links_of_participants(campaign)]
    assert found == [(one.email, f"http://localhost:8000/r/{one.referral_code}") for one in (people[0], people[2])]


@pytest.mark.parametrize(
    ("people", "code", "field"),
    [
        ([("a@example.net", ""), ("b", "")], "email_invalid", "people[1].email"),
        ([("a@example.net", "n" * 81)], "too_long", "people[0].name"),
    ],
)
def test_all_or_nothing(campaign: Campaign, people: list[tuple[str, str]], code: str, field: str) -> None:
    with pytest.raises(Refused) as caught:
        personal_links(campaign=campaign, people=people)
    assert (caught.value.code, caught.value.field) == (code, field)
    assert Invite.objects.count() == 0


def test_a_draft_has_no_links(alice: Cast) -> None:
    draft = make_campaign(alice.tenant, launched=False)
    with pytest.raises(Refused) as caught:
        personal_links(campaign=draft, people=PEOPLE)
    assert (caught.value.code, Invite.objects.count()) == ("campaign_not_started", 0)
