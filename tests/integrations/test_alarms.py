"""Trouble of a connection: one mail when it begins, one when it is well again, never one a minute; and what is unusual silence."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from integrations import alarms, inbox, services
from integrations.models import Connection, InboundEvent
from referrals.accounts.models import Role
from referrals.lib import clock
from tests.factories import Cast, make_cast
from tests.integrations.sending import connect, post, sample

pytestmark = pytest.mark.django_db


@pytest.fixture
def connection(alice: Cast) -> Connection:
    make_cast("adam@example.com", alice.merchant, role=Role.ADMIN)
    make_cast("mia@example.com", alice.merchant, role=Role.MANAGER)
    return connect(alice.tenant)


def _subjects(outbox: list[Any]) -> list[tuple[str, str]]:
    found = sorted((mail.subject, mail.to[0]) for mail in outbox)
    outbox.clear()
    return found


def _later(**by: float) -> None:
    Connection.objects.exclude(warned_at=None).update(warned_at=clock.wall() - timedelta(**by))


def test_refused_messages_are_told_once_and_so_is_that_all_is_well(
    alice: Cast, connection: Connection, mailoutbox: list[Any]
) -> None:
    body = json.dumps(sample("customer.created")).encode()
    for _ in range(2):
        post(connection, body, {})
    assert alarms.warn() == 0  # a stranger who tries the address
    post(connection, body, {})
    assert alarms.warn() == 1
    assert alarms.warn() == 0
    mails = list(mailoutbox)
    both = ["adam@example.com", "alice@example.com"]
    assert _subjects(mailoutbox) == [("Stripe: messages are refused", who) for who in both]
    assert "3 were refused since the last good one" in mails[0].body
    assert f"/app/connections/{connection.public_id}/" in mails[0].body

    post(connection, body)  # a good one
    assert alarms.warn() == 0  # not yet: it may come and go
    _later(minutes=16)
    assert alarms.warn() == 1
    assert alarms.warn() == 0
    assert _subjects(mailoutbox) == [("Stripe is well again", who) for who in both]


def test_failing_begins_at_the_third_try_and_a_dead_message_is_named(
    alice: Cast, connection: Connection, mailoutbox: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: object) -> None:
        raise ZeroDivisionError

    post(connection, json.dumps(sample("checkout.session.completed")).encode())
    row = InboundEvent.objects.get()
    with monkeypatch.context() as patch:
        patch.setattr(inbox, "apply", broken)
        for attempt in range(1, inbox.MAX_ATTEMPTS + 1):
            InboundEvent.objects.update(next_attempt_at=clock.wall())
            inbox.process(row.pk)
            assert alarms.warn() == (attempt == inbox.TRIES_OF_TROUBLE)
            _later(minutes=1)
    connection.refresh_from_db()
    assert services.health(connection).word == "Needs a look"
    assert services.health(connection).since == connection.failing_since
    first = mailoutbox[0].body
    assert len(mailoutbox) == 2
    assert "can’t be processed since" in first
    assert "all tries are over" not in first
    mailoutbox.clear()

    # It is mended and processed again; that it is ignored is well enough.
    services.process_again(inbound=InboundEvent.objects.get())
    assert inbox.process(row.pk) == "ignored"
    connection.refresh_from_db()
    assert connection.failing_since is None
    _later(minutes=16)
    assert alarms.warn() == 1
    assert {subject for subject, _who in _subjects(mailoutbox)} == {"Stripe is well again"}


def test_a_dead_message_counts_as_failing(connection: Connection, mailoutbox: list[Any]) -> None:
    post(connection, json.dumps(sample("checkout.session.completed", amount_total="x", payment_status="paid")).encode())
    assert inbox.process(InboundEvent.objects.get().pk) == "failed"
    assert alarms.warn() == 1
    assert "For 1 message all tries are over." in mailoutbox[0].body


def test_nobody_is_written_to_about_the_test_side_or_what_was_disconnected(
    alice: Cast, connection: Connection, mailoutbox: list[Any]
) -> None:
    Connection.objects.update(failing_since=clock.now(), is_test=True)
    assert alarms.warn() == 0
    Connection.objects.update(is_test=False, removed_at=clock.now())
    assert alarms.warn() == 0
    Connection.objects.update(removed_at=None)
    assert alarms.warn() == 1
    mailoutbox.clear()
    Connection.objects.update(removed_at=clock.now())
    assert alarms.warn() == 0
    assert (mailoutbox, Connection.objects.get().warned_of) == ([], "")


def test_a_mail_server_that_is_down_is_tried_again(
    connection: Connection, mailoutbox: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_args: object) -> None:
        raise OSError

    Connection.objects.update(failing_since=clock.now())
    with monkeypatch.context() as patch:
        patch.setattr(alarms, "send_mail", down)
        assert alarms.warn() == 0
    assert alarms.warn() == 1
    assert len(mailoutbox) == 2


def test_silence_is_unusual_when_it_is_longer_than_ever(connection: Connection) -> None:
    now = clock.wall()

    def came(hours: list[int]) -> tuple[int | None, str]:
        InboundEvent.objects.all().delete()
        InboundEvent.objects.bulk_create(
            InboundEvent(
                merchant=connection.merchant, connection=connection, event_id=f"evt_{n}", type="x", body=b"{}",
                received_at=now - timedelta(hours=at), state="ignored",
            )
            for n, at in enumerate(sorted(hours, reverse=True))
        )  # fmt: skip
        Connection.objects.update(last_event_at=now - timedelta(hours=min(hours)))
        alarms.learn()
        connection.refresh_from_db()
        return connection.quiet_after, services.health(connection).word

    assert came(list(range(30, 39))) == (None, "Working")  # nine came: too few to know
    assert came(list(range(23, 43))) == (24 * 3600, "Working")
    assert came(list(range(25, 45))) == (24 * 3600, "Quiet")
    assert came([20 + 12 * n for n in range(12)]) == (36 * 3600, "Working")
