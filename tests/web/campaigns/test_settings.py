"""A campaign's settings."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from campaigns import services
from campaigns.models import Campaign
from tests.factories import ACTOR, Cast

CHANGED = "Somebody changed this campaign in the meantime. Reload the page and make your change again."


def _url(campaign: Campaign) -> str:
    return f"/app/campaigns/{campaign.public_id}/settings/"


def _form(campaign: Campaign, **changes: Any) -> dict[str, Any]:
    return {
        "revision": campaign.revision,
        "name": "Spring",
        "currency": "USD",
        "starts_at": "",
        "ends_at": "",
        "attribution_model": "last_click",
        "window_days": "30",
        "default_language": "de",
        **changes,
    }


def test_everything_is_saved_in_the_merchants_time(alice: Cast, draft: Campaign) -> None:
    alice.merchant.time_zone = "Europe/Oslo"
    alice.merchant.save()
    dates = {"starts_at": "2026-12-01T09:00", "ends_at": "2026-12-24T18:30"}

    answer = alice.client.post(_url(draft), _form(draft, currency="EUR", **dates))

    assert answer["Location"] == _url(draft)
    draft.refresh_from_db()
    assert (draft.name, draft.currency, draft.window_days) == ("Spring", "EUR", 30)
    assert (draft.attribution_model, draft.default_language) == ("last_click", "de")
    assert draft.starts_at == datetime(2026, 12, 1, 8, 0, tzinfo=UTC)
    assert draft.ends_at == datetime(2026, 12, 24, 17, 30, tzinfo=UTC)
    assert 'value="2026-12-01T09:00"' in alice.client.get(_url(draft)).content.decode()


def test_the_currency_of_a_launched_campaign_stays(alice: Cast, campaign: Campaign) -> None:
    answer = alice.client.post(_url(campaign), _form(campaign, currency="EUR"))

    assert answer.status_code == 302
    campaign.refresh_from_db()
    assert (campaign.currency, campaign.name) == ("USD", "Spring")
    assert "Fixed since launch." in alice.client.get(_url(campaign)).content.decode()


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"name": ""}, "name", "This field is required."),
        ({"window_days": "0"}, "window_days", "Enter a number of days from 1 to 365."),
        ({"window_days": "366"}, "window_days", "Enter a number of days from 1 to 365."),
        ({"window_days": "1.5"}, "window_days", "Enter a number of days from 1 to 365."),
        ({"starts_at": "yesterday"}, "starts_at", "Enter a valid date/time."),
        (
            {"starts_at": "2026-12-02T00:00", "ends_at": "2026-12-01T00:00"},
            "ends_at",
            "The end must be after the start.",
        ),
        (
            {"attribution_model": "coin"},
            "attribution_model",
            "Select a valid choice. coin is not one of the available choices.",
        ),
    ],
    ids=[
        "name",
        "no days",
        "too many days",
        "half a day",
        "no date",
        "end first",
        "model",
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    alice: Cast, campaign: Campaign, changes: dict[str, str], field: str, message: str | None
) -> None:
    answer = alice.client.post(_url(campaign), _form(campaign, **changes))

    assert answer.status_code == 422
    assert list(answer.context["form"].errors) == [field]
    if message:
        assert answer.context["form"].errors[field] == [message]
    name, value = list(changes.items())[-1]
    assert answer.context["form"][name].value() == value
    after = Campaign.objects.get()
    assert (after.revision, after.name) == (campaign.revision, "Spring refer-a-friend")


def test_a_second_tab_is_told(alice: Cast, campaign: Campaign) -> None:
    form = _form(campaign, name="From the old tab")
    services.update_campaign(campaign=campaign, actor=ACTOR, name="New")

    answer = alice.client.post(_url(campaign), form)

    assert answer.status_code == 409
    assert answer.context["form"].non_field_errors() == [CHANGED]
    assert answer.context["form"]["name"].value() == "From the old tab"
    assert Campaign.objects.get().name == "New"
