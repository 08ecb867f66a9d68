"""Chosen codes: what can be one, whose it is, and that no link that was ever shared leads to a stranger."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from campaigns.models import Campaign
from participants.code_models import ChosenCode
from participants.codes import RESERVED, check_code, choose_code, find_by_code, find_chosen, look_of, release_code
from participants.models import Participant, Referral
from referrals.events.models import Event
from referrals.lib.errors import Refused
from rewards import services
from tests.factories import ACTOR, Cast, make_campaign, make_participant


def choose(person: Participant, text: str) -> Participant:
    return choose_code(participant=person, text=text, actor=ACTOR)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ab",
        "a" * 17,
        "asha verma",
        "-asha",
        "asha-",
        "a--b",
        "ashä",
        "аsha",
        "a_b",
        "a.b",
        "a/b",
        "<b>",
        "asha\n\n1",
        "ash\u200ba",
    ],
)
def test_what_can_be_no_code(text: str) -> None:
    with pytest.raises(Refused) as caught:
        check_code(text)
    assert caught.value.code == "code_format"


@pytest.mark.parametrize("text", ["admin", "ADMIN", "adm1n", "a-d-m-i-n", "passa1ong", "supp0rt"])
def test_reserved_words_and_what_looks_like_them(text: str) -> None:
    with pytest.raises(Refused) as caught:
        check_code(text)
    assert caught.value.code == "code_reserved"


def test_every_reserved_word_is_refused() -> None:
    for word in RESERVED:
        with pytest.raises(Refused):
            check_code(word)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("asha10", "ASHA1O"),
        ("bill", "b1ll"),
        ("modern", "modem"),
        ("wow", "vvovv"),
        ("a-sha", "asha"),
        ("zoe5", "2oes"),
    ],
)
def test_what_looks_alike(one: str, other: str) -> None:
    assert look_of(one) == look_of(other)


def test_a_chosen_code_is_found_however_it_is_typed_and_the_first_one_stays(campaign: Campaign) -> None:
    asha = choose(make_participant(campaign), " Asha-10 ")
    assert (asha.vanity_code, find_by_code(campaign, asha.referral_code)) == ("asha-10", asha)
    for text in ("asha-10", "ASHA10", " asha1o ", "Asha-IO"):
        assert find_by_code(campaign, text) == asha
    for text in ("asha", "asha-100", asha.referral_code.swapcase() + "x", "", " ", "a" * 17, "äsha10"):
        assert find_by_code(campaign, text) is None
    event = Event.objects.filter(type="participant.changed").get()
    assert (event.data, event.participant_ref) == ({"fields": ["vanity_code"]}, asha.public_id)


def test_it_is_one_persons_in_a_campaign_and_another_campaigns_own(
    alice: Cast, charlie: Cast, campaign: Campaign
) -> None:
    asha, bela = make_participant(campaign), make_participant(campaign, "bela@example.org")
    choose(asha, "asha10")
    with pytest.raises(Refused) as caught:
        choose(bela, "ASHA-1o")
    assert (caught.value.code, caught.value.status) == ("code_taken", 409)
    assert Participant.objects.get(pk=bela.pk).vanity_code == ""
    for other in (make_campaign(alice.tenant), make_campaign(charlie.tenant)):
        assert choose(make_participant(other), "asha10").vanity_code == "asha10"
    assert ChosenCode.objects.count() == 3


def test_nobody_chooses_anothers_first_code(campaign: Campaign) -> None:
    asha, bela = make_participant(campaign), make_participant(campaign, "bela@example.org")
    Participant.objects.filter(pk=asha.pk).update(referral_code="abcdefgh")
    with pytest.raises(Refused) as caught:
        choose(bela, "abcdefgh")
    assert caught.value.code == "code_taken"


def test_former_codes_keep_working_and_can_be_chosen_again(campaign: Campaign) -> None:
    asha = make_participant(campaign)
    for text in ("asha10", "verma", "asha10", ""):
        choose(asha, text)
    assert Participant.objects.get(pk=asha.pk).vanity_code == ""
    assert find_by_code(campaign, "verma") == find_by_code(campaign, "asha10") == asha
    assert ChosenCode.objects.count() == 2


def test_nobody_collects_codes(campaign: Campaign) -> None:
    asha = make_participant(campaign)
    for number in range(5):
        choose(asha, f"code-{'abcde'[number]}x")
    with pytest.raises(Refused) as caught:
        choose(asha, "one-more")
    assert (caught.value.code, ChosenCode.objects.count()) == ("too_many_codes", 5)


def test_a_code_taken_away_stops_and_is_nobodys_for_half_a_year(campaign: Campaign) -> None:
    asha, bela = make_participant(campaign), make_participant(campaign, "bela@example.org")
    choose(asha, "asha10")
    assert release_code(participant=asha, actor=ACTOR).vanity_code == ""
    assert find_by_code(campaign, "asha10") is None
    with time_machine.travel(timezone.now() + timedelta(days=179)), pytest.raises(Refused):
        choose(bela, "asha10")
    with time_machine.travel(timezone.now() + timedelta(days=181)):
        choose(bela, "asha10")
    assert find_by_code(campaign, "asha10") == bela
    assert ChosenCode.objects.count() == 1


def test_friends_join_with_it(campaign: Campaign) -> None:
    asha = choose(make_participant(campaign), "asha10")
    services.join(campaign=campaign, email="maya@example.net", actor=ACTOR, source="api", referred_by_code=" ASHA-10 ")
    assert Referral.objects.get().referrer == asha


def test_an_order_finds_it_unless_two_campaigns_have_it(alice: Cast, charlie: Cast, campaign: Campaign) -> None:
    asha = choose(make_participant(campaign), "asha10")
    choose(make_participant(make_campaign(charlie.tenant)), "asha10")
    assert find_chosen(alice.tenant, ["SUMMER", "ASHA10", "!"]) == {"ASHA10": asha}
    choose(make_participant(make_campaign(alice.tenant)), "asha10")
    assert find_chosen(alice.tenant, ["ASHA10"]) == {}


def test_pages_and_api(alice: Cast, campaign: Campaign) -> None:
    asha, bela = make_participant(campaign), make_participant(campaign, "bela@example.org")
    choose(bela, "bela")
    page = f"/app/participants/{asha.public_id}/"

    def said(**values: Any) -> str:
        answer = alice.client.post(f"{page}code/", values, follow=True)
        return " ".join(str(message) for message in answer.context["messages"])

    assert said(code="Asha10") == "Code saved"
    assert said(code="BELA") == "Somebody has the code bela, or one that looks like it. Choose another one."
    html = alice.client.get(page).content.decode()
    assert f"/r/{campaign.public_id}/asha10" in html
    assert said(release="1") == "Their chosen codes no longer work; their first one does"
    assert find_by_code(campaign, "asha10") is None
