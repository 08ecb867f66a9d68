"""The whole life as a state machine: people join, pay, take back, dispute; the merchant approves, holds, declines, bans, issues, undoes;
time passes. After every step everything adds up; at the end, telling the same facts in another order gives the same decisions.

Run by test_machine.py: briefly with the tests, at length by `make soak`, and once for each known bug (mutants.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Count, Q
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from campaigns.models import Campaign
from campaigns.rules import _rules
from campaigns.terms import Fixed, Limits, RuleTerms, Tier
from participants.models import Participant, QualifyingEvent
from referrals.events.models import Event
from referrals.events.services import Actor
from referrals.lib import clock
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from rewards import bans, lifecycle, payouts, refunds, services
from rewards.deciding import redecide
from rewards.models import Decision, LedgerEntry, Payout, PayoutBatch, Reward, State
from rewards.sharing import TOO_SMALL
from rewards.verify import differences
from tests.factories import Cast, make_campaign, make_cast, make_merchant, percent_rule
from tests.rewards.splits import make_referrers, make_shared_friend

ACTOR = Actor("user", "1", "alice@example.com")
START = datetime.fromisoformat("2026-11-02T09:00:00+00:00")
FALLEN = {State.VOID, State.REVERSED}
PEOPLE = 5
# The last friend is shared between two more referrers, in a campaign that does so.
SHARED = PEOPLE


def usd(minor: int) -> Money:
    return Money(minor, "USD")


def rules() -> list[RuleTerms]:
    """Something of everything that facts alone decide."""
    tiers = (Tier(1, 1, Fixed(usd(500))), Tier(2, None, Fixed(usd(800))))
    return [
        RuleTerms("", "referrer", "first_event", Fixed(usd(1500)), minimum_purchase=usd(3000), review_days=2),
        percent_rule("10", max_purchases_per_friend=2, limits=Limits(per_referrer=usd(1500))),
        RuleTerms("", "referrer", "tier", Fixed(usd(500)), tiers=tiers, max_purchases_per_friend=1),
        RuleTerms("", "referrer", "milestone", Fixed(usd(5000)), nth=2),
        RuleTerms("", "invitee", "nth_event", Fixed(usd(700)), nth=2),
    ]


def shared_rules() -> list[RuleTerms]:
    """What can be shared: odd cents and a share of every purchase. No budget: who uses it up depends on who is decided first."""
    return [
        percent_rule("10", max_purchases_per_friend=3, review_days=2),
        RuleTerms("", "referrer", "first_event", Fixed(usd(1501)), minimum_purchase=usd(3000)),
    ]


@dataclass
class People:
    """Two referrers with a few friends; and in a campaign that shares, two more with one friend, who is the last of `friends`."""

    campaign: Campaign
    referrers: list[Participant]
    sharers: list[Participant]
    friends: list[Participant]


@dataclass
class Stage:
    """Where every life begins: one merchant, and two sets of people alike. The other one hears at the end what the first did."""

    cast: Cast
    people: People
    others: People


def set_stage() -> Stage:
    """Make it, once for all lives of a test."""
    _rules.cache_clear()  # what another test rolled back gave its keys to this one
    cast = make_cast("alice@example.com", make_merchant())
    return Stage(cast, _people(cast), _people(cast))


def _campaign(cast: Cast, terms: list[RuleTerms], **fields: Any) -> Campaign:
    with clock.at(START - timedelta(days=1)):
        campaign = make_campaign(cast.tenant, terms, since_days=0, **fields)
    Campaign.objects.filter(pk=campaign.pk).update(status_since=START - timedelta(days=1))
    campaign.status_changes.update(at=START - timedelta(days=1))
    campaign.refresh_from_db()
    return campaign


class Life(RuleBasedStateMachine):
    """One life on the stage; what it did is undone at its end."""

    stage: Stage

    def __init__(self) -> None:
        super().__init__()
        self.outer = transaction.atomic()
        self.outer.__enter__()
        self.now = START
        self.count = 0
        self.facts: list[Callable[[Campaign, list[Participant]], None]] = []
        self.friends: list[Participant] = []

    def teardown(self) -> None:
        """Nothing stays."""
        transaction.set_rollback(True)
        self.outer.__exit__(None, None, None)

    @initialize()
    def begin(self) -> None:
        own = deepcopy(self.stage)  # its people are changed by what is done to them
        self.cast, self.people, self.others = own.cast, own.people, own.others
        self.friends = own.people.friends

    def _tick(self) -> Any:
        self.now += timedelta(minutes=7)
        return clock.at(self.now)

    # Facts: any of them may come late, and twice.

    @rule(
        who=st.integers(0, SHARED),
        minor=st.sampled_from([0, 2000, 3000, 9999]),
        late=st.integers(0, 300),
        twice=st.booleans(),
    )
    def pay(self, who: int, minor: int, late: int, twice: bool) -> None:
        self.count += 1
        name, at = f"o{self.count}", self.now - timedelta(minutes=late)
        at = max(at, START + timedelta(seconds=self.count))

        def tell(campaign: Campaign, friends: list[Participant]) -> None:
            services.qualify(
                participant=friends[who], actor=ACTOR, source="shop", amount=usd(minor) if minor else None,
                external_id=f"{campaign.pk}-{name}", references=[f"{campaign.pk}-{name}"], occurred_at=at,
            )  # fmt: skip

        self._tell(tell, twice)

    @precondition(lambda self: self.count)
    @rule(
        number=st.integers(0, 50),
        kind=st.sampled_from(["refund", "refund", "part", "dispute", "dispute_won", "cancelled"]),
        twice=st.booleans(),
    )
    def take_back(self, number: int, kind: str, twice: bool) -> None:
        self.count += 1
        name, order = f"r{self.count}", number % self.count + 1
        at = START + timedelta(days=20, seconds=self.count)
        amount = usd(1000) if kind == "part" else None

        def tell(campaign: Campaign, friends: list[Participant]) -> None:
            refunds.refund(
                tenant=campaign.tenant, actor=ACTOR, source="shop", external_id=f"{campaign.pk}-{name}", amount=amount,
                references=[f"{campaign.pk}-o{order}"], kind="refund" if kind == "part" else kind, occurred_at=at,
            )  # fmt: skip

        self._tell(tell, twice, at=START + timedelta(days=21))

    def _tell(self, tell: Callable[..., None], twice: bool, at: datetime | None = None) -> None:
        self.facts.append(tell)
        with clock.at(max(self.now, at) if at else self.now + timedelta(minutes=7)):
            for _ in range(1 + twice):
                tell(self.people.campaign, self.friends)
        self.now += timedelta(minutes=7)

    # What people at the merchant do, in any state: what can't be is refused and changes nothing.

    @rule(
        action=st.sampled_from(["approve", "hold", "release", "void", "reverse", "restore"]), number=st.integers(0, 30)
    )
    def act(self, action: str, number: int) -> None:
        reward = self._pick(number)
        if reward is not None:
            self._try(
                lambda: getattr(lifecycle, action)(
                    tenant=self.cast.tenant, reward_ids=[reward.pk], actor=ACTOR, note="because"
                )
            )

    @rule(number=st.integers(0, 30), more=st.integers(0, 30))
    def issue(self, number: int, more: int) -> None:
        self.count += 1
        chosen = {reward.pk: reward.state for reward in (self._pick(number), self._pick(more)) if reward is not None}
        if not chosen:
            return
        done = self._try(
            lambda: payouts.issue_by_hand(
                tenant=self.cast.tenant, reward_ids=chosen.keys(), actor=ACTOR, key=f"click-{self.count:06d}"
            )
        )
        assert not done or set(chosen.values()) == {State.DUE}

    @rule(number=st.integers(0, 10))
    def undo(self, number: int) -> None:
        batches = list(PayoutBatch.objects.order_by("pk"))
        if batches:
            self._try(lambda: payouts.undo(batch=batches[number % len(batches)], actor=ACTOR))

    @rule(who=st.sampled_from([0, 1, 0, 1, *range(2, PEOPLE + 5)]), lift=st.booleans())
    def ban(self, who: int, lift: bool) -> None:
        person = [*self.people.referrers, *self.friends, *self.people.sharers][who]
        if lift:
            self._try(lambda: bans.unban(participant=person, actor=ACTOR))
        else:
            self._try(lambda: bans.ban(participant=person, actor=ACTOR, reason="Bots"))

    @rule(days=st.integers(1, 3))
    def wait(self, days: int) -> None:
        self.now += timedelta(days=days)
        with clock.at(self.now):
            lifecycle.release_due(until=self.now)

    def _pick(self, number: int) -> Reward | None:
        keys = list(Reward.objects.order_by("pk").values_list("pk", flat=True))
        return Reward.objects.get(pk=keys[number % len(keys)]) if keys else None

    def _try(self, deed: Callable[[], object]) -> bool:
        """Whether it was done; what was refused changed nothing."""
        before = _world()
        with self._tick():
            try:
                with transaction.atomic():
                    deed()
            except Refused:
                assert _world() == before
                return False
        return True

    # What must hold after every step.

    @invariant()
    def everything_adds_up(self) -> None:
        """The ledger's sums, the rewards and the tallies agree (RELIABILITY INV-01, INV-02)."""
        assert list(differences()) == []

    @invariant()
    def what_stands_is_what_the_decisions_say(self) -> None:
        decisions = {(row.event_id, row.rule_key): row for row in Decision.objects.filter(current=True)}
        for reward in Reward.objects.all():
            decision = decisions[reward.event_id, reward.rule_key]
            stands = reward.state not in FALLEN
            if stands:
                assert decision.rewardable or _is_banned(decision), (reward.state, decision.reason)
            elif reward.reason not in {*lifecycle.BY_HAND, TOO_SMALL}:
                assert not decision.rewardable, reward.reason
            # What several share adds up to the decision: verify.differences() asks.
            is_shared = any(condition["code"] == "shared" for condition in decision.conditions)
            if decision.rewardable and reward.state != State.ISSUED and not is_shared:
                assert reward.amount_minor == decision.amount_minor

    @invariant()
    def nothing_is_paid_twice(self) -> None:
        """At most one payment for each reward that stands (RELIABILITY INV-04, INV-05)."""
        assert not Payout.objects.filter(status="paid", amount_minor__lt=0).exists()
        paid = Count("payout_items", filter=Q(payout_items__payout__status="paid"))
        for state, payout, times in Reward.objects.annotate(n=paid).values_list("state", "payout", "n"):
            wanted = 1 if state in {State.ISSUED, State.REVERSED} else 0
            assert (times, payout is not None) == (wanted, bool(wanted)), state

    @invariant()
    def every_change_is_told_once(self) -> None:
        """One row of history for each change of state (RELIABILITY INV-07)."""
        told: Counter[str] = Counter()
        for subject, type_, data in Event.objects.filter(subject_type="reward").values_list(
            "subject_id", "type", "data"
        ):
            told[subject] += type_ != "milestone.reached"
            # What begins as due or held is told as such beside its making.
            told[subject] -= type_ == "reward.created" and data["state"] in {"due", "held"}
        assert told == {reward.public_id: 1 + reward.revision for reward in Reward.objects.all()}

    @invariant()
    def a_ban_takes_nothing_that_was_earned_before(self) -> None:
        assert not Reward.objects.filter(state__in=FALLEN, reason=lifecycle.BANNED).exists()

    @invariant()
    def nobody_gets_more_than_the_limit(self) -> None:
        for person in self.people.referrers if self.friends else ():
            rows = Reward.objects.filter(participant=person, rule__limit_per_referrer_minor__isnull=False)
            assert sum(rows.exclude(state__in=FALLEN).values_list("amount_minor", flat=True)) <= 1500


class LifeToTheEnd(Life):
    """The same, and at the end the facts are told again: nothing changes; and in another order elsewhere: the same decisions."""

    def teardown(self) -> None:
        try:
            if self.friends:
                self._decide_again()
                self._tell_elsewhere()
        finally:
            super().teardown()

    def _decide_again(self) -> None:
        with clock.at(START + timedelta(days=60)):
            for person in [*self.people.referrers, *self.friends, *self.people.sharers]:
                if Participant.objects.get(pk=person.pk).is_banned:
                    bans.unban(participant=person, actor=ACTOR)
            before = _world()
            for friend in self.friends:
                redecide(friend, ACTOR)
        assert _world() == before

    def _tell_elsewhere(self) -> None:
        with clock.at(START + timedelta(days=60)):
            for tell in reversed(self.facts):
                tell(self.others.campaign, self.others.friends)
        assert _outcome(self.others.friends) == _outcome(self.friends)


def _people(cast: Cast) -> People:
    campaign, sharing = _campaign(cast, rules()), _campaign(cast, shared_rules(), attribution_model="linear")
    with clock.at(START):
        referrers, friends = _bound(campaign)
        sharers, shared = _shared(sharing)
    return People(campaign, referrers, sharers, [*friends, shared])


def _bound(campaign: Campaign) -> tuple[list[Participant], list[Participant]]:
    referrers = [
        services.join(campaign=campaign, email=f"r{n}@example.com", actor=ACTOR, source="api").participant
        for n in range(2)
    ]
    friends = [
        services.join(
            campaign=campaign,
            email=f"f{n}@example.net",
            actor=ACTOR,
            source="api",
            referred_by_code=referrers[n % 2].referral_code,
        ).participant
        for n in range(PEOPLE)
    ]
    return referrers, friends


def _shared(campaign: Campaign) -> tuple[list[Participant], Participant]:
    """Two referrers, and a friend who opened the links of both, one of them twice."""
    people = make_referrers(campaign, "st")
    return list(people.values()), make_shared_friend(people, "sts", "shared@example.net")


def _is_banned(decision: Decision) -> bool:
    """A ban takes nothing that was earned before it, though the event decided again fails by it."""
    return any(c["code"] == "referrer_banned" and not c["passed"] for c in decision.conditions)


def _world() -> tuple[Any, ...]:
    """All that must not change when something is refused."""
    return (
        list(Reward.objects.order_by("pk").values_list("pk", "state", "amount_minor", "revision", "reason")),
        Decision.objects.count(),
        LedgerEntry.objects.count(),
        Payout.objects.count(),
        Event.objects.count(),
    )


def _outcome(friends: list[Participant]) -> list[tuple[str, int, str, int]]:
    """(order, position of the rule, reason, minor units) of every current decision: what the facts come to."""
    rows = Decision.objects.filter(event__participant__in=friends, current=True).select_related("event", "rule")
    return sorted(
        (row.event.external_id.partition("-")[2], row.rule.position, row.reason, row.amount_minor)
        for row in rows
        if isinstance(row.event, QualifyingEvent)
    )
