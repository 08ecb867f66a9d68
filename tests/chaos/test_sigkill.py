"""Real workers, killed with SIGKILL at every point of a payout, with clocks ten minutes off and a company that fails: each reward is
paid once, and the books agree with the company's (RELIABILITY INV-05, INV-06, INV-14, INV-15, INV-19).

A seed is a story that can be played again: `CHAOS_SEEDS=7 make chaos` plays the first seven, `CHAOS_FROM=41 CHAOS_SEEDS=1` only that one.
"""

from __future__ import annotations

import os
import random
import signal
import traceback
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.db.models import Sum
from django.db.models.functions import Now
from django.utils import timezone

from integrations import payouts as carrier
from integrations import registry
from integrations import shipping as shipments
from integrations.base import Way
from integrations.models import Connection
from referrals.lib.errors import Refused
from rewards import bans, lifecycle, refunds, sending, settling, shipping
from rewards.models import LedgerEntry, Payout, PayoutShipment, Reward
from rewards.queueing import Method, queue
from rewards.verify import differences
from tests.chaos.company import MODELS, Company, Issuer, Shipper
from tests.chaos.wire import call, served
from tests.factories import ACTOR, Cast, buy, fixed_rule, make_campaign, make_friend, make_participant

FIRST = int(os.environ.get("CHAOS_FROM", "0"))
SEEDS = int(os.environ.get("CHAOS_SEEDS", "20"))
WORKERS, ROUNDS, QUIET_AFTER = 3, 40, 14
POINTS = (
    "claiming", "claimed", "asked", "call is out", "answered", "settling", "settled",
)  # fmt: skip
pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


class Mortal:
    """A worker process that dies at a point when its dice say so."""

    def __init__(self, seed: str, path: Path, deadly: float) -> None:
        self.rng = random.Random(seed)
        self.deadly = deadly
        self.path = path

    def at(self, point: str) -> None:
        """A named point; perhaps the last one."""
        if self.rng.random() < self.deadly / len(POINTS):
            os.kill(os.getpid(), signal.SIGKILL)

    def live(self, keys: list[int], life: timedelta | None) -> None:
        """Work on every payout that is due, as sweep() does, until there is none or death."""
        ahead = timedelta(minutes=self.rng.choice([-10, 0, 10]))
        real = timezone.now
        vars(timezone)["now"] = lambda: real() + ahead
        wire = call(self.path, lambda: self.at("call is out"))
        issuer = Shipper(wire, life) if shipments.together("stripe") > 1 else Issuer(wire, life)
        vars(registry)["issuer"] = lambda slug: issuer
        self._between(sending, "claim", "claiming", "claimed", inside="leave")
        self._between(shipping, "pack", "", "claimed")
        self._between(shipping, "claim", "", "claimed", inside="_begin")
        self._between(issuer, "check", "", "asked")
        self._between(issuer, "send", "", "answered")
        if isinstance(issuer, Shipper):
            self._between(issuer, "check_many", "", "asked")
            self._between(issuer, "send_many", "", "answered")
        self._between(settling, "settle", "", "settled", inside="become")
        self.rng.shuffle(keys)
        for key in keys:
            carrier.work(key)
        for key in list(PayoutShipment.objects.order_by("pk").values_list("pk", flat=True)):
            shipments.again(key)

    def _between(self, where: Any, name: str, before: str, after: str, inside: str = "") -> None:
        real: Callable[..., Any] = getattr(where, name)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            found = real(*args, **kwargs)
            self.at(after)
            return found

        setattr(where, name, wrapped)
        if inside:
            within: Callable[..., Any] = getattr(where, inside)

            def halfway(*args: Any, **kwargs: Any) -> Any:
                found = within(*args, **kwargs)
                self.at(before or "settling")  # written, and not committed
                return found

            setattr(where, inside, halfway)


def _fork(mortal: Mortal, keys: list[int], life: timedelta | None) -> int:
    """A process of its own with connections of its own. It ends without a word to pytest, whatever happens."""
    pid = os.fork()
    if pid:
        return pid
    status = 3
    try:
        mortal.live(list(keys), life)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _round(seed: str, path: Path, deadly: float, life: timedelta | None) -> Counter[str]:
    """Some workers at once, until all have ended; then every lease is over."""
    due = Payout.objects.filter(status__in=settling.CLAIMABLE, next_attempt_at__isnull=False)
    keys = list(due.order_by("pk").values_list("pk", flat=True))
    connections.close_all()  # a child must not share the parent's
    pids = [_fork(Mortal(f"{seed}:{number}", path, deadly), keys, life) for number in range(WORKERS)]
    ended: Counter[str] = Counter()
    for pid in pids:
        _pid, status = os.waitpid(pid, 0)
        if os.WIFSIGNALED(status):
            ended["killed"] += 1
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    due.update(next_attempt_at=Now())
    PayoutShipment.objects.filter(next_attempt_at__isnull=False).update(next_attempt_at=Now())
    return ended


def _meddle(rng: random.Random, cast: Cast, rewards: list[Reward]) -> None:
    """What people do meanwhile: a refund, a hold, a ban."""
    reward = rng.choice(rewards)
    reward.refresh_from_db()
    try:
        match rng.choice(["refund", "hold", "ban", "nothing", "nothing"]):
            case "refund":
                name = f"refund-{reward.pk}"
                refunds.refund(tenant=cast.tenant, actor=ACTOR, source="manual", external_id=name, event=reward.event)
            case "hold":
                lifecycle.hold(tenant=cast.tenant, reward_ids=[reward.pk], actor=ACTOR)
            case "ban":
                bans.ban(participant=reward.participant, actor=ACTOR, reason="Suspicious.")
    except Refused:
        pass  # too late for that


@pytest.mark.parametrize("model", MODELS)
def test_killed_workers_pay_every_reward_once(
    alice: Cast, tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if model == "batch":
        way = Way("stripe", "Stripe", "", frozenset({"cash"}), issuer="", together=5)
        monkeypatch.setattr(registry, "ways", lambda: {"stripe": (registry.get("stripe"), way)})
    seeds = [seed for seed in range(FIRST, FIRST + SEEDS) if MODELS[seed % len(MODELS)] == model]
    kills = sum(_play(alice, tmp_path / str(seed), model, seed) for seed in seeds)
    assert kills > len(seeds) or len(seeds) < 5  # else nothing was tested


def _play(alice: Cast, path: Path, model: str, seed: int) -> int:
    """One story from its seed to its judgement; how many workers were killed in it."""
    rng, company = random.Random(seed), Company(model)
    life = {"life": timedelta(hours=24), "batch": timedelta(days=30)}.get(model)
    rewards = _rewards(alice, rng, f"s{seed}", at_once=model == "batch")
    quiet = [False]
    kills = 0
    with served(company, path, random.Random(f"{seed}:company"), lambda: 0.0 if quiet[0] else 0.6):
        for number in range(ROUNDS):
            quiet[0] = number >= QUIET_AFTER
            kills += _round(f"{seed}:{number}", path, 0.0 if quiet[0] else 0.5, life)["killed"]
            if not Payout.objects.filter(status__in=Payout.OPEN).exists():
                break
            if number < QUIET_AFTER:
                _meddle(rng, alice, rewards)
    _judge(company, rewards, f"seed {seed}, model {model}, {kills} killed")
    return kills


def _rewards(alice: Cast, rng: random.Random, name: str, *, at_once: bool) -> list[Reward]:
    """Three rewards of each of several people, in payouts of one to three: each in a batch of its own, or many in one."""
    row = Connection(merchant=alice.merchant, is_test=False, provider="stripe")
    row.secrets = {}
    row.save()
    method = Method("stripe", frozenset({"cash"}), account=row.public_id)
    campaign = make_campaign(alice.tenant, [fixed_rule(1500, kind="cash")])
    rewards: list[Reward] = []
    batches: list[list[Reward]] = [[], []]
    for person in range(5 if at_once else 4):
        referrer = make_participant(campaign, f"{name}-r{person}@example.com")
        mine = [buy(make_friend(referrer, f"{name}-f{person}{n}@example.net")).rewards[0] for n in range(3)]
        cut = rng.randint(0, 3)
        parts = [mine[:cut], mine[cut:]]
        batches = [a + b for a, b in zip(batches, parts, strict=True)] if at_once else [*batches, *parts]
        rewards += mine
    for number, some in enumerate(batches):
        if some:
            keys = [reward.pk for reward in some]
            queue(tenant=alice.tenant, reward_ids=keys, method=method, actor=ACTOR, key=f"batch-{name}-{number}")
    return rewards


def _judge(company: Company, rewards: list[Reward], story: str) -> None:
    """Money is counted where it was paid, and compared with what we believe."""
    assert not Payout.objects.filter(status__in=Payout.OPEN).exists(), f"not all of it ended: {story}"
    times = Counter(key for key, _minor in company.transfers)
    assert [key for key, count in times.items() if count > 1] == [], story
    ours = Payout.objects.filter(items__reward__in=rewards).distinct()
    assert dict(company.transfers) == {row.key: row.amount_minor for row in ours if row.status == "paid"}, story
    lines = LedgerEntry.objects.filter(payout__in=ours)
    assert -(lines.aggregate(total=Sum("amount_minor"))["total"] or 0) == sum(dict(company.transfers).values()), story
    for reward in rewards:
        reward.refresh_from_db()
        assert reward.state in {"issued", "reversed", "held", "void", "due"}, (story, reward.state)
    assert list(differences()) == [], story
