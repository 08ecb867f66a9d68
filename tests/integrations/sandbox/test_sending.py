"""The way to a connection's company: whose stand-in answers, where it remembers, and how its webhooks come in."""

from __future__ import annotations

import json
from datetime import timedelta
from urllib.parse import urlencode

import pytest

from integrations import inbox, trying
from integrations.accounts import account_of
from integrations.base import Delivery
from integrations.inbox import process
from integrations.models import Connection, InboundEvent, SandboxRow
from integrations.sandbox import messages
from integrations.sandbox.base import money_of
from integrations.sandbox.sending import COMPANIES, company, send_for
from integrations.sandbox.state import Rows
from integrations.services import connect, update_secrets
from participants.models import Participant
from referrals.accounts.models import MerchantClock
from referrals.accounts.tenancy import Tenant
from referrals.events.services import Actor
from referrals.lib import clock, http
from rewards import wiping
from rewards.models import Reward
from tests.factories import Cast, make_campaign, make_participant
from tests.integrations.sandbox.test_tremendous import order

pytestmark = pytest.mark.django_db
ALICE = Actor("user", "alice", "alice@example.com")
API = "https://testflight.tremendous.com/api/v2"
KEY = {"Authorization": "Bearer TEST_key"}


@pytest.fixture
def test_side(alice: Cast) -> Tenant:
    return Tenant(alice.merchant, is_test=True)


def _tremendous(tenant: Tenant, **settings: bool) -> Connection:
    row = Connection(merchant=tenant.merchant, is_test=tenant.is_test, provider="tremendous", settings=settings)
    row.secrets = {"webhook_secret": "key"}
    row.save()
    return row


def test_every_stand_in_can_be_made() -> None:
    for slug in COMPANIES:
        found = company(slug)
        assert found.slug == slug
        assert found.routes()
        assert found.denied().status == 401
        assert found.down().status >= 500


def _order(external_id: str, minor: int = 1500) -> bytes:
    return json.dumps(order(external_id, minor)).encode()


def test_only_a_test_connection_that_says_so_goes_to_the_stand_in(alice: Cast, test_side: Tenant) -> None:
    live, real = _tremendous(alice.tenant, stand_in=True), _tremendous(test_side)
    assert (send_for(live), send_for(real)) == (http.request, http.request)
    played = _tremendous(test_side, stand_in=True)
    assert account_of(played).send("POST", f"{API}/orders", headers=KEY, body=_order("rw_1")).status == 200
    assert [paid.reference for paid in money_of(Rows(played))] == ["rw_1"]
    assert money_of(Rows(real)) == []  # each connection is an account of its own
    assert set(SandboxRow.objects.values_list("connection_id", "is_test")) == {(played.pk, True)}


def test_time_passes_by_the_side_s_own_clock(test_side: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    def receive(name: str, delivery: Delivery) -> inbox.Receipt:
        told.append(json.loads(delivery.body)["event"])
        return inbox.Receipt(200, "received")

    monkeypatch.setattr(inbox, "receive", receive)
    played = _tremendous(test_side, stand_in=True)
    send_for(played)("POST", f"{API}/orders", headers=KEY, body=_order("rw_1", 6601))
    assert messages.sweep() == 1
    assert money_of(Rows(played)) == []
    moment = clock.wall() + timedelta(days=4)
    MerchantClock.objects.create(merchant=test_side.merchant, moment=moment, since=clock.wall())
    assert messages.sweep() == 3
    assert [paid.money.minor for paid in money_of(Rows(played))] == [6601]
    assert sorted(told) == ["ORDERS.APPROVED", "ORDERS.CREATED", "REWARDS.DELIVERY.SUCCEEDED"]


def test_a_webhook_comes_in_by_the_connection_s_own_door_and_secrets_that_are_pasted_end_it(test_side: Tenant) -> None:
    asha: Participant = make_participant(make_campaign(test_side))
    row = trying.make_up_secrets(connection=connect(tenant=test_side, actor=ALICE, provider="stripe"), actor=ALICE)
    form = {"email": "maya@example.net", "amount": "6420", "currency": "usd", "client_reference_id": asha.referral_code}
    played = account_of(row).send(
        "POST", "https://api.stripe.com/v1/play/checkout", headers=KEY, body=urlencode(form).encode()
    )
    assert played.status == 200
    assert messages.sweep() >= 1
    (inbound,) = InboundEvent.objects.filter(type="checkout.session.completed")
    assert process(inbound.pk) == "processed"
    assert Reward.objects.get().state == "due"
    assert messages.sweep() == 0
    update_secrets(connection=row, actor=ALICE, secrets={"webhook_secret": "whsec_" + "b" * 20})
    row.refresh_from_db()
    assert send_for(row) is http.request


def test_deleting_the_test_data_deletes_what_stand_ins_remember(test_side: Tenant) -> None:
    played = _tremendous(test_side, stand_in=True)
    send_for(played)("POST", f"{API}/orders", headers=KEY, body=_order("rw_1"))
    assert SandboxRow.objects.exists()
    wiping.go_on(wiping.ask(tenant=test_side, actor=ALICE), 30)
    assert not SandboxRow.objects.exists()
    played.refresh_from_db()
    assert played.settings == {"stand_in": True}
