"""From a shop's signed message to what it does: rewards, what takes them back, and requests about privacy."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from django.core import mail

from campaigns.terms import Percent
from integrations import account_facts, account_mails, listening, promotions, services
from integrations.inbox import process
from integrations.models import Connection, InboundEndpoint, InboundEvent, PromotionCode
from integrations.sandbox.sending import SETTING
from participants import invites
from participants.models import Capture, Participant, QualifyingEvent, Refund
from referrals.accounts.tenancy import Tenant
from referrals.events.models import Event
from referrals.events.services import SYSTEM
from referrals.lib import clock
from referrals.lib.errors import Refused
from rewards.models import Reward
from rewards.verify import differences
from tests.factories import ACTOR, Cast, fixed_rule, make_campaign, make_friend, make_participant
from tests.integrations.sending import post
from tests.integrations.test_shopify import SECRET, SHOP, headers, sample, topic_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def connection(alice: Cast) -> Connection:
    row = Connection(merchant=alice.merchant, provider="shopify")
    row.secrets = {"shop": SHOP, "client_secret": SECRET}
    row.save()
    return row


@pytest.fixture
def asha(connection: Connection) -> Participant:
    rule = fixed_rule(trigger="every_event", amount=Percent(Decimal(10)))
    person = make_participant(make_campaign(connection.tenant, [rule]))
    invites.save_settings(person.campaign, ACTOR, after_purchase=True, days_after=0)
    Participant.objects.filter(pk=person.pk).update(referral_code="8Mnu79TD")
    person.refresh_from_db()
    return person


def tell(connection: Connection, name: str, /, **changes: Any) -> InboundEvent:
    """Send a sample with a good signature and let the worker work."""
    body = json.dumps(sample(name, **changes)).encode()
    assert post(connection, body, headers(body, topic_of(name))).status_code == 200
    row = InboundEvent.objects.filter(connection=connection).latest("pk")
    process(row.pk)
    row.refresh_from_db()
    return row


CODE = [{"code": "8Mnu79TD", "amount": "4.20", "type": "percentage"}]


def test_an_order_with_a_discount_code_earns_and_what_goes_back_is_taken_off(
    connection: Connection, asha: Participant
) -> None:
    assert tell(connection, "orders_paid", discount_codes=CODE).outcome == "rewarded"
    event, reward = QualifyingEvent.objects.get(), Reward.objects.get()
    assert (event.amount_minor, event.currency, event.external_id) == (4800, "USD", "5551000000001")
    assert (event.participant.email, reward.amount_minor) == ("maya@example.net", 480)
    # The same by another delivery is not even stored.
    assert tell(connection, "orders_paid", discount_codes=CODE).outcome == "rewarded"
    assert InboundEvent.objects.count() == 1
    assert tell(connection, "refunds_create").outcome == "refunded"
    # What was pending went through later: the same refund is told again with more.
    more = sample("refunds_create")["transactions"]
    more[2]["status"] = "success"
    assert tell(connection, "refunds_create", transactions=more).outcome == "refunded"
    event.refresh_from_db()
    assert event.refunded_minor == 1100
    assert list(Refund.objects.order_by("pk").values_list("external_id", "amount_minor")) == [
        ("refund_880000000001#1", 1000),
        ("refund_880000000001#2", 100),
    ]
    assert tell(connection, "disputes_create").outcome == "disputed"
    assert tell(connection, "disputes_update.won").outcome == "dispute_won"
    assert tell(connection, "orders_cancelled").outcome == "order_cancelled"
    event.refresh_from_db()
    assert event.cancelled_at is not None
    assert not Reward.objects.exclude(state="void").exists()
    assert list(differences()) == []


def test_a_campaign_counts_the_sum_in_its_own_currency(connection: Connection, asha: Participant) -> None:
    tell(connection, "orders_paid.two_currencies")
    event = QualifyingEvent.objects.get()
    assert (event.amount_minor, event.currency) == (4396, "USD")
    tell(connection, "refunds_create.two_currencies")
    event.refresh_from_db()
    assert event.refunded_minor == 2198


def test_somebody_who_opens_an_account_with_a_code_joins(connection: Connection, asha: Participant) -> None:
    assert tell(connection, "customers_create", id=1, note=None, email="noor@example.net").outcome == "no_code"
    assert Capture.objects.get().email == "noor@example.net"
    assert tell(connection, "customers_create").outcome == "joined"
    assert tell(connection, "orders_paid", email=None, contact_email=None, customer={"id": 7450011223344}).outcome == (
        "rewarded"
    )


def test_a_shop_that_uninstalls_us_ends_the_connection_until_it_is_made_anew(
    connection: Connection, alice: Cast
) -> None:
    services.update_secrets(connection=connection, actor=SYSTEM, secrets={"access_token": "shpat_" + "a" * 32})
    row = tell(connection, "app_uninstalled")
    connection.refresh_from_db()
    assert (row.outcome, connection.ended_at is not None) == ("uninstalled", True)
    assert connection.secrets == {"shop": SHOP, "client_secret": SECRET}
    assert services.health(connection).tone == "fail"
    assert Event.objects.filter(type="connection.ended").count() == 1
    account_mails.send(row.pk)
    assert [(letter.to, letter.subject) for letter in mail.outbox] == [
        ([alice.user.email], "Shopify is disconnected"),
    ]
    assert row.public_id in mail.outbox[0].body
    services.update_secrets(connection=connection, actor=SYSTEM, secrets={"access_token": "shpat_" + "b" * 32})
    connection.refresh_from_db()
    assert connection.ended_at is None


def test_a_request_for_data_leads_to_the_person_s_export(connection: Connection, asha: Participant) -> None:
    assert tell(connection, "customers_data_request").outcome == "data_asked_for_nobody"
    friend = make_friend(asha, "maya@example.net")
    row = tell(connection, "customers_data_request", data_request={"id": 10000})
    assert (row.outcome, row.facts["participant"]) == ("data_asked_for", friend.public_id)
    told = Event.objects.filter(type="connection.privacy_asked").order_by("pk")
    assert [(event.participant_ref, event.data["found"]) for event in told] == [("", 0), (friend.public_id, 1)]
    assert "maya" not in json.dumps([event.data for event in told])
    Connection.objects.filter(pk=connection.pk).update(ended_at=clock.now())
    account_mails.send(row.pk)
    assert mail.outbox[-1].subject == "Somebody asks for their data"
    assert "30 days" in mail.outbox[-1].body


def test_a_customer_who_is_to_be_forgotten_is(connection: Connection, asha: Participant) -> None:
    tell(connection, "orders_paid", discount_codes=CODE)
    # Somebody known by the shop's id only, under an address that the request does not name.
    row = tell(connection, "customers_redact", customer={"id": 7450011223344, "email": "old@example.net", "phone": "1"})
    friend = QualifyingEvent.objects.get().participant
    assert (row.outcome, friend.erased_at is not None) == ("person_erased", True)
    assert json.loads(bytes(row.body))["customer"] == {"id": 7450011223344}
    assert not any(b"maya@example.net" in bytes(one.body) for one in InboundEvent.objects.all())
    # Nobody who takes part: what a shop told of them goes all the same, and it may be said twice.
    tell(connection, "orders_paid.discount", discount_codes=[])
    assert Capture.objects.filter(email="maya@example.net").count() == 1
    for number in (1, 2):
        assert tell(connection, "customers_redact", number=number).outcome == "nobody_erased"
    assert Capture.objects.filter(email="maya@example.net").count() == 0
    assert list(differences()) == []


def test_a_shop_that_is_gone_takes_its_people_with_it_and_nobody_else(
    connection: Connection, asha: Participant
) -> None:
    tell(connection, "orders_paid", discount_codes=CODE)
    assert Capture.objects.count() == 1
    assert tell(connection, "shop_redact").outcome == "account_erased"
    assert account_facts.erase_account(connection.pk, most=1) == 1
    assert account_facts.sweep() == 0
    connection.refresh_from_db()
    asha.refresh_from_db()
    assert (connection.removed_at is not None, connection.secrets, connection.erase_from) == (True, {}, None)
    assert QualifyingEvent.objects.get().participant.erased_at is not None
    assert asha.erased_at is None
    assert {bytes(body) for body in InboundEvent.objects.values_list("body", flat=True)} == {b"{}"}
    assert Capture.objects.count() == 0
    assert list(differences()) == []


def test_each_referrer_s_code_becomes_a_discount_code_that_counts_however_it_is_typed(
    alice: Cast, connection: Connection
) -> None:
    test_side = Tenant(alice.merchant, is_test=True)
    played = Connection.objects.create(
        merchant=alice.merchant, is_test=True, provider="shopify", settings={SETTING: True}
    )
    played.secrets = {"shop": SHOP, "client_secret": SECRET, "access_token": "shpat_" + "a" * 32}
    played.save()
    rules = [fixed_rule(), fixed_rule(side="invitee", trigger="first_event", amount=Percent(Decimal(10)))]
    asha = make_participant(make_campaign(test_side, rules))
    key = next(rule.key for rule in promotions.friend_rules(asha.campaign))
    page = f"/app/campaigns/{asha.campaign.public_id}/promotion-codes/"
    session = alice.client.session
    session["is_test"] = True
    session.save()
    shown = alice.client.get(page).content.decode()
    assert 'name="gives"' in shown
    assert 'name="chosen_coupon"' not in shown
    with pytest.raises(Refused) as refused:
        promotions.save_plan(
            campaign=asha.campaign, actor=ACTOR, connection=played, chosen_coupon="SPRING", rule_key=key
        )
    assert refused.value.code == "coupon_unsupported"
    plan = promotions.save_plan(campaign=asha.campaign, actor=ACTOR, connection=played, rule_key=key)
    promotions.work_on(plan.pk)
    code = PromotionCode.objects.get()
    assert (code.state, code.code, code.problem) == ("active", asha.referral_code, "")
    assert code.remote_id.startswith("gid://shopify/DiscountCodeNode/")
    typed = [{"code": asha.referral_code.swapcase(), "amount": "4.20", "type": "percentage"}]
    row = tell(played, "orders_paid", discount_codes=typed, test=True)
    assert row.outcome == "rewarded", row.error
    assert QualifyingEvent.objects.get().participant.referral.referrer == asha
    # The friend had their reward as the discount itself.
    assert [reward.participant for reward in Reward.objects.all()] == [asha]


def test_the_webhooks_are_made_for_a_merchant_who_may_have_them_made(alice: Cast) -> None:
    test_side = Tenant(alice.merchant, is_test=True)
    row = services.connect(tenant=test_side, actor=ACTOR, provider="shopify")
    assert not InboundEndpoint.objects.exists()
    secrets = {"shop": SHOP, "client_secret": SECRET}
    services.update_secrets(connection=row, actor=ACTOR, secrets=secrets)
    # Nobody whom we could ask: made by hand, as the guide says.
    assert not InboundEndpoint.objects.exists()
    services.update_secrets(connection=row, actor=ACTOR, secrets={"access_token": "shpat_" + "a" * 32})
    Connection.objects.filter(pk=row.pk).update(settings={SETTING: True})
    endpoint = InboundEndpoint.objects.get()
    assert listening.work(endpoint.pk) == "active"
    assert listening.remove(Connection.objects.get(pk=row.pk)) is True
