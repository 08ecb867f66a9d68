"""Simulate a referral: visit, join, purchase and refund played through the real services, on the test side only (PRODUCT.md, "Test mode").

What is shown afterwards is what happened: the rows are those that a real friend would leave, marked by their source.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from django.db import transaction
from django.utils.translation import gettext as _

from campaigns.models import Campaign
from campaigns.splits import SPLITTING
from participants.models import Participant, QualifyingEvent, Referral, ReferralShare, Refund, Visit
from participants.visits import visit_row
from referrals.events.services import Actor
from referrals.lib import clock
from referrals.lib.codes import random_text
from referrals.lib.errors import Refused
from referrals.lib.money import Money, exponent_of
from rewards import refunds, services
from rewards.models import Decision, Reward

T = TypeVar("T")
SOURCE = "simulation"
# What a friend pays unless told otherwise, in whole units of the campaign's currency.
TYPICAL = 50
STEPS = ("visit", "join", "purchase", "refund")
# What a step can't do without.
NEEDS = {"purchase": "join", "refund": "purchase"}
# Between two steps: the order of what happened is told by its times.
PAUSE = timedelta(milliseconds=1)


@dataclass(slots=True)
class Story:
    """What was played: the people, and what each chosen step left behind; None for steps that were not chosen."""

    campaign: Campaign
    steps: tuple[str, ...]
    referrer: Participant
    visit: Visit | None = None
    friend: Participant | None = None
    referral: Referral | None = None
    event: QualifyingEvent | None = None
    refund: Refund | None = None
    decisions: list[Decision] = field(default_factory=list)
    rewards: list[Reward] = field(default_factory=list)
    # Who shares the friend, in a campaign that does so: the links of two referrers are opened then.
    shares: list[ReferralShare] = field(default_factory=list)


def simulate(
    *,
    campaign: Campaign,
    actor: Actor,
    steps: tuple[str, ...] = ("visit", "join", "purchase"),
    amount: Money | None = None,
    refund: Money | None = None,
    referrer: Participant | None = None,
) -> Story:
    """Play the steps in their order, all or nothing. `amount` is what the friend pays, `refund` what is taken back (None: all of it).

    Without a `referrer` one is made. Raises Refused: live_side (403), steps, currency, campaign_not_started|paused|ended,
    and whatever the services raise.
    """
    if not campaign.is_test:
        message = _("Live data is never simulated. Switch to test mode, or use a test key.")
        raise Refused("live_side", message, status=403)
    chosen = _check_steps(steps)
    with transaction.atomic():
        start = clock.now()
        if referrer is None:
            referrer = _person(campaign, actor, _("Test"), _("Referrer"))
        story = Story(campaign, chosen, referrer)
        for number, step in enumerate(chosen, start=1):
            with clock.at(start + number * PAUSE):
                _PLAYS[step](story, actor, amount, refund)
        _read(story)
    return story


def _check_steps(steps: tuple[str, ...]) -> tuple[str, ...]:
    chosen = tuple(step for step in STEPS if step in steps)
    unknown = next((step for step in steps if step not in STEPS), None)
    if unknown is not None:
        message = _("%(step)s is no step; choose from %(steps)s.")
        raise Refused("steps", message % {"step": unknown[:40], "steps": ", ".join(STEPS)}, field="steps")
    if not chosen:
        raise Refused("steps", _("Choose at least one step."), field="steps")
    for step, needed in NEEDS.items():
        if step in chosen and needed not in chosen:
            message = _("The step %(step)s needs the step %(needed)s before it.")
            raise Refused("steps", message % {"step": step, "needed": needed}, field="steps")
    return chosen


def _person(campaign: Campaign, actor: Actor, first: str, last: str, code: str = "", visitor: str = "") -> Participant:
    """Somebody new, at an address that reaches nobody (RFC 2606)."""
    return services.join(
        campaign=campaign,
        email=f"{random_text(10).lower()}@simulated.example.com",
        actor=actor,
        source=SOURCE,
        first_name=first,
        last_name=last,
        referred_by_code=code,
        visitor=visitor,
    ).participant


def _visit(story: Story, actor: Actor, _amount: Money | None, _refund: Money | None) -> None:
    row = visit_row(referrer=story.referrer, visitor=random_text(22), channel=SOURCE, agent="Simulated")
    row.save(force_insert=True)
    story.visit = row
    if story.campaign.attribution_model in SPLITTING:
        # A second link, of somebody else: only so is there anything to share.
        other = _person(story.campaign, actor, _("Test"), _("Second referrer"))
        second = visit_row(
            referrer=other, visitor=row.visitor, channel=SOURCE, agent="Simulated", at=row.occurred_at + PAUSE / 2
        )
        second.save(force_insert=True)


def _join(story: Story, actor: Actor, _amount: Money | None, _refund: Money | None) -> None:
    visitor = story.visit.visitor if story.visit else ""
    by_links = story.visit is not None and story.campaign.attribution_model in SPLITTING
    code = "" if by_links else story.referrer.referral_code
    story.friend = _person(story.campaign, actor, _("Test"), _("Friend"), code, visitor)
    story.referral = Referral.objects.filter(invitee=story.friend).select_related("referrer").first()


def _purchase(story: Story, actor: Actor, amount: Money | None, _refund: Money | None) -> None:
    currency = story.campaign.currency
    paid = Money(TYPICAL * 10 ** exponent_of(currency), currency) if amount is None else amount
    done = services.qualify(
        participant=_made(story.friend),
        actor=actor,
        source=SOURCE,
        amount=paid,
        external_id=f"simulated-{random_text(10)}",
    )
    story.event = done.event


def _take_back(story: Story, actor: Actor, _amount: Money | None, refund: Money | None) -> None:
    event = _made(story.event)
    story.refund = refunds.refund(
        tenant=story.campaign.tenant,
        actor=actor,
        source=SOURCE,
        external_id=f"{event.external_id}-back",
        event=event,
        amount=refund,
    ).refund


def _made(row: T | None) -> T:
    """What an earlier step made; the steps were checked to be whole."""
    if row is None:
        raise RuntimeError("A step was played without the one it needs.")
    return row


_PLAYS = {"visit": _visit, "join": _join, "purchase": _purchase, "refund": _take_back}


def _read(story: Story) -> None:
    """The decisions and rewards as they stand now: a later step may have changed what an earlier one led to. Four queries."""
    if story.friend is None:
        return
    mine = Decision.objects.filter(event__participant=story.friend, current=True).select_related(
        "event__participant", "rule"
    )
    story.decisions = list(mine.order_by("event__occurred_at", "pk"))
    rewards = Reward.objects.filter(event__participant=story.friend).select_related("participant", "campaign", "event")
    story.rewards = list(rewards.order_by("pk"))
    shares = ReferralShare.objects.filter(referral__standing_for=story.friend).select_related("participant")
    story.shares = list(shares.order_by("position"))
    if story.event is not None:
        story.event.refresh_from_db()


def story_of(friend: Participant) -> Story:
    """What a simulated friend has left behind, as it stands now."""
    referral = Referral.objects.filter(invitee=friend).select_related("referrer", "visit").first()
    event = friend.qualifying_events.filter(source=SOURCE).order_by("pk").last()
    refund = event.refunds.order_by("pk").last() if event else None
    visit = referral.visit if referral else None
    referrer = referral.referrer if referral else friend
    made = {"visit": visit, "join": friend, "purchase": event, "refund": refund}
    steps = tuple(step for step in STEPS if made[step] is not None)
    story = Story(friend.campaign, steps, referrer, visit, friend, referral, event, refund)
    _read(story)
    return story


def next_clearing(story: Story) -> datetime | None:
    """When the first of the rewards leaves review; None when none is in review."""
    ends = [row.review_ends_at for row in story.rewards if row.state == "review" and row.review_ends_at is not None]
    return min(ends, default=None)
