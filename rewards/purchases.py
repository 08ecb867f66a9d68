"""Qualifying events with their outcome: which ones a list shows, and what became of each ("Purchases and referrals", seed 004).

A list of a million events is read in the order of its index. Where few match (a rare reason, a search) the matching ones are looked up
first instead: which of the two, is decided by a capped count and not left to the database's guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from participants.models import EventReference, Participant, QualifyingEvent, Referral, ReferralShare
from participants.search import search
from referrals.accounts.tenancy import Tenant
from rewards.models import Decision, Reward, State
from rewards.reasons import failing

Outcome = Literal["rewardable", "review", "held", "refused", "unruled"]
# The outcomes that a list can be narrowed to. Whatever is in review is rewardable as well.
OUTCOMES = {
    "rewardable": _("Rewardable"),
    "refused": _("Not rewardable"),
    "review": _("In review"),
}
OUTCOME_WORDS = OUTCOMES | {"held": _("On hold"), "unruled": _("No rule")}
OPEN = (State.REVIEW, State.HELD)
GONE = (State.VOID, State.REVERSED)
LIVE = tuple(state for state in State.values if state not in GONE)
# Up to this many are looked up by themselves; more are met soon enough on the way through the list.
FEW = 5_000
# More people, or friends of theirs, than a search can mean; the list is then read through instead.
PEOPLE = 2_000
_BY_STATE: dict[str, Q] = {
    "in_review_until": Q(state=State.REVIEW),
    "held_for_review": Q(state=State.HELD) & ~Q(reason="referrer_banned"),
    "referrer_banned": Q(state=State.HELD, reason="referrer_banned"),
    "waiting_for_recipient": Q(state=State.WAITING),
    "waiting_for_funds": Q(state=State.QUEUED),
    "provider_rejected": Q(state=State.ATTENTION),
    "fraud_denied": Q(state__in=GONE, reason="fraud_denied"),
    "recipient_erased": Q(state__in=GONE, reason="recipient_erased"),
    "denied_by_merchant": Q(state__in=GONE, reason="denied_by_merchant"),
}


@dataclass(frozen=True, slots=True)
class EventFilter:
    """What a list of events is narrowed to; empty fields narrow nothing. `since` is included, `until` is not."""

    outcome: str = ""
    campaign: int | None = None
    type: str = ""
    source: str = ""
    reason: str = ""
    since: datetime | None = None
    until: datetime | None = None
    q: str = ""

    def apply(self, tenant: Tenant) -> QuerySet[QualifyingEvent]:
        """The tenant's events that match, without order. Asks a capped count or two where an outcome, a reason or words narrow."""
        rows: QuerySet[QualifyingEvent] = QualifyingEvent.objects.for_tenant(tenant)
        if self.campaign is not None:
            rows = rows.filter(campaign=self.campaign)
        for name in ("type", "source"):
            if value := getattr(self, name):
                rows = rows.filter(**{name: value})
        if self.since is not None:
            rows = rows.filter(occurred_at__gte=self.since)
        if self.until is not None:
            rows = rows.filter(occurred_at__lt=self.until)
        if self.q.strip():
            rows = rows.filter(_named(tenant, self.q.strip()[:120]))
        if self.outcome:
            rows = _with_outcome(rows, tenant, self.outcome)
        return _with_reason(rows, tenant, self.reason) if self.reason else rows


def _with_outcome(rows: QuerySet[QualifyingEvent], tenant: Tenant, outcome: str) -> QuerySet[QualifyingEvent]:
    rewards = Reward.objects.for_tenant(tenant)
    mine = Reward.objects.filter(event=OuterRef("pk"))
    if outcome != "refused":
        states = OPEN if outcome == "review" else LIVE
        return _where(rows, [rewards.filter(state__in=states)], Exists(mine.filter(state__in=states)))
    decided = Exists(Decision.objects.filter(event=OuterRef("pk"), current=True))
    failed = Decision.objects.for_tenant(tenant).filter(current=True).exclude(reason="")
    # Without a standing reward something failed, or a person declined what was earned.
    rows = rows.filter(~Exists(mine.filter(state__in=LIVE)))
    return _where(rows, [failed, rewards.filter(state__in=GONE)], decided)


def _with_reason(rows: QuerySet[QualifyingEvent], tenant: Tenant, reason: str) -> QuerySet[QualifyingEvent]:
    failed = Decision.objects.for_tenant(tenant).filter(current=True, reason=reason).exclude(reason="")
    one = Q(Exists(Decision.objects.filter(event=OuterRef("pk"), current=True, reason=reason)))
    by_state = _BY_STATE.get(reason)
    if by_state is None:
        return _where(rows, [failed], one)
    standing = Reward.objects.for_tenant(tenant).filter(by_state)
    return _where(rows, [failed, standing], one | Q(Exists(Reward.objects.filter(by_state, event=OuterRef("pk")))))


def _where(
    rows: QuerySet[QualifyingEvent], sources: Sequence[QuerySet[Any]], test: Q | Exists
) -> QuerySet[QualifyingEvent]:
    """The rows that pass `test`, which holds for no event but those of `sources`; these are looked up when they are few."""
    few: set[int] = set()
    for source in sources:
        few.update(source.order_by().values_list("event_id", flat=True)[: FEW + 1])
        if len(few) > FEW:
            return rows.filter(test)
    return rows.filter(test, pk__in=few)


def _named(tenant: Tenant, text: str) -> Q:
    """Whom or what somebody means: friend or referrer by name, address or code; an order, invoice or checkout; the event's own id."""
    keys = set(
        QualifyingEvent.objects.for_tenant(tenant).filter(external_id=text).values_list("pk", flat=True)[:PEOPLE]
    )
    keys.update(
        EventReference.objects.for_tenant(tenant).filter(reference=text).values_list("event_id", flat=True)[:PEOPLE]
    )
    keys.update(QualifyingEvent.objects.for_tenant(tenant).filter(public_id=text).values_list("pk", flat=True)[:1])
    meant = Participant.objects.for_tenant(tenant).filter(search(text)).order_by()
    parts = ReferralShare.objects.filter(participant__in=meant, referral__detached_at=None).order_by()
    shared = QualifyingEvent.objects.filter(participant__in=parts.values("referral__invitee"))
    keys.update(shared.values_list("pk", flat=True)[:PEOPLE])
    people = set(meant.values_list("pk", flat=True)[: PEOPLE + 1])
    friends = Referral.objects.filter(referrer__in=meant, detached_at=None).order_by()
    if len(people) <= PEOPLE:
        friends = Referral.objects.filter(referrer__in=people, detached_at=None).order_by()
        invited = set(friends.values_list("invitee", flat=True)[: PEOPLE + 1])
        if len(invited) <= PEOPLE:
            return Q(pk__in=keys) | Q(participant__in=people | invited)
    return Q(pk__in=keys) | Q(participant__in=meant.values("pk")) | Q(participant__in=friends.values("invitee"))


@dataclass(frozen=True, slots=True)
class Standing:
    """What became of an event: the outcome, and the condition that is its first reason (None where all are met)."""

    outcome: Outcome
    why: Mapping[str, Any] | None


def standing_of(decisions: Iterable[Decision], rewards: Sequence[Reward]) -> Standing:
    """The outcome of an event by its current decisions and its rewards; the referrer's side speaks first."""
    ordered = sorted(decisions, key=lambda row: (row.side != "referrer", row.pk))
    live = sorted((row for row in rewards if row.state in LIVE), key=lambda row: (row.side != "referrer", row.pk))
    if live:
        live = _without_banned_parts(live)
        waits = next((row for row in live if row.state == State.HELD), None) or next(
            (row for row in live if row.state == State.REVIEW), None
        )
        if waits is None:
            return Standing("rewardable", next((found for row in live if (found := on_its_way(row))), None))
        return Standing("held" if waits.state == State.HELD else "review", on_its_way(waits))
    for decision in ordered:
        if why := failing(decision.conditions, decision.reason):
            return Standing("refused", why)
    gone = next((row for row in rewards if row.state in GONE), None)
    if gone is not None:
        return Standing("refused", on_its_way(gone))
    return Standing("refused" if ordered else "unruled", None)


def _without_banned_parts(live: list[Reward]) -> list[Reward]:
    """Where several referrers share, a part that a ban holds does not speak for the others'."""
    if len({row.participant_id for row in live if row.side == "referrer"}) < 2:
        return live
    return [row for row in live if (row.state, row.reason) != (State.HELD, "referrer_banned")] or live


def on_its_way(reward: Reward, decision: Decision | None = None) -> dict[str, Any] | None:
    """What a reward waits for, or why it fell, as a condition that is not met; None when it is due or issued.

    `reward` comes with its payout where it may need attention. The facts of a fallen one are those of its `decision`.
    """
    match reward.state:
        case State.REVIEW:
            until = reward.review_ends_at.isoformat() if reward.review_ends_at else None
            return _missed("in_review_until", until=until)
        case State.HELD:
            return _missed(reward.reason or "held_for_review")
        case State.WAITING:
            return _missed(reward.reason or "waiting_for_recipient")
        case State.QUEUED:
            return _missed("waiting_for_funds")
        case State.ATTENTION:
            message = reward.payout.message if reward.payout else ""
            return _missed(reward.reason or "provider_rejected", message=message or None)
        case State.VOID | State.REVERSED:
            found = failing(decision.conditions, reward.reason) if decision else None
            return dict(found) if found else _missed(reward.reason or "denied_by_merchant")
    return None


def _missed(code: str, **facts: Any) -> dict[str, Any]:
    return {"code": code, "passed": False, "facts": facts}
