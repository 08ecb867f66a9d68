"""A campaign's report: exact figures by the merchant's days, channels, sites and referrers."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from campaigns.models import Campaign
from participants.models import Participant, QualifyingEvent, Referral, Visit
from participants.visits import visit_row
from referrals.accounts.keys import create_api_key
from rewards import refunds
from rewards.campaign_report import Figures, report
from rewards.models import Reward
from tests.api.conftest import Caller
from tests.factories import ACTOR, Cast, buy, make_campaign, make_friend, make_participant

DAY = datetime(2026, 11, 10, 12, tzinfo=UTC)
DAYS = [date(2026, 11, 9), date(2026, 11, 10), date(2026, 11, 11)]


def friend_of(
    asha: Participant, email: str, at: datetime, channel: str = "", bought: tuple[int, ...] = ()
) -> Participant:
    """A friend who clicked, joined and bought, all of it at about that time."""
    visit = visit_row(referrer=asha, visitor=email[:22], at=at, channel=channel, referer="blog.example.net")
    visit.save()
    friend = make_friend(asha, email)
    Referral.objects.filter(invitee=friend).update(visit=visit, created_at=at)
    for number, minor in enumerate(bought):
        done = buy(friend, minor, f"{email}-{number}")
        QualifyingEvent.objects.filter(pk=done.event.pk).update(occurred_at=at + timedelta(hours=number + 1))
        Reward.objects.filter(event=done.event).update(created_at=at + timedelta(hours=number + 1))
    return friend


@pytest.fixture
def asha(campaign: Campaign) -> Participant:
    """Three friends on the tenth by two channels, one a day later; a bot; somebody who came by themselves and bought."""
    asha = make_participant(campaign, first_name="Asha")
    friend_of(asha, "maya@example.net", DAY, "whatsapp", (5000, 3000))
    friend_of(asha, "ken@example.net", DAY, "whatsapp")
    friend_of(asha, "ines@example.net", DAY, "qr", (2000,))
    late = friend_of(asha, "late@example.net", DAY + timedelta(days=1), "", (4000,))
    Participant.objects.filter(pk=late.pk).update(existing_customer=True)
    visit_row(referrer=asha, visitor="bot", at=DAY, hidden_reason="bot").save()
    alone = make_participant(campaign, "alone@example.org")
    QualifyingEvent.objects.filter(pk=buy(alone, 9000).event.pk).update(occurred_at=DAY)
    return asha


def test_the_figures_of_each_day_and_all_together(campaign: Campaign, asha: Participant) -> None:
    found = report(campaign, DAYS)
    assert found.days == {
        DAYS[0]: Figures(),
        DAYS[1]: Figures(visits=3, hidden=1, joins=3, conversions=3, revenue=10000, cost=3000, customers=2),
        DAYS[2]: Figures(visits=1, joins=1, conversions=1, revenue=4000, cost=1500),
    }
    total = found.total
    assert (total.visits, total.joins, total.conversions, total.revenue, total.cost) == (4, 4, 4, 14000, 4500)
    assert (total.customers, total.cost_per_customer, str(total.join_rate), str(total.customer_rate)) == (
        2,
        2250,
        "1",
        "1/2",
    )
    assert found.channels == [
        ("whatsapp", Figures(visits=2, joins=2, conversions=2, revenue=8000, cost=1500, customers=1)),
        ("", Figures(visits=1, joins=1, conversions=1, revenue=4000, cost=1500)),
        ("qr", Figures(visits=1, joins=1, conversions=1, revenue=2000, cost=1500, customers=1)),
    ]
    assert found.sites == [("blog.example.net", 4)]
    assert found.referrers == [
        (asha, Figures(visits=4, joins=4, conversions=4, revenue=14000, cost=4500, customers=2)),
    ]


def test_a_refund_counts_on_the_day_of_its_purchase(campaign: Campaign, asha: Participant) -> None:
    event = QualifyingEvent.objects.get(external_id="maya@example.net-0")
    refunds.refund(tenant=campaign.tenant, event=event, source="manual", external_id="r1", actor=ACTOR)
    day = report(campaign, DAYS).days[DAYS[1]]
    assert (day.conversions, day.revenue) == (3, 5000)


def test_days_are_the_merchants(alice: Cast, campaign: Campaign, asha: Participant) -> None:
    Visit.objects.filter(visitor="bot").update(hidden_reason="", occurred_at=datetime(2026, 11, 10, 15, 30, tzinfo=UTC))
    campaign.merchant.time_zone = "Asia/Tokyo"
    found = report(campaign, DAYS)
    assert [found.days[day].visits for day in DAYS] == [0, 3, 2]


def test_another_campaigns_figures_are_not_mixed_in(alice: Cast, campaign: Campaign, asha: Participant) -> None:
    other = make_campaign(alice.tenant)
    friend_of(make_participant(other), "maya@example.net", DAY, "x", (7000,))
    assert report(campaign, DAYS).total.revenue == 14000
    assert report(other, DAYS).total == Figures(visits=1, joins=1, conversions=1, revenue=7000, cost=1500)


def test_the_page_and_the_file_say_the_same(alice: Cast, campaign: Campaign, asha: Participant) -> None:
    address = f"/app/campaigns/{campaign.public_id}/report"
    with CaptureQueriesContext(connection) as queries:
        page = alice.client.get(f"{address}/?from=2026-11-09&to=2026-11-11")
    html = page.content.decode()
    assert len(queries) <= 40
    said = [
        "$140.00",
        "$45.00",
        "$22.50",
        "1 bot hidden",
        "100.0% of visits",
        "2 new customers, 50.0% of joins",
        "whatsapp",
    ]
    assert [text for text in said if text not in html] == []
    answer: Any = alice.client.get(f"{address}.csv?from=2026-11-09&to=2026-11-11")
    rows = list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode("utf-8-sig"))))
    assert rows[1:] == [
        ["2026-11-09", "0", "0", "0", "0", "0", "USD", "0.00", "0.00"],
        ["2026-11-10", "3", "1", "3", "3", "2", "USD", "100.00", "30.00"],
        ["2026-11-11", "1", "0", "1", "1", "0", "USD", "40.00", "15.00"],
    ]


def test_the_api_says_the_same(alice: Cast, campaign: Campaign, asha: Participant) -> None:
    _row, key = create_api_key(tenant=alice.tenant, name="Read", actor=ACTOR, scopes=["read"])
    caller = Caller(key)
    address = f"/api/v2/campaigns/{campaign.public_id}/report"
    body = caller.get(f"{address}?from=2026-11-09&to=2026-11-11").data
    assert (body["total"]["joins"], body["total"]["revenue"]) == (4, {"amount_minor": 14000, "currency": "USD"})
    assert body["cost_per_new_customer"] == {"amount_minor": 2250, "currency": "USD"}
    assert [(row["day"], row["visits"], row["visits_hidden"]) for row in body["days"]] == [
        ("2026-11-09", 0, 0),
        ("2026-11-10", 3, 1),
        ("2026-11-11", 1, 0),
    ]
    assert [row["channel"] for row in body["channels"]] == ["whatsapp", None, "qr"]
    assert len(caller.get(address).data["days"]) == 30
    for query in (
        "from=x",
        "from=2026-02-30",
        "to=0001-01-01",
        "from=2026-11-11&to=2026-11-09",
        "from=2020-01-01&to=2026-01-01",
    ):
        answer = caller.get(f"{address}?{query}")
        assert (answer.status, answer.data["code"]) == (422, "date")


@pytest.mark.parametrize(
    "query",
    ["from=2026-11-11&to=2026-11-09", "from=x&to=y", "from=2020-01-01&to=2026-01-01", "from=2026-02-30&to=2026-03-01"],
)
def test_a_span_that_is_none_is_said(alice: Cast, campaign: Campaign, query: str) -> None:
    page = alice.client.get(f"/app/campaigns/{campaign.public_id}/report/?{query}")
    assert page.status_code == 422
    assert "Choose two days, at most a year apart." in page.content.decode()


def test_nothing_is_an_empty_page(alice: Cast, campaign: Campaign) -> None:
    page = alice.client.get(f"/app/campaigns/{campaign.public_id}/report/?days=7")
    assert "Nothing in this time" in page.content.decode()
