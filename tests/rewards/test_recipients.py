"""Why something waits for its recipient, and what they can do about it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from participants import destinations
from participants.models import Participant, PayoutDestination
from referrals.events import types
from referrals.events.models import Event
from referrals.hosted.payout_words import wait_text
from rewards import queueing
from rewards.models import Payout, PayoutBatch, PayoutItem, Reward
from rewards.recipients import wait_of
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant

pytestmark = pytest.mark.django_db
PAYPAL = queueing.Method("paypal_file", frozenset({"cash"}), destination="paypal")


@pytest.fixture
def asha(alice: Cast) -> Participant:
    return make_participant(make_campaign(alice.tenant, [fixed_rule(1500)]))


def earn(asha: Participant, name: str = "maya") -> Reward:
    return buy(make_friend(asha, f"{name}@example.net")).rewards[0]


def confirmed(asha: Participant, email: str) -> PayoutDestination:
    row = destinations.ask(participant=asha, email=email, actor=ACTOR)
    done = destinations.confirm(token=destinations.confirm_token(row), actor=ACTOR)
    assert done is not None
    return done


def wait(reward: Reward, *, failed: dict[str, str] | None = None) -> None:
    """Let the reward wait as a failed payout leaves it, or as one without an address."""
    if failed is not None:
        batch = PayoutBatch.objects.create(merchant=reward.merchant, key=f"batch-{reward.pk}", method="x")
        payout = Payout.objects.create(
            merchant=reward.merchant, batch=batch, participant=reward.participant, side="referrer", method="x", amount_minor=1500,
            currency="USD", status="failed", reason="waiting_for_recipient", key=f"key-{reward.pk}", **failed,
        )  # fmt: skip
        PayoutItem.objects.create(payout=payout, reward=reward, amount_minor=1500)
    Reward.objects.filter(pk=reward.pk).update(
        state="waiting", reason="waiting_for_recipient", stage_at=timezone.now(), payout=None
    )


def situation(asha: Participant) -> str:
    found = wait_of(asha)
    return found.situation if found else ""


def test_nothing_waits_and_nothing_is_asked(asha: Participant) -> None:
    earn(asha)
    assert wait_of(asha) is None


def test_from_no_address_to_one_that_is_rejected(asha: Participant) -> None:
    reward = earn(asha)
    wait(reward)
    assert situation(asha) == "address"
    row = destinations.ask(participant=asha, email="asha@pay.example", actor=ACTOR)
    assert situation(asha) == "confirm"
    assert destinations.confirm(token=destinations.confirm_token(row), actor=ACTOR) is not None
    assert situation(asha) == "soon"
    assert queueing.wake() == 1
    wait(reward)  # the way wants another kind
    assert situation(asha) == "another"
    wait(reward, failed={"destination": row.public_id, "message": "This account is closed."})
    found = wait_of(asha)
    assert found is not None
    assert (found.situation, found.message) == ("rejected", "This account is closed.")
    assert wait_text(asha, found) == [
        "$15 from Halden Coffee could not be paid to your address.",
        "The answer was: “This account is closed.”",
        "Enter another address, or mend what is wrong there and try this one again.",
    ]
    # Tried again, and then another one, which is held.
    again = destinations.enter_again(participant=asha, actor=ACTOR)
    assert again is not None
    assert situation(asha) == "confirm"
    destinations.confirm(token=destinations.confirm_token(again), actor=ACTOR)
    assert situation(asha) == "soon"
    wait(earn(asha, "ken"), failed={"destination": again.public_id})
    assert situation(asha) == "rejected"
    held = confirmed(asha, "other@pay.example")
    assert held.usable_from is not None
    assert held.usable_from > timezone.now() + timedelta(hours=71)
    found = wait_of(asha)
    assert found is not None
    assert (found.situation, [str(money) for money in found.sums], wait_text(asha, found)) == ("soon", ["$30.00"], [])


def test_who_needs_an_account_somewhere_is_told_the_answer(asha: Participant) -> None:
    confirmed(asha, "asha@pay.example")
    wait(earn(asha), failed={"account": "con_1", "message": "Stripe has no customer with this address."})
    found = wait_of(asha)
    assert found is not None
    assert found.situation == "account"
    assert wait_text(asha, found)[1] == "The answer was: “Stripe has no customer with this address.”"


def test_who_was_paid_by_a_file_at_their_own_address_is_asked_for_one_and_paid_there(asha: Participant) -> None:
    """A file is no company's: what it could not pay to the person's own mailbox goes to the address that they enter."""
    reward = earn(asha)
    wait(reward, failed={"message": "RECEIVER_UNREGISTERED"})
    Event.objects.create(
        merchant=asha.merchant, is_test=asha.is_test, type=types.REWARD_FAILED, subject_type="reward",
        subject_id=reward.public_id, actor_kind="system", data={},
    )  # fmt: skip
    assert situation(asha) == "address"
    confirmed(asha, "asha@pay.example")
    assert (queueing.wake(), situation(asha)) == (1, "")
    wait(earn(asha, "ken"), failed={"message": "RECEIVER_UNREGISTERED"})
    assert situation(asha) == "rejected"
