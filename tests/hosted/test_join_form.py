"""What a campaign asks of those who join: questions of the merchant's own, and a box under its terms (docs/hosted.md)."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from campaigns import services
from campaigns.models import Campaign
from participants.confirming import forget_requests
from participants.join_answers import check_answers, read_answers
from participants.models import Agreement, Participant, TermsVersion
from referrals.events.models import Event
from referrals.lib.errors import Refused
from rewards.confirming import join_with_terms
from tests.factories import ACTOR, Cast
from tests.hosted.test_join import submit
from tests.hosted.test_script import MAYA, SHOP, send

QUESTIONS: list[dict[str, Any]] = [
    {"key": "team", "kind": "choice", "required": True, "labels": {"en": "Your team", "de": "Dein Team"},
     "options": ["red", "blue"], "option_labels": {"de": ["rot", "blau"]}},
    {"key": "size", "kind": "number", "labels": {"en": "How many"}},
    {"key": "born", "kind": "date", "labels": {"en": "Birthday"}},
    {"key": "news", "kind": "tick", "labels": {"en": "Send news"}},
    {"key": "why", "kind": "text", "labels": {"en": "Why"}},
]  # fmt: skip


def ask(campaign: Campaign, **fields: Any) -> Campaign:
    """The campaign with these settings of its join form."""
    return services.update_campaign(campaign=campaign, actor=ACTOR, **fields)


@pytest.fixture
def asking(double: Campaign) -> Campaign:
    """A campaign with one question of each kind."""
    return ask(double, questions=QUESTIONS)


@pytest.fixture
def with_terms(double: Campaign) -> Campaign:
    """A campaign whose terms have to be accepted."""
    services.save_texts(campaign=double, language="en", actor=ACTOR, texts={"terms": "Be kind."})
    return ask(double, asks_terms=True)


def test_answers_become_metadata(asking: Campaign, asha: Participant, person: Client) -> None:
    html = person.get(f"/campaign?id={asking.public_id}&referralCode={asha.referral_code}").content.decode()
    assert '<option value="blue">blue</option>' in html
    answers = {"q_team": "blue", "q_size": "12,50", "q_born": "1990-02-28", "q_news": "on", "q_why": " so \n so "}
    assert submit(person, asking, asha.referral_code, **answers).status_code == 303
    kept = {"team": "blue", "size": "12.5", "born": "1990-02-28", "news": True, "why": "so so"}
    assert Participant.objects.get(email_key="maya@example.net").metadata == kept


def test_a_wrong_answer_is_said_and_what_was_typed_stays(asking: Campaign, person: Client) -> None:
    answer = submit(person, asking, q_size="many", q_why='"><b>x')
    html = answer.content.decode()
    assert (answer.status_code, Participant.objects.count()) == (422, 0)
    assert "Your team is missing." in html
    assert "How many: enter a number, such as 12 or 12.5." in html
    assert 'name="q_size" value="many"' in html
    assert "&quot;&gt;&lt;b&gt;x" in html
    german = person.get(f"/campaign?id={asking.public_id}&lang=de").content.decode()
    assert "Dein Team" not in german  # the campaign has no German texts, so that it speaks its own language
    services.save_texts(campaign=asking, language="de", actor=ACTOR, texts={"reward_header": "Hallo"})
    german = person.get(f"/campaign?id={asking.public_id}&lang=de").content.decode()
    assert "Dein Team" in german
    assert '<option value="blue">blau</option>' in german


@pytest.mark.parametrize(
    ("key", "given", "kept"),
    [
        ("size", "007", 7), ("size", "-3", -3), ("size", "1.50", "1.5"), ("size", 12, 12), ("size", "1e3", None),
        ("size", "١٢", None), ("size", "9" * 16, None), ("size", "NaN", None), ("born", "2024-02-30", None),
        ("born", "20240228", None), ("born", "2024-W01-1", None), ("born", "1899-12-31", None), ("team", "green", None),
        ("team", "red ", "red"), ("why", "x" * 201, None), ("why", "a\x00b\u202ec", "a b c"), ("why", {"a": 1}, ...),
        ("why", ["x"], ...), ("news", "off", False), ("news", True, True), ("why", "\ud800", ...),
    ],
)  # fmt: skip
def test_answers_are_of_their_kind(asking: Campaign, key: str, given: Any, kept: Any) -> None:
    answers, wrong = read_answers(asking, {"team": "red", key: given}, accepted=False, language="en")
    if kept is None:
        assert list(wrong) == [key]
        assert key not in answers.values
    else:
        assert wrong == {}
        assert answers.values.get(key, ...) == kept


def test_what_is_accepted_is_kept_with_its_version(with_terms: Campaign, asha: Participant, person: Client) -> None:
    refused = submit(person, with_terms, asha.referral_code)
    assert (refused.status_code, Participant.objects.count(), Agreement.objects.count()) == (422, 1, 0)
    assert "Tick the box to accept the terms." in refused.content.decode()
    assert "By continuing you accept" not in refused.content.decode()
    assert submit(person, with_terms, asha.referral_code, terms="on").status_code == 303
    services.save_texts(campaign=with_terms, language="en", actor=ACTOR, texts={"terms": "Be very kind."})
    assert submit(person, with_terms, terms="on", email="noor@example.org").status_code == 303
    # Somebody who knows an address can't accept anything in its name.
    assert submit(person, with_terms, terms="on").status_code == 303
    rows = Agreement.objects.order_by("pk").values_list("participant__email", "terms__number", "terms__text", "source")
    assert list(rows) == [
        ("maya@example.net", 1, "Be kind.", "hosted"),
        ("noor@example.org", 2, "Be very kind.", "hosted"),
    ]
    assert [event.data for event in Event.objects.filter(type="terms.accepted").order_by("pk")] == [
        {"version": 1, "language": "en"},
        {"version": 2, "language": "en"},
    ]


def test_a_page_of_the_merchants_is_shown_and_kept_by_its_address(double: Campaign, person: Client) -> None:
    ask(double, asks_terms=True, terms_url="https://shop.example.com/terms?a=1&b=2")
    html = person.get(f"/campaign?id={double.public_id}").content.decode()
    assert '<a href="https://shop.example.com/terms?a=1&amp;b=2" target="_blank" rel="noopener noreferrer">' in html
    submit(person, double, terms="on")
    assert TermsVersion.objects.get().url == "https://shop.example.com/terms?a=1&b=2"


def test_programs_say_that_the_terms_were_accepted(with_terms: Campaign) -> None:
    facts: dict[str, Any] = {"campaign": with_terms, "email": "maya@example.net", "actor": ACTOR, "source": "api"}
    with pytest.raises(Refused) as caught:
        join_with_terms(accepted=False, **facts)
    assert (caught.value.code, caught.value.field, caught.value.status) == ("terms_not_accepted", "terms_accepted", 422)
    assert Participant.objects.count() == 0
    join_with_terms(accepted=True, **facts)
    # Known people accepted what was asked then.
    assert join_with_terms(accepted=False, **facts).created is False
    assert Agreement.objects.get().source == "api"


def test_the_script_answers_and_accepts_like_the_form(with_terms: Campaign, client: Client) -> None:
    campaign = ask(with_terms, questions=QUESTIONS, script_origins=[SHOP])
    wrong = send(client, campaign, "participants", MAYA).json()
    assert (wrong["error"], wrong["details"]["field"]) == ("answer_invalid", "fields.team")
    wrong = send(client, campaign, "participants", {**MAYA, "fields": {"team": "red"}}).json()
    assert (wrong["error"], wrong["details"]["field"]) == ("terms_not_accepted", "termsAccepted")
    assert send(client, campaign, "participants", {**MAYA, "fields": [1]}).json()["error"] == "invalid_type"
    assert Participant.objects.count() == 0
    body = {**MAYA, "fields": {"team": "red", "size": 3, "other": "dropped"}, "termsAccepted": True}
    assert send(client, campaign, "participants", body).json()["joined"] is True
    maya = Participant.objects.get()
    assert (maya.metadata, maya.agreements.count()) == ({"team": "red", "size": 3, "news": False}, 1)


def test_a_program_is_told_the_first_wrong_answer(asking: Campaign) -> None:
    with pytest.raises(Refused) as caught:
        check_answers(asking, {}, accepted=False, language="en")
    assert (caught.value.code, caught.value.message) == ("answer_invalid", "Your team is missing.")
    assert forget_requests() == 0


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"key": "Team"}, "question", "questions[0].key"),
        ({"key": "size"}, "question", "questions[1]"),
        ({"kind": "file"}, "question", "questions[0].kind"),
        ({"labels": {"de": "Team"}}, "question", "questions[0].label"),
        ({"labels": {"en": "x" * 81}}, "too_long", "questions[0].label"),
        ({"options": ["red"]}, "question", "questions[0].options"),
        ({"options": ["red", "red"]}, "question", "questions[0].options"),
        ({"option_labels": {"de": ["a", "b", "c"]}}, "question", "questions[0].options"),
    ],
)
def test_questions_that_cannot_be_kept(asking: Campaign, changes: dict[str, Any], code: str, field: str) -> None:
    first = {**QUESTIONS[0], **changes}
    with pytest.raises(Refused) as caught:
        ask(asking, questions=[first, *QUESTIONS[1:]])
    assert (caught.value.code, caught.value.field) == (code, field)
    asking.refresh_from_db()
    assert [question["key"] for question in asking.questions] == ["team", "size", "born", "news", "why"]


def test_terms_that_nobody_can_read_are_not_asked_for(alice: Cast, double: Campaign) -> None:
    for fields, code in (
        ({"asks_terms": True}, "terms_missing"),
        ({"terms_url": "http://shop.example.com/terms"}, "terms_url"),
        ({"terms_url": "https://shop@evil.example.com/"}, "terms_url"),
        ({"terms_url": "javascript:alert(1)"}, "invalid_value"),
        ({"questions": QUESTIONS * 2}, "too_many"),
    ):
        with pytest.raises(Refused) as caught:
            ask(double, **fields)
        assert caught.value.code == code
    double.refresh_from_db()
    assert (double.asks_terms, double.terms_url, double.questions) == (False, "", [])
