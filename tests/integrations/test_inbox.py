"""Receiving: what is stored and what is refused, whatever the header or the body looks like (RELIABILITY section 6, row 35)."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from django_q.models import OrmQ
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from integrations import inbox, models
from integrations.base import Account, Delivery, PayloadError
from integrations.models import Connection, InboundEvent
from integrations.registry import get
from referrals.lib.sealed import unseal
from referrals.lib.signing import SignatureError
from tests.factories import Cast
from tests.integrations.sending import SECRET, connect, post, sample, signature

pytestmark = pytest.mark.django_db
BODY = json.dumps(sample("checkout.session.completed")).encode()


@pytest.fixture
def connection(alice: Cast) -> Connection:
    return connect(alice.tenant)


def test_a_genuine_message_is_stored_as_it_came_and_nudged(connection: Connection) -> None:
    response = post(connection, BODY, {"Stripe-Signature": signature(BODY), "User-Agent": "Stripe/1.0"})
    assert (response.status_code, response.json()) == (200, {"received": True})
    row = InboundEvent.objects.get()
    assert (row.connection, row.merchant, row.is_test) == (connection, connection.merchant, False)
    assert (row.event_id, row.type, row.state, row.attempts) == (
        "evt_1Halden0001",
        "checkout.session.completed",
        "received",
        0,
    )
    assert bytes(row.body) == BODY
    assert row.headers == {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "Stripe/1.0",
        "Stripe-Signature": "•••",
        "Content-Length": str(len(BODY)),
        "Cookie": "•••",
    }
    assert [(task.task["func"], task.task["args"]) for task in OrmQ.objects.all()] == [
        ("integrations.inbox.attend", ())
    ]
    connection.refresh_from_db()
    assert connection.last_event_at is not None


def test_receiving_takes_few_queries(connection: Connection, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    post(connection, json.dumps(sample("customer.created")).encode())
    # The connection, and in one transaction the row and its nudge; two for the transaction, which is a savepoint in a test.
    with django_assert_num_queries(5):
        assert post(connection, BODY).status_code == 200


def test_the_secrets_are_opened_once_for_receiving_and_once_for_processing(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def counted(sealed: str, *, bound_to: str) -> dict[str, Any]:
        opened.append(bound_to)
        return unseal(sealed, bound_to=bound_to)

    monkeypatch.setattr(models, "unseal", counted)
    assert post(connection, BODY).status_code == 200
    assert len(opened) == 1
    assert inbox.process(InboundEvent.objects.get().pk) == "ignored"
    assert len(opened) == 2


def test_a_second_delivery_is_answered_alike_and_adds_nothing(connection: Connection) -> None:
    assert [post(connection, BODY).status_code for _ in range(3)] == [200, 200, 200]
    assert InboundEvent.objects.count() == 1
    assert OrmQ.objects.count() == 1


def test_the_same_event_on_two_connections_is_two_rows(connection: Connection, charlie: Cast) -> None:
    other = connect(charlie.tenant)
    assert post(connection, BODY).status_code == 200
    assert post(other, BODY).status_code == 200
    assert sorted(InboundEvent.objects.values_list("merchant_id", flat=True)) == sorted(
        [connection.merchant_id, charlie.merchant.pk]
    )


def _bad_headers(now: int) -> dict[str, str | None]:
    good = signature(BODY, at=now)
    digits = str(now).translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩"))
    return {
        "missing": None,
        "empty": "",
        "garbage": "garbage",
        "commas": ",,,,",
        "only a time": f"t={now}",
        "only a signature": "v1=" + "0" * 64,
        "wrong signature": f"t={now},v1=" + "0" * 64,
        "empty signature": f"t={now},v1=",
        "old scheme": good.replace("v1=", "v0="),
        "another secret": signature(BODY, "whsec_" + "x" * 32, now),
        "two times": f"t={now},{good}",
        "stale": signature(BODY, at=now - 310),
        "future": signature(BODY, at=now + 310),
        "a year ahead": signature(BODY, at=now + 365 * 86400),
        "huge time": signature(BODY, at=10**30),
        "negative time": signature(BODY, at=-now),
        "nan": good.replace(f"t={now}", "t=nan"),
        "infinity": good.replace(f"t={now}", "t=inf"),
        "arabic digits": f"t={digits},v1={'0' * 64}",
        "non-ASCII": f"t={now},v1=é" + "0" * 63,
        "upper case": f"t={now},v1=" + good.split("v1=")[1].upper(),
        "very long": f"t={now}," + "v1=0," * 5000,
    }


@pytest.mark.parametrize("case", _bad_headers(0))
def test_a_bad_signature_is_refused_without_a_row_but_counted(connection: Connection, case: str) -> None:
    header = _bad_headers(int(time.time()))[case]
    headers = {} if header is None else {"Stripe-Signature": header.encode("utf-8").decode("latin-1")}
    response = post(connection, BODY, headers)
    assert (response.status_code, response.json()["error"]) == (400, "signature")
    assert InboundEvent.objects.count() == 0
    assert OrmQ.objects.count() == 0
    connection.refresh_from_db()
    assert (connection.refused, connection.last_event_at) == (1, None)
    assert connection.last_refused_at is not None


@pytest.mark.parametrize("skew", [-290, 290])
def test_a_clock_that_is_a_little_off_is_fine(connection: Connection, skew: int) -> None:
    header = signature(BODY, at=int(time.time()) + skew)
    assert post(connection, BODY, {"Stripe-Signature": header}).status_code == 200


@given(st.integers(0, len(BODY) * 8 - 1))
@settings(max_examples=200, deadline=None)
def test_one_flipped_bit_anywhere_in_the_body_breaks_the_signature(bit: int) -> None:
    header = signature(BODY)
    body = bytearray(BODY)
    body[bit // 8] ^= 1 << (bit % 8)
    source = get("stripe").source
    source.verify(Delivery(BODY, {"Stripe-Signature": header}), Account({"webhook_secret": SECRET}))
    with pytest.raises(SignatureError):
        source.verify(Delivery(bytes(body), {"Stripe-Signature": header}), Account({"webhook_secret": SECRET}))


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda raw: raw.decode("latin-1")))
@settings(max_examples=200, deadline=None)
def test_no_header_at_all_raises_anything_but_a_refusal(header: str) -> None:
    with pytest.raises(SignatureError):
        get("stripe").source.verify(Delivery(BODY, {"Stripe-Signature": header}), Account({"webhook_secret": SECRET}))


@given(st.binary(max_size=200))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_signed_rubbish_is_refused_and_never_a_fault_of_ours(connection: Connection, body: bytes) -> None:
    assert post(connection, body).status_code == 400
    assert InboundEvent.objects.count() == 0


RUBBISH = {
    "nothing": b"",
    "null": b"null",
    "list": b"[]",
    "no id": b'{"type": "invoice.paid"}',
    "no type": b'{"id": "evt_1"}',
    "id is a number": b'{"id": 1, "type": "invoice.paid"}',
    "id is long": json.dumps({"id": "e" * 256, "type": "invoice.paid"}).encode(),
    "NUL in the id": b'{"id": "evt\\u0000", "type": "invoice.paid"}',
    "deep": b"[" * 100_000,
    "5,000 digits": b'{"id": "evt_1", "type": "x", "n": ' + b"9" * 5000 + b"}",
    "UTF-16": '{"id": "evt_1", "type": "x"}'.encode("utf-16"),
}


@pytest.mark.parametrize("body", RUBBISH.values(), ids=RUBBISH.keys())
def test_a_signed_body_that_is_no_message_is_refused(connection: Connection, body: bytes) -> None:
    response = post(connection, body)
    assert (response.status_code, response.json()["error"]) == (400, "payload")
    assert InboundEvent.objects.count() == 0


def test_a_message_may_have_one_mebibyte(connection: Connection) -> None:
    event = sample("customer.created")
    event["padding"] = ""
    event["padding"] = "x" * (inbox.MAX_BYTES - len(json.dumps(event)))
    body = json.dumps(event).encode()
    assert len(body) == inbox.MAX_BYTES
    assert post(connection, body + b" ").status_code == 413
    assert InboundEvent.objects.count() == 0
    assert post(connection, body).status_code == 200


@pytest.mark.parametrize("name", ["con_0000000000000000000000", "x", "con_" + "é" * 10])
def test_an_unknown_connection_is_404_whatever_the_signature(connection: Connection, name: str) -> None:
    answers = [post(name, BODY), post(name, BODY, {}), post(name, BODY, {"Stripe-Signature": "t=1,v1=1"})]
    assert {answer.status_code for answer in answers} == {404}
    assert {answer.json()["message"] for answer in answers} == {"There is no such connection."}
    assert InboundEvent.objects.count() == 0


def test_a_removed_or_unfinished_connection_takes_nothing(connection: Connection) -> None:
    connection.secrets = {}
    connection.save()
    assert post(connection, BODY).status_code == 400
    connection.removed_at = timezone.now()
    connection.save()
    assert post(connection, BODY).status_code == 404
    assert InboundEvent.objects.count() == 0


def test_secrets_moved_to_another_row_open_nothing(connection: Connection, charlie: Cast) -> None:
    other = connect(charlie.tenant, webhook_secret="whsec_" + "y" * 32)
    Connection.objects.filter(pk=connection.pk).update(sealed=other.sealed)
    assert post(connection, BODY).status_code == 400
    assert InboundEvent.objects.count() == 0


@pytest.mark.parametrize("method", ["get", "put", "delete", "patch"])
def test_only_post_is_answered(connection: Connection, method: str) -> None:
    assert getattr(Client(), method)(f"/in/{connection.public_id}/").status_code == 405


def test_a_compressed_body_is_refused(connection: Connection) -> None:
    headers = {"Stripe-Signature": signature(BODY), "Content-Encoding": "gzip"}
    assert post(connection, BODY, headers).status_code == 415
    assert InboundEvent.objects.count() == 0


def test_several_signatures_are_fine_while_a_secret_is_rolled(connection: Connection) -> None:
    good = signature(BODY)
    header = f"{good.split(',')[0]},v1={'0' * 64},{good.split(',')[1]},v0=ignored"
    assert post(connection, BODY, {"Stripe-Signature": header}).status_code == 200


def test_a_good_message_forgets_the_refused_ones(connection: Connection) -> None:
    post(connection, BODY, {})
    assert post(connection, BODY).status_code == 200
    connection.refresh_from_db()
    assert connection.refused == 0


def test_a_busy_connection_nudges_once_and_whom_it_nudged_stays_for_what_follows(
    connection: Connection, django_capture_on_commit_callbacks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "_nudged", inbox._Nudged())
    monkeypatch.setattr(inbox, "NUDGE_SECONDS", 60.0)
    bodies = [json.dumps(sample("customer.created", event_id=f"evt_{n}")).encode() for n in range(4)]
    with django_capture_on_commit_callbacks(execute=True):
        post(connection, bodies[0])
    for body in bodies[1:3]:
        post(connection, body)
    assert (InboundEvent.objects.count(), OrmQ.objects.count()) == (3, 1)
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        if not pauses:
            post(connection, bodies[3])  # it comes while the worker lingers
        pauses.append(seconds)

    monkeypatch.setattr(inbox, "LINGER_SECONDS", 0.05)
    monkeypatch.setattr("integrations.inbox.time.sleep", pause)
    assert inbox.attend() == 4
    assert set(InboundEvent.objects.values_list("state", flat=True)) == {"ignored"}
    assert OrmQ.objects.count() == 1
    # After its time it makes room for others, and asks to be called again.
    InboundEvent.objects.update(state="received", next_attempt_at=timezone.now())
    monkeypatch.setattr(inbox, "ATTEND_SECONDS", -1.0)
    assert inbox.attend() == 0
    assert OrmQ.objects.count() == 2


def test_the_sweeper_takes_what_a_lost_nudge_left(connection: Connection) -> None:
    post(connection, json.dumps(sample("customer.created")).encode())
    assert inbox.sweep() == 0  # its nudge may still come
    before = timezone.now() - timedelta(minutes=2)
    InboundEvent.objects.update(received_at=before, next_attempt_at=before)
    assert inbox.sweep() == 1
    assert InboundEvent.objects.get().state == "ignored"
    assert inbox.sweep() == 0


def test_an_error_is_kept_and_tried_again_until_it_is_given_up(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: object) -> None:
        raise ZeroDivisionError("the ledger is closed")

    post(connection, BODY)
    monkeypatch.setattr(inbox, "apply", broken)
    row = InboundEvent.objects.get()
    for attempt in range(1, inbox.MAX_ATTEMPTS):
        before = timezone.now()
        assert inbox.process(row.pk) == "received"
        assert inbox.process(row.pk) == "received"  # not due: nothing happens
        row.refresh_from_db()
        assert row.attempts == attempt
        assert "ZeroDivisionError: the ledger is closed" in row.error
        assert row.next_attempt_at is not None
        wait = (row.next_attempt_at - before).total_seconds()
        assert 0.8 * inbox.BACK_OFF[attempt - 1] <= wait <= 1.2 * inbox.BACK_OFF[attempt - 1] + 1
        InboundEvent.objects.update(next_attempt_at=timezone.now())
    assert inbox.process(row.pk) == "failed"
    row.refresh_from_db()
    connection.refresh_from_db()
    assert (row.state, row.outcome, row.next_attempt_at) == ("failed", "gave_up", None)
    assert "ZeroDivisionError" in row.error
    assert connection.failing_since is not None


def test_a_message_that_kills_its_worker_is_given_up(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def killed(*_args: object) -> None:
        raise Killed

    post(connection, BODY)
    monkeypatch.setattr(inbox, "apply", killed)
    row = InboundEvent.objects.get()
    for _ in range(inbox.MAX_ATTEMPTS):
        with pytest.raises(Killed):
            inbox.process(row.pk)
        InboundEvent.objects.update(next_attempt_at=timezone.now())
    assert inbox.process(row.pk) == "failed"
    row.refresh_from_db()
    assert (row.outcome, row.attempts) == ("gave_up", inbox.MAX_ATTEMPTS + 1)


def test_a_message_is_one_worker_s_until_its_lease_ends(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    post(connection, BODY)
    row = InboundEvent.objects.get()
    states = []

    def meanwhile(*_args: object) -> None:
        states.append(inbox.process(row.pk))
        raise PayloadError("stop here")

    monkeypatch.setattr(inbox, "apply", meanwhile)
    assert inbox.process(row.pk) == "failed"
    assert states == ["received"]
    row.refresh_from_db()
    assert (row.attempts, row.outcome) == (1, "unreadable")
