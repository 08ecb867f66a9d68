"""A reversal nets, wholly or in part, and what a company gives is over what is left; the payout says so (issue 6, part 6)."""

from __future__ import annotations

import pytest

from integrations.methods import find, issue
from referrals.accounts.tenancy import Tenant
from rewards import lifecycle
from rewards.balances import balances_of
from rewards.models import Payout, Reward
from rewards.verify import differences
from tests.factories import ACTOR, Cast, buy, make_friend
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
