"""What is used of a campaign's limits: on its overview, and on the page of one person."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from campaigns.models import Campaign
from campaigns.terms import Fixed, Limits, RuleTerms, Tier, Units
from referrals.lib import clock
from referrals.lib.money import Money
from referrals.web.campaign_words import conditions_of, title_of
from tests.factories import Cast, buy, fixed_rule, make_campaign, make_friend, make_participant

# A Friday in the 47th week.
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def _usd(major: int) -> Money:
    return Money(major * 100, "USD")


@pytest.fixture
def limited(alice: Cast, monkeypatch: pytest.MonkeyPatch) -> Campaign:
    """15 dollars for each first purchase; 30 a person and year, 60 a month in all, 45 a day."""
    monkeypatch.setattr(clock, "now", lambda: NOON)
    limits = Limits(per_referrer_year=_usd(30), campaign_month=_usd(60), campaign_day=_usd(45))
    return make_campaign(alice.tenant, [fixed_rule(1500, limits=limits)])


def _text(client: Client, url: str) -> str:
    html = client.get(url).content.decode()
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)).replace("&#x27;", "'")


def _panel(client: Client, url: str) -> Any:
    return client.get(url).context["limits"]


def test_before_at_and_after_the_limit(alice: Cast, limited: Campaign) -> None:
    url = f"/app/campaigns/{limited.public_id}/"
    asha, ben = make_participant(limited, "asha@example.com"), make_participant(limited, "ben@example.com")
    panel = _panel(alice.client, url)
    assert [(bar.label, bar.text, bar.width, bar.full) for bar in panel.bars] == [
        ("This month", "$0.00 of $60.00", 0, False),
        ("Today", "$0.00 of $45.00", 0, False),
    ]
    assert panel.lines == ["0 referrers have earned the most for this calendar year, $30.00."]

    for number in range(3):  # the third is over Asha's 30 dollars
        buy(make_friend(asha, f"of-asha{number}@example.net"))
    for number in range(2):  # and the second of Ben's over the day's 45
        buy(make_friend(ben, f"of-ben{number}@example.net"))

    panel = _panel(alice.client, url)
    assert [(bar.label, bar.text, bar.width, bar.full) for bar in panel.bars] == [
        ("This month", "$45.00 of $60.00", 750, False),
        ("Today", "$45.00 of $45.00: the limit is reached", 1000, True),
    ]
    assert panel.lines == ["1 referrer has earned the most for this calendar year, $30.00."]
    (bar,) = _panel(alice.client, f"/app/participants/{asha.public_id}/")
    assert (bar.label, bar.text, bar.width) == ("This calendar year", "$30.00 of $30.00: the limit is reached", 1000)
    (bar,) = _panel(alice.client, f"/app/participants/{ben.public_id}/")
    assert (bar.label, bar.text, bar.width) == ("This calendar year", "$15.00 of $30.00", 500)
    assert "At most $30.00 for one referrer in a calendar year" in _text(alice.client, url)


def test_without_limits_there_is_no_panel(alice: Cast, campaign: Campaign) -> None:
    assert _panel(alice.client, f"/app/campaigns/{campaign.public_id}/") is None
    person = make_participant(campaign)
    assert list(_panel(alice.client, f"/app/participants/{person.public_id}/")) == []


def _rule(**changes: Any) -> RuleTerms:
    return RuleTerms(**{"key": "", "side": "referrer", "trigger": "first_event", "amount": Fixed(_usd(10)), **changes})


TIERS = (Tier(1, 4, Fixed(_usd(10))), Tier(5, None, Units(1, "free month")))


@pytest.mark.parametrize(
    ("terms", "title"),
    [
        (_rule(trigger="milestone", nth=5), "Referrer: $10.00 as cash for reaching 5 friends who buy"),
        (
            _rule(trigger="milestone", nth=1, event="join", label="First"),
            "Referrer: $10.00 as cash for reaching 1 friend who joins (First)",
        ),
        (_rule(trigger="milestone", nth=5, recurring=True), "Referrer: $10.00 as cash for every 5 friends who buy"),
        (_rule(trigger="tier", tiers=TIERS), "Referrer: $10.00 to 1 free month as cash for friends who buy, by tier"),
        (
            _rule(trigger="leaderboard", tiers=TIERS[:1]),
            "Referrer: $10.00 as cash for a place on the leaderboard of friends who buy, when it closes",
        ),
        (_rule(trigger="status", event="approved"), "Referrer: $10.00 as cash for each friend whom you approve"),
        (
            _rule(trigger="status", event="qualified", side="invitee"),
            "Friend: $10.00 as cash for being marked as qualified by you",
        ),
    ],
)
def test_every_trigger_is_told_in_words(terms: RuleTerms, title: str) -> None:
    assert title_of(terms, "en") == title


def test_every_limit_and_tier_is_told_in_words() -> None:
    limits = Limits(_usd(1), _usd(2), _usd(3), _usd(4), _usd(5), _usd(6))
    terms = _rule(trigger="tier", tiers=TIERS, limits=limits, within_days=365)

    assert [sentence for _name, sentence in conditions_of(terms, "en")] == [
        "Friends 1 to 4: $10.00 each; From friend 5 on: 1 free month each",
        "For 12 months after joining",
        "At most $1.00 for one referrer",
        "At most $2.00 for one referrer in a calendar year",
        "A budget of $3.00 in all",
        "A budget of $4.00 a month",
        "A budget of $5.00 a week",
        "A budget of $6.00 a day",
        "Due at once",
    ]
