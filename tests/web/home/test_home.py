"""The first page: what is owed, what waits, the way to a first reward."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from campaigns import services as campaigns
from campaigns.models import Campaign
from integrations.models import Connection
from participants.fraud import traces
from participants.fraud.models import FraudCase
from participants.fraud.traces import Seen
from participants.models import Participant, Visit
from participants.visits import visit_row
from rewards import lifecycle
from rewards.models import Reward
from rewards.payouts import issue_by_hand
from tests.factories import ACTOR, Cast, buy, make_campaign, make_friend, make_participant, make_reward

HOME = "/app/"


def _needs(cast: Cast) -> list[tuple[str, str]]:
    return [(need.text, need.hint) for need in cast.client.get(HOME).context["needs"]]


def _steps(cast: Cast) -> list[bool]:
    return [step.done for step in cast.client.get(HOME).context["steps"]]


def test_a_new_merchant_is_welcomed(alice: Cast) -> None:
    page = alice.client.get(HOME)

    assert "Create your first campaign" in page.content.decode()
    assert _steps(alice) == [False] * 5


def test_the_way_to_a_first_reward_is_walked_step_by_step(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, launched=False)
    assert _steps(alice) == [True, False, False, False, False]

    campaign = campaigns.launch(campaign=campaign, actor=ACTOR)
    assert _steps(alice) == [True, True, False, False, False]

    maya = make_friend(make_participant(campaign))
    assert _steps(alice) == [True, True, True, False, False]

    buy(maya)
    assert _steps(alice) == [True, True, True, True, False]

    reward = Reward.objects.get()
    issue_by_hand(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR, key="only-once")
    assert "steps" not in alice.client.get(HOME).context


def test_what_waits_stands_in_order_of_urgency(alice: Cast, campaign: Campaign) -> None:
    make_reward(campaign)
    held = make_reward(campaign, "ida@example.com", "ivo@example.net")
    lifecycle.hold(tenant=alice.tenant, reward_ids=[held.pk], actor=ACTOR)
    make_campaign(alice.tenant, launched=False, name="Autumn")
    campaigns.pause(campaign=make_campaign(alice.tenant, name="Winter"), actor=ACTOR)
    _connect(alice, "Shop", refused=3)
    _connect(alice, "Old shop", failing_since=timezone.now())

    assert _needs(alice) == [
        ("Old shop is failing", "Purchases that arrive are kept, but not counted yet."),
        ("Shop: deliveries are refused", "3 with a wrong signature. Check the webhook secret."),
        ("1 reward is due", "$15.00"),
        ("1 reward needs you", "Held, rejected, or waiting for the recipient: $15.00"),
        ("Winter is paused", "Nobody can join, and purchases earn nothing."),
        ("Autumn is a draft", "Nobody can join yet."),
    ]


def _connect(cast: Cast, label: str, **fields: Any) -> None:
    link = Connection(merchant=cast.merchant, provider="stripe", label=label, **fields)
    link.secrets = {"webhook_secret": "whsec_test"}
    link.save()


def test_an_end_that_is_near_is_said(alice: Cast) -> None:
    soon = make_campaign(alice.tenant, name="Soon")
    Campaign.objects.filter(pk=soon.pk).update(ends_at=timezone.now() + timedelta(days=3))
    over = make_campaign(alice.tenant, name="Over")
    Campaign.objects.filter(pk=over.pk).update(ends_at=timezone.now() - timedelta(days=3))

    assert [text for text, _hint in _needs(alice)] == ["Over has passed its end date", "Soon ends within a week"]


def test_odd_referrals_wait_for_a_person(alice: Cast, campaign: Campaign) -> None:
    asha = make_participant(campaign)
    seen = Seen("203.0.113.7", "Mozilla/5.0", ("d1",))
    traces.keep(asha, seen)
    make_friend(asha, "lena@example.org", seen=seen)
    (need,) = alice.client.get(HOME).context["needs"]
    assert (need.text, need.url) == ("1 referral looks odd", "/app/fraud/")
    FraudCase.objects.update(status=FraudCase.APPROVED)
    assert _needs(alice) == []


def test_nothing_waits(alice: Cast, campaign: Campaign) -> None:
    assert _needs(alice) == []
    assert "Nothing waits for you." in alice.client.get(HOME).content.decode()


def test_the_chart_counts_people_of_this_merchant_only(alice: Cast, charlie: Cast, campaign: Campaign) -> None:
    asha = make_participant(campaign)
    buy(make_friend(asha))
    Visit.objects.bulk_create(
        [visit_row(referrer=asha, visitor="a"), visit_row(referrer=asha, visitor="b", hidden_reason="bot")]
    )
    make_reward(make_campaign(charlie.tenant))
    old = make_participant(campaign, "old@example.com")
    Participant.objects.filter(pk=old.pk).update(joined_at=timezone.now() - timedelta(days=31))

    chart = alice.client.get(HOME).context["chart"]

    assert [(line.label, line.total) for line in chart.lines] == [("Clicks", 1), ("Joins", 2), ("Purchases", 1)]
    assert len(chart.rows) == 30
    assert chart.rows[-1].values == [1, 2, 1]
    assert chart.x_ticks[-1] == "Today"


def test_the_number_of_queries_does_not_grow(alice: Cast, campaign: Campaign) -> None:
    make_reward(campaign)
    with CaptureQueriesContext(connection) as one:
        alice.client.get(HOME)
    for n in range(3):
        other = make_campaign(alice.tenant, name=f"No. {n}")
        make_reward(other, f"a{n}@example.com", f"b{n}@example.net")
    with CaptureQueriesContext(connection) as four:
        alice.client.get(HOME)

    assert len(four) == len(one) <= 14
