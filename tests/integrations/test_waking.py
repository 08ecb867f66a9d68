"""A reward that waits for its recipient wakes when what it waits for has come, and by nothing else: a payout address, or a customer's id at
the company that was asked last (docs/payouts.md)."""

from __future__ import annotations

import pytest

from integrations import payouts as carrier
from integrations import registry
from integrations.base import Account
from integrations.waking import wake as wake_customers
from participants.models import Participant
from rewards import queueing, runs
from rewards.models import Reward
from rewards.orders import Order, Outcome
from rewards.queueing import Method
from rewards.services import identify
from tests.chaos.company import Company, Issuer
from tests.factories import ACTOR, Cast
from tests.rewards.paying import FIRST, asha, earn, intend, method, state
from tests.rewards.test_recipients import confirmed

__all__ = ["asha", "method"]  # fixtures
pytestmark = pytest.mark.django_db
WAITS, DUE = ("waiting", "waiting_for_recipient"), ("due", "")


class Customers(Issuer):
    """Pays customers only."""

    def send(self, order: Order, account: Account) -> Outcome:
        """What it says names whom it tried."""
        if not order.customer:
            return Outcome("failed", "", "They are no customer.", "waiting_for_recipient")
        return super().send(order, account)


@pytest.fixture
def company(monkeypatch: pytest.MonkeyPatch) -> Company:
    found = Company("original")
    issuer = Customers(lambda verb, key, minor: found.find(key) if verb == "find" else found.pay(key, minor), None)
    monkeypatch.setattr(registry, "issuer", lambda slug: issuer)
    return found


@pytest.fixture
def reward(alice: Cast, asha: Participant, method: Method, company: Company) -> Reward:
    """The company knows nobody of this name: it waits."""
    made = earn(asha)
    assert carrier.work(intend(alice, method, made).pk)
    assert state(made) == WAITS
    return made


def test_what_waits_for_an_address_since_is_not_woken_by_a_customer(
    alice: Cast, asha: Participant, reward: Reward
) -> None:
    queueing.try_again(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR)
    assert runs.let_wait(alice.tenant, [reward.pk]) == 1
    identify(participant=asha, source=FIRST, customer_id="cus_1", actor=ACTOR)
    assert (wake_customers(), wake_customers(), state(reward)) == (0, 0, WAITS)
    confirmed(asha, "asha@pay.example")
    assert (wake_customers(), queueing.wake(), state(reward)) == (0, 1, DUE)


def test_what_waits_for_a_customer_is_not_woken_by_an_address(
    alice: Cast, asha: Participant, reward: Reward, method: Method, company: Company
) -> None:
    confirmed(asha, "asha@pay.example")
    assert (queueing.wake(), state(reward)) == (0, WAITS)
    identify(participant=asha, source=FIRST, customer_id="cus_1", actor=ACTOR)
    assert (queueing.wake(), wake_customers(), wake_customers(), state(reward)) == (0, 1, 0, DUE)
    payout = intend(alice, method, reward)
    assert carrier.work(payout.pk)
    assert (state(reward), company.transfers) == (("issued", ""), [(payout.key, 1500)])
