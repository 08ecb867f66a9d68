"""Real concurrency on PostgreSQL: the same message twenty times at once, two names of one payment, a payment and its refund."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.utils import timezone
from django_q.models import OrmQ

from integrations import effects, inbox, messages, services
from integrations.models import Connection, InboundEvent
from participants.models import QualifyingEvent, Refund
from referrals.lib.errors import Refused
from rewards.models import LedgerEntry, Reward
from rewards.verify import differences
from tests.factories import Cast, make_campaign, make_cast, make_merchant, make_participant, percent_rule
from tests.integrations.sending import connect, post, sample

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def alice(transactional_db: None) -> Cast:
    return make_cast("alice@example.com", make_merchant())


@pytest.fixture
def connection(alice: Cast) -> Connection:
    return connect(alice.tenant)


@pytest.fixture
def code(alice: Cast) -> str:
    return make_participant(make_campaign(alice.tenant, [percent_rule("10")])).referral_code


def _at_once(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Run all calls in threads that start together; their answers in order. An exception in a thread fails the test."""
    barrier = threading.Barrier(len(calls))
    answers: list[Any] = [None] * len(calls)

    def run(index: int) -> None:
        try:
            barrier.wait(10)
            answers[index] = calls[index]()
        except Exception as error:
            answers[index] = error
        finally:
            database.close()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    errors = [answer for answer in answers if isinstance(answer, Exception)]
    assert errors == []
    return answers


def _received(connection: Connection, *events: dict[str, Any]) -> list[int]:
    for event in events:
        assert post(connection, json.dumps(event).encode()).status_code == 200
    return list(InboundEvent.objects.order_by("pk").values_list("pk", flat=True))


def test_twenty_deliveries_at_once_are_one_row_and_one_reward(connection: Connection, code: str) -> None:
    body = json.dumps(sample("checkout.session.completed", client_reference_id=code)).encode()
    answers = _at_once([lambda: post(connection, body).status_code] * 20)
    assert answers == [200] * 20
    assert InboundEvent.objects.count() == 1
    assert OrmQ.objects.count() == 1
    pk = InboundEvent.objects.get().pk
    states = _at_once([lambda: inbox.process(pk)] * 20)
    assert "processed" in states
    assert set(states) <= {"processed", "received"}
    assert InboundEvent.objects.get().attempts == 1
    assert (Reward.objects.count(), LedgerEntry.objects.count()) == (1, 1)
    assert list(differences()) == []


@pytest.mark.parametrize("round_", range(2))
def test_a_checkout_and_its_invoice_at_once_count_once(connection: Connection, code: str, round_: int) -> None:
    rows = _received(
        connection,
        sample("checkout.session.completed.subscription", client_reference_id=code),
        sample("invoice.paid", parent={"subscription_details": {"metadata": {"ref": code}, "subscription": "sub_1"}}),
    )
    assert _at_once([lambda pk=pk: inbox.process(pk) for pk in rows]) == ["processed", "processed"]  # type: ignore[misc]  # bound now
    assert QualifyingEvent.objects.count() == 1
    assert Reward.objects.get().amount_minor == 240


@pytest.mark.parametrize("round_", range(2))
def test_a_payment_and_its_refunds_at_once_end_as_in_turn(connection: Connection, code: str, round_: int) -> None:
    rows = _received(
        connection,
        sample("checkout.session.completed", client_reference_id=code),
        sample("charge.refunded.part"),
        sample("charge.refunded.old"),
    )
    _at_once([lambda pk=pk: inbox.process(pk) for pk in rows])  # type: ignore[misc]  # bound now
    assert set(InboundEvent.objects.values_list("state", flat=True)) <= {"processed", "ignored"}
    assert Refund.objects.filter(event=None).count() == 0
    assert sum(refund.amount_minor or 0 for refund in Refund.objects.all()) == 3000
    assert QualifyingEvent.objects.get().refunded_minor == 3000
    assert Reward.objects.get().amount_minor == 342
    assert list(differences()) == []


def test_receiving_does_not_wait_for_the_worker(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    rows = _received(connection, sample("checkout.session.completed", client_reference_id=code))
    working, go_on = threading.Event(), threading.Event()
    real = effects.apply

    def slow(*args: Any) -> Any:
        working.set()
        assert go_on.wait(10)
        return real(*args)

    monkeypatch.setattr(inbox, "apply", slow)

    def work() -> None:
        inbox.process(rows[0])
        database.close()

    worker = threading.Thread(target=work)
    worker.start()
    assert working.wait(10)
    try:
        body = json.dumps(sample("customer.created")).encode()
        assert _at_once([lambda: post(connection, body).status_code]) == [200]
    finally:
        go_on.set()
        worker.join(10)
    assert Reward.objects.count() == 1


def _process_and_die(pk: int) -> None:
    """What a worker does that is killed after the effect, before it is committed."""
    database.close()
    real = inbox._settled

    def killed(row: InboundEvent, state: str, effect: effects.Effect) -> bool:
        done = real(row, state, effect)
        os.kill(os.getpid(), signal.SIGKILL)
        return done

    inbox._settled = killed
    inbox.process(pk)


def test_a_worker_killed_in_the_middle_leaves_nothing_and_the_next_does_it_once(
    connection: Connection, code: str
) -> None:
    (pk,) = _received(connection, sample("checkout.session.completed", client_reference_id=code))
    database.close()
    worker = multiprocessing.get_context("fork").Process(target=_process_and_die, args=(pk,))
    worker.start()
    worker.join(30)
    assert worker.exitcode == -signal.SIGKILL
    row = InboundEvent.objects.get()
    assert (row.state, row.attempts, Reward.objects.count(), QualifyingEvent.objects.count()) == ("received", 1, 0, 0)
    assert inbox.process(pk) == "received"  # the dead worker's lease has not ended
    assert inbox.sweep() == 0
    InboundEvent.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    assert inbox.sweep() == 1
    row.refresh_from_db()
    assert (row.state, row.attempts) == ("processed", 2)
    assert Reward.objects.count() == 1
    assert list(differences()) == []


def test_two_workers_that_drain_share_the_rows_and_work_on_each_once(connection: Connection, code: str) -> None:
    rows = _received(
        connection,
        *(
            sample(
                "checkout.session.completed", id=f"cs_{n}", payment_intent=f"pi_{n}", event_id=f"evt_{n}", customer=None,
                client_reference_id=code, customer_details={"email": f"friend{n}@example.net"},
            )
            for n in range(12)
        ),
    )  # fmt: skip
    tried = _at_once([inbox.drain] * 3)
    assert sum(tried) >= len(rows)
    while inbox.drain():  # what another one had claimed as this one came by
        pass
    assert list(InboundEvent.objects.order_by("pk").values_list("state", "attempts")) == [("processed", 1)] * 12
    assert (QualifyingEvent.objects.count(), Reward.objects.count(), LedgerEntry.objects.count()) == (12, 12, 12)
    assert list(differences()) == []


def test_processing_again_from_all_sides_makes_one_reward(connection: Connection, code: str, alice: Cast) -> None:
    (pk,) = _received(connection, sample("checkout.session.completed", client_reference_id=code))
    assert inbox.process(pk) == "processed"

    def again() -> None:
        with contextlib.suppress(Refused):  # a worker has it
            services.process_again(inbound=InboundEvent.objects.get(pk=pk))
        inbox.drain()

    def all_of_them() -> None:
        with contextlib.suppress(Refused):
            messages.process_all(tenant=alice.tenant, found=messages.MessageFilter(), expected=1)
        inbox.drain()

    _at_once([again, again, all_of_them, all_of_them])
    inbox.drain()
    assert InboundEvent.objects.get().state == "processed"
    assert (QualifyingEvent.objects.count(), Reward.objects.count(), LedgerEntry.objects.count()) == (1, 1, 1)
    assert list(differences()) == []
