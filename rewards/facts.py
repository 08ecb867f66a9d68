"""What deciding knows, as plain values: the event, the two people, what came before. No database here (eligibility.py asks them).

Nobody changes them once they are made. Those that every question makes anew are not frozen all the same: freezing triples what one costs,
and what-if asks a million times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction
from typing import Any

from campaigns.conditions import Attributes
from campaigns.terms import RuleTerms, Units
from participants.attribution_models import split
from referrals.lib.money import Money

Facts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PersonFacts:
    """What matters of one of the two people. `identity` is the folded address (referrals.lib.emails).

    `click_expired` says that a friend without a referrer had opened a link, too long before joining (docs/attribution.md). `given` is the
    key of the rule whose reward they had at the checkout already, by a promotion code (rewards.given).
    """

    identity: str
    existing_customer: bool = False
    banned_at: datetime | None = None
    click_expired: bool = False
    given: str = ""


@dataclass(slots=True)
class EventFacts:
    """What matters of a qualifying event. `closed_reason` is what the campaign was at `occurred_at`, None while it ran.

    `returned` is a refund of an event that had no amount, `cancelled` the whole order taken back, `stopped_at` since when the
    friend's recurring payments were cancelled. `day` is the merchant's calendar day, `rank` the place on a closed leaderboard.
    `settled` is imported history whose rewards were settled elsewhere.
    """

    id: int
    type: str
    occurred_at: datetime
    currency: str
    amount: Money | None = None
    refunded: Money | None = None
    returned: bool = False
    cancelled: bool = False
    disputed_at: datetime | None = None
    stopped_at: datetime | None = None
    closed_reason: str | None = None
    day: date | None = None
    rank: int | None = None
    settled: bool = False

    @property
    def kept(self) -> Money | None:
        """The amount after refunds, never below zero."""
        if self.amount is None or self.refunded is None or not self.refunded.minor:
            return self.amount
        return Money(max(0, self.amount.minor - self.refunded.minor), self.amount.currency)

    @property
    def is_refunded(self) -> bool:
        """Whether nothing is left of it."""
        if self.returned:
            return True
        kept = self.kept
        return self.refunded is not None and self.refunded.minor > 0 and kept is not None and kept.minor == 0


@dataclass(frozen=True, slots=True)
class Share:
    """One of several referrers who share a friend: their part of the whole, and since when they are banned."""

    participant: int
    public_id: str
    weight: Fraction
    banned_at: datetime | None = None


def banned_since(shares: Sequence[Share]) -> datetime | None:
    """Since when all of them are banned; None while somebody is not: a ban concerns one's own part only."""
    bans = [share.banned_at for share in shares if share.banned_at is not None]
    return max(bans) if bans and len(bans) == len(shares) else None


def shared_between(shares: Sequence[Share]) -> Facts:
    """The facts of `shared`: how many share, each one's part, and what stands against paying it ("referrer_banned")."""
    rows = [
        {"participant": row.public_id, "share": str(row.weight), "held": "referrer_banned" if row.banned_at else None}
        for row in shares
    ]
    return {"people": len(rows), "held": sum(row["held"] is not None for row in rows), "shares": rows}


def parts(minor: int, shares: Sequence[Share]) -> dict[int, int]:
    """Minor units of each by primary key, adding up to `minor` exactly; of equal remainders the earlier click gets the unit."""
    return split(minor, {share.participant: share.weight for share in shares})


@dataclass(frozen=True, slots=True)
class Bond:
    """The referral: who invited, since when, and whether the merchant denied it (multi-step sales).

    Where several share the friend, `referrer` is the one who stands for them, banned only when all of them are (since the last ban).
    """

    referrer: PersonFacts
    since: datetime
    denied: bool = False
    shares: tuple[Share, ...] = ()


@dataclass(slots=True)
class History:
    """What came before the event under the same rule, by the time of the facts.

    Of this friend: how many events there were (`earlier`), how many counted, how many were rewarded. Of the referrer: how many
    friends counted, and the minor units given ever and in the event's year. Of the campaign: the minor units used by period, the
    event's own reward not included.
    """

    rewarded: int = 0
    counted: int = 0
    earlier: int = 0
    friends: int = 0
    granted: int = 0
    granted_year: int = 0
    spent: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Case:
    """One question: this event, by this friend, under this rule."""

    terms: RuleTerms
    event: EventFacts
    friend: PersonFacts
    bond: Bond | None
    history: History
    attributes: Attributes | None = None


@dataclass(slots=True)
class Checked:
    """One condition's answer."""

    code: str
    passed: bool
    facts: Facts = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """As Decision.conditions keeps it (API.md, `Decision`)."""
        return {"code": self.code, "passed": self.passed, "facts": self.facts}


@dataclass(slots=True)
class Verdict:
    """The outcome: every condition, the first failing code, and what there is to give: money, and units of something if it is that.

    `counted` says that the event is one that qualified, whether or not this rule's counting or a limit stood against a reward.
    """

    rewardable: bool
    reason: str
    conditions: tuple[Checked, ...]
    amount: Money | None
    units: Units | None = None
    counted: bool = False
