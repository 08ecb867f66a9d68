"""Scheduled exports: the merchant's days, one file and one mail each time, a link that needs the log-in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.core import mail

from campaigns.models import Campaign
from referrals.accounts.models import Membership
from referrals.events.models import Event
from referrals.lib import clock
from referrals.web import list_exports, scheduled_exports
from rewards.export_schedules import next_time
from rewards.models import ExportSchedule, Transfer
from tests.factories import Cast, make_reward

PAGE = "/app/settings/exports/scheduled/"
FORM = {"name": "rewards", "query": "stage=due", "every": "day", "hour": "6"}


@pytest.mark.once
@pytest.mark.parametrize(
    ("every", "zone", "after", "wanted"),
    [
        ("day", "UTC", "2026-11-21T05:59", "2026-11-21T06:00"),
        ("day", "UTC", "2026-11-21T06:00", "2026-11-22T06:00"),
        ("week", "UTC", "2026-11-21T12:00", "2026-11-23T06:00"),
        ("month", "UTC", "2026-11-21T12:00", "2026-12-01T06:00"),
        ("month", "UTC", "2026-12-01T06:00", "2027-01-01T06:00"),
        ("day", "America/New_York", "2026-11-21T10:00", "2026-11-21T11:00"),
        ("day", "Europe/Oslo", "2026-10-24T12:00", "2026-10-25T05:00"),  # the clocks go back that night
        ("day", "Europe/Oslo", "2026-03-28T12:00", "2026-03-29T04:00"),
        ("week", "Pacific/Auckland", "2026-11-21T12:00", "2026-11-22T17:00"),  # Monday there
    ],
)
def test_the_next_time_is_the_merchants(every: str, zone: str, after: str, wanted: str) -> None:
    found = next_time(every, 6, ZoneInfo(zone), datetime.fromisoformat(after).replace(tzinfo=UTC))
    assert found == datetime.fromisoformat(wanted).replace(tzinfo=UTC)


def test_a_file_is_made_once_and_mailed_as_a_link_that_needs_the_log_in(
    alice: Cast, charlie: Cast, campaign: Campaign
) -> None:
    make_reward(campaign)
    assert alice.client.post(PAGE, FORM).status_code == 302
    assert scheduled_exports.sweep() == 0
    assert Transfer.objects.count() == 0
    ExportSchedule.objects.update(next_at=clock.wall() - timedelta(days=3))
    assert scheduled_exports.sweep() == 0  # ordered, not made yet
    made = Transfer.objects.get()
    list_exports.work(made.pk)
    assert scheduled_exports.sweep() == 1
    assert scheduled_exports.sweep() == 0
    (letter,) = mail.outbox
    assert letter.to == ["alice@example.com"]
    assert "with 1 row." in letter.body
    assert "asha@example.com" not in letter.body
    address = f"/app/settings/exports/{made.public_id}/list.csv"
    assert address in letter.body
    assert charlie.client.get(address).status_code == 404
    file = b"".join(alice.client.get(address).streaming_content).decode()  # type: ignore[attr-defined]  # a file
    assert "asha@example.com" in file
    row = ExportSchedule.objects.get()
    assert row.next_at > clock.wall()
    told = Event.objects.for_tenant(alice.tenant).filter(type__startswith="export.").order_by("pk")
    assert list(told.values_list("type", flat=True)) == ["export.scheduled", "export.made"]


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"name": "secrets"}, "name", "Select a valid choice. secrets is not one of the available choices."),
        ({"every": "hour"}, "every", "Select a valid choice. hour is not one of the available choices."),
        ({"query": "stage=nowhere&campaign=nothing"}, "query", "No such campaign."),
        ({"query": "stage=nowhere"}, "query", "The filter stage can't be 'nowhere'."),
        ({"query": "status=due,paid"}, "query", "The filter status can't be 'due,paid'."),
        ({"query": "stage=due&status=due"}, "query", "Give stage or status, not both."),
        (
            {"name": "participants", "query": "zz=1&x"},
            "query",
            "The list participants has no filter zz; it has q, campaign, role, banned.",
        ),
        ({"name": "customers", "query": "x"}, "query", "The list customers has no filter x; it has none."),
        ({"name": "purchases", "query": "since=abc"}, "query", "The filter since can't be 'abc'."),
        ({"name": "purchases", "query": "outcome=waiting"}, "query", "The filter outcome can't be 'waiting'."),
    ],
)
def test_what_can_not_be_made_is_not_scheduled(alice: Cast, change: dict[str, str], field: str, words: str) -> None:
    answer = alice.client.post(PAGE, FORM | change)
    assert (answer.status_code, dict(answer.context["form"].errors)) == (422, {field: [words]})
    assert ExportSchedule.objects.count() == 0


def test_the_address_of_a_page_further_on_is_the_whole_list(alice: Cast) -> None:
    query = "outcome=refused&since=2026-11-01&until=2026-11-20&campaign=&after=MTI"
    assert alice.client.post(PAGE, FORM | {"name": "purchases", "query": query}).status_code == 302


def test_who_left_the_team_gets_no_mail(alice: Cast, campaign: Campaign) -> None:
    alice.client.post(PAGE, FORM)
    ExportSchedule.objects.update(next_at=clock.wall())
    scheduled_exports.sweep()
    list_exports.work(Transfer.objects.get().pk)
    Membership.objects.filter(user=alice.user).delete()
    assert scheduled_exports.sweep() == 0
    assert mail.outbox == []
    assert ExportSchedule.objects.count() == 0
