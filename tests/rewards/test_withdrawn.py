"""Whatever happened to rewards in line before their payout was withdrawn: none of them stays in it, and each is paid once later."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from integrations import payouts as carrier
from integrations import veto
from participants.models import Participant
from rewards import bans, lifecycle, settling
from rewards.models import Payout, PayoutVeto, Reward, VetoEndpoint
from rewards.orders import Outcome
from rewards.queueing import Method, let_nothing_leave, withdraw
from tests.chaos.company import Company
from tests.factories import ACTOR, Cast
from tests.rewards.paying import asha, company, earn, intend, ledger, method

__all__ = ["asha", "company", "method"]  # fixtures
pytestmark = pytest.mark.django_db


def by_hand(alice: Cast, payout: Payout) -> None:
    assert withdraw(payouts=[payout.pk], tenant=alice.tenant, actor=ACTOR) == 1


def by_archive(alice: Cast, payout: Payout) -> None:
    assert let_nothing_leave(tenant=alice.tenant, actor=ACTOR, note="Read from an archive.") == 1


def by_their_system(alice: Cast, payout: Payout) -> None:
    veto._refuse(PayoutVeto.objects.select_related("payout__merchant").get(payout=payout), "Staff")


def by_no_answer(alice: Cast, payout: Payout) -> None:
    row = PayoutVeto.objects.select_related("payout__merchant").get(payout=payout)
    row.created_at -= veto.PATIENCE
    veto._wait(row, "Nobody there.")


WAYS = {"hand": by_hand, "archive": by_archive, "veto": by_their_system, "silence": by_no_answer}
BEFORE = {
    "nothing": lambda alice, reward: None,
    "hold": lambda alice, reward: lifecycle.hold(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR),
    "void": lambda alice, reward: lifecycle.void(
        tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR, note="A friend of mine."
    ),
    "ban": lambda alice, reward: bans.ban(participant=reward.participant, actor=ACTOR, reason="coupon site"),
}


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("way", WAYS)
def test_no_reward_stays_in_a_payout_that_was_withdrawn(
    alice: Cast, asha: Participant, method: Method, company: Company, way: str, before: str
) -> None:
    if way in {"veto", "silence"}:
        endpoint = VetoEndpoint(merchant=alice.merchant, is_test=False, url="https://shop.example/veto", is_on=True)
        endpoint.secrets = {"secret": "x"}
        endpoint.save()
    one, two = earn(asha, "f1"), earn(asha, "f2")
    payout = intend(alice, method, one, two)
    do: Callable[[Cast, Reward], object] = BEFORE[before]
    do(alice, one)
    WAYS[way](alice, payout)
    payout.refresh_from_db()
    assert payout.status == "undone"
    assert not Reward.objects.filter(payout=payout).exists()
    assert not Reward.objects.filter(state__in=["queued", "sending"]).exists()
    # The company, late or mistaken, can't pay it a second time either: what it says is netted by the next payout.
    assert (carrier.sweep(), company.transfers) == (0, [])
    due = list(Reward.objects.filter(state="due").order_by("pk"))
    if due:
        again = intend(alice, method, *due)
        assert (carrier.work(again.pk), [minor for _key, minor in company.transfers]) == (True, [1500 * len(due)])
        settling.learn(payout.pk, Outcome("paid", "tr_late"))
        assert [line for line in ledger() if line[0] == "pay"] == [("pay", -1500 * len(due)), ("pay", -3000)]
