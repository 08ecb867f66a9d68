"""What is taken back: partial, full, disputed, early, twice and in any order, before and after the reward left."""

from __future__ import annotations

import itertools
import random
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaigns.models import Campaign
from participants.models import Refund
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from rewards import payouts, refunds, services
from rewards.balances import balances_of
from rewards.models import Decision, LedgerEntry, Reward
from rewards.verify import differences
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant, percent_rule

pytestmark = pytest.mark.django_db
numbers = itertools.count(1)


def test_a_share_shrinks_with_each_partial_refund_to_the_cent(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, [percent_rule("10")])
    friend = make_friend(make_participant(campaign))
    event = buy(friend, 9999).event
    reward = Reward.objects.get()
    assert reward.amount_minor == 1000
    for number, (minor, left) in enumerate([(3333, 667), (3333, 333), (3333, 0)]):
        refunds.refund(
            tenant=alice.tenant,
            actor=ACTOR,
            source="manual",
            external_id=f"re-{number}",
            event=event,
            amount=Money(minor, "USD"),
        )
        reward.refresh_from_db()
        assert (reward.amount_minor if reward.state == "due" else 0) == left
    assert (reward.state, reward.reason) == ("void", "refunded")
    assert [e.amount_minor for e in LedgerEntry.objects.order_by("pk")] == [1000, -333, -334, -333]
    assert Decision.objects.count() == 4
    assert Decision.objects.filter(current=True).count() == 1
    assert list(differences()) == []


def test_a_fixed_reward_falls_when_the_rest_is_below_the_minimum(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, [fixed_rule(minimum_purchase=Money(3000, "USD"))])
    event = buy(make_friend(make_participant(campaign)), 5000).event

    def take(number: int, minor: int) -> Reward:
        refunds.refund(
            tenant=alice.tenant,
            actor=ACTOR,
            source="manual",
            external_id=f"re-{number}",
            event=event,
            amount=Money(minor, "USD"),
        )
        return Reward.objects.get()

    assert take(1, 2000).state == "due"
    fallen = take(2, 1)
    assert (fallen.state, fallen.reason) == ("void", "below_minimum_purchase")


@pytest.mark.parametrize(
    ("minor", "currency", "code"),
    [(5001, "USD", "refund_too_large"), (0, "USD", "amount_not_positive"), (100, "EUR", "currency")],
)
def test_a_refund_that_can_not_be_is_refused_and_nothing_changes(
    alice: Cast, campaign: Campaign, minor: int, currency: str, code: str
) -> None:
    event = buy(make_friend(make_participant(campaign)), 5000).event
    with pytest.raises(Refused) as refused:
        refunds.refund(
            tenant=alice.tenant,
            actor=ACTOR,
            source="manual",
            external_id="re-1",
            event=event,
            amount=Money(minor, currency),
        )
    assert refused.value.code == code
    assert (Refund.objects.count(), Reward.objects.get().state, LedgerEntry.objects.count()) == (0, "due", 1)


def test_the_same_refund_twice_counts_once(alice: Cast, campaign: Campaign) -> None:
    event = buy(make_friend(make_participant(campaign)), 5000).event
    asked = {"tenant": alice.tenant, "actor": ACTOR, "source": "manual", "external_id": "re-1", "event": event}
    made = [refunds.refund(**asked, amount=Money(3000, "USD")).created for _ in range(3)]  # type: ignore[arg-type]
    event.refresh_from_db()
    assert (made, event.refunded_minor) == ([True, False, False], 3000)


def test_reversing_an_issued_reward_leaves_what_the_next_payout_nets(alice: Cast, campaign: Campaign) -> None:
    event = buy(make_friend(make_participant(campaign)), 5000).event
    reward = Reward.objects.get()
    batch, _made = payouts.issue_by_hand(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR, key="click-12345")
    refunds.refund(tenant=alice.tenant, actor=ACTOR, source="manual", external_id="re-1", event=event)
    balance = balances_of([reward.participant_id])[reward.participant_id].referrer
    assert (balance.earned, balance.redeemed, balance.left) == (0, 1500, -1500)
    payouts.undo(batch=batch, actor=ACTOR, note="it never arrived")
    reward.refresh_from_db()
    assert (reward.state, reward.reason) == ("void", "refunded")
    assert balances_of([reward.participant_id])[reward.participant_id].referrer.left == 0
    assert list(differences()) == []


# --- Any order, any repetition ---

FACTS = ("paid", "paid_again", "part", "full", "dispute", "dispute_won", "second_paid")


def _tell(cast: Cast, campaign: Campaign, order: list[str]) -> tuple[object, ...]:
    """Let the facts of one friend arrive in `order`, and say where that ends."""
    n = next(numbers)
    friend = make_friend(make_participant(campaign, f"r{n}@example.com"), f"f{n}@example.net")
    start = clock.now() - timedelta(days=5)

    def refund(kind: str, name: str, minor: int | None, hours: int) -> None:
        refunds.refund(
            tenant=cast.tenant, actor=ACTOR, source="stripe", external_id=f"{name}-{n}", references=[f"pi-{n}"], kind=kind,
            amount=Money(minor, "USD") if minor else None, occurred_at=start + timedelta(hours=hours),
        )  # fmt: skip

    def pay(name: str, minor: int, hours: int) -> None:
        services.qualify(
            participant=friend, actor=ACTOR, source="stripe", external_id=f"{name}-{n}", references=[f"{name}-{n}"],
            amount=Money(minor, "USD"), occurred_at=start + timedelta(hours=hours),
        )  # fmt: skip

    acts = {
        "paid": lambda: pay("pi", 8000, 0),
        "paid_again": lambda: pay("pi", 8000, 0),
        "second_paid": lambda: pay("pj", 4000, 6),
        "part": lambda: refund("refund", "part", 2000, 1),
        "full": lambda: refund("refund", "full", None, 4),
        "dispute": lambda: refund("dispute", "dispute", None, 2),
        "dispute_won": lambda: refund("dispute_won", "won", None, 3),
    }
    for fact in order:
        acts[fact]()
    rewards = Reward.objects.filter(event__participant=friend).order_by("event__occurred_at", "rule_key")
    ledger = sum(LedgerEntry.objects.filter(reward__in=rewards).values_list("amount_minor", flat=True))
    # A reward that fell without ever standing leaves no row; void and absent are the same to everybody.
    standing = [(r.event.external_id.split("-")[0], r.amount_minor, r.state) for r in rewards if r.state != "void"]
    return standing, ledger, list(differences())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    chosen=st.sets(st.sampled_from(FACTS)),
    repeats=st.lists(st.sampled_from(FACTS), max_size=3),
    shuffle=st.randoms(use_true_random=False),
)
def test_any_order_and_any_repetition_ends_in_the_same_rewards(
    alice: Cast, chosen: set[str], repeats: list[str], shuffle: random.Random
) -> None:
    """RELIABILITY INV-13."""
    campaign = Campaign.objects.filter(merchant=alice.merchant).first() or make_campaign(
        alice.tenant, [fixed_rule(minimum_purchase=Money(3000, "USD")), percent_rule("10", max_purchases_per_friend=2)]
    )
    facts = sorted(chosen, key=FACTS.index)
    mixed = facts + [name for name in repeats if name in chosen]
    shuffle.shuffle(mixed)
    assert _tell(alice, campaign, mixed) == _tell(alice, campaign, facts)
