"""Webhooks go out signed, again and again as long as it takes, and one bad receiver is nobody else's trouble (RELIABILITY section 3.1)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core import mail
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from integrations import delivering, endpoints, webhook_alarms
from integrations.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from integrations.webhook_models import ANSWER_KEPT
from referrals.accounts.tenancy import Tenant
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.posting import READ_BYTES, Reply, Sender
from referrals.lib.signing import sign_standard
from tests.factories import ACTOR, Cast
from tests.integrations.receiver import Receiver, receiving

BODY = json.dumps({"type": "reward.due", "timestamp": "2026-11-20T08:00:00.000+00:00", "data": {"name": "Åsa"}})
NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    """A merchant's system on this machine, which the test side may reach."""
    with receiving() as made:
        settings.LOCAL_WEBHOOKS = [f"127.0.0.1:{made.port}"]
        yield made


@pytest.fixture
def sender() -> Iterator[Sender]:
    """Sends for one test."""
    with Sender() as made:
        yield made


def make_endpoint(tenant: Tenant, url: str) -> tuple[WebhookEndpoint, str]:
    """An endpoint of the test side, and its secret."""
    return endpoints.create(tenant=Tenant(tenant.merchant, True), actor=ACTOR, url=url)


def make_delivery(endpoint: WebhookEndpoint, subject: str = "rw_1", body: str = BODY) -> WebhookDelivery:
    """A message that is due now."""
    number = WebhookDelivery.objects.count()
    return WebhookDelivery.objects.create(
        merchant=endpoint.merchant, is_test=endpoint.is_test, endpoint=endpoint, message_id=f"evt_{number}", type="reward.due",
        subject_id=subject, body=body,
    )  # fmt: skip


def again(delivery: WebhookDelivery, sender: Sender) -> WebhookDelivery:
    """Make it due, try once, and give the row as it is then."""
    WebhookDelivery.objects.filter(pk=delivery.pk).update(next_attempt_at=clock.wall() - timedelta(seconds=1))
    delivering.deliver(delivery.pk, sender)
    delivery.refresh_from_db()
    return delivery


def test_the_official_library_verifies_what_is_sent_and_each_try_has_the_same_bytes(
    alice: Cast, receiver: Receiver, sender: Sender
) -> None:
    endpoint, secret = make_endpoint(alice.tenant, receiver.url)
    delivery = make_delivery(endpoint)
    receiver.answer = lambda got: (500 if len(receiver.got) == 1 else 204, {}, b"")
    before = clock.wall()
    assert again(delivery, sender).state == "pending"
    assert delivery.last_status == 500
    assert delivery.next_attempt_at is not None
    assert timedelta(seconds=4) <= delivery.next_attempt_at - before <= timedelta(seconds=16)
    endpoint, newer = endpoints.rotate(endpoint=endpoint, actor=ACTOR)
    assert again(delivery, sender).state == "delivered"
    first, second = receiver.got
    assert first.body == second.body == BODY.encode()
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == delivery.message_id
    assert first.headers["content-type"] == "application/json"
    assert Webhook(secret).verify(first.body, first.headers) == json.loads(BODY)
    for key in (secret, newer):  # both secrets sign while the old one lives
        assert Webhook(key).verify(second.body, second.headers) == json.loads(BODY)
    with pytest.raises(WebhookVerificationError):
        Webhook(newer).verify(first.body, first.headers)
    tries = WebhookAttempt.objects.filter(delivery=delivery).order_by("pk").values_list("status", "error")
    assert list(tries) == [(500, ""), (204, "")]
    endpoint.refresh_from_db()
    assert (endpoint.failures, endpoint.failing_since) == (0, None)
    assert endpoint.last_success_at is not None


@given(place=st.integers(0, 8 * len(BODY.encode()) - 1))
def test_one_bit_changed_and_the_official_library_refuses(place: int) -> None:
    """RELIABILITY INV-12."""
    secret, stamp = endpoints.new_secret(), int(datetime.now(UTC).timestamp())
    headers = {"webhook-id": "evt_1", "webhook-timestamp": str(stamp)}
    headers["webhook-signature"] = sign_standard(secret, "evt_1", stamp, BODY.encode())
    changed = bytearray(BODY.encode())
    changed[place // 8] ^= 1 << place % 8
    Webhook(secret).verify(BODY.encode(), headers)
    with pytest.raises((WebhookVerificationError, UnicodeDecodeError)):
        Webhook(secret).verify(bytes(changed), headers)


def test_secrets_are_32_bytes_end_after_a_day_and_are_five_at_most(alice: Cast, receiver: Receiver) -> None:
    endpoint, first = make_endpoint(alice.tenant, receiver.url)
    assert len(Webhook(first)._whsecret) == 32
    assert first not in endpoint.sealed
    for _ in range(4):
        endpoint, newest = endpoints.rotate(endpoint=endpoint, actor=ACTOR)
    with pytest.raises(Refused) as refused:
        endpoints.rotate(endpoint=endpoint, actor=ACTOR)
    assert (refused.value.code, refused.value.status) == ("too_many_secrets", 409)
    endpoint.refresh_from_db()
    now = clock.wall()
    live = endpoint.live_secrets(now)
    assert (len(live), live[0], live[-1]) == (5, newest, first)
    assert endpoint.live_secrets(now + timedelta(hours=25)) == [newest]


@pytest.mark.parametrize(
    ("attempts", "reply", "low", "high"),
    [
        (1, Reply(500), 4, 6),
        (2, Reply(500), 240, 360),
        (9, Reply(500), 69120, 103680),
        (1, Reply(429), 60, 72),
        (1, Reply(None, "timeout"), 60, 72),
        (1, Reply(503, retry_after="7"), 7, 7),
        (1, Reply(503, retry_after="1"), 5, 5),
        (1, Reply(503, retry_after="86400"), 10, 10),
        (1, Reply(429, retry_after="90"), 90, 90),
        (2, Reply(503, retry_after="Fri, 20 Nov 2026 08:07:00 GMT"), 420, 420),
        (1, Reply(503, retry_after="soon"), 4, 6),
        (1, Reply(503, retry_after="-5"), 4, 6),
    ],
)
def test_the_next_try_keeps_to_the_schedule(attempts: int, reply: Reply, low: float, high: float) -> None:
    for rolled in (0.8, 1.0, 1.2, None):
        assert low <= delivering.pause_after(attempts, reply, NOW, rolled=rolled) <= high


def test_the_schedule_takes_75_hours_and_35_minutes() -> None:
    assert sum(delivering.PAUSES) == timedelta(hours=75, minutes=35, seconds=5).total_seconds()
    assert delivering.TRIES == 10


def test_after_ten_tries_it_has_failed_and_a_person_can_send_it_again(
    alice: Cast, receiver: Receiver, sender: Sender
) -> None:
    endpoint, _secret = make_endpoint(alice.tenant, receiver.url)
    delivery = make_delivery(endpoint)
    WebhookDelivery.objects.filter(pk=delivery.pk).update(attempts=9)
    receiver.answer = lambda got: (302, {"Location": "http://127.0.0.1:1/"}, b"elsewhere")
    assert again(delivery, sender).state == "failed"
    assert delivery.next_attempt_at is None
    assert len(receiver.got) == 1  # a redirect is a failure and is not followed
    endpoints.resend(delivery=delivery)
    receiver.answer = lambda got: (200, {}, b"ok")
    assert again(delivery, sender).state == "delivered"
    assert [got.headers["webhook-id"] for got in receiver.got] == [delivery.message_id] * 2
    WebhookDelivery.objects.filter(pk=delivery.pk).update(state="failed")
    assert endpoints.replay_failed(endpoint=endpoint) == 1


def test_a_sender_that_died_leaves_a_message_that_is_sent_again_and_given_up_in_the_end(
    alice: Cast, receiver: Receiver, sender: Sender
) -> None:
    endpoint, _secret = make_endpoint(alice.tenant, receiver.url)
    delivery = make_delivery(endpoint)
    (taken,) = delivering.take(lambda _endpoint: 8)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == ("sending", 1)
    assert delivering.take(lambda _endpoint: 8) == []
    assert again(delivery, sender).state == "delivered"
    delivering.settle(
        [delivering.Done(taken, Reply(500))]
    )  # the dead one comes back: its lease is lost, nothing changes
    delivery.refresh_from_db()
    assert delivery.state == "delivered"
    WebhookDelivery.objects.filter(pk=delivery.pk).update(state="sending", attempts=10)
    assert again(delivery, sender).state == "failed"
    assert len(receiver.got) == 1


def test_only_one_message_about_an_object_is_on_its_way_and_none_overtakes(alice: Cast, receiver: Receiver) -> None:
    endpoint, _secret = make_endpoint(alice.tenant, receiver.url)
    first, second = make_delivery(endpoint), make_delivery(endpoint)
    other = make_delivery(endpoint, "rw_2")
    taken = delivering.take(lambda _endpoint: 8)
    assert [one.pk for one in taken] == [first.pk, other.pk]
    delivering.settle([delivering.Done(one, Reply(500)) for one in taken])
    assert delivering.take(lambda _endpoint: 8) == []  # the first one's second try comes before it
    WebhookDelivery.objects.filter(pk=first.pk).update(attempts=2)
    assert [one.pk for one in delivering.take(lambda _endpoint: 8)] == [
        second.pk
    ]  # but it does not wait for three days


def test_410_disables_at_once_and_nothing_more_goes_out(alice: Cast, receiver: Receiver, sender: Sender) -> None:
    endpoint, _secret = make_endpoint(alice.tenant, receiver.url)
    delivery, waiting = make_delivery(endpoint), make_delivery(endpoint, "rw_2")
    receiver.answer = lambda got: (410, {}, b"")
    again(delivery, sender)
    endpoint.refresh_from_db()
    assert endpoint.disabled_reason == "gone"
    states = WebhookDelivery.objects.order_by("pk").values_list("state", "next_attempt_at")
    assert list(states) == [("stopped", None), ("stopped", None)]
    assert delivering.take(lambda _endpoint: 8) == []
    with pytest.raises(Refused):
        endpoints.resend(delivery=waiting)
    receiver.answer = lambda got: (200, {}, b"")
    assert endpoints.enable(endpoint=endpoint, actor=ACTOR, since=clock.wall() - timedelta(hours=1)) == 2
    assert again(delivery, sender).state == again(waiting, sender).state == "delivered"


def test_five_days_of_nothing_but_failures_disable_with_three_mails(
    alice: Cast, receiver: Receiver, sender: Sender
) -> None:
    endpoint, _secret = make_endpoint(alice.tenant, receiver.url)
    receiver.answer = lambda got: (500, {}, b"")
    with time_machine.travel(datetime.now(UTC), tick=False) as travel:
        start = datetime.now(UTC)
        subjects = []
        for hour in (0, 23, 25, 71, 73, 119, 121):
            travel.move_to(start + timedelta(hours=hour))
            for number in range(4):
                again(make_delivery(endpoint, f"rw_{hour}_{number}"), sender)
            webhook_alarms.warn()
            endpoint.refresh_from_db()
            subjects.append((hour, len(mail.outbox), endpoint.disabled_reason))
    assert subjects == [
        (0, 0, ""),
        (23, 0, ""),
        (25, 1, ""),
        (71, 1, ""),
        (73, 2, ""),
        (119, 2, ""),
        (121, 3, "failing"),
    ]
    assert [one.to for one in mail.outbox] == [["alice@example.com"]] * 3
    assert "disabled" in mail.outbox[-1].subject
    assert receiver.url in mail.outbox[-1].body


def test_one_success_ends_the_series(alice: Cast, receiver: Receiver, sender: Sender) -> None:
    endpoint, _secret = make_endpoint(alice.tenant, receiver.url)
    long_ago = clock.wall() - timedelta(hours=200)
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(failing_since=long_ago, failures=500, warned=2)
    again(make_delivery(endpoint), sender)
    endpoint.refresh_from_db()
    assert (endpoint.failures, endpoint.failing_since, endpoint.warned, endpoint.is_enabled) == (0, None, 0, True)


def test_a_long_answer_is_cut_and_a_slow_one_ends_at_the_deadline(
    alice: Cast, receiver: Receiver, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint, _secret = make_endpoint(alice.tenant, receiver.url)
    receiver.answer = lambda got: (200, {}, b"x\x00" * READ_BYTES)
    delivery = again(make_delivery(endpoint), sender)
    assert delivery.state == "delivered"
    (kept,) = WebhookAttempt.objects.filter(delivery=delivery).values_list("answer", flat=True)
    assert kept == "x" * (ANSWER_KEPT // 2)
    monkeypatch.setattr("referrals.lib.posting.TOTAL_SECONDS", 0.3)
    receiver.answer = lambda got: (200, {"X-Drip": "0.05"}, b"y" * 200)
    slow = again(make_delivery(endpoint, "rw_slow"), sender)
    assert (slow.state, slow.last_error) == ("pending", "timeout")
    assert WebhookAttempt.objects.get(delivery=slow).ms < 3000


def test_a_hanging_endpoint_keeps_nobody_else_waiting(alice: Cast, settings: Any) -> None:
    """One endpoint says nothing; all messages to the other arrive meanwhile. Figures: bench/webhooks.py."""
    with receiving() as slow, receiving() as fast, Sender() as sender:
        settings.LOCAL_WEBHOOKS = [f"127.0.0.1:{slow.port}", f"127.0.0.1:{fast.port}"]
        slow.hang = 20
        stuck, _secret = make_endpoint(alice.tenant, slow.url)
        well, _secret = make_endpoint(alice.tenant, fast.url)
        for number in range(30):
            make_delivery(stuck, f"rw_{number}")
            make_delivery(well, f"rw_{number}")
        drainer = delivering.Drainer(sender)
        while WebhookDelivery.objects.filter(endpoint=well, state="delivered").count() < 30:
            drainer.turn(wait=0.05)
        assert WebhookDelivery.objects.filter(endpoint=stuck, state="delivered").count() == 0
        assert WebhookDelivery.objects.filter(endpoint=stuck, state="sending").count() == delivering.AHEAD
        assert len(slow.got) <= delivering.AT_ONCE
        slow.freed.set()
        drainer.finish()


def test_what_names_an_erased_person_is_not_sent(alice: Cast, receiver: Receiver, sender: Sender) -> None:
    endpoint, _secret = make_endpoint(alice.tenant, receiver.url)
    assert again(make_delivery(endpoint, body=""), sender).state == "stopped"
    assert receiver.got == []


def test_deliveries_go_after_thirty_days(alice: Cast, receiver: Receiver, sender: Sender) -> None:
    endpoint, _secret = make_endpoint(alice.tenant, receiver.url)
    old, young = again(make_delivery(endpoint), sender), again(make_delivery(endpoint), sender)
    WebhookDelivery.objects.filter(pk=old.pk).update(created_at=clock.wall() - timedelta(days=31))
    assert delivering.forget() == 1
    assert list(WebhookDelivery.objects.values_list("pk", flat=True)) == [young.pk]
    assert WebhookAttempt.objects.count() == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/", "ftp://hooks.example.com/", "//hooks.example.com/", "https://user:pw@hooks.example.com/",
        "https://hooks.example.com:25/", "https://localhost/", "https://127.1/", "https://2130706433/", "https://0x7f000001/",
        "https://①②⑦.⓪.⓪.①/", "https://127.0.0.1/", "https://[::ffff:127.0.0.1]/", "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/", "https://100.100.100.200/", "https://hooks.example.com\\@127.0.0.1/", "https://hooks\t.example.com/",
        "https://hooks.internal/", "https://rebinding.example.com/", "https://hooks.example.com/#part", "", "https://" + "a" * 2050,
    ],
)  # fmt: skip
def test_an_address_that_leads_inside_is_refused_when_it_is_saved(
    alice: Cast, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RELIABILITY section 6, row 22; the same at each connection is in tests/lib/test_posting.py."""
    monkeypatch.setattr(
        endpoints, "look_up", lambda host: ["10.1.2.3"] if host.startswith("rebinding") else ["8.8.8.8"]
    )
    with pytest.raises(Refused) as refused:
        endpoints.refuse_private(url, alice.tenant)
    assert (refused.value.code, refused.value.field) == ("url_not_allowed", "url")
    assert WebhookEndpoint.objects.count() == 0


def test_what_leads_to_the_internet_may_be_saved(alice: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "look_up", lambda host: ["8.8.8.8"])
    for url in (
        "https://hooks.example.com/a?b=c",
        "https://hööks.example.com:8443/",
        "https://hooks.example.com:4430/",
    ):
        endpoints.refuse_private(url, alice.tenant)
        endpoints.create(tenant=alice.tenant, actor=ACTOR, url=url)
    assert WebhookEndpoint.objects.count() == 3


def test_this_machine_is_for_the_test_side_and_by_the_operators_word_only(alice: Cast, receiver: Receiver) -> None:
    with pytest.raises(Refused):
        endpoints.create(tenant=alice.tenant, actor=ACTOR, url=receiver.url)
    with pytest.raises(Refused):
        make_endpoint(alice.tenant, "http://127.0.0.1:1/hook")
    assert make_endpoint(alice.tenant, receiver.url)[0].url == receiver.url


def test_where_no_worker_runs_the_schedule_sends_what_is_late(alice: Cast, receiver: Receiver) -> None:
    endpoint, _secret = make_endpoint(alice.tenant, receiver.url)
    late, fresh = make_delivery(endpoint), make_delivery(endpoint, "rw_2")
    WebhookDelivery.objects.filter(pk=late.pk).update(next_attempt_at=clock.wall() - timedelta(minutes=1))
    assert delivering.sweep() == 1
    states = WebhookDelivery.objects.order_by("pk").values_list("pk", "state")
    assert list(states) == [(late.pk, "delivered"), (fresh.pk, "pending")]
    assert delivering.sweep() == 0
