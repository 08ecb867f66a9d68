"""Test messages, for every provider there is: real shape, real signature, through the front door, with what they lead to."""

from __future__ import annotations

import json

import pytest
from django.utils.datastructures import CaseInsensitiveMapping

from integrations import registry, trying
from integrations.base import Account, Message, SampleKind, Scene
from integrations.models import Connection, InboundEvent, SandboxRow
from integrations.services import connect, is_ready
from integrations.setup import make_up
from participants.models import Participant
from referrals.accounts.tenancy import Tenant
from referrals.events.services import Actor
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from referrals.web.connection_try import TryForm
from rewards.models import Reward
from tests.factories import Cast, fixed_rule, make_campaign, make_participant

pytestmark = pytest.mark.django_db
ALICE = Actor("user", "alice", "alice@example.com")
FACTS: dict[SampleKind, str] = {
    "payment": "purchase",
    "renewal": "purchase",
    "refund": "refund",
    "dispute": "dispute",
    "lead": "signup",
    "cancellation": "stopped",
}
LED_TO: dict[SampleKind, str] = {
    "payment": "rewarded",
    "renewal": "rewarded",
    "refund": "refunded",
    "dispute": "disputed",
    "lead": "joined",
    "cancellation": "subscription_stopped",
}


@pytest.fixture
def test_side(alice: Cast) -> Tenant:
    return Tenant(alice.merchant, is_test=True)


@pytest.fixture
def asha(test_side: Tenant) -> Participant:
    return make_participant(make_campaign(test_side, [fixed_rule(trigger="every_event")]))


@pytest.fixture(params=list(registry.TELLING))
def connection(request: pytest.FixtureRequest, test_side: Tenant) -> Connection:
    begun = connect(tenant=test_side, actor=ALICE, provider=request.param)
    return trying.make_up_secrets(connection=begun, actor=ALICE)


def test_each_message_is_let_in_and_leads_to_what_it_should(connection: Connection, asha: Participant) -> None:
    assert is_ready(connection)
    kinds = trying.kinds(connection)
    assert set(kinds) & {"payment", "lead"}
    money = Money(6420, "USD")
    for kind in kinds:
        # A refund takes the reward back, and then there is nothing left to dispute: each has a customer of its own.
        if kind in {"refund", "dispute", "cancellation"}:
            trying.send_test(connection=connection, kind="payment", money=money, code=asha.referral_code)
        row = trying.send_test(connection=connection, kind=kind, money=money, code=asha.referral_code)
        assert (kind, row.state, row.outcome) == (kind, "processed", LED_TO[kind]), row.error
        assert row.headers["User-Agent"] == "Passalong test message"
    assert set(Reward.objects.values_list("currency", flat=True)) <= {"USD"}
    assert Reward.objects.exclude(state="void").exists() == ("payment" in kinds)


@pytest.mark.parametrize("slug", list(registry.TELLING))
def test_each_message_says_its_scene_s_facts(slug: str) -> None:
    provider, samples = registry.get(slug), registry.samples(slug)
    assert samples is not None
    secrets = {field.name: make_up(field) for field in provider.secrets if field.required}
    assert all(field.matches(secrets[field.name]) for field in provider.secrets if field.required)
    account = Account(secrets, provider.made_up_settings)
    seen = {}
    for number, kind in enumerate(samples.kinds):
        scene = Scene(
            kind, "abc123def456", number, clock.wall(), "maya@example.net", "Maya L", Money(1234, "USD"), "ASHACODE"
        )
        delivery = samples.delivery(scene, account)
        headers = CaseInsensitiveMapping(dict(delivery.headers))
        delivery = type(delivery)(delivery.body, headers, delivery.query)
        provider.source.verify(delivery, account)
        payload = json.loads(delivery.body)
        assert provider.source.is_test(payload) is not False
        type_ = provider.source.event_type(payload, delivery)
        assert type_ in {name for name, _why in provider.events}
        seen[kind] = provider.source.event_id(payload, delivery)
        (signal,) = provider.source.parse(Message(payload, type_, account))
        assert signal.fact == FACTS[kind]
        if kind in {"payment", "renewal", "refund"}:
            assert signal.money == Money(1234, "USD")
        if kind in {"payment", "lead"}:
            assert signal.email == "maya@example.net"
            assert [code.text for code in signal.codes] == ["ASHACODE"]
    assert len(set(seen.values())) == len(samples.kinds)


def test_the_last_customer_pays_again_and_a_new_one_is_somebody_else(test_side: Tenant, asha: Participant) -> None:
    row = trying.make_up_secrets(connection=connect(tenant=test_side, actor=ALICE, provider="stripe"), actor=ALICE)
    with pytest.raises(Refused) as early:
        trying.send_test(connection=row, kind="refund")
    assert (early.value.code, early.value.status) == ("no_test_payment", 409)
    assert InboundEvent.objects.count() == 0
    code = asha.referral_code
    trying.send_test(connection=row, kind="payment", email="maya@example.net", code=code)
    trying.send_test(connection=row, kind="renewal", money=Money(900, "USD"))
    customer = trying.last_customer(row)
    assert customer is not None
    assert (customer.email, customer.payments, customer.money) == ("maya@example.net", 2, Money(900, "USD"))
    again = [trying.send_test(connection=row, kind="refund").pk for _ in range(2)]
    assert again[0] == again[1]  # the same refund told twice is one message
    assert list(Reward.objects.order_by("pk").values_list("state", flat=True)) == ["due", "void"]
    trying.send_test(connection=row, kind="payment", code=code)
    newer = trying.last_customer(row)
    assert newer is not None
    assert newer.series != customer.series
    assert newer.email.startswith("test-")


def test_the_live_side_gets_no_test_messages(alice: Cast) -> None:
    live = connect(tenant=alice.tenant, actor=ALICE, provider="stripe", secrets={"webhook_secret": "whsec_" + "a" * 20})
    assert trying.kinds(live) == []
    for refused in (
        lambda: trying.send_test(connection=live, kind="payment"),
        lambda: trying.make_up_secrets(connection=live, actor=ALICE),
    ):
        with pytest.raises(Refused) as error:
            refused()
        assert error.value.code == "live_side"
    assert (InboundEvent.objects.count(), SandboxRow.objects.count()) == (0, 0)


def test_money_is_asked_for_only_where_something_is_paid() -> None:
    lead = TryForm({"kind": "lead", "code": "ASHACODE"}, kinds=["lead"], currencies=["USD"])
    assert list(lead.fields) == ["kind", "code", "email"]
    assert lead.is_valid()
    assert lead.cleaned_data["money"] is None
    both = TryForm({"kind": "lead", "currency": "USD"}, kinds=["lead", "payment"], currencies=["USD"])
    assert both.is_valid()
    assert both.cleaned_data["money"] == Money(5000, "USD")


def test_what_is_no_company_reads_well_in_a_sentence() -> None:
    assert [str(registry.get(slug).inline) for slug in ("stripe", "webhook")] == ["Stripe", "your own system"]


def test_the_page_sends_a_payment_and_shows_what_it_led_to(alice: Cast, test_side: Tenant, asha: Participant) -> None:
    client = alice.client
    row = connect(tenant=test_side, actor=ALICE, provider="razorpay")
    page = f"/app/connections/{row.public_id}/"
    assert client.get(f"{page}try/").status_code == 404  # the live side has no such connection
    client.post("/app/switch/mode/", {"mode": "test"})
    assert "made-up/" in client.get(page).content.decode()
    assert client.post(f"{page}made-up/").headers["Location"] == f"{page}try/"
    assert f"{page}try/" in client.get("/app/connections/").content.decode()
    bad = client.post(f"{page}try/", {"kind": "payment", "amount": "0", "currency": "USD"})
    assert (bad.status_code, InboundEvent.objects.count()) == (422, 0)
    data = {"kind": "payment", "amount": "64.20", "currency": "USD", "code": asha.referral_code}
    answer = client.post(f"{page}try/", data, follow=True)
    sent = InboundEvent.objects.get()
    assert answer.redirect_chain[-1][0] == f"/app/connections/messages/{sent.public_id}/"
    assert "Payment of $64.20" in answer.content.decode()
    assert client.post(f"{page}made-up/", follow=True).status_code == 200
    row.refresh_from_db()
    assert row.settings == {"stand_in": True}
    assert "No message of Razorpay itself gets in." in client.get(page).content.decode()
