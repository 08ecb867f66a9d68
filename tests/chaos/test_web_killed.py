"""A web process killed in the middle of a POST leaves all of it or nothing, and the same call again ends it (RELIABILITY INV-22)."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from referrals.accounts.keys import create_api_key
from referrals.accounts.models import Scope
from referrals.api import idempotency
from referrals.api.models import IdempotencyRecord
from referrals.events.models import Event
from referrals.lib import clock
from rewards import lifecycle, payouts
from rewards.models import LedgerEntry, Payout, PayoutBatch, PayoutItem, Reward
from rewards.verify import differences
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

# Where the process dies: a function of ours, and whether it dies before or after what it does; "answered" is after the commit.
POINTS: dict[str, tuple[Any, str, bool]] = {
    "before the payouts": (payouts, "add", False),
    "after the payouts": (payouts, "add", True),
    "after the ledger": (payouts, "write_ledger", True),
    "after the rewards": (lifecycle, "move", True),
    "before the commit": (payouts, "complete", True),
    "answered": (idempotency, "", True),
}


def _die_at(point: str) -> None:
    where, name, after = POINTS[point]
    if not name:
        return
    real: Callable[..., Any] = getattr(where, name)

    def deadly(*args: Any, **kwargs: Any) -> Any:
        found = real(*args, **kwargs) if after else None
        os.kill(os.getpid(), signal.SIGKILL)
        return found

    setattr(where, name, deadly)


def _post(key: str, ids: list[str]) -> Any:
    return Client(raise_request_exception=False).post(
        "/api/v2/payouts",
        json.dumps({"rewards": ids, "method": "manual"}),
        content_type="application/json",
        headers={"Authorization": f"Bearer {key}", "Idempotency-Key": "batch-of-november"},
    )


def _counts() -> list[int]:
    models = (PayoutBatch, Payout, PayoutItem, LedgerEntry, Event)
    return [model._default_manager.count() for model in models]


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_post_is_complete_or_absent_and_said_again_it_is_done_once(alice: Cast, point: str) -> None:
    _row, key = create_api_key(tenant=alice.tenant, name="bot", kind="secret", scopes=list(Scope.values), actor=ACTOR)
    asha = make_participant(make_campaign(alice.tenant, [fixed_rule(1500)]))
    rewards = [buy(make_friend(asha, f"f{n}@example.net")).rewards[0] for n in range(3)]
    ids = [reward.public_id for reward in rewards]
    before = _counts()
    connections.close_all()
    pid = os.fork()
    if not pid:
        _die_at(point)
        _post(key, ids)
        os.kill(os.getpid(), signal.SIGKILL)
    _pid, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    if point != "answered":
        assert _counts() == before
        assert set(Reward.objects.values_list("state", flat=True)) == {"due"}
        # Nobody knows yet that the first one is dead; when its lease is over, the next one takes over.
        assert (_post(key, ids).status_code, _counts()) == (409, before)
        IdempotencyRecord.objects.update(leased_until=clock.wall())
    answer = _post(key, ids)
    assert answer.status_code == 201, answer.content
    assert answer.headers.get("Idempotency-Replayed") == ("true" if point == "answered" else None)
    assert [PayoutBatch.objects.count(), Payout.objects.count(), PayoutItem.objects.count()] == [1, 1, 3]
    assert list(LedgerEntry.objects.filter(kind="pay").values_list("amount_minor", flat=True)) == [-4500]
    assert set(Reward.objects.values_list("state", flat=True)) == {"issued"}
    assert list(differences()) == []
