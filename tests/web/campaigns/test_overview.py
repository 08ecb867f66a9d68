"""A campaign's overview, and launching, pausing, resuming, ending, copying it."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from campaigns import services
from campaigns.models import Campaign, StatusChange
from campaigns.rules import current_terms
from participants.models import Visit
from participants.visits import visit_row
from referrals.events.models import Event
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant


def _url(campaign: Campaign, rest: str = "") -> str:
    return f"/app/campaigns/{campaign.public_id}/{rest}"


def _messages(answer: object) -> list[str]:
    return [str(message) for message in answer.context["messages"]]  # type: ignore[attr-defined]  # a followed answer


def test_the_funnel_counts_people_not_machines(alice: Cast, campaign: Campaign) -> None:
    asha = make_participant(campaign)
    rows = [visit_row(referrer=asha, visitor=f"v{n}") for n in range(4)]
    Visit.objects.bulk_create([*rows, visit_row(referrer=asha, visitor="bot", hidden_reason="bot")])
    buy(make_friend(asha))
    make_friend(asha, "ken@example.net")

    funnel = alice.client.get(_url(campaign)).context["funnel"]

    assert [(row["label"], row["count"], row["share"]) for row in funnel] == [
        ("Clicks", "4", ""),
        ("Joined", "2", "50%"),
        ("Bought", "1", "50%"),
        ("Rewarded", "1", "100%"),
    ]
    assert [row["width"] for row in funnel] == [1000, 500, 250, 250]


def test_the_rules_stand_in_plain_words(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, [fixed_rule(2000, review_days=1, new_customers_only=True)])

    (rule,) = alice.client.get(_url(campaign)).context["rules"]

    assert (rule.who, rule.reward, rule.occasion) == ("Referrer", "$20.00 as cash", "each friend's first purchase")
    assert rule.conditions == ["New customers only", "Due after 1 day in review"]


def test_the_history_says_who_and_what(alice: Cast, campaign: Campaign) -> None:
    alice.client.post(_url(campaign, "pause/"))

    entries = alice.client.get(_url(campaign)).context["history"]

    assert [(entry.text, entry.by) for entry in entries] == [
        ("Paused", "alice@example.com"),
        ("Went live", "alice@example.com"),
        ("Created as a draft", "alice@example.com"),
    ]


@pytest.mark.parametrize(
    ("before", "action", "after", "said"),
    [
        ("draft", "launch", "active", "Autumn is live"),
        ("active", "pause", "paused", "Autumn is paused"),
        ("paused", "resume", "active", "Autumn is live again"),
        ("active", "end", "ended", "Autumn has ended"),
        ("paused", "end", "ended", "Autumn has ended"),
    ],
)
def test_an_action_is_explained_then_done(alice: Cast, before: str, action: str, after: str, said: str) -> None:
    campaign = make_campaign(alice.tenant, name="Autumn", launched=before != "draft")
    if before == "paused":
        campaign = services.pause(campaign=campaign, actor=ACTOR)

    asked = alice.client.get(_url(campaign, f"{action}/"))
    assert asked.context["possible"] is True
    assert str(asked.context["action"].text) in asked.content.decode().replace("&#x27;", "'")
    assert Campaign.objects.get(pk=campaign.pk).status == before

    done = alice.client.post(_url(campaign, f"{action}/"), follow=True)
    assert done.redirect_chain == [(_url(campaign), 302)]
    assert _messages(done) == [said]
    assert Campaign.objects.get(pk=campaign.pk).status == after


@pytest.mark.parametrize("action", ["launch", "resume"])
def test_an_action_in_the_wrong_state_changes_nothing(alice: Cast, campaign: Campaign, action: str) -> None:
    changes, events = StatusChange.objects.count(), Event.objects.count()

    assert alice.client.get(_url(campaign, f"{action}/")).context["possible"] is False
    answer = alice.client.post(_url(campaign, f"{action}/"), follow=True)

    assert answer.redirect_chain == [(_url(campaign), 303)]
    assert len(_messages(answer)) == 1
    assert "active" in _messages(answer)[0]
    assert Campaign.objects.get(pk=campaign.pk).status == "active"
    assert (StatusChange.objects.count(), Event.objects.count()) == (changes, events)


def test_no_rules_no_launch(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, [], launched=False)

    answer = alice.client.post(_url(campaign, "launch/"), follow=True)

    assert _messages(answer) == ["Add at least one reward rule before launching."]
    assert Campaign.objects.get().status == "draft"


def test_a_copy_is_a_draft_with_the_same_rules_and_no_people(alice: Cast, campaign: Campaign) -> None:
    make_participant(campaign)

    answer = alice.client.post(_url(campaign, "copy/"))

    copy = Campaign.objects.exclude(pk=campaign.pk).get()
    assert answer["Location"] == _url(copy)
    assert (copy.status, copy.name) == ("draft", "Spring refer-a-friend (copy)")
    assert [rule.amount for rule in current_terms(copy)] == [rule.amount for rule in current_terms(campaign)]
    assert copy.participants.count() == 0


def test_looking_does_not_copy(alice: Cast, campaign: Campaign) -> None:
    assert alice.client.get(_url(campaign, "copy/")).status_code == 405
    assert Campaign.objects.count() == 1


@pytest.mark.parametrize("rest", ["", "design/", "rules/", "settings/", "pause/"])
def test_strangers_find_nothing(charlie: Cast, campaign: Campaign, rest: str) -> None:
    assert charlie.client.get(_url(campaign, rest)).status_code == 404


@pytest.mark.parametrize("rest", ["pause/", "copy/", "rules/", "settings/", "design/"])
def test_a_viewer_looks_and_changes_nothing(bob: Cast, campaign: Campaign, rest: str) -> None:
    page = bob.client.get(_url(campaign)).content.decode()
    assert "Duplicate" not in page
    assert "Change the rules" not in page

    assert bob.client.post(_url(campaign, rest), {"step": "publish"}).status_code == 403
    assert Campaign.objects.get().status == "active"


def test_the_number_of_queries_does_not_grow(alice: Cast, campaign: Campaign) -> None:
    alice.client.get(_url(campaign))  # published rules are kept in memory from here on
    with CaptureQueriesContext(connection) as empty:
        alice.client.get(_url(campaign))
    asha = make_participant(campaign)
    for n in range(3):
        buy(make_friend(asha, f"f{n}@example.net"))
    with CaptureQueriesContext(connection) as full:
        alice.client.get(_url(campaign))

    assert len(full) == len(empty) <= 15
