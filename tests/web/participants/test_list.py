"""The participants' list: who is found, pages, the file, adding somebody."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from campaigns import services
from campaigns.models import Campaign
from participants.models import Participant, Referral
from participants.search import search
from referrals.events.models import Event
from referrals.web import participants
from rewards.bans import ban
from rewards.models import Reward
from tests.factories import ACTOR, Cast, buy, make_campaign, make_friend, make_participant

URL = "/app/participants/"


def _names(cast: Cast, query: str = "") -> list[str]:
    """Whom the list shows, by the part of the address before the @."""
    return [person["row"].email.split("@")[0] for person in cast.client.get(f"{URL}{query}").context["people"]]


@pytest.fixture
def crowd(campaign: Campaign) -> dict[str, Participant]:
    """Asha invited Maya, who invited Ken; Otto stands alone and is banned."""
    asha = make_participant(campaign, "asha@example.com", first_name="Asha", last_name="Verma")
    maya = make_friend(asha, "maya.chen@example.net", first_name="Maya", last_name="van der Berg")
    ken = make_friend(maya, "ken@example.net")
    otto = ban(participant=make_participant(campaign, "otto@example.org"), actor=ACTOR, reason="Own orders")
    return {"asha": asha, "maya": maya, "ken": ken, "otto": otto}


def test_nobody_yet(alice: Cast) -> None:
    assert "Nobody has joined yet" in alice.client.get(URL).content.decode()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["otto", "ken", "maya.chen", "asha"]),
        ("?q=maya", ["maya.chen"]),
        ("?q=MAYA.CHEN%40EXAMPLE", ["maya.chen"]),
        ("?q=chen", []),
        ("?q=verma", ["asha"]),
        ("?q=asha+ver", ["asha"]),
        ("?q=maya+van+der+b", ["maya.chen"]),
        ("?q=%25", []),
        ("?q=a_ha", []),
        ("?role=referrer", ["maya.chen", "asha"]),
        ("?role=friend", ["ken", "maya.chen"]),
        ("?banned=yes", ["otto"]),
        ("?banned=no&role=friend&q=k", ["ken"]),
        ("?q=zzz", []),
    ],
)
def test_search_and_filters(alice: Cast, crowd: dict[str, Participant], query: str, found: list[str]) -> None:
    assert _names(alice, query) == found


def test_a_code_finds_exactly_one(alice: Cast, crowd: dict[str, Participant]) -> None:
    code = crowd["ken"].referral_code

    assert _names(alice, f"?q={code}") == ["ken"]
    assert _names(alice, f"?q={code[:-1]}") == []


def test_one_campaign_only(alice: Cast, crowd: dict[str, Participant]) -> None:
    other = make_campaign(alice.tenant, name="Other")
    make_participant(other, "zoe@example.com")

    assert _names(alice, f"?campaign={other.public_id}") == ["zoe"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("?role=boss", 400),
        ("?banned=maybe", 400),
        ("?after=garbage", 400),
        ("?campaign=nosuchone1", 404),
        ("?q=%00", 400),
    ],
)
def test_an_address_that_makes_no_sense_is_refused(alice: Cast, campaign: Campaign, query: str, status: int) -> None:
    assert alice.client.get(f"{URL}{query}").status_code == status


def test_another_merchants_campaign_is_unknown(alice: Cast, charlie: Cast) -> None:
    theirs = make_campaign(charlie.tenant)
    make_participant(theirs)

    assert alice.client.get(f"{URL}?campaign={theirs.public_id}").status_code == 404
    assert _names(alice) == []


def test_pages_go_on_and_back_without_gaps(alice: Cast, campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(participants, "PAGE_SIZE", 2)
    for n in range(5):
        make_participant(campaign, f"p{n}@example.com")

    first = alice.client.get(URL)
    second = alice.client.get(first.context["next_url"])
    third = alice.client.get(second.context["next_url"])
    back = alice.client.get(third.context["prev_url"])

    shown = [[person["row"].email[:2] for person in page.context["people"]] for page in (first, second, third, back)]
    assert shown == [["p4", "p3"], ["p2", "p1"], ["p0"], ["p2", "p1"]]
    assert (first.context["prev_url"], third.context["next_url"]) == ("", "")


def test_htmx_gets_the_table_alone_and_the_count_for_the_ear(alice: Cast, crowd: dict[str, Participant]) -> None:
    part = alice.client.get(URL, headers={"hx-request": "true"})

    assert "<html" not in part.content.decode()
    assert "4 people shown" in part.content.decode()
    assert "HX-Request" in part["Vary"]


def test_figures_of_each_row(alice: Cast, crowd: dict[str, Participant]) -> None:
    buy(crowd["maya"])

    rows = {person["row"].pk: person for person in alice.client.get(URL).context["people"]}

    asha, maya = rows[crowd["asha"].pk], rows[crowd["maya"].pk]
    assert (asha["friends"], asha["earned"].minor, asha["referrer"]) == ("1", 1500, None)
    assert (maya["friends"], maya["earned"].minor, maya["referrer"]) == ("1", 0, crowd["asha"])


def test_many_people_cost_as_many_queries_as_one(alice: Cast, campaign: Campaign) -> None:
    asha = make_participant(campaign)
    with CaptureQueriesContext(connection) as one:
        alice.client.get(URL)
    for n in range(4):
        make_friend(asha, f"f{n}@example.net")
    with CaptureQueriesContext(connection) as five:
        alice.client.get(URL)

    assert len(five) == len(one) <= 7


def test_an_address_is_looked_up_in_the_index(alice: Cast, crowd: dict[str, Participant]) -> None:
    if connection.vendor == "sqlite":
        plan = Participant.objects.for_tenant(alice.tenant).filter(search("maya@")).explain()
        assert "participant_email (merchant_id=? AND is_test=? AND email_key>? AND email_key<?)" in plan
        return
    # four rows are read by any index; what matters is that this one can answer LIKE 'maya@%' whatever the collation
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'participant_email'")
        assert "(merchant_id, is_test, email_key varchar_pattern_ops)" in cursor.fetchone()[0]


def test_the_list_is_read_in_the_order_of_an_index(alice: Cast, crowd: dict[str, Participant]) -> None:
    rows = Participant.objects.for_tenant(alice.tenant).order_by("-joined_at", "-pk")[:10]

    if connection.vendor == "sqlite":
        assert "participant_list (merchant_id=? AND is_test=?)" in rows.explain()
        assert "TEMP B-TREE" not in rows.explain()


def test_the_file_has_everybody_and_no_formulas(alice: Cast, campaign: Campaign) -> None:
    asha = make_participant(campaign, first_name="=cmd|' /C calc'!A0", last_name="Verma")
    buy(make_friend(asha, "maya@example.net"))
    make_participant(campaign, "otto@example.org")

    answer = alice.client.get(f"{URL}export.csv?q=example&banned=no")
    everybody: Any = alice.client.get(f"{URL}export.csv")

    text = b"".join(everybody.streaming_content).decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["email"] for row in rows] == ["asha@example.com", "maya@example.net", "otto@example.org"]
    assert rows[0]["first_name"] == "\t=cmd|' /C calc'!A0"
    assert (rows[0]["friends"], rows[0]["earned"], rows[0]["left"], rows[0]["currency"]) == (
        "1",
        "15.00",
        "15.00",
        "USD",
    )
    assert rows[1]["referred_by"] == "asha@example.com"
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert [event.data["query"] for event in Event.objects.filter(type="export.made").order_by("pk")] == [
        "q=example&banned=no",
        "",
    ]


def test_every_column_of_the_file_is_documented() -> None:
    text = (settings.BASE_DIR / "docs" / "exports.md").read_text()
    section = text.partition("## Participants")[2].partition("\n## ")[0]

    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(participants.COLUMNS)


def test_the_file_is_read_in_pieces(alice: Cast, campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(participants, "EXPORT_CHUNK", 2)
    for n in range(5):
        make_participant(campaign, f"p{n}@example.com")

    answer: Any = alice.client.get(f"{URL}export.csv")

    lines = b"".join(answer.streaming_content).decode("utf-8-sig").splitlines()
    assert len(lines) == 6


def _add(to: Campaign, /, **changes: str) -> dict[str, str]:
    return {
        "campaign": to.public_id,
        "email": "maya@example.net",
        "first_name": "Maya",
        "last_name": "",
        **changes,
    }


@pytest.mark.parametrize("by", ["code", "address"])
def test_somebody_is_added_with_their_referrer(alice: Cast, campaign: Campaign, by: str) -> None:
    asha = make_participant(campaign)
    referrer = asha.referral_code if by == "code" else "ASHA@example.com"

    answer = alice.client.post(f"{URL}new/", _add(campaign, referrer=referrer))

    maya = Participant.objects.get(email="maya@example.net")
    assert answer["Location"] == f"{URL}{maya.public_id}/"
    assert (maya.first_name, maya.source, maya.existing_customer) == ("Maya", "manual", False)
    assert Referral.objects.get().referrer == asha


def test_a_customer_of_before_earns_nothing_for_joining(alice: Cast) -> None:
    campaign = services.launch(
        campaign=services.create_campaign(tenant=alice.tenant, actor=ACTOR, name="Double", currency="USD"), actor=ACTOR
    )
    asha = make_participant(campaign)

    alice.client.post(f"{URL}new/", _add(campaign, referrer=asha.referral_code, existing_customer="on"))

    assert Participant.objects.get(email="maya@example.net").existing_customer is True
    assert Reward.objects.count() == 0


def test_adding_twice_finds_the_first(alice: Cast, campaign: Campaign) -> None:
    alice.client.post(f"{URL}new/", _add(campaign))
    again = alice.client.post(f"{URL}new/", _add(campaign, email="Maya@Example.net", first_name="Other"), follow=True)

    assert [str(message) for message in again.context["messages"]] == [
        "Maya added",
        "Maya was already there; nothing was changed.",
    ]
    assert Participant.objects.get().first_name == "Maya"


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"email": ""}, "email", "This field is required."),
        ({"email": "nobody"}, "email", None),
        ({"email": "a@b@example.com"}, "email", None),
        ({"campaign": "nosuchone1"}, "campaign", "Choose one of your campaigns that runs."),
        ({"referrer": "NOSUCH99"}, "referrer", None),
        ({"referrer": "nobody@example.com"}, "referrer", None),
    ],
    ids=["no address", "no at", "two at", "campaign", "code", "referrer's address"],
)
def test_what_is_wrong_is_said_at_its_field(
    alice: Cast, campaign: Campaign, changes: dict[str, str], field: str, message: str | None
) -> None:
    answer = alice.client.post(f"{URL}new/", _add(campaign, **changes))

    assert answer.status_code == 422
    (said,) = answer.context["form"].errors[field]
    value = changes[field]
    assert said == message if message else value in said
    assert answer.context["form"][field].value() == value
    assert Participant.objects.count() == 0


def test_nobody_invites_themselves(alice: Cast, campaign: Campaign) -> None:
    asha = make_participant(campaign, "asha@gmail.com")

    answer = alice.client.post(f"{URL}new/", _add(campaign, email="a.sha+x@gmail.com", referrer=asha.referral_code))

    assert answer.status_code == 422
    assert Participant.objects.count() == 1


def test_a_draft_is_no_choice(alice: Cast) -> None:
    draft = make_campaign(alice.tenant, launched=False)

    answer = alice.client.post(f"{URL}new/", _add(draft))

    assert answer.context["form"].errors["campaign"] == ["Choose one of your campaigns that runs."]


def test_a_viewer_adds_nobody(bob: Cast, campaign: Campaign) -> None:
    assert bob.client.get(f"{URL}new/").status_code == 403
    assert bob.client.post(f"{URL}new/", _add(campaign)).status_code == 403
    assert Participant.objects.count() == 0


def test_the_merchants_own_facts_stand_on_the_page_and_in_the_file(alice: Cast, campaign: Campaign) -> None:
    asha = make_participant(campaign)
    Participant.objects.filter(pk=asha.pk).update(metadata={"vip": True, "crm_id": "<A-17>"})
    text = alice.client.get(f"{URL}{asha.public_id}/").content.decode()
    assert "<dt><bdi>crm_id</bdi></dt><dd><bdi>&lt;A-17&gt;</bdi></dd>" in text
    file = b"".join(alice.client.get(f"{URL}export.csv").streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]  # a stream
    (row,) = csv.DictReader(io.StringIO(file))
    assert row["metadata"] == '{"crm_id": "<A-17>", "vip": true}'
