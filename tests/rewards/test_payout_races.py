"""A payout leaves and, in the same instant, something happens to its person, its reward, its connection or its whole side: the company pays
at most once, and the books say what it paid (RELIABILITY INV-05, INV-14, INV-15; PostgreSQL)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from django.db.models.functions import Now

from integrations import payouts as carrier
from integrations.models import Connection
from integrations.services import disconnect
from referrals.accounts.tenancy import Tenant
from rewards import bans, funding, lifecycle, payout_guards, refunds, wiping
from rewards.models import LedgerEntry, Payout, Reward
from rewards.personal import erase
from rewards.queueing import Method, queue, withdraw
from rewards.verify import differences
from tests.chaos.company import Company
from tests.factories import ACTOR, Cast, fixed_rule, make_campaign, make_participant
from tests.rewards.paying import FIRST, earn, intend, with_issuer
from tests.rewards.test_races import at_once

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]
ROUNDS = 3
Act = Callable[[Cast, Reward, Payout], Any]
ACTS: dict[str, Act] = {
    "erase": lambda cast, reward, payout: erase(participant=reward.participant, actor=ACTOR),
    "ban": lambda cast, reward, payout: bans.ban(participant=reward.participant, actor=ACTOR, reason="coupon site"),
    "hold": lambda cast, reward, payout: lifecycle.hold(tenant=cast.tenant, reward_ids=[reward.pk], actor=ACTOR),
    "withdraw": lambda cast, reward, payout: withdraw(payouts=[payout.pk], tenant=cast.tenant, actor=ACTOR),
    "stop": lambda cast, reward, payout: payout_guards.stop(
        tenant=cast.tenant, actor=ACTOR, note="Something is wrong."
    ),
    "refund": lambda cast, reward, payout: refunds.refund(
        tenant=cast.tenant, actor=ACTOR, source="manual", external_id=f"re-{reward.pk}", event=reward.event
    ),
    "disconnect": lambda cast, reward, payout: disconnect(
        connection=Connection.objects.get(public_id=payout.account), actor=ACTOR
    ),
}


def connected(tenant: Tenant) -> Method:
    row = Connection(merchant=tenant.merchant, is_test=tenant.is_test, provider=FIRST)
    row.secrets = {}
    row.save()
    return Method(FIRST, frozenset({"cash"}), account=row.public_id)


@pytest.mark.parametrize("act", ACTS)
def test_at_most_one_payment_and_books_that_say_so(alice: Cast, monkeypatch: pytest.MonkeyPatch, act: str) -> None:
    company = Company("original")
    faults = ["", "hang_after", "error", "hang", ""]
    with_issuer(monkeypatch, company, faults)
    campaign = make_campaign(alice.tenant, [fixed_rule(1500, kind="cash")])
    for number in range(ROUNDS):
        reward = earn(make_participant(campaign, f"r{number}@example.com"), f"f{number}")
        payout = intend(alice, connected(alice.tenant), reward)
        at_once(partial(carrier.work, payout.pk), partial(ACTS[act], alice, reward, payout))
        payout_guards.go_on(tenant=alice.tenant, actor=ACTOR)
        for _ in range(3):
            Payout.objects.filter(pk=payout.pk, next_attempt_at__isnull=False).update(next_attempt_at=Now())
            carrier.work(payout.pk)
        payout.refresh_from_db()
        reward.refresh_from_db()
        paid = [minor for key, minor in company.transfers if key == payout.key]
        lines = list(LedgerEntry.objects.filter(payout=payout, kind="pay").values_list("amount_minor", flat=True))
        if payout.status not in {"unknown", "needs_attention"}:  # nobody can tell any more: the connection is gone
            assert (paid, lines) in [([], []), ([1500], [-1500])]
            assert (reward.state in {"issued", "reversed"}) is bool(paid)
            assert (reward.payout_id == payout.pk) is bool(paid)
        assert len(paid) <= 1
        assert payout.status != "sending"
    assert list(differences()) == []


def test_a_test_side_that_is_wiped_while_payouts_leave_is_empty_and_quiet(
    alice: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    side = Tenant(alice.merchant, is_test=True)
    tester = Cast(alice.user, alice.merchant, side, alice.client)
    company = Company("original")
    with_issuer(monkeypatch, company, ["hang_after", "", "error"])
    asha = make_participant(make_campaign(side, [fixed_rule(1500, kind="cash")]))
    method = connected(side)
    payouts = [intend(tester, method, earn(asha, f"f{number}")) for number in range(6)]
    wipe = wiping.ask(tenant=side, actor=ACTOR)
    at_once(*[partial(carrier.work, payout.pk) for payout in payouts], partial(wiping.go_on, wipe, 20.0))
    assert wiping.go_on(wipe, 20.0)
    assert (Payout.objects.count(), Reward.objects.count(), LedgerEntry.objects.count()) == (0, 0, 0)
    assert (carrier.sweep(), carrier.ask()) == (0, 0)
    assert list(differences()) == []


@pytest.mark.parametrize("word", ["approve", "fund", "fund_several"])
def test_somebody_s_word_and_a_withdrawal_never_wait_for_each_other_in_a_ring(
    alice: Cast, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    """Both lock payouts and their batch: in one order, else PostgreSQL ends one of them with an error page."""
    company = Company("original")
    with_issuer(monkeypatch, company)
    approving = word == "approve"
    if approving:
        above = {"second_person_above_minor": 0}
        payout_guards.set_limits(tenant=alice.tenant, actor=ACTOR, currency="USD", limits=above)
    campaign, tenant = make_campaign(alice.tenant, [fixed_rule(1500, kind="cash")]), alice.tenant
    other = replace(ACTOR, ref="2")
    method = replace(connected(tenant), waits_for_funds=not approving)
    for number in range(4):
        people = [make_participant(campaign, f"r{number}{n}@example.com") for n in range(8)]
        due = [earn(one, f"f{one.pk}").pk for one in people]
        batch, _made = queue(tenant=tenant, reward_ids=due, method=method, actor=ACTOR, key=f"request-{number}")
        said: dict[str, Callable[[], Any]] = {
            "approve": partial(payout_guards.approve_batch, batch=batch, actor=other),
            "fund": partial(payout_guards.fund_batch, batch=batch, actor=other),
            "fund_several": partial(funding.fund, tenant=tenant, public_ids=[batch.public_id], actor=other),
        }
        keys = list(batch.payouts.values_list("pk", flat=True))
        at_once(said[word], partial(withdraw, payouts=keys, tenant=tenant, actor=ACTOR))
        carrier.sweep()
    left = Payout.objects.exclude(status__in=["undone", "paid"])
    assert (left.count(), Payout.objects.filter(status="paid").count()) == (0, len(company.transfers))
    assert list(differences()) == []
