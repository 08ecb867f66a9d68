"""Lists as CSV: the page's filter, every row, safe cells, a line in the history."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.urls import reverse

from campaigns.models import Campaign
from referrals.events.models import Event
from referrals.lib.cells import safe
from referrals.web import exports
from rewards.models import Reward
from rewards.payouts import issue_by_hand
from tests.factories import ACTOR, Cast, fixed_rule, make_campaign, make_reward

URL = "/app/rewards/export.csv"


def read(response: Any) -> list[dict[str, str]]:
    """The rows of a file by column name."""
    assert response.status_code == 200
    text = b"".join(response.streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


def test_every_column_of_a_reward(alice: Cast) -> None:
    reward = make_reward(make_campaign(alice.tenant, name="Frühling"), minor=6420)
    person = reward.participant
    person.first_name, person.last_name = "Tomás", "Rivera"
    person.save()

    (row,) = read(alice.client.get(URL, {"stage": "due"}))

    assert tuple(row) == exports.REWARD_COLUMNS
    assert (row["id"], row["state"], row["amount"], row["currency"]) == (reward.public_id, "due", "15.00", "USD")
    assert (row["name"], row["email"], row["campaign"]) == ("Tomás Rivera", "asha@example.com", "Frühling")
    assert (row["event_amount"], row["friend_email"]) == ("64.20", "maya@example.net")
    assert row["state_since"].endswith("+00:00")
    assert (row["issued_at"], row["payout_id"]) == ("", "")


def test_amounts_have_their_currencys_decimals(alice: Cast) -> None:
    for currency, minor in (("JPY", 2000), ("KWD", 1250)):
        campaign = make_campaign(alice.tenant, currency=currency, rules=[fixed_rule(minor, currency)])
        make_reward(campaign, f"{currency}@example.com".lower(), f"f{currency}@example.net".lower())

    rows = read(alice.client.get(URL, {"stage": "due"}))

    assert {(row["amount"], row["currency"]) for row in rows} == {("2000", "JPY"), ("1.250", "KWD")}


def test_the_file_has_the_pages_filter_and_order_and_all_its_pages(
    alice: Cast, campaign: Campaign, due: list[Reward], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "_CHUNK", 3)
    make_reward(make_campaign(alice.tenant, name="Other"), "o@example.com", "p@example.net")
    query = {"stage": "due", "campaign": campaign.public_id, "sort": "date", "after": "ignored"}

    rows = read(alice.client.get(URL, query))

    assert [row["id"] for row in rows] == [reward.public_id for reward in due]
    assert [row["id"] for row in read(alice.client.get(URL, {"stage": "due", "q": "yuki@example.com"}))] == [
        due[2].public_id
    ]


def test_an_export_is_written_into_the_history(alice: Cast, due: list[Reward]) -> None:
    alice.client.get(URL, {"stage": "due", "q": "asha"})
    event = Event.objects.get(type="export.made")

    assert (event.actor_label, event.subject_id) == (alice.user.email, "due")
    assert event.data == {"what": "rewards", "query": "stage=due&q=asha"}


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "\t=1+1"),
        ("+49 30 1234", "\t+49 30 1234"),
        ("-2", "\t-2"),
        ("@SUM(A1)", "\t@SUM(A1)"),
        ("\tx", "\t\tx"),
        ("\rx", "\t\rx"),
        ("\nx", "\t\nx"),
        ("＝1+1", "\t＝1+1"),
        ("\ufeff =1+1", "\t\ufeff =1+1"),
        (" @cmd", "\t @cmd"),
        ("Asha = Maya", "Asha = Maya"),
        ("", ""),
        (None, ""),
        (12, "12"),
    ],
)
def test_no_cell_is_run_as_a_formula(cell: object, written: str) -> None:
    assert safe(cell) == written


def test_a_name_that_is_a_formula_comes_out_harmless(alice: Cast, due: list[Reward]) -> None:
    person = due[0].participant
    person.first_name = '=HYPERLINK("http://evil.example")'
    person.save()

    row = read(alice.client.get(URL, {"stage": "due", "q": "asha@example.com"}))[0]

    assert row["name"] == '\t=HYPERLINK("http://evil.example")'


def test_nothing_of_others_is_in_the_file(alice: Cast, charlie: Cast, due: list[Reward]) -> None:
    assert read(charlie.client.get(URL, {"stage": "due"})) == []
    assert charlie.client.get(URL, {"stage": "due", "campaign": due[0].campaign.public_id}).status_code == 404


@pytest.mark.parametrize("query", [{"stage": "owed"}, {"stage": "due", "sort": "id"}])
def test_a_wrong_filter_is_refused_and_no_history_written(alice: Cast, query: dict[str, str]) -> None:
    assert alice.client.get(URL, query).status_code == 400
    assert Event.objects.filter(type="export.made").count() == 0


@pytest.mark.parametrize("column", [*exports.REWARD_COLUMNS, *exports.PAYOUT_COLUMNS])
def test_every_column_is_documented(column: str) -> None:
    assert f"| `{column}` |" in (Path(settings.BASE_DIR) / "docs" / "exports.md").read_text()


def test_a_batch_as_a_file(alice: Cast, due: list[Reward]) -> None:
    batch, _made = issue_by_hand(
        tenant=alice.tenant, reward_ids=[due[0].pk, due[1].pk], actor=ACTOR, key="k" * 22, note="-cash"
    )
    response = alice.client.get(reverse("web:payout_export", args=[batch.public_id]))
    rows = read(response)

    assert response["Content-Disposition"].startswith(f'attachment; filename="payouts-{batch.public_id}-')
    assert tuple(rows[0]) == exports.PAYOUT_COLUMNS
    assert [(row["reward_id"], row["amount"], row["status"]) for row in rows] == [
        (due[0].public_id, "15.00", "paid"),
        (due[1].public_id, "15.00", "paid"),
    ]
    assert rows[0]["batch_note"] == "\t-cash"
