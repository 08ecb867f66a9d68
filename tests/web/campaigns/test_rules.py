"""The rules editor: draft rules, and publishing the next version of a launched campaign."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from campaigns import services
from campaigns.models import Campaign, CampaignVersion
from campaigns.rules import current_terms
from campaigns.terms import Fixed
from referrals.lib.money import Money
from rewards.models import Reward
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_friend, make_participant
from tests.web.campaigns.conftest import rule

CHANGED = "Somebody changed this campaign in the meantime. Reload the page and make your change again."


def _url(campaign: Campaign) -> str:
    return f"/app/campaigns/{campaign.public_id}/rules/"


def _form(client: Client, campaign: Campaign, step: str, *rules: dict[str, Any]) -> dict[str, Any]:
    """The form as it was opened, with these rules and that button."""
    page = client.get(_url(campaign))
    data = {"revision": page.context["revision"], "count": len(rules), "step": step}
    for fields in rules:
        data |= fields
    return data


def _key(campaign: Campaign) -> str:
    return current_terms(campaign)[0].key


def _texts(client: Client) -> list[str]:
    return [str(message) for message in client.get("/app/campaigns/").context["messages"]]


def test_a_draft_is_saved_at_once(alice: Cast, draft: Campaign) -> None:
    data = _form(
        alice.client, draft, "review", rule("rule-0", key=_key(draft), amount="25"), rule("rule-1", side="invitee")
    )

    assert alice.client.post(_url(draft), data)["Location"] == _url(draft)

    draft.refresh_from_db()
    assert [(terms.side, terms.amount) for terms in current_terms(draft)] == [
        ("referrer", Fixed(Money(2500, "USD"))),
        ("invitee", Fixed(Money(2000, "USD"))),
    ]
    assert [version.number for version in CampaignVersion.objects.all()] == [1]
    assert _texts(alice.client) == ["Rules saved"]


def test_a_launched_campaign_shows_the_difference_first(alice: Cast, campaign: Campaign) -> None:
    data = _form(
        alice.client,
        campaign,
        "review",
        rule("rule-0", key=_key(campaign), amount="25", minimum_purchase="", review_days="0", new_customers_only=None),
        rule("rule-1", side="invitee", trigger="join", kind="coupon", minimum_purchase="", review_days="0"),
    )

    answer = alice.client.post(_url(campaign), data)

    assert answer.status_code == 200
    changed, added = answer.context["changes"]
    assert (changed.kind, changed.lines) == (
        "changed",
        [
            (
                "Referrer: $15.00 as cash for each friend's first purchase",
                "Referrer: $25.00 as cash for each friend's first purchase",
            )
        ],
    )
    assert (added.kind, added.title) == ("added", "Friend: $20.00 as coupon for joining")
    assert "Publish version 2" in answer.content.decode()
    assert CampaignVersion.objects.count() == 1


def test_publishing_makes_a_version_and_old_rewards_keep_theirs(alice: Cast, campaign: Campaign) -> None:
    asha = make_participant(campaign)
    buy(make_friend(asha))
    data = _form(
        alice.client, campaign, "publish", rule("rule-0", key=_key(campaign), amount="25", minimum_purchase="")
    )

    answer = alice.client.post(_url(campaign), data)
    campaign.refresh_from_db()
    asha.campaign.refresh_from_db()
    buy(make_friend(asha, "ken@example.net"))

    assert answer["Location"] == _url(campaign)
    assert _texts(alice.client) == ["Version 2 is in force"]
    assert [reward.amount_minor for reward in Reward.objects.order_by("pk")] == [1500, 2500]
    assert [reward.rule.version.number for reward in Reward.objects.order_by("pk")] == [1, 2]


def test_publishing_the_same_makes_no_version(alice: Cast, campaign: Campaign) -> None:
    same = rule(
        "rule-0", key=_key(campaign), amount="15", minimum_purchase="", review_days="0", new_customers_only=None
    )

    alice.client.post(_url(campaign), _form(alice.client, campaign, "publish", same))

    assert CampaignVersion.objects.count() == 1
    assert _texts(alice.client) == ["Nothing was different, so version 1 stays in force."]


def test_removing_and_adding_keep_what_was_typed(alice: Cast, campaign: Campaign) -> None:
    two = (rule("rule-0", key=_key(campaign), amount="wrong"), rule("rule-1", amount="33"))

    removed = alice.client.post(_url(campaign), _form(alice.client, campaign, "remove-0", *two))
    added = alice.client.post(_url(campaign), _form(alice.client, campaign, "add", *two))

    assert [form["amount"].value() for form in removed.context["forms"]] == ["33"]
    assert [form["amount"].value() for form in added.context["forms"]] == ["wrong", "33", None]
    assert CampaignVersion.objects.count() == 1


def test_a_rule_that_is_wrong_publishes_nothing(alice: Cast, campaign: Campaign) -> None:
    data = _form(
        alice.client, campaign, "publish", rule("rule-0", amount="10.001"), rule("rule-1", trigger="nth_event")
    )

    answer = alice.client.post(_url(campaign), data)

    assert answer.status_code == 422
    first, second = answer.context["forms"]
    assert first.errors == {"amount": ["10.001 has more decimals than USD has (2)."]}
    assert second.errors == {"nth": ["Say which purchase: 3 means the third."]}
    assert CampaignVersion.objects.count() == 1


def test_a_second_tab_is_told(alice: Cast, campaign: Campaign) -> None:
    data = _form(alice.client, campaign, "publish", rule("rule-0", key=_key(campaign), amount="25"))
    services.publish_rules(campaign=campaign, rules=[fixed_rule(9900)], actor=ACTOR)

    answer = alice.client.post(_url(campaign), data)

    assert (answer.status_code, answer.context["error"]) == (409, CHANGED)
    assert answer.context["forms"][0]["amount"].value() == "25"
    campaign.refresh_from_db()
    assert [terms.amount for terms in current_terms(campaign)] == [Fixed(Money(9900, "USD"))]


def test_an_ended_campaign_keeps_its_rules(alice: Cast, campaign: Campaign) -> None:
    data = _form(alice.client, campaign, "publish", rule("rule-0", key=_key(campaign), amount="25"))
    services.end(campaign=campaign, actor=ACTOR)

    answer = alice.client.post(_url(campaign), data)

    assert answer.status_code == 409
    assert CampaignVersion.objects.count() == 1


@pytest.mark.parametrize("count", ["", "-1", "x", "9999", "²"])
def test_a_count_that_is_none_is_no_error(alice: Cast, campaign: Campaign, count: str) -> None:
    data = _form(alice.client, campaign, "add", rule("rule-0")) | {"count": count}

    assert alice.client.post(_url(campaign), data).status_code == 200
    assert CampaignVersion.objects.count() == 1


def test_a_foreign_rule_id_makes_a_new_rule(alice: Cast, charlie: Cast, draft: Campaign) -> None:
    data = _form(alice.client, draft, "review", rule("rule-0", key="rule_somebodyelses"))

    alice.client.post(_url(draft), data)

    draft.refresh_from_db()
    assert _key(draft).startswith("rule_")
    assert _key(draft) != "rule_somebodyelses"
