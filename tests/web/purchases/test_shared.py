"""A friend whom three share, on every page that speaks of them; by nobody's name on the participants' own pages."""

from __future__ import annotations

import html
import re

import pytest
from django.test import Client

from participants.models import Participant
from referrals.hosted.story import tell
from referrals.lib.money import Money
from rewards import bans, lifecycle
from rewards.models import Reward
from rewards.simulating import simulate, story_of
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_cast, make_friend
from tests.rewards.splits import make_referrers, make_shared_friend

pytestmark = pytest.mark.django_db


def text(client: Client, url: str) -> str:
    """The words of a page."""
    response = client.get(url)
    body = b"".join(response.streaming_content) if response.streaming else response.content  # type: ignore[attr-defined]
    plain = html.unescape(re.sub(r"<[^>]+>", " ", body.decode()))
    return re.sub(r"[\u2066-\u2069]", "", re.sub(r"\s+", " ", plain))


def test_every_page_tells_who_has_which_part(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, [fixed_rule(1000, trigger="every_event")], attribution_model="linear")
    people = make_referrers(campaign)
    friend = make_shared_friend(people)
    event = buy(friend, external_id="o1").event
    bans.ban(participant=people["b"], actor=ACTOR, reason="Bots")
    second = buy(friend, external_id="o2").event
    make_friend(people["a"], "ola@example.net")
    lost = Reward.objects.get(participant=people["c"], event=event)
    lifecycle.void(tenant=alice.tenant, reward_ids=[lost.pk], actor=ACTOR, note="Staff")

    shown = text(alice.client, f"/app/purchases/{second.public_id}/")
    assert "Shared between A 1/3 · B 1/3 · C 1/3" in shown
    assert "$3.34 Due A 1/3" in shown
    assert "$3.33 On hold B 1/3" in shown
    assert "$3.33 Due C 1/3" in shown
    assert "A fixed amount: $10.00" in shown
    # One part that a ban holds does not speak for the whole.
    assert "$50.00 Rewardable" in shown
    assert "A 1/3 · B 1/3, held: banned · C 1/3" in shown
    assert "1/3 credited to A, whose link was opened" in shown
    first = text(alice.client, f"/app/purchases/{event.public_id}/")
    assert "C 1/3 Staff" in first
    listed = text(alice.client, "/app/purchases/?q=c@example.com")
    assert listed.count("through A and others") == 2
    csv = text(alice.client, "/app/purchases/export.csv")
    assert csv.count('"a@example.com 1/3, b@example.com 1/3, c@example.com 1/3"') == 2

    page = text(alice.client, f"/app/participants/{friend.public_id}/")
    assert "Invited by A 1/3 B 1/3 C 1/3" in page
    page = text(alice.client, f"/app/participants/{people['c'].public_id}/")
    assert "1/3 of each reward" in page
    assert "Shares a friend with others whose links were opened: 1/3 of each reward" in page
    everybody = text(alice.client, "/app/participants/?role=referrer")
    assert all(f"{name}@example.com" in everybody for name in "abc")
    csv = text(alice.client, "/app/participants/export.csv")
    assert '"a@example.com 1/3, b@example.com 1/3, c@example.com 1/3"' in csv
    reward = Reward.objects.get(participant=people["a"], event=second)
    assert "Shared between 3 referrers" in text(alice.client, f"/app/rewards/{reward.public_id}/")

    told = tell(Participant.objects.select_related("campaign__merchant").get(pk=people["c"].pk))
    assert (told.joined, told.ordered, told.friends[0].others[0]) == (
        1, 1, "You get 1/3 of it: they opened 2 other people's links, too.",
    )  # fmt: skip
    assert told.earned == "$3.33"
    mine = tell(Participant.objects.select_related("campaign__merchant").get(pk=people["a"].pk))
    assert [len(one.others) for one in mine.friends] == [0, 1]
    assert not [line for one in (*told.friends, *mine.friends) for line in one.others if "@" in line or " B" in line]


def test_a_part_of_nothing_is_said_to_its_owner(alice: Cast) -> None:
    people = make_referrers(make_campaign(alice.tenant, [fixed_rule(2)], attribution_model="linear"))
    buy(make_shared_friend(people))
    told = tell(Participant.objects.select_related("campaign__merchant").get(pk=people["c"].pk))
    assert told.friends[0].text.endswith("your part comes to nothing.")
    assert told.friends[0].tone == "no"


def test_a_simulated_referral_is_shared_as_a_real_one(alice: Cast) -> None:
    tester = make_cast("tess@example.com", alice.merchant, is_test=True)
    campaign = make_campaign(tester.tenant, [fixed_rule(1001)], attribution_model="position")
    story = simulate(campaign=campaign, actor=ACTOR, refund=Money(500, "USD"))
    assert [share.words for share in story.shares] == ["1/2", "1/2"]
    assert sorted(reward.amount_minor for reward in story.rewards) == [500, 501]
    assert story.friend is not None
    again = story_of(story.friend)
    assert (len(again.shares), again.referrer) == (2, story.referrer)
    tester.client.post("/app/switch/mode/", {"mode": "test"})
    shown = text(tester.client, f"/app/campaigns/{campaign.public_id}/simulate/{story.friend.public_id}/")
    assert "joined, shared between Test Referrer 1/2, Test Second referrer 1/2" in shown
    # Without a visit there is only a code: one referrer's as a whole.
    assert simulate(campaign=campaign, actor=ACTOR, steps=("join", "purchase")).shares == []
