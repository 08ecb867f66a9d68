"""The Hub page of a campaign."""

from __future__ import annotations

from typing import Any

import pytest

from campaigns.listing_models import Listing
from campaigns.listings import questions_of
from campaigns.models import Campaign
from tests.factories import Cast, make_campaign, percent_rule


@pytest.fixture
def partners(alice: Cast) -> Campaign:
    """Alice's running affiliate campaign."""
    return make_campaign(alice.tenant, [percent_rule("20")], preset_key="affiliate_12_months", name="Partners")


def url(campaign: Campaign) -> str:
    return f"/app/campaigns/{campaign.public_id}/hub/"


def fill(campaign: Campaign, **changes: Any) -> dict[str, Any]:
    return {
        "revision": campaign.revision,
        "is_on": "on",
        "slug": "",
        "category": "food",
        "countries": "Austria, DE",
        "description": "Coffee for everyone",
        "terms": "",
        "terms_url": "",
        "approval": "manual",
        "question-0-kind": "short",
        "question-0-label": "",
        "question-1-kind": "choice",
        "question-1-label": "Where do you write?",
        "question-1-choices": "Blog\nVideo",
        "question-1-required": "on",
        **changes,
    }


def test_a_programme_is_listed_with_its_questions(alice: Cast, partners: Campaign) -> None:
    assert "Nothing to see yet" in alice.client.get(url(partners)).content.decode()
    answer = alice.client.post(url(partners), fill(partners), follow=True)
    html = answer.content.decode()
    listing = Listing.objects.get()
    assert (listing.is_on, listing.slug, listing.countries) == (True, "halden-coffee-partners", " AT DE ")
    assert [(q.label, q.required, q.choices) for q in questions_of(listing)] == [
        ("Where do you write?", True, ("Blog", "Video"))
    ]
    assert "Listed in the affiliate hub" in html
    assert 'value="Austria, Germany"' in html
    assert '<a href="http://localhost:8000/hub/halden-coffee-partners/">' in html
    assert 'src="/hub/halden-coffee-partners/?preview=' in html
    assert html.count('<fieldset class="form">') == 3  # the question and two empty rows
    assert "Listed in the affiliate hub" in alice.client.get(f"/app/campaigns/{partners.public_id}/").content.decode()
    partners.refresh_from_db()
    off = alice.client.post(url(partners), fill(partners, is_on="", slug=listing.slug), follow=True)
    assert "Taken off the affiliate hub" in off.content.decode()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"countries": "Austria, Atlantis"}, "Atlantis is no country."),
        ({"question-1-choices": "Blog"}, "Write 2 to 12 choices, one a line"),
        ({"terms_url": "ftp://example.com"}, "Enter the full address of your terms"),
        ({"question-1-kind": "file"}, "Select a valid choice."),
        ({"revision": "77"}, "Somebody changed this campaign in the meantime."),
    ],
)
def test_what_is_wrong_is_said_at_its_place(alice: Cast, partners: Campaign, changes: Any, text: str) -> None:
    answer = alice.client.post(url(partners), fill(partners, **changes))
    html = answer.content.decode()
    assert (answer.status_code in {409, 422}, text in html) == (True, True)
    assert "Where do you write?" in html
    assert Listing.objects.count() == 0


def test_other_campaigns_other_merchants_and_an_installation_without_hub(
    alice: Cast, bob: Cast, charlie: Cast, campaign: Campaign, partners: Campaign, settings: Any
) -> None:
    answer = alice.client.post(url(campaign), fill(campaign))
    assert (answer.status_code, "Only affiliate campaigns can be in the hub." in answer.content.decode()) == (422, True)
    assert charlie.client.post(url(partners), fill(partners)).status_code == 404
    assert bob.client.post(url(partners), fill(partners)).status_code == 403
    settings.HUB = False
    assert alice.client.get(url(partners)).status_code == 404
    assert "/hub/" not in alice.client.get(f"/app/campaigns/{partners.public_id}/").content.decode()
    assert Listing.objects.count() == 0
