"""Late binding: what came before its person was known is kept, and decided when they are."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from campaigns.models import Campaign
from participants import waiting
from participants.models import QualifyingEvent, Referral, WaitingEvent
from referrals.lib import clock
from referrals.lib.money import Money
from rewards import refunds, services
from rewards.models import Reward
from tests.api.conftest import Shop
from tests.factories import ACTOR, Cast, buy, make_campaign, make_friend, make_participant

pytestmark = pytest.mark.django_db


def body(campaign: Campaign, **more: Any) -> dict[str, Any]:
    amount = {"amount_minor": 5000, "currency": "USD"}
    return {"campaign": campaign.public_id, "amount": amount, "customer_id": "user-77", "external_id": "o-1"} | more


def test_an_event_of_an_unknown_customer_waits_and_is_decided_when_they_join(shop: Shop) -> None:
    campaign = make_campaign(shop.tenant)
    asha = make_participant(campaign)
    for _again in range(2):
        kept = shop.api.post("/api/v2/events", body(campaign))
        assert (kept.status, kept.data["state"], kept.data["customer_id"]) == (202, "waiting", "user-77")
    assert (WaitingEvent.objects.count(), QualifyingEvent.objects.count()) == (1, 0)
    joined = shop.api.post(
        "/api/v2/participants",
        {
            "campaign": campaign.public_id,
            "email": "maya@example.net",
            "referred_by_code": asha.referral_code,
            "customer_id": "user-77",
        },
    )
    assert joined.status == 201
    event = QualifyingEvent.objects.get()
    assert (event.external_id, event.amount_minor, event.participant.email) == ("o-1", 5000, "maya@example.net")
    row = WaitingEvent.objects.get()
    assert (row.event_ref, row.found_at is not None) == (event.public_id, True)
    assert list(Reward.objects.values_list("participant", "state")) == [(asha.pk, "due")]
    # The same again is the event now, and the next one needs no address either.
    again = shop.api.post("/api/v2/events", body(campaign))
    assert (again.status, again.data["id"]) == (200, event.public_id)
    assert shop.api.post("/api/v2/events", body(campaign, external_id="o-2")).status == 201


def test_a_later_event_with_both_names_decides_the_earlier_one_first(shop: Shop) -> None:
    """By the time of the facts: the first purchase is the one that waited."""
    campaign = make_campaign(shop.tenant)
    maya = make_friend(make_participant(campaign))
    earlier = (clock.now() - timedelta(hours=2)).isoformat()
    shop.api.post("/api/v2/events", body(campaign, occurred_at=earlier))
    later = shop.api.post("/api/v2/events", body(campaign, external_id="o-2", email=maya.email))
    assert (later.status, later.data["rewardable"]) == (201, False)
    assert later.data["decisions"][0]["reason"] == "friend_purchase_limit"
    first = QualifyingEvent.objects.get(external_id="o-1")
    assert list(Reward.objects.exclude(state="void").values_list("event", flat=True)) == [first.pk]


def test_another_amount_or_customer_under_the_same_id_is_refused(shop: Shop) -> None:
    campaign = make_campaign(shop.tenant)
    shop.api.post("/api/v2/events", body(campaign))
    for change in ({"amount": {"amount_minor": 1, "currency": "USD"}}, {"customer_id": "user-78"}):
        reply = shop.api.post("/api/v2/events", body(campaign, **change))
        assert (reply.status, reply.data["code"]) == (409, "amount_changed")
    assert WaitingEvent.objects.count() == 1


def test_without_any_name_or_with_an_unknown_address_nothing_waits(shop: Shop) -> None:
    campaign = make_campaign(shop.tenant)
    nameless = body(campaign)
    del nameless["customer_id"]
    assert shop.api.post("/api/v2/events", nameless).data["code"] == "missing_field"
    unknown = shop.api.post("/api/v2/events", body(campaign, email="nobody@example.com"))
    assert (unknown.status, WaitingEvent.objects.count()) == (404, 0)


def test_an_id_is_one_campaigns_and_one_merchants_own(shop: Shop, charlie: Cast) -> None:
    campaign, other = make_campaign(shop.tenant), make_campaign(shop.tenant, name="Autumn")
    shop.api.post("/api/v2/events", body(campaign))
    for place in (other, make_campaign(charlie.tenant)):
        friend = make_friend(make_participant(place))
        assert services.identify(participant=friend, source="api", customer_id="user-77", actor=ACTOR) == 0
    assert WaitingEvent.objects.get().found_at is None


def _keep(cast: Cast, currency: str = "USD", external_id: str = "in_1", **more: Any) -> WaitingEvent:
    row, _created = waiting.keep(
        tenant=cast.tenant, campaign=None, source="stripe", customer_id="cus_1", type_="purchase",
        amount=Money(5000, currency), external_id=external_id, occurred_at=clock.now(), **more,
    )  # fmt: skip
    return row


def test_a_companys_message_is_for_somebodys_friend_in_its_own_currency(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant)
    kept, yen = _keep(alice, references=["pi_1"]), _keep(alice, "JPY", "in_2")
    asha = make_participant(campaign)
    assert services.identify(participant=asha, source="stripe", customer_id="cus_1", actor=ACTOR) == 0
    maya = make_friend(asha)
    assert services.identify(participant=maya, source="stripe", customer_id="cus_1", actor=ACTOR) == 1
    assert services.identify(participant=maya, source="stripe", customer_id="cus_1", actor=ACTOR) == 0
    kept.refresh_from_db()
    yen.refresh_from_db()
    assert (bool(kept.event_ref), yen.found_at) == (True, None)
    # A refund finds it under its other name.
    refunds.refund(tenant=alice.tenant, actor=ACTOR, source="stripe", external_id="re_1", references=["pi_1"])
    assert Reward.objects.get().state == "void"


def test_a_refund_that_came_while_the_payment_waited_is_taken_off_it(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant)
    _keep(alice, references=["pi_1"])
    refunds.refund(tenant=alice.tenant, actor=ACTOR, source="stripe", external_id="re_1", references=["pi_1"])
    maya = make_friend(make_participant(campaign))
    services.identify(participant=maya, source="stripe", customer_id="cus_1", actor=ACTOR)
    event = QualifyingEvent.objects.get()
    assert (event.refunded_minor, Reward.objects.count()) == (5000, 0)


def test_what_waits_for_more_than_ninety_days_is_forgotten(alice: Cast) -> None:
    _keep(alice)
    assert waiting.forget() == 0
    WaitingEvent.objects.update(recorded_at=clock.wall() - waiting.KEPT - timedelta(seconds=1))
    assert (waiting.forget(), WaitingEvent.objects.count()) == (1, 0)


def test_the_next_purchase_names_the_customer_and_binds_the_one_before(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant)
    maya = make_friend(make_participant(campaign))
    with clock.at(clock.now() - timedelta(minutes=5)):
        waiting.keep(
            tenant=alice.tenant, campaign=None, source="manual", customer_id="c-1", type_="purchase",
            amount=Money(5000, "USD"), external_id="first", occurred_at=clock.now(),
        )  # fmt: skip
    done = buy(maya, external_id="second", customer_id="c-1")
    assert done.decisions[0].reason == "friend_purchase_limit"
    assert list(QualifyingEvent.objects.order_by("occurred_at").values_list("external_id", flat=True)) == [
        "first",
        "second",
    ]
    assert Referral.objects.count() == 1
