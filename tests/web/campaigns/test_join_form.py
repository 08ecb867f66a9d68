"""The page "Join form": what it saves, what it refuses, what its preview shows; answers on a person's page and in the file."""

from __future__ import annotations

from typing import Any

import pytest

from campaigns.models import Campaign
from participants.join_answers import keep_agreement, terms_of
from participants.models import Participant
from tests.factories import ACTOR, Cast, make_campaign, make_participant

FORM = {
    "terms_url": "https://shop.example.com/terms",
    "asks_terms": "on",
    "confirms_email": "on",
    "q0-key": "",
    "q0-kind": "choice",
    "q0-required": "on",
    "q0-label_en": "Team size",
    "q0-options_en": "small\r\n\r\n big ",
    "q0-label_de": "Größe",
    "q0-options_de": "klein\r\ngroß",
    "q1-kind": "text",
    "q1-label_en": "",
}
QUESTION = {
    "key": "team_size", "kind": "choice", "required": True, "labels": {"en": "Team size", "de": "Größe"},
    "options": ["small", "big"], "option_labels": {"de": ["klein", "groß"]},
}  # fmt: skip


@pytest.fixture
def campaign(alice: Cast) -> Campaign:
    return make_campaign(alice.tenant)


def save(alice: Cast, campaign: Campaign, **changes: Any) -> Any:
    body = {"revision": campaign.revision, **FORM, **changes}
    return alice.client.post(f"/app/campaigns/{campaign.public_id}/join/", body)


def test_it_saves_and_shows_what_was_saved(alice: Cast, campaign: Campaign) -> None:
    assert save(alice, campaign).status_code == 302
    campaign.refresh_from_db()
    assert (campaign.asks_terms, campaign.confirms_email, campaign.questions) == (True, True, [QUESTION])
    html = alice.client.get(f"/app/campaigns/{campaign.public_id}/join/").content.decode()
    assert "<bdi>Team size</bdi></summary>" in html
    assert 'value="team_size"' in html
    assert 'name="q2-kind"' in html
    assert save(alice, campaign, **{"q0-remove": "on"}).status_code == 302
    campaign.refresh_from_db()
    assert campaign.questions == []


def test_a_refusal_stands_at_its_question(alice: Cast, campaign: Campaign) -> None:
    answer = save(alice, campaign, **{"q0-options_en": "small"})
    assert answer.status_code == 422
    assert "A choice has 2 to 30 different answers, one on each line." in answer.content.decode()
    assert 'id="id_q0-options_en_error"' in answer.content.decode()
    campaign.refresh_from_db()
    assert (campaign.questions, campaign.asks_terms) == ([], False)
    stale = save(alice, campaign, revision=campaign.revision - 1)
    assert (stale.status_code, Campaign.objects.get(pk=campaign.pk).questions) == (409, [])


def test_the_preview_shows_what_is_typed(alice: Cast, campaign: Campaign) -> None:
    body = {"revision": 1, "language": "de", "side": "referrer", **FORM}
    url = alice.client.post(
        f"/app/campaigns/{campaign.public_id}/join/preview/", body, headers={"accept": "application/json"}
    ).json()["url"]
    html = alice.client.get(url).content.decode()
    assert "Größe" in html
    assert "klein</option>" in html
    assert 'href="https://shop.example.com/terms"' in html
    campaign.refresh_from_db()
    assert campaign.questions == []


def test_answers_and_terms_on_the_persons_page_and_in_the_file(alice: Cast, campaign: Campaign) -> None:
    save(alice, campaign)
    campaign.refresh_from_db()
    metadata = {"team_size": "=1+1", "secret": "x"}
    asha = make_participant(campaign, "asha@example.com", metadata=metadata)
    make_participant(campaign, "maya@example.net")
    keep_agreement(asha, terms_of(campaign, "en"), "hosted", ACTOR)
    html = alice.client.get(f"/app/participants/{asha.public_id}/").content.decode()
    assert "<dt><bdi>Team size</bdi></dt><dd><bdi>=1+1</bdi></dd>" in html
    assert "Version 1 accepted" in html
    for query in ("", f"?campaign={campaign.public_id}"):
        file = b"".join(alice.client.get(f"/app/participants/export.csv{query}")).decode()
        head, first, second = file.splitlines()
        assert '"answer_team_size","terms_version","terms_accepted_at"' in head
        assert '"\t=1+1","1","20' in first
        assert ',"","","",' in second
    assert Participant.objects.count() == 2
