"""A friend's code is redeemed at the shop at the moment in which somebody presses "Issue", again and again (RACE_ROUNDS), on PostgreSQL,
and in each part of a payout's way (INV-05, INV-14; issue 6, part 6)."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from django.db import connection

from participants.models import Participant
from referrals.lib.errors import Refused
from rewards import sending
from rewards.balances import balances_of
from rewards.given import given_by_code
from rewards.models import Payout, Reward
from rewards.queueing import Method, queue
from rewards.sending import Order, Outcome
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


def test_a_redeemed_code_and_a_press_of_issue_never_both_pay(alice: Cast) -> None:
    campaign = make_campaign(
        alice.tenant, [fixed_rule(500, side="invitee", trigger="join", event="join", kind="coupon")]
    )
    asha = make_participant(campaign)
    paid: Counter[str] = Counter()

    def issue(reward: Reward) -> Payout:
        batch, _made = queue(
            tenant=alice.tenant, reward_ids=[reward.pk], method=METHOD, actor=ACTOR, key=f"request-{reward.pk}"
        )
        return batch.payouts.get()

    def carry(payout: Payout) -> None:
        order = sending.claim(payout.pk)
        if order is not None:
            settle(order)

    def settle(order: Order) -> None:
        paid[order.key] += 1
        sending.settle(order, Outcome("paid", f"re_{order.number}"), key_life=None)

    def pressed(maya: Participant, reward: Reward, number: int) -> Callable[[], Any]:
        """The whole way from the press; or the claim of what was queued before; or the answer to what was sent before."""
        if number % 3 == 0:
            return lambda: carry(issue(reward))
        payout = issue(reward)
        if number % 3 == 1:
            return partial(carry, payout)
        order = sending.claim(payout.pk)
        assert order is not None
        return partial(settle, order)

    pair, ended = Pair(), Counter[tuple[str, str, int]]()
    try:
        for number in range(ROUNDS):
            maya = make_friend(asha, f"maya{number}@example.net")
            reward = Reward.objects.get(participant=maya)
            redeem = partial(given_by_code, participant=maya, rule_key=reward.rule_key, actor=ACTOR)
            pair.race(redeem, pressed(maya, reward, number))
            reward.refresh_from_db()
            times = sum(paid[key] for key in Payout.objects.filter(participant=maya).values_list("key", flat=True))
            left = balances_of([maya.pk]).get(maya.pk)
            assert (left.invitee.left if left else 0) == -500 * times
            ended[reward.state, reward.reason, times] += 1
    finally:
        pair.close()
    assert set(ended) <= {("void", "given_by_code", 0), ("reversed", "given_by_code", 1)}
    assert sum(ended.values()) == ROUNDS
    assert list(differences()) == []
