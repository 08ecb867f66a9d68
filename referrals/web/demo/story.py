"""Ninety days in order: people join, share, buy, return things; the merchant approves, holds, declines and pays.

Told through the services, with the clock of referrals.lib.clock set to each moment, and with dice that always fall the same way.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from django.db import transaction

from campaigns import services as campaigns
from campaigns.models import Campaign
from participants.models import Participant, Visit
from participants.visits import visit_row
from referrals.accounts.tenancy import Tenant
from referrals.events.services import Actor
from referrals.lib import clock
from referrals.lib.codes import random_text
from referrals.lib.money import Money, exponent_of
from referrals.web.demo.people import Person, people
from referrals.web.demo.plan import PLANS, Plan
from referrals.web.demo.suspects import add_suspects
from rewards import bans, lifecycle, payouts, refunds, services
from rewards.customers import change_participant
from rewards.models import Reward, State

CHANNELS = ("whatsapp", "email", "copy", "qr", "instagram", "")
STORE = Actor("api_key", "demo", "Web shop")


class Story:
    """The teller: a queue of moments, each with something that happens then."""

    def __init__(self, tenant: Tenant, owner: Actor, end: datetime, seed: int) -> None:
        self.tenant, self.owner, self.end = tenant, owner, end
        # The same dice every time make the same merchant every time.
        self.dice = random.Random(seed)  # noqa: S311 - nothing here has to be secret
        self.people: Iterator[Person] = people(self.dice)
        self.queue: list[tuple[datetime, int, Callable[[], None]]] = []
        self.numbers = itertools.count()
        self.order_number = 10_000
        self.visits: list[Visit] = []

    def tell(self) -> None:
        """Everything from the first campaign to `end`, a day a transaction."""
        for plan in PLANS:
            self._at(self.end - timedelta(days=plan.began), lambda plan=plan: self._launch(plan))  # type: ignore[misc]
        for week in range(12, 0, -1):
            self._at(self.end - timedelta(days=7 * week - 2, hours=3), self._pay_day)
        self._at(self.end - timedelta(hours=1), self._last_touches)
        while self.queue:
            day = self.queue[0][0] + timedelta(days=1)
            with transaction.atomic():
                # What happens may add to the same day.
                while self.queue and self.queue[0][0] < day:
                    moment, _number, happen = heapq.heappop(self.queue)
                    with clock.at(moment):
                        lifecycle.release_due(until=moment)
                        happen()
        Visit.objects.bulk_create(self.visits, batch_size=500)

    def _at(self, moment: datetime, happen: Callable[[], None]) -> None:
        if moment < self.end:
            heapq.heappush(self.queue, (moment, next(self.numbers), happen))

    def _after(self, days: float, happen: Callable[[], None]) -> None:
        self._at(clock.now() + timedelta(days=days), happen)

    def _launch(self, plan: Plan) -> None:
        campaign = campaigns.create_campaign(
            tenant=self.tenant,
            actor=self.owner,
            name=plan.name,
            currency=plan.currency,
            rules=plan.rules,
            brand_color=plan.color,
            font=plan.font,
        )
        campaigns.save_texts(campaign=campaign, language="en", actor=self.owner, texts=plan.texts)
        campaign = campaigns.launch(campaign=campaign, actor=self.owner)
        for number in range(plan.advocates):
            days = 0.02 if number == 0 else self.dice.random() ** 1.1 * (plan.began - 2)
            self._after(days, lambda: self._advocate(plan, campaign))
        if plan.paused is not None:
            self._at(
                self.end - timedelta(days=plan.paused),
                lambda: void(campaigns.pause(campaign=campaign, actor=self.owner)),
            )

    def _join(self, campaign: Campaign, code: str, visitor: str) -> Participant | None:
        person = next(self.people)
        campaign = Campaign.objects.select_related("merchant").get(pk=campaign.pk)
        if not campaign.is_open:
            return None
        joined = services.join(
            campaign=campaign,
            email=person.email,
            actor=Actor("participant", "", person.email),
            source="hosted",
            first_name=person.first,
            last_name=person.last,
            language="en",
            referred_by_code=code,
            visitor=visitor,
        )
        return joined.participant

    def _advocate(self, plan: Plan, campaign: Campaign) -> None:
        advocate = self._join(campaign, "", "")
        if advocate is None:
            return
        star = advocate.email.startswith("asha.verma@")
        clicks = 86 if star else int(self.dice.paretovariate(1.15) * 4)
        for _ in range(min(clicks, 90)):
            self._after(self.dice.random() ** 2 * 45 + 0.1, lambda: self._click(plan, advocate))

    def _click(self, plan: Plan, advocate: Participant) -> None:
        hidden = "bot" if self.dice.random() < 0.24 else ""
        visit = visit_row(
            referrer=advocate,
            visitor=random_text(22),
            hidden_reason=hidden,
            channel=self.dice.choice(CHANNELS),
            ip=f"192.0.2.{self.dice.randrange(1, 250)}",
            agent="Mozilla/5.0",
        )
        if not hidden and self.dice.random() < 0.22:
            visit.save()
            self._after(0.01, lambda: self._friend(plan, advocate, visit.visitor))
        else:
            self.visits.append(visit)

    def _friend(self, plan: Plan, advocate: Participant, visitor: str) -> None:
        friend = self._join(advocate.campaign, advocate.referral_code, visitor)
        if friend is None:
            return
        if self.dice.random() < 0.05:
            change_participant(participant=friend, actor=self.owner, existing_customer=True)
        if self.dice.random() < 0.62:
            self._after(self.dice.random() * 6 + 0.05, lambda: self._buy(plan, friend))

    def _buy(self, plan: Plan, friend: Participant) -> None:
        self.order_number += 1
        usual, spread = plan.prices
        step = 1 if exponent_of(plan.currency) else 10
        minor = max(900, int(self.dice.gauss(usual, spread / 2)) // step * step)
        order = f"order-{self.order_number}"
        done = services.qualify(
            participant=friend,
            actor=STORE,
            source="api",
            amount=Money(minor, plan.currency),
            external_id=order,
            metadata={"product": self.dice.choice(["Yirgacheffe", "House blend", "Decaf", "Tasting set"])},
        )
        if self.dice.random() < 0.11:
            part = None if self.dice.random() < 0.7 else Money(minor // 3 // step * step, plan.currency)
            self._after(
                self.dice.random() * 16 + 0.3,
                lambda: void(
                    refunds.refund(
                        tenant=self.tenant,
                        actor=STORE,
                        source="api",
                        external_id=f"refund-{order}",
                        event=done.event,
                        amount=part,
                    )
                ),
            )
        if self.dice.random() < plan.again:
            self._after(self.dice.random() * 21 + 4, lambda: self._buy(plan, friend))

    def _pay_day(self) -> None:
        """On most Fridays the merchant pays what has been due for some days."""
        old = clock.now() - timedelta(days=5)
        due = Reward.objects.for_tenant(self.tenant).due().filter(stage_at__lte=old)
        ids = list(due.exclude(participant__banned_at__isnull=False).order_by("pk").values_list("pk", flat=True))
        if ids and self.dice.random() < 0.85:
            payouts.issue_by_hand(
                tenant=self.tenant,
                reward_ids=ids,
                actor=self.owner,
                key=f"demo-{random_text(16)}",
                note="Paid with the weekly run",
            )

    def _last_touches(self) -> None:
        """A few things that wait for a person: some held, one declined, one banned referrer."""
        rewards = Reward.objects.for_tenant(self.tenant).order_by("stage_at", "pk")
        review = list(rewards.filter(state=State.REVIEW, campaign__currency="USD").values_list("pk", flat=True)[:3])
        due = list(rewards.due().values_list("pk", flat=True)[:2])
        if review:
            lifecycle.hold(
                tenant=self.tenant,
                reward_ids=review,
                actor=self.owner,
                note="Several orders to one street address; checking.",
            )
        if due:
            lifecycle.void(tenant=self.tenant, reward_ids=due, actor=self.owner, note="Bought with a staff discount.")
        banned = (
            Participant.objects.filter(rewards__state=State.REVIEW, campaign__currency="EUR").order_by("pk").first()
        )
        if banned is not None:
            bans.ban(participant=banned, actor=self.owner, reason="Posted the link on a coupon site.")
        add_suspects(self.tenant, self.owner)


def void(_value: object) -> None:
    """Drop a value that a moment does not need."""
