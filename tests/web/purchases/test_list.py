"""The list of purchases: tabs, filters, search, pages, the file, what waits."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from campaigns.models import Campaign
from integrations.models import Connection, InboundEvent
from participants.models import QualifyingEvent
from participants.services import name_event
from referrals.lib.money import Money
from referrals.web import purchase_state
from referrals.web.purchases import COLUMNS, WAITING_COLUMNS
from referrals.web.reward_rows import earned_for
from rewards import lifecycle, purchases, refunds, services
from tests.factories import (
    ACTOR,
    Cast,
    buy,
    fixed_rule,
    make_campaign,
    make_cast,
    make_friend,
    make_merchant,
    make_participant,
)
from tests.worlds import taken

URL = "/app/purchases/"
pytestmark = pytest.mark.django_db


def ids_in(response: Any) -> list[str]:
    """The public ids of the rows, in their order."""
    assert response.status_code == 200
    return re.findall(r'<tr data-row="(ev_\w+)"', response.content.decode())


@dataclass
class World:
    """15 dollars for a friend's first purchase of 30 dollars or more, after nine days; one event of each outcome, oldest first."""

    alice: Cast
    offer: Campaign
    events: dict[str, QualifyingEvent]


@pytest.fixture(scope="module")
def world(kept: None) -> World:
    """Once for the module."""
    alice = make_cast("alice@kept.example.com", make_merchant())
    offer = make_campaign(alice.tenant, [fixed_rule(minimum_purchase=Money(3000, "USD"), review_days=9)])
    asha = make_participant(offer, first_name="Asha", last_name="Verma")
    now = timezone.now()
    found = {}

    def bought(name: str, minor: int, days: int, **fields: Any) -> QualifyingEvent:
        friend = make_friend(asha, f"{name}@example.net", first_name=name.title(), last_name="Chen")
        at = now - timedelta(days=days)
        found[name] = buy(friend, minor, f"order-{name}", occurred_at=at, **fields).event
        return found[name]

    bought("due", 6000, 20)
    bought("refunded", 6000, 8)
    refunds.refund(tenant=alice.tenant, actor=ACTOR, source="manual", external_id="R-1", event=found["refunded"])
    bought("small", 2000, 6)
    declined = bought("declined", 6000, 5)
    reward = declined.rewards.get()
    lifecycle.void(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR, note="Staff discount")
    bought("review", 6000, 4)
    held = bought("held", 6000, 3).rewards.get()
    lifecycle.hold(tenant=alice.tenant, reward_ids=[held.pk], actor=ACTOR, note="Looks odd")
    found["alone"] = buy(make_participant(offer, "alone@example.net"), 6000, "order-alone").event
    return World(alice, offer, found)


offer, events = taken("offer"), taken("events")


def names(response: Any, events: dict[str, QualifyingEvent]) -> list[str]:
    by_id = {event.public_id: name for name, event in events.items()}
    return [by_id[public_id] for public_id in ids_in(response)]


EVERYTHING = ["alone", "held", "review", "declined", "small", "refunded", "due"]
TABS = {
    "": EVERYTHING,
    "rewardable": ["held", "review", "due"],
    "refused": ["alone", "declined", "small", "refunded"],
    "review": ["held", "review"],
}
REASONS = {
    "not_referred": ["alone"],
    "below_minimum_purchase": ["small"],
    "refunded": ["refunded"],
    "denied_by_merchant": ["declined"],
    "held_for_review": ["held"],
    "in_review_until": ["review"],
    "campaign_paused": [],
}


@pytest.mark.parametrize("few", [0, 5000], ids=["walked", "looked up"])
@pytest.mark.parametrize(("outcome", "shown"), TABS.items())
def test_tabs_show_the_newest_first(
    alice: Cast, events: dict[str, QualifyingEvent], outcome: str, shown: list[str], few: int, monkeypatch: Any
) -> None:
    monkeypatch.setattr(purchases, "FEW", few)
    assert names(alice.client.get(URL, {"outcome": outcome}), events) == shown


@pytest.mark.parametrize("few", [0, 5000], ids=["walked", "looked up"])
@pytest.mark.parametrize(("reason", "shown"), REASONS.items())
def test_events_are_found_by_reason(
    alice: Cast, events: dict[str, QualifyingEvent], reason: str, shown: list[str], few: int, monkeypatch: Any
) -> None:
    monkeypatch.setattr(purchases, "FEW", few)
    assert names(alice.client.get(URL, {"reason": reason}), events) == shown


def test_a_row_says_the_outcome_and_the_first_reason(alice: Cast, events: dict[str, QualifyingEvent]) -> None:
    page = re.sub(r"\s+", " ", alice.client.get(URL).content.decode())
    for text in (
        "Below the minimum purchase: $20.00, the campaign asks for $30.00",
        "Refunded, cancelled or deleted",
        "Declined by your team",
        "Held until you decide",
        "In review until",
        "Did not come through anybody&#x27;s link or code",
        "$60.00 refunded",
        "through <bdi>Asha Verma</bdi>",
        "order-small",
        "By hand",
    ):
        assert text in page, text
    assert page.count(">Not rewardable</span>") == 4
    assert "7 of 7" in page


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("small@example.net", ["small"]),
        ("SMALL@", ["small"]),
        ("small", ["small"]),
        ("Small Che", ["small"]),
        ("order-held", ["held"]),
        ("in_1QxInvoice", ["review"]),
        ("asha@example.com", EVERYTHING[1:]),
        ("Asha Verma", EVERYTHING[1:]),
        ("nobody", []),
    ],
)
@pytest.mark.parametrize("people", [0, 2000], ids=["walked", "looked up"])
def test_an_event_is_found_by_people_and_references(
    alice: Cast, events: dict[str, QualifyingEvent], query: str, shown: list[str], people: int, monkeypatch: Any
) -> None:
    name_event(events["review"], ["in_1QxInvoice", "cs_1QxCheckout"])
    if people == 0 and query in {"order-held", "in_1QxInvoice"}:
        people = 1
    monkeypatch.setattr(purchases, "PEOPLE", people)
    assert names(alice.client.get(URL, {"q": query}), events) == shown


def test_an_event_is_found_by_its_own_id_and_its_referrers_code(
    alice: Cast, events: dict[str, QualifyingEvent]
) -> None:
    small = events["small"]
    assert names(alice.client.get(URL, {"q": small.public_id}), events) == ["small"]
    assert names(alice.client.get(URL, {"q": small.participant.referral_code}), events) == ["small"]
    code = small.participant.referral.referrer.referral_code
    assert names(alice.client.get(URL, {"q": code}), events) == EVERYTHING[1:]


def test_filters_narrow_the_list(alice: Cast, events: dict[str, QualifyingEvent], campaign: Campaign) -> None:
    other = buy(make_friend(make_participant(campaign, "omar@example.com"), "olga@example.net"), type="renewal").event
    events = {**events, "other": other}
    assert names(alice.client.get(URL, {"campaign": campaign.public_id}), events) == ["other"]
    assert names(alice.client.get(URL, {"type": "renewal"}), events) == ["other"]
    assert names(alice.client.get(URL, {"source": "api"}), events) == []
    day = timezone.localtime(events["declined"].occurred_at, alice.merchant.zone).date().isoformat()
    assert names(alice.client.get(URL, {"since": day, "until": day}), events) == ["declined"]
    assert names(alice.client.get(URL, {"until": day, "outcome": "refused"}), events) == [
        "declined",
        "small",
        "refunded",
    ]
    page = alice.client.get(URL, {"q": "nobody"}).content.decode()
    assert "Nothing matches" in page
    assert "No rule is about this" in alice.client.get(URL, {"type": "renewal"}).content.decode()


def test_pages_follow_each_other_both_ways(
    alice: Cast, events: dict[str, QualifyingEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purchase_state, "PAGE_SIZE", 3)
    seen, address = [], URL
    while address:
        response = alice.client.get(address)
        seen += names(response, events)
        found = re.search(r'rel="next" href="([^"]+)"', response.content.decode())
        address = found[1].replace("&amp;", "&") if found else ""
    assert seen == EVERYTHING
    found = re.search(r'rel="prev" href="([^"]+)"', response.content.decode())
    assert found is not None
    assert names(alice.client.get(found[1].replace("&amp;", "&")), events) == EVERYTHING[3:6]


@pytest.mark.parametrize(
    "query",
    [
        {"outcome": "lucky"},
        {"reason": "unheard_of"},
        {"since": "yesterday"},
        {"since": "0001-01-01"},
        {"type": "DROP TABLE"},
        {"after": "nonsense"},
        {"waits": "bus"},
        {"outcome": "waiting", "after": "bm9uc2Vuc2U"},
    ],
)
def test_an_address_that_makes_no_sense_is_refused(alice: Cast, query: dict[str, str]) -> None:
    assert alice.client.get(URL, query).status_code == 400


def test_others_see_nothing_of_it(
    alice: Cast, charlie: Cast, events: dict[str, QualifyingEvent], offer: Campaign
) -> None:
    assert ids_in(charlie.client.get(URL)) == []
    assert ids_in(charlie.client.get(URL, {"q": "order-small"})) == []
    assert charlie.client.get(URL, {"campaign": offer.public_id}).status_code == 404
    assert charlie.client.get(f"{URL}{events['small'].public_id}/").status_code == 404


def test_the_list_costs_the_same_whatever_is_on_it(
    alice: Cast, offer: Campaign, events: dict[str, QualifyingEvent]
) -> None:
    with CaptureQueriesContext(connection) as few:
        alice.client.get(URL)
    for n in range(9):
        buy(make_friend(make_participant(offer, f"r{n}@example.com"), f"f{n}@example.net"))
    with CaptureQueriesContext(connection) as many:
        assert len(ids_in(alice.client.get(URL))) == 16
    assert len(many) == len(few) <= 14


def test_the_file_has_the_list_s_filter_and_no_formulas(alice: Cast, events: dict[str, QualifyingEvent]) -> None:
    evil = make_friend(events["small"].participant.referral.referrer, "evil@example.net", first_name="=HYPERLINK()")
    buy(evil, 1000, "order-evil")
    response: Any = alice.client.get(f"{URL}export.csv", {"outcome": "refused", "reason": "below_minimum_purchase"})
    text = b"".join(response.streaming_content).decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["external_id"], row["outcome"], row["reason"]) for row in rows] == [
        ("order-evil", "refused", "below_minimum_purchase"),
        ("order-small", "refused", "below_minimum_purchase"),
    ]
    assert rows[0]["friend_name"] == "\t=HYPERLINK()"
    assert rows[1] | {"why": "", "id": ""} == rows[1] | {
        "why": "", "id": "", "amount": "20.00", "currency": "USD", "referrer_email": "asha@example.com", "refunded": "0.00",
    }  # fmt: skip


def test_the_file_has_every_page(alice: Cast, events: dict[str, QualifyingEvent], monkeypatch: Any) -> None:
    monkeypatch.setattr("referrals.web.purchases._CHUNK", 2)
    response: Any = alice.client.get(f"{URL}export.csv")
    rows = list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode("utf-8-sig"))))
    assert [row["id"] for row in rows] == [events[name].public_id for name in EVERYTHING]
    assert {row["reward_states"] for row in rows} == {"", "void", "review", "held", "due"}


def test_refunds_that_came_first_wait(alice: Cast) -> None:
    refunds.refund(
        tenant=alice.tenant,
        actor=ACTOR,
        source="stripe",
        external_id="re_1",
        references=["pi_early"],
        amount=Money(1200, "USD"),
    )
    waiting = {"outcome": "waiting", "waits": "refund"}
    page = alice.client.get(URL, waiting).content.decode()
    for text in ("$12.00", "pi_early", "It waits for its payment"):
        assert text in page
    assert "$12.00" in alice.client.get(URL, {**waiting, "q": "pi_early"}).content.decode()
    assert "Nothing waits" in alice.client.get(URL, {**waiting, "q": "pi"}).content.decode()
    response: Any = alice.client.get(f"{URL}export.csv", {"outcome": "waiting", "waits": "refund"})
    assert b'"Refund","12.00","USD","Stripe","pi_early"' in b"".join(response.streaming_content)


def test_payments_without_a_person_wait(alice: Cast) -> None:
    link = Connection(merchant=alice.merchant, provider="stripe")
    link.secrets = {"webhook_secret": "whsec_test"}
    link.save()
    InboundEvent.objects.create(
        merchant=alice.merchant,
        connection=link,
        event_id="evt_lost",
        type="invoice.paid",
        body=b"{}",
        state="ignored",
        outcome="no_participant",
        facts={"email": "ghost@example.net"},
    )
    waiting = {"outcome": "waiting", "waits": "payment"}
    page = alice.client.get(URL, waiting).content.decode()
    assert "ghost@example.net" in page
    assert "No participant with ghost@example.net and no referral code." in page
    assert "evt_lost" in page
    assert "Nothing waits" in alice.client.get(URL, {**waiting, "q": "evt_other"}).content.decode()


def test_an_event_waits_for_its_person_until_they_are_known(alice: Cast, charlie: Cast, offer: Campaign) -> None:
    services.keep_waiting(
        campaign=offer,
        actor=ACTOR,
        source="api",
        customer_id="user-77",
        amount=Money(6000, "USD"),
        external_id="order-early",
    )
    waiting = {"outcome": "waiting", "waits": "person"}
    for words in ("", "order-early", "user-77"):
        assert "$60.00" in alice.client.get(URL, {**waiting, "q": words}).content.decode()
    assert "Nothing waits" in charlie.client.get(URL, waiting).content.decode()
    friend = make_friend(make_participant(offer))
    services.identify(participant=friend, source="api", customer_id="user-77", actor=ACTOR)
    assert "Nothing waits" in alice.client.get(URL, waiting).content.decode()
    assert len(ids_in(alice.client.get(URL, {"q": "order-early", "outcome": "review"}))) == 1


def test_the_documents_name_every_column() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "exports.md").read_text()
    section = text.partition("## Purchases\n")[2].partition("\n## ")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == COLUMNS
    assert re.findall(r"`(\w+)`", section.rstrip().splitlines()[-1]) == list(WAITING_COLUMNS)


@pytest.mark.parametrize(
    ("type_", "external_id", "said"),
    [
        ("purchase", "10482", "Purchase 10482"),
        ("purchase", "auto:0123456789abcdefghijkl", "Purchase"),
        ("approved", "status:17:approved", "Approved"),
        ("leaderboard", "leaderboard:pt_x", "Leaderboard"),
        ("free_trial", "t-1", "Free trial t-1"),
        ("join", "join:pt_x", "Joined"),
    ],
)
def test_ids_of_our_own_making_are_not_shown(type_: str, external_id: str, said: str) -> None:
    assert earned_for(QualifyingEvent(type=type_, external_id=external_id)) == said
