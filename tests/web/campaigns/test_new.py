"""Making a campaign from a template."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from campaigns.models import Campaign
from campaigns.presets import PRESETS
from campaigns.rules import current_terms
from campaigns.terms import Fixed, Percent
from referrals.lib.money import Money
from tests.factories import Cast
from tests.web.campaigns.conftest import new_campaign

URL = "/app/campaigns/new/"
LONG_REVIEW = "Enter a number of days from 0 to 365."


def test_the_form_starts_with_the_template_and_the_usual_currency(alice: Cast) -> None:
    alice.merchant.currency = "EUR"
    alice.merchant.save()

    page = alice.client.get(URL)

    assert page.status_code == 200
    assert page.context["form"]["currency"].value() == "EUR"
    assert page.context["referrer"]["amount"].value() == Money(2000, "EUR")
    assert 'value="20.00"' in page.content.decode()


def test_both_sides_are_rewarded_as_filled_in(alice: Cast) -> None:
    answer = alice.client.post(URL, new_campaign())

    campaign = Campaign.objects.get()
    assert answer["Location"] == f"/app/campaigns/{campaign.public_id}/design/"
    assert (campaign.name, campaign.currency, campaign.status, campaign.merchant) == (
        "Spring",
        "EUR",
        "draft",
        alice.merchant,
    )
    referrer, friend = current_terms(campaign)
    assert (referrer.side, referrer.trigger, referrer.amount) == ("referrer", "first_event", Fixed(Money(2000, "EUR")))
    assert (referrer.minimum_purchase, referrer.review_days) == (Money(3000, "EUR"), 14)
    assert (referrer.new_customers_only, referrer.kind) == (True, "cash")
    assert (friend.side, friend.trigger, friend.kind) == ("invitee", "join", "coupon")


def test_single_sided_leaves_the_friend_out(alice: Cast) -> None:
    data = new_campaign(preset="refer_a_friend_single") | {"invitee-amount": "nonsense"}

    alice.client.post(URL, data)

    assert [rule.side for rule in current_terms(Campaign.objects.get())] == ["referrer"]


def test_a_share_with_a_cap(alice: Cast) -> None:
    data = {"referrer-amount_type": "percent", "referrer-percent": "12.5", "referrer-cap": "50", "referrer-amount": ""}

    alice.client.post(URL, new_campaign(**data))

    assert current_terms(Campaign.objects.get())[0].amount == Percent(Decimal("12.5"), Money(5000, "EUR"))


def test_yen_have_no_decimals(alice: Cast) -> None:
    data = {"currency": "JPY", "referrer-amount": "2000", "referrer-minimum_purchase": "3000", "invitee-amount": "2000"}

    alice.client.post(URL, new_campaign(**data))

    assert current_terms(Campaign.objects.get())[0].amount == Fixed(Money(2000, "JPY"))


BAD: list[Any] = [
    pytest.param({"name": "  "}, "form", "name", "This field is required.", id="no name"),
    pytest.param(
        {"name": "x" * 121},
        "form",
        "name",
        "Ensure this value has at most 120 characters (it has 121).",
        id="long name",
    ),
    pytest.param(
        {"currency": "XXX"},
        "form",
        "currency",
        "Select a valid choice. XXX is not one of the available choices.",
        id="currency",
    ),
    pytest.param(
        {"preset": "magic"},
        "form",
        "preset",
        "Select a valid choice. magic is not one of the available choices.",
        id="template",
    ),
    pytest.param({"referrer-amount": ""}, "referrer", "amount", "Enter the amount of the reward.", id="no amount"),
    pytest.param({"referrer-amount": "0"}, "referrer", "amount", "0 is not above zero.", id="zero"),
    pytest.param({"referrer-amount": "-5"}, "referrer", "amount", "-5 is not above zero.", id="negative"),
    pytest.param(
        {"referrer-amount": "10.001"}, "referrer", "amount", "10.001 has more decimals than EUR has (2).", id="decimals"
    ),
    pytest.param(
        {"referrer-amount": "1e3"}, "referrer", "amount", "“1e3” is not an amount; write it like 12.50.", id="exponent"
    ),
    pytest.param(
        {"referrer-amount": "١٢"},
        "referrer",
        "amount",
        "“١٢” is not an amount; write it like 12.50.",
        id="other digits",
    ),
    pytest.param(
        {"referrer-amount_type": "percent", "referrer-percent": "101"},
        "referrer",
        "percent",
        "Enter a share above 0 and at most 100, such as 12.5.",
        id="over 100 per cent",
    ),
    pytest.param(
        {"referrer-amount_type": "percent", "referrer-percent": ""},
        "referrer",
        "percent",
        "Enter a share above 0 and at most 100, such as 12.5.",
        id="no per cent",
    ),
    pytest.param(
        {"referrer-trigger": "nth_event"},
        "referrer",
        "nth",
        "Say which purchase: 3 means the third.",
        id="n-th of what",
    ),
    pytest.param(
        {"referrer-review_days": "366"},
        "referrer",
        "review_days",
        "Enter a number of days from 0 to 365.",
        id="review",
    ),
    pytest.param(
        {"invitee-amount_type": "percent", "invitee-percent": "10"},
        "friend",
        "amount_type",
        "Joining has no purchase to take a share of; choose a fixed amount.",
        id="share of joining",
    ),
    pytest.param(
        {"referrer-trigger": "leaderboard"},
        "referrer",
        "trigger",
        "Select a valid choice. leaderboard is not one of the available choices.",
        id="trigger of a later release",
    ),
]


@pytest.mark.parametrize(("changes", "form", "field", "message"), BAD)
def test_what_is_wrong_is_said_at_its_field_and_stays_typed(
    alice: Cast, changes: dict[str, str], form: str, field: str, message: str
) -> None:
    answer = alice.client.post(URL, new_campaign(**changes))

    assert answer.status_code == 422
    assert answer.context[form].errors[field] == [message]
    name, value = next(iter(changes.items()))
    bound = answer.context[form][name.rpartition("-")[2]]
    assert bound.value() == value
    assert Campaign.objects.count() == 0


def test_a_viewer_may_not(bob: Cast) -> None:
    assert bob.client.post(URL, new_campaign()).status_code == 403
    assert Campaign.objects.count() == 0


@pytest.mark.parametrize("key", ["affiliate_12_months", "affiliate_lifetime", "newsletter", "milestones"])
def test_templates_of_several_rules_begin_as_they_are(alice: Cast, key: str) -> None:
    answer = alice.client.post(URL, new_campaign(preset=key) | {"referrer-amount": "nonsense"})

    campaign = Campaign.objects.get()
    assert answer["Location"] == f"/app/campaigns/{campaign.public_id}/rules/"
    wanted = PRESETS[key].rules("EUR")
    assert [(rule.trigger, rule.amount) for rule in current_terms(campaign)] == [
        (rule.trigger, rule.amount) for rule in wanted
    ]
    assert campaign.type == PRESETS[key].type


def test_a_leaderboard_is_asked_when_it_closes(alice: Cast) -> None:
    answer = alice.client.post(URL, new_campaign(preset="leaderboard"))
    assert answer.context["form"].errors["ends_at"] == ["Say when the leaderboard closes; its prizes are given then."]
    answer = alice.client.post(URL, new_campaign(preset="leaderboard", ends_at="2020-01-01T00:00"))
    assert answer.context["form"].errors["ends_at"] == ["This day has passed. Choose a later one."]
    assert Campaign.objects.count() == 0

    alice.client.post(URL, new_campaign(preset="leaderboard", ends_at="2099-01-01T00:00"))

    assert str(Campaign.objects.get().ends_at) == "2099-01-01 00:00:00+00:00"


@pytest.mark.parametrize("model", ["linear", "position", ""])
def test_who_is_credited_is_chosen_at_once(alice: Cast, model: str) -> None:
    alice.client.post(URL, new_campaign(attribution_model=model))
    assert Campaign.objects.get().attribution_model == (model or "first_click")


def test_a_template_that_can_not_be_shared_says_so_at_the_field(alice: Cast) -> None:
    answer = alice.client.post(URL, new_campaign(preset="milestones", attribution_model="linear"))
    assert (answer.status_code, Campaign.objects.count()) == (422, 0)
    assert list(answer.context["form"].errors) == ["attribution_model"]
