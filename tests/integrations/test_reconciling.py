"""The nightly comparison: what a company keeps and never arrived is taken in once, by spans, resumable, with errors in words."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.urls import reverse

from integrations import inbox, reconciling, registry
from integrations.base import Account, ProviderError, Pulled
from integrations.models import Connection, InboundEvent, Reconciliation
from referrals.lib import clock
from referrals.lib.errors import Refused
from rewards.models import Reward
from tests.factories import Cast, make_campaign, make_participant, percent_rule
from tests.integrations.sending import connect, deliver, sample

pytestmark = pytest.mark.django_db
Kept = list[tuple[datetime, Pulled]]


@pytest.fixture
def connection(alice: Cast) -> Connection:
    return connect(alice.tenant, api_key="rk_live_0123456789abcdef")


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Kept:
    """What the company keeps; a test puts messages in."""
    messages: Kept = []

    def pull(account: Account, since: datetime, until: datetime) -> Iterator[Pulled]:
        assert account.secrets["webhook_secret"]
        return (item for at, item in messages if since <= at < until)

    _ask(monkeypatch, pull)
    return messages


def _ask(monkeypatch: pytest.MonkeyPatch, pull: Callable[..., Any]) -> None:
    monkeypatch.setattr(registry, "pulling", lambda: ("stripe",))
    monkeypatch.setattr(registry, "pull", lambda slug: pull if slug == "stripe" else None)


def _message(event: dict[str, Any]) -> Pulled:
    return Pulled(event["id"], event["type"], json.dumps(event).encode())


def _hours_ago(hours: float) -> datetime:
    return clock.wall() - timedelta(hours=hours)


def test_a_lost_payment_is_taken_in_once_and_what_came_is_left_alone(
    alice: Cast, connection: Connection, kept: Kept
) -> None:
    code = make_participant(make_campaign(alice.tenant, [percent_rule("10")])).referral_code
    came = sample("customer.created", event_id="evt_came")
    deliver(connection, came)
    lost = sample("checkout.session.completed", client_reference_id=code, event_id="evt_lost")
    kept += [(_hours_ago(5), _message(came)), (_hours_ago(4), _message(lost))]
    kept += [(_hours_ago(73), _message(sample("customer.created", event_id="evt_too_old")))]
    kept += [(_hours_ago(0.1), _message(sample("customer.created", event_id="evt_still_on_its_way")))]

    row = reconciling.ask(connection=connection)
    assert reconciling.ask(connection=connection) == row  # one at a time
    assert reconciling.work(row.pk) == "done"
    row.refresh_from_db()
    assert (row.compared, row.missing, row.error) == (2, 1, "")
    assert reconciling.words(row) == "2 compared, 1 was missing and was taken in."
    taken = InboundEvent.objects.get(event_id="evt_lost")
    assert (taken.came_by, taken.state, taken.type) == ("pull", "received", "checkout.session.completed")
    assert inbox.process(taken.pk) == "processed"
    assert Reward.objects.count() == 1
    connection.refresh_from_db()

    again = reconciling.ask(connection=connection)
    assert again != row
    assert reconciling.work(again.pk) == "done"
    again.refresh_from_db()
    assert reconciling.words(again) == "2 compared, none was missing."
    assert reconciling.work(again.pk) == "done"  # a second nudge does nothing
    assert (InboundEvent.objects.count(), Reward.objects.count()) == (2, 1)
    assert reconciling.latest([connection]) == {connection.pk: again}


def test_much_is_compared_in_shorter_spans(connection: Connection, kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciling, "MOST", 3)
    monkeypatch.setattr(reconciling, "_CHUNK", 2)
    kept += [
        (_hours_ago(hour + 0.5), _message(sample("customer.created", event_id=f"evt_{hour}"))) for hour in range(1, 21)
    ]
    row = reconciling.ask(connection=connection)
    assert reconciling.work(row.pk) == "done"
    row.refresh_from_db()
    # What a span that was too long had taken in before it was halved is counted once.
    assert (row.compared, row.missing, row.reached_at) == (20, 20, row.until)
    assert InboundEvent.objects.count() == 20


def test_a_run_that_takes_too_long_is_carried_on(
    connection: Connection, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.append((_hours_ago(4), _message(sample("customer.created"))))
    row = reconciling.ask(connection=connection)
    monkeypatch.setattr(reconciling, "RUN_SECONDS", -1.0)
    assert reconciling.work(row.pk) == "waiting"
    row.refresh_from_db()
    assert (row.attempts, row.compared) == (0, 0)
    monkeypatch.undo()
    _ask(monkeypatch, lambda _account, _since, _until: [item for _at, item in kept])
    assert reconciling.work(row.pk) == "done"
    assert InboundEvent.objects.count() == 1


@pytest.mark.parametrize(
    ("error", "state", "words"),
    [
        (ProviderError("Stripe says: this key may not read events.", retry=False), "failed", "this key may not read"),
        (ProviderError("No answer.", retry=True), "waiting", "No answer."),
        (ZeroDivisionError("secret detail"), "waiting", "Something went wrong here"),
    ],
)
def test_errors_are_told_in_words_and_tried_again_where_that_can_help(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, error: Exception, state: str, words: str
) -> None:
    def broken(*_args: object) -> list[Pulled]:
        raise error

    _ask(monkeypatch, broken)
    row = reconciling.ask(connection=connection)
    assert reconciling.work(row.pk) == state
    row.refresh_from_db()
    assert words in reconciling.words(row)
    assert "secret detail" not in row.error
    if state == "waiting":
        assert reconciling.work(row.pk) == "waiting"  # not due: nothing happens
        for _ in range(reconciling.MAX_ATTEMPTS - 1):
            Reconciliation.objects.update(next_attempt_at=clock.wall())
            reconciling.work(row.pk)
        row.refresh_from_db()
        assert (row.state, row.attempts) == ("failed", reconciling.MAX_ATTEMPTS)


def test_each_connection_has_its_own_minute_of_the_night(alice: Cast, kept: Kept) -> None:
    rows = [connect(alice.tenant) for _ in range(5)]
    evening = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)
    nights = [reconciling.next_night(row, evening) for row in rows]
    assert all(
        datetime(2026, 11, 22, 1, tzinfo=UTC) <= night < datetime(2026, 11, 22, 5, tzinfo=UTC) for night in nights
    )
    assert len(set(nights)) > 1
    assert reconciling.next_night(rows[0], nights[0]) == nights[0] + timedelta(days=1)


def test_the_schedule_plans_begins_and_forgets(connection: Connection, kept: Kept) -> None:
    reconciling.work_all()  # a new connection gets its night, and nothing is compared yet
    connection.refresh_from_db()
    assert connection.reconcile_at == reconciling.next_night(connection, clock.wall())
    assert Reconciliation.objects.count() == 0
    Connection.objects.update(reconcile_at=_hours_ago(1))
    reconciling.work_all()
    row = Reconciliation.objects.get()
    assert (row.state, row.until - row.since) == ("waiting", timedelta(hours=72) - reconciling.MARGIN)
    Reconciliation.objects.update(next_attempt_at=_hours_ago(0.1))  # its nudge was lost
    assert reconciling.work_all() == 1
    Reconciliation.objects.update(finished_at=clock.wall() - timedelta(days=31))
    reconciling.work_all()
    assert Reconciliation.objects.count() == 0


def test_what_can_not_be_asked_is_refused(connection: Connection, kept: Kept) -> None:
    Connection.objects.update(removed_at=clock.wall())
    connection.refresh_from_db()
    with pytest.raises(Refused) as refused:
        reconciling.ask(connection=connection)
    assert (refused.value.code, refused.value.status) == ("invalid_state", 409)
    assert Reconciliation.objects.count() == 0


def test_the_button_and_what_the_card_says(alice: Cast, connection: Connection, kept: Kept) -> None:
    assert alice.client.post(reverse("web:connection_reconcile", args=[connection.public_id])).status_code == 302
    reconciling.work(Reconciliation.objects.get().pk)
    assert "0 compared, none was missing." in alice.client.get(reverse("web:connections")).content.decode()
