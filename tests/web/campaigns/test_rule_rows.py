"""The rules editor beyond one amount: tiers, milestones, prizes, limits, conditions; rows added and removed without JavaScript."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from campaigns import services
from campaigns.conditions import Comparison, Group
from campaigns.models import Campaign
from campaigns.rules import current_terms
from campaigns.terms import Fixed, Limits, Percent, RuleTerms, Tier, Units
from campaigns.terms_json import terms_from_json
from referrals.lib.money import Money
from tests.factories import ACTOR, Cast
from tests.web.campaigns.conftest import rule


def _usd(major: int) -> Money:
    return Money(major * 100, "USD")


def _url(campaign: Campaign) -> str:
    return f"/app/campaigns/{campaign.public_id}/rules/"


def _post(client: Client, campaign: Campaign, step: str, **fields: Any) -> Any:
    page = client.get(_url(campaign))
    data = {"revision": page.context["revision"], "count": "1", "step": step, **rule("rule-0", **fields)}
    return client.post(_url(campaign), data)


def _saved(client: Client, campaign: Campaign, **fields: Any) -> RuleTerms:
    answer = _post(client, campaign, "review", **fields)
    assert answer.status_code == 302, answer.context["forms"][0].errors
    campaign.refresh_from_db()
    (terms,) = current_terms(campaign)
    return terms


def _wrong(page: Any) -> list[Any]:
    form = page.context["forms"][0]
    return [dict(part.errors) for part in (form, *form.tiers, *form.conditions.tests())]


def _posted(page: Any) -> dict[str, str]:
    """What a browser would send of the page as it stands, but for the button."""
    form = page.content.decode().partition('id="rules"')[2].partition("</form>")[0]
    data: dict[str, str] = {}
    for tag in re.finditer(r"<input[^>]*>", form):
        attrs = dict(re.findall(r'([a-z]+)="([^"]*)"', tag[0]))
        ticked = attrs.get("type") != "checkbox" or " checked" in tag[0]
        if "name" in attrs and ticked:
            data[attrs["name"]] = attrs.get("value", "on" if attrs.get("type") == "checkbox" else "").replace(
                "&quot;", '"'
            )
    for tag in re.finditer(
        r'<select name="([^"]*)"[^>]*>(.*?)</select>|<select id="[^"]*" name="([^"]*)">(.*?)</select>', form, re.DOTALL
    ):
        name, options = tag[1] or tag[3], tag[2] or tag[4]
        chosen = re.search(r'value="([^"]*)" selected', options) or re.search(r'value="([^"]*)"', options)
        assert chosen is not None
        data[name] = chosen[1]
    return data


TIERS = {
    "trigger": "tier",
    "amount": "",
    "tier-count": "3",
    "tier-0-first": "1",
    "tier-0-last": "4",
    "tier-0-amount_type": "fixed",
    "tier-0-amount": "10",
    "tier-1-first": "5",
    "tier-1-amount_type": "percent",
    "tier-1-percent": "12.5",
    "tier-1-cap": "40",
    "tier-2-first": "",
}


def test_tiers_are_saved_row_by_row_and_empty_rows_left_out(alice: Cast, draft: Campaign) -> None:
    terms = _saved(alice.client, draft, **TIERS)

    assert (terms.trigger, terms.tiers) == (
        "tier",
        (Tier(1, 4, Fixed(_usd(10))), Tier(5, None, Percent(Decimal("12.5"), _usd(40)))),
    )


@pytest.mark.parametrize(
    ("changes", "row", "field", "message"),
    [
        ({"tier-1-first": "4"}, 1, "first", "4 overlaps the tier before, which ends with 4."),
        ({"tier-1-first": "7"}, 1, "first", "7 leaves a gap: the tier before ends with 4."),
        ({"tier-0-last": ""}, 1, "first", "The tier before has no end, so none can follow it."),
        ({"tier-0-first": "9"}, 0, "last", "4 comes before the tier's first friend, 9."),
        ({"tier-1-percent": "101"}, 1, "percent", "Enter a share above 0 and at most 100, such as 12.5."),
        ({"tier-0-first": ""}, 0, "first", "Enter the number that it begins with."),
        ({"tier-0-amount": ""}, 0, "amount", "Enter the amount of the reward."),
        ({"tier-0-amount": "-3"}, 0, "amount", "-3 is not above zero."),
        ({name: "" for name in TIERS if name.startswith("tier-")}, 0, "first", "Add at least one tier."),
    ],
)
def test_a_wrong_tier_is_refused_at_its_row(
    alice: Cast, draft: Campaign, changes: dict[str, str], row: int, field: str, message: str
) -> None:
    before = current_terms(draft)

    answer = _post(alice.client, draft, "review", **{**TIERS, **changes})

    assert answer.status_code == 422
    assert answer.context["forms"][0].tiers[row].errors[field] == [message]
    assert current_terms(draft) == before


def test_a_leaderboard_needs_an_end_to_its_ranks(alice: Cast, draft: Campaign) -> None:
    answer = _post(
        alice.client,
        draft,
        "review",
        **{**TIERS, "trigger": "leaderboard", "tier-1-amount_type": "fixed", "tier-1-amount": "5"},
    )

    assert answer.context["forms"][0].non_field_errors() == [
        "A leaderboard's prizes end at a rank; fill in the last “To”."
    ]


def test_a_milestone_repeats_and_has_a_name(alice: Cast, draft: Campaign) -> None:
    terms = _saved(
        alice.client,
        draft,
        trigger="milestone",
        friends="5",
        recurring="on",
        label="Gold",
        counts="join",
        amount_type="units",
        units="2",
        units_label="free months",
        limit_campaign="100",
    )

    assert (terms.trigger, terms.nth, terms.recurring, terms.label, terms.event) == (
        "milestone",
        5,
        True,
        "Gold",
        "join",
    )
    # units have no limits in money; the page does not ask for them
    assert (terms.amount, terms.limits) == (Units(2, "free months"), Limits())


def test_a_status_and_a_span_in_months(alice: Cast, draft: Campaign) -> None:
    terms = _saved(alice.client, draft, trigger="status", status="qualified", within="12", within_unit="months")

    assert (terms.trigger, terms.event, terms.within_days) == ("status", "qualified", 365)
    page = alice.client.get(_url(draft))
    form = page.context["forms"][0]
    assert (form["within"].value(), form["within_unit"].value(), form["status"].value()) == (12, "months", "qualified")


def test_all_limits_are_kept(alice: Cast, draft: Campaign) -> None:
    typed = {
        "limit_per_referrer": "1000",
        "limit_per_referrer_year": "599",
        "limit_campaign": "50000",
        "limit_campaign_month": "5000",
        "limit_campaign_week": "2000",
        "limit_campaign_day": "400",
    }

    terms = _saved(alice.client, draft, **typed)

    assert terms.limits == Limits(_usd(1000), _usd(599), _usd(50000), _usd(5000), _usd(2000), _usd(400))
    assert "599 keeps each person below 600 dollars a year" in alice.client.get(_url(draft)).content.decode()


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"trigger": "milestone"}, "friends", "Say how many friends it takes, such as 5."),
        ({"amount_type": "units", "units": "1"}, "units_label", "Say what they get, such as free month."),
        ({"amount_type": "units", "units_label": "month"}, "units", "Enter how many, 1 or more."),
        (
            {"side": "invitee", "trigger": "milestone", "friends": "3"},
            "side",
            "This counts a referrer's friends, so only the referrer can be rewarded for it.",
        ),
        (
            {"trigger": "milestone", "friends": "3", "amount_type": "percent", "percent": "5"},
            "amount_type",
            "There is no one purchase here to take a share of; choose a fixed amount.",
        ),
        (
            {"counts": "join"},
            "counts",
            "Joining happens once; choose “When they join” as what for, or count purchases.",
        ),
        (
            {"counts": "other", "event_name": "Sign Up"},
            "event_name",
            "“Sign Up” can't be an event's name: use a-z, 0-9 and _, and none of ours.",
        ),
        ({"within": "4000"}, "within", "4000 days are more than ten years, 3650 days; leave it empty for ever."),
        ({"limit_campaign_day": "0"}, "limit_campaign_day", "0 is not above zero."),
        ({"review_days": "-1"}, "review_days", "Enter a number of days from 0 to 365."),
    ],
)
def test_a_contradiction_is_said_at_its_field(
    alice: Cast, draft: Campaign, fields: dict[str, str], field: str, message: str
) -> None:
    before = current_terms(draft)

    answer = _post(alice.client, draft, "review", **fields)

    assert answer.status_code == 422
    assert answer.context["forms"][0].errors[field] == [message]
    ((place, text),) = answer.context["problems"]
    assert place.startswith(f"id_rule-0-{field}")
    assert f'id="{place}"' in answer.content.decode()
    assert text.startswith("Rule 1, ")
    assert text.endswith(f": {message}")
    assert current_terms(draft) == before


CONDITIONS = {
    "cond-mode": "all",
    "cond-count": "2",
    "cond-0-kind": "test",
    "cond-0-what": "event.country",
    "cond-0-op": "one_of",
    "cond-0-value": "NO, SE",
    "cond-1-kind": "group",
    "cond-1-mode": "any",
    "cond-1-count": "2",
    "cond-1-0-kind": "test",
    "cond-1-0-what": "invitee.metadata",
    "cond-1-0-name": "segment",
    "cond-1-0-op": "is",
    "cond-1-0-value": "gold",
    "cond-1-1-kind": "test",
    "cond-1-1-what": "event.quantity",
    "cond-1-1-op": "at_least",
    "cond-1-1-value": "3",
}
GROUP = Group(
    "all",
    (
        Comparison("event", "country", "one_of", ("NO", "SE")),
        Group(
            "any",
            (Comparison("invitee", "metadata.segment", "is", "gold"), Comparison("event", "quantity", "at_least", "3")),
        ),
    ),
)


def test_conditions_are_saved_with_their_groups_and_told_in_words(alice: Cast, draft: Campaign) -> None:
    terms = _saved(alice.client, draft, **CONDITIONS)

    assert terms.conditions == GROUP
    assert (
        "Only when the country of the purchase is one of NO, SE and (the friend's own field segment is gold or"
        " the quantity is at least 3)"
    ) in alice.client.get(f"/app/campaigns/{draft.public_id}/").content.decode().replace("&#x27;", "'")


@pytest.mark.parametrize(
    ("changes", "row", "field", "message"),
    [
        ({"cond-1-1-value": "many"}, 2, "value", "“many” is not a number."),
        ({"cond-0-value": "", "cond-0-name": "x"}, 0, "value", "Enter what to compare with."),
        ({"cond-1-0-name": ""}, 1, "name", "Enter the name of the field, as it is sent to us."),
        (
            {"cond-0-value": "x" * 201},
            0,
            "value",
            f"{'x' * 201!r} is not text of 1 to 200 characters, a whole number, true or false.",
        ),
    ],
)
def test_a_wrong_condition_is_refused_at_its_row(
    alice: Cast, draft: Campaign, changes: dict[str, str], row: int, field: str, message: str
) -> None:
    before = current_terms(draft)

    answer = _post(alice.client, draft, "review", **{**CONDITIONS, **changes})

    assert answer.status_code == 422
    assert list(answer.context["forms"][0].conditions.tests())[row].errors[field] == [message]
    assert current_terms(draft) == before


def test_rows_come_and_go_by_buttons_alone(alice: Cast, draft: Campaign) -> None:
    """Every button is a POST of the form as the browser has it; nothing is saved until the last."""
    client, before = alice.client, current_terms(draft)
    data = _posted(client.get(_url(draft))) | {"count": "1", "rule-0-trigger": "tier"}

    for step in ("add-tier", "add-test", "add-group", "add-test-1"):
        page = client.post(_url(draft), data | {"step": f"rule-0:{step}"})
        assert page.status_code == 200
        data = _posted(page)
    assert 'name="rule-0-cond-1-1-value"' in page.content.decode()
    data |= {
        "rule-0-tier-0-first": "1",
        "rule-0-tier-0-last": "4",
        "rule-0-tier-0-amount": "10",
        "rule-0-tier-2-first": "9",
        "rule-0-tier-2-amount": "30",
        "rule-0-cond-0-value": "purchase",
        "rule-0-cond-1-1-what": "event.plan",
        "rule-0-cond-1-1-value": "pro",
    }
    data = _posted(client.post(_url(draft), data | {"step": "rule-0:remove-tier-1"}))
    data = _posted(client.post(_url(draft), data | {"step": "rule-0:remove-test-1-0"}))
    assert (data["rule-0-tier-1-first"], data["rule-0-cond-1-count"]) == ("9", "1")
    assert current_terms(draft) == before

    data |= {"rule-0-tier-1-first": "5", "step": "review"}
    answer = client.post(_url(draft), data)
    assert answer.status_code == 302, _wrong(answer)
    draft.refresh_from_db()
    (terms,) = current_terms(draft)
    assert terms.tiers == (Tier(1, 4, Fixed(_usd(10))), Tier(5, None, Fixed(_usd(30))))
    assert terms.conditions == Group(
        "all",
        (Comparison("event", "type", "is", "purchase"), Group("any", (Comparison("event", "plan", "is", "pro"),))),
    )


def test_the_new_row_has_the_focus(alice: Cast, draft: Campaign) -> None:
    page = _post(alice.client, draft, "rule-0:add-tier", **TIERS).content.decode()

    focused = re.findall(r"<[^>]* autofocus[^>]*>", page)
    assert ['id="id_rule-0-tier-3-first"' in tag for tag in focused] == [True]


def test_nothing_that_the_form_does_not_show_is_lost(alice: Cast, draft: Campaign) -> None:
    """Deeper groups, values with commas, an event's own name: the page opened and saved gives the same rule."""
    deep = {
        "any": [
            {"all": [{"of": "event", "field": "plan", "op": "is", "value": "pro"}]},
            {"of": "event", "field": "amount", "op": "more_than", "value": "5"},
        ]
    }
    data: dict[str, Any] = {
        "side": "referrer",
        "trigger": "every_event",
        "event": "renewal",
        "amount": {"type": "percent", "percent": "12.5", "cap": {"amount_minor": 5000, "currency": "USD"}},
        "kind": "store_credit",
        "max_purchases_per_friend": 7,
        "within_days": 45,
        "conditions": {
            "all": [{"any": [deep, {"of": "event", "field": "product", "op": "one_of", "value": ["a, b", "c"]}]}]
        },
        "limits": {"campaign_week": {"amount_minor": 12345, "currency": "USD"}},
        "review_days": 3,
    }
    services.publish_rules(campaign=draft, rules=[terms_from_json(data, "USD")], actor=ACTOR)
    draft.refresh_from_db()
    (before,) = current_terms(draft)
    page = alice.client.get(_url(draft))
    assert "the plan is pro or the amount of the purchase is more than 5" in page.content.decode()

    answer = alice.client.post(_url(draft), _posted(page) | {"step": "review"})

    assert answer.status_code == 302, _wrong(answer)
    draft.refresh_from_db()
    assert current_terms(draft) == [before]


def test_damaged_conditions_are_refused_and_nothing_changes(alice: Cast, draft: Campaign) -> None:
    before = current_terms(draft)

    answer = _post(
        alice.client,
        draft,
        "review",
        **{"cond-count": "1", "cond-0-kind": "kept", "cond-0-json": json.dumps({"no": 1})},
    )

    assert answer.status_code == 422
    assert answer.context["forms"][0].conditions.errors == ["A condition has no field 'no'."]
    assert current_terms(draft) == before
