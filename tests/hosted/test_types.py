"""Every type of campaign, launched from its template and played to a reward; what its pages say to both sides, with tiers, milestones,
prizes and limits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from campaigns import services
from campaigns.models import Campaign
from campaigns.presets import PRESETS
from campaigns.rules import current_terms
from campaigns.terms import Fixed, Limits, RuleTerms, Tier
from participants.models import Participant
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from rewards.leaderboard import close_leaderboards
from rewards.models import Reward
from rewards.refunds import refund
from tests.factories import ACTOR, Cast, buy, make_campaign, make_friend, make_participant
from tests.hosted.test_campaign_page import page, text_of
from tests.hosted.test_portal import opened

MOST_BYTES = 30_000


def _launched(alice: Cast, key: str) -> Campaign:
    fields: dict[str, Any] = {"ends_at": clock.now() + timedelta(days=30)} if PRESETS[key].needs_end else {}
    campaign = services.create_campaign(
        tenant=alice.tenant, actor=ACTOR, name=key, currency="USD", preset_key=key, **fields
    )
    return services.launch(campaign=campaign, actor=ACTOR)


def _bring(referrer: Participant, number: int, *, buying: bool = True) -> None:
    for index in range(number):
        friend = make_friend(referrer, f"friend{index}@example.net")
        if buying:
            buy(friend, 5000)


def _worth(campaign: Campaign) -> list[str]:
    return [str(reward.worth) for reward in Reward.objects.filter(campaign=campaign, side="referrer").order_by("pk")]


@pytest.mark.parametrize(
    ("key", "friends", "buying", "worth", "header", "own"),
    [
        ("refer_a_friend_double", 1, True, ["$20.00"], "Give $20. Get $20.", "You get $20"),
        ("refer_a_friend_single", 1, True, ["$20.00"], "Get $20 for each friend.", "You get $20"),
        (
            "affiliate_12_months",
            1,
            True,
            ["$5.00"],
            "Earn 10% of everything your friends buy.",
            "For 12 months after a friend joins.",
        ),
        (
            "affiliate_lifetime",
            1,
            True,
            ["$5.00"],
            "Earn 10% of everything your friends buy.",
            "For as long as they buy.",
        ),
        (
            "newsletter",
            3,
            False,
            ["1 sticker sheet"],
            "3 friends who join: 1 sticker sheet for you.",
            "Mug: 10 friends who join 1 mug",
        ),
        (
            "milestones",
            3,
            True,
            ["$20.00"],
            "3 friends who buy: $20 for you.",
            "Gold: 25 friends who buy (again and again) $300 store credit",
        ),
    ],
)
def test_each_template_is_played_to_a_reward(
    alice: Cast, person: Client, key: str, friends: int, buying: bool, worth: list[str], header: str, own: str
) -> None:
    campaign = _launched(alice, key)
    referrer = make_participant(campaign, "asha@example.com", first_name="Asha")

    _bring(referrer, friends, buying=buying)

    assert _worth(campaign) == worth
    html = page(person, campaign)
    assert header in text_of(html)
    assert own in text_of(html)
    assert len(html.encode()) < MOST_BYTES
    assert 'style="' not in html
    invited = page(person, campaign, referrer.referral_code)
    assert "Asha" in text_of(invited)
    assert len(invited.encode()) < MOST_BYTES


def test_a_leaderboard_is_played_to_its_prizes(alice: Cast, person: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = _launched(alice, "leaderboard")
    first, second = (make_participant(campaign, f"{name}@example.com", first_name=name) for name in ("Asha", "Ben"))
    buy(make_friend(second, "one@example.net"), 5000)
    for number in range(2):
        buy(make_friend(first, f"of-asha{number}@example.net"), 5000)
    assert "Bring the most friends, win $300." in text_of(page(person, campaign))
    assert "1 $300 gift card 2 $200 gift card 3 $100 gift card" in text_of(page(person, campaign))

    text = text_of(opened(person, second).get("/me/").content.decode())
    assert "Leaderboard 1 Asha 2 friends 2 You 1 friend" in text

    later = clock.now() + timedelta(days=31)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert close_leaderboards() == 1
    assert _worth(campaign) == ["$300.00", "$200.00"]


def test_a_name_can_be_kept_off_the_board(alice: Cast, browser_client: Any) -> None:
    campaign = _launched(alice, "leaderboard")
    asha, ben = (make_participant(campaign, f"{name}@example.com", first_name=name) for name in ("Asha", "Ben"))
    buy(make_friend(asha, "one@example.net"), 5000)
    hers, his = opened(browser_client(), asha), opened(browser_client(), ben)
    assert "Asha" in his.get("/me/").content.decode()

    answer = hers.post(f"/me/board?campaign={campaign.public_id}", {"show": "0"})

    assert (answer.status_code, answer["Location"]) == (303, f"/me/?campaign={campaign.public_id}")
    asha.refresh_from_db()
    assert asha.hidden_on_board is True
    text = text_of(his.get("/me/").content.decode())
    assert "Leaderboard 1 Somebody 1" in text
    assert "Asha" not in text
    hers.post(f"/me/board?campaign={campaign.public_id}", {"show": "1"})
    assert "Asha" in his.get("/me/").content.decode()


def test_the_board_asks_for_a_session(db: None, person: Client) -> None:
    answer = person.post("/me/board", {"show": "0"})
    assert (answer.status_code, answer["Location"]) == (302, "/me/")


def test_a_leaderboard_without_an_end_is_not_launched(alice: Cast) -> None:
    campaign = services.create_campaign(
        tenant=alice.tenant, actor=ACTOR, name="Race", currency="USD", preset_key="leaderboard"
    )

    with pytest.raises(Refused) as refused:
        services.launch(campaign=campaign, actor=ACTOR)

    assert (refused.value.code, refused.value.field) == ("leaderboard_needs_end", "ends_at")
    campaign.refresh_from_db()
    assert campaign.status == "draft"


def test_every_template_has_its_first_rule_for_the_referrer() -> None:
    assert [PRESETS[key].rules("USD")[0].side for key in PRESETS] == ["referrer"] * 7


@pytest.fixture
def tiers(alice: Cast) -> Campaign:
    """10 dollars each for friends 1 and 2, 15 from the third on, at most 40 dollars a year."""
    steps = (Tier(1, 2, Fixed(Money(1000, "USD"))), Tier(3, None, Fixed(Money(1500, "USD"))))
    rule = RuleTerms(
        "", "referrer", "tier", steps[0].amount, tiers=steps, limits=Limits(per_referrer_year=Money(4000, "USD"))
    )
    return make_campaign(alice.tenant, [rule])


def test_tiers_are_a_table_and_the_limit_is_said_before(tiers: Campaign, person: Client) -> None:
    text = text_of(page(person, tiers))

    assert "Friends Reward 1 to 2 $10 in cash from 3 on $15 in cash" in text
    assert "You can earn $40 at most in a calendar year. What is over it is not paid." in text


@pytest.mark.parametrize(
    ("friends", "note", "limit", "value"),
    [
        (0, "0 friends who buy so far. The next one brings $10.", "$0 of $40 for this calendar year", 0),
        (2, "2 friends who buy so far. The next one brings $15.", "$20 of $40 for this calendar year", 50),
        (
            4,
            "4 friends who buy so far. The next one brings $15.",
            "You have earned the most for this calendar year, $40.",
            100,
        ),
    ],
)
def test_the_own_page_says_how_far_one_is(
    tiers: Campaign, person: Client, friends: int, note: str, limit: str, value: int
) -> None:
    referrer = make_participant(tiers)
    _bring(referrer, friends)

    html = opened(person, referrer).get("/me/").content.decode()

    assert note in text_of(html)
    assert limit in text_of(html)
    assert f'<progress max="100" value="{value}"' in html
    assert len(html.encode()) < MOST_BYTES


def test_last_years_rewards_use_nothing_of_this_year(tiers: Campaign, person: Client) -> None:
    Campaign.objects.update(status_since=datetime(2020, 1, 1, tzinfo=UTC))
    referrer = make_participant(tiers)
    friend = make_friend(referrer)
    year = clock.now().year
    buy(friend, 5000, occurred_at=datetime(year - 1, 12, 31, 23, 0, tzinfo=UTC))

    assert "$0 of $40 for this calendar year" in text_of(opened(person, referrer).get("/me/").content.decode())


def test_the_path_names_the_next_milestone(alice: Cast, person: Client) -> None:
    campaign = _launched(alice, "milestones")
    referrer = make_participant(campaign)
    _bring(referrer, 4)

    html = opened(person, referrer).get("/me/").content.decode()

    assert "4 friends who buy so far. 6 more for $100." in text_of(html)
    assert "Reached: Bronze: 3 friends who buy $20 store credit" in text_of(html)
    # to scale: 4 of 25
    assert '<rect class="gone" y="3" width="160" height="6"/>' in html


def test_units_stand_wherever_amounts_do(alice: Cast, person: Client) -> None:
    campaign = _launched(alice, "newsletter")
    referrer = make_participant(campaign)
    _bring(referrer, 3, buying=False)

    text = text_of(opened(person, referrer).get("/me/").content.decode())

    assert "1 sticker sheet For inviting" in text
    assert "$0 reward" not in text


def test_german_pages_are_in_german(alice: Cast, person: Client) -> None:
    for key in ("affiliate_12_months", "milestones", "leaderboard", "newsletter"):
        campaign = _launched(alice, key)
        services.save_texts(campaign=campaign, language="de", actor=ACTOR, texts={"terms": "Deutsch"})
        text = text_of(page(person, campaign, lang="de"))
        for word in (
            "friends who",
            "Share your link",
            "What you can earn",
            "calendar year",
            "Rank",
            "Milestones",
            " friend ",
        ):
            assert word not in text, (key, word)


def test_terms_keep_the_amounts_of_a_template(alice: Cast) -> None:
    rules = current_terms(_launched(alice, "leaderboard"))
    assert [tier.amount for tier in rules[0].tiers] == [Fixed(Money(minor, "USD")) for minor in (30000, 20000, 10000)]


def test_friends_on_a_leaderboard_are_told_as_counting(alice: Cast, person: Client) -> None:
    campaign = _launched(alice, "leaderboard")
    asha = make_participant(campaign, "asha@example.com", first_name="Asha")
    _bring(asha, 1)
    make_friend(asha, "quiet@example.net", first_name="Quinn")
    refunded = make_friend(asha, "back@example.net", first_name="Bea")
    bought = buy(refunded, 5000).event
    refund(tenant=alice.tenant, actor=ACTOR, source="test", external_id="r1", event=bought)
    opened(person, asha)
    text = text_of(person.get("/me/").content.decode())
    assert "Ordered. Counts on the leaderboard. Counted" in text
    assert "Quinn Joined, no order yet. You can remind them from" in text
    assert "Bea Ordered. Ordered" in text


def test_pages_of_ranks_and_milestones_promise_no_more_than_they_give(alice: Cast, person: Client) -> None:
    for key, friend_step, own_step in (
        ("leaderboard", "Asha climbs the leaderboard The first place wins $300.", "The first place wins $300 when the"),
        ("milestones", "Asha comes closer to a reward $20 for 3 friends who buy.", "You get $20 for 3 friends who buy"),
        (
            "newsletter",
            "Asha comes closer to a reward 1 sticker sheet for 3",
            "You get 1 sticker sheet for 3 friends who",
        ),
    ):
        campaign = _launched(alice, key)
        asha = make_participant(campaign, "asha@example.com", first_name="Asha")
        text = text_of(page(person, campaign, asha.referral_code))
        assert friend_step in text
        assert "Asha gets" not in text
        assert ("Place your first order" in text) is (key != "newsletter")
        assert own_step in text_of(page(person, campaign))


def test_what_is_earned_in_things_is_shown_as_earned(alice: Cast, person: Client) -> None:
    campaign = _launched(alice, "newsletter")
    asha = make_participant(campaign, "asha@example.com", first_name="Asha")
    _bring(asha, 4, buying=False)
    opened(person, asha)
    text = text_of(person.get("/me/").content.decode())
    assert "Earned so far 1 sticker sheet Clicks 0" in text
    # The fourth friend came after the first milestone, and counts towards the second.
    assert "You have 4 of 10 friends for this reward. Counted" in text
