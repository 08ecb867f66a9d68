"""The webhook endpoint that is made for the merchant: once, with our events and no others, its secret sealed (PROVIDERS.md section 2)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from integrations import listening, reconciling, services
from integrations.models import Connection, InboundEndpoint, InboundEvent, Reconciliation
from referrals.accounts.tenancy import Tenant
from referrals.events.models import Event
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.http import Answer, HttpError
from tests.factories import ACTOR, Cast, make_campaign, make_participant
from tests.integrations.stripe_account import KEY, Account, played

pytestmark = pytest.mark.django_db
OTHER = "rk_test_fedcba9876543210"


@pytest.fixture
def stripe(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Account:
    settings.SITE_URL = "https://refer.example"
    return played(monkeypatch)


@pytest.fixture
def connection(alice: Cast, stripe: Account) -> Connection:
    tenant = Tenant(alice.merchant, is_test=True)
    row = services.connect(tenant=tenant, actor=ACTOR, provider="stripe", secrets={"api_key": KEY})
    stripe.connection = row
    return row


def _again(connection: Connection) -> str:
    InboundEndpoint.objects.update(next_attempt_at=clock.wall())
    return listening.work(InboundEndpoint.objects.get(connection=connection).pk)


def test_a_key_is_enough_and_the_first_message_fits_the_sealed_secret(connection: Connection, stripe: Account) -> None:
    assert (services.is_ready(connection), stripe.asked) == (False, [])
    assert services.health(connection).word == "Being set up"
    assert listening.sweep() == 1
    (made,) = stripe.rows("webhook_endpoint")
    assert (made["url"], made["metadata"]) == (
        f"https://refer.example/in/{connection.public_id}/", {"passalong": connection.public_id},
    )  # fmt: skip
    assert made["enabled_events"] == listening.events_of("stripe")
    connection.refresh_from_db()
    assert services.is_ready(connection)
    assert connection.secrets["webhook_secret"].startswith("whsec_")
    told = Event.objects.filter(type="connection.changed").order_by("pk").last()
    assert told is not None
    assert (told.data["changed"], connection.secrets["webhook_secret"] in str(told.data)) == (["webhook_secret"], False)
    assert [listening.sweep(), len(stripe.rows("webhook_endpoint"))] == [0, 1]
    stripe.secrets = {"webhook_secret": connection.secrets["webhook_secret"]}
    stripe.play("checkout", amount=6420, email="maya@example.net")
    assert InboundEvent.objects.count() == 1
    # Our list grows: what was made is updated, its secret stays.
    InboundEndpoint.objects.update(events=["invoice.paid"])
    stripe.state.put("webhook_endpoint", made["id"], {**made, "enabled_events": ["invoice.paid"]})
    secret = connection.secrets["webhook_secret"]
    assert listening.sweep() == 1
    assert stripe.rows("webhook_endpoint")[0]["enabled_events"] == listening.events_of("stripe")
    connection.refresh_from_db()
    assert connection.secrets["webhook_secret"] == secret
    # And it goes with the connection.
    assert services.leave(connection=connection, actor=ACTOR) is True
    assert stripe.rows("webhook_endpoint")[0]["deleted"] is True
    connection.refresh_from_db()
    assert connection.secrets == {}


def test_an_answer_that_got_lost_leaves_one_endpoint_with_a_secret_that_we_know(
    connection: Connection, stripe: Account
) -> None:
    """Stripe tells the secret once: an endpoint whose answer was lost is of no use, and is replaced."""
    lost = HttpError("No answer: ReadTimeout.", retry=True, sent=True)
    send = stripe.send

    def once(method: str, url: str, **more: Any) -> Answer:
        if (method, url) == ("POST", "https://api.stripe.com/v1/webhook_endpoints"):
            stripe.fault, stripe.send = lost, send  # type: ignore[method-assign]  # the first one only
        return send(method, url, **more)

    stripe.send = once  # type: ignore[method-assign]  # as the company's network does
    assert _again(connection) == "wanted"
    row = InboundEndpoint.objects.get()
    assert (row.problem, len(stripe.rows("webhook_endpoint"))) == ("no_answer", 1)
    connection.refresh_from_db()
    assert services.health(connection).tone == "fail"
    assert _again(connection) == "active"
    assert [one.get("deleted", False) for one in stripe.rows("webhook_endpoint")] == [True, False]
    connection.refresh_from_db()
    assert services.is_ready(connection)


@pytest.mark.parametrize(
    ("status", "message", "param", "problem"),
    [
        (401, "Invalid API Key provided", "", "key_refused"),
        (403, "This key lacks rak_webhook_write", "", "rights_missing"),
        (400, "Invalid URL", "url", "address_not_public"),
        (400, "You have reached the maximum of 16 endpoints", "", "too_many"),
    ],
)
def test_what_stripe_refuses_is_said_and_can_be_tried_again(
    connection: Connection, stripe: Account, status: int, message: str, param: str, problem: str
) -> None:
    body = f'{{"error": {{"message": "{message}", "type": "invalid_request_error", "param": "{param}"}}}}'
    send = stripe.send

    def refusing(method: str, url: str, **more: Any) -> Answer:
        return Answer(status, {}, body.encode()) if method == "POST" else send(method, url, **more)

    stripe.send = refusing  # type: ignore[method-assign]  # as the company would
    assert listening.sweep() == 1
    row = InboundEndpoint.objects.get()
    assert (row.state, row.problem, row.next_attempt_at) == ("failed", problem, None)
    connection.refresh_from_db()
    assert services.health(connection).text == row.problem_sentence
    assert (listening.sweep(), services.is_ready(connection)) == (0, False)
    stripe.send = send  # type: ignore[method-assign]  # it is mended
    services.update_secrets(connection=connection, actor=ACTOR, secrets={"api_key": OTHER})
    assert listening.sweep() == 1
    connection.refresh_from_db()
    assert services.is_ready(connection)


def test_one_made_by_hand_is_left_alone(alice: Cast, stripe: Account) -> None:
    tenant = Tenant(alice.merchant, is_test=True)
    with pytest.raises(Refused) as caught:
        services.connect(tenant=tenant, actor=ACTOR, provider="stripe", secrets={})
    assert caught.value.code == "secret_missing"
    both = {"api_key": KEY, "webhook_secret": "whsec_" + "t3St" * 8}
    services.connect(tenant=tenant, actor=ACTOR, provider="stripe", secrets=both)
    assert not InboundEndpoint.objects.exists()
    assert stripe.asked == []


def test_a_key_that_stopped_working_does_not_keep_anybody_connected(connection: Connection, stripe: Account) -> None:
    listening.sweep()
    stripe.fault = Answer(401, {}, b'{"error": {"message": "Expired API Key"}}')
    connection.refresh_from_db()
    assert services.leave(connection=connection, actor=ACTOR) is False
    connection.refresh_from_db()
    assert connection.removed_at is not None


def test_what_never_arrived_is_taken_in_at_night_and_counts_once(connection: Connection, stripe: Account) -> None:
    asha = make_participant(make_campaign(connection.tenant))
    listening.sweep()
    connection.refresh_from_db()
    stripe.secrets = {"webhook_secret": connection.secrets["webhook_secret"]}
    with clock.at(clock.now() - timedelta(days=20)):
        stripe.deliver = lambda _body, _headers: 503
        stripe.play("checkout", amount=700, email="old@example.net", client_reference_id=asha.referral_code)
        stripe.deliver = stripe.got
        for name, message in stripe.state.each("_message"):
            stripe.state.put("_message", name, {**message, "tries": 5})  # Stripe has given up
    with clock.at(clock.now() - timedelta(hours=30)):
        stripe.play("checkout", amount=6420, email="maya@example.net", client_reference_id=asha.referral_code)
        stripe.deliver = lambda _body, _headers: 503
        for number in range(65):
            stripe.play(
                "checkout", amount=5000 + number, email=f"f{number}@example.net", client_reference_id=asha.referral_code
            )
    arrived = InboundEvent.objects.count()
    row = reconciling.ask(connection=connection)
    Reconciliation.objects.filter(pk=row.pk).update(next_attempt_at=clock.wall())
    assert reconciling.work(row.pk) == "done"
    row.refresh_from_db()
    assert (arrived, row.compared, row.missing) == (1, 66, 65)
    assert stripe.asked.count(("GET", "/v1/events")) == 3
    assert InboundEvent.objects.filter(came_by="pull").count() == 65
    row = reconciling.ask(connection=connection, longest=True)
    Reconciliation.objects.filter(pk=row.pk).update(next_attempt_at=clock.wall())
    assert reconciling.work(row.pk) == "done"
    row.refresh_from_db()
    assert (row.compared, row.missing) == (67, 1)
