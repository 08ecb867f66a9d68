"""Making, changing, launching and copying campaigns; what is refused leaves everything as it was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from campaigns import services
from campaigns.models import Campaign, CampaignText, CampaignVersion
from campaigns.presets import PRESETS
from campaigns.rules import current_terms, main_rule, reward_text
from campaigns.texts import texts_for
from referrals.events.models import Event
from referrals.lib import clock
from referrals.lib.errors import Refused
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant, percent_rule

pytestmark = pytest.mark.django_db
# Templates whose first reward is no 20 dollars: tests/hosted/test_types.py plays each of them.
OTHER_AMOUNTS = {"affiliate_12_months", "affiliate_lifetime", "newsletter", "leaderboard"}


@pytest.mark.parametrize("key", [key for key in PRESETS if key not in OTHER_AMOUNTS])
@pytest.mark.parametrize(("currency", "reward"), [("USD", "$20"), ("JPY", "¥2,000"), ("KWD", "KWD20")])
def test_a_template_is_a_draft_that_can_be_launched_at_once(alice: Cast, key: str, currency: str, reward: str) -> None:
    campaign = services.create_campaign(
        tenant=alice.tenant, actor=ACTOR, name=" Spring ", currency=currency, preset_key=key
    )
    assert (campaign.status, campaign.name) == ("draft", "Spring")
    assert reward_text(main_rule(current_terms(campaign), "referrer")) == reward
    campaign = services.launch(campaign=campaign, actor=ACTOR)
    assert (campaign.status, campaign.closed_reason(clock.now())) == ("active", None)
    assert list(Event.objects.order_by("pk").values_list("type", flat=True)) == [
        "campaign.created",
        "campaign.status_changed",
    ]


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"name": "  "}, "blank", "name"),
        ({"name": "x" * 121}, "invalid_value", "name"),
        ({"currency": "usd"}, "currency", "currency"),
        ({"currency": "XXX"}, "currency", "currency"),
        ({"preset_key": "lottery"}, "preset_not_found", "preset"),
        ({"brand_color": "red"}, "invalid_value", "brand_color"),
        ({"window_days": 366}, "window_days", "window_days"),
        ({"landing_mode": "redirect", "landing_url": "javascript:alert(1)"}, "invalid_value", "landing_url"),
        ({"landing_mode": "redirect"}, "landing_url", "landing_url"),
        ({"colour": "red"}, "unknown_field", "colour"),
        (
            {"starts_at": datetime(2026, 5, 2, tzinfo=UTC), "ends_at": datetime(2026, 5, 1, tzinfo=UTC)},
            "ends_before_start",
            "ends_at",
        ),
    ],
)
def test_a_bad_value_is_named_and_nothing_is_made(alice: Cast, change: dict[str, Any], code: str, field: str) -> None:
    asked: dict[str, Any] = {"tenant": alice.tenant, "actor": ACTOR, "name": "Spring", "currency": "USD"}
    with pytest.raises(Refused) as refused:
        services.create_campaign(**asked | change)
    assert (refused.value.code, refused.value.field) == (code, field)
    assert (Campaign.objects.count(), Event.objects.count()) == (0, 0)


MOVES = {"launch": {"draft"}, "pause": {"active"}, "resume": {"paused"}, "end": {"active", "paused"}}


@pytest.mark.parametrize("status", ["draft", "active", "paused", "ended"])
@pytest.mark.parametrize("action", list(MOVES))
def test_each_action_starts_from_its_states_alone(alice: Cast, action: str, status: str) -> None:
    campaign = make_campaign(alice.tenant, launched=False)
    for step in {"draft": [], "active": ["launch"], "paused": ["launch", "pause"], "ended": ["launch", "end"]}[status]:
        campaign = getattr(services, step)(campaign=campaign, actor=ACTOR)
    changes = campaign.status_changes.count()
    if status in MOVES[action]:
        moved = getattr(services, action)(campaign=campaign, actor=ACTOR)
        assert (moved.status != status, moved.status_changes.count()) == (True, changes + 1)
        return
    with pytest.raises(Refused) as refused:
        getattr(services, action)(campaign=campaign, actor=ACTOR)
    assert (refused.value.code, refused.value.status, refused.value.details) == (
        "invalid_state",
        409,
        {"status": status},
    )
    campaign.refresh_from_db()
    assert (campaign.status, campaign.status_changes.count()) == (status, changes)


def test_launching_needs_rules_and_a_future_end(alice: Cast) -> None:
    bare = make_campaign(alice.tenant, [], launched=False)
    with pytest.raises(Refused) as refused:
        services.launch(campaign=bare, actor=ACTOR)
    assert refused.value.code == "no_rules"
    over = make_campaign(alice.tenant, launched=False, ends_at=clock.now() - timedelta(days=1))
    with pytest.raises(Refused) as refused:
        services.launch(campaign=over, actor=ACTOR)
    assert refused.value.code == "ends_in_the_past"
    assert set(Campaign.objects.values_list("status", flat=True)) == {"draft"}


def test_the_currency_is_fixed_at_launch(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant)
    with pytest.raises(Refused) as refused:
        services.update_campaign(campaign=campaign, actor=ACTOR, currency="EUR")
    assert (refused.value.code, Campaign.objects.get().currency) == ("currency_fixed", "USD")


@pytest.mark.parametrize(
    ("change", "code"),
    [({"ends_at": -1}, "ends_in_the_past"), ({"starts_at": -1}, "invalid_value"), ({"starts_at": 1}, "invalid_value")],
    ids=["ends before now", "starts after the first purchase", "starts later"],
)
def test_dates_never_shut_out_what_has_happened(alice: Cast, change: dict[str, int], code: str) -> None:
    campaign = make_campaign(alice.tenant, [percent_rule()])
    friend = make_friend(make_participant(campaign))
    buy(friend, 5000, occurred_at=clock.now() - timedelta(days=9))
    buy(friend, 5000)
    dates: dict[str, Any] = {name: clock.now() + timedelta(days=days) for name, days in change.items()}
    with pytest.raises(Refused) as refused:
        services.update_campaign(campaign=campaign, actor=ACTOR, **dates)
    assert (refused.value.code, refused.value.field) == (code, next(iter(change)))
    row = Campaign.objects.get()
    assert (row.starts_at, row.ends_at, row.revision) == (None, None, campaign.revision)


def test_dates_of_a_running_campaign_may_be_put_off_or_emptied(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, ends_at=clock.now() + timedelta(days=1))
    later = clock.now() + timedelta(days=5)
    assert services.update_campaign(campaign=campaign, actor=ACTOR, ends_at=later).ends_at == later
    assert services.update_campaign(campaign=campaign, actor=ACTOR, ends_at=None, starts_at=None).ends_at is None
    Campaign.objects.update(ends_at=clock.now() - timedelta(days=1))
    over = Campaign.objects.get()
    assert services.update_campaign(campaign=over, actor=ACTOR, name="Over", ends_at=over.ends_at).name == "Over"


def test_the_second_of_two_tabs_is_told_and_changes_nothing(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant)
    services.update_campaign(campaign=campaign, actor=ACTOR, revision=campaign.revision, name="First tab")
    with pytest.raises(Refused) as refused:
        services.update_campaign(campaign=campaign, actor=ACTOR, revision=campaign.revision, name="Second tab")
    assert (refused.value.code, refused.value.status) == ("changed_meanwhile", 409)
    assert Campaign.objects.get().name == "First tab"


def test_a_draft_s_rules_are_replaced_and_a_launched_campaign_s_are_kept(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, launched=False)
    (rule,) = current_terms(campaign)
    services.publish_rules(campaign=campaign, actor=ACTOR, rules=[fixed_rule(900, key=rule.key)])
    assert list(CampaignVersion.objects.values_list("number", flat=True)) == [1]
    campaign = services.launch(campaign=Campaign.objects.get(), actor=ACTOR)
    buy(make_friend(make_participant(campaign)))
    services.publish_rules(campaign=campaign, actor=ACTOR, rules=[fixed_rule(900, key=rule.key), percent_rule()])
    assert list(CampaignVersion.objects.order_by("number").values_list("number", flat=True)) == [1, 2]
    assert current_terms(Campaign.objects.get())[0].key == rule.key


def test_publishing_the_same_rules_changes_nothing(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant)
    before = (Event.objects.count(), campaign.version_id)
    version = services.publish_rules(campaign=campaign, actor=ACTOR, rules=current_terms(campaign))
    assert (Event.objects.count(), version.pk) == before


def test_a_rule_can_not_take_over_another_campaign_s_id(alice: Cast) -> None:
    (theirs,) = current_terms(make_campaign(alice.tenant))
    other = make_campaign(alice.tenant, launched=False)
    services.publish_rules(campaign=other, actor=ACTOR, rules=[fixed_rule(900, key=theirs.key)])
    assert current_terms(Campaign.objects.get(pk=other.pk))[0].key not in {"", theirs.key}


def test_a_copy_has_everything_but_people_and_dates(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, ends_at=clock.now() + timedelta(days=9), brand_color="#c93a17")
    services.save_texts(campaign=campaign, language="en", actor=ACTOR, texts={"reward_header": "Your first bag."})
    make_participant(campaign)
    copy = services.duplicate(campaign=campaign, actor=ACTOR)
    assert (copy.name, copy.status, copy.brand_color, copy.ends_at) == (
        "Spring refer-a-friend (copy)",
        "draft",
        "#c93a17",
        None,
    )
    assert [t.amount for t in current_terms(copy)] == [t.amount for t in current_terms(campaign)]
    assert current_terms(copy)[0].key != current_terms(campaign)[0].key
    assert (copy.participants.count(), copy.texts.get().reward_header) == (0, "Your first bag.")


def test_an_empty_text_falls_back_to_the_default_language_and_then_to_the_rules(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant)
    services.save_texts(campaign=campaign, language="en", actor=ACTOR, texts={"share_header": "Share Halden"})
    services.save_texts(campaign=campaign, language="de", actor=ACTOR, texts={"thank_you": "Willkommen."})
    texts = texts_for(campaign, "de")
    assert (texts.share_header, texts.thank_you) == ("Share Halden", "Willkommen.")
    assert "15" in texts.share_description


def test_a_text_that_is_too_long_is_named(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant)
    with pytest.raises(Refused) as refused:
        services.save_texts(campaign=campaign, language="en", actor=ACTOR, texts={"reward_header": "x" * 121})
    assert (refused.value.field, CampaignText.objects.count()) == ("reward_header", 0)
