"""See what would change: from the rule editor to the answer, and from there to publishing or back."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from campaigns.models import Campaign, CampaignVersion
from campaigns.rules import current_terms
from campaigns.terms import Fixed
from referrals.lib.money import Money
from rewards.models import WhatIf
from rewards.whatif import jobs
from tests.factories import Cast, buy, make_friend, make_participant

pytestmark = pytest.mark.django_db


@pytest.fixture
def bought(campaign: Campaign) -> Campaign:
    """Alice's campaign with one purchase of 50 dollars."""
    buy(make_friend(make_participant(campaign)), 5000, "order-10482")
    return campaign


def _form(alice: Cast, campaign: Campaign, **changed: str) -> dict[str, str]:
    """What the editor would send."""
    response = alice.client.get(reverse("web:campaign_rules", args=[campaign.public_id]))
    data = {"revision": str(response.context["revision"]), "count": str(response.context["count"])}
    for form in response.context["forms"]:
        for bound in form:
            value = bound.value()
            if value is not None and value is not False:
                data[bound.html_name] = str(value)
    return data | changed


def _ask(alice: Cast, campaign: Campaign, **changed: str) -> Any:
    data = _form(alice, campaign, **{"rule-0-amount": "20", **changed}, step="what_if")
    return alice.client.post(reverse("web:campaign_rules", args=[campaign.public_id]), data)


def test_the_answer_is_shown_with_examples_and_can_be_published(alice: Cast, bought: Campaign) -> None:
    response = _ask(alice, bought)
    row = WhatIf.objects.get()
    page = reverse("web:what_if", args=[row.public_id])
    assert (response.status_code, response["Location"]) == (302, page)
    assert CampaignVersion.objects.count() == 1
    text = alice.client.get(page).content.decode()
    assert "Rewards that would be larger" in text
    assert "$15.00" in text
    assert "$20.00" in text
    assert reverse("web:purchase", args=[bought.qualifying_events.get().public_id]) in text
    published = alice.client.post(page, {"step": "publish"})
    assert published["Location"] == reverse("web:campaign_rules", args=[bought.public_id])
    bought.refresh_from_db()
    (rule,) = current_terms(bought)
    assert (rule.amount, CampaignVersion.objects.count()) == (Fixed(Money(2000, "USD")), 2)


def test_back_to_editing_keeps_what_was_typed(alice: Cast, bought: Campaign) -> None:
    _ask(alice, bought)
    address = reverse("web:campaign_rules", args=[bought.public_id])
    response = alice.client.get(address, {"what_if": WhatIf.objects.get().public_id})
    assert 'value="20.00"' in response.content.decode()
    assert 'value="15.00"' in alice.client.get(address).content.decode()


def test_a_campaign_that_changed_meanwhile_is_not_published_over(alice: Cast, bought: Campaign) -> None:
    _ask(alice, bought)
    page = reverse("web:what_if", args=[WhatIf.objects.get().public_id])
    Campaign.objects.filter(pk=bought.pk).update(revision=99)
    assert "The campaign has changed since." in alice.client.get(page).content.decode()
    alice.client.post(page, {"step": "publish"})
    assert CampaignVersion.objects.count() == 1


def test_a_wrong_rule_is_said_at_its_field_and_nothing_is_asked(alice: Cast, bought: Campaign) -> None:
    response = _ask(alice, bought, **{"rule-0-amount": "-3"})
    assert (response.status_code, WhatIf.objects.count()) == (422, 0)


def test_a_large_campaign_shows_how_far_it_is_and_can_be_stopped(
    alice: Cast, bought: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "SMALL", 0)
    _ask(alice, bought)
    row = WhatIf.objects.get()
    page = reverse("web:what_if", args=[row.public_id])
    text = alice.client.get(page).content.decode()
    assert "Asking every event again" in text
    assert "every 2s" in text
    assert "Look again" in text
    assert alice.client.get(reverse("web:what_if_export", args=[row.public_id]))["Location"] == page
    alice.client.post(page, {"step": "cancel"})
    row.refresh_from_db()
    assert row.state == "cancelled"
    assert "Stopped" in alice.client.get(page, headers={"HX-Request": "true"}).content.decode()


def test_the_table_can_be_downloaded(alice: Cast, bought: Campaign) -> None:
    _ask(alice, bought)
    response = alice.client.get(reverse("web:what_if_export", args=[WhatIf.objects.get().public_id]))
    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]  # a stream
    assert '"larger","Referrer: $20.00 as cash for each friend\'s first purchase"' in text
    assert '"order-10482"' in text


def test_a_viewer_may_look_and_not_ask_or_publish(alice: Cast, bob: Cast, bought: Campaign) -> None:
    _ask(alice, bought)
    page = reverse("web:what_if", args=[WhatIf.objects.get().public_id])
    response = bob.client.get(page)
    assert response.status_code == 200
    assert "Publish these rules" not in response.content.decode()
    assert bob.client.post(page, {"step": "publish"}).status_code == 403
    data = _form(alice, bought, step="what_if")
    assert bob.client.post(reverse("web:campaign_rules", args=[bought.public_id]), data).status_code == 403
    assert (WhatIf.objects.count(), CampaignVersion.objects.count()) == (1, 1)


def test_to_a_stranger_it_does_not_exist(alice: Cast, charlie: Cast, bought: Campaign) -> None:
    _ask(alice, bought)
    public_id = WhatIf.objects.get().public_id
    for name in ("web:what_if", "web:what_if_export"):
        assert charlie.client.get(reverse(name, args=[public_id])).status_code == 404
