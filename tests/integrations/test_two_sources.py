"""Two sources that tell of one payment count once; a payment without an address waits; and what Outseta and MemberSpace tell."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from campaigns.terms import Percent
from integrations import inbox, registry
from integrations.base import Delivery
from integrations.models import Connection, InboundEvent
from participants.models import Participant, QualifyingEvent, WaitingEvent
from rewards.models import Reward
from rewards.verify import differences
from tests.factories import Cast, fixed_rule, make_campaign, make_friend, make_participant
from tests.integrations.sending import sample
from tests.integrations.speaking import account, fixtures, told

Tell = Callable[..., str]
pytestmark = pytest.mark.django_db
INTENT = "pi_HaldenOwn1"


@pytest.fixture
def asha(alice: Cast) -> Participant:
    rule = fixed_rule(trigger="every_event", amount=Percent(Decimal(10)))
    return make_participant(make_campaign(alice.tenant, [rule]))


@pytest.fixture
def tell(alice: Cast, asha: Participant) -> Tell:
    """Has a message worked on as if it had come by the provider's own webhook; gives its outcome."""

    def tell(slug: str, payload: dict[str, Any], event: str = "", **settings: str) -> str:
        provider = registry.get(slug)
        connection = Connection.objects.filter(provider=slug).first()
        if connection is None:
            connection = Connection(merchant=alice.merchant, provider=slug)
            connection.secrets = dict(account(provider).secrets)
        connection.settings = {**account(provider).settings, **settings}
        connection.save()
        payload = json.loads(json.dumps(payload).replace("ASHACODE", asha.referral_code))
        delivery = Delivery(json.dumps(payload).encode(), {}, {"event": event} if event else {})
        row = InboundEvent.objects.create(
            merchant=alice.merchant,
            connection=connection,
            event_id=f"event_{InboundEvent.objects.count()}",
            type=provider.source.event_type(payload, delivery),
            body=delivery.body,
        )
        inbox.process(row.pk)
        row.refresh_from_db()
        return row.outcome

    return tell


def _stripe(**changes: Any) -> dict[str, Any]:
    fields = {"client_reference_id": "ASHACODE", "payment_intent": INTENT, "amount_total": 5000, "currency": "usd"}
    return sample("checkout.session.completed", **(fields | changes))


def _own(**changes: Any) -> dict[str, Any]:
    return {**fixtures(registry.get("webhook"))["purchase"], "referral_code": "ASHACODE", **changes}


NAMING = {"payment": "payment_intent", "payment_at": "stripe"}


@pytest.mark.parametrize("stripe_first", [True, False])
def test_stripe_and_one_s_own_system_tell_of_one_payment_once_and_of_its_refund(tell: Tell, stripe_first: bool) -> None:
    both: list[tuple[str, dict[str, Any], dict[str, str]]] = [("stripe", _stripe(), {}), ("webhook", _own(), NAMING)]
    order = both if stripe_first else both[::-1]
    assert [tell(slug, payload, **settings) for slug, payload, settings in order] == ["rewarded", "same_payment"]
    assert QualifyingEvent.objects.filter(type="purchase").count() == 1
    assert Reward.objects.get().amount_minor == 500
    charge = sample("charge.refunded", payment_intent=INTENT, amount_refunded=2000, currency="usd", refunded=False)
    own_refund = fixtures(registry.get("webhook"))["refund_part"]
    first, second = ("stripe", charge), ("webhook", own_refund)
    assert tell(*first) == "refunded"
    assert tell(*second, **NAMING) == "refund_known"
    assert QualifyingEvent.objects.get(type="purchase").refunded_minor == 2000
    assert list(differences()) == []


def test_payments_of_one_number_at_two_companies_are_two(tell: Tell) -> None:
    assert tell("webhook", _own()) == "rewarded"
    assert tell("stripe", _stripe(payment_intent="order_1001")) == "rewarded"
    assert Reward.objects.count() == 2


def test_a_memberspace_payment_that_stripe_tells_too_counts_once(tell: Tell) -> None:
    told_here = fixtures(registry.get("memberspace"))["payment.succeeded"]
    told_here["member"]["metadata"] = {"ref": "ASHACODE"}
    assert tell("memberspace", told_here) == "rewarded"
    assert tell("stripe", _stripe(payment_intent="pi_HaldenMs1")) == "same_payment"
    assert Reward.objects.count() == 1


def test_a_payment_that_waits_is_not_counted_again_when_its_company_told_it(tell: Tell) -> None:
    unknown = _own(customer={"id": 42}, referral_code=None)
    assert tell("webhook", unknown, **NAMING) == "waits_for_person"
    assert tell("stripe", _stripe()) == "rewarded"
    signup = fixtures(registry.get("webhook"))["signup"]
    signup["customer"]["code"] = None
    assert tell("webhook", signup, **NAMING) == "identified"
    assert WaitingEvent.objects.get().found_at is not None
    assert QualifyingEvent.objects.filter(type="purchase").count() == 1
    assert Reward.objects.count() == 1
    assert list(differences()) == []


def test_events_without_an_address_work_from_the_first_to_the_last(asha: Participant, tell: Tell) -> None:
    friend = make_friend(asha, "maya@example.net")
    paid = _own(customer={"id": 42}, referral_code=None)
    assert tell("webhook", paid) == "waits_for_person"
    assert Reward.objects.count() == 0
    assert tell("webhook", fixtures(registry.get("webhook"))["signup"]) == "identified"
    assert Reward.objects.get().event.participant == friend
    later = {**paid, "id": "order_1002"}
    assert [tell("webhook", later), tell("webhook", later)] == ["rewarded", "same_payment"]
    assert tell("webhook", {**fixtures(registry.get("webhook"))["stopped"]}) == "subscription_stopped"
    assert Reward.objects.count() == 2
    assert list(differences()) == []


def test_outseta_s_account_joins_pays_and_pays_again(tell: Tell) -> None:
    outseta = fixtures(registry.get("outseta"))
    paid = "AccountSubscriptionPaymentCollected"
    assert tell("outseta", outseta["AccountCreated"], "AccountCreated") == "joined"
    assert (
        tell("outseta", outseta["AccountPaidSubscriptionCreated"], "AccountPaidSubscriptionCreated") == "joined_before"
    )
    no_code = outseta[f"{paid}.no_code"]
    no_code["PrimaryContact"]["Email"] = None
    assert [tell("outseta", no_code, paid), tell("outseta", no_code, paid)] == ["rewarded", "same_payment"]
    again = {**no_code, "ActivityEventData": {"InvoiceUid": "next", "Amount": "12.5"}}
    assert tell("outseta", again, paid) == "rewarded"
    assert tell("outseta", outseta[f"{paid}.free"], paid) == "nothing_paid"
    assert list(Reward.objects.order_by("pk").values_list("amount_minor", flat=True)) == [500, 125]
    assert list(differences()) == []


@pytest.mark.parametrize(
    ("event", "changes", "outcome"),
    [
        ("AccountSubscriptionPaymentDeclined", {}, "payment_failed"),
        ("AccountSubscriptionCancellationRequested", {}, "cancels_later"),
        ("PersonLogin", {}, "type_unused"),
        ("AccountCreated", {"ReferralCode": None}, "no_code"),
        ("AccountCreated", {"PrimaryContact": None}, "no_email"),
        (
            "AccountSubscriptionPaymentCollected",
            {"ActivityEventData": {"InvoiceUid": "1", "Amount": "x"}},
            "unreadable",
        ),
        ("AccountSubscriptionPaymentCollected", {"ActivityEventData": {"Amount": "5"}}, "unreadable"),
    ],
)
def test_outseta_s_other_messages_say_why_nothing_happens(
    tell: Tell, event: str, changes: dict[str, Any], outcome: str
) -> None:
    assert tell("outseta", {**fixtures(registry.get("outseta"))["AccountCreated"], **changes}, event) == outcome
    assert Reward.objects.count() == 0


def test_outseta_s_key_is_hex_and_one_message_has_one_name() -> None:
    outseta = registry.get("outseta")
    payload = fixtures(outseta)["AccountSubscriptionPaymentCollected"]
    delivery = told(outseta, "AccountSubscriptionPaymentCollected", payload)
    name = outseta.source.event_id(payload, delivery)
    assert outseta.source.event_id({**payload, "Updated": "later"}, delivery) == name
    other = {**payload, "ActivityEventData": {"InvoiceUid": "other", "Amount": "50.00"}}
    assert outseta.source.event_id(other, delivery) != name
    assert not outseta.secrets[0].matches("abc" * 11)
    assert not outseta.secrets[0].matches("xy" * 32)
