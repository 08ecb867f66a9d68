"""Refunds and disputes that Stripe tells of: what a payment earned goes back, once, in any order of the messages."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from django.utils import timezone

from campaigns.models import Campaign
from integrations.models import Connection
from participants.models import Participant, QualifyingEvent, Refund
from referrals.lib.money import Money
from rewards import refunds
from rewards.models import LedgerEntry, Reward
from rewards.verify import differences
from tests.factories import ACTOR, Cast, make_campaign, make_participant, percent_rule
from tests.integrations.sending import connect, deliver, rewards_now, sample

pytestmark = pytest.mark.django_db


@pytest.fixture
def connection(alice: Cast) -> Connection:
    return connect(alice.tenant)


@pytest.fixture
def asha(campaign: Campaign) -> Participant:
    return make_participant(campaign)


def _nothing() -> None:
    assert [model.objects.count() for model in (QualifyingEvent, Reward, LedgerEntry)] == [0, 0, 0]


def _paid(connection: Connection, asha: Participant) -> None:
    deliver(connection, sample("checkout.session.completed", client_reference_id=asha.referral_code))


def test_a_full_refund_voids_the_reward(connection: Connection, asha: Participant) -> None:
    _paid(connection, asha)
    row = deliver(connection, sample("charge.refunded"))
    assert row.sentence == "$64.20 taken back from the payment of maya@example.net in Spring refer-a-friend."
    assert rewards_now() == [("asha@example.com", "referrer", 1500, "void")]
    assert list(differences()) == []


def test_partial_refunds_count_exactly_once_each_in_old_and_new_shapes(alice: Cast, connection: Connection) -> None:
    asha = make_participant(make_campaign(alice.tenant, [percent_rule("10")]))
    _paid(connection, asha)
    part = sample("charge.refunded.part")  # 20 of 64.20
    more = sample("charge.refunded.old")  # 30 so far
    rest = sample("charge.refunded")  # all of it
    for message, refunded in [(part, 2000), (part | {"id": "evt_x"}, 2000), (more, 3000), (rest, 6420)]:
        deliver(connection, message)
        assert QualifyingEvent.objects.get().refunded_minor == refunded
    assert list(Refund.objects.order_by("pk").values_list("amount_minor", flat=True)) == [2000, 1000, 3420]
    assert Reward.objects.get().state == "void"
    assert list(differences()) == []


MESSAGES = {
    "paid": "checkout.session.completed",
    "part": "charge.refunded.part",
    "more": "charge.refunded.old",
    "disputed": "charge.dispute.created",
    "won": "charge.dispute.closed.won",
}


@pytest.mark.parametrize("order", list(itertools.permutations(["paid", "part", "more"])), ids="-".join)
def test_any_order_of_payment_and_refunds_ends_alike(
    alice: Cast, connection: Connection, order: tuple[str, ...]
) -> None:
    asha = make_participant(make_campaign(alice.tenant, [percent_rule("10")]))
    for name in order:
        changes = {"client_reference_id": asha.referral_code} if name == "paid" else {}
        deliver(connection, sample(MESSAGES[name], **changes))
        deliver(connection, sample(MESSAGES[name], **changes, event_id=f"evt_twin_{name}"))
    event = QualifyingEvent.objects.get()
    assert event.refunded_minor == 3000
    assert rewards_now() == [("asha@example.com", "referrer", 342, "due")]
    assert Refund.objects.filter(event=None).count() == 0
    assert list(differences()) == []


@pytest.mark.parametrize("order", list(itertools.permutations(["paid", "disputed", "won"])), ids="-".join)
def test_a_dispute_that_is_won_leaves_the_reward_standing(
    connection: Connection, asha: Participant, order: tuple[str, ...]
) -> None:
    started = int((timezone.now() - timedelta(hours=3)).timestamp())
    for name in order:
        changes = {"client_reference_id": asha.referral_code} if name == "paid" else {}
        created = started + 3600 * ["paid", "disputed", "won"].index(name)
        deliver(connection, sample(MESSAGES[name], created=created, **changes))
    event = QualifyingEvent.objects.get()
    assert event.disputed_at is None
    assert rewards_now() == [("asha@example.com", "referrer", 1500, "due")]


def test_a_dispute_takes_the_reward_and_losing_it_changes_nothing(connection: Connection, asha: Participant) -> None:
    _paid(connection, asha)
    assert deliver(connection, sample("charge.dispute.created")).outcome == "disputed"
    before = rewards_now()
    assert before[0][3] != "due"
    assert deliver(connection, sample("charge.dispute.closed.lost")).outcome == "dispute_lost"
    assert rewards_now() == before


def test_a_refund_under_a_name_that_only_a_later_message_knows(connection: Connection, asha: Participant) -> None:
    code = asha.referral_code
    deliver(connection, sample("charge.refunded.invoice"))  # of ch_Halden0001
    deliver(connection, sample("checkout.session.completed.subscription", client_reference_id=code))
    assert rewards_now() == [("asha@example.com", "referrer", 1500, "due")]
    assert deliver(connection, sample("invoice.paid.old")).outcome == "same_payment"  # names the charge
    assert rewards_now() == [("asha@example.com", "referrer", 1500, "void")]
    assert Refund.objects.filter(event=None).count() == 0
    assert list(differences()) == []


def test_a_refund_of_something_unknown_waits(connection: Connection, asha: Participant) -> None:
    row = deliver(connection, sample("charge.refunded"))
    assert (row.state, row.outcome) == ("processed", "refund_waits")
    assert Refund.objects.get().event is None
    _nothing()


def test_a_refund_of_a_payment_that_was_ignored_names_its_message(
    alice: Cast, connection: Connection, asha: Participant
) -> None:
    deliver(connection, sample("checkout.session.completed", event_id="evt_other", payment_intent="pi_other"))
    ignored = deliver(connection, sample("checkout.session.completed"))
    deliver(connection, sample("customer.created"))
    row = deliver(connection, sample("charge.refunded"))
    assert (row.state, row.outcome, row.facts) == (
        "processed",
        "refund_of_ignored",
        {"payment_message": ignored.public_id},
    )
    page = alice.client.get(f"/app/connections/messages/{row.public_id}/").content.decode()
    assert f"/app/connections/messages/{ignored.public_id}/" in page
    _nothing()


def test_more_than_is_left_takes_all_that_is_left(connection: Connection, asha: Participant) -> None:
    _paid(connection, asha)
    event = QualifyingEvent.objects.get()
    refunds.refund(
        tenant=event.tenant, actor=ACTOR, source="manual", external_id="m1", event=event, amount=Money(5000, "USD")
    )
    assert deliver(connection, sample("charge.refunded")).outcome == "refunded"
    event.refresh_from_db()
    assert event.refunded_minor == 6420
    assert deliver(connection, sample("charge.refunded", event_id="evt_y")).outcome == "refund_known"
