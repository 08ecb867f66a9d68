"""The connections' pages: a merchant connects Stripe without help, secrets go in and never come out, and each message explains itself."""

from __future__ import annotations

import json

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from integrations import inbox, services
from integrations.models import Connection, InboundEvent
from referrals.accounts.models import Role
from referrals.accounts.tenancy import Tenant
from referrals.events.models import Event
from referrals.lib.errors import Refused
from tests.factories import ACTOR, Cast, make_campaign, make_cast, make_participant
from tests.integrations.sending import SECRET, connect, deliver, post, sample

pytestmark = pytest.mark.django_db
KEY = "sk_live_0123456789abcdef"


@pytest.fixture
def connection(alice: Cast) -> Connection:
    return connect(alice.tenant)


def _secrets(client: Client, row: Connection, **values: str) -> tuple[int, str]:
    response = client.post(f"/app/connections/{row.public_id}/secrets/", values)
    return response.status_code, response.content.decode()


def test_the_way_from_nothing_to_a_working_connection(alice: Cast) -> None:
    page = alice.client.get("/app/connections/").content.decode()
    assert "Connect Stripe" in page
    assert "By API" in page
    assert "By hand" in page
    response = alice.client.post("/app/connections/", {"provider": "stripe"})
    row = Connection.objects.get()
    assert (response.status_code, response["Location"]) == (302, f"/app/connections/{row.public_id}/")
    page = alice.client.get(response["Location"]).content.decode()
    assert f'value="http://localhost:8000/in/{row.public_id}/"' in page
    assert "Its secret is missing. Paste it on its page." in page
    assert page.count("<li>In Stripe, open Developers") == 2  # with a key, or by hand
    for name in ("checkout.session.completed", "invoice.paid", "charge.refunded", "charge.dispute.created"):
        assert f"<code>{name}</code>" in page
    assert _secrets(alice.client, row, webhook_secret=f"  {SECRET} ", api_key=KEY, label="Halden shop") == (302, "")
    row.refresh_from_db()
    assert (row.secrets, row.label) == ({"webhook_secret": SECRET, "api_key": KEY}, "Halden shop")
    assert services.health(row) == services.Health("todo", "Waiting", "The first message has not arrived yet.")
    code = make_participant(make_campaign(alice.tenant)).referral_code
    message = deliver(row, sample("checkout.session.completed", client_reference_id=code))
    page = alice.client.get(f"/app/connections/{row.public_id}/").content.decode()
    assert "Working" in page
    assert "Payment of $64.20 by maya@example.net in Spring refer-a-friend. Rewards: 1." in page
    page = alice.client.get(f"/app/connections/messages/{message.public_id}/").content.decode()
    assert "See the payment and its decisions" in page
    assert "&quot;client_reference_id&quot;" in page
    types = ["connection.created", "connection.changed"]
    assert list(Event.objects.filter(subject_type="connection").order_by("pk").values_list("type", flat=True)) == types


def test_pressing_connect_twice_begins_one_connection(alice: Cast) -> None:
    for _ in range(2):
        alice.client.post("/app/connections/", {"provider": "stripe"})
    assert Connection.objects.count() == 1


def test_an_unknown_provider_is_not_found(alice: Cast) -> None:
    assert alice.client.post("/app/connections/", {"provider": "acme"}).status_code == 404
    assert Connection.objects.count() == 0


def test_secrets_are_on_no_page_and_in_no_history(alice: Cast, connection: Connection) -> None:
    _secrets(alice.client, connection, webhook_secret="", api_key=KEY)
    message = deliver(connection, sample("customer.created"))
    for path in (
        "/app/connections/",
        f"/app/connections/{connection.public_id}/",
        f"/app/connections/{connection.public_id}/disconnect/",
        f"/app/connections/messages/{message.public_id}/",
    ):
        page = alice.client.get(path).content.decode()
        assert SECRET not in page
        assert KEY not in page
    told = json.dumps(list(Event.objects.values_list("data", flat=True)))
    assert '"changed": ["api_key"]' in told
    assert KEY not in told
    connection.refresh_from_db()
    assert KEY not in connection.sealed


WRONG = {
    "no secret": ({"webhook_secret": ""}, "Paste the Signing secret, or the Secret or restricted API key."),
    "no signing secret": ({"webhook_secret": "sk_live_0123456789abcdef"}, "A signing secret starts with whsec_"),
    "cut off": ({"webhook_secret": "whsec_short"}, "at least 16 more characters"),
    "umlaut": ({"webhook_secret": "whsec_" + "ä" * 20}, "A signing secret starts with whsec_"),
    "publishable key": ({"webhook_secret": SECRET, "api_key": "pk_live_0123456789"}, "An API key starts with sk_live_"),
    "test key": (
        {"webhook_secret": SECRET, "api_key": "sk_test_0123456789"},
        "This is a test key, and you are in live mode.",
    ),
    "long name": ({"webhook_secret": SECRET, "label": "x" * 81}, "at most 80 characters"),
}


@pytest.mark.parametrize(("values", "words"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_said_and_nothing_is_saved(alice: Cast, values: dict[str, str], words: str) -> None:
    row = services.connect(tenant=alice.tenant, actor=ACTOR, provider="stripe")
    events = Event.objects.count()
    status, page = _secrets(alice.client, row, **values)
    assert status == 422
    assert words in page
    assert not any(value in page for value in values.values() if len(value) > 10 and value != "x" * 81)
    row.refresh_from_db()
    assert (row.secrets, row.label) == ({}, "")
    assert Event.objects.count() == events


def test_a_live_key_is_refused_on_the_test_side(alice: Cast) -> None:
    tenant = Tenant(alice.merchant, is_test=True)
    with pytest.raises(Refused) as caught:
        services.connect(
            tenant=tenant, actor=ACTOR, provider="stripe", secrets={"webhook_secret": SECRET, "api_key": KEY}
        )
    assert (caught.value.code, caught.value.field, caught.value.status) == ("wrong_mode", "api_key", 422)
    assert Connection.objects.count() == 0


def test_an_empty_field_keeps_the_secret_and_a_tick_removes_it(alice: Cast, connection: Connection) -> None:
    _secrets(alice.client, connection, api_key=KEY)
    connection.refresh_from_db()
    assert connection.secrets == {"webhook_secret": SECRET, "api_key": KEY}
    _secrets(alice.client, connection, remove_api_key="on")
    connection.refresh_from_db()
    assert connection.secrets == {"webhook_secret": SECRET}


def test_a_secret_that_does_not_fit_shows_and_a_new_one_mends_it(alice: Cast, connection: Connection) -> None:
    body = json.dumps(sample("customer.created")).encode()
    post(connection, body, {"Stripe-Signature": "t=1,v1=00"})
    page = alice.client.get(f"/app/connections/{connection.public_id}/").content.decode()
    assert "1 message refused since the last good one: the secret does not fit." in page
    _secrets(alice.client, connection, webhook_secret="whsec_" + "n" * 32)
    connection.refresh_from_db()
    assert connection.refused == 0


def test_secrets_that_can_t_be_opened_are_pasted_again(alice: Cast, connection: Connection) -> None:
    Connection.objects.update(sealed="lost.AAAA")
    assert "Locked" in alice.client.get("/app/connections/").content.decode()
    page = alice.client.get(f"/app/connections/{connection.public_id}/").content.decode()
    assert "Its secrets can&#x27;t be opened with this installation&#x27;s keys. Paste them again." in page
    assert post(connection, b"{}").status_code == 400
    assert _secrets(alice.client, connection, webhook_secret=SECRET)[0] == 302
    assert Connection.objects.get().secrets == {"webhook_secret": SECRET}


def test_disconnecting_asks_first_forgets_the_secrets_and_keeps_what_came(alice: Cast, connection: Connection) -> None:
    deliver(connection, sample("customer.created"))
    path = f"/app/connections/{connection.public_id}/disconnect/"
    assert "its secrets are deleted here" in alice.client.get(path).content.decode()
    assert Connection.objects.filter(removed_at=None).count() == 1
    assert alice.client.post(path).status_code == 302
    connection = Connection.objects.get()
    assert connection.removed_at is not None
    assert connection.secrets == {}
    assert post(connection, b"{}").status_code == 404
    assert InboundEvent.objects.count() == 1
    assert alice.client.get(f"/app/connections/{connection.public_id}/").status_code == 200
    assert alice.client.post(path, follow=True).status_code == 200
    assert Event.objects.filter(type="connection.removed").count() == 1


def test_a_failed_message_says_so_without_a_traceback_and_is_processed_again(
    alice: Cast, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = make_participant(make_campaign(alice.tenant)).referral_code
    real = inbox.apply  # type: ignore[attr-defined]  # what the module calls

    def broken(*_args: object) -> None:
        raise ZeroDivisionError("the books are shut")

    monkeypatch.setattr(inbox, "apply", broken)
    monkeypatch.setattr(inbox, "MAX_ATTEMPTS", 1)
    message = deliver(connection, sample("checkout.session.completed", client_reference_id=code))
    path = f"/app/connections/messages/{message.public_id}/"
    page = alice.client.get(path).content.decode()
    assert "It could not be processed, and no more tries follow (1 made)." in page
    assert "ZeroDivisionError: the books are shut" in page
    assert "Traceback" not in page
    assert "Some messages could not be processed" in alice.client.get("/app/connections/").content.decode()
    monkeypatch.setattr(inbox, "apply", real)
    assert alice.client.post(f"{path}process/").status_code == 302
    message.refresh_from_db()
    assert (message.state, message.attempts) == ("received", 0)
    assert inbox.process(message.pk) == "processed"
    connection.refresh_from_db()
    assert connection.failing_since is None
    # Once more changes nothing.
    alice.client.post(f"{path}process/")
    inbox.process(message.pk)
    message.refresh_from_db()
    assert message.outcome == "rewarded"


def test_a_message_in_a_worker_s_hands_is_left_alone(alice: Cast, connection: Connection) -> None:
    message = deliver(connection, sample("customer.created"))
    InboundEvent.objects.update(state="received", attempts=1, next_attempt_at=timezone.now() + inbox.LEASE)
    with pytest.raises(Refused) as caught:
        services.process_again(inbound=message)
    assert caught.value.code == "invalid_state"


def test_what_a_provider_sent_is_shown_inert(alice: Cast, connection: Connection) -> None:
    evil = "</pre><script>window.__xss=1</script>"
    message = deliver(connection, sample("customer.created", name=evil))
    page = alice.client.get(f"/app/connections/messages/{message.public_id}/").content.decode()
    assert "<script>window" not in page
    assert "&lt;/pre&gt;&lt;script&gt;" in page


def test_pages_of_messages_by_state_and_their_cost(
    alice: Cast, connection: Connection, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    rows = [
        InboundEvent(
            merchant=alice.merchant,
            connection=connection,
            event_id=f"evt_{number:03d}",
            type="customer.created",
            body=b"{}",
            state="ignored" if number % 2 else "failed",
            outcome="type_unused",
            facts={"type": "customer.created"},
        )
        for number in range(120)
    ]
    InboundEvent.objects.bulk_create(rows)
    path = f"/app/connections/{connection.public_id}/"
    with django_assert_max_num_queries(8):
        page = alice.client.get(path)
    assert [item[0].event_id for item in page.context["inbound"]] == [f"evt_{n:03d}" for n in range(119, 69, -1)]
    second = alice.client.get(page.context["next_url"])
    assert second.context["inbound"][0][0].event_id == "evt_069"
    assert alice.client.get(second.context["prev_url"]).context["inbound"][0][0].event_id == "evt_119"
    failed = alice.client.get(f"{path}?state=failed")
    assert {item[0].state for item in failed.context["inbound"]} == {"failed"}
    assert len(failed.context["inbound"]) == 50
    for wrong in ("state=nonsense", "after=x", "after=AAAA"):
        assert alice.client.get(f"{path}?{wrong}").status_code == 400
    part = alice.client.get(path, headers={"HX-Request": "true"}).content.decode()
    assert part.lstrip().startswith("<table")
    assert 'id="live" hx-swap-oob="innerHTML">50 messages shown' in part


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MANAGER])
def test_only_admins_connect_and_disconnect(alice: Cast, connection: Connection, role: Role) -> None:
    other = make_cast("mia@example.com", alice.merchant, role)
    page = other.client.get("/app/connections/").content.decode()
    assert "Ask an admin of your team to connect it." in page
    page = other.client.get(f"/app/connections/{connection.public_id}/").content.decode()
    assert 'name="webhook_secret"' not in page
    assert other.client.post("/app/connections/", {"provider": "stripe"}).status_code == 403
    assert _secrets(other.client, connection, webhook_secret="whsec_" + "n" * 32)[0] == 403
    assert other.client.post(f"/app/connections/{connection.public_id}/disconnect/").status_code == 403
    connection.refresh_from_db()
    assert (connection.secrets, connection.removed_at) == ({"webhook_secret": SECRET}, None)
    message = deliver(connection, sample("customer.created"))
    status = other.client.post(f"/app/connections/messages/{message.public_id}/process/").status_code
    assert status == (302 if role == Role.MANAGER else 403)


def test_nothing_of_alice_s_exists_for_charlie_or_on_her_test_side(
    alice: Cast, charlie: Cast, connection: Connection
) -> None:
    message = deliver(connection, sample("customer.created"))
    paths = [
        f"/app/connections/{connection.public_id}/",
        f"/app/connections/{connection.public_id}/disconnect/",
        f"/app/connections/messages/{message.public_id}/",
    ]
    assert [charlie.client.get(path).status_code for path in paths] == [404, 404, 404]
    assert connection.public_id not in charlie.client.get("/app/connections/").content.decode()
    session = alice.client.session
    session["is_test"] = True
    session.save()
    assert [alice.client.get(path).status_code for path in paths] == [404, 404, 404]
