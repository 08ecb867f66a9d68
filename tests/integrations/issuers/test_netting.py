"""A reversal nets, wholly or in part, and what a company gives is over what is left; the payout says so (issue 6, part 6)."""

from __future__ import annotations

import pytest

from integrations import catalogue, trying
from integrations import payouts as carrier
from integrations.methods import find, issue, preview
from integrations.sandbox.base import money_of
from integrations.sandbox.state import Rows
from integrations.services import connect
from referrals.accounts.tenancy import Tenant
from rewards import lifecycle, payouts
from rewards.balances import balances_of
from rewards.models import LedgerEntry, Payout, Reward
from rewards.verify import differences
from tests.factories import ACTOR, Cast, buy, make_campaign, make_friend, make_participant, percent_rule
from tests.integrations.issuers.story import Story

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("slug", "method"), [("stripe", "stripe_coupon"), ("shopify", "shopify_discount")])
def test_what_was_taken_back_is_netted_and_the_next_code_is_over_the_rest(alice: Cast, slug: str, method: str) -> None:
    side = Tenant(alice.merchant, is_test=True)
    story = Story.begin(side, slug, method, 1500, kind="coupon")

    def earn(number: int) -> Reward:
        return buy(make_friend(story.asha, f"friend{number}@example.net")).rewards[0]

    def give(*rewards: Reward) -> tuple[int, int, str]:
        keys = [reward.pk for reward in rewards]
        option = find(side, f"{method}:{story.connection.public_id}")
        batch, _made = issue(option, tenant=side, reward_ids=keys, actor=ACTOR, key=f"request-{keys}")
        story.payout = batch.payouts.get()
        if story.payout.status == "queued":
            story.work()
        return story.now().amount_minor, story.now().netted_minor, story.now().status

    def take_back(*rewards: Reward) -> None:
        keys = [reward.pk for reward in rewards]
        lifecycle.reverse(tenant=side, reward_ids=keys, actor=ACTOR, note="The order was cancelled.")

    one, two = story.reward, earn(1)
    assert give(one, two) == (3000, 0, "paid")
    take_back(one)
    # In part: two more are owed, one of them is set off.
    three, four = earn(2), earn(3)
    assert give(three, four) == (1500, -1500, "paid")
    # Wholly: nothing is sent, and what is left of the debt waits for the next one.
    take_back(three, four)
    assert give(earn(4)) == (0, -1500, "paid")
    assert give(earn(5), earn(6)) == (1500, -1500, "paid")
    assert [minor for _to, minor, _back in story.money()] == [3000, 1500, 1500]
    assert balances_of([story.asha.pk])[story.asha.pk].referrer.left == 0
    assert Payout.objects.filter(netted_minor__lt=0).count() == 3
    assert list(differences()) == []


@pytest.mark.parametrize(
    ("owed", "debt", "cards"),
    [
        ([1000, 1000], 0, [1000, 1000]),  # there is no card of $20
        ([2500, 2500], 0, [5000]),  # there is one of $50
        ([1000, 2500], 1000, [2500]),  # the debt is as much as one of them
        ([2500, 2500], 2500, [2500]),
        ([1000, 2500, 2500], 1000, [5000]),
        ([1000, 1000, 2500], 1000, [1000, 2500]),  # the smallest settles it: there is no card of $35
        ([1000, 1000], 500, []),  # neither $15 nor $5
        ([1000, 1000, 700], 0, [1000, 1000]),  # what is no card stays, the others leave
    ],
)
def test_rewards_that_are_no_card_together_are_a_card_each_and_debts_are_netted(
    alice: Cast, owed: list[int], debt: int, cards: list[int]
) -> None:
    side = Tenant(alice.merchant, is_test=True)
    row = trying.make_up_secrets(connection=connect(tenant=side, actor=ACTOR, provider="giftcards"), actor=ACTOR)
    catalogue.refresh(row)
    catalogue.fetch(row.pk)
    asha = make_participant(make_campaign(side, [percent_rule("10", kind="gift_card")]))
    friend = make_friend(asha)
    if debt:
        before = buy(friend, debt * 10).rewards[0]
        payouts.issue_by_hand(tenant=side, reward_ids=[before.pk], actor=ACTOR, key="by-hand-1")
        lifecycle.reverse(tenant=side, reward_ids=[before.pk], actor=ACTOR, note="The order was cancelled.")
    keys = [buy(friend, minor * 10).rewards[0].pk for minor in owed]
    option, chosen = find(side, f"giftcards:{row.public_id}"), {"product": "HALDEN"}
    seen = preview(option, side, keys, chosen)
    assert {why.rpartition(", ")[2][:11] for _reward, why in seen.refused} <= {"and not as "}
    if cards:
        payable = [reward.pk for reward in seen.payable]
        assert bool(seen.apart) is (len(cards) > 1)
        batch, _made = issue(option, tenant=side, reward_ids=payable, actor=ACTOR, key="request-1", chosen=chosen)
        carrier.sweep()
        sent = batch.payouts.filter(amount_minor__gt=0).order_by("amount_minor")
        assert list(sent.values_list("amount_minor", "status")) == [(minor, "paid") for minor in cards]
        assert set(Reward.objects.filter(pk__in=payable).values_list("state", flat=True)) == {"issued"}
    assert sorted(paid.money.minor for paid in money_of(Rows(row))) == cards
    # All that was earned, less what was taken back and what has left, is what still waits.
    waits = Reward.objects.filter(state="due").values_list("amount_minor", flat=True)
    assert sum(LedgerEntry.objects.values_list("amount_minor", flat=True)) == sum(waits) - (0 if cards else debt)
    assert list(differences()) == []
