"""Listing a campaign in the affiliate hub: what is kept, what is refused, and the history of it."""

from __future__ import annotations

from typing import Any

import pytest

from campaigns import services
from campaigns.listing_models import Listing
from campaigns.listings import Question, is_preview, preview_token, questions_of, save_listing
from campaigns.models import Campaign
from referrals.events.models import Event
from referrals.lib import clock
from referrals.lib.errors import Refused
from tests.factories import ACTOR, Cast, make_campaign, percent_rule


@pytest.fixture
def partners(alice: Cast) -> Campaign:
    """Alice's running affiliate campaign."""
    return make_campaign(alice.tenant, [percent_rule("20")], preset_key="affiliate_12_months", name="Partners")


def save(campaign: Campaign, **fields: Any) -> Listing:
    return save_listing(campaign=campaign, actor=ACTOR, **fields)


def history() -> list[tuple[str, Any]]:
    rows = Event.objects.filter(type__startswith="campaign.").order_by("pk")
    return [(row.type, row.data.get("listing")) for row in rows if "listing" in row.data]


def test_a_listing_is_kept_in_plain_form_and_told_in_the_history(partners: Campaign) -> None:
    saved = save(
        partners,
        is_on=True,
        category="food",
        countries=["Germany", "at", "AT", "de"],
        description="  Coffee\u202e for\n everyone ",
        terms="One\r\n\r\n\r\nTwo ",
        terms_url="https://shop.example.com/Terms?x=1",
        approval="automatic",
        questions=[
            Question(" Where? ", "short", True),
            Question("Which?", "choice", False, ("Blog", " Blog ", "Video")),
        ],
    )
    assert (saved.slug, saved.category, saved.countries) == ("halden-coffee-partners", "food", " AT DE ")
    assert (saved.description, saved.terms) == ("Coffee for everyone", "One\n\nTwo")
    assert (saved.terms_url, saved.approval) == ("https://shop.example.com/Terms?x=1", "automatic")
    questions = questions_of(Listing.objects.get())
    assert [(q.label, q.kind, q.required, q.choices) for q in questions] == [
        ("Where?", "short", True, ()),
        ("Which?", "choice", False, ("Blog", "Video")),
    ]
    first = saved.listed_at
    again = save(partners, questions=questions, category="food")
    assert (questions_of(again), again.listed_at) == (questions, first)
    save(partners, category="home", questions=[questions[1]])
    save(partners, is_on=False)
    assert [question.key for question in questions_of(Listing.objects.get())] == [questions[1].key]
    assert [type_ for type_, _fields in history()] == ["campaign.listed", "campaign.changed", "campaign.unlisted"]
    assert history()[1:] == [("campaign.changed", ["category", "questions"]), ("campaign.unlisted", ["is_on"])]


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"is_on": True, "description": " \n "}, "blank", "description"),
        ({"category": "weapons"}, "invalid_choice", "category"),
        ({"countries": ["Atlantis"]}, "country_unknown", "countries"),
        ({"description": "x" * 601}, "too_long", "description"),
        ({"terms": "x" * 20_001}, "too_long", "terms"),
        ({"terms_url": "javascript:alert(1)"}, "invalid_value", "terms_url"),
        ({"terms_url": "//evil.example.com/"}, "invalid_value", "terms_url"),
        ({"terms_url": "https://a@shop.example.com/"}, "invalid_value", "terms_url"),
        ({"slug": "no spaces"}, "invalid_value", "slug"),
        ({"slug": "me"}, "invalid_value", "slug"),
        ({"slug": "apply"}, "name_reserved", "slug"),
        ({"approval": "never"}, "invalid_choice", "approval"),
        ({"color": "red"}, "unknown_field", "color"),
        ({"revision": 1_000}, "changed_meanwhile", ""),
        ({"questions": [Question(f"Q{n}") for n in range(9)]}, "too_many", "questions"),
        ({"questions": [Question("Fine"), Question("  ")]}, "blank", "question-1-label"),
        ({"questions": [Question("x" * 201)]}, "too_long", "question-0-label"),
        ({"questions": [Question("Q", "file")]}, "invalid_choice", "question-0-kind"),
        ({"questions": [Question("Q", "choice", False, ("One", " One"))]}, "invalid_value", "question-0-choices"),
    ],
)
def test_what_can_not_be_kept_changes_nothing(partners: Campaign, fields: Any, code: str, field: str) -> None:
    with pytest.raises(Refused) as refusal:
        save(partners, **{"description": "Coffee", **fields})
    assert (refusal.value.code, refusal.value.field) == (code, field)
    assert (Listing.objects.count(), history()) == (0, [])


def test_only_affiliate_campaigns_can_be_turned_on(campaign: Campaign) -> None:
    with pytest.raises(Refused) as refusal:
        save(campaign, is_on=True, description="Coffee")
    assert (refusal.value.code, Listing.objects.count()) == ("not_affiliate", 0)
    assert save(campaign, description="Coffee").is_on is False


def test_names_in_addresses_are_unique(alice: Cast, partners: Campaign) -> None:
    other = make_campaign(alice.tenant, [percent_rule()], preset_key="affiliate_12_months", name="Partners")
    assert save(partners).slug == "halden-coffee-partners"
    assert save(other).slug == "halden-coffee-partners-2"
    with pytest.raises(Refused) as refusal:
        save(other, slug="Halden-Coffee-Partners")
    assert (refusal.value.code, refusal.value.status) == ("name_taken", 409)
    assert Listing.objects.get(campaign=other).slug == "halden-coffee-partners-2"
    assert save(other, slug="coffee").slug == "coffee"


def test_the_directory_has_running_live_affiliate_campaigns_that_are_turned_on(alice: Cast, partners: Campaign) -> None:
    def public() -> int:
        return Listing.objects.public(clock.now()).count()

    save(partners, description="Coffee")
    assert public() == 0
    save(partners, is_on=True)
    assert public() == 1
    services.pause(campaign=partners, actor=ACTOR)
    assert public() == 0
    services.resume(campaign=partners, actor=ACTOR)
    for changes in ({"is_test": True}, {"type": "newsletter"}, {"ends_at": clock.now()}, {"status": "draft"}):
        before = {name: getattr(partners, name) for name in changes}
        Campaign.objects.filter(pk=partners.pk).update(**changes)
        assert public() == 0, changes
        Campaign.objects.filter(pk=partners.pk).update(**before | {"status": "active"})
    assert public() == 1


def test_a_preview_opens_its_own_campaign_only(campaign: Campaign, partners: Campaign) -> None:
    token = preview_token(partners)
    assert is_preview(partners, token)
    assert not is_preview(campaign, token)
    assert not is_preview(partners, token[:-1])
