"""Many at once, on PostgreSQL: one event one reward, one click one batch (RELIABILITY INV-03, INV-05, INV-15)."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import psycopg
import pytest
from django.db import connection

from participants.models import Referral
from referrals.events.models import Event
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from rewards import bans, lifecycle, payouts, refunds, services
from rewards.models import LedgerEntry, Payout, Reward
from rewards.verify import differences
from tests.factories import ACTOR, Cast, buy, make_campaign, make_friend, make_participant, make_reward, percent_rule

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]
THREADS = 40


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """Run everything from one starting shot; a Refused is an answer like any other."""
    gate = threading.Barrier(len(acts))

    def run(act: Callable[[], Any]) -> Any:
        gate.wait(timeout=30)
        try:
            return act()
        except Refused as refused:
            return refused.code
        finally:
            connection.close()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def test_forty_threads_one_event_one_reward(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant)
    friend = make_friend(make_participant(campaign))

    def qualify() -> services.Qualified:
        return services.qualify(
            participant=friend, actor=ACTOR, source="api", amount=Money(5000, "USD"), external_id="order-1"
        )

    done = at_once(*[qualify] * THREADS)
    assert Counter(item.created for item in done) == {True: 1, False: THREADS - 1}
    assert len({item.event.pk for item in done}) == 1
    reward = Reward.objects.get()
    assert LedgerEntry.objects.count() == 1
    assert Event.objects.filter(type="reward.created", subject_id=reward.public_id).count() == 1
    assert {item.rewards[0].pk for item in done if item.rewards} == {reward.pk}
    assert list(differences()) == []


def test_forty_first_purchases_at_once_earn_one_first_purchase_reward(alice: Cast) -> None:
    friend = make_friend(make_participant(make_campaign(alice.tenant)))

    def qualify(number: int) -> Callable[[], Any]:
        return lambda: services.qualify(
            participant=friend, actor=ACTOR, source="api", amount=Money(5000, "USD"), external_id=f"order-{number}"
        )

    at_once(*[qualify(n) for n in range(THREADS)])
    standing = Reward.objects.exclude(state="void")
    assert standing.count() == 1
    assert sum(LedgerEntry.objects.values_list("amount_minor", flat=True)) == 1500
    assert list(differences()) == []


def test_forty_joins_of_one_person_make_one_participant_with_one_referrer(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant)
    asha = make_participant(campaign)
    done = at_once(
        *[
            lambda: services.join(
                campaign=campaign,
                email="maya@example.net",
                actor=ACTOR,
                source="api",
                referred_by_code=asha.referral_code,
            )
        ]
        * THREADS
    )
    assert Counter(item.created for item in done) == {True: 1, False: THREADS - 1}
    assert {item.participant.pk for item in done} == {item.participant.pk for item in done[:1]}
    assert asha.referrals_made.count() == 1


def test_a_button_pressed_forty_times_pays_once(alice: Cast) -> None:
    reward = make_reward(make_campaign(alice.tenant))
    same = at_once(
        *[
            lambda: (
                payouts.issue_by_hand(tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR, key="one-click")[0].pk
            )
        ]
        * 20
    )
    assert len(set(same)) == 1
    other = at_once(
        *[
            partial(
                payouts.issue_by_hand, tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR, key=f"click-{n:04d}"
            )
            for n in range(20)
        ]
    )
    assert Counter(other) == {"invalid_state": 20}
    assert Payout.objects.count() == 1
    assert list(differences()) == []


def test_hold_and_issue_at_the_same_moment_never_both(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant)
    for n in range(15):
        reward = make_reward(campaign, f"r{n}@example.com", f"f{n}@example.com")
        answers = at_once(
            partial(lifecycle.hold, tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR),
            partial(
                payouts.issue_by_hand, tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR, key=f"race-{n:04d}"
            ),
        )
        reward.refresh_from_db()
        first, second = answers[0], answers[1] if isinstance(answers[1], str) else answers[1][1]
        assert (reward.state, first, second) in [("held", 1, "invalid_state"), ("issued", "invalid_state", True)]
    assert list(differences()) == []


def test_refund_and_issue_at_the_same_moment_leave_the_right_balance(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, [percent_rule("10")])
    for n in range(15):
        reward = make_reward(campaign, f"r{n}@example.com", f"f{n}@example.com")
        at_once(
            partial(
                refunds.refund,
                tenant=alice.tenant,
                actor=ACTOR,
                source="api",
                external_id=f"re-{n}",
                event=reward.event,
            ),
            partial(
                payouts.issue_by_hand, tenant=alice.tenant, reward_ids=[reward.pk], actor=ACTOR, key=f"race-{n:04d}"
            ),
        )
        reward.refresh_from_db()
        assert reward.state in {"void", "reversed"}
        net = sum(LedgerEntry.objects.filter(reward=reward).values_list("amount_minor", flat=True))
        assert net == 0
    assert list(differences()) == []


def test_two_releases_at_once_release_each_reward_once(alice: Cast) -> None:
    campaign = make_campaign(alice.tenant, [percent_rule("10", review_days=9)])
    for n in range(10):
        make_reward(campaign, f"r{n}@example.com", f"f{n}@example.com")
    Reward.objects.update(review_ends_at=campaign.launched_at)
    moved = at_once(*[lifecycle.release_due] * 4)
    assert sum(moved) == 10
    assert Event.objects.filter(type="reward.due").count() == 10
    assert list(differences()) == []


def test_a_ban_and_what_is_written_for_the_banned_never_wait_for_each_other_in_a_ring(alice: Cast) -> None:
    """Issuing, a friend's purchase and lifting a ban lock rewards and refer to the person; a ban locks the person, then rewards."""
    campaign = make_campaign(alice.tenant, [percent_rule("10")])
    for n in range(12):
        asha = make_participant(campaign, f"r{n}@example.com")
        friends = [make_friend(asha, f"f{n}-{m}@example.net") for m in range(3)]
        rewards = [buy(friend, 5000).rewards[0] for friend in friends]
        issue = partial(
            payouts.issue_by_hand,
            tenant=alice.tenant,
            reward_ids=[reward.pk for reward in rewards],
            actor=ACTOR,
            key=f"ring-{n:04d}",
        )
        at_once(
            partial(bans.ban, participant=asha, actor=ACTOR, reason="coupon site"),
            issue,
            *[partial(buy, friend, 3000) for friend in friends],
        )
        at_once(
            partial(bans.unban, participant=asha, actor=ACTOR),
            *[partial(buy, friend, 2000) for friend in friends],
        )
        states = set(Reward.objects.filter(participant=asha).values_list("state", flat=True))
        assert states <= {"due", "issued"}
    assert list(differences()) == []


def test_of_two_joins_at_once_the_one_with_a_code_is_not_lost(alice: Cast) -> None:
    asha = make_participant(make_campaign(alice.tenant))
    for n in range(12):
        join = partial(
            services.join, campaign=asha.campaign, email=f"maya{n}@example.net", actor=ACTOR, source="api"
        )  # fmt: skip
        at_once(join, join, partial(join, referred_by_code=asha.referral_code))
    assert Referral.objects.filter(referrer=asha).count() == 12


def test_undoing_a_batch_and_issuing_for_the_same_person_net_nothing_twice(alice: Cast) -> None:
    """Issuing reads what is carried over in several steps: an undoing between two of them would look like a debt."""
    campaign = make_campaign(alice.tenant)
    asha = make_participant(campaign)
    first, second = (buy(make_friend(asha, f"f{n}@example.net")).rewards[0] for n in range(2))
    issue = partial(payouts.issue_by_hand, tenant=alice.tenant, actor=ACTOR)
    batch, _made = issue(reward_ids=[first.pk], key="the-first-one")
    undoing = threading.Thread(target=at_once, args=[partial(payouts.undo, batch=batch, actor=ACTOR)])

    def pause(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        found = execute(sql, params, many, context)
        if "rewards_ledgerentry" in sql and "SUM(" in sql and undoing.ident is None:
            undoing.start()
            while undoing.is_alive() and not _somebody_waits_for_a_lock():
                undoing.join(0.01)
        return found

    with connection.execute_wrapper(pause):
        netted, _made = issue(reward_ids=[second.pk], key="the-second-one")
    undoing.join()
    assert list(netted.payouts.values_list("amount_minor", "netted_minor")) == [(1500, 0)]
    batch.refresh_from_db()
    first.refresh_from_db()
    assert (batch.undone_at is not None, first.state, first.payout) == (True, "due", None)
    # What is owed now is the reward that was taken out again, and all of it is paid when it is issued once more.
    again, _made = issue(reward_ids=[first.pk], key="the-third-one")
    assert list(again.payouts.values_list("amount_minor", "netted_minor")) == [(1500, 0)]
    assert sum(LedgerEntry.objects.values_list("amount_minor", flat=True)) == 0
    assert list(differences()) == []


def _somebody_waits_for_a_lock() -> bool:
    with psycopg.connect(**connection.get_connection_params(), autocommit=True) as line:
        asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        return bool(line.execute(asked).fetchone()[0])  # type: ignore[index]  # a count has a row
