"""What tests of payouts through a provider stand on: a person who earns, a connection, and a company behind the registry."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from integrations import payouts as carrier
from integrations import registry
from integrations.models import Connection
from participants.models import Participant
from referrals.events.services import Actor
from rewards.models import LedgerEntry, Payout, Reward
from rewards.queueing import Method, queue
from rewards.verify import differences
from tests.chaos.company import Company, Issuer
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant

FIRST = "stripe"  # any registered provider: the connection's form is not what is tested here


@pytest.fixture
def asha(alice: Cast) -> Participant:
    return make_participant(make_campaign(alice.tenant, [fixed_rule(1500, kind="cash")]))


@pytest.fixture
def method(alice: Cast) -> Method:
    row = Connection(merchant=alice.merchant, is_test=alice.tenant.is_test, provider=FIRST)
    row.secrets = {}
    row.save()
    return Method(FIRST, frozenset({"cash"}), account=row.public_id)


@pytest.fixture
def company(monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    """A company of the model `original`, without faults unless they are asked for."""
    found = Company("original")
    with_issuer(monkeypatch, found)
    yield found
    assert list(differences()) == []


def with_issuer(
    monkeypatch: pytest.MonkeyPatch, company: Company, faults: list[str] | None = None, life: timedelta | None = None
) -> None:
    """Payouts go to this company; the first calls to pay have these faults."""
    left = faults if faults is not None else []

    def call(verb: str, key: str, minor: int) -> tuple[int, dict[str, Any]]:
        return company.find(key) if verb == "find" else company.pay(key, minor, left.pop(0) if left else "")

    issuer = Issuer(call, life)
    monkeypatch.setattr(registry, "issuer", lambda slug: issuer if slug == FIRST else None)


def earn(asha: Participant, name: str = "maya") -> Reward:
    return buy(make_friend(asha, f"{name}@example.net")).rewards[0]


def intend(alice: Cast, method: Method, *rewards: Reward, actor: Actor = ACTOR) -> Payout:
    keys = [reward.pk for reward in rewards]
    batch, made = queue(
        tenant=alice.tenant, reward_ids=keys, method=method, actor=actor, key=f"request-{keys}-{Payout.objects.count()}"
    )
    assert made
    return batch.payouts.get()


def again(payout: Payout) -> bool:
    """The lease is over, or the wait: the next worker takes it."""
    Payout.objects.filter(pk=payout.pk, next_attempt_at__isnull=False).update(
        next_attempt_at=Now() - timedelta(seconds=1)
    )
    return carrier.work(payout.pk)


def state(reward: Reward) -> tuple[str, str]:
    reward.refresh_from_db()
    return reward.state, reward.reason


def ledger() -> list[tuple[str, int]]:
    return list(LedgerEntry.objects.order_by("pk").values_list("kind", "amount_minor"))
