"""A campaign's events as plain values, read in chunks: the same facts as rewards.loading, without a model instance for any row."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

from django.db import models
from django.db.models import QuerySet

from campaigns.conditions import fields_used
from campaigns.models import Campaign, RewardRule, StatusChange
from campaigns.terms import RuleTerms
from participants.models import Participant, QualifyingEvent, ReferralShare
from referrals.lib.money import Money
from referrals.lib.queries import Among, as_text, read_moment
from rewards.budgets import FALLEN
from rewards.facts import Bond, EventFacts, PersonFacts, Share, banned_since
from rewards.lifecycle import BY_HAND
from rewards.loading import (
    RESUMED,
    STOPPED,
    Stop,
    campaign_attributes,
    event_attributes,
    is_undone,
    person_attributes,
    returned,
    stopped_at,
)
from rewards.models import Reward
from rewards.whatif.differences import Given, Worth

CHUNK = 4000
_REFERRER = "referral__referrer"
_FIELDS = (
    f"participant__{_REFERRER}_id", "pk", "participant_id", "version_id", "type", "amount_minor", "source", "at", "refunded_minor",
    "disputed_at", "cancelled_at", "settled",
)  # fmt: skip
_PERSON = (
    "pk", "identity_key", "existing_customer", "banned_at", "given_rule", "referral__created_at", "referral__status",
    f"{_REFERRER}__identity_key", f"{_REFERRER}__banned_at",
)  # fmt: skip
_ASKED = ("email", "email_key", "language", "source", "existing_customer", "metadata")
Row = tuple[Any, ...]


class Friend(NamedTuple):
    """Whose event it is. The bond is as if the referrer were not banned; `is_banned` says whether they are."""

    facts: PersonFacts
    bond: Bond | None
    status: str | None
    is_banned: bool
    known: dict[str, dict[str, Any]]


class Read(NamedTuple):
    """One event as it is judged. `after_ban`: it was recorded when the referrer was banned already."""

    referrer: int | None
    version: int
    friend_id: int
    event: EventFacts
    friend: PersonFacts
    bond: Bond | None
    is_banned: bool
    after_ban: bool
    attributes: dict[str, dict[str, Any]] | None


class Recorded(NamedTuple):
    """What there is for an event under a rule: the reward that stands; whether a person declined it; whether one has fallen.

    `parts` has the same for each who got one, in a campaign whose friends may be shared.
    """

    given: Given | None
    declined: bool
    fallen: bool
    parts: Mapping[int, Recorded] = {}

    def part(self, participant: int) -> Recorded | None:
        """What one of several referrers has."""
        return self.parts.get(participant)


class Reader:
    """Reads the events of one campaign for these rules. Money values are kept, because most amounts come again and again."""

    def __init__(self, campaign: Campaign, rules: Sequence[RuleTerms]) -> None:
        self.campaign = campaign
        self.keys = frozenset(terms.key for terms in rules)
        self.types = _types(campaign, rules)
        self.asked = frozenset[str]().union(*(fields_used(terms.conditions) for terms in rules))
        events = QualifyingEvent.objects.filter(campaign=campaign)
        self.has_stops = events.filter(type__in=[STOPPED, RESUMED]).exists()
        self.needs_day = any(terms.limits.of_campaign or terms.limits.per_referrer_year for terms in rules)
        self.metadata = self.has_stops or "event" in self.asked or "leaderboard" in self.types
        self.closed = _closed(campaign)
        self.zone = campaign.merchant.zone
        self.money = lru_cache(maxsize=65536)(lambda minor: Money(minor, campaign.currency))
        self.campaign_known = campaign_attributes(campaign) if "campaign" in self.asked else None

    def rows(self) -> QuerySet[QualifyingEvent, Row]:
        """The events that the rules may be about."""
        events = QualifyingEvent.objects.filter(campaign=self.campaign, type__in=self.types)
        return events.annotate(at=as_text("occurred_at")).values_list(
            *_FIELDS, *(["metadata"] if self.metadata else [])
        )

    def chunks(
        self, rows: QuerySet[QualifyingEvent, Row]
    ) -> Iterator[tuple[list[Read], dict[tuple[int, str], Recorded]]]:
        """Events in the order of `rows`, and what is recorded of them, a chunk at a time: memory does not grow with their number."""
        stream = rows.iterator(chunk_size=CHUNK)
        while chunk := list(islice(stream, CHUNK)):
            yield self._read(chunk), self._recorded([row[1] for row in chunk])

    def _read(self, chunk: Sequence[Row]) -> list[Read]:
        people = {row[2] for row in chunk}
        shares = self._shares(people) if self.campaign.has_splits else {}
        friends = self._friends(people, shares)
        back = returned([row[1] for row in chunk if not row[5] and row[4] != "join"])
        stops = self._stops(people) if self.has_stops else {}
        banned = _after_ban([row[1] for row in chunk if friends[row[2]].is_banned and row[2] not in shares])
        if shares:
            banned |= _after_all_bans({row[1]: banned_since(shares[row[2]]) for row in chunk if row[2] in shares})
        return [self._one(row, friends[row[2]], back, banned, stops) for row in chunk]

    def _one(
        self, row: Row, friend: Friend, back: Collection[int], banned: Collection[int], stops: dict[int, list[Stop]]
    ) -> Read:
        (
            referrer,
            pk,
            friend_id,
            version,
            type_,
            minor,
            source,
            text,
            refunded,
            disputed_at,
            cancelled_at,
            settled,
            *more,
        ) = row
        at, metadata = read_moment(text), more[0] if more else {}
        event = EventFacts(
            pk,
            type_,
            at,
            self.campaign.currency,
            None if minor is None else self.money(minor),
            self.money(refunded),
            pk in back,
            cancelled_at is not None or is_undone(type_, source, friend.status),
            disputed_at,
            stopped_at(at, metadata, stops[friend_id]) if friend_id in stops else None,
            None if settled else self.closed(at),
            at.astimezone(self.zone).date() if self.needs_day else None,
            metadata.get("rank") if type_ == "leaderboard" else None,
            settled,
        )
        known = friend.known
        if "event" in self.asked:
            known = {**known, "event": event_attributes(type_, event.amount, event.currency, source, metadata)}
        return Read(
            referrer,
            version,
            friend_id,
            event,
            friend.facts,
            friend.bond,
            friend.is_banned,
            pk in banned,
            known or None,
        )

    def _shares(self, friends: Collection[int]) -> dict[int, tuple[Share, ...]]:
        rows = ReferralShare.objects.filter(Among("referral__standing_for_id", friends))
        found: dict[int, tuple[Share, ...]] = {}
        for share in rows.order_by("referral_id", "position").select_related("participant", "referral"):
            facts = Share(share.participant_id, share.participant.public_id, share.weight, share.participant.banned_at)
            found[share.referral.invitee_id] = (*found.get(share.referral.invitee_id, ()), facts)
        return found

    def _friends(self, keys: Collection[int], shares: Mapping[int, tuple[Share, ...]]) -> dict[int, Friend]:
        """The people behind a chunk's events, with who invited them. One query."""
        more = _ASKED if "invitee" in self.asked else ()
        theirs = [f"{_REFERRER}__{name}" for name in _ASKED] if "referrer" in self.asked else []
        found = {}
        for row in Participant.objects.filter(Among("pk", keys)).values_list(*_PERSON, *more, *theirs):
            pk, identity, customer, banned, given, since, status, by, by_banned, *facts = row
            between = shares.get(pk, ())
            bond = None if by is None else Bond(PersonFacts(by), since, status == "denied", between)
            is_banned = by_banned is not None if not between else banned_since(between) is not None
            known = {} if self.campaign_known is None else {"campaign": self.campaign_known}
            if more:
                known["invitee"] = person_attributes(*facts[: len(more)])
            if theirs and by is not None:
                known["referrer"] = person_attributes(*facts[len(more) :])
            found[pk] = Friend(PersonFacts(identity, customer, banned, given=given), bond, status, is_banned, known)
        return found

    def _stops(self, friends: Collection[int]) -> dict[int, list[Stop]]:
        rows = QualifyingEvent.objects.filter(Among("participant_id", friends), type__in=[STOPPED, RESUMED])
        found: dict[int, list[Stop]] = {}
        for friend, at, type_, given in rows.order_by("occurred_at", "pk").values_list(
            "participant_id", "occurred_at", "type", "metadata"
        ):
            found.setdefault(friend, []).append(Stop(at, type_, given.get("subscription")))
        return found

    def _recorded(self, events: Sequence[int]) -> dict[tuple[int, str], Recorded]:
        rows = Reward.objects.filter(Among("event_id", events), rule_key__in=self.keys).order_by()
        found: dict[tuple[int, str], Recorded] = {}
        for event, key, who, side, state, reason, minor, units, label in rows.values_list(
            "event_id", "rule_key", "participant_id", "side", "state", "reason", "amount_minor", "units", "units_label"
        ):
            has_fallen = state in FALLEN
            given = None if has_fallen else (side, Worth(minor, units or 0, label))
            declined = has_fallen and reason in BY_HAND
            parts = {who: Recorded(given, declined, has_fallen)} if self.campaign.has_splits else {}
            known = found.get((event, key))
            if known is not None:
                parts = {**known.parts, **parts}
                # After the friend was given to another referrer there are two, of which one stands.
                given, declined, has_fallen = (
                    known.given or given,
                    known.declined or declined,
                    known.fallen or has_fallen,
                )
            found[event, key] = Recorded(given, declined, has_fallen, parts)
        return found


def _after_ban(events: Sequence[int]) -> frozenset[int]:
    """Which of these events were recorded when the referrer was banned already."""
    if not events:
        return frozenset()
    since = models.F(f"participant__{_REFERRER}__banned_at")
    rows = QualifyingEvent.objects.filter(Among("pk", events), recorded_at__gt=since)
    return frozenset(rows.values_list("pk", flat=True))


def _after_all_bans(events: Mapping[int, datetime | None]) -> frozenset[int]:
    """Which of these events were recorded when all who share the friend were banned already; since when, by event."""
    since = {pk: at for pk, at in events.items() if at is not None}
    if not since:
        return frozenset()
    rows = QualifyingEvent.objects.filter(Among("pk", list(since))).values_list("pk", "recorded_at")
    return frozenset(pk for pk, at in rows if at > since[pk])


def _types(campaign: Campaign, rules: Iterable[RuleTerms]) -> frozenset[str]:
    """The events that these rules are about, or were in any version: what they gave then has to be found too."""
    keys = {terms.key for terms in rules}
    past = RewardRule.objects.filter(version__campaign=campaign, key__in=keys).values_list("trigger", "event_type")
    pairs = {*past, *((terms.trigger, terms.event) for terms in rules)}
    return frozenset("leaderboard" if trigger == "leaderboard" else event for trigger, event in pairs)


def _closed(campaign: Campaign) -> Callable[[datetime], str | None]:
    """Campaign.closed_reasons() for any number of moments, with one query for all of them: what holds from each change to the next."""
    changes = list(StatusChange.objects.filter(campaign=campaign).order_by("at", "pk").values_list("at", "status"))
    since = campaign.status_since
    bounds = {since, campaign.starts_at, campaign.ends_at, *(at for at, _status in changes if at < since)}
    moments = sorted(at for at in bounds if at is not None)
    statuses = [
        str(campaign.status)
        if at >= since
        else next((status for when, status in reversed(changes) if when <= at), "draft")
        for at in moments
    ]
    reasons = ["campaign_not_started", *map(campaign.closed_reason, moments, statuses)]
    return lambda at: reasons[bisect_right(moments, at)]
