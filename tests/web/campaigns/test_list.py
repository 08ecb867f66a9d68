"""The campaigns' cards."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from campaigns import services
from referrals.lib.money import Money
from referrals.web import counts
from referrals.web.campaigns import PAGE_SIZE
from tests.factories import ACTOR, Cast, buy, make_campaign, make_friend, make_participant


def _cards(cast: Cast, query: str = "") -> list[dict[str, object]]:
    return list(cast.client.get(f"/app/campaigns/{query}").context["cards"])


def test_a_new_merchant_is_asked_to_make_the_first(alice: Cast) -> None:
    page = alice.client.get("/app/campaigns/").content.decode()

    assert "Create your first campaign" in page
    assert 'href="/app/campaigns/new/"' in page


def test_each_card_has_its_own_figures(alice: Cast) -> None:
    quiet = make_campaign(alice.tenant, name="Quiet")
    busy = make_campaign(alice.tenant, name="Busy")
    asha = make_participant(busy)
    buy(make_friend(asha))
    make_friend(asha, "ken@example.net")

    cards = _cards(alice)

    assert [card["campaign"] for card in cards] == [busy, quiet]
    assert [(card["people"], card["friends"], card["purchases"]) for card in cards] == [
        ("3", "2", "1"),
        ("0", "0", "0"),
    ]
    assert cards[0]["due"] == (Money(1500, "USD"),)
    assert cards[1]["due"] == ()


def test_joining_is_no_purchase(alice: Cast) -> None:
    campaign = services.launch(
        campaign=services.create_campaign(tenant=alice.tenant, actor=ACTOR, name="Double", currency="USD"), actor=ACTOR
    )
    make_friend(make_participant(campaign))

    assert _cards(alice)[0]["purchases"] == "0"


def test_other_merchants_and_the_other_side_are_not_shown(alice: Cast, charlie: Cast) -> None:
    make_campaign(charlie.tenant)
    mine = make_campaign(alice.tenant)

    assert [card["campaign"] for card in _cards(alice)] == [mine]


def test_it_has_pages(alice: Cast) -> None:
    made = [make_campaign(alice.tenant, launched=False, name=f"No. {n}") for n in range(PAGE_SIZE + 1)]

    first = alice.client.get("/app/campaigns/")
    second = alice.client.get(first.context["next_url"])

    assert len(first.context["cards"]) == PAGE_SIZE
    assert [card["campaign"] for card in second.context["cards"]] == [made[0]]
    assert second.context["next_url"] == ""


def test_a_damaged_page_marker_is_refused(alice: Cast) -> None:
    assert alice.client.get("/app/campaigns/?after=garbage").status_code == 400


def test_many_campaigns_cost_as_many_queries_as_one(alice: Cast) -> None:
    make_campaign(alice.tenant)
    with CaptureQueriesContext(connection) as one:
        alice.client.get("/app/campaigns/")
    for name in ("b", "c", "d"):
        make_friend(
            make_participant(make_campaign(alice.tenant, name=name), f"{name}@example.com"), f"{name}@example.net"
        )
    with CaptureQueriesContext(connection) as four:
        alice.client.get("/app/campaigns/")

    assert len(four) == len(one) <= 6


@pytest.mark.parametrize(("count", "text"), [(0, "0"), (9_999, "9,999"), (10_000, "10,000"), (10_001, "10,000+")])
def test_big_counts_stop_at_a_limit(count: int, text: str) -> None:
    assert counts.words(count) == text


def test_a_count_reads_no_more_than_its_limit(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant)
    for n in range(4):
        make_participant(campaign, f"p{n}@example.com")

    assert counts.capped(campaign.participants.all(), 2) == 3
    assert counts.capped(campaign.participants.all(), 10) == 4
