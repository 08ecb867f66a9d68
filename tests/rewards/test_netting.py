"""A reward that was taken back after it was issued is netted by the next payout (PRODUCT.md, "A reward's life")."""

from __future__ import annotations

from dataclasses import replace

import pytest

from integrations import payouts as carrier
from participants.models import Participant
from rewards import lifecycle, payouts, refunds
from rewards.balances import balances_of
from rewards.models import LedgerEntry, Payout, PayoutBatch, Reward
from rewards.payout_guards import fund_batch
from rewards.queueing import Method
from rewards.verify import differences
from tests.chaos.company import Company
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant
from tests.rewards.paying import company, intend, method

__all__ = ["company", "method"]  # fixtures
pytestmark = pytest.mark.django_db


@pytest.fixture
def asha(alice: Cast) -> Participant:
    return make_participant(make_campaign(alice.tenant, [fixed_rule(1500)]))


def earn(asha: Participant, name: str) -> Reward:
    return buy(make_friend(asha, f"{name}@example.net")).rewards[0]


def issue(alice: Cast, *rewards: Reward) -> PayoutBatch:
    ids = [reward.pk for reward in rewards]
    return payouts.issue_by_hand(tenant=alice.tenant, reward_ids=ids, actor=ACTOR, key=f"batch-{ids}")[0]


def take_back(alice: Cast, reward: Reward) -> None:
    done = refunds.refund(
        tenant=alice.tenant, actor=ACTOR, source="manual", external_id=f"r{reward.pk}", event=reward.event
    )
    assert done.created


def paid() -> list[tuple[int, int, str]]:
    return list(Payout.objects.order_by("pk").values_list("amount_minor", "netted_minor", "status"))


def test_the_next_payout_is_less_by_what_was_taken_back(alice: Cast, asha: Participant) -> None:
    first = earn(asha, "f1")
    issue(alice, first)
    take_back(alice, first)
    issue(alice, earn(asha, "f2"), earn(asha, "f3"))
    assert paid() == [(1500, 0, "paid"), (1500, -1500, "paid")]
    balance = balances_of([asha.pk])[asha.pk].referrer
    assert (balance.earned, balance.redeemed, balance.left) == (3000, 3000, 0)
    assert list(differences()) == []


def test_what_one_payout_can_not_net_the_next_one_does(alice: Cast, asha: Participant) -> None:
    one, two = earn(asha, "f1"), earn(asha, "f2")
    issue(alice, one, two)
    take_back(alice, one)
    take_back(alice, two)
    issue(alice, earn(asha, "f3"))
    issue(alice, earn(asha, "f4"))
    issue(alice, earn(asha, "f5"))
    assert paid() == [(3000, 0, "paid"), (0, -1500, "paid"), (0, -1500, "paid"), (1500, 0, "paid")]
    assert sum(LedgerEntry.objects.values_list("amount_minor", flat=True)) == 0
    assert list(differences()) == []


def test_rewards_that_wait_are_not_netted_away(alice: Cast, asha: Participant) -> None:
    first, second, _waits = earn(asha, "f1"), earn(asha, "f2"), earn(asha, "f3")
    issue(alice, first)
    take_back(alice, first)
    issue(alice, second)
    assert paid() == [(1500, 0, "paid"), (0, -1500, "paid")]
    assert balances_of([asha.pk])[asha.pk].referrer.left == 1500


def test_undoing_a_netted_payout_brings_both_back(alice: Cast, asha: Participant) -> None:
    first = earn(asha, "f1")
    issue(alice, first)
    take_back(alice, first)
    batch = issue(alice, earn(asha, "f2"))
    assert paid()[1] == (0, -1500, "paid")
    payouts.undo(batch=batch, actor=ACTOR)
    second = Reward.objects.get(event__participant__email="f2@example.net")
    assert (second.state, balances_of([asha.pk])[asha.pk].referrer.left) == ("due", 0)
    again = payouts.issue_by_hand(tenant=alice.tenant, reward_ids=[second.pk], actor=ACTOR, key="batch-again")[0]
    assert again.payouts.get().netted_minor == -1500
    assert list(differences()) == []


def test_another_s_debt_is_not_mine(alice: Cast, asha: Participant) -> None:
    first = earn(asha, "f1")
    issue(alice, first)
    take_back(alice, first)
    ben = make_participant(asha.campaign, "ben@example.com")
    issue(alice, earn(ben, "f2"))
    assert paid() == [(1500, 0, "paid"), (1500, 0, "paid")]


@pytest.mark.parametrize(("debts", "held"), [(1, 2), (1, 1), (2, 2)])
def test_what_was_held_while_it_waited_for_money_hides_no_debt(
    alice: Cast, asha: Participant, method: Method, company: Company, debts: int, held: int
) -> None:
    """All of the first payout's rewards leave it for another one, or some; and what is left of it may cover a part of the debt only."""
    owed = [earn(asha, f"d{n}") for n in range(debts)]
    issue(alice, *owed)
    for reward in owed:
        take_back(alice, reward)
    rewards = [earn(asha, f"f{n}") for n in range(debts + 1)]
    first = intend(alice, replace(method, waits_for_funds=True), *rewards)
    assert (first.amount_minor, first.netted_minor) == (1500, -1500 * debts)
    keys = [reward.pk for reward in rewards[:held]]
    lifecycle.hold(tenant=alice.tenant, reward_ids=keys, actor=ACTOR)
    lifecycle.release(tenant=alice.tenant, reward_ids=keys, actor=ACTOR)
    assert issue(alice, *rewards[:held]).payouts.get().amount_minor == 1500
    fund_batch(batch=first.batch, actor=ACTOR)
    carrier.sweep()
    due = Reward.objects.filter(state="due").order_by("pk")
    if due:
        issue(alice, *due)
    assert sum(minor for minor, _netted, status in paid() if status == "paid") == 1500 * debts + 1500
    assert (company.transfers, balances_of([asha.pk])[asha.pk].referrer.left) == ([], 0)
