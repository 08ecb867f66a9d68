"""A friend's code is redeemed at the shop at the moment in which somebody presses "Issue", again and again (RACE_ROUNDS), on PostgreSQL,
and in each part of a payout's way (INV-05, INV-14; issue 6, part 6)."""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from django.db import connection

from integrations import inbox
from integrations.base import Account, Delivery, Scene
from integrations.models import Connection, InboundEvent, PromotionCode, PromotionPlan
from integrations.providers.shopify.samples import Samples, sign
from participants.models import Participant
from referrals.accounts.tenancy import Tenant
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from rewards import sending, settling
from rewards.balances import balances_of
from rewards.given import given_by_code
from rewards.models import Payout, Reward
from rewards.orders import Order, Outcome
from rewards.queueing import Method, queue
from rewards.verify import differences
from tests.factories import ACTOR, Cast, fixed_rule, make_campaign, make_friend, make_participant

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]
ROUNDS = int(os.environ.get("RACE_ROUNDS", "45"))
METHOD = Method("stripe", frozenset({"coupon"}))


class Pair:
    """Two threads that keep their connections, and start each round at once."""

    def __init__(self) -> None:
        self._gate = threading.Barrier(2)
        self._threads = [ThreadPoolExecutor(1) for _ in range(2)]

    def race(self, *acts: Callable[[], Any]) -> list[Any]:
        """What each gave; a Refused is an answer like any other."""
        running: list[Future[Any]] = [
            pool.submit(self._run, act) for pool, act in zip(self._threads, acts, strict=True)
        ]
        return [one.result(timeout=30) for one in running]

    def _run(self, act: Callable[[], Any]) -> Any:
        self._gate.wait(timeout=30)
        try:
            return act()
        except Refused as refused:
            return refused.code

    def close(self) -> None:
        """Give the connections back."""
        for pool in self._threads:
            pool.submit(lambda: connection.close()).result()  # its own, not this thread’s
            pool.shutdown()


@pytest.fixture
def side(alice: Cast) -> Tenant:
    return Tenant(alice.merchant, is_test=True)


@pytest.fixture
def asha(side: Tenant) -> Participant:
    """A referrer whose friends get 5 dollars for joining, and who earns by their first order."""
    friends = fixed_rule(500, side="invitee", trigger="join", event="join", kind="coupon")
    return make_participant(make_campaign(side, [fixed_rule(), friends]))


class Way:
    """Rewards on their way to the company, which counts how often it pays for a key."""

    def __init__(self, side: Tenant) -> None:
        self._side = side
        self.paid: Counter[str] = Counter()

    def pressed(self, reward: Reward, number: int) -> Callable[[], Any]:
        """The whole way from the press; or the claim of what was queued before; or the answer to what was sent before."""
        if number % 3 == 0:
            return lambda: self._carry(self._issue(reward))
        payout = self._issue(reward)
        if number % 3 == 1:
            return partial(self._carry, payout)
        order = sending.claim(payout.pk)
        assert order is not None
        return partial(self._settle, order)

    def _issue(self, reward: Reward) -> Payout:
        batch, _made = queue(
            tenant=self._side, reward_ids=[reward.pk], method=METHOD, actor=ACTOR, key=f"request-{reward.pk}"
        )
        return batch.payouts.get()

    def _carry(self, payout: Payout) -> None:
        order = sending.claim(payout.pk)
        if order is not None:
            self._settle(order)

    def _settle(self, order: Order) -> None:
        self.paid[order.key] += 1
        settling.settle(order, Outcome("paid", f"re_{order.number}"), key_life=None)


def race(
    side: Tenant, asha: Participant, rounds: int, redeemed: Callable[[Participant, int], Callable[[], Any]]
) -> None:
    """A friend's reward is issued at the moment in which the code that stands for it is redeemed; all must add up."""
    pair, way, ended = Pair(), Way(side), Counter[tuple[str, str, int]]()
    try:
        for number in range(rounds):
            maya = make_friend(asha, f"maya{number}@example.net")
            reward = Reward.objects.get(participant=maya)
            pair.race(redeemed(maya, number), way.pressed(reward, number))
            reward.refresh_from_db()
            times = sum(way.paid[key] for key in Payout.objects.filter(participant=maya).values_list("key", flat=True))
            left = balances_of([maya.pk]).get(maya.pk)
            assert (left.invitee.left if left else 0) == -500 * times
            ended[reward.state, reward.reason, times] += 1
    finally:
        pair.close()
    assert set(ended) <= {("void", "given_by_code", 0), ("reversed", "given_by_code", 1)}
    assert sum(ended.values()) == rounds
    assert list(differences()) == []


def test_a_redeemed_code_and_a_press_of_issue_never_both_pay(side: Tenant, asha: Participant) -> None:
    key = Reward.objects.get(participant=make_friend(asha)).rule_key
    race(side, asha, ROUNDS, lambda maya, _n: partial(given_by_code, participant=maya, rule_key=key, actor=ACTOR))


def test_nor_do_the_shop_s_own_message_of_it_and_a_press_of_issue(side: Tenant, asha: Participant) -> None:
    """The order with the code comes by the real way: it names the friend's number, counts as their first purchase, and is decided."""
    shop = Connection(merchant=side.merchant, is_test=True, provider="shopify")
    shop.secrets = {"shop": "halden-roasts.myshopify.com", "client_secret": "s" * 32}
    shop.save()
    own = {"merchant": side.merchant, "is_test": True}
    key = Reward.objects.get(participant=make_friend(asha)).rule_key
    plan = PromotionPlan.objects.create(**own, campaign=asha.campaign, connection=shop, rule_key=key)
    PromotionCode.objects.create(
        **own, plan=plan, participant=asha, code=asha.referral_code, revision=1, remote_id="d1", state="active"
    )
    account = Account(shop.secrets)

    def message(maya: Participant, number: int) -> Callable[[], Any]:
        scene = Scene("payment", f"a{number:011d}", 0, clock.now(), maya.email, "Maya Lind", Money(4200, "USD"))
        order = json.loads(Samples().delivery(scene, account).body) | {"discount_codes": [{"code": asha.referral_code}]}
        body = json.dumps(order).encode()
        assert (
            inbox.receive(shop.public_id, Delivery(body, sign(body, "orders/paid", f"m{number}", account))).status
            == 200
        )
        return partial(inbox.process, InboundEvent.objects.latest("pk").pk)

    race(side, asha, max(9, ROUNDS // 3), message)
    assert set(InboundEvent.objects.values_list("state", "attempts")) == {("processed", 1)}
    # What the friends' orders earned their referrer is untouched by all of it.
    assert set(Reward.objects.filter(side="referrer").values_list("state", flat=True)) == {"due"}
