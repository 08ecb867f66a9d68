"""Random histories of a campaign, played through the services: people who join, buy, give back, are banned; rules that change."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.utils import timezone
from hypothesis import strategies as st

from campaigns import services as campaigns
from campaigns.conditions import Comparison, Group
from campaigns.models import Campaign
from campaigns.rules import current_terms
from campaigns.splits import contradiction
from campaigns.terms import Fixed, Limits, RuleTerms, TermsError, Tier, Units
from participants.models import Participant, QualifyingEvent, Referral
from referrals.accounts.tenancy import Tenant
from referrals.lib.errors import Refused
from referrals.lib.money import Money
from rewards import bans, bonds, lifecycle, payouts, refunds, services
from rewards.models import Reward
from tests.factories import ACTOR, fixed_rule, make_campaign, make_participant, percent_rule
from tests.rewards.splits import make_shared_friend


def usd(minor: int) -> Money:
    return Money(minor, "USD")


GERMANS = Group("all", (Comparison("event", "country", "is", "DE"), Comparison("invitee", "email", "contains", "f")))
RULES: dict[str, RuleTerms] = {
    "first": fixed_rule(1500, minimum_purchase=usd(2000)),
    "share": percent_rule("12.5", max_purchases_per_friend=2, within_days=20),
    "share for ever": percent_rule("3"),
    "second": fixed_rule(700, trigger="nth_event", nth=2),
    "from the second": percent_rule("5", trigger="from_nth_event", nth=2),
    "friend": fixed_rule(500, side="invitee", new_customers_only=True),
    "joining": fixed_rule(100, trigger="join", event="join", limits=Limits(per_referrer=usd(250))),
    "milestone": fixed_rule(2000, trigger="milestone", nth=2, recurring=True),
    "tiers": fixed_rule(
        300,
        trigger="tier",
        tiers=(Tier(1, 1, Fixed(usd(300))), Tier(2, 3, Fixed(usd(400)))),
        max_purchases_per_friend=1,
    ),
    "most": percent_rule("20", limits=Limits(per_referrer=usd(1500), per_referrer_year=usd(1200))),
    "units": RuleTerms("", "referrer", "first_event", Units(1, "free month")),
    "germans": fixed_rule(900, trigger="every_event", conditions=GERMANS),
}
NAMES = sorted(RULES)
RULES["budget"] = fixed_rule(400, trigger="every_event", limits=Limits(campaign=usd(1000), campaign_day=usd(800)))
_step = st.one_of(
    st.tuples(st.just("join"), st.integers(0, 2)),
    st.tuples(st.just("buy"), st.integers(0, 5), st.sampled_from([500, 2000, 4010, 9900]), st.integers(0, 25), st.booleans()),
    st.tuples(st.just("buy"), st.integers(0, 5), st.sampled_from([2000, 9900]), st.integers(0, 25), st.booleans()),
    st.tuples(st.just("refund"), st.integers(0, 9), st.sampled_from([None, 900])),
    st.tuples(st.sampled_from(["dispute", "dispute_won", "cancelled"]), st.integers(0, 9)),
    st.tuples(st.just("stop"), st.integers(0, 5), st.integers(0, 20), st.booleans()),
    st.tuples(st.just("ban"), st.integers(0, 1)),
    st.tuples(st.just("unban"), st.integers(0, 1)),
    st.tuples(st.sampled_from(["void", "issue", "hold"]), st.integers(0, 9)),
    st.tuples(st.just("publish"), st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True)),
    st.tuples(st.just("detach"), st.integers(0, 5)),
    st.tuples(st.just("attach"), st.integers(0, 5), st.integers(0, 1)),
    st.tuples(st.just("undo"), st.integers(0, 5)),
    st.tuples(st.sampled_from(["pause", "resume"])),
)  # fmt: skip
rule_names = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True)
steps = st.lists(_step, min_size=4, max_size=14)


@dataclass
class History:
    """A campaign with two referrers, and what was done so far. Under a model that shares friends, some of them are both's."""

    tenant: Tenant
    names: list[str]
    model: str = "first_click"
    campaign: Campaign = field(init=False)
    referrers: list[Participant] = field(init=False)
    friends: list[Participant] = field(default_factory=list)
    count: int = 0

    def __post_init__(self) -> None:
        rules = [RULES[name] for name in self.names]
        if self.is_shared:
            rules = [rule for rule in rules if contradiction(rule) is None] or [RULES["share"]]
        self.campaign = make_campaign(self.tenant, rules, attribution_model=self.model)
        self.referrers = [make_participant(self.campaign, f"r{number}@example.com") for number in range(2)]
        for number in range(3):
            self.join(2 if self.is_shared and number < 2 else number % 2)

    @property
    def is_shared(self) -> bool:
        return self.model == "linear"

    def play(self, done: list[tuple[Any, ...]]) -> None:
        """Carry out the steps; what the services refuse is left out, as in life."""
        for name, *values in done:
            self.count += 1
            with suppress(Refused, TermsError):
                getattr(self, name)(*values)

    def join(self, number: int) -> None:
        if number == 2 and self.is_shared:
            both = {"a": self.referrers[0], "b": self.referrers[1]}
            friend = make_shared_friend(both, "abbab"[: 3 + len(self.friends) % 3], f"f{len(self.friends)}@example.net")
            self.friends.append(friend)
            return
        referrer = self.referrers[number] if number < 2 else None
        code = referrer.referral_code if referrer else ""
        done = services.join(
            campaign=self._fresh(),
            email=f"f{len(self.friends)}@example.net",
            actor=ACTOR,
            source="manual",
            referred_by_code=code,
            existing_customer=len(self.friends) % 4 == 3,
        )
        self.friends.append(done.participant)

    def buy(self, friend: int, minor: int, days_ago: int, german: bool) -> None:
        # Late ones are told apart by seconds; none lies ahead, where the campaign's status is still to come.
        apart = timedelta(seconds=self.count) if days_ago else timedelta()
        services.qualify(
            participant=self._friend(friend),
            actor=ACTOR,
            source="shop",
            amount=usd(minor),
            occurred_at=timezone.now() - timedelta(days=days_ago) + apart,
            metadata={"country": "DE" if german else "NO", "subscription": "s1" if german else "s2"},
        )

    def stop(self, friend: int, days_ago: int, again: bool) -> None:
        services.qualify(
            participant=self._friend(friend),
            actor=ACTOR,
            source="shop",
            type="subscription_resumed" if again else "subscription_cancelled",
            occurred_at=timezone.now() - timedelta(days=days_ago),
            metadata={} if again else {"subscription": "s1"},
        )

    def refund(self, event: int, minor: int | None) -> None:
        self._take_back(event, "refund", minor)

    def dispute(self, event: int) -> None:
        self._take_back(event, "dispute", None)

    def dispute_won(self, event: int) -> None:
        self._take_back(event, "dispute_won", None)

    def cancelled(self, event: int) -> None:
        self._take_back(event, "cancelled", None)

    def ban(self, number: int) -> None:
        bans.ban(participant=self.referrers[number], actor=ACTOR, reason="why")

    def unban(self, number: int) -> None:
        bans.unban(participant=self.referrers[number], actor=ACTOR)

    def void(self, number: int) -> None:
        if reward := self._reward(number):
            lifecycle.void(tenant=self.tenant, reward_ids=[reward], actor=ACTOR, note="no")

    def hold(self, number: int) -> None:
        if reward := self._reward(number):
            lifecycle.hold(tenant=self.tenant, reward_ids=[reward], actor=ACTOR)

    def issue(self, number: int) -> None:
        if reward := self._reward(number):
            payouts.issue_by_hand(tenant=self.tenant, reward_ids=[reward], actor=ACTOR, key=f"issue-{self.count:06d}")

    def publish(self, names: list[str]) -> None:
        """New rules; a rule that keeps its trigger keeps its key, as in the editor."""
        known = {terms.trigger: terms.key for terms in current_terms(self._fresh())}
        rules = []
        for name in names:
            rule = RULES[name]
            key = known.pop(rule.trigger, "")
            rules.append(RuleTerms(**{slot: getattr(rule, slot) for slot in RuleTerms.__slots__} | {"key": key}))
        campaigns.publish_rules(campaign=self._fresh(), rules=rules, actor=ACTOR)

    def detach(self, friend: int) -> None:
        bonds.detach(participant=self._friend(friend), actor=ACTOR, reason="wrong")

    def attach(self, friend: int, referrer: int) -> None:
        bonds.attach(participant=self._friend(friend), referrer=self.referrers[referrer], actor=ACTOR, reason="theirs")

    def undo(self, friend: int) -> None:
        last = Referral.objects.filter(invitee=self._friend(friend)).order_by("pk").last()
        if last is not None:
            bonds.undo(referral=Referral.objects.select_related("invitee", "referrer").get(pk=last.pk), actor=ACTOR)

    def pause(self) -> None:
        campaigns.pause(campaign=self._fresh(), actor=ACTOR)

    def resume(self) -> None:
        campaigns.resume(campaign=self._fresh(), actor=ACTOR)

    def _fresh(self) -> Campaign:
        return Campaign.objects.select_related("merchant", "version").get(pk=self.campaign.pk)

    def _friend(self, number: int) -> Participant:
        pk = self.friends[number % len(self.friends)].pk
        return Participant.objects.select_related("campaign__merchant", "merchant").get(pk=pk)

    def _reward(self, number: int) -> int | None:
        keys = list(Reward.objects.filter(campaign=self.campaign).order_by("pk").values_list("pk", flat=True))
        return keys[number % len(keys)] if keys else None

    def _take_back(self, number: int, kind: str, minor: int | None) -> None:
        events = list(QualifyingEvent.objects.filter(campaign=self.campaign, type="purchase").order_by("pk"))
        if events:
            refunds.refund(
                tenant=self.tenant,
                actor=ACTOR,
                source="shop",
                external_id=f"{kind}-{self.count}",
                event=events[number % len(events)],
                amount=usd(minor) if minor else None,
                kind=kind,
            )
