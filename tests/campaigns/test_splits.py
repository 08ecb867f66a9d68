"""Rules that contradict a shared friend are refused by name, wherever one or the other is set; nothing is changed then (ADR 11)."""

from __future__ import annotations

from typing import Any

import pytest

from campaigns import services
from campaigns.conditions import Comparison, Group
from campaigns.models import Campaign
from campaigns.splits import contradiction
from campaigns.terms import Fixed, Limits, RuleTerms, TermsError, Tier, Units
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from tests.factories import ACTOR, Cast, fixed_rule, make_campaign, percent_rule

TEN = Money(1000, "USD")
COUNTRY = Group("all", (Comparison("referrer", "country", "is", "NO"),))
AGAINST: dict[str, tuple[RuleTerms, str]] = {
    "milestone": (fixed_rule(trigger="milestone", nth=3), "trigger"),
    "tier": (fixed_rule(trigger="tier", tiers=(Tier(1, None, Fixed(TEN)),)), "trigger"),
    "leaderboard": (fixed_rule(trigger="leaderboard", tiers=(Tier(1, 1, Fixed(TEN)),)), "trigger"),
    "limit": (percent_rule(limits=Limits(per_referrer=TEN)), "limits.per_referrer"),
    "limit of a year": (percent_rule(limits=Limits(per_referrer_year=TEN)), "limits.per_referrer_year"),
    "limit for the friend's": (percent_rule(side="invitee", limits=Limits(per_referrer=TEN)), "limits.per_referrer"),
    "units": (RuleTerms("", "referrer", "first_event", Units(1, "free month")), "amount"),
    "condition": (fixed_rule(conditions=COUNTRY), "conditions"),
}
WITH: list[RuleTerms] = [
    fixed_rule(),
    percent_rule("12.5", max_purchases_per_friend=3, limits=Limits(campaign=TEN, campaign_day=TEN)),
    fixed_rule(trigger="nth_event", nth=3),
    fixed_rule(trigger="status", event="approved"),
    fixed_rule(trigger="join", event="join"),
    RuleTerms("", "invitee", "first_event", Units(1, "free month")),
    fixed_rule(conditions=Group("all", (Comparison("invitee", "country", "is", "NO"),))),
]


@pytest.mark.parametrize("name", AGAINST)
def test_what_looks_at_one_referrer_contradicts_sharing(name: str) -> None:
    terms, field = AGAINST[name]
    found = contradiction(terms)
    assert found is not None
    assert found[0] == field
    assert found[1].endswith(".")


def test_what_is_about_a_friend_or_the_campaign_goes_with_it() -> None:
    assert [contradiction(terms) for terms in WITH] == [None] * len(WITH)


@pytest.mark.django_db
@pytest.mark.parametrize("model", ["linear", "position"])
def test_publishing_such_a_rule_is_refused_at_its_field(alice: Cast, model: str) -> None:
    campaign = make_campaign(alice.tenant, WITH[:2], attribution_model=model, ends_at=None)
    before = campaign.revision
    for terms, field in AGAINST.values():
        rules = [WITH[0], terms]
        if terms.trigger == "leaderboard":
            continue  # a leaderboard without an end is refused for that first
        with pytest.raises(TermsError) as refused:
            services.publish_rules(campaign=campaign, rules=rules, actor=ACTOR)
        assert (refused.value.field, refused.value.code) == (f"rules[1].{field}", "split_not_possible")
    campaign.refresh_from_db()
    assert (campaign.revision, campaign.versions.count()) == (before, 1)


@pytest.mark.django_db
@pytest.mark.parametrize("launched", [False, True])
def test_the_setting_is_refused_while_such_a_rule_is_in_force(alice: Cast, launched: bool) -> None:
    campaign = make_campaign(alice.tenant, [fixed_rule(), AGAINST["milestone"][0]], launched=launched)
    with pytest.raises(Refused, match="Rule 2 stands against it") as refused:
        services.update_campaign(campaign=campaign, actor=ACTOR, attribution_model="linear", name="Other")
    assert (refused.value.field, refused.value.code, refused.value.status) == (
        "attribution_model", "split_not_possible", 422,
    )  # fmt: skip
    assert refused.value.details["rule"].startswith("rule_")
    after = Campaign.objects.get()
    assert (after.attribution_model, after.name, after.revision) == (
        "first_click", "Spring refer-a-friend", campaign.revision,
    )  # fmt: skip
    # With other rules it goes, also told in one piece; and back again.
    changed = services.update_campaign(campaign=campaign, actor=ACTOR, attribution_model="linear", rules=[fixed_rule()])
    services.publish_rules(campaign=changed, rules=[fixed_rule()], actor=ACTOR)
    services.update_campaign(campaign=changed, actor=ACTOR, attribution_model="last_click")
    services.publish_rules(campaign=changed, rules=[AGAINST["milestone"][0]], actor=ACTOR)


@pytest.mark.django_db
def test_once_a_friend_is_shared_such_rules_stay_refused(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, attribution_model="linear")
    Campaign.objects.filter(pk=campaign.pk).update(has_splits=True, attribution_model="first_click")
    with pytest.raises(TermsError, match="make another campaign"):
        services.publish_rules(campaign=campaign, rules=[AGAINST["tier"][0]], actor=ACTOR)
    assert campaign.versions.count() == 1
    copy = services.duplicate(campaign=Campaign.objects.get(pk=campaign.pk), actor=ACTOR)
    assert copy.has_splits is False
    services.publish_rules(campaign=copy, rules=[AGAINST["tier"][0]], actor=ACTOR)


@pytest.mark.django_db
def test_a_template_that_counts_friends_is_not_made_with_it(alice: Cast) -> None:
    with pytest.raises(TermsError) as refused:
        services.create_campaign(
            tenant=alice.tenant, actor=ACTOR, name="Club", currency="USD", preset_key="milestones",
            attribution_model="position",
        )  # fmt: skip
    assert (refused.value.field, Campaign.objects.count()) == ("rules[0].trigger", 0)


@pytest.mark.django_db
def test_the_pages_say_it_at_the_field(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, [fixed_rule(), AGAINST["limit"][0]])
    url = f"/app/campaigns/{campaign.public_id}/"
    fields: dict[str, Any] = {
        "revision": campaign.revision, "name": "Spring", "currency": "USD", "starts_at": "", "ends_at": "",
        "attribution_model": "linear", "window_days": "30", "landing_mode": "hosted", "landing_url": "",
        "default_language": "en",
    }  # fmt: skip
    answer = alice.client.post(f"{url}settings/", fields)
    assert (answer.status_code, list(answer.context["form"].errors)) == (422, ["attribution_model"])
    assert "Rule 2 stands against it: A limit for one referrer" in answer.content.decode()
    services.publish_rules(campaign=campaign, rules=[fixed_rule()], actor=ACTOR)
    revision = Campaign.objects.get().revision
    assert alice.client.post(f"{url}settings/", fields | {"revision": revision}).status_code == 302
    assert "Shared, every click the same" in alice.client.get(url).content.decode()
    rule = {
        "rule-0-side": "referrer", "rule-0-trigger": "first_event", "rule-0-amount_type": "fixed", "rule-0-amount": "20",
        "rule-0-kind": "cash", "rule-0-review_days": "14", "rule-0-limit_per_referrer": "100",
    }  # fmt: skip
    posted = {"revision": revision + 1, "count": "1", **rule}
    for step in ("review", "what_if", "publish"):
        answer = alice.client.post(f"{url}rules/", posted | {"step": step})
        assert (answer.status_code, list(answer.context["forms"][0].errors)) == (422, ["limit_per_referrer"])
    assert Campaign.objects.get().versions.count() == 2
