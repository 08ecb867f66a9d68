"""Short links with chosen codes, their QR codes, and choosing one's own on one's page."""

from __future__ import annotations

import pytest
from django.test import Client

from campaigns.models import Campaign
from participants.codes import choose_code
from participants.models import Participant, Visit
from tests.factories import ACTOR, Cast, make_campaign, make_participant
from tests.hosted.test_portal import opened


@pytest.fixture
def named(double: Campaign, asha: Participant) -> Participant:
    """Asha, who has chosen a code."""
    return choose_code(participant=asha, text="asha-10", actor=ACTOR)


def test_the_campaign_stands_before_a_chosen_code(
    alice: Cast, double: Campaign, named: Participant, person: Client
) -> None:
    other = make_campaign(alice.tenant, link_name="other")
    choose_code(participant=make_participant(other), text="asha10", actor=ACTOR)
    Campaign.objects.filter(pk=double.pk).update(link_name="halden")
    page = f"/campaign?id={double.public_id}&referralCode={named.referral_code}"
    for path in (
        f"/r/{double.public_id}/asha-10",
        "/r/halden/ASHA10",
        "/r/Halden/asha1o/",
        f"/r/halden/{named.referral_code}",
    ):
        assert person.get(path)["Location"] == page
    assert Visit.objects.filter(referrer=named).count() == 4
    for path in ("/r/asha-10", "/r/nobody/asha-10", "/r/halden/nobody", "/r/halden/a/b", "/r/%00/asha-10"):
        assert person.get(path).status_code in {404, 400}
    long = person.get(f"/campaign?id={double.public_id}&referralCode=Asha-10")
    assert "Asha V." in long.content.decode()


@pytest.mark.parametrize(
    ("kind", "content_type", "begins"), [("svg", "image/svg+xml", b"<?xml"), ("png", "image/png", b"\x89PNG")]
)
def test_the_qr_code_is_a_file(named: Participant, person: Client, kind: str, content_type: str, begins: bytes) -> None:
    for path in (f"/r/{named.referral_code}/qr.{kind}", f"/r/{named.campaign.public_id}/asha10/qr.{kind}"):
        answer = person.get(path)
        assert (answer.status_code, answer["Content-Type"]) == (200, content_type)
        assert answer.content.startswith(begins)
        assert answer["Cache-Control"] == "public, max-age=3600"
    assert person.get(f"/r/nobody/qr.{kind}").status_code == 404
    assert Visit.objects.count() == 0


def test_people_choose_their_own_where_they_may(double: Campaign, asha: Participant, person: Client) -> None:
    bela = make_participant(double, "bela@example.org")
    choose_code(participant=bela, text="bela", actor=ACTOR)
    opened(person, asha)
    assert "Choose your own code" in person.get("/me/").content.decode()
    answer = person.post("/me/code", {"code": "be1a"})
    assert answer.status_code == 303
    html = person.get(answer["Location"]).content.decode()
    assert "Somebody has this code, or one that looks like it." in html
    assert 'value="be1a"' in html
    person.post("/me/code", {"code": "asha10"})
    html = person.get("/me/").content.decode()
    assert f"/r/{double.public_id}/asha10" in html
    Campaign.objects.filter(pk=double.pk).update(own_codes=False)
    person.post("/me/code", {"code": "other"})
    assert Participant.objects.get(pk=asha.pk).vanity_code == "asha10"
    assert "own-code" not in person.get("/me/").content.decode()


def test_strangers_choose_nothing(asha: Participant, person: Client) -> None:
    assert person.post("/me/code", {"code": "asha10"})["Location"] == "/me/"
    assert Participant.objects.get(pk=asha.pk).vanity_code == ""
