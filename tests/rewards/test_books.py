"""The books add up, are read in spans of the business's days, and say what each person was paid in a year (issue 6, part 9)."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from django.db import connection

from referrals.lib.errors import Refused
from referrals.lib.money import Money
from referrals.web import list_exports
from rewards import books
from rewards.models import LedgerEntry, Reward, YearlyNotice
from rewards.payouts import issue_by_hand, undo
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant

pytestmark = pytest.mark.django_db


def paid(cast: Cast, email: str, minor: int, at: datetime, friend: str) -> Reward:
    """A reward that was earned and paid then."""
    asha = make_participant(make_campaign(cast.tenant, [fixed_rule(minor)]), email)
    reward = buy(make_friend(asha, f"{friend}@example.net")).rewards[0]
    batch, _made = issue_by_hand(tenant=cast.tenant, reward_ids=[reward.pk], actor=ACTOR, key=f"request-{reward.pk}")
    # The ledger takes no change, but a test needs other days: PostgreSQL is told to look away, as a restore of a backup does.
    move(batch.payouts.get().pk, at)
    return reward


def move(payout: int, at: datetime) -> None:
    rows = LedgerEntry.objects.filter(payout=payout)
    copies = list(rows)
    for row in copies:
        row.pk, row.key, row.created_at = None, f"{row.key}:moved", at
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("DELETE FROM rewards_ledgerentry WHERE payout_id = %s", [payout])
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL session_replication_role = origin")
    LedgerEntry.objects.bulk_create(copies)


def test_a_year_is_the_business_s_and_a_person_is_one_over_all_campaigns(
    alice: Cast, charlie: Cast, tmp_path: Path
) -> None:
    alice.merchant.time_zone = "America/New_York"
    alice.merchant.save()
    midnight = datetime(2026, 1, 1, 5, tzinfo=UTC)  # New York's new year
    paid(alice, "asha@example.com", 40_000, midnight, "f1")
    paid(alice, "Asha@Example.com", 20_000, datetime(2026, 6, 1, tzinfo=UTC), "f2")
    paid(alice, "lena@example.com", 59_900, datetime(2026, 12, 31, 23, tzinfo=UTC), "f3")
    paid(alice, "asha@example.com", 5_000, datetime(2026, 1, 1, 4, 59, 59, tzinfo=UTC), "f4")  # still 2025 there
    assert books.years(alice.tenant) == [2026, 2025]
    totals = [(row.email, row.total.minor, row.payouts, row.is_above) for row in books.year_totals(alice.tenant, 2026)]
    assert totals == [("asha@example.com", 60_000, 2, True), ("lena@example.com", 59_900, 1, False)]
    assert [row.total.minor for row in books.year_totals(alice.tenant, 2025)] == [5_000]
    assert [row.email for row in books.year_totals(alice.tenant, 2026, only_above=True)] == ["asha@example.com"]
    assert list(books.year_totals(charlie.tenant, 2026)) == []
    path = tmp_path / "years.csv"
    assert list_exports.write_list(alice.tenant, "year_totals", "year=2026", path) == 2
    rows = list(csv.reader(io.StringIO(path.read_text("utf-8-sig"))))
    assert [row[0:2] + row[3:] for row in rows[1:]] == [
        ["2026", "asha@example.com", "USD", "600.00", "2", "yes"],
        ["2026", "lena@example.com", "USD", "599.00", "1", "no"],
    ]


def test_what_came_back_is_taken_off_and_the_lines_add_up(alice: Cast) -> None:
    asha = make_participant(make_campaign(alice.tenant, [fixed_rule(1500)]))
    one, two = (buy(make_friend(asha, f"{name}@example.net")).rewards[0] for name in ("f1", "f2"))
    batch, _made = issue_by_hand(tenant=alice.tenant, reward_ids=[one.pk], actor=ACTOR, key="request-1")
    issue_by_hand(tenant=alice.tenant, reward_ids=[two.pk], actor=ACTOR, key="request-2")
    undo(batch=batch, actor=ACTOR)
    (sums,) = books.sums(alice.tenant)
    assert (sums.currency, sums.kinds, sums.total) == (
        "USD",
        {"earn": 3000, "pay": -3000, "pay_back": 1500},
        Money(1500, "USD"),
    )
    year = LedgerEntry.objects.latest("pk").created_at.year
    assert [row.total.minor for row in books.year_totals(alice.tenant, year)] == [1500]
    assert books.sums(alice.tenant, until=date(2000, 1, 1)) == []


def test_the_notice_is_the_business_s_own_or_nobody_s(alice: Cast, bob: Cast) -> None:
    assert books.notices_of(alice.tenant) == {"USD": 59_900}
    with pytest.raises(Refused) as no:
        books.set_notice(tenant=alice.tenant, actor=ACTOR, currency="EUR", above_minor=0)
    assert (no.value.field, YearlyNotice.objects.count()) == ("above_minor", 0)
    url = "/app/payouts/years/notice/"
    assert alice.client.post(url, {"currency": "EUR", "above_minor": "1000"}).status_code == 302
    assert alice.client.post(url, {"currency": "USD", "above_minor": ""}).status_code == 302
    assert books.notices_of(alice.tenant) == {"EUR": 100_000}
    assert bob.client.post(url, {"currency": "USD", "above_minor": "1"}).status_code == 403
    assert alice.client.post(url, {"currency": "XXX"}).status_code == 400


def test_the_pages_show_each_line_with_what_made_it(alice: Cast) -> None:
    asha = make_participant(make_campaign(alice.tenant, [fixed_rule(1500)]))
    reward = buy(make_friend(asha, "f1@example.net"), external_id="order-77").rewards[0]
    batch, _made = issue_by_hand(
        tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR, key="request-1", note="By bank"
    )
    page = alice.client.get("/app/payouts/books/").content.decode()
    for words in ("order-77", "By bank", "Still owed", batch.payouts.get().public_id):
        assert words in page
    assert "order-77" not in alice.client.get("/app/payouts/books/?kind=pay").content.decode()
    assert alice.client.get("/app/payouts/books/?kind=gold").status_code == 400
    # Two currencies are two lines of one person.
    euros = make_participant(make_campaign(alice.tenant, [fixed_rule(2000, "EUR")], currency="EUR"), "asha@example.com")
    more = buy(make_friend(euros, "f2@example.net")).rewards[0]
    issue_by_hand(tenant=alice.tenant, reward_ids=[more.pk], actor=ACTOR, key="request-2")
    page = alice.client.get("/app/payouts/years/").content.decode()
    assert ("1 person" in page, page.count("<bdi>asha@example.com")) == (True, 2)
    assert alice.client.get("/app/payouts/years/?year=20x6").status_code == 400
