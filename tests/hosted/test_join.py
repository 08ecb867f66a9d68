"""Joining by form: no session, no script; known and new addresses are answered alike; nobody is referred twice or by themselves."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core import signing
from django.db import DatabaseError
from django.test import Client
from django.utils import timezone

from campaigns.models import Campaign
from participants.models import Participant, PortalLink, Referral
from referrals.accounts import limits
from referrals.hosted import join as joining
from rewards.models import Reward
from tests.factories import make_campaign, make_participant


def submit(client: Client, campaign: Campaign, code: str = "", **values: str) -> Any:
    """Fill in the form as it stands on the page."""
    address = f"/campaign?id={campaign.public_id}" + (f"&referralCode={code}" if code else "")
    token = re.search(r'name="token" value="([^"]+)"', client.get(address).content.decode())
    assert token is not None
    return client.post(address, {"email": "maya@example.net", "token": token[1], **values})


def test_a_friend_joins_and_sees_their_own_link(double: Campaign, asha: Participant, person: Client) -> None:
    answer = submit(person, double, asha.referral_code)
    assert answer.status_code == 303
    maya = Participant.objects.get(email_key="maya@example.net")
    assert (maya.source, maya.language, maya.fraud_level) == ("hosted", "en", "")
    referral = Referral.objects.get(invitee=maya)
    assert (referral.referrer, referral.how, referral.visit_id is not None) == (asha, "code", True)
    assert Reward.objects.filter(participant=maya, side="invitee", amount_minor=1500).count() == 1
    assert PortalLink.objects.filter(participant=maya).count() == 1
    html = person.get(answer["Location"]).content.decode()
    assert f"/r/{maya.referral_code}" in html
    assert "You are in. $15 is yours." in html
    assert "maya@example.net" not in html


def test_somebody_joins_without_a_friend(double: Campaign, person: Client) -> None:
    assert submit(person, double, first_name="  Maya \n C ").status_code == 303
    maya = Participant.objects.get()
    assert (maya.first_name, Referral.objects.count(), Reward.objects.count()) == ("Maya C", 0, 0)


def test_a_known_address_is_answered_like_a_new_one(
    double: Campaign, asha: Participant, browser_client: Callable[..., Client]
) -> None:
    make_participant(double, "ines@example.org", first_name="Ines", last_name="Duarte")
    new, known = browser_client(), browser_client()
    answers = [
        submit(new, double, asha.referral_code, email="maya@example.net"),
        submit(known, double, asha.referral_code, email="ines@example.org"),
    ]
    assert {answer.status_code for answer in answers} == {303}
    assert len({len(answer["Location"]) for answer in answers}) == 1
    pages = [client.get(answer["Location"]) for client, answer in zip((new, known), answers, strict=True)]
    bodies = [re.sub(r"/r/\w{8}|<path[^>]+>|viewBox=\S+", "", page.content.decode()) for page in pages]
    assert bodies[0] == bodies[1]
    assert "Ines" not in bodies[1]
    assert Participant.objects.count() == 3
    assert PortalLink.objects.count() == 2


def test_pressing_twice_joins_once(double: Campaign, asha: Participant, person: Client) -> None:
    first, second = submit(person, double, asha.referral_code), submit(person, double, asha.referral_code)
    assert (first.status_code, second.status_code) == (303, 303)
    assert (Participant.objects.count(), Referral.objects.count(), Reward.objects.count()) == (2, 1, 1)


def test_ones_own_link_makes_nobodys_referral_and_tells_nothing(
    double: Campaign, asha: Participant, person: Client
) -> None:
    answer = submit(person, double, asha.referral_code, email="asha+again@example.com")
    assert answer.status_code == 303
    assert Referral.objects.count() == 0
    assert submit(person, double, asha.referral_code, email="asha@example.com").status_code == 303
    assert Referral.objects.count() == 0


@pytest.mark.parametrize(
    "email",
    [
        "",
        "maya",
        "maya@",
        "maya@localhost",
        "a@b@example.net",
        "maya@example.net\r\nBcc: x@example.org",
        "ma\u202eya@example.net",
        '"maya"@example.net',
        "maya@[192.0.2.1]",
        "m" * 250 + "@example.net",
    ],
)
def test_a_bad_address_is_said_next_to_the_field(
    double: Campaign, asha: Participant, person: Client, email: str
) -> None:
    answer = submit(person, double, asha.referral_code, email=email, first_name="Maya")
    html = answer.content.decode()
    assert answer.status_code == 422
    assert 'aria-invalid="true" aria-describedby="claim-error"' in html
    assert 'id="claim-error" role="alert"' in html
    assert (Participant.objects.count(), PortalLink.objects.count()) == (1, 0)


def test_what_was_typed_is_kept(double: Campaign, person: Client) -> None:
    html = submit(person, double, email="maya@", first_name='Ma"ya').content.decode()
    assert 'value="maya@"' in html
    assert 'value="Ma&quot;ya"' in html


@pytest.mark.parametrize(
    ("values", "words"),
    [
        pytest.param({"company": "Acme"}, "looked like a machine", id="the trap"),
        pytest.param({"token": ""}, "open for a long time", id="no token"),
        pytest.param({"token": "x:y:z"}, "open for a long time", id="forged token"),
        pytest.param({"first_name": "x" * 81}, "at most 80", id="long name"),
    ],
)
def test_machines_get_the_form_again(double: Campaign, person: Client, values: dict[str, str], words: str) -> None:
    answer = submit(person, double, **values)
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert Participant.objects.count() == 0


def test_a_token_of_another_campaign_or_of_yesterday_is_refused(double: Campaign, person: Client) -> None:
    other = make_campaign(double.tenant)
    assert submit(person, double, token=joining.form_token(other)).status_code == 422
    token = joining.form_token(double)
    with time_machine.travel(timezone.now() + timedelta(hours=13)):
        assert submit(person, double, token=token).status_code == 422
    assert Participant.objects.count() == 0


def test_many_joins_from_one_network_have_to_wait(double: Campaign, person: Client) -> None:
    for n in range(10):
        assert submit(person, double, email=f"p{n}@example.net").status_code == 303
    answer = submit(person, double, email="p10@example.net")
    assert answer.status_code == 429
    assert 1 <= int(answer["Retry-After"]) <= 60
    assert Participant.objects.count() == 10


def test_a_broken_counter_lets_people_join(double: Campaign, person: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object, **_kwargs: object) -> None:
        raise DatabaseError("down")

    monkeypatch.setattr(limits, "take", broken)
    monkeypatch.setattr(limits, "allow", broken)
    assert submit(person, double).status_code == 303
    assert (Participant.objects.count(), PortalLink.objects.count()) == (1, 0)


def test_at_most_three_links_an_hour_are_mailed_to_one_address(double: Campaign, person: Client) -> None:
    for _ in range(4):
        assert submit(person, double).status_code == 303
    assert PortalLink.objects.count() == 3


def test_the_first_click_counts_and_the_page_says_so(double: Campaign, asha: Participant, person: Client) -> None:
    bela = make_participant(double, "bela@example.org", first_name="Bela")
    assert person.get(f"/r/{asha.referral_code}").status_code == 302
    html = person.get(f"/campaign?id={double.public_id}&referralCode={bela.referral_code}").content.decode()
    assert "You opened a link of <bdi>Asha V.</bdi> first, so that invitation counts." in html
    submit(person, double, bela.referral_code)
    referral = Referral.objects.get()
    assert (referral.referrer, referral.how) == (asha, "cookie")


def test_the_last_click_counts_where_the_campaign_says_so(double: Campaign, asha: Participant, person: Client) -> None:
    Campaign.objects.filter(pk=double.pk).update(attribution_model="last_click")
    bela = make_participant(double, "bela@example.org", first_name="Bela")
    person.get(f"/r/{asha.referral_code}")
    submit(person, double, bela.referral_code)
    assert Referral.objects.get().referrer == bela


def test_a_click_is_remembered_on_the_page_without_a_code(double: Campaign, asha: Participant, person: Client) -> None:
    person.get(f"/r/{asha.referral_code}")
    submit(person, double)
    referral = Referral.objects.get()
    assert (referral.referrer, referral.how) == (asha, "cookie")


def test_a_click_is_forgotten_after_the_window(double: Campaign, asha: Participant, person: Client) -> None:
    Campaign.objects.filter(pk=double.pk).update(window_days=7)
    person.get(f"/r/{asha.referral_code}")
    with time_machine.travel(timezone.now() + timedelta(days=7, seconds=5)):
        submit(person, double)
    assert Referral.objects.count() == 0


@pytest.mark.parametrize(
    "token",
    ["", "x", signing.dumps(["pt_nobody", "invitee"], salt="hosted.joined"), "a:b:c"],
    ids=["none", "junk", "nobody", "three parts"],
)
def test_the_page_after_joining_needs_its_token(db: None, person: Client, token: str) -> None:
    answer = person.get("/campaign/joined", {"t": token})
    assert answer.status_code == 410
    assert "This page has expired" in answer.content.decode()


@pytest.mark.parametrize(("days", "late"), [(59, False), (61, True)])
def test_who_comes_after_the_window_joins_alone_and_it_is_known_why(
    double: Campaign, asha: Participant, person: Client, days: int, late: bool
) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        person.get(f"/r/{asha.referral_code}")
        clock.shift(timedelta(days=days))
        assert submit(person, double).status_code == 303
    maya = Participant.objects.get(email_key="maya@example.net")
    assert Referral.objects.filter(invitee=maya, referrer=asha).exists() is not late
    assert maya.unreferred_reason == ("attribution_expired" if late else "")
