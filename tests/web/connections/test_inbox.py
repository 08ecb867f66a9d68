"""The inbox: found by what merchants know, explained in words, done again, exported; secrets masked; kept for 30 days."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from integrations import inbox, messages, registry
from integrations.messages import MessageFilter, kept_headers, pretty
from integrations.models import Connection, InboundEvent
from integrations.outcomes import ADVICE, ADVICE_WITH_PULL, NAMES, SENTENCES
from participants.models import QualifyingEvent
from referrals.accounts.keys import create_api_key
from referrals.accounts.models import Role, Scope
from referrals.events.models import Event
from referrals.lib import clock
from referrals.lib.errors import Refused
from rewards.models import Reward
from tests.factories import ACTOR, Cast, make_campaign, make_cast, make_participant
from tests.integrations.sending import connect, deliver, sample

pytestmark = pytest.mark.django_db
LIST = "/app/connections/messages/"
DELIVERIES = "/app/developers/deliveries/"


@pytest.fixture
def connection(alice: Cast) -> Connection:
    return connect(alice.tenant)


@pytest.fixture
def paid(alice: Cast, connection: Connection) -> InboundEvent:
    """A payment that was rewarded."""
    code = make_participant(make_campaign(alice.tenant)).referral_code
    return deliver(connection, sample("checkout.session.completed", client_reference_id=code))


def _types(cast: Cast, **filters: Any) -> list[str]:
    return list(MessageFilter(**filters).apply(cast.tenant).order_by("pk").values_list("type", flat=True))


def test_messages_are_found_by_what_a_merchant_knows(
    alice: Cast, charlie: Cast, connection: Connection, paid: InboundEvent
) -> None:
    unused = deliver(connection, sample("customer.created", event_id="evt_2"))
    deliver(connect(charlie.tenant), sample("customer.created", event_id="evt_3"))
    both = ["checkout.session.completed", "customer.created"]
    now = clock.now()
    for wanted, filters in (
        (both, {}),
        (both[:1], {"q": "Maya@Example.NET"}),
        (both[:1], {"q": paid.event_ref}),
        (both[:1], {"q": paid.public_id}),
        (both[1:], {"q": "evt_2"}),
        ([], {"q": "evt_3"}),  # another merchant's
        ([], {"q": "nobody@"}),
        (both[1:], {"state": "ignored"}),
        (both[1:], {"outcome": "type_unused"}),
        (both[:1], {"type": "checkout.session.completed"}),
        (both, {"connection": connection.public_id}),
        ([], {"connection": "con_other"}),
        (both, {"since": now - timedelta(hours=1), "until": now}),
        ([], {"since": now}),
        ([], {"until": now - timedelta(hours=1)}),
    ):
        assert _types(alice, **filters) == wanted, filters
    page = alice.client.get(LIST, {"q": "maya@example.net"}).content.decode()
    assert page.count("data-open") == 1
    assert "Payment of $64.20 by maya@example.net" in page
    everything = alice.client.get(LIST).content.decode()
    assert "1 type of message that nothing is made of" in everything
    assert f"{LIST}?type=customer.created" in everything
    detail = alice.client.get(f"{LIST}{unused.public_id}/").content.decode()
    assert "Why it was ignored" in detail
    assert "Nothing has to be done." in detail


@pytest.mark.parametrize(
    ("address", "name", "value"),
    [
        (LIST, "state", "gone"),
        (LIST, "outcome", "gone"),
        (LIST, "since", "yesterday"),
        (LIST, "until", "0001-01-01"),
        (DELIVERIES, "state", "gone"),
        (DELIVERIES, "type", "gone"),
        (f"{DELIVERIES}export/", "state", "gone"),
        ("/app/settings/history/", "kind", "gone"),
    ],
)
def test_junk_in_the_address_is_refused_by_name(alice: Cast, address: str, name: str, value: str) -> None:
    page = alice.client.get(address, {name: value})
    assert page.status_code == 400
    assert f"The filter {name} can&#x27;t be &#x27;{value}&#x27;. Go back and try again." in page.content.decode()


def test_a_damaged_place_in_the_list_is_refused(alice: Cast) -> None:
    assert alice.client.get(f"{LIST}?after=junk").status_code == 400


def test_the_list_is_paged_by_key_with_a_fixed_number_of_queries(
    alice: Cast, connection: Connection, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    rows = [
        InboundEvent(merchant=connection.merchant, connection=connection, event_id=f"evt_{n}", type="x", body=b"{}")
        for n in range(120)
    ]
    InboundEvent.objects.bulk_create(rows)
    address = LIST
    for shown in (50, 50, 20):
        with django_assert_max_num_queries(14):
            page = alice.client.get(address).content.decode()
        assert page.count("data-open") == shown
        address = re.findall(r'href="([^"]*after=[^"]*)"', page)[-1]


def test_a_message_leads_to_its_event_rewards_and_person(alice: Cast, paid: InboundEvent) -> None:
    page = alice.client.get(f"{LIST}{paid.public_id}/").content.decode()
    event = QualifyingEvent.objects.get(public_id=paid.event_ref)
    reward = Reward.objects.get()
    for path in (
        f"/app/purchases/{event.public_id}/",
        f"/app/rewards/{reward.public_id}/",
        f"/app/participants/{event.participant.public_id}/",
    ):
        assert path in page
    assert "Sent by the company" in page


def test_secrets_are_masked_in_payloads_and_never_stored_of_headers() -> None:
    body = {"id": "evt_1", "client_secret": "pi_secret", "nested": [{"Authorization": "Bearer x", "token": {"id": 1}}]}
    shown = json.loads(pretty(json.dumps(body).encode()))
    assert shown == {"id": "evt_1", "client_secret": "•••", "nested": [{"Authorization": "•••", "token": {"id": 1}}]}
    assert pretty(b"no json") == "no json"
    headers = {
        "Content-Type": "application/json",
        "X-Proof": "abc",
        "X-Shopify-Hmac-Sha256": "abc",
        "Cookie": "a=b",
        "Authorization": "Basic x",
        "X-Shopify-Topic": "orders/paid\x00",
        "X-Halden": "Bearer kept-to-ourselves",
        "X-Long": "x" * 300,
    }
    assert kept_headers(headers, "x-proof", ["kept-to-ourselves"]) == {
        "Content-Type": "application/json",
        "X-Proof": "•••",
        "X-Shopify-Hmac-Sha256": "•••",
        "Cookie": "•••",
        "Authorization": "•••",
        "X-Shopify-Topic": "orders/paid",
        "X-Halden": "•••",
        "X-Long": "x" * 200,
    }
    assert len(kept_headers({f"h{n}": "x" for n in range(100)}, "")) == 40


def test_every_outcome_has_a_name_for_the_filter_and_no_advice_is_for_nothing() -> None:
    assert NAMES.keys() == SENTENCES.keys()
    assert ADVICE.keys() <= SENTENCES.keys()
    assert ADVICE_WITH_PULL.keys() <= ADVICE.keys()


@pytest.mark.parametrize("slug", list(registry.SLUGS))
def test_reconciling_is_advised_only_where_the_company_can_be_asked(slug: str) -> None:
    row = InboundEvent(connection=Connection(provider=slug), outcome="refund_waits")
    assert ("reconcile" in row.advice) is bool(registry.get(slug).pull)
    assert row.advice.startswith("Nothing has to be done, unless the payment should have counted")


def test_many_are_processed_again_once_the_count_is_confirmed(
    alice: Cast, connection: Connection, paid: InboundEvent
) -> None:
    for n in range(3):
        deliver(connection, sample("customer.created", event_id=f"evt_{n}"))
    address = f"{LIST}process/?outcome=type_unused"
    assert "Process 3 messages again?" in alice.client.get(address).content.decode()
    refused = alice.client.post(address, {"count": "2"}, follow=True).content.decode()
    assert "There are 3 messages now, not 2. Look again, and confirm." in refused
    assert InboundEvent.objects.filter(state="received").count() == 0
    assert alice.client.post(address, {"count": "3"}).status_code == 302
    assert InboundEvent.objects.filter(state="received").count() == 3
    assert inbox.drain() == 3
    assert sorted(InboundEvent.objects.values_list("state", flat=True)) == ["ignored"] * 3 + ["processed"]
    # Everything, with the payment: nothing is counted twice.
    assert alice.client.post(f"{LIST}process/", {"count": "4"}).status_code == 302
    assert inbox.drain() == 4
    paid.refresh_from_db()
    assert (paid.state, paid.outcome) == ("processed", "rewarded")
    assert (Reward.objects.count(), QualifyingEvent.objects.exclude(type="join").count()) == (1, 1)


def test_what_a_worker_has_is_left_to_it_and_too_many_are_refused(
    alice: Cast, paid: InboundEvent, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = {"state": "received", "attempts": 1, "next_attempt_at": clock.wall() + inbox.LEASE, "error": ""}
    InboundEvent.objects.update(**lease)
    assert messages.process_all(tenant=alice.tenant, found=MessageFilter(), expected=1) == 0
    assert InboundEvent.objects.get().attempts == 1
    monkeypatch.setattr(messages, "MOST", 0)
    with pytest.raises(Refused) as refused:
        messages.process_all(tenant=alice.tenant, found=MessageFilter(), expected=1)
    assert refused.value.code == "too_many"


def test_viewers_look_and_change_nothing(alice: Cast, paid: InboundEvent) -> None:
    viewer = make_cast("vera@example.com", alice.merchant, role=Role.VIEWER)
    assert "Process these again" not in viewer.client.get(LIST).content.decode()
    assert viewer.client.post(f"{LIST}process/", {"count": "1"}).status_code == 403
    assert InboundEvent.objects.get().state == "processed"


def test_the_file_has_the_list_s_filter_and_no_bodies(alice: Cast, connection: Connection, paid: InboundEvent) -> None:
    deliver(connection, sample("customer.created", event_id="=1+1"))
    whole = b"".join(alice.client.get(f"{LIST}export.csv").streaming_content).decode("utf-8-sig").splitlines()  # type: ignore[attr-defined]  # streamed
    assert whole[0].startswith('"id","received_at","connection"')
    assert len(whole) == 3
    assert '"\t=1+1"' in whole[1]
    lines = b"".join(alice.client.get(f"{LIST}export.csv?q=maya@example.net").streaming_content).decode().splitlines()  # type: ignore[attr-defined]  # streamed
    assert len(lines) == 2
    assert f'"{paid.event_ref}"' in lines[1]
    assert Event.objects.filter(type="export.made").order_by("pk").last().data == {  # type: ignore[union-attr]  # made above
        "what": "inbox",
        "query": "q=maya%40example.net",
    }


def test_messages_go_after_30_days_and_what_they_led_to_stays(
    alice: Cast, connection: Connection, paid: InboundEvent
) -> None:
    deliver(connection, sample("customer.created", event_id="evt_young"))
    waiting = deliver(connection, sample("customer.created", event_id="evt_waits"))
    old = clock.wall() - timedelta(days=30, minutes=1)
    InboundEvent.objects.filter(pk__in=[paid.pk, waiting.pk]).update(received_at=old)
    InboundEvent.objects.filter(pk=waiting.pk).update(state="received")
    assert messages.forget() == 1
    assert sorted(InboundEvent.objects.values_list("event_id", flat=True)) == ["evt_waits", "evt_young"]
    event = QualifyingEvent.objects.get(public_id=paid.event_ref)
    assert Reward.objects.get().event == event
    page = alice.client.get(f"/app/purchases/{event.public_id}/")
    assert page.status_code == 200
    assert "Stripe" in page.content.decode()


def test_the_api_finds_the_same(alice: Cast, connection: Connection, paid: InboundEvent) -> None:
    _row, key = create_api_key(
        tenant=alice.tenant, name="x", kind="secret", scopes=list(Scope.values), actor=ACTOR, user=alice.user
    )
    unused = deliver(connection, sample("customer.created", event_id="evt_2"))

    def ids(query: str) -> list[str]:
        answer = Client().get(f"/api/v2/inbound-events?{query}", headers={"Authorization": f"Bearer {key}"})
        return [row["id"] for row in answer.json()["data"]]

    assert ids("") == [unused.public_id, paid.public_id]
    for query in ("q=maya@example.net", f"q={paid.event_ref}", "outcome=rewarded", "type=checkout.session.completed"):
        assert ids(query) == [paid.public_id], query
    assert ids("state=ignored&since=2026-01-01T00:00:00Z") == [unused.public_id]
    assert ids("until=2026-01-01T00:00:00Z") == []


def test_a_message_with_half_an_emoji_is_counted_and_hides_nothing(alice: Cast, connection: Connection) -> None:
    """What was cut in the middle can be neither kept nor shown; the payment is good all the same."""
    code = make_participant(make_campaign(alice.tenant)).referral_code
    payment = sample("checkout.session.completed", client_reference_id=code)
    payment["data"]["object"]["customer_details"]["name"] = "Maya \ud83d"
    payment["data"]["object"]["metadata"] = {"note \ud800": "a\x00b"}
    row = deliver(connection, payment)
    assert b"\\ud83d" in bytes(row.body)
    assert (row.state, Reward.objects.count()) == ("processed", 1)
    for path in (LIST, f"{LIST}{row.public_id}/", f"/app/connections/{connection.public_id}/"):
        assert alice.client.get(path).status_code == 200
    assert "Maya \ufffd" in pretty(bytes(row.body))
