"""The campaign's page: what it says to the invited and to the inviting, in every state of the campaign."""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import quote

import pytest
from django.test import Client
from django.utils import timezone

from campaigns import preview, services
from campaigns.models import Campaign, Status
from participants.models import Participant, Visit
from tests.factories import ACTOR, Cast, fixed_rule, make_campaign, make_participant


def page(client: Client, campaign: Campaign, code: str = "", **query: str) -> str:
    response = client.get("/campaign", {"id": campaign.public_id, **({"referralCode": code} if code else {}), **query})
    assert response.status_code == 200
    return response.content.decode()


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)).replace("&#x27;", "'")


def test_the_invited_see_who_sent_it_and_both_halves(double: Campaign, asha: Participant, person: Client) -> None:
    text = text_of(page(person, double, asha.referral_code))
    for words in (
        "Asha V. thought of you",
        "$15 for you.",
        "Get my $15",
        "For new customers.",
        "We tell Asha that you joined, and nothing else.",
        "For Asha $20 store credit after your first order",
        "Spend $30 or more at Halden Coffee.",
        "Asha gets $20 14 days after you pay, so returns are covered.",
    ):
        assert words in text
    assert "Verma" not in text
    assert "asha@example.com" not in text


def test_without_a_code_it_is_the_page_of_those_who_invite(double: Campaign, person: Client) -> None:
    text = text_of(page(person, double))
    assert "Give $15. Get $20." in text
    assert "Get my link" in text
    assert "thought of you" not in text
    assert Visit.objects.count() == 0


@pytest.mark.parametrize("given", ["JCu82f30F1", "nope", "", "x" * 500, "<b>x</b>", "JCu82f30F١"])
def test_an_unknown_campaign_is_named(db: None, person: Client, given: str) -> None:
    response = person.get("/campaign", {"id": given})
    assert response.status_code == 404
    shown = given[:40].replace("<", "&lt;").replace(">", "&gt;")
    assert shown in response.content.decode()
    assert "<b>x" not in response.content.decode()


def test_an_unknown_code_is_said_and_the_page_still_works(double: Campaign, person: Client) -> None:
    text = text_of(page(person, double, "zzzzzzzz"))
    assert "Nobody has the referral code zzzzzzzz here." in text
    assert "Get my link" in text
    assert Visit.objects.count() == 0


def test_a_code_of_another_campaign_is_unknown_here(
    double: Campaign, asha: Participant, charlie: Cast, person: Client
) -> None:
    other = make_participant(make_campaign(charlie.tenant), "zoe@example.org", first_name="Zoe")
    text = text_of(page(person, double, other.referral_code))
    assert "Nobody has the referral code" in text
    assert "Zoe" not in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"status": Status.PAUSED}, "This offer is taking a break", id="paused"),
        pytest.param({"status": Status.ENDED}, "This offer has ended", id="ended"),
        pytest.param({"ends_at": -1}, "This offer has ended", id="past its end"),
        pytest.param({"starts_at": 5}, "This starts on", id="not started"),
    ],
)
def test_closed_campaigns_say_so_and_nobody_joins(
    double: Campaign, asha: Participant, person: Client, change: dict[str, object], words: str
) -> None:
    change = {k: timezone.now() + timedelta(days=v) if isinstance(v, int) else v for k, v in change.items()}
    Campaign.objects.filter(pk=double.pk).update(**change)
    assert words in text_of(page(person, double, asha.referral_code))
    answer = person.post(f"/campaign?id={double.public_id}", {"email": "maya@example.net"})
    assert (answer.status_code, Participant.objects.count()) == (200, 1)
    assert words in text_of(answer.content.decode())


def test_a_draft_does_not_exist(alice: Cast, person: Client) -> None:
    draft = make_campaign(alice.tenant, launched=False)
    assert person.get("/campaign", {"id": draft.public_id}).status_code == 404


def test_the_page_sets_no_cookie_and_can_be_framed_by_nobody(double: Campaign, person: Client) -> None:
    response = person.get("/campaign", {"id": double.public_id})
    assert dict(response.cookies) == {}
    assert response["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in response["Content-Security-Policy"]
    assert response["Cache-Control"] == "private, no-cache"


def test_a_shared_link_shows_a_picture_and_stays_out_of_search(
    double: Campaign, asha: Participant, person: Client
) -> None:
    invited, own = page(person, double, asha.referral_code), page(person, double)
    assert 'name="robots" content="noindex"' in invited
    assert 'name="robots"' not in own
    assert f'rel="canonical" href="http://localhost:8000/campaign?id={double.public_id}"' in invited
    match = re.search(r'property="og:image" content="http://localhost:8000(/c/[^"]+)"', invited)
    assert match is not None
    picture = person.get(match[1])
    assert (picture.status_code, picture["Content-Type"], picture["Cache-Control"]) == (
        200,
        "image/png",
        "public, max-age=31536000, immutable",
    )
    assert len(picture.content) < 120_000


def test_the_merchants_words_come_first(double: Campaign, asha: Participant, person: Client) -> None:
    services.save_texts(
        campaign=double, language="en", actor=ACTOR,
        texts={"reward_header": "Your first <bag>", "terms": "One.\n\nTwo & three."},
    )  # fmt: skip
    html = page(person, double, asha.referral_code)
    assert "<h1>Your first &lt;bag&gt;</h1>" in html
    assert f'href="/campaign/terms?id={double.public_id}"' in html
    terms = person.get("/campaign/terms", {"id": double.public_id}).content.decode()
    assert "<p>One.</p>" in terms
    assert "<p>Two &amp; three.</p>" in terms


def test_without_terms_there_is_no_such_page(double: Campaign, person: Client) -> None:
    assert person.get("/campaign/terms", {"id": double.public_id}).status_code == 404


@pytest.mark.parametrize(
    ("query", "accept", "language"),
    [
        pytest.param({}, "de-AT,de;q=0.9,en;q=0.1", "de", id="the browser's"),
        pytest.param({}, "fr,en;q=0.5", "en", id="a known one further down"),
        pytest.param({}, "ar", "en", id="not one of the campaign's"),
        pytest.param({"lang": "de"}, "en", "de", id="chosen"),
        pytest.param({"lang": "xx"}, "de", "de", id="chosen wrongly"),
        pytest.param({}, ";;q=x," + "a" * 4000, "en", id="junk"),
    ],
)
def test_the_language_is_one_of_the_campaigns(
    double: Campaign, person: Client, query: dict[str, str], accept: str, language: str
) -> None:
    services.save_texts(campaign=double, language="de", actor=ACTOR, texts={"share_header": "Gib 15, nimm 20"})
    response = person.get("/campaign", {"id": double.public_id, **query}, headers={"accept-language": accept})
    html = response.content.decode()
    assert response["Content-Language"] == language
    assert f'<html lang="{language}" dir="ltr"' in html
    assert ("Gib 15, nimm 20" in html) is (language == "de")


def test_arabic_runs_from_right_to_left(double: Campaign, person: Client) -> None:
    Campaign.objects.filter(pk=double.pk).update(default_language="ar")
    assert '<html lang="ar" dir="rtl"' in page(person, double)


def test_the_page_takes_a_fixed_number_of_queries(
    double: Campaign, asha: Participant, person: Client, django_assert_num_queries: object
) -> None:
    page(person, double, asha.referral_code)
    for n in range(3):
        make_participant(double, f"p{n}@example.net")
    with django_assert_num_queries(2):  # type: ignore[operator]  # campaign and referrer; the page itself is kept
        page(person, double, asha.referral_code)


def test_a_preview_shows_unsaved_words_in_our_own_frame(alice: Cast, person: Client) -> None:
    draft = make_campaign(alice.tenant, launched=False)
    unsaved = preview.Preview("invitee", "de", {"reward_header": "Noch nicht gespeichert"}, {"brand_color": "#123456"})
    address = preview.preview_url(draft, unsaved, editor="1")
    response = person.get(address)
    html = response.content.decode()
    assert (response.status_code, response["X-Frame-Options"]) == (200, "SAMEORIGIN")
    assert "frame-ancestors 'self'" in response["Content-Security-Policy"]
    assert "Noch nicht gespeichert" in html
    assert "Asha V." in html
    sheet = re.search(r'href="(/c/[^"]+\?c=123456)"', html)
    assert sheet is not None
    assert b"--brand:#123456" in person.get(sheet[1]).content
    assert person.post(address, {"email": "maya@example.net"}).status_code == 200
    assert (Participant.objects.count(), Visit.objects.count()) == (0, 0)


def test_a_preview_of_another_campaign_is_refused(alice: Cast, double: Campaign, person: Client) -> None:
    draft = make_campaign(alice.tenant, launched=False)
    token = preview.preview_url(double, preview.Preview(), editor="1").partition("preview=")[2]
    assert person.get(f"/campaign?id={draft.public_id}&preview={token}").status_code == 404
    assert person.get(f"/campaign?id={draft.public_id}&preview={quote('a:b:c')}").status_code == 404


def test_test_mode_says_so(alice: Cast, person: Client) -> None:
    tenant = type(alice.tenant)(alice.merchant, True)
    assert "Test mode" in text_of(page(person, make_campaign(tenant)))


def test_names_and_texts_are_inert(double: Campaign, person: Client) -> None:
    evil = "<script>alert(1)</script>"
    someone = make_participant(double, "eve@example.com", first_name=evil, last_name="\"onload='x'")
    services.save_texts(campaign=double, language="en", actor=ACTOR, texts={"reward_description": evil, "terms": evil})
    for html in (
        page(person, double, someone.referral_code),
        person.get("/campaign/terms", {"id": double.public_id}).content.decode(),
    ):
        assert "<script>alert" not in html
        assert "&lt;script&gt;alert" in html


def test_a_kept_page_shows_every_edit_and_nobody_elses_token(
    double: Campaign, asha: Participant, person: Client
) -> None:
    first, second = page(person, double, asha.referral_code), page(person, double, asha.referral_code)
    tokens = [re.findall(r'name="token" value="([^"]+)"', html) for html in (first, second)]
    assert [len(found) for found in tokens] == [1, 1]
    assert first.replace(tokens[0][0], "") == second.replace(tokens[1][0], "")
    services.save_texts(campaign=double, language="en", actor=ACTOR, texts={"reward_header": "Changed <token>"})
    assert "<h1>Changed &lt;token&gt;</h1>" in page(person, double, asha.referral_code)
    Participant.objects.filter(pk=asha.pk).update(first_name="Aisha")
    assert "Aisha V. thought of you" in text_of(page(person, double, asha.referral_code))
    services.publish_rules(campaign=double, rules=[fixed_rule(9900)], actor=ACTOR)
    assert "$99" in text_of(page(person, double, asha.referral_code))


def test_our_own_words_never_promise_too_early(alice: Cast, person: Client) -> None:
    later = make_campaign(alice.tenant, [fixed_rule(2000), fixed_rule(1500, side="invitee")])
    text = text_of(page(person, later))
    assert "Friends get $15 when they buy, and you get $20 for each one who does." in text
    assert "for joining" not in text
    someone = make_participant(later, "zoe@example.org")
    text = text_of(page(person, later, someone.referral_code))
    assert "A friend thought of you" in text
    assert "then get $15 when you buy from Halden Coffee." in text
